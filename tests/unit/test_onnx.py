"""Networks of the user's own in ONNX files: every usual form runs as it should, every other is refused in words."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_sample_images

from explorer.errors import BadInput, Missing
from explorer.extractors import load
from explorer.extractors.preprocessing import whole_picture

WEIGHTS = np.random.default_rng(0).normal(size=(5, 3, 4, 4)).astype(np.float32)
PICTURE = load_sample_images().images[0]


def write(path: Path, **how: Any) -> Path:
    path.write_bytes(network(**how).SerializeToString())
    return path


def network(
    shape: tuple[Any, ...] = ("b", 3, 32, 32),
    kind: int = TensorProto.FLOAT,
    pooled: bool = True,
    weights: Any = WEIGHTS,
) -> onnx.ModelProto:
    """A convolution of 4 x 4 pixels, averaged over the picture or not, in the layout that the shape says."""
    nodes, last = [], "x"
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [last], ["as_float"], to=TensorProto.FLOAT))
        last = "as_float"
    if shape[1] != 3:
        nodes.append(helper.make_node("Transpose", [last], ["turned"], perm=[0, 3, 1, 2]))
        last = "turned"
    nodes.append(helper.make_node("Conv", [last, "w"], ["map"], strides=[4, 4]))
    nodes.append(helper.make_node("GlobalAveragePool", ["map"], ["mean"]))
    nodes.append(helper.make_node("Flatten", ["mean"], ["row"]))
    out = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("row", "map")]
    tensor = weights if isinstance(weights, TensorProto) else numpy_helper.from_array(weights, "w")
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    graph = helper.make_graph(nodes, "net", inputs, out if pooled else out[::-1], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def vector(name: str) -> np.ndarray:
    extractor = load(name)
    return extractor.compute(extractor.prepare(PICTURE)[None])[0]


def expected(
    side: int, mean: Any = (0.485, 0.456, 0.406), std: Any = (0.229, 0.224, 0.225), full: int = 255
) -> np.ndarray:
    values = ((whole_picture(PICTURE, side) / full - mean) / std).astype(np.float32)
    tiles = values.reshape(side // 4, 4, side // 4, 4, 3).mean(axis=(0, 2))
    return np.einsum("yxc,ncyx->n", tiles, WEIGHTS)


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("batch", ["b", 1, 4])
def test_a_network_gives_what_its_weights_say(tmp_path: Path, batch: Any, pooled: bool) -> None:
    path = write(tmp_path / "net.onnx", shape=(batch, 3, 32, 32), pooled=pooled)
    assert np.allclose(vector(f"onnx:{path}"), expected(32), atol=1e-4)


def test_settings_stand_after_a_question_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", shape=("b", 3, "h", "w"))
    assert load(f"onnx:{path}").min_side == 224
    assert np.allclose(vector(f"onnx:{path}?size=64"), expected(64), atol=1e-4)
    half = vector(f"onnx:{path}?size=64&mean=0.5&std=0.5,0.25,1&output=map")
    assert np.allclose(half, expected(64, 0.5, (0.5, 0.25, 1)), atol=1e-4)
    assert load(f"onnx:{path}?size=64").spec.key != load(f"onnx:{path}?size=64&mean=0").spec.key


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.UINT8, TensorProto.FLOAT16])
def test_channels_may_be_last_and_values_bytes(tmp_path: Path, kind: int) -> None:
    path = write(tmp_path / "net.onnx", shape=("b", 32, 32, 3), kind=kind)
    wanted = expected(32, 0, 1, 1) if kind == TensorProto.UINT8 else expected(32)
    assert np.allclose(vector(f"onnx:{path}"), wanted, rtol=1e-2 if kind == TensorProto.FLOAT16 else 1e-4, atol=2e-3)


def test_other_weights_are_another_extractor_also_where_they_lie_beside_it(tmp_path: Path) -> None:
    keys = {load(f"onnx:{write(tmp_path / 'net.onnx', weights=WEIGHTS * n)}").spec.key for n in (1, 2)}
    path = write(tmp_path / "net.onnx", weights=_outside("weights.data"))
    for n in (1, 2):
        (tmp_path / "weights.data").write_bytes((WEIGHTS * n).tobytes())
        keys.add(load(f"onnx:{path}").spec.key)
    assert len(keys) == 4


@pytest.mark.parametrize("place", ["../secret.data", "{root}/secret.data", "linked.data"])
def test_data_outside_its_folder_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "secret.data").write_bytes(WEIGHTS.tobytes())
    folder = tmp_path / "network"
    folder.mkdir()
    (folder / "linked.data").symlink_to(tmp_path / "secret.data")
    path = write(folder / "net.onnx", weights=_outside(place.format(root=tmp_path)))
    with pytest.raises(BadInput, match=r"net\.onnx is no ONNX network that can be run"):
        load(f"onnx:{path}")


def _outside(place: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=WEIGHTS.shape, data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place
    return tensor


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"shape": ("b", 4, 32, 32)}, "no network for pictures"),
        ({"shape": ("b", 3, 32, 16)}, "only squares"),
        ({"shape": ("b", 3, 9000, 9000)}, "only squares"),
        ({"shape": (1000, 3, 32, 32)}, "1000 pictures at once"),
        ({"shape": ("b", 3, 32, 32), "kind": TensorProto.INT64}, "no network for pictures"),
        ({"shape": ("b", 3, 2, 2)}, "cannot be run on a picture of 2 pixels"),
        ({"weights": WEIGHTS * np.float32(np.inf)}, "infinite numbers"),
    ],
)
def test_a_network_of_another_form_is_refused(tmp_path: Path, how: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load(f"onnx:{write(tmp_path / 'net.onnx', **how)}")


def test_operations_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    model = network()
    model.graph.node[0].domain = "somebody.else"
    model.opset_import.append(helper.make_opsetid("somebody.else", 1))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadInput, match="standard operations"):
        load(f"onnx:{tmp_path / 'net.onnx'}")


@pytest.mark.parametrize("damage", [b"", b"not a network", b"\x08\x09" * 100])
def test_what_is_no_network_is_refused(tmp_path: Path, damage: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.onnx").write_bytes(damage)
    with pytest.raises(BadInput, match=r"net\.onnx"):
        load(f"onnx:{tmp_path / 'net.onnx'}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "setting", ["size=7", "size=1e9", "size=64&size=65", "mean=1,2", "std=0", "std=nan", "colour=3", "output=x", "junk"]
)
def test_a_wrong_setting_is_refused_by_name(tmp_path: Path, setting: str) -> None:
    path = write(tmp_path / "net.onnx", shape=("b", 3, "h", "w"))
    with pytest.raises(BadInput, match=setting.split("=")[0]):
        load(f"onnx:{path}?{setting}")
    with pytest.raises(BadInput, match="takes pictures of 32 pixels"):
        load(f"onnx:{write(path)}?size=64")


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"nowhere\.onnx"):
        load(f"onnx:{tmp_path / 'nowhere.onnx'}")

"""What every extractor promises, and how they are found by name."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from sklearn.datasets import load_sample_images

from explorer.errors import BadInput, Missing
from explorer.extractors import Extractor, available, load, load_like
from explorer.extractors.preprocessing import whole_picture

TINY = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small network that open_clip is told about: random weights, the real way of loading."""
    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "contract-tiny.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "contract-tiny.json")
    torch.manual_seed(5)
    torch.save(open_clip.create_model("contract-tiny").state_dict(), folder / "tiny.pt")
    return folder / "tiny.pt"


@pytest.fixture(scope="module", params=["lite0", "lite0 exact", "colour", "open_clip"])
def extractor(request: pytest.FixtureRequest, models: Path, checkpoint: Path) -> Extractor:
    if request.param == "open_clip":
        return load(f"open_clip:contract-tiny/{checkpoint}", models)
    return load(request.param.split()[0], models, exact=request.param.endswith("exact"))


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Twenty cuts of two photographs: wide, tall, small, and one of a single colour."""
    china, flower = load_sample_images().images
    cuts = [china, flower, china[:, :90], flower[100:160], china[::9, ::9], np.full((50, 70, 3), 200, np.uint8)]
    starts = np.random.default_rng(0).integers(0, 200, (14, 2))
    return cuts + [(china, flower)[i % 2][y : y + 200, x : x + 260] for i, (y, x) in enumerate(starts)]


def vectors(extractor: Extractor, inputs: list[np.ndarray], size: int) -> np.ndarray:
    starts = range(0, len(inputs), size)
    return np.concatenate([extractor.compute(np.stack(inputs[start : start + size])) for start in starts])


def test_a_vector_is_finite_and_has_the_promised_shape(extractor: Extractor, pictures: list[np.ndarray]) -> None:
    assert isinstance(extractor, Extractor)
    inputs = [extractor.prepare(picture) for picture in pictures]
    assert len({(entry.shape, entry.dtype) for entry in inputs}) == 1
    rows = vectors(extractor, inputs, extractor.batch_size)
    assert rows.shape == (len(pictures), extractor.spec.dim)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert len(np.unique(rows.round(4), axis=0)) == len(pictures), "different pictures, different vectors"


def test_a_vector_depends_on_its_picture_alone(extractor: Extractor, pictures: list[np.ndarray]) -> None:
    inputs = [extractor.prepare(picture) for picture in pictures]
    size = extractor.batch_size
    expected = vectors(extractor, inputs, size)
    order = np.random.default_rng(1).permutation(len(inputs))
    moved = vectors(extractor, [inputs[row] for row in order], size)
    assert np.array_equal(moved, expected[order]), "not on its place in the batch"
    assert np.array_equal(vectors(extractor, inputs, 1), expected), "not on the batch's size"
    again = vectors(extractor, [extractor.prepare(picture.copy()) for picture in pictures], size)
    assert np.array_equal(again, expected), "the same pixels, the same vector"


def test_several_threads_may_compute_at_once(extractor: Extractor, pictures: list[np.ndarray]) -> None:
    inputs = [extractor.prepare(picture) for picture in pictures]
    expected = vectors(extractor, inputs, extractor.batch_size)
    sizes = [1 + turn % extractor.batch_size for turn in range(12)]
    with ThreadPoolExecutor(4) as threads:
        for rows in threads.map(lambda size: vectors(extractor, inputs, size), sizes):
            assert np.array_equal(rows, expected)


def test_the_name_in_a_spec_loads_the_same_extractor(extractor: Extractor, models: Path) -> None:
    assert load_like(extractor.spec, models).spec.key == extractor.spec.key


def test_features_of_other_weights_are_refused(models: Path) -> None:
    spec = replace(load("lite0", models).spec, weights="0" * 32)
    with pytest.raises(Missing, match=r"must not be mixed"):
        load_like(spec, models)


def test_precision_is_part_of_the_identity(models: Path) -> None:
    usual, exact = load("lite0", models).spec, load("lite0", models, exact=True).spec
    assert exact.precision == "fp32"
    assert (usual.key == exact.key) == (usual.precision == "fp32")


@pytest.mark.parametrize("name", ["resnet", "", "lite0:x", "colour:x", "open_clip", "open_clip:ViT-B-32"])
def test_an_unknown_name_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(name)
    assert name in str(caught.value) or "takes nothing" in str(caught.value)


def test_cards_are_read_without_importing_networks() -> None:
    assert set(available()) == {"lite0", "colour", "open_clip:ARCH/PRETRAINED"}
    code = "import sys; from explorer.extractors import available; available(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "openvino", "timm", "open_clip", "cv2"} & set(loaded)


def test_the_whole_picture_is_kept_between_bars_of_its_border() -> None:
    picture = np.full((40, 120, 3), (10, 200, 90), np.uint8)
    picture[10:30, 2:10], picture[10:30, 110:118] = 255, 0
    square = whole_picture(picture, 96)
    assert square.shape == (96, 96, 3)
    assert (square[:30] == (10, 200, 90)).all()
    assert (square[-30:] == (10, 200, 90)).all()
    assert (square[48, 5] > 240).all()
    assert (square[48, 90] < 15).all(), "both ends are still there"

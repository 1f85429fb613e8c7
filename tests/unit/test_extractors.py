"""How extractors are found by name; what each of them promises is in test_extractor_contract.py."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import BadInput, Missing
from explorer.extractors import available, load, load_like, title_of
from explorer.extractors.preprocessing import whole_picture
from explorer.extractors.registry import card_of


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def test_features_of_other_weights_are_refused(models: Path) -> None:
    spec = replace(load("lite0", models).spec, weights="0" * 32)
    with pytest.raises(Missing, match=r"must not be mixed"):
        load_like(spec, models)


def test_precision_is_part_of_the_identity(models: Path) -> None:
    usual, exact = load("lite0", models).spec, load("lite0", models, exact=True).spec
    assert exact.precision == "fp32"
    assert (usual.key == exact.key) == (usual.precision == "fp32")


@pytest.mark.parametrize("name", ["lite0:x", "colour:x", "colour@late"])
def test_a_name_that_stands_alone_takes_nothing_after_it(name: str) -> None:
    with pytest.raises(BadInput, match="takes nothing after it"):
        load(name)


def test_cards_are_read_without_importing_networks() -> None:
    assert {"lite0", "colour", "open_clip:ARCH/PRETRAINED"} <= set(available())
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


def test_names_read_well_on_a_screen() -> None:
    assert title_of("lite0") == "What it shows"
    assert title_of("timm:resnet18//folder/of/mine.pt").endswith("(resnet18, mine.pt)")
    assert "/" not in title_of("onnx:/folder/net.onnx")
    assert title_of("no such thing") == "no such thing"


def test_a_layers_card_does_not_claim_what_the_whole_network_ignores() -> None:
    whole, early = card_of("lite0"), card_of("lite0@block0")
    assert whole is not None
    assert early is not None
    assert whole.ignores
    assert not early.ignores
    assert early.sees != whole.sees
    assert card_of("no such thing") is None

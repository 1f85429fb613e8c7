"""What an extractor ignores is found out, not believed: shown on extractors whose blind spots are known."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import invariance as benchmark
from explorer.collection.dataset import Dataset
from explorer.collection.images import decode
from explorer.demos import CLIPART
from explorer.errors import BadInput, Cancelled
from explorer.extractors.base import Card, FeatureSpec
from explorer.extractors.registry import families, load
from explorer.space import changes
from explorer.space.invariance import (
    CHANGES,
    SHIPPED,
    kept,
    measure,
    measure_on,
    measured_here,
    measured_invariance,
)
from explorer.workspace import Workspace


class Look:
    """An extractor of one function of the pixels."""

    min_side, batch_size = 32, 8

    def __init__(self, see: Callable[[np.ndarray], np.ndarray], aspect: str = "content", layer: str = "") -> None:
        self.see = see
        self.card = Card("Test", "", "", "", aspect=aspect)
        dim = len(see(np.zeros((40, 40, 3), np.uint8)))
        self.spec = FeatureSpec("test", "none", layer, "", "numpy", "fp32", dim)

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        return self.see(rgb)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        return batch.astype(np.float32)


def colours(rgb: np.ndarray) -> np.ndarray:
    """Which colours, wherever they are."""
    return np.histogramdd(rgb.reshape(-1, 3), bins=(4, 4, 4), range=[(0, 256)] * 3)[0].ravel() / rgb[..., 0].size


def outline(rgb: np.ndarray) -> np.ndarray:
    """Where it is lighter than on average: no colour, no brightness, no grain."""
    small = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    return (small / max(float(small.std()), 1e-3)).ravel()


@pytest.fixture(scope="module")
def drawings() -> list[np.ndarray]:
    """80 of the demo's, small."""
    pictures = [decode(path.read_bytes(), 256).rgb for path in sorted(CLIPART.glob("*/*.jpg"))[::18][:80]]
    return [cv2.resize(rgb, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA) for rgb in pictures]


def test_every_change_changes_the_picture_and_only_as_the_generator_says(drawings: list[np.ndarray]) -> None:
    for name, change in CHANGES.items():
        changed = 0
        for number, rgb in enumerate(drawings[:12]):
            untouched = rgb.copy()
            once = change.apply(rgb, np.random.default_rng(number))
            assert np.array_equal(once, change.apply(rgb, np.random.default_rng(number))), name
            assert np.array_equal(rgb, untouched), f"{name} wrote into the original"
            assert (once.dtype, once.ndim, once.shape[2]) == (np.uint8, 3, 3)
            changed += once.shape != rgb.shape or not np.array_equal(once, rgb)
        assert changed >= 9, f"{name}: glare on white paper, say, changes nothing, but most drawings are not white"
    assert {"tint", "brightness", "blur", "glare", "noise", "scale", "crop", "rotation", "mirror"} < set(CHANGES)


@pytest.mark.parametrize("shape", [(8, 300, 3), (300, 8, 3), (9, 9, 3), (1, 1, 3)])
def test_small_and_narrow_pictures_are_changed_too(shape: tuple[int, int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for name, change in CHANGES.items():
        for seed in range(4):
            assert change.apply(rgb, np.random.default_rng(seed)).size, name


def test_words_move_or_are_replaced_and_the_rest_stays(drawings: list[np.ndarray]) -> None:
    for seed, rgb in enumerate(drawings[:20]):
        with_words, moved, replaced = (
            alter(rgb, np.random.default_rng(seed)).astype(int)
            for alter in (changes.with_words, changes.moved_words, changes.other_words)
        )
        touched = (with_words != rgb).any(axis=2)
        again = (replaced != rgb).any(axis=2)
        assert (with_words != replaced).any(), "other words"
        # at the same place: the two plates' boxes lie within each other but for their heights
        assert abs(np.argwhere(touched)[:, 1].mean() - np.argwhere(again)[:, 1].mean()) < 0.2 * rgb.shape[1]
        boxes = [np.argwhere((each != rgb).any(axis=2)).mean(axis=0) / rgb.shape[:2] for each in (with_words, moved)]
        assert np.abs(boxes[0] - boxes[1]).max() > 0.1, "elsewhere"


def test_what_an_extractor_cannot_see_moves_no_neighbour(drawings: list[np.ndarray]) -> None:
    by_colour, by_outline = kept(Look(colours), drawings), kept(Look(outline), drawings)
    assert by_colour["mirror"] == pytest.approx(1, abs=0.02)
    assert by_outline["mirror"] < 0.8
    assert by_colour["tint"] < by_outline["tint"] - 0.2
    assert by_colour["brightness"] < by_outline["brightness"] - 0.2
    assert by_outline["noise"] > 0.8
    assert by_outline["scale"] > 0.8
    assert set(by_colour) == set(CHANGES)


def test_an_extractor_that_sees_nothing_keeps_nothing_but_by_chance(drawings: list[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    found = measure([Look(lambda rgb: rng.normal(size=16))], drawings)[0]
    for each in found.values():
        assert each.neighbours < 0.25  # by chance 10 of 79
        assert each.itself < 0.1


def test_the_app_s_own_extractors(drawings: list[np.ndarray]) -> None:
    found = measure([load("colour")], drawings)[0]
    assert found["mirror"].neighbours > 0.95
    assert found["tint"].neighbours < 0.6
    assert found["mirror"].itself == 1


def test_readers_are_shown_words_whatever_the_change(drawings: list[np.ndarray]) -> None:
    def white(rgb: np.ndarray) -> np.ndarray:
        """How much pure white stands in each ninth: the plates, on pictures without white."""
        thirds = [np.array_split(part, 3, axis=1) for part in np.array_split(rgb, 3, axis=0)]
        return np.array(
            [float((each == 255).all(axis=2).mean()) if each.size else 0.0 for row in thirds for each in row]
        )

    dark = [np.minimum(rgb, 120) for rgb in drawings]
    found = measure([Look(white, "text-where")], dark)[0]
    assert found["text_replaced"].neighbours > found["text_moved"].neighbours + 0.3
    assert found["scale"].neighbours > 0.3  # without words there would be nothing to stay near to
    assert measure([Look(white)], dark)[0]["mirror"].neighbours == 1  # nothing white, nothing to see


class Twofold(Look):
    """Two layers of one computation, which counts how often it is run."""

    runs = 0
    network = "twofold"

    def compute_layers(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        type(self).runs += len(batch)
        return {"all": batch.astype(np.float32), "half": batch[:, ::2].astype(np.float32)}


def test_layers_of_one_network_are_computed_once(drawings: list[np.ndarray]) -> None:
    extractors = [Twofold(outline, layer="all"), Twofold(outline, layer="half")]
    both = measure(extractors, drawings[:40])
    pasted = 2
    assert Twofold.runs == 40 * (1 + len(CHANGES)) + 40 * (pasted - 1)
    assert both[0] != both[1]
    assert both[0] == measure([Look(outline)], drawings[:40])[0]


def test_too_few_pictures_and_what_reads_no_pixels_are_refused(drawings: list[np.ndarray]) -> None:
    with pytest.raises(BadInput, match="at least 21 pictures"):
        kept(Look(outline), drawings[:20])
    columns = Look(outline)
    columns.spec = FeatureSpec("columns:price", "none", "", "", "numpy", "fp32", 64, rows="item")
    with pytest.raises(BadInput, match="columns"):
        kept(columns, drawings)


def test_it_can_be_measured_on_one_s_own_pictures(workspace: Workspace, place: Path) -> None:
    for path in sorted(CLIPART.glob("*/*.jpg"))[::50][:26]:
        (place / path.name).write_bytes(path.read_bytes())
    (place / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    dataset = Dataset.create(workspace, "own", {"kind": "folder", "path": str(place)})
    dataset.rescan()
    look = Look(colours)
    assert measured_here(dataset, look.spec) is None
    stages = []
    found = measure_on(dataset, look, progress=lambda progress: stages.append(progress.done))
    assert found["mirror"] > 0.95
    assert measured_here(Dataset.open(workspace, "own"), look.spec) == found
    assert stages[-1] == len(CHANGES)
    with pytest.raises(Cancelled):
        measure_on(dataset, look, cancelled=lambda: True)


def test_the_benchmark_s_table_becomes_the_cards_file() -> None:
    figures = {f"kept.{name}.{change}": 0.25 for name in ("lite0@block2", "colour") for change in CHANGES}
    detail: dict[str, Any] = {"pictures": {"lite0@block2": 200, "colour": 200}}
    detail["changed"] = detail["pictures"]
    written = benchmark.shipped({"figures": figures, "detail": detail})
    assert list(written["kept"]) == ["lite0@block2", "colour"]
    assert written["kept"]["lite0@block2"]["text_moved"] == 0.25
    assert len(benchmark.plot({"figures": figures}).data[0].z) == 2
    assert benchmark._chance(10, 201) == 0.05


def test_the_cards_file_says_what_was_measured() -> None:
    assert SHIPPED.is_file(), "python -m benchmarks.invariance writes it"
    for name in ("lite0", "colour"):
        found = measured_invariance(name)
        assert found is not None
        assert set(found) == set(CHANGES)
        assert all(0 <= share <= 1 for share in found.values())
    colour, content = measured_invariance("colour"), measured_invariance("lite0")
    assert colour
    assert content
    assert colour["tint"] < content["tint"]
    assert measured_invariance("timm:resnet18") is None


def test_no_card_of_what_needs_no_download_lacks_its_figures() -> None:
    offline = {each.name for each in families().values() if not each.written and not each.card.needs_download}
    measured = set(json.loads(SHIPPED.read_text())["kept"])
    assert offline - measured <= {"sscd"}, "python -m benchmarks.invariance NAME … measures them (sscd: Python 3.12)"


def test_some_extractors_are_measured_anew_and_the_others_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, drawings: list[np.ndarray]
) -> None:
    file = tmp_path / "invariance.json"
    old = {"pictures": {"lite0": 7}, "changed": {"lite0": 7}, "kept": {"lite0": {"tint": 0.5}, "colour": {"tint": 0.9}}}
    file.write_text(json.dumps(old))
    monkeypatch.setattr("explorer.space.invariance.SHIPPED", file)
    monkeypatch.setattr(benchmark, "_pictures", lambda count: drawings[:30])
    monkeypatch.setattr(sys, "argv", ["invariance", "colour"])
    benchmark.main()
    new = json.loads(file.read_text())
    assert new["kept"]["lite0"] == {"tint": 0.5}
    assert set(new["kept"]["colour"]) == set(CHANGES)
    assert new["kept"]["colour"]["mirror"] > 0.95 > new["kept"]["colour"]["tint"]

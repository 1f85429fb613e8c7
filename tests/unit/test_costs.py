"""What it would cost is told before anything is computed: from this machine's own speeds where there are any."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer.collection import costs as module
from explorer.collection.costs import MAP, Cost, cost, costs, duration, measure_speed, record_speed, size
from explorer.demos import CLIPART
from explorer.errors import BadInput
from explorer.extractors.base import Card, FeatureSpec
from explorer.extractors.registry import families
from explorer.workspace import Workspace


def test_a_measured_speed_is_what_the_next_estimate_goes_by(workspace: Workspace) -> None:
    guessed = cost("lite0", 10_000, workspace, 1280, space=False)
    assert not guessed.measured
    record_speed(workspace, "lite0", 1_000, 40.0)
    told = cost("lite0", 10_000, workspace, 1280, space=False)
    assert (told.seconds, told.measured) == (pytest.approx(400), True)
    assert not cost("lite0", 10_000, workspace, 1280).measured, "the map was not timed yet"
    record_speed(workspace, MAP, 1_000, 10.0)
    assert cost("lite0", 10_000, workspace, 1280).seconds == pytest.approx(500)
    assert cost("lite0", 10_000, workspace, 1280).measured


def test_what_was_never_run_is_guessed_by_what_was(workspace: Workspace) -> None:
    before = cost("lite2", 1_000, workspace, space=False).seconds
    slow = 10 * module.CORE_SECONDS["lite0"] / module.usable_cores()
    record_speed(workspace, "lite0", 1_000, 1_000 * slow)
    assert cost("lite2", 1_000, workspace, space=False).seconds == pytest.approx(10 * before, rel=1e-3)
    assert cost("timm:resnet50", 1_000, workspace, space=False).seconds > 0
    assert not cost("timm:resnet50", 1_000, workspace).measured


def test_few_pictures_say_nothing_and_a_trial_does_not_overrule_a_long_run(workspace: Workspace) -> None:
    record_speed(workspace, "colour", 15, 1.0)
    assert not cost("colour", 100, workspace, space=False).measured
    record_speed(workspace, "colour", 10_000, 100.0)
    record_speed(workspace, "colour", 48, 48.0)
    assert cost("colour", 100, workspace, space=False).seconds == pytest.approx(1)
    record_speed(workspace, "colour", 5_000, 100.0)
    assert cost("colour", 100, workspace, space=False).seconds == pytest.approx(2)


def test_layers_of_one_network_take_its_time_once(workspace: Workspace) -> None:
    record_speed(workspace, "lite0", 100, 10.0)
    one = costs({"lite0": 1280}, 1_000, workspace, space=False)
    three = costs({"lite0@block1": 64, "lite0@block3": 160, "lite0": 1280}, 1_000, workspace, space=False)
    assert three.seconds == one.seconds == pytest.approx(100)
    assert three.bytes > one.bytes
    assert three.measured
    read = costs({"text_where": 78, "text_what": 384}, 100, workspace, space=False).seconds
    assert read == cost("text_what", 100, workspace, space=False).seconds


def test_another_machine_s_speeds_and_damaged_files_are_not_believed(workspace: Workspace) -> None:
    record_speed(workspace, "lite0", 1_000, 1.0)
    file = workspace.root / "speeds.json"
    stored = json.loads(file.read_text())
    file.write_text(json.dumps({**stored, "machine": {"cpu": "another", "cores": 64}}))
    assert not cost("lite0", 10, workspace, space=False).measured
    for damage in ("", "{", "[]", '{"machine": 1, "speeds": 3}', '{"speeds": {"lite0": {"per_second": 0}}}'):
        file.write_text(damage)
        assert cost("lite0", 10, workspace).seconds > 0
    record_speed(workspace, "lite0", 1_000, 10.0)
    assert cost("lite0", 100, workspace, space=False).seconds == pytest.approx(1)


def test_the_room_told_is_the_room_taken(demo_workspace: Workspace) -> None:
    root = demo_workspace.root / "demo"
    for name, dim in (("lite0", 1280), ("colour", 110)):
        taken = sum(
            path.stat().st_size for kind in ("features", "spaces") for path in root.glob(f"{kind}/{name}-*/**/*.*")
        )
        told = cost(name, 1_502, demo_workspace, dim).bytes
        assert told == pytest.approx(taken, rel=0.12), name


class Slow:
    """An extractor that takes its time, each batch alike."""

    card = Card("Slow", "", "", "")
    spec = FeatureSpec("slow", "none", "", "", "numpy", "fp32", 3)
    min_side, batch_size = 32, 4

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        return rgb.reshape(-1, 3).mean(axis=0)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        time.sleep(0.02 * len(batch))
        return batch.astype(np.float32)


def test_a_short_trial_on_real_pictures_measures_the_speed(workspace: Workspace) -> None:
    files = [path.read_bytes() for path in sorted(CLIPART.glob("*/*.jpg"))[:32]]
    rate = measure_speed(Slow(), [*files, b"no picture"], workspace)
    assert 0 < rate < 1.05 * module.usable_cores() / 0.02
    told = cost("slow", 320, workspace, space=False)
    assert told.measured
    assert told.seconds == pytest.approx(320 / rate, rel=0.01)
    with pytest.raises(BadInput, match="at least 16 pictures"):
        measure_speed(Slow(), [*files[:8], *[b"no picture"] * 20], workspace)


def test_every_extractor_that_needs_no_download_has_a_first_guess() -> None:
    offline = {each.name for each in families().values() if not each.written and not each.card.needs_download}
    assert offline <= set(module.CORE_SECONDS)


def test_plain_words() -> None:
    assert [duration(each) for each in (0.2, 7, 43, 95, 200, 3_000, 7_900, 40_000)] == [
        *("a moment", "7 s", "45 s", "95 s", "3 min", "50 min", "2 h 10 min", "11 h")
    ]
    assert [size(each) for each in (900_000, 1_240_000, 38_000_000, 2_600_000_000)] == [
        *("less than 1 MB", "1.2 MB", "38 MB", "2.6 GB")
    ]
    assert Cost(180, 12_000_000, True).words == "about 3 min and 12 MB"
    assert Cost(180, 12_000_000, False).words == "roughly 3 min and 12 MB (never timed on this machine)"


def test_a_job_keeps_how_fast_it_was(workspace: Workspace, tmp_path: Path) -> None:
    from explorer.collection.dataset import Dataset
    from explorer.processing import process

    rng = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(tmp_path / f"{number}.png")
    dataset = Dataset.create(workspace, "noise", {"kind": "folder", "path": str(tmp_path)})
    assert not cost("colour", 100, workspace, dim=110).measured
    for _ in range(2):  # a second run, which has nothing to do, is no speed
        process(workspace, dataset.id, {"extractors": ["colour"]}, lambda progress: None, lambda: False)
        found = json.loads((workspace.root / "speeds.json").read_text())["speeds"]
        assert set(found) == {"colour", MAP}
        assert found["colour"]["pictures"] == 20
    assert cost("colour", 100, workspace, dim=110).measured

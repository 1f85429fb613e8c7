"""Extractors of installed packages: found by their entry points, and never able to stop the app."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import Missing
from explorer.extractors import entry_points, families, load, registry
from explorer.extractors.base import Family

GOOD = """
import hashlib
import numpy as np
from explorer.extractors.base import Card, Family, FeatureSpec

class Mean:
    card = Card("Mean colour", "The mean colour.", "All else.", "MIT", aspect="own", dim=3)
    spec = FeatureSpec("{name}", "none", "mean", "none", "numpy", "fp32", 3)
    min_side = 1
    batch_size = 4
    def prepare(self, rgb):
        return rgb.reshape(-1, 3).mean(axis=0).astype(np.float32)
    def compute(self, batch):
        return batch

FAMILY = Family("{name}", Mean.card, lambda argument, layer, models_dir, exact: Mean())

def family():
    return FAMILY
"""
Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """(entry point, what it refers to, the module's text): a package as pip would leave it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def installed(name: str, refers: str, text: str) -> None:
        module = refers.split(":")[0]
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[explorer.extractors]\n{name} = {refers}\n")
        registry.families.cache_clear()

    yield installed
    for module in set(sys.modules) - before:
        if module.startswith("theirs"):
            del sys.modules[module]
    registry.families.cache_clear()


def only(taken: tuple[str, ...] = ()) -> Family:
    [family] = entry_points.found(taken)
    return family


@pytest.mark.parametrize("attribute", ["FAMILY", "family"])
def test_an_installed_family_or_a_function_giving_one_is_found(install: Install, attribute: str) -> None:
    install("mean_colour", f"theirs_good_{attribute.lower()}:{attribute}", GOOD.format(name="mean_colour"))
    extractor = only().create("", "", None, False)
    picture = np.full((4, 4, 3), (1, 2, 3), np.uint8)
    assert extractor.compute(extractor.prepare(picture)[None]).tolist() == [[1, 2, 3]]


def test_the_registry_offers_it_beside_its_own(install: Install) -> None:
    before = set(families())
    install("mean_colour", "theirs_listed:FAMILY", GOOD.format(name="mean_colour"))
    assert set(families()) - before == {"mean_colour"}
    assert load("mean_colour").spec.dim == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import there_is_no_such_package", "there_is_no_such_package"),
        ("x = (", "was never closed"),
        ("FAMILY = 3", "not callable"),
        ("def FAMILY(): return 3", "gives a int"),
        ("def FAMILY(): raise RuntimeError('no licence key')", "no licence key"),
        ("raise SystemExit(3)", "3"),
        ("", "FAMILY"),
        (GOOD.format(name="another"), "calls itself 'another'"),
        (GOOD.format(name="mine").replace('aspect="own"', 'aspect="magic"'), "magic"),
    ],
)
def test_a_broken_one_says_so_and_stops_nothing(install: Install, text: str, reason: str) -> None:
    install("mine", "theirs_broken:FAMILY", text)
    assert reason in only().card.sees
    assert {"lite0", "mine"} <= set(families())
    with pytest.raises(Missing, match="theirs_broken") as caught:
        load("mine")
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", ["lite0", "Not a Name"])
def test_a_name_in_use_and_no_name_at_all_are_refused(install: Install, name: str) -> None:
    install(name, "theirs_shadow:FAMILY", GOOD.format(name=name))
    family = only(taken=("lite0", "colour"))
    assert family.name == "own_1"
    assert name in family.card.title
    assert load("colour").spec.extractor == "colour"
    assert families()["lite0"].card.title == "What it shows"


def test_of_two_with_one_name_the_first_is_taken_and_the_other_told_of(install: Install) -> None:
    install("mean_colour", "theirs_a:FAMILY", GOOD.format(name="mean_colour"))
    install("mean_colour", "theirs_b:FAMILY", GOOD.format(name="mean_colour"))
    first, second = entry_points.found()
    assert (first.name, second.name) == ("mean_colour", "own_1")
    assert "there is another of this name" in second.card.sees
    assert "theirs_b" in second.card.sees

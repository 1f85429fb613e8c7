"""What every extractor promises, each on its case in `extractor_cases.py`."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from explorer.errors import BadInput, Missing
from explorer.extractors import Extractor, families, load, load_like, prepared
from explorer.extractors.base import ASPECTS, Family, Layered
from tests.unit.extractor_cases import CASES, NEEDS

WORDS = ("kitchen", "Bathroom 7", "RAIN", "lighthouse")


@dataclass(frozen=True)
class Seen:
    """An extractor with what it makes of the pictures."""

    extractor: Extractor
    inputs: list[np.ndarray]
    rows: np.ndarray


@cache
def pictures() -> list[np.ndarray]:
    """Four with a word each, five cuts of two photographs, noise, grey, then one colour, very small, very long."""
    china, flower = load_sample_images().images
    lettered = []
    for place, word in enumerate(WORDS):
        picture = np.ascontiguousarray((china, flower)[place % 2][40 * place : 40 * place + 240, :320])
        y, x = 50 + 45 * place, 10 + 15 * place
        cv2.rectangle(picture, (0, y - 40), (319, y + 15), (250, 250, 240), -1)
        cv2.putText(picture, word, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (20, 20, 30), 3, cv2.LINE_AA)
        lettered.append(picture)
    cuts = [china[:, :90], flower[100:160], flower[20:300:9, 100:400:9], china[:200, 200:460], flower[150:, 300:]]
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    grey = np.repeat(cv2.cvtColor(china, cv2.COLOR_RGB2GRAY)[100:350, 100:300, None], 3, axis=2)
    return [*lettered, *cuts, noise, grey, *odd()]


def odd() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    shapes = ((1, 1), (1, 700), (700, 1), (3, 2), (40, 1600), (1600, 40))
    plain = [np.full((60, 80, 3), value, np.uint8) for value in (0, 255, (10, 200, 90))]
    return plain + [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


LETTERED = slice(0, len(WORDS))
VARIED = slice(0, len(WORDS) + 7)
"""Pictures that every extractor for anything but writing must tell apart."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module", params=CASES)
def seen(request: pytest.FixtureRequest, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    paths = list(sys.path)
    extractor = CASES[request.param](models, tmp_path_factory.mktemp("case"))
    inputs = inputs_of(extractor)
    yield Seen(extractor, inputs, vectors(extractor, inputs, extractor.batch_size))
    sys.path[:] = paths


def inputs_of(extractor: Extractor) -> list[np.ndarray]:
    made = []
    for picture in pictures():
        before = picture.copy()
        file = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes()
        made.append(prepared(extractor, file, picture))
        assert np.array_equal(picture, before), "a picture is somebody else's: it is not written to"
    return made


def vectors(extractor: Extractor, inputs: list[np.ndarray], size: int) -> np.ndarray:
    starts = range(0, len(inputs), size)
    return np.concatenate([extractor.compute(np.stack(inputs[start : start + size])) for start in starts])


def test_every_family_is_tested() -> None:
    tested = {re.match(r"[a-z0-9_]+", name)[0] for name in CASES}  # type: ignore[index]
    assert set(families()) <= tested, "add a case to extractor_cases.CASES"
    assert set(families()) <= set(NEEDS), "say in extractor_cases.NEEDS what it cannot do without, or ()"


def test_a_vector_is_finite_and_has_the_promised_shape(seen: Seen) -> None:
    assert isinstance(seen.extractor, Extractor)
    assert seen.extractor.batch_size >= 1
    assert len({(entry.shape, entry.dtype) for entry in seen.inputs}) == 1
    assert seen.rows.shape == (len(pictures()), seen.extractor.spec.dim)
    assert seen.rows.dtype == np.float32
    assert np.isfinite(seen.rows).all()
    assert np.abs(seen.rows).max() < 60_000, "rows are kept in half precision"


def test_different_pictures_have_different_vectors(seen: Seen) -> None:
    writing = seen.extractor.card.aspect.startswith("text")
    rows = seen.rows[LETTERED if writing else VARIED].astype(np.float16)
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_the_same_pixels_have_the_same_vector(seen: Seen) -> None:
    again = inputs_of(seen.extractor)
    assert all(np.array_equal(a, b) for a, b in zip(again, seen.inputs, strict=True))
    picked = slice(0, 2 * seen.extractor.batch_size)
    assert np.array_equal(vectors(seen.extractor, again[picked], seen.extractor.batch_size), seen.rows[picked])


def test_a_vector_depends_neither_on_the_batch_nor_on_its_place_there(seen: Seen) -> None:
    most = seen.extractor.batch_size
    rng = np.random.default_rng(2)
    for size in sorted({1, 2, most // 2, most - 1, most} - {0}):
        if size > most:
            continue
        rows = rng.choice(len(seen.inputs), size)
        assert np.array_equal(seen.extractor.compute(np.stack([seen.inputs[row] for row in rows])), seen.rows[rows])


def test_several_threads_may_compute_at_once(seen: Seen) -> None:
    size = min(4, seen.extractor.batch_size)
    picked = [np.random.default_rng(turn).choice(len(seen.inputs), size) for turn in range(8)]
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda rows: seen.extractor.compute(np.stack([seen.inputs[row] for row in rows])), picked)
        assert all(np.array_equal(rows, seen.rows[order]) for rows, order in zip(found, picked, strict=True))


def test_the_name_in_a_spec_loads_the_same_extractor(seen: Seen, models: Path) -> None:
    again = load_like(seen.extractor.spec, models)
    assert again.spec == seen.extractor.spec
    assert again.spec.key == seen.extractor.spec.key
    assert np.array_equal(again.compute(np.stack(seen.inputs[:1])), seen.rows[:1])


def test_an_identity_is_complete(seen: Seen) -> None:
    spec = seen.extractor.spec
    assert spec.rows == "content", "what pixels show belongs to the pixels"
    assert spec.weights == "none" or re.fullmatch(r"[0-9a-f]{32}", spec.weights)
    assert spec.layer
    assert spec.preprocessing
    assert spec.backend
    assert spec.precision in ("fp32", "bf16", "fp16", "int8")


def test_the_card_says_what_a_person_needs_to_choose(seen: Seen) -> None:
    for card in (seen.extractor.card, _family(seen.extractor).card):
        assert card.title
        assert card.title[0].isupper()
        assert card.sees.endswith(".")
        assert card.ignores.endswith(".")
        assert card.licence
        assert card.aspect in ASPECTS
        # a family's card tells how many numbers its network ends in; a layer of it has its own
        assert card.dim in (0, seen.extractor.spec.dim) or "@" in seen.extractor.spec.extractor


def test_a_layer_is_the_same_alone_and_beside_the_others(seen: Seen) -> None:
    if not isinstance(seen.extractor, Layered):
        assert not hasattr(seen.extractor, "compute_layers"), "Layered has a network as well"
        return
    assert seen.extractor.network
    batch = np.stack(seen.inputs[: seen.extractor.batch_size])
    layers = seen.extractor.compute_layers(batch)
    assert np.array_equal(layers[seen.extractor.spec.layer], seen.rows[: len(batch)])
    for rows in layers.values():
        assert rows.dtype == np.float32
        assert rows.ndim == 2
        assert len(rows) == len(batch)
        assert np.isfinite(rows).all()


def test_a_wrong_name_is_refused(seen: Seen, models: Path) -> None:
    """With BadInput, or Missing where it could have been a file or something to download."""
    family = _family(seen.extractor)
    name = seen.extractor.spec.extractor.split("@")[0]
    for wrong in (f"{family.name}:no such thing", f"{name}@no_such_layer"):
        with pytest.raises((BadInput, Missing)) as caught:
            load(wrong, models)
        assert len(str(caught.value)) > 20
    if family.written:  # something must follow
        with pytest.raises(BadInput, match=family.name):
            load(family.name, models)


@pytest.mark.parametrize("name", ["resnet", "", "lite0 ", "Lite0", "@", ":"])
def test_an_unknown_name_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(name)
    assert f"'{name}'" in str(caught.value)
    assert "colour" in str(caught.value)


def _family(extractor: Extractor) -> Family:
    return families()[re.split("[:@]", extractor.spec.extractor)[0]]


HIDDEN = """
import sys, tempfile
name, package = sys.argv[1:]
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, wanted, *more):
        return None if wanted.split(".")[0] == package else self.finder.find_spec(wanted, *more)
sys.meta_path = [Hiding(finder) for finder in sys.meta_path]
from pathlib import Path
from explorer.errors import Missing
from explorer.extractors import load
try:
    load(name, Path(tempfile.mkdtemp()))
except Missing as error:
    print(error)
"""


@pytest.mark.parametrize(("name", "package"), [pair for pairs in NEEDS.values() for pair in pairs])
def test_a_package_that_is_not_there_is_said_to_be_missing(name: str, package: str, tmp_path: Path) -> None:
    """In a process of its own: what is loaded once stays loaded."""
    command = [sys.executable, "-c", HIDDEN, name, package]
    environment = os.environ | {"TMPDIR": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "pip install" in done.stdout

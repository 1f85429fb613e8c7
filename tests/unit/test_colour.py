"""The colours of a picture, and that alike means alike to the eye."""

import numpy as np
import pytest

from explorer.extractors import load
from explorer.extractors.base import Extractor
from explorer.extractors.colour import dominant, lab_of, palette


@pytest.fixture(scope="module")
def colour() -> Extractor:
    return load("colour")


def vector(colour: Extractor, picture: np.ndarray) -> np.ndarray:
    return colour.compute(colour.prepare(picture)[None])[0]


def plain(*rgb: int, side: int = 120) -> np.ndarray:
    return np.full((side, side, 3), rgb, np.uint8)


def test_lab_values_are_those_of_the_standard() -> None:
    """Reference values for sRGB primaries, white and middle grey under D65."""
    rgb = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [119, 119, 119]], np.uint8)
    expected = [
        [53.24, 80.09, 67.20],
        [87.73, -86.18, 83.18],
        [32.30, 79.19, -107.86],
        [100, 0, 0],
        [0, 0, 0],
        [50, 0, 0],
    ]
    assert np.allclose(lab_of(rgb), expected, atol=0.06)


def test_dominant_colours_come_with_their_shares(colour: Extractor) -> None:
    flag = np.concatenate([plain(200, 30, 40)] * 6 + [plain(250, 250, 250)] * 3 + [plain(20, 40, 160)], axis=1)
    found = dominant(vector(colour, flag), most=len(palette()))
    assert sum(share for _, share in found) == pytest.approx(1, abs=1e-4)
    for rgb, share in (((200, 30, 40), 0.6), ((250, 250, 250), 0.3), ((20, 40, 160), 0.1)):
        wanted = lab_of(np.array([rgb], np.uint8))[0]
        near = [
            part
            for name, part in found
            if np.linalg.norm(lab_of(np.frombuffer(bytes.fromhex(name[1:]), np.uint8)[None])[0] - wanted) < 36
        ]
        assert sum(near) == pytest.approx(share, abs=0.06)


def test_near_colours_are_near_and_place_does_not_matter(colour: Extractor) -> None:
    red, rosy, green = plain(200, 30, 40), plain(214, 44, 52), plain(40, 160, 60)
    a, b, c = (vector(colour, picture) for picture in (red, rosy, green))
    assert a @ b > 0.9 * (a @ a)
    assert a @ c < 0.2 * (a @ a)
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    assert np.allclose(vector(colour, noise), vector(colour, noise[::-1, ::-1]), atol=1e-6)


def test_every_screen_colour_has_a_palette_colour_in_reach() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, 15, dtype=np.uint8)] * 3), axis=-1).reshape(-1, 3)
    distance = np.linalg.norm(lab_of(grid)[:, None] - palette()[None], axis=2).min(axis=1)
    assert distance.max() < 30
    assert np.median(distance) < 16

"""Where things are in a picture, whatever they are and whatever their colours.

Three parts, each on a grid over the picture:
- how strong the edges of each direction are, fine and coarse: the gist of Oliva and Torralba, "Modeling the Shape of
  the Scene" (2001), with steered gradients in place of its filters, at a fraction of the cost;
- what the eye is drawn to: the spectral residual of Hou and Zhang, "Saliency Detection" (2007);
- what is blank: nothing but the brightness of the border. With it the shape of the whole picture.
"""

from pathlib import Path

import numpy as np

from explorer.extractors.base import Card, Family, FeatureSpec
from explorer.extractors.preprocessing import resized

SIDE = 128
DIRECTIONS = 6
SCALES = ((128, 8), (64, 8), (32, 4))
"""(side of the picture, cells on a side of its grid), the finest first."""
GRID = 8
"""Cells on a side of the grids of what draws the eye and of what is blank."""
SALIENT_SIDE = 64
BLANK = 10.0
"""Levels of grey, of 255, within which the paper is still the paper."""
DIM = DIRECTIONS * sum(cells * cells for _, cells in SCALES) + 2 * GRID * GRID + 2
CARD = Card(
    title="Where things are",
    sees="Where there is much and where there is nothing, which way the lines run there, what draws the eye, and "
    "whether the picture is wide or tall.",
    ignores="What the things are, and colours. A mirrored picture is another one.",
    licence="Apache-2.0",
    aspect="layout",
    dim=DIM,
)
_EDGE_WEIGHT, _SALIENT_WEIGHT, _BLANK_WEIGHT, _SHAPE_WEIGHT = 1.0, 0.5, 0.7, 0.15


def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "Layout":
    return Layout()


class Layout:
    """The extractor `layout`: classical, nothing to load."""

    card = CARD
    min_side = SIDE
    batch_size = 32

    def __init__(self) -> None:
        self.spec = FeatureSpec(
            extractor="layout",
            weights="none",
            layer=f"edges in {DIRECTIONS} directions, what draws the eye, blank space, shape",
            preprocessing=f"grey, squeezed to {SIDE}",
            backend="numpy",
            precision="fp32",
            dim=DIM,
        )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (129, 128) float32: grey, 0 to 255, and a row of log2(width / height)."""
        import cv2

        grey = cv2.cvtColor(resized(rgb, SIDE, SIDE), cv2.COLOR_RGB2GRAY)
        shape = np.full((1, SIDE), np.log2(rgb.shape[1] / rgb.shape[0]), np.float32)
        return np.concatenate([grey.astype(np.float32), shape])

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 129, 128) float32 to (b, 706) float32: edges (grid by grid, then row, column, direction), what draws the
        eye (row, column), what is blank (row, column), the blank share of the whole, and the shape."""
        return np.stack([_describe(entry[:SIDE], float(entry[SIDE, 0])) for entry in batch])


def _describe(grey: np.ndarray, shape: float) -> np.ndarray:
    blank = _blank(grey)
    parts = [
        _EDGE_WEIGHT * _unit(np.concatenate([_edges(grey, side, cells).ravel() for side, cells in SCALES])),
        _SALIENT_WEIGHT * _unit(np.sqrt(_cells(_salient(grey), GRID)).ravel()),
        _BLANK_WEIGHT * np.sqrt(_cells(blank, GRID)).ravel() / GRID,
        [_BLANK_WEIGHT * blank.mean(), _SHAPE_WEIGHT * np.clip(shape, -3, 3)],
    ]
    return np.concatenate(parts).astype(np.float32)


def _edges(grey: np.ndarray, side: int, cells: int) -> np.ndarray:
    """(cells, cells, 6): square roots of the strength of edges, each shared among the directions near its own."""
    import cv2

    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    across, down = cv2.Sobel(small, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(small, cv2.CV_32F, 0, 1, scale=1 / 8)
    # not cv2.magnitude, whose last bit depends on where in memory its arrays happen to lie
    strength = np.sqrt(across * across + down * down)
    # cosine and sine of twice the angle: an edge from dark to light runs the same way as one from light to dark
    square = strength * strength + 1e-6
    cosine, sine = (across * across - down * down) / square, 2 * across * down / square
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    near = [0.5 + 0.5 * (np.cos(angle) * cosine + np.sin(angle) * sine) for angle in angles]
    return np.sqrt(np.stack([_cells(strength * each * each * each, cells) for each in near], axis=-1))


def _salient(grey: np.ndarray) -> np.ndarray:
    """(64, 64) float32, 0 to 1: what is left of the spectrum's size where its neighbourhood is taken off."""
    import cv2

    small = cv2.resize(grey, (SALIENT_SIDE, SALIENT_SIDE), interpolation=cv2.INTER_AREA)
    spectrum = np.fft.fft2(small - small.mean())
    size = np.log(np.abs(spectrum) + 1.0)
    around = cv2.copyMakeBorder(size, 1, 1, 1, 1, cv2.BORDER_WRAP)  # frequencies go round
    residual = size - cv2.blur(around, (3, 3))[1:-1, 1:-1]
    back = np.fft.ifft2(np.exp(residual) * spectrum / (np.abs(spectrum) + 1e-9))
    found = cv2.GaussianBlur((np.abs(back) ** 2).astype(np.float32), (0, 0), 2.5)
    return found / (found.max() + 1e-9)


def _blank(grey: np.ndarray) -> np.ndarray:
    """(128, 128) float32, 1 where the picture is as bright as its border and even all around."""
    import cv2

    border = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    paper = (np.abs(grey - border) <= BLANK).astype(np.float32)
    return cv2.erode(paper, np.ones((5, 5), np.uint8))


def _cells(values: np.ndarray, cells: int) -> np.ndarray:
    """The mean in each cell, a little of the neighbouring ones mixed in: what moves by a cell's part stays near."""
    import cv2

    reach = values.shape[0] // cells // 2 * 2 + 1
    smooth = cv2.blur(values, (reach, reach), borderType=cv2.BORDER_REFLECT)
    means = cv2.resize(smooth, (cells, cells), interpolation=cv2.INTER_AREA)
    return np.maximum(means, 0)  # a running sum may end a hair below


def _unit(values: np.ndarray) -> np.ndarray:
    return values / (np.linalg.norm(values) + 1e-6)


FAMILIES = (Family("layout", CARD, create, alone=True),)

"""Which colours a picture has and how much of each, as a person would compare them.

Every pixel shares itself among the nearest of a fixed palette in CIELAB (CIE 1976, D65), where distances follow what
the eye tells apart; a palette and shares is how MPEG-7 describes dominant colours (Manjunath et al., 2001). The shares
enter by their square roots, so that inner products compare distributions (the Hellinger kernel, as in Arandjelovic
and Zisserman, 2012) and one large background does not drown the rest.
"""

from functools import cache
from pathlib import Path

import numpy as np

from explorer.extractors.base import Card, Family, FeatureSpec
from explorer.extractors.preprocessing import resized

CARD = Card(
    title="Colours",
    sees="Which colours a picture has and how much of each.",
    ignores="What it shows, where the colours stand, and texture.",
    licence="Apache-2.0",
    aspect="colour",
)
SIDE = 96
SOFTNESS = 11.0
"""Width, in CIELAB units, of a palette colour's reach: about half the distance between two of them."""
_LIGHTNESS = (8.0, 27.0, 46.0, 65.0, 84.0, 98.0)
_SPACING = 24.0
_MOMENTS = 6
_MOMENT_WEIGHT = 0.5


def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "Colour":
    return Colour()


class Colour:
    """The extractor `colour`: classical, nothing to load."""

    card = CARD
    min_side = SIDE
    batch_size = 64

    def __init__(self) -> None:
        self.spec = FeatureSpec(
            extractor="colour",
            weights="none",
            layer=f"CIELAB shares over {len(palette())} colours, and moments",
            preprocessing=f"squeezed to {SIDE}",
            backend="numpy",
            precision="fp32",
            dim=len(palette()) + _MOMENTS,
        )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (96, 96, 3) uint8. Squeezing leaves the shares as they are."""
        return resized(rgb, SIDE, SIDE)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 96, 96, 3) uint8 to (b, dim) float32: square roots of the palette's shares, then mean and spread of
        lightness, mean a* and b*, mean and spread of chroma."""
        return np.stack([_describe(picture) for picture in batch])


def dominant(vector: np.ndarray, most: int = 5) -> list[tuple[str, float]]:
    """The palette colours with the largest shares in a feature row, as ("#rrggbb", share), largest first."""
    shares = vector[: len(palette())] ** 2
    best = np.argsort(-shares, kind="stable")[:most]
    return [("#" + bytes(_palette_rgb()[row]).hex(), float(shares[row])) for row in best if shares[row] > 0]


@cache
def palette() -> np.ndarray:
    """(p, 3) float64: the CIELAB colours of a regular grid that a screen can show, near enough."""
    return _palette_table()[0]


def _palette_rgb() -> np.ndarray:
    return _palette_table()[1]


@cache
def _palette_table() -> tuple[np.ndarray, np.ndarray]:
    """The palette in CIELAB and as (p, 3) uint8 sRGB: grid points within reach of a colour that sRGB has."""
    steps = np.arange(-4, 5) * _SPACING
    grid = np.array([(light, a, b) for light in _LIGHTNESS for a in steps for b in steps])
    lab = lab_of(_cube())
    nearest = np.array([int(np.argmin(np.sum((lab - point) ** 2, axis=1))) for point in grid])
    within = np.sum((lab[nearest] - grid) ** 2, axis=1) <= (0.5 * SOFTNESS) ** 2
    return grid[within], _cube()[nearest[within]]


@cache
def _cube() -> np.ndarray:
    """(32768, 3) uint8: the middles of a 32 x 32 x 32 division of sRGB, red slowest."""
    axis = (np.arange(32) * 8 + 4).astype(np.uint8)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


@cache
def _soft_assignment() -> np.ndarray:
    """(32768, p) float32: how each cell of the cube shares itself among the palette; every row sums to one."""
    distance = np.sum((lab_of(_cube())[:, None, :] - palette()[None]) ** 2, axis=2)
    weight = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / (2 * SOFTNESS**2))
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


@cache
def _cube_lab() -> np.ndarray:
    return lab_of(_cube())


def _describe(picture: np.ndarray) -> np.ndarray:
    cells = picture.reshape(-1, 3).astype(np.int32) >> 3
    counts = np.bincount((cells[:, 0] << 10) | (cells[:, 1] << 5) | cells[:, 2], minlength=32768)
    present = np.flatnonzero(counts)
    weight = counts[present] / counts.sum()
    shares = weight @ _soft_assignment()[present].astype(np.float64)
    light, a, b = _cube_lab()[present].T
    chroma = np.hypot(a, b)
    moments = [
        weight @ light,
        np.sqrt(weight @ (light - weight @ light) ** 2),
        weight @ a,
        weight @ b,
        weight @ chroma,
        np.sqrt(weight @ (chroma - weight @ chroma) ** 2),
    ]
    return np.concatenate([np.sqrt(shares), _MOMENT_WEIGHT * np.array(moments) / 100]).astype(np.float32)


def lab_of(rgb: np.ndarray) -> np.ndarray:
    """(n, 3) uint8 sRGB to (n, 3) float64 CIELAB under D65 (IEC 61966-2-1, CIE 15)."""
    encoded = rgb / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    relative = linear @ to_xyz.T / to_xyz.sum(axis=1)
    f = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


FAMILIES = (Family("colour", CARD, create, alone=True),)

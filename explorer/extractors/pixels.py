"""The picture itself, made very small: what is to be beaten by anything that claims to see.

The oldest way of comparing pictures ("tiny images": Torralba, Fergus and Freeman, 2008): two are near if the same
colours stand in the same places.
"""

from pathlib import Path

import numpy as np

from explorer.extractors.base import Card, Family, FeatureSpec
from explorer.extractors.preprocessing import resized

SIDE = 24
DIM = 3 * SIDE * SIDE
CARD = Card(
    title="The bare pixels",
    sees="Which colour stands where in the picture, made as small as a postage stamp.",
    ignores="Nothing on purpose, and so it is taken in by everything: a moved or darker picture is another one.",
    licence="Apache-2.0",
    aspect="pixels",
    dim=DIM,
)


def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "Pixels":
    return Pixels()


class Pixels:
    """The extractor `pixels`: 24 × 24 pixels of sRGB."""

    card = CARD
    min_side = SIDE
    batch_size = 64

    def __init__(self) -> None:
        self.spec = FeatureSpec(
            extractor="pixels",
            weights="none",
            layer="sRGB",
            preprocessing=f"squeezed to {SIDE}",
            backend="numpy",
            precision="fp32",
            dim=DIM,
        )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (24, 24, 3) uint8."""
        return resized(rgb, SIDE, SIDE)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 24, 24, 3) uint8 to (b, 1728) float32: red, green and blue from 0 to 1, row by row."""
        return batch.reshape(len(batch), -1).astype(np.float32) / 255


FAMILIES = (Family("pixels", CARD, create, alone=True),)

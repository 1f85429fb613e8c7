"""What is in a picture's small patches, whatever they make up together; and which patch it was.

After Brendel and Bethge, "Approximating CNNs with Bag-of-local-Features Models Works Surprisingly Well on ImageNet"
(2019), whose BagNet-33 sees 33 of 224 pixels at a time and adds up what it saw. Its weights cannot be had here, so the
patches are seen by the beginning of EfficientNet-Lite0: what each channel finds there, and what each two of them find
together (the bilinear features of Lin, RoyChowdhury and Maji, 2015). Measured with 10 labels a class on 1,100 drawings
and 1,200 emoji (folder / artwork / category): with the products .368 / .779 / .405, channels alone .326 / .752 / .374,
512 random directions with thresholds .350 / .756 / .388. The vector is the mean over the places, hence a linear score
of a picture is the mean of the scores of its places: evidence has a place.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.extractors.backends import Network, file_hash, in_full_batches
from explorer.extractors.base import Card, Family, FeatureSpec
from explorer.extractors.choice import MAIN, network_name
from explorer.extractors.early import BLOCK2, early_network
from explorer.extractors.lite import weights_path
from explorer.extractors.preprocessing import sample_pictures, whole_picture

if TYPE_CHECKING:
    import torch

SIDE = 240
"""A place sees 35 of these 240 pixels, as many of the picture as 32.7 of 224."""
STEP = 8
GRID = SIDE // STEP
DIM = BLOCK2 + BLOCK2 * (BLOCK2 + 1) // 2
BATCH = 8
_BEFORE, _AFTER = 10, 25
"""Pixels that a place sees before its own first one, and up to which (not included)."""
CARD = Card(
    title="Small details",
    sees="What is in patches of a seventh of the picture's side: eyes, leaves, corners, patterns, and how much of each "
    "there is. It can show which patch it was.",
    ignores="How the patches stand together: the same picture cut up and shuffled is nearly the same.",
    licence="Apache-2.0",
    aspect="patches",
    dim=DIM,
)


def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "Patches":
    return Patches(models_dir, exact)


class Patches:
    """The extractor `patches`: the mean of what 30 × 30 places see."""

    card = CARD
    min_side = SIDE
    batch_size = BATCH

    def __init__(self, models_dir: Path | None = None, exact: bool = False) -> None:
        self._weights = file_hash(weights_path())
        self._models_dir = models_dir
        self._pooled = self._network(MAIN, mean=True, exact=exact)
        self.spec = FeatureSpec(
            extractor="patches",
            weights=self._weights,
            layer=f"entrance of block 2 and its products, mean of {GRID}x{GRID} places",
            preprocessing=f"whole picture {SIDE}, bars in the border's colour",
            backend=self._pooled.backend,
            precision=self._pooled.precision,
            dim=DIM,
        )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (240, 240, 3) uint8."""
        return whole_picture(rgb, SIDE)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 240, 240, 3) uint8, b <= 8, to (b, 860) float32: the means of the 40 channels, then of their products."""
        return in_full_batches(self._pooled, batch, BATCH)

    def places(self, batch: np.ndarray) -> np.ndarray:
        """(b, 240, 240, 3) uint8, b <= 8, to (b, 30, 30, 860) float32: what each place, row by row, adds to the vector,
        which is their mean up to rounding. `window` tells what of the input a place sees."""
        return in_full_batches(self._unpooled, batch, BATCH)

    @cached_property
    def _unpooled(self) -> Network:
        return self._network("places-b8", mean=False, exact=self._pooled.precision == "fp32")

    def _network(self, part: str, mean: bool, exact: bool) -> Network:
        example = np.stack([self.prepare(picture) for picture in sample_pictures(BATCH)])
        name = network_name("patches", part)
        return early_network(name, self._weights, lambda: _products(mean), example, self._models_dir, exact)


def window(row: int, column: int) -> tuple[slice, slice]:
    """The rows and columns of the (240, 240) input that a place sees: 35 each, fewer at the edges."""
    top, left = (slice(max(0, STEP * at - _BEFORE), min(SIDE, STEP * at + _AFTER)) for at in (row, column))
    return top, left


def _products(mean: bool) -> "torch.nn.Module":
    """(b, 40, 30, 30) maps to (b, 860), or (b, 30, 30, 860) without the mean over the places."""
    import torch

    class Products(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            row, column = torch.triu_indices(BLOCK2, BLOCK2)
            self.register_buffer("row", row)
            self.register_buffer("column", column)

        def forward(self, first: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
            if mean:
                flat = maps.flatten(2)
                products = (flat @ flat.transpose(1, 2)).flatten(1)[:, self.row * BLOCK2 + self.column]
                return torch.cat([flat.mean(dim=2), products * (1.0 / GRID**2)], dim=1)
            return torch.cat([maps, maps[:, self.row] * maps[:, self.column]], dim=1).permute(0, 2, 3, 1)

    return Products()


FAMILIES = (Family("patches", CARD, create, alone=True),)

"""A network's layers: what each block has made of a picture, pooled, all from one forward pass.

That a layer in the middle often tells more than the last one is the finding of Donahue et al., "DeCAF" (2014), and of
Razavian et al., "CNN Features off-the-shelf" (2014). Each channel gives its mean over the picture and how much it
varies within it. Measured with Lite0 at ten labels a class (mean alone / mean and deviation / mean and maximum), on
1,470 drawings and on the categories and styles of 1,500 emoji: block 0 .17/.24/.24, .25/.31/.33, .43/.48/.69; block 3
.37/.39/.35, .41/.43/.42, .74/.75/.76; block 6 .51/.52/.51, .52/.53/.52.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import BadInput
from explorer.extractors.backends import Network, in_full_batches
from explorer.extractors.base import Card, FeatureSpec

if TYPE_CHECKING:
    import torch

POOLED = "mean and deviation over the picture"


@dataclass(frozen=True)
class Tower:
    """A network that gives several layers side by side: (b, ...) inputs to (b, sum of the widths) float32."""

    network: Network
    widths: dict[str, int]
    """Layer to its numbers, in the order in which they stand."""
    batch_size: int

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """(b, ...), 1 <= b <= batch_size, to (b, width) float32 of each layer."""
        rows = in_full_batches(self.network, batch, self.batch_size)
        ends = np.cumsum(list(self.widths.values()))
        return dict(zip(self.widths, np.split(rows, ends[:-1], axis=1), strict=True))


class LayerExtractor:
    """One layer of a tower, as an extractor."""

    def __init__(
        self, card: Card, spec: FeatureSpec, tower: Tower, prepare: Callable[[np.ndarray], np.ndarray], min_side: int
    ) -> None:
        self.card = replace(card, dim=spec.dim)
        self.spec = spec
        self.min_side = min_side
        self.batch_size = tower.batch_size
        name = spec.extractor.removesuffix(f"@{spec.layer}")
        self.network = f"{name} | {spec.weights} | {spec.preprocessing} | {spec.backend} | {spec.precision}"
        self._tower, self._prepare = tower, prepare

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to the network's input."""
        return self._prepare(rgb)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, ...), 1 <= b <= batch_size, to (b, dim) float32."""
        return self._tower(batch)[self.spec.layer]

    def compute_layers(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """As `compute`, for every layer of the network."""
        return self._tower(batch)


def layer_words(count: int) -> tuple[tuple[str, str], ...]:
    """(layer, plain words) of a network with `count` blocks, the earliest first."""
    kinds = ("early: texture and edges", "middle: patterns and parts", "late: objects")
    return tuple((f"block{row}", f"{kinds[3 * row // count]}, layer {row + 1} of {count}") for row in range(count))


def checked_layer(name: str, layer: str, layers: Sequence[str]) -> str:
    """The layer itself. Raises BadInput naming those there are."""
    if layer not in layers:
        there = f"It has {layers[0]} (early) to {layers[-1]} (late)." if layers else "Its layers cannot be looked into."
        raise BadInput(f"'{name}' has no layer '{layer}'. {there}")
    return layer


def pooled(maps: "torch.Tensor") -> "torch.Tensor":
    """(b, c, h, w) to (b, 2c): the mean of each channel, then its deviation."""
    mean = maps.mean((2, 3), keepdim=True)
    deviation = (maps - mean).square().mean((2, 3)).sqrt()
    import torch

    return torch.cat([mean.flatten(1), deviation], dim=1)

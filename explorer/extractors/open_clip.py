"""Networks that read pictures and text into the same vectors: CLIP and its kin, through the package open_clip.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021); Ilharco et al.,
OpenCLIP (2021). Any architecture that open_clip knows, with one of its published weights ("open_clip:ViT-B-32/
laion2b_s34b_b79k") or a checkpoint on this machine ("open_clip:ViT-B-32//models/mine.safetensors").
"""

import difflib
import os
import socket
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from explorer.errors import BadInput, Missing
from explorer.extractors.backends import TorchNetwork, file_hash, in_full_batches
from explorer.extractors.base import Card, Family, FeatureSpec

if TYPE_CHECKING:
    import torch

CARD = Card(
    title="What it shows, and text",
    sees="Things, scenes, styles and written words, as people describe pictures on the web; text finds pictures.",
    ignores="Fine detail and exact colours; pictures of a kind that the web rarely describes.",
    licence="Each set of weights has its own: see its page.",
    needs_download=True,
)
BATCH = 8
_TEXTS_AT_ONCE = 64


def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "OpenClip":
    architecture, _, pretrained = argument.partition("/")
    if not architecture or not pretrained:
        raise BadInput(
            f"'open_clip:{argument}' names no network: write open_clip:ARCH/PRETRAINED, for example "
            "open_clip:ViT-B-32/laion2b_s34b_b79k or open_clip:ViT-B-32//folder/checkpoint.safetensors."
        )
    return OpenClip(architecture, pretrained)


class OpenClip:
    """One open_clip network; single precision in PyTorch, prepared as its weights were trained."""

    card = CARD
    batch_size = BATCH

    def __init__(self, architecture: str, pretrained: str) -> None:
        package = _package()
        path, settings = _checkpoint(package, architecture, pretrained)
        self._model = _build(package, architecture, path, settings)
        self._architecture = architecture
        config = self._model.visual.preprocess_cfg
        size = config["size"]
        self.min_side = min(size) if isinstance(size, tuple | list) else int(size)
        self._transform = package.transform.image_transform_v2(
            package.transform.PreprocessCfg(**config), is_train=False
        )
        self._network = TorchNetwork(_image_side(self._model))
        shape = self.prepare(np.zeros((self.min_side, self.min_side, 3), np.uint8)).shape
        self.spec = FeatureSpec(
            extractor=f"open_clip:{architecture}/{pretrained}",
            weights=file_hash(path),
            layer="image",
            preprocessing=" ".join(f"{name}={config[name]}" for name in sorted(config)),
            backend=self._network.backend,
            precision=self._network.precision,
            dim=self._network(np.zeros((BATCH, *shape), np.float32)).shape[1],
        )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (3, side, side) float32, with the resizing and cropping of the weights' training."""
        from PIL import Image

        return self._transform(Image.fromarray(rgb)).numpy()

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 3, side, side) float32, b <= 8, to (b, dim) float32."""
        return in_full_batches(self._network, batch, BATCH)

    def encode_text(self, texts: list[str]) -> np.ndarray:
        """(n, dim) float32 in the space of the pictures. Raises Missing where the tokenizer needs another package."""
        import torch

        try:
            tokenize = _package().get_tokenizer(self._architecture)
        except (ImportError, OSError, TypeError) as error:
            raise Missing(
                f"Text for '{self._architecture}' needs a tokenizer that is not here ({error}): pip install "
                "transformers sentencepiece, and connect to the internet for its first use."
            ) from error
        device = self._network.device
        rows = [np.zeros((0, self.spec.dim), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(texts), _TEXTS_AT_ONCE):
                tokens = tokenize(texts[start : start + _TEXTS_AT_ONCE]).to(device)
                rows.append(self._model.encode_text(tokens).float().cpu().numpy())
        return np.concatenate(rows)


def _package() -> ModuleType:
    try:
        import open_clip
    except ImportError as error:
        raise Missing(f"open_clip cannot be loaded ({error}): pip install open_clip_torch torch torchvision") from error
    return open_clip


def _checkpoint(package: ModuleType, architecture: str, pretrained: str) -> tuple[Path, dict[str, Any]]:
    """The file of the weights and, for published ones, how they were trained."""
    if architecture not in package.list_models():
        near = difflib.get_close_matches(architecture, package.list_models(), n=4, cutoff=0.3)
        raise BadInput(f"open_clip has no network '{architecture}'. Near it are: {', '.join(near)}.")
    settings: dict[str, Any] = package.get_pretrained_cfg(architecture, pretrained) or {}
    if settings:
        return _published(package, architecture, pretrained, settings), settings
    path = Path(pretrained).expanduser()
    if path.is_file():
        return path, {}
    if path.suffix or "/" in pretrained:
        raise Missing(f"There is no checkpoint {pretrained} on this machine: check the path after the first '/'.")
    tags = ", ".join(package.list_pretrained_tags_by_model(architecture)) or "none: give the path of a checkpoint"
    raise BadInput(f"'{pretrained}' is neither a file nor published weights of '{architecture}'. Published: {tags}.")


def _published(package: ModuleType, architecture: str, tag: str, settings: dict[str, Any]) -> Path:
    """The downloaded file of published weights; nothing is asked of the network once it is there."""
    cached = _cached(settings)
    if cached:
        return cached
    way_out = (
        "Connect this machine to the internet once, or download the file elsewhere and name it: "
        f"open_clip:{architecture}//folder/checkpoint.safetensors. 'lite0' needs no download."
    )
    host = _host(settings)
    if not _reachable(host):
        raise Missing(f"The weights '{tag}' of '{architecture}' are not here and {host} is out of reach. {way_out}")
    try:
        return Path(package.download_pretrained(settings))
    except (OSError, RuntimeError, ValueError) as error:
        raise Missing(f"The weights '{tag}' of '{architecture}' could not be downloaded: {error}. {way_out}") from error


def _cached(settings: dict[str, Any]) -> Path | None:
    if not settings.get("hf_hub"):
        return None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, name = os.path.split(settings["hf_hub"])
    name = name or "open_clip_pytorch_model.bin"
    for candidate in (os.path.splitext(name)[0] + ".safetensors", name):
        try:
            return Path(hf_hub_download(repo_id=repository, filename=candidate, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
    return None


def _host(settings: dict[str, Any]) -> str:
    from huggingface_hub import constants

    return urlsplit(constants.ENDPOINT if settings.get("hf_hub") else settings["url"]).hostname or "the host"


def _reachable(host: str) -> bool:
    """Whether a download can start: the packages themselves try for most of a minute before they give up."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return False
    if urllib.request.getproxies():  # then the proxy looks the host up, and only it can say
        return True
    try:
        socket.create_connection((host, 443), timeout=5).close()
    except OSError:
        return False
    return True


def _build(package: ModuleType, architecture: str, path: Path, settings: dict[str, Any]) -> Any:
    trained_as = {name: settings[name] for name in ("mean", "std", "interpolation", "resize_mode") if name in settings}
    try:
        model = package.create_model(
            architecture,
            pretrained=str(path),
            force_quick_gelu=bool(settings.get("quick_gelu")),
            force_preprocess_cfg=trained_as,
            weights_only=True,
        )
    except ImportError as error:
        raise Missing(f"'{architecture}' needs another package ({error}): pip install transformers") from error
    except Exception as error:  # torch, safetensors and pickle each raise their own for a file that is not weights
        raise BadInput(f"{path.name} does not hold weights of '{architecture}': {error}") from error
    return model.eval()


def _image_side(model: Any) -> "torch.nn.Module":
    import torch

    class ImageSide(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return self.model.encode_image(batch)

    return ImageSide()


FAMILIES = (Family("open_clip", CARD, create, written="open_clip:ARCH/PRETRAINED"),)

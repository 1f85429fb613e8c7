"""Networks that read pictures and text into the same vectors: CLIP and its kin, through the package open_clip.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021); Ilharco et al.,
OpenCLIP (2021). Any architecture that open_clip knows, with one of its published weights ("open_clip:ViT-B-32/laion2b_
s34b_b79k") or a checkpoint on this machine ("open_clip:ViT-B-32//models/mine.safetensors"), and any repository of the
Hugging Face hub that open_clip can read ("open_clip:hf-hub:OWNER/NAME"), remote sensing among them. "@block0" and so on
are the layers of the image side.
"""

import difflib
import functools
import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from explorer.errors import BadInput, Missing
from explorer.extractors import hub
from explorer.extractors.backends import file_hash, torch_device
from explorer.extractors.base import Card, Extractor, Family, FeatureSpec
from explorer.extractors.choice import MAIN, best_network, network_name
from explorer.extractors.layers import POOLED, LayerExtractor, Tower, checked_layer, pooled
from explorer.extractors.preprocessing import sample_pictures

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
_END = "image"
_HUB = "hf-hub:"
_TEXTS_AT_ONCE = 64
_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)
"""In the order in which open_clip itself prefers them."""


def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> Extractor:
    architecture, _, pretrained = argument.partition("/")
    if not architecture or not pretrained:
        raise BadInput(
            f"'open_clip:{argument}' names no network: write open_clip:ARCH/PRETRAINED, for example "
            "open_clip:ViT-B-32/laion2b_s34b_b79k, open_clip:ViT-B-32//folder/checkpoint.safetensors or "
            "open_clip:hf-hub:OWNER/NAME."
        )
    loaded = _loaded(argument, models_dir, exact)
    if layer:
        checked_layer(f"open_clip:{argument}", layer, [each for each in loaded.tower.widths if each != _END])
        return LayerExtractor(CARD, _spec(loaded, argument, layer), loaded.tower, loaded.prepare, loaded.min_side)
    return OpenClip(loaded, argument)


class _Loaded:
    """A network that is ready, both sides; `name` is how open_clip finds its tokenizer."""

    def __init__(self, argument: str, models_dir: Path | None, exact: bool) -> None:
        package = _package()
        self.name, path, self.model = _built(package, argument)
        config = self.model.visual.preprocess_cfg
        size = config["size"]
        self.min_side = min(size) if isinstance(size, tuple | list) else int(size)
        self._transform = package.transform.image_transform_v2(
            package.transform.PreprocessCfg(**config), is_train=False
        )
        self.weights = file_hash(path)
        settings = " ".join(f"{name}={config[name]}" for name in sorted(config))
        self.preprocessing = f"{settings}; layers: {POOLED}"
        example = np.stack([self.prepare(picture) for picture in sample_pictures(BATCH)])
        module, widths = _image_side(self.model, example)
        name = network_name(f"open_clip:{argument}", MAIN)
        parts = list(widths.values())
        network = best_network(name, self.weights, lambda: module, example, models_dir, exact, parts)
        self.tower = Tower(network, widths, BATCH)

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (3, side, side) float32, with the resizing and cropping of the weights' training."""
        from PIL import Image

        return self._transform(Image.fromarray(rgb)).numpy()


_loaded = functools.lru_cache(maxsize=1)(_Loaded)
"""Kept, because its layers are loaded one by one."""


def _spec(loaded: _Loaded, argument: str, layer: str) -> FeatureSpec:
    return FeatureSpec(
        extractor=f"open_clip:{argument}" + (f"@{layer}" if layer != _END else ""),
        weights=loaded.weights,
        layer=layer,
        preprocessing=loaded.preprocessing,
        backend=loaded.tower.network.backend,
        precision=loaded.tower.network.precision,
        dim=loaded.tower.widths[layer],
    )


class OpenClip(LayerExtractor):
    """One open_clip network, prepared as its weights were trained; it also reads text."""

    def __init__(self, loaded: _Loaded, argument: str) -> None:
        super().__init__(CARD, _spec(loaded, argument, _END), loaded.tower, loaded.prepare, loaded.min_side)
        self._loaded = loaded

    def encode_text(self, texts: list[str]) -> np.ndarray:
        """(n, dim) float32 in the space of the pictures. Raises Missing where the tokenizer needs another package."""
        import torch

        try:
            tokenize = _package().get_tokenizer(self._loaded.name)
        except (ImportError, OSError, TypeError) as error:
            raise Missing(
                f"Text for '{self._loaded.name}' needs a tokenizer that is not here ({error}): pip install "
                "transformers sentencepiece, and connect to the internet for its first use."
            ) from error
        device = torch_device()
        model = self._loaded.model.to(device)
        rows = [np.zeros((0, self.spec.dim), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(texts), _TEXTS_AT_ONCE):
                tokens = tokenize(texts[start : start + _TEXTS_AT_ONCE]).to(device)
                rows.append(model.encode_text(tokens).float().cpu().numpy())
        return np.concatenate(rows)


def _package() -> ModuleType:
    try:
        import open_clip
    except ImportError as error:
        raise Missing(f"open_clip cannot be loaded ({error}): pip install open_clip_torch torch torchvision") from error
    return open_clip


def _built(package: ModuleType, argument: str) -> tuple[str, Path, Any]:
    """The name under which open_clip finds the tokenizer, the file of the weights, and the network."""
    if argument.startswith(_HUB):
        repository = argument.removeprefix(_HUB)
        what, way_out = f"The files of 'open_clip:{argument}'", _way_out("ARCH")
        config = hub.fetch(repository, ("open_clip_config.json",), what, way_out)
        path = hub.fetch(repository, _WEIGHTS, what, way_out, revision=config.parent.name)
        return argument, path, _build(package, f"local-dir:{config.parent}", path, {})
    architecture, _, pretrained = argument.partition("/")
    path, settings = _checkpoint(package, architecture, pretrained)
    return architecture, path, _build(package, architecture, path, settings)


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
    """The file of published weights."""
    what, way_out = f"The weights '{tag}' of '{architecture}'", _way_out(architecture)
    if settings.get("hf_hub"):
        repository, name = os.path.split(settings["hf_hub"])
        name = name or "open_clip_pytorch_model.bin"
        return hub.fetch(repository, (os.path.splitext(name)[0] + ".safetensors", name), what, way_out)
    hub.require(urlsplit(settings["url"]).hostname or "the host", what, way_out)
    try:
        return Path(package.download_pretrained(settings))
    except (OSError, RuntimeError, ValueError) as error:
        raise Missing(f"{what} could not be downloaded: {error}. {way_out}") from error


def _way_out(architecture: str) -> str:
    return (
        "Connect this machine to the internet once, or download the file elsewhere and name it: "
        f"open_clip:{architecture}//folder/checkpoint.safetensors. 'lite0' needs no download."
    )


def _build(package: ModuleType, architecture: str, path: Path, settings: dict[str, Any]) -> Any:
    trained_as = {name: settings[name] for name in ("mean", "std", "interpolation", "resize_mode") if name in settings}
    try:
        model = package.create_model(
            architecture,
            pretrained=None if architecture.startswith("local-dir:") else str(path),
            force_quick_gelu=bool(settings.get("quick_gelu")),
            force_preprocess_cfg=trained_as,
            weights_only=True,
        )
    except ImportError as error:
        raise Missing(f"'{architecture}' needs another package ({error}): pip install transformers") from error
    except Exception as error:  # torch, safetensors and pickle each raise their own for a file that is not weights
        raise BadInput(f"{path.name} does not hold weights of '{architecture}': {error}") from error
    return model.eval()


def _image_side(model: Any, example: np.ndarray) -> tuple["torch.nn.Module", dict[str, int]]:
    """(b, 3, side, side) float32 to the picture's vector and each layer side by side, and their widths. A tower that
    cannot be looked into has no layers."""
    import torch

    class ImageSide(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def parts(self, batch: torch.Tensor) -> list[torch.Tensor]:
            if not hasattr(self.model.visual, "forward_intermediates"):
                return [self.model.encode_image(batch)]
            seen = self.model.visual.forward_intermediates(batch)
            return [seen["image_features"], *map(pooled, seen["image_intermediates"])]

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return torch.cat(self.parts(batch), dim=1)

    module = ImageSide().eval()
    with torch.inference_mode():
        parts = module.parts(torch.from_numpy(example[:1]))
    names = [_END, *(f"block{place}" for place in range(len(parts) - 1))]
    return module, {name: part.shape[1] for name, part in zip(names, parts, strict=True)}


FAMILIES = (Family("open_clip", CARD, create, written="open_clip:ARCH/PRETRAINED"),)

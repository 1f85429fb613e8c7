"""Any picture network of the package timm, by name or from a checkpoint: what it shows, at the end or at any layer.

Wightman, "PyTorch Image Models" (2019). "timm:resnet50.a1_in1k" has published weights, "timm:hf-hub:OWNER/NAME" those
of a repository of the Hugging Face hub (remote sensing among them), "timm:ARCH//folder/mine.safetensors" someone's
fine-tuned ones: the number of their classes does not matter, because what names the classes is left off.
"""

import difflib
import functools
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from explorer.errors import BadInput, Missing
from explorer.extractors import hub
from explorer.extractors.backends import tensors_hash
from explorer.extractors.base import Card, Extractor, Family, FeatureSpec
from explorer.extractors.choice import MAIN, best_network, network_name
from explorer.extractors.layers import POOLED, LayerExtractor, Tower, checked_layer, pooled
from explorer.extractors.preprocessing import sample_pictures, whole_picture

if TYPE_CHECKING:
    import torch

CARD = Card(
    title="What it shows, a network by name",
    sees="What the network was trained to tell apart: see the page of its weights.",
    ignores="What made no difference in its training.",
    licence="Each set of weights has its own: see its page.",
    needs_download=True,
)
BATCH = 8
_HUB = "hf-hub:"
_END = "pooled"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_WRAPPERS = ("", "model.", "backbone.", "encoder.", "network.", "net.", "trunk.", "visual.trunk.")
"""What a checkpoint's names may begin with where the network was a part of something larger when it was saved."""
_SHOWN = 5


def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> Extractor:
    if not argument:
        raise BadInput(
            "'timm' needs a network: write timm:NAME (for example timm:resnet50.a1_in1k), timm:hf-hub:OWNER/NAME or "
            "timm:ARCH//folder/checkpoint.safetensors."
        )
    tower, weights, side, preprocessing = _tower(argument, models_dir, exact)
    wanted = layer or _END
    if layer:
        checked_layer(f"timm:{argument}", layer, [each for each in tower.widths if each != _END])
    spec = FeatureSpec(
        extractor=f"timm:{argument}" + (f"@{layer}" if layer else ""),
        weights=weights,
        layer=wanted,
        preprocessing=preprocessing,
        backend=tower.network.backend,
        precision=tower.network.precision,
        dim=tower.widths[wanted],
    )
    return LayerExtractor(CARD, spec, tower, functools.partial(whole_picture, side=side), side)


@functools.lru_cache(maxsize=2)
def _tower(argument: str, models_dir: Path | None, exact: bool) -> tuple[Tower, str, int, str]:
    """The network with all its layers, the hash of its weights, the side of its pictures and how they are prepared;
    kept, because its layers are loaded one by one."""
    package = _package()
    network = _loaded(package, argument).eval()
    config = package.data.resolve_data_config({}, model=network)
    channels, height, width = config["input_size"]
    if channels != 3 or height != width:
        raise BadInput(
            f"'timm:{argument}' reads pictures of {channels} channels, {width} by {height}; only squares of three "
            "channels can be given to it."
        )
    module, widths = _with_layers(network, height, config["mean"], config["std"])
    weights = tensors_hash(network)
    # the whole picture, where most networks were trained on the middle: see whole_picture for what that gains
    numbers = " ".join(f"{name}={','.join(f'{value:.4g}' for value in config[name])}" for name in ("mean", "std"))
    preprocessing = f"whole picture {height}, bars in the border's colour; {numbers}; layers: {POOLED}"
    example = np.stack([whole_picture(picture, height) for picture in sample_pictures(BATCH)])
    name = network_name(f"timm:{argument}", MAIN)
    made = best_network(name, weights, lambda: module, example, models_dir, exact, list(widths.values()))
    return Tower(made, widths, BATCH), weights, height, preprocessing


def _package() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise Missing(f"timm cannot be loaded ({error}): pip install timm torch torchvision") from error
    return timm


def _loaded(package: ModuleType, argument: str) -> "torch.nn.Module":
    """The network without its classes, with its weights."""
    if argument.startswith(_HUB):
        return _from_repository(package, argument.removeprefix(_HUB))
    architecture, _, path = argument.partition("/")
    if not package.is_model(architecture):
        near = difflib.get_close_matches(architecture, package.list_models(pretrained=True), n=4, cutoff=0.3)
        raise BadInput(f"timm has no network '{architecture}'. Near it are: {', '.join(near) or 'none'}.")
    try:
        config = package.get_pretrained_cfg(architecture)
    except RuntimeError:  # the network is known, what follows the dot is not
        config = None
    if config is not None and "/" in argument:
        return _from_file(package, architecture, path)
    if config is None or not (config.hf_hub_id or config.url):
        base = architecture.partition(".")[0]
        tags = package.list_pretrained(f"{base}.*")[:_SHOWN]
        raise BadInput(
            f"timm has no published weights of '{architecture}'. "
            + (f"It has: {', '.join(tags)}." if tags else f"Give a checkpoint: timm:{base}//folder/checkpoint.pth.")
        )
    return _published(package, architecture, config)


def _published(package: ModuleType, name: str, config: Any) -> "torch.nn.Module":
    what = f"The weights of 'timm:{name}'"
    overlay = {}
    if config.hf_hub_id and not config.custom_load:
        repository, _, revision = config.hf_hub_id.partition("@")
        names = (config.hf_hub_filename,) if config.hf_hub_filename else _WEIGHTS
        overlay["file"] = str(hub.fetch(repository, names, what, _way_out(name), revision or None))
    else:
        hub.require(urlsplit(config.url or "").hostname or "huggingface.co", what, _way_out(name))
    try:
        return package.create_model(name, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay)
    except Exception as error:  # downloads, torch, safetensors and pickle each raise their own
        raise Missing(f"{what} could not be loaded: {error}. {_way_out(name)}") from error


def _way_out(name: str) -> str:
    return (
        "Connect this machine to the internet once, or download the file elsewhere and name it: "
        f"timm:{name}//folder/checkpoint.safetensors. 'lite0' needs no download."
    )


def _from_repository(package: ModuleType, repository: str) -> "torch.nn.Module":
    what, way_out = f"The files of 'timm:{_HUB}{repository}'", _way_out("ARCH")
    folder = hub.fetch(repository, ("config.json",), what, way_out).parent
    hub.fetch(repository, _WEIGHTS, what, way_out, revision=folder.name)
    try:
        return package.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0)
    except Exception as error:  # a repository of something else, or of an architecture that timm has not
        raise BadInput(f"'{repository}' does not hold a network of timm: {error}") from error


def _from_file(package: ModuleType, architecture: str, path: str) -> "torch.nn.Module":
    """Someone's own weights; what belongs to the classes is left off."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise Missing(f"There is no checkpoint {path or 'named'} on this machine: check what follows the first '/'.")
    network = package.create_model(architecture, pretrained=False, num_classes=0)
    try:
        tensors = package.models.load_state_dict(str(file), weights_only=True)
    except Exception as error:  # torch, safetensors and pickle each raise their own for a file that is not weights
        raise BadInput(f"{file.name} does not hold weights of '{architecture}': {error}") from error
    ours = network.state_dict()
    wrapped = max(_WRAPPERS, key=lambda start: sum(f"{start}{name}" in tensors for name in ours))
    theirs = {name.removeprefix(wrapped): tensor for name, tensor in tensors.items() if name.startswith(wrapped)}
    heads = network.pretrained_cfg.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    left = {name for name in theirs if name not in ours and name.startswith(tuple(f"{head}." for head in heads))}
    problems = [
        ("it lacks", [name for name in ours if name not in theirs]),
        ("it has besides", [name for name in theirs if name not in ours and name not in left]),
        ("other shapes", [name for name in ours if name in theirs and _shape(theirs[name]) != _shape(ours[name])]),
    ]
    found = [f"{words}: {_some(names)}" for words, names in problems if names]
    if found:
        raise BadInput(f"{file.name} does not hold weights of '{architecture}'; {'; '.join(found)}.")
    network.load_state_dict({name: theirs[name] for name in ours})
    return network


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if hasattr(value, "shape") else None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _with_layers(
    network: Any, side: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple["torch.nn.Module", dict[str, int]]:
    """(b, side, side, 3) uint8 to the end of the network and each of its layers side by side, and their widths."""
    import torch

    class WithLayers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.register_buffer("mean", 255 * torch.tensor(mean).reshape(3, 1, 1), persistent=False)
            self.register_buffer("std", 255 * torch.tensor(std).reshape(3, 1, 1), persistent=False)

        def parts(self, batch: torch.Tensor) -> list[torch.Tensor]:
            scaled = (batch.permute(0, 3, 1, 2).float() - self.mean) / self.std
            if not hasattr(self.network, "forward_intermediates"):
                return [self.network.forward_head(self.network.forward_features(scaled), pre_logits=True)]
            last, maps = self.network.forward_intermediates(scaled)
            return [self.network.forward_head(last, pre_logits=True), *map(pooled, maps)]

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return torch.cat(self.parts(batch), dim=1)

    module = WithLayers().eval()
    with torch.inference_mode():
        parts = module.parts(torch.zeros(1, side, side, 3, dtype=torch.uint8))
    names = [_END, *(f"block{place}" for place in range(len(parts) - 1))]
    return module, {name: part.shape[1] for name, part in zip(names, parts, strict=True)}


FAMILIES = (Family("timm", CARD, create, written="timm:NAME"),)

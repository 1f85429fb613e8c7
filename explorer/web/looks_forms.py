"""Ways of looking that something must be written for: networks by name, files of one's own, columns, layers."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.sharing.access import allowed_path
from explorer.workspace import allowed_roots

FILES = {
    "onnx": "The file of the network (.onnx)",
    "vectors": "The file of the vectors (.npy, .npz or .parquet)",
}
"""Families that are given one file, and what it is called on the screen."""
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "onnx": (
        "Settings (optional)",
        {
            "key": "form-onnx-settings",
            "placeholder": "for example: size=224&mean=0.5,0.5,0.5&std=0.5,0.5,0.5",
            "help": "How its pictures were prepared in training; if nothing is said, as for ImageNet.",
        },
    )
}
"""What more can be said of a file: the field's label, and the rest of the field."""
ARCHITECTURES = {"timm": "for example: resnet50.a1_in1k", "open_clip": "for example: ViT-B-32"}
"""Families that are given the name of an architecture, and perhaps a checkpoint."""
_HUB = "hf-hub:"
UNTRIED = ("columns", "vectors")
"""What comes from a table needs no trial: it is there at once."""


def names_of(family: str, dataset: Dataset) -> list[str]:
    """The form of a family that something must be written after, and the names of extractors that it makes: none while
    it is not filled in, several where layers are named. Raises BadInput and Refused for what cannot be used."""
    if family == "columns":
        chosen = st.multiselect("Columns of your table", dataset.columns(), key="form-columns", placeholder="Choose")
        return [f"columns:{','.join(chosen)}"] if chosen else []
    if family in FILES:
        label = FILES[family]
        path = st.text_input(label, key=f"form-{family}", help=_below())
        settings = st.text_input(SETTINGS[family][0], **SETTINGS[family][1]) if family in SETTINGS else ""
        return [f"{family}:{_file(path, settings.strip(), label)}"] if path.strip() else []
    if family in ARCHITECTURES:
        return _network(family)
    argument = st.text_input("What follows its name", key=f"form-{family}")
    return [f"{family}:{checked(argument)}"] if argument.strip() else []


def _file(path: str, settings: str, label: str) -> str:
    found = str(allowed_path(path))
    if "?" in found or "@" in found:
        raise BadInput(f"{label}: its path may hold neither ? nor @; rename it.")
    if not re.fullmatch(r"[\w=&.,-]*", settings):
        raise BadInput(f"“{settings}” are no settings: write them as size=224&mean=0.5,0.5,0.5&std=0.5,0.5,0.5.")
    return f"{found}?{settings}" if settings else found


def _network(family: str) -> list[str]:
    left, middle, right = st.columns([5, 5, 4])
    name = left.text_input(
        "Name of the network", key=f"form-{family}", placeholder=ARCHITECTURES[family],
        help=f"Any name that the package {family} knows, or hf-hub:OWNER/NAME for one on the Hugging Face hub. "
        "Published weights are downloaded when it is first used.",
    ).strip()  # fmt: skip
    label = "Its weights" if family == "open_clip" else "Own weights (optional)"
    more = "The name of published weights, or a file: " if family == "open_clip" else ""
    weights = middle.text_input(
        label, key=f"form-{family}-file", placeholder="for example: openai" if more else "/…/mine.safetensors",
        help=f"{more}the weights of such a network that was trained further, on pictures of yours. {_below()}",
    ).strip()  # fmt: skip
    layers = right.text_input(
        "Layers (optional)", key=f"form-{family}-layers", placeholder="block0, block2",
        help="Early ones see texture and edges, late ones things. Without any: its last one.",
    )  # fmt: skip
    wanted = [layer for layer in re.split(r"[,\s@]+", layers) if layer]
    if any(not re.fullmatch(r"[a-z0-9_]+", layer) for layer in wanted):
        raise BadInput(f"“{layers.strip()}” are no layers: write them as block0, block2.")
    if not name:
        return []
    full = f"{family}:{checked(name)}"
    if weights:
        full += f"/{weights_of(weights)}"
    elif family == "open_clip" and not name.startswith(_HUB):
        return []
    return [f"{full}@{layer}" for layer in wanted] or [full]


def weights_of(text: str) -> str:
    """The name of published weights as it stands; a file only below the allowed folders."""
    looks_like_a_file = "/" in text or "\\" in text or text.startswith("~") or Path(text).suffix or Path(text).exists()
    return str(allowed_path(text)) if looks_like_a_file else text


def checked(text: str) -> str:
    """A name that somebody typed, which may name no file of this computer: those have a field of their own, where the
    folders are checked. Raises BadInput."""
    name = text.strip()
    rest = name.removeprefix(_HUB)
    slashes = 1 if name.startswith(_HUB) else 0
    if not re.fullmatch(r"[\w.:-]+(/[\w.-]+)?", rest) or rest.count("/") != slashes or ".." in rest or "-dir:" in rest:
        raise BadInput(f"“{name}” is not a name. A file of your own goes into the field beside it.")
    if Path(name).exists():
        raise BadInput(f"“{name}” is a file here and not a name. It goes into the field beside it.")
    return name


def chosen_layers(layers: Sequence[tuple[str, str]], key: str) -> list[str]:
    """Some layers of a network, the earliest first."""
    words = dict(layers)
    chosen = st.multiselect(
        "Layers, the earliest first", list(words), format_func=lambda layer: words[layer], key=f"layers-{key}",
        placeholder="Choose some; they are computed in one pass",
    )  # fmt: skip
    return [layer for layer in words if layer in chosen]


def _below() -> str:
    return "On this computer, below " + ", ".join(str(root) for root in allowed_roots())

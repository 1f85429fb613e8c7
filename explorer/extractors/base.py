"""What an extractor is: a frozen function from one picture to one vector, with an identity."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class FeatureSpec:
    """The identity of a feature. Two rows may be compared only if all of this is the same."""

    extractor: str
    weights: str
    """Hash of the weights' bytes; "none" for a classical extractor."""
    layer: str
    preprocessing: str
    backend: str
    precision: str
    dim: int
    rows: str = "content"
    """What a row belongs to: "content", the same pixels, the same row; or "item", where it tells what the user's own
    table says of an item, which no pixel shows."""

    @property
    def key(self) -> str:
        """Folder name of the feature: the extractor's name made safe, and a hash of everything above."""
        identity = asdict(self)
        if self.rows == "content":
            del identity["rows"]
        digest = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=6).hexdigest()
        safe = "".join(c if c.isascii() and c.isalnum() else "-" for c in self.extractor.lower())[:40].strip("-")
        return f"{safe}-{digest}"


@dataclass(frozen=True)
class Card:
    """What a person reads before choosing an extractor."""

    title: str
    sees: str
    ignores: str
    licence: str
    needs_download: bool = False
    aspect: str = "content"
    """One of ASPECTS: what kind of question it is made for."""
    dim: int = 0
    """Numbers in a row, where it is known before the extractor is loaded; else 0."""


ASPECTS = {
    "content": "What it shows",
    "style": "How it is made",
    "colour": "Colours",
    "layout": "Where things are",
    "patches": "Small details",
    "text-where": "Text: where it stands",
    "text-what": "Text: what it says",
    "copies": "The same picture again",
    "satellite": "Seen from above",
    "own": "Your own",
    "columns": "Your own columns",
    "pixels": "The bare pixels",
}
"""What extractors can be chosen for, in plain words."""


@runtime_checkable
class Extractor(Protocol):
    """One way of looking at a picture. Independent of every dataset; the same pixels give the same vector."""

    card: Card
    spec: FeatureSpec
    min_side: int
    """Pictures are handed to `prepare` with at least this many pixels on the shorter side (if they have them)."""
    batch_size: int

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 sRGB to the network's input, the same shape for every picture. Called in decoding threads."""
        ...

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, ...) prepared inputs, 1 <= b <= batch_size, to (b, dim) float32, all finite. A row depends on its
        input alone: not on b, not on its place in the batch. Safe to call from several threads at once."""
        ...


@dataclass(frozen=True)
class Family:
    """Extractors that are made by one factory; a module of extractors has a tuple FAMILIES of them."""

    name: str
    card: Card
    create: Callable[[str, str, Path | None, bool], Extractor]
    """(argument: what follows the colon, layer: what follows the @, models_dir, exact). Both strings may be empty.
    Raises BadInput for what it does not know, Missing where a package or a file is not there."""
    written: str = ""
    """How it is written where something must follow its name: "open_clip:ARCH/PRETRAINED"."""
    layers: tuple[tuple[str, str], ...] = ()
    """(layer, plain words), the earliest first, where they are known before the network is loaded."""
    alone: bool = False
    """Nothing may follow its name; `create` is never given an argument or a layer."""


@runtime_checkable
class Layered(Protocol):
    """An extractor that is one of several looks at the same computation: the layers of a network, or where the text
    stands and what it says. Extractors with equal `network` prepare pictures alike, have the same batch size, and are
    computed together, once for each batch."""

    network: str
    """Names the computation with everything it depends on: weights, preprocessing, backend, precision."""

    def compute_layers(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """As `compute`, for every `FeatureSpec.layer` of the network: (b, dim) float32 each. What a layer gives does
        not depend on which others are asked for."""
        ...


@runtime_checkable
class FileReader(Protocol):
    """An extractor that needs more of a file than its pixels as a screen shows them: further bands, for example."""

    def prepare_file(self, data: bytes, rgb: np.ndarray) -> np.ndarray:
        """The file's bytes and its decoded picture to the input, in place of `prepare`; the bytes are hostile. A file
        without what is looked for is prepared from its pixels; never raises for a picture that decodes."""
        ...


def prepared(extractor: Extractor, data: bytes, rgb: np.ndarray) -> np.ndarray:
    """The extractor's input for one picture, from its file or its pixels, whichever the extractor reads."""
    if isinstance(extractor, FileReader):
        return extractor.prepare_file(data, rgb)
    return extractor.prepare(rgb)


@runtime_checkable
class TextEncoder(Protocol):
    """An extractor that also reads text into the same vectors."""

    def encode_text(self, texts: list[str]) -> np.ndarray:
        """(n, dim) float32."""
        ...

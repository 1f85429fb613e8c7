"""What an extractor is: a frozen function from one picture to one vector, with an identity."""

import hashlib
import json
from dataclasses import asdict, dataclass
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

    @property
    def key(self) -> str:
        """Folder name of the feature: the extractor's name made safe, and a hash of everything above."""
        digest = hashlib.blake2b(json.dumps(asdict(self), sort_keys=True).encode(), digest_size=6).hexdigest()
        safe = "".join(c if c.isalnum() else "-" for c in self.extractor.lower())[:40].strip("-")
        return f"{safe}-{digest}"


@dataclass(frozen=True)
class Card:
    """What a person reads before choosing an extractor."""

    title: str
    sees: str
    ignores: str
    licence: str
    needs_download: bool = False


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


@runtime_checkable
class TextEncoder(Protocol):
    """An extractor that also reads text into the same vectors."""

    def encode_text(self, texts: list[str]) -> np.ndarray:
        """(n, dim) float32."""
        ...

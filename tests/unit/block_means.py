"""A small extractor, and small pictures to try it on, for the tests of embedding."""

import io
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from explorer.collection.dataset import Dataset
from explorer.extractors.base import Card, FeatureSpec
from explorer.workspace import Workspace


class BlockMeans:
    """The mean colours of an n by n grid: small, deterministic, and it tells pictures apart."""

    card = Card("Block means", "where which colour is", "everything else", "none")
    batch_size = 8

    def __init__(self, blocks: int = 4, min_side: int = 64, pause: float = 0.0) -> None:
        self.min_side, self._blocks, self._pause = min_side, blocks, pause
        self.spec = FeatureSpec(
            f"blocks{blocks}-{min_side}", "none", "all", "area", "numpy", "f32", blocks * blocks * 3
        )
        self.prepared = 0
        self.batches: list[int] = []

    def prepare(self, rgb: np.ndarray) -> np.ndarray:
        self.prepared += 1
        assert rgb.dtype == np.uint8 and rgb.ndim == 3  # noqa: PT018
        return cv2.resize(rgb, (self._blocks, self._blocks), interpolation=cv2.INTER_AREA)

    def compute(self, batch: np.ndarray) -> np.ndarray:
        assert 1 <= len(batch) <= self.batch_size
        self.batches.append(len(batch))
        time.sleep(self._pause * len(batch))
        return batch.reshape(len(batch), -1).astype(np.float32) / 255


def picture(seed: int, side: int = 48) -> bytes:
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    pixels = cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (side, side))
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def put(place: Path, numbers: range, prefix: str = "") -> None:
    place.mkdir(exist_ok=True)
    for number in numbers:
        (place / f"{prefix}{number:05d}.jpg").write_bytes(picture(number))


def made(tmp_path: Path, place: Path, workspace: str = "ws") -> Dataset:
    dataset = Dataset.create(
        Workspace(tmp_path / workspace), "Photos", {"kind": "folder", "path": str(place)}, "photos"
    )
    dataset.rescan()
    return dataset

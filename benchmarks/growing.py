"""A collection with features and a space, to which pictures can be added: everything but the pictures themselves."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.synthetic import RECIPE, items_of, synthetic
from explorer.collection import features
from explorer.collection.dataset import Dataset
from explorer.durable import read_json, write_json
from explorer.extractors.base import FeatureSpec
from explorer.space.joined import VECTORS
from explorer.space.recipe import SpaceRecipe
from explorer.space.space import open_space, stands_for
from explorer.workspace import Workspace


def collection(
    workspace: Workspace, n: int, d: int, more: int, seed: int = 1
) -> tuple[Dataset, SpaceRecipe, np.ndarray]:
    """A synthetic collection whose vectors are features as well, its recipe, and (more, d) vectors of the same kinds
    for `grow`: each lies between two pictures that are near each other."""
    dataset = synthetic(workspace, n, d)
    space = open_space(dataset, RECIPE.key)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(n, more, replace=False))
    made = space.vectors[rows] + space.vectors[np.asarray(space.neighbours[rows, 5])]
    made += 0.2 / np.sqrt(d) * rng.standard_normal((more, d), dtype=np.float32)
    made = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    folder = dataset.root / "features" / RECIPE.features[0][0]
    if not (folder / "manifest.json").exists():
        _write_features(folder, np.load(space.folder / VECTORS, mmap_mode="r"))
        file = space.folder.parent / "manifest.json"
        write_json(file, read_json(file) | {"stands_for": stands_for(dataset, RECIPE)})
    return dataset, RECIPE, made


def grow(
    dataset: Dataset, vectors: np.ndarray, uids: Sequence[str] | None = None, hashes: Sequence[str] | None = None
) -> None:
    """Add (m, d) pictures, as a scan and the extractor leave them."""
    first, m = len(dataset.items), len(vectors)
    items = items_of(first + m)[first:]
    items = items.assign(uid=pd.Series(uids or items["uid"], items.index, "str"))
    items = items.assign(content_hash=pd.Series(hashes or items["content_hash"], items.index, "str"))
    store = dataset.features(RECIPE.features[0][0])
    with store.writer() as writer:
        for name, row in zip(items["content_hash"], vectors, strict=True):
            if name in store.missing([name]) and name.encode() not in writer._known:
                writer.append(name, row)
    dataset._store(pd.concat([dataset.items, items], ignore_index=True), scanned_ns=2)


def _write_features(folder: Path, vectors: np.ndarray) -> None:
    """What `FeatureWriter` makes of the rows, without a file for each 512 of them on the way."""
    n, d = vectors.shape
    spec = FeatureSpec("lite0", "none", "pooled", "none", "synthetic", "float32", d)
    folder.mkdir(parents=True, exist_ok=True)
    segments = []
    for start in range(0, n, features.SEGMENT_ROWS):
        stop = min(start + features.SEGMENT_ROWS, n)
        name = f"{len(segments):05d}" + ("" if stop - start == features.SEGMENT_ROWS else f"-{stop - start:05d}")
        scales, rows = features._packed(np.asarray(vectors[start:stop]))
        np.save(folder / f"{name}.f16.npy", rows)
        hashes = np.array([f"{number:032x}" for number in range(start, stop)], "S32")
        np.savez(folder / f"{name}.rows.npz", hash=hashes, scale=scales)
        files = (f"{name}.f16.npy", f"{name}.rows.npz")
        sums = {file: features._checksum(folder / file) for file in files}
        segments.append({"name": name, "rows": stop - start, "checksums": sums})
    write_json(folder / "manifest.json", {"format": 1, "spec": asdict(spec), "segments": segments})

"""Vectors alone, for the steps that look at nothing else: real ones (Fashion-MNIST, the clipart demo) as `lite0` sees
them, computed once and kept; made ones come from `synthetic`."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.collections import kept_workspace

if TYPE_CHECKING:
    from explorer.collection.dataset import Dataset


def fashion() -> np.ndarray:
    """(70_000, 1280) float32, memory-mapped: every distinct picture of Fashion-MNIST, centred, of length one."""
    return _kept("fashion")


def fashion_classes() -> np.ndarray:
    """(70_000,) str, what each of `fashion` shows."""
    items = _embedded("fashion").present().drop_duplicates("content_hash")
    return items["meta:folder"].to_numpy(dtype=object).astype(str)


def clipart() -> np.ndarray:
    """(1_470, 1280) float32: the distinct pictures of the demo that ships with the code."""
    return _kept("clipart")


def _kept(name: str) -> np.ndarray:
    path = kept_workspace().root / f"{name}-lite0.npy"
    if not path.exists():
        _write(path, _embedded(name))
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _embedded(name: str) -> "Dataset":
    from explorer.collection.dataset import Dataset
    from explorer.demos import prepare

    workspace, dataset_id = kept_workspace(), f"bench-{name}-whole"
    if dataset_id in workspace.dataset_ids():
        return Dataset.open(workspace, dataset_id)
    source = prepare(name, workspace, lambda line: None).source
    dataset = Dataset.create(workspace, dataset_id, source)
    dataset.rescan()
    return dataset


def _write(path: Path, dataset: "Dataset") -> None:
    from explorer.collection.embedding import embed
    from explorer.extractors import load
    from explorer.space import SpaceRecipe
    from explorer.space.recipe import Transform

    extractor = load("lite0", kept_workspace().models)
    embed(dataset, [extractor])
    names = dataset.present().drop_duplicates("content_hash")["content_hash"].tolist()
    raw = [dataset.features(extractor.spec).get(names)]
    recipe = SpaceRecipe(((extractor.spec.key, 1.0),))
    vectors = Transform.fit(recipe, [raw[0].sum(axis=0, dtype=np.float64)], len(names))(raw)
    started = path.with_suffix(".part.npy")
    np.save(started, np.ascontiguousarray(vectors, np.float32), allow_pickle=False)
    started.rename(path)

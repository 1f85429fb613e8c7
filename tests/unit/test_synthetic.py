"""Synthetic collections of the benchmarks: they open as any other, and their vectors lie as those of pictures do."""

from pathlib import Path

import numpy as np

from benchmarks.synthetic import RECIPE, kinds_of, synthetic
from explorer.space import list_spaces, open_space
from explorer.space.codes import FILES
from explorer.workspace import Workspace


def test_a_synthetic_collection_is_one_like_any_other(tmp_path: Path) -> None:
    dataset = synthetic(Workspace(tmp_path), 3_000, 64, thumbs=True)
    space = open_space(dataset, RECIPE.key)
    assert [info.stale for info in list_spaces(dataset)] == [False]
    assert len(space) == 3_000
    assert all((space.folder / name).exists() for name in FILES)
    assert dataset.pictures.thumb(space.hashes[7])
    assert np.allclose(np.linalg.norm(space.vectors, axis=1), 1, atol=1e-5)

    groups = space.clusters["hdbscan"].to_numpy()
    assert len(np.unique(kinds_of(dataset))) > 5
    assert (groups[space.neighbours] == groups[:, None]).mean() > 0.95
    rows = np.random.default_rng(0).choice(3_000, 100, replace=False)
    scores = space.vectors[rows] @ space.vectors.T
    scores[np.arange(100), rows] = -2
    true = np.argsort(-scores, axis=1)[:, :10]
    found = [len(set(a) & set(b)) / 10 for a, b in zip(true.tolist(), space.neighbours[rows].tolist(), strict=True)]
    assert np.mean(found) > 0.6, "nearly the true neighbours"
    assert (np.diff(space.distances, axis=1) >= -1e-5).all()
    sizes = np.bincount(groups)
    assert sizes.max() > 2 * np.median(sizes)
    assert 20 <= len(space.duplicates) <= 300
    assert synthetic(Workspace(tmp_path), 3_000, 64, thumbs=True).generation == dataset.generation, "made once"

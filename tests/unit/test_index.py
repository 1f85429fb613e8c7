"""Nearest neighbours: those that a plain comparison with everything finds."""

from pathlib import Path

import numpy as np

from explorer.space import index
from explorer.space.recipe import normalised


def unit(n: int, d: int = 24, seed: int = 0) -> np.ndarray:
    """(n, d) unit vectors around a few centres, as pictures are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, d))
    return normalised((centres[rng.integers(0, 12, n)] + rng.normal(scale=0.6, size=(n, d))).astype(np.float32))


def test_search_finds_the_largest_first(tmp_path: Path) -> None:
    vectors = unit(5_000, 32)
    queries = vectors[[7, 4_000]] + 0.01
    rows, scores = index.nearest(vectors, queries, 20)
    expected = np.sort(queries @ vectors.T, axis=1)[:, ::-1][:, :20]
    assert np.allclose(scores, expected, atol=1e-5)
    assert rows[0, 0] == 7
    assert rows[1, 0] == 4_000
    index.write_index(index.build_index(vectors), tmp_path / "index.faiss")
    through_lists, _ = index.nearest(vectors, queries, 20, index.read_index(tmp_path / "index.faiss"))
    assert all(len(set(a) & set(b)) >= 16 for a, b in zip(through_lists.tolist(), rows.tolist(), strict=True))
    assert index.nearest(vectors[:4], queries, 20)[0].shape == (2, 4)

"""Nearest neighbours: those that a plain comparison with everything finds, and by signs nearly all of them."""

import numpy as np
import pytest

from explorer.space import index
from explorer.space.codes import Codes, float32_scores
from explorer.space.recipe import normalised


def unit(n: int, d: int = 24, seed: int = 0) -> np.ndarray:
    """(n, d) unit vectors around a few centres, as pictures are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, d))
    return normalised((centres[rng.integers(0, 12, n)] + rng.normal(scale=0.6, size=(n, d))).astype(np.float32))


def expected(vectors: np.ndarray, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    rows = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    scores = float32_scores(vectors, rows, query[:, None])[:, 0]
    return rows[np.lexsort((rows, -scores))[:k]]


def test_search_finds_the_largest_first() -> None:
    vectors = unit(5_000, 32)
    queries = vectors[[7, 4_000]] + 0.01
    rows, scores = index.nearest(vectors, queries, 20)
    largest = np.sort(queries @ vectors.T, axis=1)[:, ::-1][:, :20]
    assert np.allclose(scores, largest, atol=1e-5)
    assert rows[0, 0] == 7
    assert rows[1, 0] == 4_000
    assert index.nearest(vectors[:4], queries, 20)[0].shape == (2, 4)


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("d", [100, 320])
def test_a_search_of_codes_is_that_of_float32(d: int, signs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if signs:
        monkeypatch.setattr(index, "EXACT", 0)
        monkeypatch.setattr(index, "_MANY", 0.5)
        monkeypatch.setattr(index, "_SURE", 5.0)  # of so few queries none may miss anything
        monkeypatch.setattr(Codes, "top", None)
    vectors = unit(9_003, d)
    vectors[100:900] = vectors[50]  # one picture, very many times
    codes = Codes.of(vectors)
    half = np.random.default_rng(1).random(len(vectors)) < 0.5
    for query in (vectors[50], vectors[8_000], normalised(vectors[8_000:8_001] + vectors[3])[0], vectors[9_002]):
        for allowed in (None, half):
            rows, scores = index.search(codes, vectors, query, 20, allowed)
            assert rows.tolist() == expected(vectors, query, 20, allowed).tolist()
            assert np.array_equal(scores, float32_scores(vectors, rows, query[:, None])[:, 0])
    assert index.search(codes, vectors, vectors[0], 5, np.zeros(len(vectors), bool))[0].shape == (0,)


@pytest.mark.parametrize("n", [1, 7, 8, 9])
def test_few_rows_are_all_found(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "EXACT", 0)
    vectors = unit(n, 70)
    found, _ = index.search(Codes.of(vectors), vectors, vectors[n - 1], 20)
    assert found.tolist() == expected(vectors, vectors[n - 1], 20).tolist()


def test_where_signs_cannot_tell_all_codes_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "EXACT", 0)
    vectors = unit(5_000, 64)
    vectors[100:900] = vectors[50]
    for k in (10, 1_000):
        rows, _ = index.search(Codes.of(vectors), vectors, vectors[50], k)
        assert rows.tolist() == expected(vectors, vectors[50], k).tolist()

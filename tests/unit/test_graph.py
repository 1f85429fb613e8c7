"""The graph of nearest others: those that a plain comparison with everything finds, and never oneself."""

import numpy as np
import pytest

from explorer.errors import Cancelled
from explorer.space import graph
from explorer.space.build import spread_graph
from explorer.space.recipe import normalised


def unit(n: int, d: int = 24, seed: int = 0) -> np.ndarray:
    """(n, d) unit vectors around a few centres, as pictures are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, d))
    return normalised((centres[rng.integers(0, 12, n)] + rng.normal(scale=0.6, size=(n, d))).astype(np.float32))


def test_the_graph_is_that_of_a_plain_comparison() -> None:
    vectors = unit(400)
    rows, distances = graph.neighbour_graph(vectors, 15)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -2)
    expected = np.sort(1 - scores, axis=1)[:, :15]
    assert rows.shape == (400, 15)
    assert (rows != np.arange(400)[:, None]).all()
    assert np.allclose(distances, expected, atol=1e-5)
    assert np.allclose(1 - np.take_along_axis(scores, rows.astype(np.int64), axis=1), expected, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 16])
def test_few_pictures_have_fewer_neighbours(n: int) -> None:
    rows, distances = graph.neighbour_graph(unit(n), 15)
    assert rows.shape == distances.shape == (n, min(15, n - 1))
    assert all(sorted(rows[row].tolist()) == [other for other in range(n) if other != row] for row in range(n))


def test_equal_pictures_are_not_their_own_neighbours() -> None:
    vectors = np.repeat(unit(3), [60, 1, 20], axis=0)
    rows, distances = graph.neighbour_graph(vectors, 15)
    assert (rows != np.arange(81)[:, None]).all()
    assert all(len(set(row)) == 15 for row in rows.tolist())
    assert distances[:60].max() < 1e-6
    assert distances[60].min() > 0.01


def test_many_pictures_go_through_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = unit(6_000, 32)
    exact, _ = graph.neighbour_graph(vectors, 10)
    monkeypatch.setattr(graph, "EXACT", 1_000)
    seen: list[tuple[int, int]] = []
    rows, _ = graph.neighbour_graph(vectors, 10, lambda done, total: seen.append((done, total)))
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)])
    assert recall > 0.9
    assert seen[-1] == (6_000, 6_000)
    assert (rows != np.arange(6_000)[:, None]).all()
    others = unit(300, 32, seed=1)
    found, scores = graph.Lists(vectors).nearest(others, 10)
    true = np.argsort(-(others @ vectors.T), axis=1)[:, :10]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), true.tolist(), strict=True)]) > 0.8
    assert np.allclose(scores, np.take_along_axis(others @ vectors.T, found.astype(np.int64), axis=1), atol=1e-5)


def test_a_graph_can_be_stopped() -> None:
    def stop(done: int, total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        graph.neighbour_graph(unit(3_000), 15, stop)


def test_a_graph_of_contents_becomes_one_of_items() -> None:
    """Items 0 and 3 have the same content; neighbours count copies, never the item itself."""
    vectors = unit(5)
    near, reach = graph.neighbour_graph(vectors, 15)
    item = np.array([0, 1, 2, 0, 3, 4])
    rows, distances = spread_graph(near, reach, item)
    assert rows.shape == (6, 5)
    assert all(sorted(rows[row].tolist()) == [other for other in range(6) if other != row] for row in range(6))
    assert rows[0, 0] == 3
    assert rows[3, 0] == 0
    assert distances[0, 0] == 0
    assert (np.diff(distances, axis=1) >= -1e-6).all()

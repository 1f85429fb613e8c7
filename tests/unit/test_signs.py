"""Estimates from signs: without bias, of a known spread, the same one query at a time and many at once."""

import numpy as np
import pytest

from explorer.space.codes import Codes
from explorer.space.recipe import normalised
from explorer.space.signs import Signs


def rows(n: int, d: int) -> np.ndarray:
    """(n, d) unit rows, most of whose length is in a few numbers, as networks have it."""
    rng = np.random.default_rng(d)
    made = rng.normal(size=(n, d)) * np.exp(-np.arange(d) / 40)
    return normalised((made[rng.integers(0, n, n)] + 0.5 * made).astype(np.float32))


@pytest.mark.parametrize("d", [64, 512, 1_280])
def test_estimates_are_right_on_average(d: int) -> None:
    vectors = rows(4_005, d)
    codes, errors = Codes.of(vectors), []
    for query in vectors[:20]:
        errors.append(codes.estimates(query) - vectors @ query)
    assert abs(np.mean(errors)) < 0.01
    assert np.std(errors) < 1.3 * codes.spread(vectors[0])


def test_many_queries_at_once_reach_the_same_rows() -> None:
    vectors = rows(20_003, 128)
    signs = Signs.of(Codes.of(vectors))
    least = signs.guess(vectors[:9], 200)
    for query, bound, found in zip(vectors[:9], least, signs.reach(vectors[:9], least), strict=True):
        assert found is not None
        reached, estimates = found
        assert 60 < len(reached) < 600
        every = signs.estimates(query)
        assert sorted(reached) == np.flatnonzero(every >= bound).tolist()
        assert np.array_equal(estimates, every[reached])


def test_too_many_rows_are_said_to_be() -> None:
    vectors = rows(20_000, 64)
    vectors[:9_000] = vectors[0]
    first, other = Signs.of(Codes.of(vectors)).reach(vectors[[0, 15_000]], np.array([0.9, 0.9]))
    assert first is None
    assert other is not None
    assert 15_000 in other[0]


def test_rows_of_nothing_are_estimated_as_nothing() -> None:
    vectors = rows(30, 100)
    vectors[4] = 0
    assert Codes.of(vectors).estimates(vectors[0])[4] == 0

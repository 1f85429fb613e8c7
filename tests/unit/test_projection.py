"""The map: near stays near, the same pictures give the same map, and any number of pictures has one."""

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.space import projection, shares
from explorer.space.graph import neighbour_graph
from explorer.space.projection import fitted, main_axes, place, project
from explorer.space.recipe import normalised


def groups(sizes: list[int], d: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of well-parted groups, and the group of each."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), d))
    return normalised((centres[of] + rng.normal(scale=0.3, size=(len(of), d))).astype(np.float32)), of


def test_what_is_near_lies_near_and_twice_the_same() -> None:
    vectors, of = groups([90, 60, 40, 30])
    graph = neighbour_graph(vectors)
    xy = project(vectors, *graph, seed=3)
    assert xy.shape == (220, 2)
    assert xy.dtype == np.float32
    assert np.abs(xy).max() == pytest.approx(1, abs=1e-6)
    apart = np.linalg.norm(xy[:, None] - xy[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (of[np.argsort(apart, axis=1)[:, :10]] == of[:, None]).mean() > 0.97
    assert np.array_equal(project(vectors, *graph, seed=3), xy)


def test_more_threads_make_the_same_map(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = groups([3_000, 2_000], 8)
    graph = neighbour_graph(vectors)
    monkeypatch.setattr(projection, "_ROUNDS_FEW", 20)
    maps = []
    for inline in (0.0, np.inf):  # on all cores, on one
        monkeypatch.setattr(shares, "INLINE", inline)
        maps.append(project(vectors, *graph))
    assert np.array_equal(*maps)


def test_very_many_pictures_are_laid_out_around_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, of = groups([900, 600, 400, 5])
    monkeypatch.setattr(projection, "DIRECT", 1_000)
    monkeypatch.setattr(projection, "LANDMARKS", 300)
    told: list[int] = []
    graph = neighbour_graph(vectors)
    xy = project(vectors, *graph, step=lambda done, total: told.append(100 * done // total))
    apart = np.linalg.norm(xy[::7, None] - xy[None, ::7], axis=2)
    np.fill_diagonal(apart, np.inf)
    same = of[::7][np.argsort(apart, axis=1)[:, :10]] == of[::7][:, None]
    assert same[of[::7] < 3].mean() > 0.97
    assert len(np.unique(xy, axis=0)) > 1_890, "no two on one spot"
    assert told == sorted(told)
    assert told[-1] == 100
    assert np.array_equal(project(vectors, *graph), xy)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 19, 20, 21, 40])
def test_any_number_of_pictures_has_a_map(n: int) -> None:
    vectors, _ = groups([n])
    xy = project(vectors, *neighbour_graph(vectors))
    assert xy.shape == (n, 2)
    assert np.isfinite(xy).all()
    assert np.abs(xy).max() <= 1
    assert len(np.unique(xy.round(5), axis=0)) == n


@pytest.mark.parametrize("n", [2, 30, 120])
def test_equal_pictures_have_a_map_too(n: int) -> None:
    vectors = np.repeat(groups([1])[0], n, axis=0)
    xy = project(vectors, *neighbour_graph(vectors))
    assert xy.shape == (n, 2)
    assert np.isfinite(xy).all()
    half = np.concatenate([vectors, groups([n], seed=5)[0]])
    assert np.isfinite(project(half, *neighbour_graph(half))).all()


def test_the_aspect_is_kept() -> None:
    xy = fitted(np.array([[0.0, 0.0], [8.0, 2.0], [4.0, 1.0]]))
    assert np.allclose(xy, [[-1, -0.25], [1, 0.25], [0, 0]])


@pytest.mark.parametrize("d", [8, 300])
def test_the_main_axes_are_those_of_the_covariance(d: int) -> None:
    vectors, _ = groups([70, 50], d)
    _, _, axes = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    expected = (vectors - vectors.mean(axis=0)) @ axes[:2].T
    assert np.allclose(np.abs(main_axes(vectors)), np.abs(expected), atol=1e-3)


def test_new_pictures_are_placed_among_their_neighbours() -> None:
    around = np.array([[[0.0, 0.0], [0.2, 0.0], [0.9, 0.9]]], np.float32)
    xy = place(around, np.array([[0.05, 0.05, 0.9]], np.float32))
    assert np.allclose(xy, [[0.1, 0.0]], atol=0.02)


def test_the_map_is_drawn_by_umap_learn_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    kinds = np.arange(90) % 3
    vectors = (6 * np.eye(3, 16)[kinds] + rng.normal(size=(90, 16))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = neighbour_graph(vectors)
    own = project(vectors, *graph)
    monkeypatch.setenv("EXPLORER_LAYOUT", "umap-learn")
    theirs = project(vectors, *graph)
    assert theirs.shape == own.shape
    assert not np.allclose(theirs, own)
    for xy in (own, theirs):
        apart = np.linalg.norm(xy[:, None] - xy[None], axis=2) + 9 * np.eye(90)
        assert (kinds[apart.argmin(axis=1)] == kinds).mean() > 0.9
    monkeypatch.setenv("EXPLORER_LAYOUT", "pca")
    with pytest.raises(BadInput, match="umap-like or umap-learn"):
        project(vectors, *graph)

"""The map: pictures that are near each other in a space lie near each other on two axes.

UMAP-like: what UMAP (McInnes, Healy & Melville, 2018) makes of a graph of nearest others, by loops of our own, begun at
the two main axes of the vectors. The same pictures always give the same map. `python -m benchmarks map` compares the
two, and EXPLORER_LAYOUT=umap-learn has the map drawn by umap-learn itself.

Above DIRECT pictures some are laid out first, as landmarks; the others begin among those, and all are moved a little
more (Silva & Tenenbaum's idea of 2003).
"""

import os
from collections.abc import Callable

import numpy as np

from explorer.errors import BadInput
from explorer.space.graph import Lists
from explorer.space.shares import in_shares
from explorer.space.umap_layout import umap_learn

OWN, UMAP_LEARN = "umap-like", "umap-learn"
SMALLEST = 20
"""Below this a neighbour graph has nothing to say that the main axes do not."""
DIRECT, LANDMARKS = 200_000, 100_000
_FEW, _ROUNDS_FEW, _ROUNDS, _ROUNDS_AFTER = 10_000, 500, 200, 100
"""Rounds of the layout: up to _FEW pictures, above, and after the landmarks. UMAP's own are 500 and 200. Measured on
20,000 pictures of clothes with 4,000 landmarks: 30, 60 and 100 rounds after those keep .140, .156 and .167 of the 15
nearest, 200 without landmarks .170."""
_RATE_AFTER = 0.5
_SAMPLE = 20_000
_CHUNK = 16_384

Step = Callable[[int, int], None]
"""Called with (done, total); may raise Cancelled."""


def project(
    vectors: np.ndarray, neighbours: np.ndarray, distances: np.ndarray, seed: int = 0, step: Step | None = None
) -> np.ndarray:
    """(n, d) vectors and their neighbour graph to (n, 2) float32 in [-1, 1], aspect kept. n may be 1."""
    start = main_axes(vectors, seed)
    n = len(vectors)
    if n < SMALLEST or not np.ptp(start, axis=0).any():
        return fitted(start)
    wanted = os.environ.get("EXPLORER_LAYOUT", OWN)
    if wanted not in (OWN, UMAP_LEARN):
        raise BadInput(f"EXPLORER_LAYOUT is '{wanted}'; it can be {OWN} or {UMAP_LEARN}.")
    if wanted == UMAP_LEARN:
        return fitted(umap_learn(_spread(start, seed), neighbours, distances, seed))
    if n <= DIRECT:
        rounds = _ROUNDS_FEW if n <= _FEW else _ROUNDS
        return fitted(_laid_out(_spread(start, seed), neighbours, distances, rounds, 1.0, seed, step))

    def told(before: int, of: int) -> Step | None:
        return (lambda done, total: step(before + of * done // total, 100)) if step else None

    rows = np.sort(np.random.default_rng(seed).choice(n, LANDMARKS, replace=False))
    lists = Lists(vectors[rows], seed)
    near, scores = lists.nearest(vectors[rows], neighbours.shape[1], own=True, step=told(0, 20))
    away = np.maximum(1 - scores, 0)
    landmarks = _laid_out(_spread(start[rows], seed), near, away, _ROUNDS, 1.0, seed, told(20, 40))
    begun = _among(rows, landmarks, lists, vectors, neighbours, distances)
    return fitted(_laid_out(begun, neighbours, distances, _ROUNDS_AFTER, _RATE_AFTER, seed, told(60, 40)))


def main_axes(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n, 2) float64: the two principal components, each with its largest loading positive."""
    n, d = vectors.shape
    sample = vectors
    if n > _SAMPLE:
        sample = vectors[np.sort(np.random.default_rng(seed).choice(n, _SAMPLE, replace=False))]
    mean = sample.mean(axis=0, dtype=np.float64)
    centred = sample - mean.astype(np.float32)
    # the axes from the smaller of the two matrices of inner products
    wide = len(centred) < d
    values, axes = _two_largest(centred @ centred.T if wide else centred.T @ centred)
    if wide:
        axes = centred.T.astype(np.float64) @ axes
    kept = values > max(1e-9 * max(float(values.max(initial=0)), 0), 1e-9)
    lengths = np.linalg.norm(axes, axis=0)
    axes = np.where(lengths > 0, axes / np.maximum(lengths, 1e-30), 0)
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    result = np.zeros((n, 2))
    for start in range(0, n, _CHUNK):
        some = slice(start, start + _CHUNK)
        result[some, : axes.shape[1]] = np.where(kept, (vectors[some] - mean.astype(np.float32)) @ axes, 0)
    return result


def _two_largest(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two largest eigenvalues (fewer of a smaller matrix) and (m, 2) eigenvectors, largest first."""
    from scipy.linalg import eigh

    m = len(products)
    values, axes = eigh(products.astype(np.float64), subset_by_index=[max(m - 2, 0), m - 1])
    return values[::-1], axes[:, ::-1]


def fitted(xy: np.ndarray) -> np.ndarray:
    """(n, 2) moved and scaled into [-1, 1], both axes alike, as float32."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    half = float((high - low).max()) / 2
    return ((xy - (low + high) / 2) / (half or 1.0)).astype(np.float32).clip(-1, 1)


def place(neighbour_xy: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Where new pictures go on a map that is kept: the mean of their neighbours' places, near ones counting more.

    (m, k, 2) places and (m, k) cosine distances to (m, 2) float32. An infinite distance counts for nothing.
    """
    weights = 1 / (distances.astype(np.float64) + 0.05) ** 2
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("mk,mkc->mc", weights, neighbour_xy).astype(np.float32)


def _laid_out(
    start: np.ndarray,
    neighbours: np.ndarray,
    distances: np.ndarray,
    rounds: int,
    rate: float,
    seed: int,
    step: Step | None = None,
) -> np.ndarray:
    """(n, 2) float32 places after so many rounds from `start`, the first at step length `rate`, the last at none."""
    from explorer.space import layout

    work = float(neighbours.size)
    weights = np.empty(neighbours.shape, np.float32)
    in_shares(layout.memberships, 100 * work, np.ascontiguousarray(distances, np.float32), weights)
    starts, others, pulls = layout.both_ways(np.ascontiguousarray(neighbours, np.int32), weights)
    strong = pulls >= pulls.max() / rounds  # the others would not get a turn
    starts = np.concatenate([[0], np.cumsum(strong)])[starts]
    others = others[strong]
    shares = (pulls[strong] / np.float64(pulls.max()) * (2**32 - 1)).astype(np.uint32)
    now, then = start.copy(), np.empty_like(start)
    for turn in range(rounds):
        rule = np.array([turn, rate * (1 - turn / rounds), seed])
        in_shares(layout.move, 10 * work, starts, others, shares, now, then, rule)
        now, then = then, now
        if step:
            step(turn + 1, rounds)
    return now


def _among(
    rows: np.ndarray,
    landmarks: np.ndarray,
    lists: Lists,
    vectors: np.ndarray,
    neighbours: np.ndarray,
    distances: np.ndarray,
) -> np.ndarray:
    """(n, 2) float32: landmarks where they are, the others among those of their neighbours that have a place; the few
    with none among the nearest landmarks."""
    xy = np.zeros((len(vectors), 2), np.float32)
    placed = np.zeros(len(vectors), bool)
    xy[rows], placed[rows] = landmarks, True
    for _ in range(2):
        left = np.flatnonzero(~placed)
        known = placed[neighbours[left]]
        some, known = left[known.any(axis=1)], known[known.any(axis=1)]
        xy[some] = place(xy[neighbours[some]], np.where(known, distances[some], np.inf))
        placed[some] = True
    left = np.flatnonzero(~placed)
    if len(left):
        near, scores = lists.nearest(vectors[left], 5)
        xy[left] = place(landmarks[near], np.maximum(1 - scores, 0))
    return xy


def _spread(start: np.ndarray, seed: int) -> np.ndarray:
    """Starting places ten wide, each a hair off, so that equal pictures can part (as umap does it itself)."""
    scaled = 10 * start / np.abs(start).max()
    return (scaled + np.random.default_rng(seed).normal(scale=1e-4, size=start.shape)).astype(np.float32)

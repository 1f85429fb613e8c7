"""The graph of each picture's nearest others: computed once, it feeds the map, the groups and the odd ones out."""

from collections.abc import Callable

import numpy as np

from explorer.space import index

NEIGHBOURS = 15
EXACT = 20_000
"""Up to here every pair is compared: n^2 d / 2 steps, ten seconds on two cores."""
_CHUNK, _PROBES = 4_096, 8

Step = Callable[[int, int], None]
"""Called with (done, total); may raise Cancelled."""


def neighbour_graph(
    vectors: np.ndarray, k: int = NEIGHBOURS, step: Step | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Each row's k nearest other rows of (n, d) float32 unit vectors, nearest first.

    Returns (n, m) int32 rows and (n, m) float32 cosine distances with m = min(k, n - 1). A row is never its own
    neighbour, however many others are equal to it.
    """
    n = len(vectors)
    m = min(k, n - 1)
    rows, distances = np.empty((n, m), np.int32), np.empty((n, m), np.float32)
    if m == 0:
        return rows, distances
    search = index._exact(vectors) if n <= EXACT else index._inverted(index.build_index(vectors), _PROBES)
    for start in range(0, n, _CHUNK):
        stop = min(start + _CHUNK, n)
        scores, found = search(vectors[start:stop], m + 1)
        found, scores = _without_self(found, scores, np.arange(start, stop))
        rows[start:stop] = found
        distances[start:stop] = np.maximum(1 - scores, 0)
        if step:
            step(stop, n)
    return rows, distances


def _without_self(found: np.ndarray, scores: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop each row itself from its hits, or its last hit if equal ones pushed it out; lists that came back short
    are filled with their last hit."""
    is_self = found == own[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    kept = ~is_self
    found = found[kept].reshape(len(own), -1)
    scores = scores[kept].reshape(len(own), -1)
    for column in range(1, found.shape[1]):
        short = found[:, column] < 0
        found[short, column], scores[short, column] = found[short, column - 1], scores[short, column - 1]
    return found, scores

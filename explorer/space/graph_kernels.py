"""Compiled loops of `graph`. Kept on disk once compiled."""

import numpy as np
from numba import njit

_BLOCK = 16
"""Scores looked at together: their largest is found 16 at a time, and most blocks hold nothing that is kept."""


@njit(cache=True, nogil=True, fastmath={"nnan", "reassoc", "nsz"})
def keep_best(
    scores: np.ndarray, first: int, places: np.ndarray, own: np.ndarray, best: np.ndarray, rows: np.ndarray
) -> None:
    """Merge (m, b) scores of the rows from `first` on into the lists `best` and `rows` (a, k), largest first.

    `places` (m,) says whose lists they go to, `own` (a,) which row each is itself, which it never has in its list.
    """
    m, b = scores.shape
    k = best.shape[1]
    for query in range(m):
        place = places[query]
        worst, me = best[place, k - 1], own[place]
        for start in range(0, b, _BLOCK):
            stop = min(start + _BLOCK, b)
            largest = scores[query, start]
            for at in range(start + 1, stop):
                largest = max(largest, scores[query, at])
            if largest <= worst:
                continue
            for at in range(start, stop):
                score = scores[query, at]
                if score <= worst or first + at == me:
                    continue
                to = k - 1
                while to > 0 and best[place, to - 1] < score:
                    best[place, to], rows[place, to] = best[place, to - 1], rows[place, to - 1]
                    to -= 1
                best[place, to], rows[place, to] = score, first + at
                worst = best[place, k - 1]


@njit(cache=True, nogil=True)
def add_up(vectors: np.ndarray, labels: np.ndarray, sums: np.ndarray) -> None:
    """Add each of (n, d) vectors to the row of `sums` (k, d) that its label names."""
    for row in range(len(vectors)):
        for at in range(vectors.shape[1]):
            sums[labels[row], at] += vectors[row, at]

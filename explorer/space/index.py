"""Nearest neighbours by inner product: every row's codes where that is fast enough, above by a first look at the signs.

The signs are right on average and off by a known amount, so that a first few rows say how far down the estimates have
to be followed. Inverted lists are not kept: to build them takes a minute at a million rows, to add to them writes them
anew, and they are no faster by what one waits for.
"""

from typing import Any

import numpy as np

from explorer.space.codes import Codes, at_least, float32_scores, largest
from explorer.space.joined import JoinedCodes

EXACT = 150_000_000
"""Up to so many numbers (300,000 rows of 512) one search looks at every row's codes, and misses nothing."""
_FIRST = 64
_SURE = 3.0
"""Of the spread of an estimate: of the rows that belong among the nearest, about one in 700 lies further off."""
_MANY = 0.02
"""Beyond this share of all rows, looking at every row's codes is quicker."""


def nearest(vectors: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of (n, d) `vectors` with the largest inner product with each of (m, d) queries, largest first, equal
    ones in the order of the rows. Returns (m, k') int64 rows and (m, k') float32 scores, k' = min(k, n)."""
    import faiss

    queries = np.ascontiguousarray(queries, np.float32)
    scores, found = faiss.knn(queries, vectors, min(k, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT)
    order = np.lexsort((found, -scores), axis=1)
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(scores, order, axis=1)


def search(
    codes: Codes | JoinedCodes, vectors: Any, query: np.ndarray, k: int, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The same for one (d,) query of a space's vectors and their codes: (k',) int64 and (k',) float32. Scores are those
    of `float32_scores`. `allowed` (n,) bool keeps only some rows.

    Up to EXACT numbers nothing is missed; above, what is missed is counted by `benchmarks.search`.
    """
    query = np.asarray(query, np.float32)
    n = len(codes)
    found = None if n * codes.d <= EXACT or k > _MANY * n else _by_signs(codes, vectors, query, k, allowed)
    if found is None:
        rows = codes.top(query, k, vectors, allowed)
        return rows, float32_scores(vectors, rows, query[:, None])[:, 0]
    rows, scores = found
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]


def _by_signs(
    codes: Codes | JoinedCodes, vectors: Any, query: np.ndarray, k: int, allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows among which the nearest are, and their scores; None if that is for too many to say."""
    estimates = codes.estimates(query)
    rows = largest(estimates, _FIRST + 2 * k, allowed)
    scores = float32_scores(vectors, rows, query[:, None])[:, 0]
    if len(rows) <= k:
        return rows, scores
    least = np.partition(scores, len(scores) - k)[len(scores) - k] - np.float32(_SURE * codes.spread(query))
    if estimates[rows[-1]] < least:
        return rows, scores
    room = int(_MANY * len(codes))
    more, count = at_least(estimates, least, room)
    if count > room:
        return None
    more = np.setdiff1d(more if allowed is None else more[allowed[more]], rows, assume_unique=True)
    added = float32_scores(vectors, more, query[:, None])[:, 0]
    return np.concatenate([rows, more]), np.concatenate([scores, added])

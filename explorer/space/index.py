"""Nearest neighbours by inner product: every row's codes where that is fast enough, above by a first look at the signs.

The signs are right on average and off by a known amount, so that a first few rows say how far down the estimates have
to be followed. Inverted lists are not kept: to build them takes a minute at a million rows, to add to them writes them
anew, and they are no faster by what one waits for.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from explorer.space.codes import Codes, at_least, float32_scores, largest
from explorer.space.joined import JoinedCodes

EXACT = 150_000_000
"""Up to so many numbers (300,000 rows of 512) one search looks at every row's codes, and misses nothing."""
_FIRST, _GUESSED = 64, 400
"""Rows looked at first, for one query and for each of many."""
_AT_ONCE = 512
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


def candidates(
    codes: Codes | JoinedCodes, vectors: Any, queries: np.ndarray, k: int, least: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each of (m, d) queries, rows among which its k nearest are, and `least` or more in all where there are as
    many; and their scores. In no order. Quicker than one search after the other: the signs are read once for many."""
    n = len(codes)
    least = min(max(k, least), n)
    if isinstance(codes, JoinedCodes) or n <= 16 * _GUESSED:
        yield from (search(codes, vectors, query, least) for query in queries)
        return
    for start in range(0, len(queries), _AT_ONCE):
        some = queries[start : start + _AT_ONCE]
        bound = codes.signs.guess(some, max(_GUESSED, 2 * least))
        found = codes.signs.reach(some, bound)
        scores = [_scored(vectors, rows, query) for rows, query in zip(found, some, strict=True)]
        wanted = np.array([_k_th(each, k) for each in scores], np.float32)
        wanted -= np.float32(_SURE) * np.array([codes.spread(query) for query in some], np.float32)
        short = np.array([each is None or len(each) < least for each in scores])
        again = np.flatnonzero((wanted < bound) & ~short)
        closer = codes.signs.reach(some[again], wanted[again]) if len(again) else []
        for number, rows in zip(again.tolist(), closer, strict=True):
            found[number], scores[number] = rows, _scored(vectors, rows, some[number])
        for rows, each, query in zip(found, scores, some, strict=True):
            if rows is None or each is None or len(rows) < least:
                rows = codes.top(query, least, vectors)
                each = float32_scores(vectors, rows, query[:, None])[:, 0]
            yield rows, each


def _scored(vectors: Any, rows: np.ndarray | None, query: np.ndarray) -> np.ndarray | None:
    return None if rows is None else float32_scores(vectors, rows, query[:, None])[:, 0]


def _k_th(scores: np.ndarray | None, k: int) -> float:
    return -np.inf if scores is None or len(scores) < k else float(np.partition(scores, len(scores) - k)[-k])

"""Nearest neighbours by inner product: every row's codes where that is fast enough, above by a first look at the signs.

The signs are right on average and off by a known amount, so that a first few rows say how far down the estimates have
to be followed. Inverted lists are not kept: to build them takes a minute at a million rows, to add to them writes them
anew, and they are no faster by what one waits for.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from explorer.space.codes import Codes, at_least, float32_scores, largest
from explorer.space.joined import JoinedCodes

EXACT = 150_000_000
"""Up to so many numbers (300,000 rows of 512) one search looks at every row's codes, and misses nothing."""
_FIRST, _GUESSED = 64, 1_400
"""Rows looked at first; and of many queries about how many estimates are kept for each: one pass
over the signs is then enough for nearly all."""
_AT_ONCE = 256
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
    blocks = [queries[start : start + _AT_ONCE] for start in range(0, len(queries), _AT_ONCE)]

    def reach(some: np.ndarray) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray] | None]]:
        bound = codes.signs.guess(some, max(_GUESSED, 2 * least))
        return bound, codes.signs.reach(some, bound)

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as ahead:
        coming = ahead.submit(reach, blocks[0]) if blocks else None
        for number, some in enumerate(blocks):
            assert coming is not None
            bound, found = coming.result()
            if number + 1 < len(blocks):  # found while the rows of this block are looked at
                coming = ahead.submit(reach, blocks[number + 1])
            yield from _closer(codes, vectors, some, bound, found, k, least)


def _closer(
    codes: Codes,
    vectors: Any,
    queries: np.ndarray,
    bound: np.ndarray,
    found: list[tuple[np.ndarray, np.ndarray] | None],
    k: int,
    least: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`candidates` of (m, d) queries of which is known what the estimates found down to `bound` (m,)."""
    margin = np.float32(_SURE) * np.array([codes.spread(query) for query in queries], np.float32)
    looked = [
        _looked(vectors, query, reached, k, least, apart)
        for query, reached, apart in zip(queries, found, margin, strict=True)
    ]
    wanted = np.array([np.inf if one is None else one[2] for one in looked], np.float32)
    again = np.flatnonzero(wanted < bound)
    further = codes.signs.reach(queries[again], wanted[again]) if len(again) else []
    for number, reached in zip(again.tolist(), further, strict=True):
        looked[number] = _looked(vectors, queries[number], reached, k, least, margin[number])
    for one, query in zip(looked, queries, strict=True):
        if one is not None:
            yield one[:2]
            continue
        rows = codes.top(query, least, vectors)
        yield rows, float32_scores(vectors, rows, query[:, None])[:, 0]


def _looked(
    vectors: Any, query: np.ndarray, reached: tuple[np.ndarray, np.ndarray] | None, k: int, least: int, margin: float
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Of rows with their estimates those that may be among the k nearest, `least` or more, their scores, and how far
    down estimates have to be looked at; None where there are too few or too many."""
    if reached is None or len(reached[0]) < least:
        return None
    rows, estimates = reached
    first = max(least, _FIRST + 2 * k)
    if len(rows) > first:
        order = np.argpartition(-estimates, first)
        rows, estimates = rows[order], estimates[order]
    scores = float32_scores(vectors, rows[:first], query[:, None])[:, 0]
    wanted = float(np.partition(scores, len(scores) - k)[-k]) - margin
    more = rows[first:][estimates[first:] >= wanted]
    added = float32_scores(vectors, more, query[:, None])[:, 0]
    return np.concatenate([rows[:first], more]), np.concatenate([scores, added]), wanted

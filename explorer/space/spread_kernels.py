"""Compiled loops of `spread`: the symmetric graph by counting sort, and forward push. Kept on disk once compiled."""

from typing import Any

import numpy as np
from numba import njit

from explorer.space.scan_kernels import BLOCK, take
from explorer.space.shares import in_shares

_EDGES = 300_000
"""Edges that one column looks at, at most: a hub that would exceed it is left out."""


@njit(cache=True, nogil=True)
def _reversed(rows: np.ndarray, away: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who names whom, turned round: for each row those that name it, in ascending order. CSR (n + 1,), (e,), (e,)."""
    n, k = rows.shape
    starts = np.zeros(n + 1, np.int64)
    for row in range(n):
        for place in range(k):
            starts[rows[row, place] + 1] += 1
    for row in range(n):
        starts[row + 1] += starts[row]
    at = starts[:-1].copy()
    sources, weights = np.empty(starts[n], np.int32), np.empty(starts[n], np.float32)
    for row in range(n):
        for place in range(k):
            other = rows[row, place]
            sources[at[other]] = row
            weights[at[other]] = _weight(away[row, place])
            at[other] += 1
    return starts, sources, weights


@njit(cache=True, nogil=True, inline="always")
def _weight(distance: float) -> Any:
    near = max(np.float32(1) - distance, np.float32(0))
    return near * near * near


@njit(cache=True, nogil=True)
def _merge(
    own: np.ndarray,
    own_weights: np.ndarray,
    row: int,
    sources: np.ndarray,
    weights: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    keep: bool,
) -> int:
    """The union of two ascending lists, each other row once with its largest weight; returns how many. Writes them
    only if `keep`. Edges of no weight and to the row itself are left out."""
    count, left, right, last = 0, 0, 0, -1
    while left < len(own) or right < len(sources):
        if right >= len(sources) or (left < len(own) and own[left] <= sources[right]):
            other, weight = own[left], own_weights[left]
            left += 1
        else:
            other, weight = sources[right], weights[right]
            right += 1
        if other == row or not weight > 0:
            continue
        if other == last:
            if keep:
                values[count - 1] = max(values[count - 1], weight)
            continue
        if keep:
            columns[count] = other
            values[count] = weight
        last = other
        count += 1
    return count


@njit(cache=True, nogil=True)
def _ascending(rows: np.ndarray, away: np.ndarray, own: np.ndarray, weights: np.ndarray) -> None:
    """A row's few neighbours in ascending order (by insertion), with their weights."""
    for place in range(len(rows)):
        other, weight = rows[place], _weight(away[place])
        at = place
        while at > 0 and own[at - 1] > other:
            own[at], weights[at] = own[at - 1], weights[at - 1]
            at -= 1
        own[at], weights[at] = other, weight


@njit(cache=True, nogil=True)
def _merged(
    counter: np.ndarray,
    rows: np.ndarray,
    away: np.ndarray,
    starts: np.ndarray,
    sources: np.ndarray,
    weights: np.ndarray,
    sizes: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    root: np.ndarray,
) -> None:
    """One share of the symmetric graph: without room in `columns` the number of edges of each row, into sizes[1:];
    with it the edges from sizes[row] on, and the root of the row's degree."""
    n, k = rows.shape
    keep = len(columns) > 0
    own, near = np.empty(k, np.int32), np.empty(k, np.float32)
    start = take(counter) * BLOCK
    while start < n:
        for row in range(start, min(start + BLOCK, n)):
            _ascending(rows[row], away[row], own, near)
            here = slice(starts[row], starts[row + 1])
            if keep:
                to = slice(sizes[row], sizes[row + 1])
                _merge(own, near, row, sources[here], weights[here], columns[to], values[to], True)
                degree = 0.0
                for at in range(sizes[row], sizes[row + 1]):
                    degree += values[at]
                root[row] = np.sqrt(degree)
            else:
                sizes[row + 1] = _merge(own, near, row, sources[here], weights[here], columns, values, False)
        start = take(counter) * BLOCK


@njit(cache=True, nogil=True)
def _scaled(counter: np.ndarray, sizes: np.ndarray, columns: np.ndarray, values: np.ndarray, root: np.ndarray) -> None:
    """One share of the edges divided by the roots of both ends' degrees."""
    n = len(root)
    start = take(counter) * BLOCK
    while start < n:
        for row in range(start, min(start + BLOCK, n)):
            for at in range(sizes[row], sizes[row + 1]):
                values[at] /= root[row] * root[columns[at]]
        start = take(counter) * BLOCK


def symmetric(rows: np.ndarray, away: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(n, k) int32 neighbours and (n, k) float32 distances to S in CSR: (n + 1,) int64 starts, (e,) int32 columns,
    (e,) float32 values, and (n,) float32 roots of the degrees."""
    graph = (rows, away, *_reversed(rows, away))
    sizes, root = np.zeros(len(rows) + 1, np.int64), np.zeros(len(rows), np.float32)
    work = 100.0 * rows.size
    in_shares(_merged, work, *graph, sizes, np.empty(0, np.int32), np.empty(0, np.float32), root)
    np.cumsum(sizes, out=sizes)
    columns, values = np.empty(sizes[-1], np.int32), np.empty(sizes[-1], np.float32)
    if len(columns):
        in_shares(_merged, work, *graph, sizes, columns, values, root)
        in_shares(_scaled, work, sizes, columns, values, root)
    return sizes, columns, values, root


@njit(cache=True, nogil=True)
def push(
    starts: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    root: np.ndarray,
    place: np.ndarray,
    seed: int,
    alpha: float,
    most: int,
    least: float,
) -> tuple[np.ndarray, np.ndarray]:
    """A column of (I - alpha S)^-1: the rows reached, in no order, and their values.

    Where more than a share of what entered is left at a row, relative to the root of its degree, it settles there and
    alpha of it moves on along S. The share shrinks from round to round down to `least`, so that the nearest `most`
    rows are opened first; when they are, those alone go on. Rows are numbered as they are touched and the edges of an
    opened row copied, so that everything after that happens in the processor's cache. `place` (n,) of -1 is scratch,
    and left as it was.
    """
    room = max(_EDGES, starts[seed + 1] - starts[seed])
    ids = np.empty(room + 1, np.int32)
    left, settled = np.empty(room + 1, np.float64), np.empty(room + 1, np.float64)
    roots = np.empty(room + 1, np.float32)
    first, after = np.empty(room + 1, np.int32), np.empty(room + 1, np.int32)
    to, share_of = np.empty(room, np.int32), np.empty(room, np.float32)
    opened = np.empty(most, np.int32)
    ids[0], left[0], settled[0], roots[0], first[0], place[seed] = seed, 1.0, 0.0, root[seed], -1, 0
    touched, count, edges = 1, 0, 0
    unit = 1.0 / max(roots[0], 1e-30)
    share = 0.1
    while True:
        bound = max(share, least) * unit
        busy = True
        while busy:
            busy = False
            at = 0
            while at < touched:  # grows meanwhile
                rest = left[at]
                if rest > bound * roots[at]:
                    if first[at] < 0:
                        row = ids[at]
                        degree = starts[row + 1] - starts[row]
                        if count == most or edges + degree > room:
                            at += 1
                            continue
                        first[at] = edges
                        opened[count] = at
                        count += 1
                        for edge in range(starts[row], starts[row + 1]):
                            other = columns[edge]
                            here = place[other]
                            if here < 0:
                                here = touched
                                place[other] = here
                                ids[here], roots[here] = other, root[other]
                                left[here], settled[here], first[here] = 0.0, 0.0, -1
                                touched += 1
                            to[edges] = here
                            share_of[edges] = alpha * values[edge]
                            edges += 1
                        after[at] = edges
                    busy = True
                    left[at] = 0.0
                    settled[at] += rest
                    for edge in range(first[at], after[at]):
                        left[to[edge]] += share_of[edge] * rest
                at += 1
        if share <= least or count == most:
            break
        share *= 0.3
    bound = least * unit
    busy = True
    while busy:
        busy = False
        for at in opened[:count]:
            rest = left[at]
            if rest > bound * roots[at]:
                busy = True
                left[at] = 0.0
                settled[at] += rest
                for edge in range(first[at], after[at]):
                    left[to[edge]] += share_of[edge] * rest
    for at in range(touched):
        place[ids[at]] = -1
    return ids[opened[:count]], settled[opened[:count]]


@njit(cache=True, nogil=True)
def push_all(
    starts: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    root: np.ndarray,
    place: np.ndarray,
    seeds: np.ndarray,
    alpha: float,
    most: int,
    least: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`push` from each of the seeds, rows ascending: (k + 1,) int64 ends, int64 rows and float32 values one after the
    other. One call for many, since other threads run between two calls."""
    ends = np.zeros(len(seeds) + 1, np.int64)
    rows, found = np.empty(len(seeds) * most, np.int64), np.empty(len(seeds) * most, np.float32)
    for number in range(len(seeds)):
        reached, settled = push(starts, columns, values, root, place, seeds[number], alpha, most, least)
        at = ends[number]
        for here in np.argsort(reached):
            rows[at], found[at] = reached[here], settled[here]
            at += 1
        ends[number + 1] = at
    return ends, rows[: ends[-1]], found[: ends[-1]]

"""The graph of each picture's nearest others: computed once, it feeds the map, the groups and the odd ones out.

Above EXACT rows they are put into lists around centres (k-means), and each row is compared with the rows of the few
lists whose centres are nearest to it, as inverted files do (Sivic & Zisserman, 2003). Unlike a search, all rows ask at
once: those of one list want nearly the same lists, so that the comparisons are products of matrices, at the speed of
the processor instead of the memory.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import numpy as np

from explorer.extractors.backends import usable_cores

T = TypeVar("T")

NEIGHBOURS = 15
EXACT = 10_000
"""Up to here every pair is compared."""
PROBES, FINER = 16, 0.5
"""Lists that a row is compared with, and how many there are: FINER * sqrt(n * PROBES). Of the 15 nearest they find .98
on 70,000 pictures of clothes (lite0), .998 on 100,000 made vectors."""
_ROUNDS, _SAMPLE = 4, 16
"""Of k-means, and rows for each centre: better centres find hardly more neighbours."""
_CHUNK, _WIDE = 4_096, 2_048

Step = Callable[[int, int], None]
"""Called with (done, total); may raise Cancelled."""


class Lists:
    """Rows of (n, d) float32 unit vectors by the list they are in: which rows are nearest to given ones?"""

    def __init__(self, vectors: np.ndarray, seed: int = 0) -> None:
        n = len(vectors)
        count = 1 if n <= EXACT else int(np.sqrt(n * PROBES) * FINER)
        self.centres = _centres(vectors, count, seed)
        # lists that are near each other stand next to each other, so that those asked together want the same ones
        coarse = _centres(self.centres, int(np.sqrt(count)), seed)
        self.centres = self.centres[np.argsort(_wanted(self.centres, coarse, 1)[:, 0], kind="stable")]
        self.wanted = _wanted(vectors, self.centres, min(PROBES, count))
        home = self.wanted[:, 0]
        self.order = np.argsort(home, kind="stable").astype(np.int32)
        """(n,) the rows, list by list."""
        self.starts = np.searchsorted(home[self.order], np.arange(count + 1))
        self.sorted = vectors[self.order] if count > 1 else vectors

    def nearest(
        self, queries: np.ndarray, k: int, own: bool = False, step: Step | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(m, k) int32 rows and (m, k) float32 inner products, largest first, for (m, d) queries; lists that came out
        short are filled with their last one. `own`: query i is row i, and is not among its own."""
        m, k = len(queries), min(k, len(self.order) - own)
        wanted = self.wanted if own else _wanted(queries, self.centres, min(PROBES, len(self.centres)))
        # those that want the same lists are asked for together
        asked = self.order if own else np.argsort(wanted[:, 0], kind="stable").astype(np.int32)
        rows, scores = np.empty((m, k), np.int32), np.empty((m, k), np.float32)

        def search(start: int) -> int:
            some = asked[start : start + _CHUNK]
            me = np.arange(start, start + len(some)) if own else np.full(len(some), -1)
            found, best = self._search(queries[some], wanted[some], me, k)
            rows[some], scores[some] = self.order[found], best
            return len(some)

        done = 0
        for count in _spread(search, range(0, m, _CHUNK)):
            done += count
            if step:
                step(done, m)
        return rows, scores

    def _search(
        self, queries: np.ndarray, wanted: np.ndarray, own: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        from explorer.space.graph_kernels import keep_best

        m, probes = wanted.shape
        best, rows = np.full((m, k), -np.inf, np.float32), np.full((m, k), -1, np.int64)
        order = np.argsort(wanted, axis=None, kind="stable")
        lists = wanted.ravel()[order]
        edges = np.flatnonzero(np.concatenate([[True], lists[1:] != lists[:-1], [True]]))
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            places = order[start:stop] // probes
            first, last = self.starts[lists[start]], self.starts[lists[start] + 1]
            some = queries[places]
            for at in range(first, last, _WIDE):
                keep_best(some @ self.sorted[at : min(at + _WIDE, last)].T, at, places, own, best, rows)
        for column in range(1, k):
            short = rows[:, column] < 0
            rows[short, column], best[short, column] = rows[short, column - 1], best[short, column - 1]
        return rows, best


def neighbour_graph(
    vectors: np.ndarray, k: int = NEIGHBOURS, step: Step | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Each row's k nearest other rows of (n, d) float32 unit vectors, nearest first.

    Returns (n, m) int32 rows and (n, m) float32 cosine distances with m = min(k, n - 1). A row is never its own
    neighbour, however many others are equal to it.
    """
    n = len(vectors)
    m = min(k, n - 1)
    if m == 0:
        return np.empty((n, 0), np.int32), np.empty((n, 0), np.float32)
    rows, scores = Lists(vectors, seed).nearest(vectors, m, own=True, step=step)
    return rows, np.maximum(1 - scores, 0)


def _centres(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count, d) float32 of length one: spherical k-means on a sample; a centre left without rows becomes one."""
    from explorer.space.graph_kernels import add_up

    n, d = vectors.shape
    rng = np.random.default_rng(seed)
    sample = vectors[np.sort(rng.choice(n, min(n, _SAMPLE * count), replace=False))]
    centres = sample[np.sort(rng.choice(len(sample), count, replace=False))]
    for _ in range(_ROUNDS if count > 1 else 0):
        labels = _wanted(sample, centres, 1)[:, 0]
        sums = np.zeros((count, d), np.float32)
        add_up(sample, labels, sums)
        empty = np.flatnonzero(np.bincount(labels, minlength=count) == 0)
        sums[empty] = sample[rng.choice(len(sample), len(empty), replace=False)]
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return centres


def _wanted(vectors: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """(n, count) int64: the nearest centres of each row, nearest first."""
    from explorer.space.graph_kernels import keep_best

    n = len(vectors)
    found = np.zeros((n, count), np.int64)
    if len(centres) == 1:
        return found

    def ask(start: int) -> None:
        scores = vectors[start : start + _CHUNK] @ centres.T
        best = np.full((len(scores), count), -np.inf, np.float32)
        places = np.arange(len(scores))
        keep_best(scores, 0, places, np.full(len(scores), -1), best, found[start : start + _CHUNK])

    for _ in _spread(ask, range(0, n, _CHUNK)):
        pass
    return found


def _spread(work: Callable[[int], T], starts: range) -> Iterator[T]:
    """Run `work` on each start, on as many threads as there are cores, each with a matrix product of its own."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(usable_cores()) as pool:
        futures = [pool.submit(work, start) for start in starts]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise

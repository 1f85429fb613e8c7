"""Nearest neighbours by inner product: exact where that is fast enough, FAISS inverted lists above.

The graph of each picture's nearest others is computed once and feeds the map, the groups and the odd ones out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NEIGHBOURS = 15
EXACT_GRAPH = 20_000
"""Up to here every pair is compared: n^2 d / 2 steps, ten seconds on two cores."""
EXACT_SEARCH = 200_000
"""Up to here one search compares with everything: about 50 ms at 100,000 pictures of 512 numbers."""
_CHUNK = 4_096
_PROBES_GRAPH, _PROBES_SEARCH = 8, 16
"""Measured at 99,000: 6 of 4 sqrt(n) lists find .986 of the neighbours, 16 of 1,024 all of them."""

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
    search = _exact(vectors) if n <= EXACT_GRAPH else _inverted(build_index(vectors), _PROBES_GRAPH)
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


def nearest(vectors: np.ndarray, queries: np.ndarray, k: int, index: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of `vectors` with the largest inner product with each of (m, d) queries, largest first, equal ones
    in the order of the rows. Returns (m, k') int64 rows and (m, k') float32 scores, k' = min(k, n)."""
    k = min(k, len(vectors))
    queries = np.ascontiguousarray(queries, np.float32)
    search = _exact(vectors) if index is None else _inverted(index, _PROBES_SEARCH)
    scores, found = search(queries, k)
    order = np.lexsort((found, -scores), axis=1)
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(scores, order, axis=1)


Search = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def _exact(vectors: np.ndarray) -> Search:
    import faiss

    def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return faiss.knn(np.ascontiguousarray(queries), vectors, k, metric=faiss.METRIC_INNER_PRODUCT)

    return search


def _inverted(index: Any, probes: int) -> Search:
    import faiss

    parameters = faiss.SearchParametersIVF(nprobe=probes)  # type: ignore[call-arg]

    def search(queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return index.search(np.ascontiguousarray(queries), k, params=parameters)

    return search


def build_index(vectors: np.ndarray, seed: int = 0) -> Any:
    """FAISS inverted lists with half-precision vectors inside, over (n, d) unit vectors."""
    import faiss

    n, d = vectors.shape
    lists = int(min(4 * np.sqrt(n), n / 39))
    quantizer = faiss.IndexFlatIP(d)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, d, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed, index.cp.niter = seed + 1, 6
    sample = np.random.default_rng(seed).choice(n, min(n, 64 * lists), replace=False)
    index.train(vectors[np.sort(sample)])
    for start in range(0, n, 16_384):
        index.add(np.ascontiguousarray(vectors[start : start + 16_384]))
    return index


def write_index(index: Any, path: Path) -> None:
    import faiss

    faiss.write_index(index, str(path))


def read_index(path: Path) -> Any:
    """The index of a file, memory-mapped."""
    import faiss

    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP)

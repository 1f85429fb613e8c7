"""The map: pictures that are near each other in a space lie near each other on two axes.

UMAP (McInnes et al., 2018) laid out from the shared neighbour graph, begun at the two main axes of the vectors, with
a fixed seed, so that the same pictures always give the same map.
"""

import threading
import warnings

import numpy as np

SMALLEST = 20
"""Below this a neighbour graph has nothing to say that the main axes do not."""
_SAMPLE = 20_000
_one_at_a_time = threading.Lock()
"""numba's default threading aborts the process when two layouts run at once."""


def project(vectors: np.ndarray, neighbours: np.ndarray, distances: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n, d) vectors and their neighbour graph to (n, 2) float32 in [-1, 1], aspect kept. n may be 1."""
    start = main_axes(vectors, seed)
    if len(vectors) < SMALLEST or not np.ptp(start, axis=0).any():
        return fitted(start)
    return fitted(_umap(start, neighbours, distances, seed))


def main_axes(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n, 2) float64: the two principal components, each with its largest loading positive."""
    n, d = vectors.shape
    sample = vectors
    if n > _SAMPLE:
        sample = vectors[np.sort(np.random.default_rng(seed).choice(n, _SAMPLE, replace=False))]
    mean = sample.mean(axis=0, dtype=np.float64)
    centred = sample - mean.astype(np.float32)
    if len(centred) < d:  # the axes from the smaller of the two matrices of inner products
        values, left = np.linalg.eigh((centred @ centred.T).astype(np.float64))
        axes = centred.T.astype(np.float64) @ left[:, -2:]
    else:
        values, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        axes = axes[:, -2:]
    axes = axes[:, ::-1]
    values = values[-2:][::-1]
    kept = values > max(1e-9 * max(float(values.max(initial=0)), 0), 1e-9)
    lengths = np.linalg.norm(axes, axis=0)
    axes = np.where(lengths > 0, axes / np.maximum(lengths, 1e-30), 0)
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    scores = (vectors - mean.astype(np.float32)).astype(np.float64) @ (axes * signs)
    result = np.zeros((n, 2))
    result[:, : scores.shape[1]] = np.where(kept, scores, 0)
    return result


def fitted(xy: np.ndarray) -> np.ndarray:
    """(n, 2) moved and scaled into [-1, 1], both axes alike, as float32."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    half = float((high - low).max()) / 2
    return ((xy - (low + high) / 2) / (half or 1.0)).astype(np.float32).clip(-1, 1)


def place(neighbour_xy: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Where new pictures go on a map that is kept: the mean of their neighbours' places, near ones counting more.

    (m, k, 2) places and (m, k) cosine distances to (m, 2) float32.
    """
    weights = 1 / (distances.astype(np.float64) + 0.05) ** 2
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("mk,mkc->mc", weights, neighbour_xy).astype(np.float32)


def _umap(start: np.ndarray, neighbours: np.ndarray, distances: np.ndarray, seed: int) -> np.ndarray:
    own = np.arange(len(start), dtype=np.int32)[:, None]
    rows = np.concatenate([own, neighbours], axis=1)
    reach = np.concatenate([np.zeros_like(own, dtype=np.float32), distances], axis=1)
    with _one_at_a_time, warnings.catch_warnings():
        # about single-threading, which the seed needs, and about later transforms, which `place` does instead
        warnings.simplefilter("ignore")
        import umap
        from umap import umap_

        for function in (umap_.smooth_knn_dist, umap_.compute_membership_strengths):
            function.enable_caching()  # umap compiles these anew in each process: eleven seconds
        layout = umap.UMAP(
            n_neighbors=rows.shape[1],
            precomputed_knn=(rows, reach),
            metric="cosine",
            init=_spread(start, seed),
            random_state=seed,
            n_jobs=1,
        )
        # with the neighbours given, the vectors themselves are not looked at: the starting places stand in for them
        return layout.fit_transform(start.astype(np.float32))


def _spread(start: np.ndarray, seed: int) -> np.ndarray:
    """Starting places ten wide, each a hair off, so that equal pictures can part (as umap does it itself)."""
    scaled = 10 * start / np.abs(start).max()
    return (scaled + np.random.default_rng(seed).normal(scale=1e-4, size=start.shape)).astype(np.float32)

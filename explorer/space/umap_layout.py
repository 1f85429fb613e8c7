"""The map by umap-learn itself, for whoever wants the reference instead of our own loops (`projection`)."""

import threading
import warnings

import numpy as np

_one_at_a_time = threading.Lock()
"""numba's default threading aborts the process when two layouts run at once."""


def umap_learn(start: np.ndarray, neighbours: np.ndarray, distances: np.ndarray, seed: int) -> np.ndarray:
    """(n, 2) starting places and their (n, k) neighbour graph to (n, 2) places; the same for the same seed.

    UMAP (McInnes, Healy & Melville, 2018). No progress is told, and the first call compiles for some seconds.
    """
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
            init=start,
            random_state=seed,
            n_jobs=1,
        )
        # with the neighbours given, the vectors themselves are not looked at: the starting places stand in for them
        return np.asarray(layout.fit_transform(start.astype(np.float32)))

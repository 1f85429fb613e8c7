"""Groups of pictures that are alike: even ones that hold every picture, and dense ones that leave the rest out."""

import numpy as np

FEWEST, MOST = 4, 40
DENSE = 200_000
"""Places on the map up to which all are looked at for dense groups: a quarter of a minute."""
_SAMPLE = 20_000


def kmeans(
    vectors: np.ndarray, seed: int = 0, centres: np.ndarray | None = None, count: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """k-means (Lloyd, k-means++ start) on (n, d) unit vectors: (n,) int32 groups and (k, d) float32 centres.

    About sqrt(n / 2) groups, 4 to 40 of them, the largest numbered 0. Given `centres` start from those and keep
    their numbers, so that a group stays what it was while pictures are added.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    n = len(vectors)
    if centres is None:
        wanted = count or int(np.clip(round(np.sqrt(n / 2)), FEWEST, MOST))
        wanted = min(wanted, max(1, n // 4))
    else:
        wanted = len(centres)
    sample = vectors
    if n > _SAMPLE:
        sample = vectors[np.sort(np.random.default_rng(seed).choice(n, _SAMPLE, replace=False))]
    wanted = min(wanted, len(np.unique(sample, axis=0)) if n <= 1_000 else wanted)
    start = "k-means++" if centres is None or len(centres) != wanted else np.asarray(centres, np.float32)
    fit = KMeans(wanted, init=start, n_init=3 if isinstance(start, str) else 1, max_iter=100, random_state=seed)
    with threadpool_limits(1):  # its threads wait for each other: on a busy machine five times the work
        fit.fit(np.ascontiguousarray(sample, np.float32))
    found = fit.cluster_centers_.astype(np.float32)
    labels = nearest_centre(vectors, found)
    if centres is None:
        order = np.argsort(-np.bincount(labels, minlength=wanted), kind="stable")
        found, labels = found[order], np.argsort(order)[labels].astype(np.int32)
    return labels, found


def nearest_centre(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(n,) int32, the nearest of (k, d) centres for each row."""
    lengths = (centres**2).sum(axis=1)
    chunks = [
        np.argmax(2 * (vectors[start : start + 16_384] @ centres.T) - lengths, axis=1)
        for start in range(0, len(vectors), 16_384)
    ]
    return np.concatenate(chunks).astype(np.int32)


def dense_groups(xy: np.ndarray, seed: int = 0) -> np.ndarray:
    """HDBSCAN (Campello et al., 2013) on (n, 2) map places: (n,) int32, -1 for pictures in no group, the largest 0.

    Above DENSE places the groups are those of half as many, drawn from all; the others go with the nearest of them.
    """
    n = len(xy)
    smallest = max(5, round(np.sqrt(n) / 3))
    if n < 2 * smallest:
        return np.full(n, -1, np.int32)
    if n <= DENSE:
        labels = _hdbscan(xy, smallest)
    else:
        from scipy.spatial import cKDTree

        some = xy[np.sort(np.random.default_rng(seed).choice(n, DENSE // 2, replace=False))]
        found = _hdbscan(some, max(5, round(smallest * len(some) / n)))
        labels = found[cKDTree(some).query(xy, workers=-1)[1]]
    sizes = np.bincount(labels[labels >= 0])
    numbers = np.append(np.argsort(np.argsort(-sizes, kind="stable"), kind="stable"), -1)
    return numbers[labels].astype(np.int32)


def _hdbscan(xy: np.ndarray, smallest: int) -> np.ndarray:
    """(n,) int64 groups of at least `smallest`, -1 for none."""
    import hdbscan

    # one group that swallows most of the map says nothing: then the tips of the tree are taken
    for selection in ("eom", "leaf"):
        labels: np.ndarray = hdbscan.HDBSCAN(
            min_cluster_size=smallest, min_samples=5, cluster_selection_method=selection, core_dist_n_jobs=1
        ).fit_predict(xy.astype(np.float64))
        if np.bincount(labels + 1)[1:].max(initial=0) <= len(xy) / 2:
            break
    return labels

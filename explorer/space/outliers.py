"""Pictures unlike the rest: alone where they are, or far from where the collection mostly is."""

import numpy as np
import pandas as pd

AXES = 100
REACH = 45
"""How many neighbours `outlier_table` wants to see the distances of."""
_COMPANY = 15
"""Neighbours that may be odd themselves: a handful of strangers of one kind have each other near.

Measured by `python -m benchmarks quality` (average precision for 20 strangers among 1,470 drawings, chance .019):
photographs .39, five each of four kinds .09. Twenty handwritten digits (.01) or printed pages (.01) are not found:
they make a group of their own that lies among the drawings. The first 15 neighbours counted instead gave .01 for
photographs; 50 axes serve one large kind better and several small ones worse, 200 the other way round."""
_SAMPLE = 20_000


def outlier_table(vectors: np.ndarray, distances: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """How odd each of (n, d) unit vectors is, in their order. `distances` (n, m): to the m <= REACH nearest others.

    Columns: knn_distance (mean cosine distance to the nearest others beyond the first few), centre_distance (see
    `central_distance`),
    score in 0..1 (mean of the two percentile ranks), rank (1 is the oddest). One measure alone is blind: a few odd
    pictures of the same kind have each other near, and a lone picture may lie in the middle of everything.
    """
    apart = lonely(distances)
    far = central_distance(vectors, seed)
    score = (percentile(apart) + percentile(far)) / 2
    rank = np.empty(len(score), np.int64)
    rank[np.lexsort((np.arange(len(score)), -score))] = np.arange(1, len(score) + 1)
    return pd.DataFrame(
        {
            "knn_distance": apart.astype(np.float32),
            "centre_distance": far.astype(np.float32),
            "score": score.astype(np.float32),
            "rank": rank,
        }
    )


def lonely(distances: np.ndarray) -> np.ndarray:
    """(n,) mean distance to the others beyond the first few, of (n, m) distances to the nearest, in their order."""
    m = distances.shape[1]
    return distances[:, min(_COMPANY, m // 3) :].mean(axis=1) if m else np.zeros(len(distances), np.float32)


def central_distance(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n,) Mahalanobis distance from the mean along the main axes of (n, d) vectors.

    At most 100 axes, each variance raised by that of the first axis left out, so that no axis counts which the sample
    has hardly measured.
    """
    from scipy.linalg import eigh

    n = len(vectors)
    if n < 3:
        return np.zeros(n)
    sample = vectors
    if n > _SAMPLE:
        sample = vectors[np.sort(np.random.default_rng(seed).choice(n, _SAMPLE, replace=False))]
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = sample - mean
    d = vectors.shape[1]
    count = min(AXES, len(sample) - 1, d)
    values, axes = eigh(
        (centred.T @ centred).astype(np.float64) / len(sample), subset_by_index=[max(d - count - 1, 0), d - 1]
    )
    values, axes = values[::-1], axes[:, ::-1]
    floor = max(float(values[count]) if count < len(values) else 0.0, 1e-9)
    scaled = axes[:, :count] / np.sqrt(np.maximum(values[:count], 0) + floor)
    chunks = [
        np.linalg.norm((vectors[start : start + 16_384] - mean) @ scaled, axis=1) for start in range(0, n, 16_384)
    ]
    return np.concatenate(chunks)


def percentile(values: np.ndarray) -> np.ndarray:
    """(n,) share of the values that are smaller, equal ones sharing the middle of theirs; in 0..1."""
    from scipy.stats import rankdata

    return (rankdata(values) - 0.5) / max(len(values), 1)

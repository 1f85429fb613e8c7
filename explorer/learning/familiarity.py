"""Pictures unlike anything that was answered: whatever the classifier says of them, it is not sure.

Unlike is further from every answered picture than answered pictures are from one another: below the 2nd percentile of
their similarity to the nearest other answer that is no near-duplicate.
"""

import numpy as np

FEWEST = 20
"""Answers before which nothing is called unlike them: they know too little of the collection."""
_RARE = 2.0
_MOST = 2_000
"""Answers that are compared with, evenly taken."""
_BLOCK = 8_192


def unlike(vectors: np.ndarray, rows: np.ndarray, answered: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(k,) bool for (k,) rows of (n, d) unit vectors; `answered` (m,) rows with a class and their (m,) groups.

    An answered row is never unlike.
    """
    out = np.zeros(len(rows), bool)
    if len(np.unique(groups)) < FEWEST:
        return out
    if len(answered) > _MOST:
        kept = np.linspace(0, len(answered) - 1, _MOST).astype(int)
        answered, groups = answered[kept], groups[kept]
    known = np.asarray(vectors[answered], np.float32)
    alike = known @ known.T
    alike[groups[:, None] == groups] = -1
    least = np.percentile(alike.max(axis=1), _RARE)
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        out[start : start + _BLOCK] = (np.asarray(vectors[some], np.float32) @ known.T).max(axis=1) < least
    out[np.isin(rows, answered)] = False
    return out

"""Answers spread along the neighbour graph: what one answer says of the pictures around it, one column at a time.

Label spreading (Zhou et al. 2004, Learning with local and global consistency) gives every picture the sum of the
columns of (I - alpha S)^-1 that belong to the answered pictures. A column is nearly zero far from its picture, so it is
found by looking only at the pictures around it, and a new answer costs one more column.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

NEAREST = 10
"""Neighbours of each picture that count: with alpha .8 and cubed cosines they gain up to 8 points at few answers."""
ALPHA = 0.8
MOST = 1_800
"""Pictures that one answer reaches at most."""
_HELD = 2_048
"""Columns kept: 22 kB each at most."""
_AT_ONCE = 256
"""Columns found in one call of the kernel: 6 MB."""
_SHARE = 2e-7
"""What still flows is followed while it is above this share of what entered."""


class Spread:
    """The graph of (n, m) neighbours and cosine distances made symmetric, and columns of its (I - alpha S)^-1.

    An edge weighs max(1 - distance, 0)^3, the larger of its two directions, and S = D^-1/2 W D^-1/2 with the degrees D.
    Building takes about three seconds at a million pictures. Thread-safe.
    """

    def __init__(self, neighbours: np.ndarray, distances: np.ndarray, alpha: float = ALPHA) -> None:
        from explorer.space import spread_kernels as kernels

        k = min(NEAREST, neighbours.shape[1])
        rows = np.ascontiguousarray(neighbours[:, :k], np.int32)
        away = np.ascontiguousarray(distances[:, :k], np.float32)
        self.n, self.alpha = len(rows), alpha
        self.starts, self.columns, self.values, self.root = kernels.symmetric(rows, away)
        self._push = kernels.push_all
        self._place = np.full(self.n, -1, np.int32)
        self._lock = threading.Lock()
        self._held: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()

    def column(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """What an answer of weight one on `row` gives to the pictures around it, and to itself.

        Returns (m,) int64 rows, ascending, and (m,) float32 values above zero, m <= MOST; both read-only. By forward
        push (Andersen, Chung & Lang 2006): each value is at most the true one, and short of it by less than
        `_SHARE` / (1 - alpha) times the root of the two pictures' ratio of degrees, unless MOST cut it off. A picture
        without a neighbour has itself alone, with value 1. Raises IndexError for a row that is not there.
        """
        return self.many([row])[0]

    def many(self, rows: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
        """The `column` of each of these rows; those that are not known yet are found in one go."""
        for row in rows:
            if not 0 <= row < self.n:
                raise IndexError(f"There is no row {row}; there are {self.n}.")
        with self._lock:
            missing = [row for row in dict.fromkeys(rows) if row not in self._held]
            found = {row: self._held[row] for row in rows if row in self._held}
            for start in range(0, len(missing), _AT_ONCE):
                found |= self._compute(missing[start : start + _AT_ONCE])
            for row in rows:
                self._held[row] = found[row]
                self._held.move_to_end(row)
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        return [found[row] for row in rows]

    def _compute(self, rows: list[int]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        graph = (self.starts, self.columns, self.values, self.root)
        seeds = np.array(rows, np.int64)
        ends, reached, values = self._push(*graph, self._place, seeds, self.alpha, MOST, _SHARE)
        found = {}
        for number, row in enumerate(rows):
            own = slice(ends[number], ends[number + 1])
            column = reached[own].copy(), values[own].copy()
            column[0].flags.writeable = column[1].flags.writeable = False
            found[row] = column
        return found

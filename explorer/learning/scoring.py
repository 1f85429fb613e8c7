"""Scores of every picture: a fast scan of the int8 codes, exact in float32 wherever the difference could matter.

The scan knows how far each row can be off. Orders and decisions are settled by recomputing, in float32, every row that
could change them: they are those of float32 over the whole space.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from explorer.learning.classifier import LinearClassifier, softmax
from explorer.learning.spreading import Spreading

if TYPE_CHECKING:
    from explorer.space import Space

SCANNED_FROM = 16_384
"""Pictures from which the codes are scanned; fewer are computed in float32 at once, in the same time."""
_BLOCK = 16_384


class Scored:
    """One classifier over one space. Arrays are computed when first asked for, and read-only."""

    def __init__(self, space: "Space", classifier: LinearClassifier, spreading: Spreading | None) -> None:
        self.space, self.classifier, self.spreading = space, classifier, spreading
        self.n, self.classes = len(space.uids), classifier.weights.shape[1]
        self._logits, self._error = self._scan()

    @property
    def error(self) -> np.ndarray | None:
        """(n,) float32: how far each logit can be from its float32 value; None where they are those."""
        return self._error

    def exact(self, rows: np.ndarray) -> np.ndarray:
        """(m,) rows to (m, C) float32 logits over the stored vectors."""
        out = np.empty((len(rows), self.classes), np.float32)
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            out[start : start + _BLOCK] = self.classifier.logits(self.space.vectors[some])
        return self._spread(out, rows)

    def probabilities_of(self, rows: np.ndarray) -> np.ndarray:
        """(m,) rows to (m, C) float32 exact probabilities."""
        return softmax(self.exact(rows))

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(n, C) float32; the likeliest class of every row is that of float32, the values are within the bound."""
        logits = self._logits.copy()
        if self._error is not None:
            best = np.partition(logits, self.classes - 2, axis=1)[:, -2:]
            unsettled = np.flatnonzero(best[:, 1] - best[:, 0] <= 2 * self._error)
            logits[unsettled] = self.exact(unsettled)
        shares = softmax(logits)
        shares.flags.writeable = False
        return shares

    @cached_property
    def doubt(self) -> np.ndarray:
        """(n,) float32: 1 where the two best classes are equally likely, 0 where one is certain (margin sampling)."""
        from explorer.learning.kernels import doubt

        return doubt(self._logits)

    def top(self, place: int | None, n: int, allowed: np.ndarray | None = None) -> np.ndarray:
        """The first n rows by how likely class `place` is (None: whichever is likeliest), exactly as by float32.

        `allowed` (n,) bool keeps some rows only. Equal rows come in the order of their numbers; the first places are
        the same whatever n is.
        """
        from explorer.learning.kernels import advantage, largest

        values = advantage(self._logits, -1 if place is None else place)
        if allowed is not None:
            values[~allowed] = -np.inf
        n = min(n, self.n if allowed is None else int(allowed.sum()))
        if n <= 0:
            return np.zeros(0, np.int64)
        if self._error is None:
            return largest(values, n)
        reach = 2 * self._error  # each of two logits may be off
        floor = float(largest_value(values - reach, n))
        rows = np.flatnonzero(values + reach >= floor)
        exact = advantage(self.exact(rows), -1 if place is None else place)
        return rows[np.lexsort((rows, -exact))[:n]]

    def _scan(self) -> tuple[np.ndarray, np.ndarray | None]:
        if self.n < SCANNED_FROM:
            return self._spread(self.classifier.logits(self.space.vectors), None), None
        classifier = self.classifier
        trained = np.flatnonzero(np.isfinite(classifier.bias))
        two = len(trained) == 2  # the second score is the first with its sign turned
        asked = trained[:1] if two else trained
        found, error = self.space.codes.scores(
            np.ascontiguousarray(classifier.weights[:, asked]), classifier.bias[asked].astype(np.float32)
        )
        temperature = np.float32(classifier.temperature)
        found *= temperature
        logits = np.full((self.n, self.classes), -np.inf, np.float32) if self.classes > len(trained) else None
        if two:
            found = np.concatenate([found, -found], axis=1)
        found += classifier.calibration.offsets[trained]
        if logits is None:
            logits = found
        else:
            logits[:, trained] = found
        widest = error if error.ndim == 1 else error.max(axis=1)
        return self._spread(logits, None), widest * temperature

    def _spread(self, logits: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
        """Add what the graph says, in place, to the logits of these rows (None: all)."""
        spreading = self.spreading
        weight = np.float32(self.classifier.calibration.spread_weight)
        if spreading is None or not weight or not len(spreading.rows):
            return logits
        if rows is None:
            logits[spreading.rows] += weight * spreading.shares
            return logits
        at = np.searchsorted(spreading.rows, rows)
        at[at == len(spreading.rows)] = 0
        reached = np.flatnonzero(spreading.rows[at] == rows)
        logits[reached] += weight * spreading.shares[at[reached]]
        return logits


def largest_value(values: np.ndarray, n: int) -> np.float32:
    """The n-th largest of (m,) values."""
    from explorer.learning.kernels import largest

    return np.float32(values[largest(values, n)[-1]])


class AttributeScored:
    """One yes-or-no classifier an attribute, each over all pictures; an attribute not yet learnt has none."""

    def __init__(self, space: "Space", parts: list[Scored | None]) -> None:
        self.space, self.parts = space, parts
        self.n, self.classes = len(space.uids), len(parts)

    def probabilities_of(self, rows: np.ndarray) -> np.ndarray:
        """(m,) rows to (m, C) float32: how likely each attribute is; 0 for one that has not been learnt."""
        out = np.zeros((len(rows), self.classes), np.float32)
        for place, part in self._learnt():
            out[:, place] = part.probabilities_of(rows)[:, 1]
        return out

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(n, C) float32, read-only."""
        out = np.zeros((self.n, self.classes), np.float32)
        for place, part in self._learnt():
            out[:, place] = part.probabilities[:, 1]
        out.flags.writeable = False
        return out

    @cached_property
    def doubt(self) -> np.ndarray:
        """(n,) float32: the mean doubt about the attributes."""
        learnt = [part.doubt for _, part in self._learnt()]
        return np.asarray(np.mean(learnt, axis=0), np.float32)

    def top(self, place: int | None, n: int, allowed: np.ndarray | None = None) -> np.ndarray:
        """The first n rows by how likely the attribute at `place` is, or by the likeliest of all attributes."""
        from explorer.learning.kernels import largest

        if place is not None:
            part = self.parts[place]
            return np.zeros(0, np.int64) if part is None else part.top(1, n, allowed)
        values = self.probabilities.max(axis=1)
        if allowed is None:
            return largest(values, n)
        rows = np.flatnonzero(allowed)
        return rows[largest(values[rows], n)]

    def _learnt(self) -> list[tuple[int, Scored]]:
        return [(place, part) for place, part in enumerate(self.parts) if part is not None]

"""Scores of every picture: a fast scan of the int8 codes, exact in float32 wherever the difference could matter.

The scan knows how far each row can be off. Orders and decisions are settled by recomputing, in float32, every row that
could change them: they are those of float32 over the whole space.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from explorer.learning.classifier import LinearClassifier, softmax
from explorer.learning.spreading import Spreading
from explorer.space.codes import float32_scores, largest

if TYPE_CHECKING:
    from explorer.space import Space

SCANNED_FROM = 16_384
"""Pictures from which the codes are scanned; fewer are computed in float32 at once, in the same time."""
_ROUNDING = np.float32(2e-6)
"""Of the largest logit: what calibrating, adding and comparing in float32 may come to beside the scan's own bound."""


class Scored:
    """One classifier over one space. Arrays are computed when first asked for, and read-only."""

    def __init__(self, space: "Space", classifier: LinearClassifier, spreading: Spreading | None) -> None:
        self.space, self.classifier, self.spreading = space, classifier, spreading
        self.n, self.classes = len(space.uids), classifier.weights.shape[1]
        self._trained = np.flatnonzero(np.isfinite(classifier.bias))
        # of two classes one score is enough: the other is the same with its sign turned
        self._asked = self._trained[: 1 if len(self._trained) == 2 else None]
        self._weights = np.ascontiguousarray(classifier.weights[:, self._asked])
        self._bias = classifier.bias[self._asked].astype(np.float32)
        if self.n < SCANNED_FROM:
            self._logits = self.exact(np.arange(self.n))
            self.error: np.ndarray | None = None
            """(n,) float32: how far each logit can be from its float32 value; None where they are those."""
        else:
            scores, error = space.codes.scores(self._weights, self._bias)
            self._logits = self._calibrated(scores, None)
            largest_logit = np.abs(self._logits[:, self._trained]).max()
            self.error = error * np.float32(classifier.temperature) + _ROUNDING * largest_logit

    def exact(self, rows: np.ndarray) -> np.ndarray:
        """(m,) rows to (m, C) float32 logits over the stored vectors."""
        return self._calibrated(float32_scores(self.space.vectors, rows, self._weights, self._bias), rows)

    def probabilities_of(self, rows: np.ndarray) -> np.ndarray:
        """(m,) rows to (m, C) float32 exact probabilities."""
        return softmax(self.exact(rows))

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(n, C) float32; the likeliest class of every row is that of float32, the values are within the bound."""
        logits = self._logits.copy()
        if self.error is not None:
            best = np.partition(logits, self.classes - 2, axis=1)[:, -2:]
            unsettled = np.flatnonzero(best[:, 1] - best[:, 0] <= 2 * self.error)
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
        from explorer.learning.kernels import advantage

        chosen = -1 if place is None else place
        odds = advantage(self._logits, chosen)
        if self.error is None:
            return largest(odds, n, allowed)
        reach = 2 * self.error  # each of two logits may be off
        sure = largest(odds - reach, n, allowed)
        if not len(sure):
            return sure
        floor = odds[sure[-1]] - reach[sure[-1]]
        near = odds + reach >= floor
        rows = np.flatnonzero(near if allowed is None else near & allowed)
        return rows[np.lexsort((rows, -advantage(self.exact(rows), chosen)))[:n]]

    def _calibrated(self, scores: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
        """Scores of these rows (None: all) to logits, with what the graph says of them."""
        calibration, spreading = self.classifier.calibration, self.spreading
        scores *= np.float32(calibration.temperature)
        if len(self._asked) < len(self._trained):
            scores = np.concatenate([scores, -scores], axis=1)
        scores += calibration.offsets[self._trained]
        logits = scores
        if self.classes > len(self._trained):
            logits = np.full((len(scores), self.classes), -np.inf, np.float32)
            logits[:, self._trained] = scores
        weight = np.float32(calibration.spread_weight)
        if spreading is None or not weight or not len(spreading.rows):
            return logits
        if rows is None:
            logits[spreading.rows] += weight * spreading.shares
        else:
            at = np.minimum(np.searchsorted(spreading.rows, rows), len(spreading.rows) - 1)
            reached = np.flatnonzero(spreading.rows[at] == rows)
            logits[reached] += weight * spreading.shares[at[reached]]
        return logits


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
        if place is not None:
            part = self.parts[place]
            return np.zeros(0, np.int64) if part is None else part.top(1, n, allowed)
        values = self.probabilities.max(axis=1)
        return largest(values, n, allowed)

    def _learnt(self) -> list[tuple[int, Scored]]:
        return [(place, part) for place, part in enumerate(self.parts) if part is not None]

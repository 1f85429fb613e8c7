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
    """One classifier over one space. Arrays are computed when first asked for, and read-only.

    The calibration is taken into the weights, so that what is scanned are logits; of two classes one column is enough,
    the lead of the first over the second.
    """

    def __init__(self, space: "Space", classifier: LinearClassifier, spreading: Spreading | None) -> None:
        self.space, self.classifier, self.spreading = space, classifier, spreading
        self.n, self.classes = len(space.uids), classifier.weights.shape[1]
        self._trained = np.flatnonzero(np.isfinite(classifier.bias))
        self._two = len(self._trained) == 2
        calibration = classifier.calibration
        weights = classifier.weights[:, self._trained] * np.float32(calibration.temperature)
        level = classifier.bias[self._trained] * np.float32(calibration.temperature)
        level += calibration.offsets[self._trained]
        self._weights, self._level = np.ascontiguousarray(self._folded(weights)), self._folded(level[None])[0]
        self._reached, self._added = np.zeros(0, np.int64), np.zeros((0, len(self._level)), np.float32)
        if spreading is not None and calibration.spread_weight:
            shares = spreading.shares[:, self._trained] * np.float32(calibration.spread_weight)
            self._reached, self._added = spreading.rows, self._folded(shares)
        self._scanned = self.n >= SCANNED_FROM
        if self._scanned:
            self._found = space.codes.approximate(self._weights, self._level)
            self._found[self._reached] += self._added
        else:
            self._found = self._exact(np.arange(self.n))

    @cached_property
    def error(self) -> np.ndarray | None:
        """(n,) float32: how far each found number can be from its float32 value; None where they are those."""
        if not self._scanned:
            return None
        widest = np.linalg.norm(self._weights, axis=0).max() + np.abs(self._level).max()
        widest += np.abs(self._added).max(initial=0)
        return self.space.codes.bounds(self._weights, self._level) + _ROUNDING * np.float32(widest)

    def exact(self, rows: np.ndarray) -> np.ndarray:
        """(m,) rows to (m, C) float32 logits over the stored vectors."""
        return self._unfolded(self._exact(rows))

    def probabilities_of(self, rows: np.ndarray) -> np.ndarray:
        """(m,) rows to (m, C) float32 exact probabilities."""
        return softmax(self.exact(rows))

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(n, C) float32; the likeliest class of every row is that of float32, the values are within the bound."""
        found = self._found
        if self.error is not None:
            if self._two:
                unsettled = np.flatnonzero(np.abs(found[:, 0]) <= self.error)
            else:
                best = np.partition(found, found.shape[1] - 2, axis=1)[:, -2:]
                unsettled = np.flatnonzero(best[:, 1] - best[:, 0] <= 2 * self.error)
            found = found.copy()
            found[unsettled] = self._exact(unsettled)
        shares = softmax(self._unfolded(found))
        shares.flags.writeable = False
        return shares

    @cached_property
    def doubt(self) -> np.ndarray:
        """(n,) float32: 1 where the two best classes are equally likely, 0 where one is certain (margin sampling)."""
        from explorer.learning.kernels import doubt, doubt_of_two

        return doubt_of_two(self._found[:, 0]) if self._two else doubt(self._found)

    def top(self, place: int | None, n: int, allowed: np.ndarray | None = None) -> np.ndarray:
        """The first n rows by how likely class `place` is (None: whichever is likeliest), exactly as by float32.

        `allowed` (n,) bool keeps some rows only. Equal rows come in the order of their numbers; the first places are
        the same whatever n is.
        """
        odds = self._odds(self._found, place)
        if self.error is None:
            return largest(odds, n, allowed)
        reach = self.error if self._two else 2 * self.error  # of two logits each may be off
        sure = largest(odds - reach, n, allowed)
        if not len(sure):
            return sure
        floor = odds[sure[-1]] - reach[sure[-1]]
        near = odds + reach >= floor
        rows = np.flatnonzero(near if allowed is None else near & allowed)
        return rows[np.lexsort((rows, -self._odds(self._exact(rows), place)))[:n]]

    def _odds(self, found: np.ndarray, place: int | None) -> np.ndarray:
        """(m,) the log odds of class `place`, or of the likeliest; -inf for a class without an answer."""
        from explorer.learning.kernels import advantage

        if place is None:
            return np.abs(found[:, 0]) if self._two else advantage(found, -1)
        at = int(np.searchsorted(self._trained, place))
        if at == len(self._trained) or self._trained[at] != place:
            return np.full(len(found), -np.inf, np.float32)
        if self._two:
            return found[:, 0] if at == 0 else -found[:, 0]
        return advantage(found, at)

    def _exact(self, rows: np.ndarray) -> np.ndarray:
        """(m,) rows to what is found for them in float32."""
        out = float32_scores(self.space.vectors, rows, self._weights, self._level)
        if len(self._reached):
            at = np.minimum(np.searchsorted(self._reached, rows), len(self._reached) - 1)
            here = np.flatnonzero(self._reached[at] == rows)
            out[here] += self._added[at[here]]
        return out

    def _folded(self, columns: np.ndarray) -> np.ndarray:
        """(m, trained) to what is scanned: of two classes the lead of the first, (m, 1)."""
        return columns[:, :1] - columns[:, 1:] if self._two else columns

    def _unfolded(self, found: np.ndarray) -> np.ndarray:
        """Back to (m, C) logits; -inf for a class without an answer."""
        logits = np.concatenate([found, -found], axis=1) / 2 if self._two else found
        if self.classes == len(self._trained):
            return logits if self._two else logits.copy()
        full = np.full((len(found), self.classes), -np.inf, np.float32)
        full[:, self._trained] = logits
        return full


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

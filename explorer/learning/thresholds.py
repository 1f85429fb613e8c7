"""One class and a threshold: what is above it, how much of that is right, and how much of the class it holds.

Answered pictures are no fair sample: suggestions seek the doubtful ones. Between pictures about which the classifier is
equally sure the choice matters little, so what is learnt from the answers is only how often a picture of a given
certainty is of the class: a logistic curve (Platt 1999) over left-out scores. It is then applied to the certainties of
all pictures that have no answer; the answered ones are known. Not one curve is used but 400, drawn from the posterior
over a grid, and each picture's class is drawn by each: the intervals span how the curve may run, and chance. The curve
bends where the true relation may not, and the answers are not independent; so each counts for .6 (`_TRUST`), which
simulations with suggested and random answers ask for (`benchmarks/coverage.py`).
"""

from dataclasses import dataclass

import numpy as np

from explorer.errors import BadInput
from explorer.learning.estimates import Estimate
from explorer.learning.evaluation import evidence

POINTS = 101
_DRAWS = 400
_TRUST = 0.6
_BINS = 400
_SLOPES = np.geomspace(0.15, 4.0, 33)
_SHIFTS = np.linspace(-9.0, 5.0, 57)


@dataclass(frozen=True)
class ThresholdCurve:
    """At rising thresholds: arrays of (t,), t <= 101; intervals are (3, t): value, low end, high end."""

    thresholds: np.ndarray
    """A picture is above if it is at least so likely of the class."""
    above: np.ndarray
    """(t,) int64 pictures, answered ones included as the classifier sees them"""
    precision: np.ndarray
    recall: np.ndarray

    def at(self, threshold: float) -> tuple[int, Estimate, Estimate]:
        """(number above, precision, recall) at the nearest threshold of the curve that is not below `threshold`."""
        place = min(int(np.searchsorted(self.thresholds, threshold - 1e-9)), len(self.thresholds) - 1)
        return int(self.above[place]), _estimate(self.precision[:, place]), _estimate(self.recall[:, place])

    def threshold_for(self, precision: float, surely: bool = False) -> float | None:
        """The lowest threshold that gives at least `precision`; with `surely`, at the low end of its interval.

        None if there is none: then the class cannot be told so purely yet. Raises BadInput outside 0 to 1.
        """
        if not 0 < precision <= 1:
            raise BadInput(f"A precision lies between 0 and 100 %; {100 * precision:g} % does not.")
        enough = (self.precision[1 if surely else 0] >= precision) & (self.above > 0)
        if not enough.any():
            return None
        short = np.flatnonzero(~enough & (self.above > 0))
        first = int(short[-1]) + 1 if len(short) else 0  # from there on up it holds all the way
        return float(self.thresholds[first]) if first < len(enough) and enough[first] else None


def threshold_curve(
    shares: np.ndarray,
    left_out: np.ndarray,
    own: np.ndarray,
    rows: np.ndarray,
    groups: np.ndarray | None = None,
    counts: np.ndarray | None = None,
) -> ThresholdCurve:
    """`shares` (n,): how likely each picture is of the class; `left_out` (m,): the same of the answered `rows` (m,) by
    a classifier that has not seen them; `own` (m,) bool: they are. `counts` (n,) bool: pictures to leave out are False.

    Raises BadInput if they do not fit, or no answer is of the class or none of another.
    """
    own = np.asarray(own, bool)
    if not len(left_out) == len(own) == len(rows):
        raise BadInput("The answers and what the classifier says of them differ in number; reload the page.")
    if not own.any() or own.all():
        raise BadInput("A threshold needs answers of this class and of others.")
    rng = np.random.default_rng(0)
    seen = np.array(shares, np.float64)
    seen[rows] = left_out
    still = np.ones(len(seen), bool) if counts is None else np.array(counts, bool)
    everything = np.sort(seen[still])
    still[rows] = False
    slope, shift = _curves(_logit(np.asarray(left_out, np.float64)), own, groups, rng)

    thresholds = _cuts(everything)
    edges = np.unique(np.quantile(seen[still], np.linspace(0, 1, _BINS + 1))) if still.any() else np.zeros(0)
    middles, sizes = _bins(seen[still], np.union1d(thresholds, edges))
    chance = 1 / (1 + np.exp(-(shift[:, None] + slope[:, None] * _logit(middles))))
    hits = rng.binomial(sizes.astype(np.int64), chance) if len(sizes) else np.zeros((_DRAWS, 0))
    at = np.searchsorted(middles, thresholds)  # no middle lies on a threshold: every bin is wholly above or below
    tail = np.concatenate([np.cumsum(hits[:, ::-1], axis=1)[:, ::-1], np.zeros((len(hits), 1))], axis=1)[:, at]
    known = (seen[rows][own][None] >= thresholds[:, None]).sum(axis=1)
    right = tail + known
    above = len(everything) - np.searchsorted(everything, thresholds)
    total = hits.sum(axis=1) + own.sum()
    precision = np.divide(right, above, out=np.ones_like(right, dtype=float), where=above > 0)
    return ThresholdCurve(thresholds, above.astype(np.int64), _spread(precision), _spread(right / total[:, None]))


def _curves(
    logit: np.ndarray, own: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(draws,) slopes and (draws,) shifts of curves from the posterior over a grid.

    The prior on the slope is log-normal around 1 (the certainty as it is), that on the shift wide and centred on none.
    """
    line = _SHIFTS[None, :, None] + _SLOPES[:, None, None] * logit
    fit = np.where(own, -np.logaddexp(0, -line), -np.logaddexp(0, line)).sum(axis=2)
    log = fit * _TRUST * evidence(len(own), groups) * 1.4 / len(own)
    log -= np.log(_SLOPES)[:, None] ** 2 / 2 / 0.7**2 + _SHIFTS[None] ** 2 / 2 / 3.0**2
    mass = np.exp(log - log.max()).ravel()
    drawn = rng.choice(len(mass), _DRAWS, p=mass / mass.sum())
    slope, shift = np.unravel_index(drawn, log.shape)
    step = np.log(_SLOPES[1] / _SLOPES[0])
    return (
        _SLOPES[slope] * np.exp(rng.uniform(-0.5, 0.5, _DRAWS) * step),
        _SHIFTS[shift] + rng.uniform(-0.5, 0.5, _DRAWS) * (_SHIFTS[1] - _SHIFTS[0]),
    )


def _cuts(values: np.ndarray) -> np.ndarray:
    """At most 101 thresholds: half of them even, half where the pictures are."""
    even = np.linspace(0, 1, POINTS // 2 + 1)
    return np.unique(np.round(np.concatenate([even, np.quantile(values, np.linspace(0, 1, POINTS // 2))]), 6))


def _bins(values: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and sizes of the non-empty parts of (n,) values between edges, which belong to the part above."""
    part = np.searchsorted(edges, values, side="right")
    sizes = np.bincount(part, minlength=len(edges) + 1)
    means = np.bincount(part, weights=values, minlength=len(edges) + 1)[sizes > 0] / sizes[sizes > 0]
    return means, sizes[sizes > 0]


def _logit(shares: np.ndarray) -> np.ndarray:
    held = np.clip(shares, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(held / (1 - held)))


def _spread(drawn: np.ndarray) -> np.ndarray:
    return np.asarray(np.quantile(drawn, [0.5, 0.025, 0.975], axis=0))


def _estimate(three: np.ndarray) -> Estimate:
    return Estimate(*(float(value) for value in three))

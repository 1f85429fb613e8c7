"""What random checks say of a whole collection, whatever else was picked: how well it is named, how many of each class.

A check is a picture drawn by lot from those not answered at that moment. Other pictures are answered in between for
reasons of their own; they are known and need no estimate. So a check speaks for what was open when it was drawn: if K
of the pictures open now are of a class, and a of those answered since, the check was one with probability (K + a) / N,
N being the number then open. The product over all checks is a likelihood of K alone (Cox 1975, partial likelihood), and
it counts without replacement: with nothing answered in between it is the hypergeometric one. Its mean form is the
levelled estimator of Farquhar, Gal & Rainforth 2021.

The classifier helps as in the model-assisted estimators of survey sampling (Särndal et al. 1992) and in
prediction-powered inference (Angelopoulos et al. 2023): the collection is divided by what it guesses, the guesses are
known of every picture, and the checks only have to say how often each kind of guess errs. It may be wrong in any way:
then the interval is wide, not false. A check that also trains is sorted by the guess of a classifier that has not seen
it nor its near-duplicates (cross-fitting, Zrnic & Candès 2024). That classifier rests on a few answers less and is
right no more often, so that what is said of accuracy is if anything modest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import betaln, gammaln

from explorer.errors import BadInput

FEW_CHECKS = 20
_LEVEL = 0.95
_TAILS = (0.25, 0.75)
"""Prior successes that the lower and the upper end start from (failures: the other way round). 0 and 1 would give the
exact interval of Clopper & Pearson, which is too wide, ½ and ½ that of Jeffreys, which near 0 holds in 90 % only. The
prior is about what is open now: when all of a class have been found, none being left must not be ruled out."""
_FEWEST = 3
"""Checks that a part of the collection needs to be estimated apart."""
_GRID = 2_000
_ATOMS = 300
_BLOCK = 256


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Estimate":
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Record:
    """What was answered with a class, in the order of the answers, among the pictures that an estimate is about."""

    rows: np.ndarray
    """(m,) int64 rows of the collection, none twice"""
    y: np.ndarray
    """(m,) int class of each"""
    checks: np.ndarray
    """(m,) bool: drawn by lot from what was open at that moment (policy "random")"""


@dataclass(frozen=True)
class CollectionEstimate:
    """About all pictures of the collection: equal files count once, pictures without a usable answer are not in it."""

    pictures: int
    answered: int
    checks: int
    accuracy: Estimate
    """Share that the classifier names right, answered pictures judged by one that has not seen them."""
    rest_accuracy: Estimate
    """The same among the pictures without an answer only."""
    counts: tuple[Estimate, ...]
    """How many pictures of each class there are, whole numbers."""
    words: str
    warning: str


def distinct(
    record: Record, n: int, copies: np.ndarray, left_out: np.ndarray | None = None
) -> tuple[Record, np.ndarray]:
    """The record over different files, and the (n,) bool that marks one row of each.

    A file stands with its first answered row, else its first row. The lot draws files, and a file whose copy is
    answered has nothing more to tell. `left_out` (n,) bool: answered, but not with a class.
    """
    rows = np.asarray(record.rows, np.int64)
    if rows.shape != np.shape(record.y) or rows.shape != np.shape(record.checks) or np.shape(copies) != (n,):
        raise BadInput("The answers, their classes and how they were chosen differ in number.")
    if len(rows) and not 0 <= rows.min() <= rows.max() < n:
        raise BadInput("An answer names a picture outside the collection; reload the page.")
    _, file_of = np.unique(copies, return_inverse=True)
    _, first = np.unique(file_of[rows], return_index=True)
    first.sort()
    kept = Record(rows[first], np.asarray(record.y)[first], np.asarray(record.checks, bool)[first])
    stands = np.zeros(n, bool)
    _, lead = np.unique(file_of, return_index=True)
    lead[file_of[kept.rows]] = kept.rows
    stands[lead] = True
    if left_out is not None:
        gone = np.unique(file_of[np.asarray(left_out, bool)])
        stands &= ~np.isin(file_of, np.setdiff1d(gone, file_of[kept.rows]))
    return kept, stands


def estimate_collection(
    record: Record,
    probabilities: np.ndarray,
    left_out_probabilities: np.ndarray,
    class_names: Sequence[str],
    copies: np.ndarray | None = None,
    left_out: np.ndarray | None = None,
) -> CollectionEstimate:
    """Accuracy in the collection and the number of pictures of each class.

    `probabilities` (n, C) of every picture; `left_out_probabilities` (m, C) of the answered ones, in the order of
    `record`, each by a classifier that has not seen its answer. Raises BadInput for shapes that do not fit.
    """
    n, classes = probabilities.shape
    if np.shape(left_out_probabilities) != (len(record.rows), classes) or len(class_names) != classes:
        raise BadInput("The answers and what the classifier says of them differ in number; reload the page.")
    shares = np.array(probabilities, np.float32)
    shares[record.rows] = left_out_probabilities
    record, stands = distinct(record, n, np.arange(n) if copies is None else copies, left_out)
    guess, sure = shares.argmax(axis=1), shares.max(axis=1)
    total = int(stands.sum())
    unsure = sure < np.median(sure[stands]) if total else np.zeros(n, bool)

    right = record.y == guess[record.rows]
    expected = float(sure[_open_rows(record, stands)].mean()) if total > len(record.rows) else 1.0
    rest = rest_total(record, right, stands, unsure, expected)
    known, left = int(right.sum()), total - len(record.rows)
    counts = []
    for place in range(classes):
        own = record.y == place
        expected = float(shares[_open_rows(record, stands), place].mean()) if left else 0.0
        more = rest_total(record, own, stands, guess == place, expected)
        counts.append(_whole(int(own.sum()), more))
    accuracy = Estimate(*((known + value) / max(total, 1) for value in (rest.value, rest.low, rest.high)))
    checks = int(record.checks.sum())
    return CollectionEstimate(
        pictures=total,
        answered=len(record.rows),
        checks=checks,
        accuracy=accuracy,
        rest_accuracy=rest.scaled(1 / max(left, 1)),
        counts=tuple(counts),
        words=_words(accuracy, total, checks),
        warning=_warning(record, class_names, left),
    )


def rest_total(
    record: Record, holds: np.ndarray, stands: np.ndarray, part: np.ndarray, expected: float = 0.5
) -> Estimate:
    """How many pictures without an answer have a property, from the checks.

    `holds` (m,) bool: the property of the answered ones. `stands` (n,) bool: the pictures that count. `part` (n,) bool
    divides them in two by what is known of all; of the answered ones it must not have been learnt from their answer.
    `expected`: the share to name as long as there are no checks; the interval does not use it.
    """
    left = int(stands.sum()) - len(record.rows)
    if left <= 0:
        return Estimate(0.0, 0.0, 0.0)
    if not record.checks.any():
        return Estimate(expected * left, 0.0, float(left))
    inside = part[record.rows]
    sides = [(int((stands & (part == side)).sum()), inside == side) for side in (False, True)]
    if any((record.checks & members).sum() < _FEWEST for _, members in sides):
        sides = [(int(stands.sum()), np.ones(len(inside), bool))]
    strata = [_Stratum(size, holds[members], record.checks[members]) for size, members in sides]
    value = sum(one.mean() for one in strata)
    low = _quantile([one.posterior(_TAILS[0]) for one in strata], (1 - _LEVEL) / 2)
    high = _quantile([one.posterior(_TAILS[1]) for one in strata], (1 + _LEVEL) / 2)
    if not (holds & record.checks).any():
        low = 0.0
    if (holds | ~record.checks).all():
        high = float(left)
    return Estimate(float(np.clip(value, low, high)), low, high)


class _Stratum:
    """A part of the collection: `size` pictures, those answered with `holds` and whether each was a check, in order."""

    def __init__(self, size: int, holds: np.ndarray, checks: np.ndarray) -> None:
        self.left = size - len(holds)
        at = np.flatnonzero(checks)
        self.hit = holds[at].astype(bool)
        self.open_then = (size - at).astype(np.float64)
        self.since = np.cumsum(holds[::-1])[::-1][at].astype(np.float64) if len(at) else np.zeros(0)

    def mean(self) -> float:
        """The levelled estimate of how many of the open pictures have the property."""
        if self.left == 0 or not len(self.hit):
            return self.left / 2
        each = self.open_then * self.hit - self.since
        weight = 1 / (self.open_then * np.maximum(self.open_then - 1, 0.5))
        return float(np.clip((each * weight).sum() / weight.sum(), 0, self.left))

    def posterior(self, prior: float) -> tuple[np.ndarray, np.ndarray]:
        """(g,) numbers of open pictures that may have the property and (g,) their probabilities."""
        numbers, width, log = self.likelihood
        log = log + _choose(self.left, numbers) + betaln(numbers + prior, self.left - numbers + 1 - prior)
        mass = np.exp(log - log.max()) * width
        return numbers, mass / mass.sum()

    @cached_property
    def likelihood(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(g,) numbers, how many each stands for, and the logarithm of the likelihood of each."""
        if self.left <= _GRID:
            numbers = np.arange(self.left + 1.0)
            width = np.ones(self.left + 1)
        else:  # fine near the ends, where a count is known best in proportion
            numbers = self.left * np.sin(np.linspace(0, np.pi / 2, _GRID)) ** 2
            width = np.gradient(numbers)
        log = np.zeros(len(numbers))
        for hit in (False, True):
            at = np.flatnonzero(self.hit == hit)
            for start in range(0, len(at), _BLOCK):
                some = at[start : start + _BLOCK]
                of_them = numbers + self.since[some, None]
                share = (of_them if hit else self.open_then[some, None] - of_them) / self.open_then[some, None]
                with np.errstate(divide="ignore"):
                    log += np.log(np.maximum(share, 0)).sum(axis=0)
        return numbers, width, log


def _choose(n: int, k: np.ndarray) -> np.ndarray:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def _quantile(parts: list[tuple[np.ndarray, np.ndarray]], level: float) -> float:
    """Of the sum of one or two independent numbers, given as (values, probabilities)."""
    if len(parts) == 1:
        return float(_at(*parts[0], np.array([level]))[0])
    middles = (np.arange(_ATOMS) + 0.5) / _ATOMS
    one, other = (_at(*part, middles) for part in parts)
    return float(np.quantile(np.add.outer(one, other), level))


def _at(values: np.ndarray, mass: np.ndarray, levels: np.ndarray) -> np.ndarray:
    cumulative = np.cumsum(mass)
    return np.asarray(values[np.minimum(np.searchsorted(cumulative, levels), len(values) - 1)])


def _open_rows(record: Record, stands: np.ndarray) -> np.ndarray:
    still = stands.copy()
    still[record.rows] = False
    return still


def _whole(known: int, rest: Estimate) -> Estimate:
    return Estimate(known + round(rest.value), known + np.floor(rest.low), known + np.ceil(rest.high))


def _words(accuracy: Estimate, total: int, checks: int) -> str:
    if not checks:
        return "No random checks yet: draw some to learn how the classifier does in the whole collection."
    return (
        f"Of all {total:,} pictures it names about {100 * accuracy.value:.0f} % right "
        f"({100 * accuracy.low:.0f}–{100 * accuracy.high:.0f} %)."
    )


def _warning(record: Record, class_names: Sequence[str], left: int) -> str:
    checks = int(record.checks.sum())
    if left == 0:
        return ""
    if checks < FEW_CHECKS:
        many = "1 random check" if checks == 1 else f"{checks} random checks"
        return f"This rests on only {many}; {FEW_CHECKS} or more say something." if checks else ""
    seen = np.bincount(record.y[record.checks], minlength=len(class_names))
    missing = [name for name, count in zip(class_names, seen, strict=True) if count == 0]
    if missing:
        return f"No random check was “{missing[0]}”: how many of them there are is known only roughly."
    return ""

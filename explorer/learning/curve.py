"""How accuracy grew with the answers, and what more of them would probably bring. Every class counts alike.

The curve is measured by forgetting: classifiers are fitted to parts of the answers, drawn by lot with every class in
them and near-duplicates together, and judged on the rest. They are the ridge regression of `classifier` in its dual
form, where the products of all vectors are computed once and a fit costs less than a millisecond.

The forecast follows a power law, err(n) = a + b n^-c (Cortes et al. 1994). A curve fitted to few answers says more than
they do (Viering & Loog 2023 on the shapes of learning curves), so none is fitted: 4,000 are drawn, and each weighs as
much as it explains the losses that forgetting caused, within their noise, which is estimated picture by picture. The
error as of now is drawn from what its interval allows. To every curve is added the luck of one course of labelling
(`_LUCK`), because accuracy goes up and down with each picture: the interval is for what will be seen, not for a mean.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from explorer.errors import BadInput
from explorer.learning.classifier import RIDGE, threads_for
from explorer.learning.estimates import Estimate
from explorer.learning.evaluation import balanced_worth, evidence, wilson

FEWEST = 12
"""Answers below which no curve is drawn."""
_SPARE = 6
"""Different pictures beyond one of each class: what is forgotten must be enough to judge by."""
_SHARES = (0.4, 0.55, 0.7, 0.85)
_REPEATS = 16
_CURVES = 4_000
_LUCK, _LUCK_GROWS = 0.53, 0.3
"""How far one course strays, as a share of sqrt(err (1 - err) k / (w (n + k))) for k answers after n that are worth w
independent ones: at 20 answers, and the power of n with which it grows. Measured on 420 courses of `benchmarks/
coverage.py` with other seeds than it runs: 15 to 180 answers, 10 to 50 more, five collections."""
_MOST = 600
_STEPS = np.array([1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 80, 100, 150, 200])


@dataclass(frozen=True)
class CurvePoint:
    """The balanced accuracy that so many answers would have given, with its 95 % interval."""

    answers: int
    accuracy: Estimate


@dataclass(frozen=True)
class Curve:
    """The learning curve of one question. No points while there are too few answers."""

    points: tuple[CurvePoint, ...]
    answers: int
    steps: np.ndarray
    """(g,) numbers of further answers, rising from 1"""
    gains: np.ndarray
    """(3, g) what they bring in accuracy: the median, the low and the high end of the 95 % interval"""
    reason: str
    """Why there is no curve; empty if there is one."""

    def forecast(self, more: int) -> Estimate:
        """The gain in accuracy after `more` further answers; negative when it falls. Raises BadInput outside 1–200."""
        if not 1 <= more <= _STEPS[-1]:
            raise BadInput(f"A forecast is for at least one further answer and at most {_STEPS[-1]}.")
        if not len(self.steps):
            return Estimate(0.0, -1.0, 1.0)
        value, low, high = (float(np.interp(more, self.steps, row)) for row in self.gains)
        return Estimate(value, low, high)

    def sentence(self, more: int = 20) -> str:
        """What to expect, in one line."""
        if self.reason:
            return self.reason
        gain = self.forecast(more)
        low, high = round(100 * gain.low), round(100 * gain.high)
        if low >= 1:
            return f"{more} more labels would probably bring {low} to {_points(high)}."
        if high < 1:
            return f"{more} more labels would probably change little."
        cost = f", or cost up to {-low}" if low <= -1 else ""
        return f"{more} more labels would probably bring up to {_points(high)}{cost}."


def _points(number: int) -> str:
    return "1 point" if number == 1 else f"{number} points"


def learning_curve(
    X: np.ndarray, y: np.ndarray, n_classes: int, groups: np.ndarray | None = None, seed: int = 0
) -> Curve:
    """From (m, d) vectors of the answered pictures, (m,) classes and (m,) near-duplicate groups.

    Above 600 answers a sample of them stands for all. Raises BadInput for shapes that do not fit.
    """
    X, y = np.asarray(X, np.float32), np.asarray(y, np.int64)
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    if X.ndim != 2 or y.shape != (len(X),) or groups.shape != y.shape or (len(y) and y.max() >= n_classes):
        raise BadInput(f"The shapes do not fit: vectors {X.shape}, classes {y.shape}.")
    rng = np.random.default_rng(seed)
    answers = len(y)
    if answers > _MOST:
        kept = np.sort(rng.choice(answers, _MOST, replace=False))
        X, y, groups = X[kept], y[kept], groups[kept]
    _, groups = np.unique(groups, return_inverse=True)
    present, different = np.unique(y), len(np.unique(groups))
    if answers < FEWEST or len(present) < 2 or different < len(present) + _SPARE:
        reason = f"A learning curve needs {FEWEST} answers, and several different pictures of each class."
        return Curve((), answers, np.zeros(0), np.zeros((3, 0)), reason)
    with threads_for(0):
        gram = (X @ X.T).astype(np.float64)
        sizes = [max(round(share * len(y)), len(present) + 1) for share in _SHARES]
        forgot = np.stack([_left_out_right(gram, y, groups, size, rng) for size in sizes])
        whole = _leave_one_out(gram, y, groups)
        gains = _gains(forgot, whole, y, evidence(len(y), groups) / len(y), answers, rng)
    points = [
        _point(size, right, y, evidence(len(y), groups) / len(y))
        for size, right in zip([*sizes, len(y)], [*forgot, whole], strict=True)
        if not np.isnan(right).all()
    ]
    return Curve(tuple(points), answers, _STEPS, gains, "")


def _point(answers: int, right: np.ndarray, y: np.ndarray, weight: float) -> CurvePoint:
    accuracy, worth = _balanced(right, y, weight)
    return CurvePoint(answers, Estimate(accuracy, *wilson(accuracy * worth, worth)))


def _balanced(right: np.ndarray, y: np.ndarray, weight: float) -> tuple[float, float]:
    """Mean over classes of how often (m,) answers were right, NaN left out, and how many answers it is worth."""
    tested = ~np.isnan(right)
    places, counts = np.unique(y[tested], return_counts=True)
    recalls = np.array([right[tested & (y == place)].mean() for place in places])
    return float(recalls.mean()), balanced_worth(recalls, counts * weight)


def _gains(
    forgot: np.ndarray, whole: np.ndarray, y: np.ndarray, weight: float, answers: int, rng: np.random.Generator
) -> np.ndarray:
    """(3, g) median, low and high end of what the `_STEPS` bring after `answers`.

    `forgot` (s, m): how often each answer was right at each of `_SHARES` of the m answers used; `whole` (m,): was it
    right when it alone was left out; `weight`: how many independent answers each is worth.
    """
    used = len(y)
    accuracy, worth = _balanced(whole, y, weight)
    error = rng.beta((1 - accuracy) * worth + 0.5, accuracy * worth + 0.5, _CURVES)
    floor = error * rng.uniform(0, 1, _CURVES)
    power = np.exp(rng.normal(np.log(0.5), 0.7, _CURVES))
    shares = np.array(_SHARES)
    known = ~np.isnan(forgot).any(axis=0)
    if known.sum() >= 2:
        each = 1 / np.bincount(y)[y][known]
        lost = (forgot[-1] - forgot[:-1])[:, known]
        mean = lost @ each / each.sum()
        strayed = (lost - mean[:, None]) * each / each.sum()
        noise = strayed @ strayed.T / weight + 1e-5 * np.eye(len(lost))
        rise = (error - floor)[:, None] * (shares[:-1] ** -power[:, None] - shares[-1] ** -power[:, None])
        off = rise - mean
        log = -0.5 * np.einsum("ci,ij,cj->c", off, np.linalg.inv(noise), off)
        mass = np.exp(log - log.max())
        drawn = rng.choice(_CURVES, _CURVES, p=mass / mass.sum())
        error, floor, power = error[drawn], floor[drawn], power[drawn]
    error = floor + (error - floor) * (answers / used) ** -power  # the same if all were used
    luck = _LUCK * (max(answers, 20) / 20) ** _LUCK_GROWS * rng.standard_t(6, _CURVES)
    out = []
    for more in _STEPS:
        gain = (error - floor) * (1 - (1 + more / answers) ** -power)
        gain += luck * np.sqrt(error * (1 - error) * more / (worth * answers / used * (answers + more)))
        out.append(np.quantile(np.minimum(gain, error), [0.5, 0.025, 0.975]))
    return np.array(out).T


def _left_out_right(
    gram: np.ndarray, y: np.ndarray, groups: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """(m,) how often each answer is guessed right by fits to about `size` others; NaN if it was never left out."""
    right, tested = np.zeros(len(y)), np.zeros(len(y))
    for _ in range(_REPEATS):
        inside = _part(y, groups, size, rng)
        train, test = np.flatnonzero(inside), np.flatnonzero(~inside)
        trained = np.unique(y[train])
        hat, constant = _dual(gram[np.ix_(train, train)], y[train], trained)
        guess = trained[(gram[np.ix_(test, train)] @ hat + constant).argmax(axis=1)]
        right[test] += guess == y[test]
        tested[test] += 1
    return np.divide(right, tested, out=np.full(len(y), np.nan), where=tested > 0)


def _part(y: np.ndarray, groups: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """(m,) bool: whole groups drawn by lot, first one of each class, until there are `size` answers."""
    order = rng.permutation(len(y))
    _, first = np.unique(y[order], return_index=True)
    order = np.concatenate([order[first], np.delete(order, first)])
    _, first = np.unique(groups[order], return_index=True)
    drawn = groups[order[np.sort(first)]]
    filled = np.cumsum(np.bincount(groups)[drawn])
    return np.isin(groups, drawn[: max(int(np.searchsorted(filled, size)) + 1, 1)])


def _dual(gram: np.ndarray, y: np.ndarray, trained: np.ndarray) -> tuple[np.ndarray, float]:
    """(m, C) weights of the answers in the scores, and the constant: balanced ridge as in `classifier`."""
    place = np.searchsorted(trained, y)
    classes = len(trained)
    root = np.sqrt(len(y) / (classes * np.bincount(place)[place]))[:, None]
    constant = (2 - classes) / classes
    wanted = root * (np.where(np.arange(classes) == place[:, None], 1.0, -1.0) - constant)
    factor = cho_factor(root * gram * root.T + RIDGE * np.eye(len(y)), check_finite=False)
    return root * cho_solve(factor, wanted, check_finite=False), constant


def _leave_one_out(gram: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(m,) is each answer guessed right by the fit to all groups but its own?"""
    trained = np.unique(y)
    place = np.searchsorted(trained, y)
    root = np.sqrt(len(y) / (len(trained) * np.bincount(place)[place]))[:, None]
    hat, _ = _dual(gram, y, trained)
    missed = RIDGE * hat / root
    rest = RIDGE * cho_solve(cho_factor(root * gram * root.T + RIDGE * np.eye(len(y))), np.eye(len(y)))
    left_out = missed / np.diag(rest)[:, None]
    for group in np.flatnonzero(np.bincount(groups) > 1):
        rows = np.flatnonzero(groups == group)
        left_out[rows] = np.linalg.solve(rest[np.ix_(rows, rows)], missed[rows])
    targets = np.where(np.arange(len(trained)) == place[:, None], 1.0, -1.0)
    return np.asarray((targets - left_out / root).argmax(axis=1) == place, float)

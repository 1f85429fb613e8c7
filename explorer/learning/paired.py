"""Several ways of looking judged on the same answers, each answer by what has not seen it: scores, losses, spreads.

Right or wrong says little of thirty answers. The squared distance of left-out scores from what they should be is the
loss that ridge itself has (the PRESS statistic, Allen 1974). Among pairs of looks whose accuracy on unseen pictures
differs by more than five points it points to the better one in .90 to .95, left-out accuracy in .80 to .89, and log
losses, margins and the marginal likelihood in between (30 answers, 200 draws of each of five collections, 36 pairs).
"""

import numpy as np

from explorer.errors import BadInput
from explorer.learning.classifier import RIDGE, threads_for
from explorer.learning.evaluation import balanced_worth, evidence, wilson


def answers_of(y: np.ndarray, groups: np.ndarray | None, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(m,) classes as 0, 1, … and (m,) groups as 0, 1, …. Raises BadInput for shapes that do not fit one another, or
    fewer than two classes."""
    y = np.asarray(y)
    groups = np.arange(rows) if groups is None else np.asarray(groups)
    if y.shape != (rows,) or groups.shape != (rows,):
        raise BadInput(f"The shapes do not fit: {rows} vectors, classes {y.shape}, groups {groups.shape}.")
    classes, place = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise BadInput("Answer at least one picture of each of two classes first.")
    return place, np.unique(groups, return_inverse=True)[1]


def shares_of(place: np.ndarray) -> np.ndarray:
    """(m,) weights that sum to one, every class counting alike."""
    counts = np.bincount(place)
    return np.asarray(1 / ((counts > 0).sum() * np.maximum(counts, 1)[place]))


def targets_of(place: np.ndarray, classes: int) -> np.ndarray:
    """(m, classes): 1 for the own class, -1 for the others."""
    return np.where(np.arange(classes) == place[:, None], 1.0, -1.0)


def fit_dual(gram: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Balanced ridge as in `classifier`, from the (m, m) products of the vectors alone; (m,) classes 0..k-1, each with
    an answer.

    Returns (m, k) what each answer adds: scores of other pictures are products @ added + constant; (m, m) identity
    minus hat; and the constant.
    """
    classes = int(place.max()) + 1
    root = np.sqrt(len(place) * shares_of(place))[:, None]
    constant = (2 - classes) / classes
    with threads_for(len(place) ** 3):
        inverse = np.linalg.inv(root * gram * root.T + RIDGE * np.eye(len(place)))
        added = root * (inverse @ (root * (targets_of(place, classes) - constant)))
    return added, RIDGE * inverse, constant


def left_out(gram: np.ndarray, place: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(m, k) scores of each answer by the fit to all groups but its own, in closed form."""
    added, rest, _ = fit_dual(gram, place)
    root = np.sqrt(len(place) * shares_of(place))[:, None]
    missed = RIDGE * added / root
    out = missed / np.diag(rest)[:, None]
    for group in np.flatnonzero(np.bincount(groups) > 1):
        rows = np.flatnonzero(groups == group)
        out[rows] = np.linalg.solve(rest[np.ix_(rows, rows)], missed[rows])
    return np.asarray(targets_of(place, added.shape[1]) - out / root)


def losses(scores: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(m, k) left-out scores to (m,) squared losses: half the sum over classes, so that two classes count once."""
    return np.asarray(((scores - targets_of(place, scores.shape[1])) ** 2).sum(axis=1) / 2)


def hits(scores: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(m,) 1.0 where the own class scores highest."""
    return np.asarray((scores.argmax(axis=1) == place).astype(float))


def covariance(values: np.ndarray, place: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(q, q) covariance of the balanced means of (q, m) values of the same answers.

    Groups count as one draw, classes as strata; widened, because left-out values come from nearly the same answers and
    err together.
    """
    off = np.empty_like(values)
    for each in range(int(place.max()) + 1):
        own = place == each
        count = int(own.sum())
        if count > 1:
            off[:, own] = (values[:, own] - values[:, own].mean(axis=1, keepdims=True)) * np.sqrt(count / (count - 1))
        else:  # a class with one answer has no spread of its own
            off[:, own] = values[:, own] - values.mean(axis=1, keepdims=True)
    summed = np.zeros((int(groups.max()) + 1, len(values)))
    np.add.at(summed, groups, (off * shares_of(place)).T)
    return np.asarray(summed.T @ summed / evidence(1))


def balanced(right: np.ndarray, place: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """(m,) outcomes, 0 to 1, NaN for what was not judged, to their balanced mean and its 95 % interval."""
    judged = ~np.isnan(right)
    right, place = right[judged], place[judged]
    counts = np.bincount(place)
    present = np.flatnonzero(counts)
    recalls = np.bincount(place, weights=right)[present] / counts[present]
    weight = evidence(len(right), groups[judged]) / len(right)
    worth = balanced_worth(recalls, counts[present] * weight)
    middle = float(recalls.mean())
    return middle, *wilson(middle * worth, worth)

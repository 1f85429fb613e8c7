"""The live classifier: balanced ridge regression in closed form, with its leave-one-out scores for nothing.

Vectors of a space are centred and of length one already, so no mean is fitted: the intercept is the constant that
balanced classes have. Measured on the demo (Lite0; all 11 folders and pairs of them; 15 draws each): accuracy on the
rest is the same within half a point, while a fitted mean biases leave-one-out against the class that loses an answer.
At 2, 5, 10 and 20 answers a class leave-one-out is off by up to 15, 4, 8 and 2 points; with a fitted mean by up to 70,
16, 13 and 2.
"""

import contextlib
import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.errors import BadInput

RIDGE = 1.0
"""Penalty per answer weight. .3 to 3 differ by less than a point on the demo."""
_BLOCK = 16_384
_LOG_TYPICAL, _PRIOR_WEIGHT = float(np.log(4.0)), 1.0
"""The temperature's prior: log-normal around 4 and as strong as one answer, so that five right ones are no proof."""
_LOG_RANGE = (-2.0, 4.5)
_SINGLE_PRECISION = 4_096
"""Up to so many answers float32 will do: the matrix' condition is at most their number over the penalty."""
_ONE_THREAD = 3e9
"""Multiplications up to which one thread computes. BLAS threads wait for each other by spinning: with the processors
busy a 200 × 200 inverse took up to .22 s on two threads and .02 s on one."""
_limiting = threading.Lock()


@dataclass(frozen=True)
class LinearClassifier:
    """One linear score a class and a softmax over them. Classes without an answer have probability zero."""

    weights: np.ndarray
    """(d, C) float32"""
    bias: np.ndarray
    """(C,) float32; -inf for a class without an answer"""
    temperature: float
    """What the scores are multiplied by before the softmax."""
    loo_scores: np.ndarray
    """(n, C) float32: the score of each answered picture by the classifier that has not seen its answer."""
    loo_accuracy: float
    """Share of the answers that this classifier gets right without having seen them."""
    loo_balanced_accuracy: float
    """The same, with every class counting alike."""

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """(m, d) float32, in memory or mapped, to (m, C) float32 raw scores, about -1 to 1. Reads block by block."""
        out = np.empty((len(vectors), self.weights.shape[1]), np.float32)
        with _threads_for(len(vectors) * self.weights.size):
            for start in range(0, len(vectors), _BLOCK):
                np.matmul(vectors[start : start + _BLOCK], self.weights, out=out[start : start + _BLOCK])
        out += self.bias
        return out

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """(m, d) float32 to (m, C) float32; every row sums to one."""
        return softmax(self.scores(vectors) * np.float32(self.temperature))

    def loo_probabilities(self) -> np.ndarray:
        """(n, C) float32: what this classifier says of each answered picture without having seen its answer."""
        return softmax(self.loo_scores * np.float32(self.temperature))


def fit_classifier(
    X: np.ndarray, y: np.ndarray, n_classes: int, groups: np.ndarray | None = None, ridge: float = RIDGE
) -> LinearClassifier:
    """Fit (n, d) float32 vectors, centred and of length one, and (n,) classes in 0..n_classes-1.

    One-vs-rest targets of ±1, every class weighing the same, solved in the n × n dual while n < d and in the d × d
    primal after that (Rifkin & Lippert 2007, notes on regularized least squares). `groups` (n,) int, if given, marks
    pictures that are nearly the same: a whole group is left out at once, or each would vouch for its twin. The
    temperature minimises the log loss of the left-out scores. Raises BadInput for shapes that do not fit, an index
    out of range, or fewer than two classes with an answer.
    """
    X = np.ascontiguousarray(X, np.float32)
    y = np.asarray(y, np.int64)
    if X.ndim != 2 or y.shape != (len(X),) or (groups is not None and np.shape(groups) != y.shape):
        raise BadInput(f"The shapes do not fit: vectors {X.shape}, classes {y.shape}.")
    if len(y) and not 0 <= y.min() <= y.max() < n_classes:
        raise BadInput(f"There are {n_classes} classes; the answers name one outside 0 to {n_classes - 1}.")
    counts = np.bincount(y, minlength=n_classes)
    trained = np.flatnonzero(counts)
    if len(trained) < 2:
        raise BadInput("Answer at least one picture of each of two classes first.")

    classes = len(trained)
    n, d = X.shape
    place = np.searchsorted(trained, y)
    sample = n / (classes * counts[y])  # sums to n; every class sums to n / classes
    root = np.sqrt(sample)[:, None]
    constant = (2 - classes) / classes  # the weighted mean of the targets, the same for all classes
    targets = np.where(np.arange(classes) == place[:, None], 1.0, -1.0)
    wanted = root * (targets - constant)
    Z = X * root.astype(np.float32)
    small = min(n, d)
    with _threads_for(small * small * max(n, d)):
        if n < d:
            inverse = _inverse(Z @ Z.T, ridge, n)
            dual = inverse @ wanted.astype(inverse.dtype)
            weights = Z.T @ dual.astype(np.float32)
            left_out = _left_out_dual(ridge * dual, ridge * inverse, groups)
        else:
            inverse = _inverse(Z.T @ Z, ridge, n)
            weights = (inverse @ (Z.T @ wanted.astype(np.float32))).astype(np.float32)
            left_out = _left_out_primal(wanted - Z @ weights, Z, inverse.astype(np.float32), groups)
    held_out = targets - left_out / root

    temperature = _temperature(held_out, place, sample)
    right = held_out.argmax(1) == place
    full = np.zeros((d, n_classes), np.float32)
    full[:, trained] = weights
    bias = np.full(n_classes, -np.inf, np.float32)
    bias[trained] = constant
    loo_scores = np.full((n, n_classes), -np.inf, np.float32)
    loo_scores[:, trained] = held_out
    return LinearClassifier(
        weights=full,
        bias=bias,
        temperature=temperature,
        loo_scores=loo_scores,
        loo_accuracy=float(right.mean()),
        loo_balanced_accuracy=float((right * sample).sum() / n),
    )


def softmax(scores: np.ndarray) -> np.ndarray:
    """(m, C) scores, some of them -inf, to (m, C) shares that sum to one; overwrites `scores`."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


@contextlib.contextmanager
def _threads_for(multiplications: float) -> Iterator[None]:
    """One BLAS thread while inside if the work is small. The setting is the process's, so one at a time changes it."""
    if multiplications > _ONE_THREAD:
        yield
        return
    with _limiting, _thread_pools().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _thread_pools() -> Any:
    import scipy.linalg  # noqa: F401  # brings a BLAS of its own, which must be loaded to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _inverse(gram: np.ndarray, ridge: float, answers: int) -> np.ndarray:
    """(gram + ridge I)^-1 of a symmetric (m, m) matrix by its Cholesky factor: half the work of a general inverse."""
    from scipy.linalg import lapack

    double = answers > _SINGLE_PRECISION
    factor, invert = (lapack.dpotrf, lapack.dpotri) if double else (lapack.spotrf, lapack.spotri)
    kind: Any = np.float64 if double else np.float32
    matrix = np.asfortranarray(gram.astype(kind) + kind(ridge) * np.eye(len(gram), dtype=kind))
    lower, failed = factor(matrix, lower=1, overwrite_a=1)
    if failed or not np.isfinite(gram).all():
        raise BadInput("The pictures' vectors hold values that are no numbers; compute this collection anew.")
    half, _ = invert(lower, lower=1, overwrite_c=1)
    return np.asarray(np.tril(half) + np.tril(half, -1).T)


def _left_out_dual(missed: np.ndarray, rest: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """(n, C) residuals of the fit to those of fits without each row (or its group); `rest` is I - hat, (n, n)."""
    out = missed / np.diag(rest)[:, None]
    for rows in _members(groups):
        out[rows] = np.linalg.solve(rest[np.ix_(rows, rows)], missed[rows])
    return out


def _left_out_primal(missed: np.ndarray, Z: np.ndarray, inverse: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """The same from the (d, d) inverse, without ever making the (n, n) hat matrix."""
    half = Z @ inverse
    hat = np.einsum("nd,nd->n", half, Z, dtype=np.float64)
    out = missed / np.maximum(1 - hat, 1e-6)[:, None]
    for rows in _members(groups):
        out[rows] = np.linalg.solve(np.eye(len(rows)) - half[rows] @ Z[rows].T, missed[rows])
    return out


def _members(groups: np.ndarray | None) -> list[np.ndarray]:
    """The rows of each group of two or more."""
    if groups is None:
        return []
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(np.asarray(groups)[order])) + 1
    return [rows for rows in np.split(order, edges) if len(rows) > 1]


def _temperature(scores: np.ndarray, place: np.ndarray, sample: np.ndarray) -> float:
    """The factor with the least balanced log loss over left-out scores, held near the typical one by its prior.

    Golden-section search on its logarithm: the loss is convex in the factor, and 25 steps are exact to 1e-4.
    """
    own = scores[np.arange(len(place)), place]

    def loss(log_factor: float) -> float:
        factor = np.exp(log_factor)
        top = scores.max(axis=1)
        spread = np.log(np.exp(factor * (scores - top[:, None])).sum(axis=1)) + factor * (top - own)
        return float((sample * spread).sum() + _PRIOR_WEIGHT * (log_factor - _LOG_TYPICAL) ** 2)

    golden = (np.sqrt(5.0) - 1) / 2
    low, high = _LOG_RANGE
    inner, outer = high - golden * (high - low), low + golden * (high - low)
    at_inner, at_outer = loss(inner), loss(outer)
    for _ in range(25):
        if at_inner < at_outer:
            high, outer, at_outer = outer, inner, at_inner
            inner = high - golden * (high - low)
            at_inner = loss(inner)
        else:
            low, inner, at_inner = inner, outer, at_outer
            outer = low + golden * (high - low)
            at_outer = loss(outer)
    return float(np.exp((low + high) / 2))

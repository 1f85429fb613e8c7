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
from explorer.learning.calibration import Calibration, calibrate

RIDGE = 1.0
"""Penalty per answer weight. .3 to 3 differ by less than a point on the demo."""
_BLOCK = 16_384
_SINGLE_PRECISION = 4_096
"""Up to so many answers float32 will do: the matrix' condition is at most their number over the penalty."""
_ONE_THREAD = 3e9
"""Multiplications up to which one thread computes. BLAS threads wait for each other by spinning: with the processors
busy a 200 × 200 inverse took up to .22 s on two threads and .02 s on one."""
_limiting = threading.Lock()


@dataclass(frozen=True)
class LinearClassifier:
    """One linear score a class, and what makes probabilities of it. Classes without an answer have probability zero."""

    weights: np.ndarray
    """(d, C) float32"""
    bias: np.ndarray
    """(C,) float32; -inf for a class without an answer"""
    calibration: Calibration
    loo_scores: np.ndarray
    """(n, C) float32: the score of each answered picture by the classifier that has not seen its answer."""
    loo_logits: np.ndarray
    """(n, C) float32: the same, calibrated, with what the graph says without that answer."""
    loo_accuracy: float
    """Share of the answers that this classifier gets right without having seen them."""
    loo_balanced_accuracy: float
    """The same, with every class counting alike."""

    @property
    def temperature(self) -> float:
        return self.calibration.temperature

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """(m, d) float32, in memory or mapped, to (m, C) float32 raw scores, about -1 to 1. Reads block by block."""
        out = np.empty((len(vectors), self.weights.shape[1]), np.float32)
        with threads_for(len(vectors) * self.weights.size):
            for start in range(0, len(vectors), _BLOCK):
                np.matmul(vectors[start : start + _BLOCK], self.weights, out=out[start : start + _BLOCK])
        out += self.bias
        return out

    def logits(self, vectors: np.ndarray, shares: np.ndarray | None = None) -> np.ndarray:
        """(m, d) float32 vectors and their (m, C) graph shares, if any, to (m, C) float32 logits."""
        return self.calibration.logits(self.scores(vectors), shares)

    def probabilities(self, vectors: np.ndarray, shares: np.ndarray | None = None) -> np.ndarray:
        """The same as (m, C) float32 probabilities, as if the classes were equally frequent; every row sums to one."""
        return softmax(self.logits(vectors, shares))

    def loo_probabilities(self) -> np.ndarray:
        """(n, C) float32: what this classifier says of each answered picture without having seen its answer."""
        return softmax(self.loo_logits.copy())


def fit_classifier(
    X: np.ndarray,
    y: np.ndarray,
    n_classes: int,
    groups: np.ndarray | None = None,
    ridge: float = RIDGE,
    left_out_shares: np.ndarray | None = None,
    ordered: bool = False,
) -> LinearClassifier:
    """Fit (n, d) float32 vectors, centred and of length one, and (n,) classes in 0..n_classes-1.

    One-vs-rest targets of ±1, every class weighing the same, solved in the n × n dual while n < d and in the d × d
    primal after that (Rifkin & Lippert 2007, notes on regularized least squares). `groups` (n,) int, if given, marks
    pictures that are nearly the same: a whole group is left out at once, or each would vouch for its twin.
    `left_out_shares` (n, C): what the graph says of each (`spreading`), calibrated together with the scores.
    `ordered`: classes are grades, and a picture's neighbours in grade speak for it too: the classes' scores are those
    of all "at least this grade" together (Frank & Hall 2001), which for ridge is one matrix on the right.
    Raises BadInput for shapes that do not fit, an index out of range, or fewer than two classes with an answer.
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
    with threads_for(small * small * max(n, d)):
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
    shares = None if left_out_shares is None else np.asarray(left_out_shares, np.float64)[:, trained]
    level = np.full(classes, constant)
    if ordered:
        mixed = grade_likeness(trained)
        weights, held_out, level = weights @ mixed.astype(np.float32), held_out @ mixed, level @ mixed
    if classes == 2:
        weights = np.stack([weights[:, 0], -weights[:, 0]], axis=1)  # to the last bit: one is scanned for both

    return assembled(weights, level, held_out, shares, trained, place, n_classes)


def assembled(
    weights: np.ndarray,
    level: np.ndarray,
    held_out: np.ndarray,
    shares: np.ndarray | None,
    trained: np.ndarray,
    place: np.ndarray,
    n_classes: int,
) -> LinearClassifier:
    """Calibrate what was fitted to the k `trained` classes, and widen it to all `n_classes`.

    `weights` (d, k), `level` (k,); left-out scores `held_out` and graph `shares` (n, k); `place` (n,) in 0..k-1.
    """
    sample = len(place) / (len(trained) * np.bincount(place)[place])
    with threads_for(0):
        fitted = calibrate(held_out, shares, place, sample)
    logits = fitted.logits(held_out, shares)
    right = logits.argmax(axis=1) == place
    full, bias = np.zeros((len(weights), n_classes), np.float32), np.full(n_classes, -np.inf, np.float32)
    full[:, trained], bias[trained] = weights, level
    offsets = np.zeros(n_classes, np.float32)
    offsets[trained] = fitted.offsets
    return LinearClassifier(
        weights=full,
        bias=bias,
        calibration=Calibration(fitted.temperature, fitted.spread_weight, offsets),
        loo_scores=_widened(held_out, trained, n_classes),
        loo_logits=_widened(logits, trained, n_classes),
        loo_accuracy=float(right.mean()),
        loo_balanced_accuracy=float((right * sample).mean()),
    )


def grade_likeness(grades: np.ndarray) -> np.ndarray:
    """(k,) places of grades to (k, k): 1 for the same, -1 for the ends, in equal steps between them."""
    steps = np.arange(len(grades))
    return 1 - 2 * np.abs(steps[:, None] - steps[None]) / max(len(grades) - 1, 1)


def _widened(values: np.ndarray, trained: np.ndarray, n_classes: int) -> np.ndarray:
    full = np.full((len(values), n_classes), -np.inf, np.float32)
    full[:, trained] = values
    return full


def softmax(scores: np.ndarray) -> np.ndarray:
    """(m, C) scores, some of them -inf, to (m, C) shares that sum to one; overwrites `scores`."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


@contextlib.contextmanager
def threads_for(multiplications: float) -> Iterator[None]:
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
    edges = np.flatnonzero(np.diff(np.asarray(groups)[order], prepend=-1, append=-1))
    sizes = np.diff(edges)
    return [order[first : first + size] for first, size in zip(edges[:-1][sizes > 1], sizes[sizes > 1], strict=True)]

"""Other classifiers over the same vectors, compared with ridge on the same folds.

Ridge is what answers live. Measured on real features (4 collections, 3 to 11 classes, 200 and 700 answers): logistic
regression with its best penalty is within .015 of it, either way, and costs a hundred times as much; so another method
is taken when cross-validation on the question's own answers says so and somebody asks for it.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.errors import BadInput
from explorer.learning.classifier import LinearClassifier, assembled, fit_classifier

METHODS = {
    "ridge": "Ridge regression",
    "logistic": "Logistic regression",
    "svm": "Linear support vector machine",
    "centroid": "Nearest centroid",
}
NOT_LINEAR = {
    "mlp": "A network with one hidden layer",
    "forest": "Random forest",
    "boosting": "Gradient boosting",
}
"""For comparison only: what scans, heat maps and exports rest on is linear."""
PENALTIES = (1.0, 10.0, 100.0)
"""Of logistic regression, as scikit-learn's C; the best by cross-validation is taken."""
FOLDS = 5
_SPREAD = 0.4
"""Standard deviation of ridge's left-out scores, to which others are scaled: the calibration starts from there."""

_HIDDEN, _TREES = 64, 300
_AXES = {"forest": 64, "boosting": 32}
"""Main directions that trees look at. Over 600 answers of 1,280 numbers and 11 classes a forest had .57 right with
them, .55 without, in less than half the time."""
_MOST = 600
"""Answers that methods which are not linear are compared on."""

_Fitted = tuple[np.ndarray, np.ndarray]
"""(d, C) weights and (C,) bias"""


@dataclass(frozen=True)
class Compared:
    """One method, judged on folds that all methods share."""

    method: str
    title: str
    balanced_accuracy: float
    low: float
    high: float
    lead: float
    """Ahead of ridge on the same pictures, in balanced accuracy."""
    lead_low: float
    lead_high: float


def fit_linear(
    method: str,
    X: np.ndarray,
    y: np.ndarray,
    n_classes: int,
    groups: np.ndarray | None = None,
    left_out_shares: np.ndarray | None = None,
) -> LinearClassifier:
    """`fit_classifier` by another method; its left-out scores come from grouped cross-validation.

    Raises BadInput for an unknown method, or where `fit_classifier` does.
    """
    if method not in METHODS:
        raise BadInput(f"There is no method '{method}'. There are: {', '.join(METHODS)}.")
    if method == "ridge":
        return fit_classifier(X, y, n_classes, groups, left_out_shares=left_out_shares)
    X, y = np.ascontiguousarray(X, np.float32), np.asarray(y, np.int64)
    trained, place = np.unique(y, return_inverse=True)
    if len(trained) < 2:
        raise BadInput("Answer at least one picture of each of two classes first.")
    folds = _folds(place, groups)
    fit = _fitter(method, X, place, folds)
    held_out = _held_out(fit, X, place, folds)
    weights, bias = fit(X, place)
    scale = _SPREAD / max(float(held_out.std()), 1e-6)
    held_out, weights, bias = held_out * scale, weights * scale, bias * scale
    shares = None if left_out_shares is None else np.asarray(left_out_shares, np.float64)[:, trained]
    return assembled(weights, bias, held_out, shares, trained, place, n_classes)


def compare(X: np.ndarray, y: np.ndarray, groups: np.ndarray, seed: int = 0, also: bool = False) -> list[Compared]:
    """Every method on the same grouped folds of (n, d) vectors and (n,) classes, the best first.

    `also`: those of NOT_LINEAR too, all of them on at most 600 answers; takes some seconds. Intervals (95 %) by
    drawing groups of near-duplicates anew, the same draw for all methods. Raises BadInput if fewer than two classes
    have as many answers as there are folds.
    """
    X, y, groups = np.ascontiguousarray(X, np.float32), np.asarray(y), np.asarray(groups)
    if also and len(y) > _MOST:
        kept = np.sort(np.random.default_rng(seed).choice(len(y), _MOST, replace=False))
        X, y, groups = X[kept], y[kept], groups[kept]
    trained, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(trained) < 2 or counts.min() < FOLDS:
        raise BadInput(f"To compare methods, answer at least {FOLDS} pictures of each class.")
    folds = _folds(place, groups)
    right = {
        method: _held_out(_fitter(method, X, place, folds), X, place, folds).argmax(axis=1) == place
        for method in METHODS
    }
    for method in NOT_LINEAR if also else ():
        right[method] = _guessed(method, X, place, folds, seed) == place
    rng = np.random.default_rng(seed)
    of_group = np.unique(groups, return_inverse=True)[1]
    several = of_group.max() + 1
    draws = [np.bincount(rng.integers(0, several, several), minlength=several)[of_group] for _ in range(1_000)]
    weights = np.array([np.ones(len(place)), *draws], np.float64)
    found = {method: _balanced(each, place, weights) for method, each in right.items()}
    compared = []
    for method, scores in found.items():
        lead = scores - found["ridge"]
        low, high = np.percentile(scores[1:], [2.5, 97.5])
        lead_low, lead_high = np.percentile(lead[1:], [2.5, 97.5])
        values = map(float, (scores[0], low, high, lead[0], lead_low, lead_high))
        compared.append(Compared(method, (METHODS | NOT_LINEAR)[method], *values))
    return sorted(compared, key=lambda one: -one.balanced_accuracy)


def methods_sentence(compared: Sequence[Compared]) -> str:
    """Can a forest do this, does a layer do? In one line, from what `compare` found with `also`.

    Raises BadInput if there was nothing but linear methods to compare.
    """
    found = {one.method: one for one in compared}
    others = [one for one in compared if one.method in NOT_LINEAR]
    if not others:
        raise BadInput("Only linear methods were compared; ask for the others too.")
    ridge = found["ridge"]
    best = max(others, key=lambda one: one.balanced_accuracy)
    parts = [f"{one.title.lower()} {_as_figure(one.balanced_accuracy)}" for one in others]
    figures = f"ridge {_as_figure(ridge.balanced_accuracy)}, {', '.join(parts)}"
    real = [one for one in others if one.lead_low > 0]
    behind = [one for one in others if one.lead_high < 0]
    if real:
        told = f"{best.title} does better than a flat cut here: this look could tell more than a line takes from it"
    elif len(behind) == len(others):
        told = "A flat cut does better here than a hidden layer, a forest or boosting"
    elif behind:
        told = f"A flat cut is as good as any; {' and '.join(one.title.lower() for one in behind)} cannot keep up"
    else:
        told = "A hidden layer, a forest or boosting gain nothing that is more than chance over a flat cut"
    return f"{told} ({figures} right)."


def _as_figure(share: float) -> str:
    return f"{share:.2f}".removeprefix("0")


def _balanced(right: np.ndarray, place: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(n,) outcomes under (r, n) weights to (r,) balanced accuracies."""
    members = np.eye(place.max() + 1)[place]
    hits, all_of = (weights * right) @ members, weights @ members
    return np.asarray(np.nanmean(np.where(all_of > 0, hits / np.maximum(all_of, 1e-9), np.nan), axis=1))


def _folds(place: np.ndarray, groups: np.ndarray | None) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """(training, held out) places; near-duplicates on one side, every class in as many folds as it has answers for."""
    from sklearn.model_selection import StratifiedGroupKFold

    groups = np.arange(len(place)) if groups is None else groups
    count = max(2, min(FOLDS, int(np.bincount(place).min()), len(np.unique(groups))))
    return list(StratifiedGroupKFold(count, shuffle=True, random_state=0).split(place[:, None], place, groups))


def _held_out(
    fit: Callable[[np.ndarray, np.ndarray], _Fitted],
    X: np.ndarray,
    place: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """(n, C) scores of each answer by the fit that has not seen its fold; a class that a fit lacks scores lowest."""
    out = np.zeros((len(X), place.max() + 1))
    for train, test in folds:
        present, own = np.unique(place[train], return_inverse=True)
        if len(present) < 2:
            continue
        weights, bias = fit(X[train], own)
        scores = X[test] @ weights + bias
        out[np.ix_(test, present)] = scores
        lacking = np.setdiff1d(np.arange(out.shape[1]), present)
        if len(lacking):
            out[np.ix_(test, lacking)] = scores.min() - 1
    return out


def _fitter(
    method: str, X: np.ndarray, place: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Callable[[np.ndarray, np.ndarray], _Fitted]:
    if method == "ridge":
        return _ridge
    if method == "centroid":
        return _centroid
    if method == "svm":
        return _svm
    losses = {penalty: _log_loss(_held_out(_logistic(penalty), X, place, folds), place) for penalty in PENALTIES}
    return _logistic(min(losses, key=lambda penalty: losses[penalty]))


def _log_loss(scores: np.ndarray, place: np.ndarray) -> float:
    top = scores.max(axis=1, keepdims=True)
    spread = np.log(np.exp(scores - top).sum(axis=1)) + top[:, 0]
    sample = 1 / np.bincount(place)[place]
    return float((sample * (spread - scores[np.arange(len(place)), place])).sum())


def _ridge(X: np.ndarray, place: np.ndarray) -> _Fitted:
    fitted = fit_classifier(X, place, int(place.max()) + 1)
    return fitted.weights, fitted.bias


def _centroid(X: np.ndarray, place: np.ndarray) -> _Fitted:
    means = np.stack([X[place == each].mean(axis=0) for each in range(place.max() + 1)])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    return means.T, np.zeros(len(means))


def _logistic(penalty: float) -> Callable[[np.ndarray, np.ndarray], _Fitted]:
    from sklearn.linear_model import LogisticRegression

    def fit(X: np.ndarray, place: np.ndarray) -> _Fitted:
        model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=500).fit(X, place)
        return _two_sided(model.coef_, model.intercept_)

    return fit


def _svm(X: np.ndarray, place: np.ndarray) -> _Fitted:
    from sklearn.svm import LinearSVC

    model = LinearSVC(C=0.3, class_weight="balanced").fit(X, place)
    return _two_sided(model.coef_, model.intercept_)


def _two_sided(weights: np.ndarray, bias: np.ndarray) -> _Fitted:
    """scikit-learn gives one row for two classes."""
    if len(weights) == 1:
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return weights.T, bias


def _guessed(
    method: str, X: np.ndarray, place: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]], seed: int
) -> np.ndarray:
    """(n,) the class that a method of NOT_LINEAR guesses of each answer, fitted to the other folds; -1 where those
    hold one class alone."""
    from sklearn.exceptions import ConvergenceWarning

    out = np.full(len(X), -1)
    for train, test in folds:
        present, own = np.unique(place[train], return_inverse=True)
        if len(present) < 2:
            continue
        inside, outside = X[train], X[test]
        if method in _AXES:
            from sklearn.decomposition import PCA

            axes = PCA(min(_AXES[method], *inside.shape), random_state=seed).fit(inside)
            inside, outside = axes.transform(inside), axes.transform(outside)
        weights = len(own) / (len(present) * np.bincount(own)[own])
        # rows of length one have tiny numbers, which a network's first steps would not notice
        scale = np.sqrt(inside.shape[1]) if method == "mlp" else 1.0
        with warnings.catch_warnings(), _one_thread():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 60 rounds are what it gets
            model = _model(method, seed).fit(inside * scale, own, sample_weight=weights)
        out[test] = present[model.predict(outside * scale)]
    return out


def _one_thread() -> Any:
    """OpenMP threads wait for each other by spinning, and the app needs the other cores."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="openmp")


def _model(method: str, seed: int) -> Any:
    if method == "mlp":
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier(_HIDDEN, alpha=1.0, max_iter=60, random_state=seed)
    if method == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(_TREES, random_state=seed)
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=25, learning_rate=0.2, max_leaf_nodes=6, min_samples_leaf=5, early_stopping=False, random_state=seed
    )

"""The live classifier is ridge regression, its left-out scores are those of real refits, and it knows its limits."""

import time

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.learning.classifier import LinearClassifier, fit_classifier


def pictures(
    n: int, d: int, classes: int, seed: int = 0, spread: float = 1.0, uneven: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Clouds of unit vectors, one a class: (n, d) float32 and (n,) int."""
    rng = np.random.default_rng(seed)
    share = np.arange(1, classes + 1) ** 2 if uneven else np.ones(classes)
    y = rng.choice(classes, n, p=share / share.sum())
    y[:classes] = np.arange(classes)
    middles = np.random.default_rng(1000 + d).normal(size=(classes, d))
    X = middles[y] + spread * rng.normal(size=(n, d))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


def by_hand(X: np.ndarray, y: np.ndarray, classes: int, sample: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights (d, C) of weighted ridge with the balanced constant, from the normal equations in double precision."""
    constant = (2 - classes) / classes
    targets = np.where(np.arange(classes) == y[:, None], 1.0, -1.0) - constant
    X = X.astype(np.float64)
    gram = (X * sample[:, None]).T @ X + np.eye(X.shape[1])
    return np.linalg.solve(gram, (X * sample[:, None]).T @ targets), constant


def balance(y: np.ndarray) -> np.ndarray:
    counts = np.bincount(y)
    return len(y) / (len(counts) * counts[y])


@pytest.mark.parametrize(("n", "d"), [(30, 64), (90, 12)], ids=["dual", "primal"])
def test_the_weights_are_those_of_the_normal_equations(n: int, d: int) -> None:
    X, y = pictures(n, d, 3, uneven=True)
    fitted = fit_classifier(X, y, 3)
    weights, constant = by_hand(X, y, 3, balance(y))
    np.testing.assert_allclose(fitted.weights, weights, atol=2e-5)
    np.testing.assert_allclose(fitted.scores(X), X @ weights + constant, atol=1e-4)


@pytest.mark.parametrize(("n", "d"), [(30, 64), (90, 12)], ids=["dual", "primal"])
@pytest.mark.parametrize("grouped", [False, True])
def test_left_out_scores_are_those_of_fits_without_the_picture(n: int, d: int, grouped: bool) -> None:
    X, y = pictures(n, d, 3, uneven=True)
    groups = np.arange(n) // 4 if grouped else np.arange(n)
    fitted = fit_classifier(X, y, 3, groups if grouped else None)
    sample = balance(y)
    for group in np.unique(groups):
        out = groups == group
        weights, constant = by_hand(X[~out], y[~out], 3, sample[~out])
        np.testing.assert_allclose(fitted.loo_scores[out], X[out] @ weights + constant, atol=2e-4)


def test_it_is_right_on_pictures_it_has_not_seen() -> None:
    X, y = pictures(400, 128, 4, spread=2.0)
    fitted = fit_classifier(X[:60], y[:60], 4)
    right = (fitted.probabilities(X[60:]).argmax(1) == y[60:]).mean()
    assert right > 0.9
    assert abs(fitted.loo_accuracy - right) < 0.12


def test_answers_that_mean_nothing_are_judged_so() -> None:
    """Shuffled answers: on the answered pictures themselves the fit looks perfect, left out it is at chance."""
    X, y = pictures(120, 256, 2)
    shuffled = np.random.default_rng(3).permutation(y)
    fitted = fit_classifier(X, shuffled, 2)
    assert (fitted.probabilities(X).argmax(1) == shuffled).mean() > 0.9
    assert 0.3 < fitted.loo_balanced_accuracy < 0.65
    assert fitted.temperature < fit_classifier(X, y, 2).temperature


def test_near_duplicates_do_not_vouch_for_each_other() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 64))
    y = rng.permutation(np.arange(20) % 2)
    twins = np.concatenate([X, X + 0.01 * rng.normal(size=X.shape)])
    twins = (twins / np.linalg.norm(twins, axis=1, keepdims=True)).astype(np.float32)
    both = np.concatenate([y, y])
    assert fit_classifier(twins, both, 2).loo_accuracy > 0.95
    assert fit_classifier(twins, both, 2, groups=np.tile(np.arange(20), 2)).loo_accuracy < 0.75


def test_a_rare_class_is_not_drowned() -> None:
    X, y = pictures(300, 64, 2, spread=2.5, uneven=False)
    keep = np.concatenate([np.flatnonzero(y == 0)[:95], np.flatnonzero(y == 1)[:5]])
    rest = np.setdiff1d(np.arange(300), keep)
    guessed = fit_classifier(X[keep], y[keep], 2).probabilities(X[rest]).argmax(1)
    recall = [(guessed[y[rest] == c] == c).mean() for c in (0, 1)]
    assert min(recall) > 0.6


def test_shares_mean_what_they_say() -> None:
    """Over many small collections, of the guesses called p % sure about p % are right."""
    sure, right = [], []
    for seed in range(12):
        X, y = pictures(340, 128, 3, seed=seed, spread=4.5)
        shares = fit_classifier(X[:60], y[:60], 3).probabilities(X[60:])
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
        sure.append(shares.max(1))
        right.append(shares.argmax(1) == y[60:])
    confidence, hit = np.concatenate(sure), np.concatenate(right)
    assert 0.5 < hit.mean() < 0.95
    for low, high in ((0.34, 0.6), (0.6, 0.8), (0.8, 1.0)):
        within = (confidence >= low) & (confidence < high)
        assert within.sum() > 100
        assert abs(confidence[within].mean() - hit[within].mean()) < 0.1


def test_a_class_without_an_answer_has_no_share() -> None:
    X, y = pictures(40, 32, 2)
    fitted = fit_classifier(X, np.where(y == 1, 3, 0), 5)
    shares = fitted.probabilities(X)
    assert (shares[:, [1, 2, 4]] == 0).all()
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    assert np.isfinite(fitted.weights).all()
    assert fitted.loo_accuracy > 0.9


@pytest.mark.parametrize("y", [[], [1], [1, 1, 1]])
def test_one_class_is_no_question(y: list[int]) -> None:
    with pytest.raises(BadInput, match="at least one picture of each of two classes"):
        fit_classifier(np.ones((len(y), 4), np.float32), np.array(y, int), 2)


def test_one_answer_of_each_of_two_classes_is_enough() -> None:
    X, _ = pictures(2, 64, 2)
    fitted = fit_classifier(X, np.array([0, 1]), 2)
    np.testing.assert_array_equal(fitted.probabilities(X).argmax(1), [0, 1])
    twins = fit_classifier(X, np.array([0, 1]), 2, groups=np.array([7, 7]))
    assert np.isfinite(twins.loo_scores).all()
    assert np.isfinite(twins.temperature)


def test_what_does_not_fit_is_refused() -> None:
    X = np.eye(3, dtype=np.float32)
    with pytest.raises(BadInput, match="shapes"):
        fit_classifier(X, np.array([0, 1]), 2)
    with pytest.raises(BadInput, match="outside 0 to 1"):
        fit_classifier(X, np.array([0, 1, 2]), 2)
    with pytest.raises(BadInput, match="no numbers"):
        fit_classifier(np.full((3, 4), np.nan, np.float32), np.array([0, 1, 0]), 2)


def test_a_mapped_file_is_scored_like_an_array(tmp_path: object) -> None:
    X, y = pictures(40_000, 16, 3)
    fitted = fit_classifier(X[:50], y[:50], 3)
    path = f"{tmp_path}/vectors.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    np.testing.assert_allclose(fitted.probabilities(mapped), fitted.probabilities(X), atol=1e-6)


def test_it_is_fast_enough_for_a_key_press() -> None:
    X, y = pictures(200, 1280, 5)
    times = []
    fitted: LinearClassifier | None = None
    for _ in range(8):
        began = time.perf_counter()
        fitted = fit_classifier(X, y, 5)
        times.append(time.perf_counter() - began)
    assert fitted is not None
    assert min(times[1:]) < 0.05  # 5 ms measured on two busy processors

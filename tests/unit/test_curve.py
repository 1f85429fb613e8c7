"""The learning curve rises as the truth does, and its forecast holds what more answers bring."""

import time

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.learning.classifier import fit_classifier
from explorer.learning.curve import learning_curve


def pictures(
    rng: np.random.Generator, n: int, classes: int = 2, d: int = 60, noise: float = 2.5
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of length one around a middle for each class; how well they come apart differs from call to call."""
    middles = rng.normal(size=(classes, d))
    y = rng.permutation(np.arange(n) % classes)
    X = middles[y] + noise * rng.uniform(0.7, 1.3) * rng.normal(size=(n, d))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


def accuracy(X: np.ndarray, y: np.ndarray, answers: int, test: int) -> float:
    fitted = fit_classifier(X[:answers], y[:answers], int(y.max()) + 1)
    guess, truth = fitted.scores(X[test:]).argmax(axis=1), y[test:]
    return float(np.mean([(guess[truth == each] == each).mean() for each in np.unique(truth)]))


def test_the_forecast_holds_and_is_narrower_than_knowing_nothing() -> None:
    rng = np.random.default_rng(0)
    held, widths = [], []
    for run in range(100):
        X, y = pictures(rng, 900)
        m, more = int(rng.choice([24, 40, 80])), int(rng.choice([10, 20, 50]))
        said = learning_curve(X[:m], y[:m], 2, seed=run).forecast(more)
        gain = accuracy(X, y, m + more, 200) - accuracy(X, y, m, 200)
        held.append(said.low <= gain <= said.high)
        widths.append(said.high - said.low)
    assert np.mean(held) >= 0.9
    assert np.mean(widths) < 0.25


def test_the_last_point_is_leave_one_out_of_the_classifier_itself() -> None:
    X, y = pictures(np.random.default_rng(1), 80, classes=3)
    groups = np.arange(80) // 2
    curve = learning_curve(X, y, 3, groups)
    fitted = fit_classifier(X, y, 3, groups)
    assert curve.points[-1].accuracy.value == pytest.approx(fitted.loo_balanced_accuracy, abs=0.026)
    assert [point.answers for point in curve.points] == sorted({point.answers for point in curve.points})
    assert curve.points[0].accuracy.value < curve.points[-1].accuracy.value + 0.02
    for point in curve.points:
        assert point.accuracy.low < point.accuracy.value < point.accuracy.high


def test_what_is_learnt_out_promises_little_and_few_answers_promise_widely() -> None:
    rng = np.random.default_rng(2)
    X, y = pictures(rng, 400, noise=0.4)
    done = learning_curve(X, y, 2)
    assert done.forecast(20).high < 0.02
    assert "change little" in done.sentence(20)
    X, y = pictures(rng, 30, noise=2.0)
    fresh = learning_curve(X[:16], y[:16], 2)
    assert fresh.forecast(20).high - fresh.forecast(20).low > 0.1
    assert "20 more labels would probably bring" in fresh.sentence(20)
    assert fresh.forecast(50).high > fresh.forecast(5).high


def test_too_few_answers_have_no_curve() -> None:
    X, y = pictures(np.random.default_rng(3), 8)
    curve = learning_curve(X, y, 2)
    assert curve.points == ()
    assert "needs 12 answers" in curve.sentence()
    same = learning_curve(np.repeat(X[:1], 20, axis=0), np.arange(20) % 2, 2, np.zeros(20, int))
    assert same.reason
    with pytest.raises(BadInput, match="do not fit"):
        learning_curve(X, y[:5], 2)
    with pytest.raises(BadInput, match="at least one"):
        curve.forecast(0)


def test_it_is_quick_at_200_answers_of_1280_numbers() -> None:
    X, y = pictures(np.random.default_rng(4), 200, classes=10, d=1280)
    start = time.process_time()
    learning_curve(X, y, 10)
    assert time.process_time() - start < 1.5

"""Figures come with their uncertainty, and the words do not promise more than the figures."""

import numpy as np
import pytest

from explorer.learning.classifier import fit_classifier
from explorer.learning.evaluation import evaluate, wilson


def judged(truth: list[int], guessed: list[int], classes: int) -> np.ndarray:
    """Left-out scores with these guesses."""
    return np.where(np.arange(classes) == np.array(guessed)[:, None], 1.0, -1.0).astype(np.float32)


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    for right, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(right, total) == pytest.approx((low, high), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_figures_are_counted_from_the_left_out_guesses() -> None:
    truth = [0] * 30 + [1] * 10
    guessed = [0] * 27 + [1] * 3 + [1] * 6 + [0] * 4
    quality = evaluate(judged(truth, guessed, 2), np.array(truth), ["kitchen", "bathroom"])
    assert quality.confusion.tolist() == [[27, 3], [4, 6]]
    assert quality.accuracy == pytest.approx(33 / 40)
    wider = wilson(33, 40)
    assert quality.accuracy_low < wider[0] < wider[1] < quality.accuracy_high
    assert quality.balanced_accuracy == pytest.approx((0.9 + 0.6) / 2)
    assert quality.balanced_low < 0.75 < quality.balanced_high
    assert quality.balanced_high - quality.balanced_low > quality.accuracy_high - quality.accuracy_low
    assert quality.per_class == (30, 10)
    assert "82 % right on pictures like the ones you answered (65–92 %)" in quality.words
    assert quality.warning == ""


@pytest.mark.parametrize(
    ("right", "total", "grade"),
    [(49, 50, "very good"), (44, 50, "good"), (38, 50, "fair"), (32, 50, "weak"), (25, 50, "no better than guessing")],
)
def test_words_follow_what_is_reached_above_guessing(right: int, total: int, grade: str) -> None:
    truth = [0, 1] * (total // 2)
    guessed = [t if i < right else 1 - t for i, t in enumerate(truth)]
    quality = evaluate(judged(truth, guessed, 2), np.array(truth), ["a", "b"])
    assert quality.grade == grade
    assert quality.words.lower().startswith(grade)


def test_always_saying_the_common_class_is_no_better_than_guessing() -> None:
    truth = [0] * 90 + [1] * 10
    quality = evaluate(judged(truth, [0] * 100, 2), np.array(truth), ["a", "b"])
    assert quality.accuracy == 0.9
    assert quality.grade == "no better than guessing"


def test_too_little_is_said_to_be_too_little() -> None:
    few = evaluate(judged([0, 1, 0, 1], [0, 1, 0, 1], 2), np.array([0, 1, 0, 1]), ["a", "b"])
    assert few.grade == "too early"
    assert "%" not in few.words
    assert "only 4 answers" in few.warning
    truth = [0] * 27 + [1] * 3
    thin = evaluate(judged(truth, truth, 2), np.array(truth), ["a", "b"])
    assert thin.warning == "This rests on only 3 answers for “b”."
    missing = evaluate(judged([0, 1] * 15, [0, 1] * 15, 3), np.array([0, 1] * 15), ["a", "b", "c"])
    assert missing.warning == "This rests on no answer for “c”."


def test_near_duplicates_count_once_in_the_interval() -> None:
    truth = [0, 1] * 30
    groups = np.arange(60) // 6 * 2 + np.array(truth)
    alone = evaluate(judged(truth, truth, 2), np.array(truth), ["a", "b"])
    grouped = evaluate(judged(truth, truth, 2), np.array(truth), ["a", "b"], groups)
    assert grouped.independent == 20
    assert grouped.accuracy_low < alone.accuracy_low - 0.08
    assert "count like 20" in grouped.warning


def test_the_interval_holds_the_truth() -> None:
    """Of 200 small questions, the true balanced accuracy lies in the interval for more than 9 in 10."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        middles = rng.normal(size=(2, 40))
        y = np.arange(2040) % 2
        X = middles[y] + 3.5 * rng.normal(size=(2040, 40))
        X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
        fitted = fit_classifier(X[:40], y[:40], 2)
        quality = evaluate(fitted, y[:40], ["a", "b"])
        guessed = fitted.probabilities(X[40:]).argmax(1)
        truth = np.mean([(guessed[y[40:] == c] == c).mean() for c in (0, 1)])
        held += quality.balanced_low <= truth <= quality.balanced_high
    assert held >= 185

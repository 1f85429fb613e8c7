"""Precision and recall as the threshold moves, carried from unfairly picked answers to the whole collection."""

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.learning.thresholds import POINTS, ThresholdCurve, threshold_curve


def collection(rng: np.random.Generator, n: int = 1_500) -> tuple[np.ndarray, np.ndarray]:
    y = rng.random(n) < rng.uniform(0.1, 0.5)
    score = rng.uniform(0.6, 1.6) * (2 * y - 1) + rng.normal(0, 1, n)
    return y, 1 / (1 + np.exp(-rng.uniform(0.7, 1.8) * score))


def judged(rng: np.random.Generator, y: np.ndarray, share: np.ndarray, m: int = 100) -> ThresholdCurve:
    """The doubtful ones answered first, with a few random ones: no fair sample."""
    doubtful = np.argsort(abs(share - 0.5))[: 4 * m]
    rows = np.unique(np.concatenate([rng.permutation(doubtful)[: m // 2], rng.permutation(len(y))[: m // 2]]))
    return threshold_curve(share, share[rows], y[rows], rows)


def test_the_intervals_hold_in_the_whole_collection() -> None:
    rng = np.random.default_rng(0)
    held = np.zeros((70, 2))
    widths = []
    for run in range(len(held)):
        y, share = collection(rng)
        curve = judged(rng, y, share)
        place = int(rng.integers(10, len(curve.thresholds) - 10))
        above = share >= curve.thresholds[place]
        truth = y[above].mean(), y[above].sum() / y.sum()
        for kind, found in enumerate((curve.precision, curve.recall)):
            held[run, kind] = found[1, place] <= truth[kind] <= found[2, place]
            widths.append(found[2, place] - found[1, place])
        assert abs(int(above.sum()) - int(curve.above[place])) <= 1
    assert (held.mean(axis=0) >= 0.9).all()
    assert np.mean(widths) < 0.3


def test_asking_for_a_precision_gives_a_threshold_that_has_it() -> None:
    rng = np.random.default_rng(1)
    kept, lower = 0, 0
    for _ in range(25):
        y, share = collection(rng)
        curve = judged(rng, y, share, 200)
        likely, surely = curve.threshold_for(0.9), curve.threshold_for(0.9, surely=True)
        if surely is None or likely is None:
            continue
        assert surely >= likely
        lower += 1
        kept += y[share >= surely].mean() >= 0.88
    assert lower >= 10
    assert kept >= 0.9 * lower


def test_the_curve_is_small_and_consistent() -> None:
    rng = np.random.default_rng(2)
    y, share = collection(rng)
    curve = judged(rng, y, share)
    assert len(curve.thresholds) <= POINTS
    assert np.all(np.diff(curve.thresholds) > 0)
    assert np.all(np.diff(curve.above) <= 0)
    assert np.all(np.diff(curve.recall[0]) <= 1e-9)
    assert curve.recall[0, 0] == 1
    for found in (curve.precision, curve.recall):
        assert np.all((found[1] <= found[0] + 1e-9) & (found[0] <= found[2] + 1e-9))
    above, precision, recall = curve.at(0.5)
    assert above == (share >= 0.5).sum()
    assert precision.low < y[share >= 0.5].mean() < precision.high
    assert recall.low < recall.value < recall.high


def test_everything_answered_leaves_no_doubt() -> None:
    y, share = collection(np.random.default_rng(3), 300)
    curve = threshold_curve(share, share, y, np.arange(300))
    place = int(np.searchsorted(curve.thresholds, 0.5))
    truth = y[share >= curve.thresholds[place]].mean()
    assert curve.precision[:, place] == pytest.approx([truth] * 3)


def test_one_sided_answers_are_refused() -> None:
    share = np.linspace(0, 1, 50)
    with pytest.raises(BadInput, match="of others"):
        threshold_curve(share, share[:5], np.zeros(5, bool), np.arange(5))
    curve = threshold_curve(share, share[::5], share[::5] > 0.5, np.arange(0, 50, 5))
    with pytest.raises(BadInput, match="between 0 and 100"):
        curve.threshold_for(1.5)

"""Each class, the reliability, the surely wrong ones, grades and attributes, counted from left-out guesses."""

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.learning.closer_look import evaluate_attributes, look_closer, reliability


def said(guessed: list[int], sure: list[float], classes: int) -> np.ndarray:
    """Probabilities with these best guesses."""
    out = np.repeat(((1 - np.array(sure)) / (classes - 1))[:, None], classes, axis=1)
    out[np.arange(len(guessed)), guessed] = sure
    return out.astype(np.float32)


def test_each_class_is_counted_as_scikit_learn_counts_it() -> None:
    from sklearn.metrics import f1_score, precision_recall_fscore_support

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    guessed = np.where(rng.random(120) < 0.7, y, rng.integers(0, 3, 120))
    look = look_closer(said(guessed.tolist(), [0.8] * 120, 3), y, ["a", "b", "c"])
    precision, recall, f1, support = precision_recall_fscore_support(y, guessed)
    for place, one in enumerate(look.per_class):
        assert one.precision is not None
        assert one.recall is not None
        assert one.f1 is not None
        assert (one.precision.value, one.recall.value, one.f1.value) == pytest.approx(
            (precision[place], recall[place], f1[place])
        )
        assert one.answers == support[place]
        for figure in (one.precision, one.recall, one.f1):
            assert 0 < figure.low < figure.value < figure.high < 1
    assert look.macro_f1 is not None
    assert look.macro_f1.value == pytest.approx(f1_score(y, guessed, average="macro"))


def test_macro_f1_holds_the_truth() -> None:
    rng = np.random.default_rng(1)
    held, widths = 0, []
    for _ in range(150):
        table = rng.dirichlet(np.ones(3), 3) * 0.5 + np.eye(3) * 0.5
        where = rng.dirichlet(np.full(3, 4.0))
        joint = where[:, None] * table
        truth = np.mean(2 * np.diag(joint) / (joint.sum(axis=0) + joint.sum(axis=1)))
        cells = rng.choice(9, 60, p=joint.ravel() / joint.sum())
        y, guessed = cells // 3, cells % 3
        if len(np.unique(y)) < 3:
            held += 1
            continue
        found = look_closer(said(guessed.tolist(), [0.7] * 60, 3), y, ["a", "b", "c"]).macro_f1
        assert found is not None
        held += found.low <= truth <= found.high
        widths.append(found.high - found.low)
    assert held >= 138
    assert np.mean(widths) < 0.4


def test_all_right_is_not_taken_for_perfect() -> None:
    y = np.arange(20) % 2
    look = look_closer(said(y.tolist(), [0.9] * 20, 2), y, ["a", "b"])
    assert look.macro_f1 is not None
    assert look.macro_f1.low < 0.97
    assert look.macro_f1.value == look.macro_f1.high == 1
    nobody = look_closer(said([0] * 20, [0.9] * 20, 3), y, ["a", "b", "c"]).per_class[2]
    assert nobody.precision is nobody.recall is nobody.f1 is None


def test_reliability_tells_boasting_from_knowing() -> None:
    rng = np.random.default_rng(2)
    sure = rng.uniform(0.5, 1, 2_000)
    honest = reliability(sure, rng.random(2_000) < sure)
    assert len(honest.bins) == 10
    assert {one.answers for one in honest.bins} == {200}
    assert honest.error < 2 * honest.error_by_chance + 0.01
    assert "can be believed" in honest.sentence
    assert sum(one.right.low <= one.sure <= one.right.high for one in honest.bins) >= 8
    boasting = reliability(sure, rng.random(2_000) < sure - 0.2)
    assert boasting.error == pytest.approx(0.2, abs=0.03)
    assert "more sure than it should be" in boasting.sentence
    assert reliability(sure[:8], np.ones(8, bool)).bins == ()


def test_the_surely_wrong_come_first_and_once_for_each_group() -> None:
    y = np.array([0, 0, 0, 1, 1])
    look = look_closer(said([1, 1, 0, 0, 1], [0.7, 0.95, 0.99, 0.8, 0.6], 2), y, ["a", "b"], np.array([0, 0, 1, 2, 3]))
    assert [(one.place, one.guessed) for one in look.wrong] == [(1, 1), (3, 0)]
    assert look.wrong[0].sure == pytest.approx(0.95)


def test_grades_say_how_far_off() -> None:
    y = np.array([0, 1, 2, 3, 4] * 8)
    guessed = np.where(np.arange(40) % 4 == 0, np.minimum(y + 1, 4), y)
    guessed[0] = 4
    off = abs(guessed - y)
    look = look_closer(said(guessed.tolist(), [0.6] * 40, 5), y, list("12345"), kind="grades")
    assert look.grades is not None
    assert look.grades.off.value == pytest.approx(off.mean())
    assert look.grades.off.low < off.mean() < look.grades.off.high
    assert look.grades.within_one.value == pytest.approx((off <= 1).mean())
    assert "at most one grade off" in look.grades.sentence
    assert look_closer(said(guessed.tolist(), [0.6] * 40, 5), y, list("12345")).grades is None


def test_attributes_are_judged_one_by_one() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, (60, 3))
    y[:, 2] = 1
    y[:10, 0] = -1
    share = np.where(y == 1, 0.8, 0.2)
    share[:, 1] = rng.random(60)
    good, bad, one_sided = evaluate_attributes(share, y, ["red", "signed", "framed"])
    assert good is not None
    assert bad is not None
    assert one_sided is None
    assert good.answers == 50
    assert good.grade == "very good"
    assert bad.accuracy < 0.8
    with pytest.raises(BadInput, match="differ in number"):
        evaluate_attributes(share[:, :2], y, ["red", "signed", "framed"])
    with pytest.raises(BadInput, match="differ in number"):
        look_closer(share, np.zeros(4, int), ["a", "b", "c"])

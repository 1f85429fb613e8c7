"""Which look suits a question: simulated looks whose truth is known, and a real pair on the demo."""

import numpy as np
import pytest

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.learning.classifier import fit_classifier
from explorer.learning.comparison import compare_looks, disagreements, learning_curves
from explorer.learning.looks import Look, looks_of
from explorer.learning.paired import covariance, fit_dual, left_out
from explorer.workspace import Workspace

NAMES = ["red", "green", "blue", "grey"]


def simulated(
    n: int, signals: dict[str, float], seed: int = 0, classes: int = 2, dim: int = 60
) -> tuple[list[Look], np.ndarray]:
    """Looks that know the class as well as their signal says, each with a noise of its own."""
    centres = np.random.default_rng(99).normal(size=(len(signals), classes, dim))
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    found = []
    for centre, (key, signal) in zip(centres, signals.items(), strict=True):
        X = signal * centre[y] + rng.normal(size=(n, dim))
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        found.append(Look(key, key.capitalize(), X.astype(np.float32)))
    return found, y


def test_left_out_scores_are_those_of_fits_without_the_group() -> None:
    looks, y = simulated(30, {"a": 0.4}, classes=3)
    X, groups = looks[0].vectors, np.arange(30) // 2 % 12
    fitted = fit_classifier(X, y, 3, groups)
    gram = (X @ X.T).astype(float)
    assert np.allclose(left_out(gram, y, groups), fitted.loo_scores, atol=1e-3)
    added, _, constant = fit_dual(gram, y)
    assert np.allclose(gram @ added + constant, fitted.scores(X), atol=1e-3)


def test_a_clearly_better_look_is_recommended_in_one_line() -> None:
    looks, y = simulated(40, {"poor": 0.1, "good": 0.9, "bad": 0.0})
    found = compare_looks(looks, y, np.arange(40), NAMES[:2])
    assert found.decided
    assert found.recommended == "good"
    assert found.more_labels == 0
    assert [each.verdict for each in found.scores] == ["best", "worse", "worse"]
    assert found.scores[0].lead == found.scores[0].lead_low == found.scores[0].lead_high == 0
    for each in found.scores[1:]:
        assert each.lead_low < each.lead < each.lead_high < 0.02
    assert found.sentence.startswith("“Good” tells these apart better than “")
    assert found.sentence.count("\n") == 0
    assert " right." in found.sentence


def test_of_equally_good_looks_one_is_seldom_recommended_wrongly() -> None:
    wrong, decided = [], []
    for seed in range(40):
        looks, y = simulated(430, {"one": 0.25, "two": 0.25, "three": 0.25}, seed)
        found = compare_looks(
            [Look(each.key, each.title, each.vectors[:30]) for each in looks], y[:30], None, NAMES[:2]
        )
        assert found.decided == (found.recommended != "")
        decided.append(found.decided)
        fits = {each.key: (fit_classifier(each.vectors[:30], y[:30], 2), each.vectors[30:]) for each in looks}
        right = {key: (fit.scores(rest).argmax(axis=1) == y[30:]).mean() for key, (fit, rest) in fits.items()}
        wrong.append(found.decided and max(right.values()) - right[found.recommended] > 0.02)
    assert np.mean(wrong) <= 0.15
    assert np.mean(decided) <= 0.5
    looks, y = simulated(30, {"one": 0.1, "two": 0.1}, 3)
    found = compare_looks(looks, y, None, NAMES[:2], default="two")
    assert not found.decided
    assert {each.verdict for each in found.scores} == {"best", "level"}


def test_the_same_look_twice_is_level_and_needs_no_more_labels_than_none() -> None:
    looks, y = simulated(30, {"one": 0.5, "other": 0.02})
    twin = Look("twin", "Twin", looks[0].vectors)
    found = compare_looks([looks[0], twin, looks[1]], y, None, NAMES[:2])
    ranks = {each.key: each for each in found.scores}
    assert ranks["one"].balanced_accuracy == ranks["twin"].balanced_accuracy
    assert ranks["twin"].lead == ranks["one"].lead == 0
    assert ranks["other"].verdict == "worse"


def test_near_duplicates_do_not_settle_anything() -> None:
    looks, y = simulated(14, {"one": 0.35, "two": 0.1}, seed=5)
    once = compare_looks(looks, y, None, NAMES[:2])
    copied = [Look(look.key, look.title, np.repeat(look.vectors, 8, axis=0)) for look in looks]
    many, groups = np.repeat(y, 8), np.repeat(np.arange(14), 8)
    again = compare_looks(copied, many, groups, NAMES[:2])
    fooled = compare_looks(copied, many, None, NAMES[:2])
    width = {
        name: found.scores[1].lead_high - found.scores[1].lead_low
        for name, found in (("once", once), ("again", again), ("fooled", fooled))
    }
    assert width["again"] > 0.6 * width["once"]
    assert width["fooled"] < 0.6 * width["again"]


def test_more_labels_are_forecast_and_settle_it() -> None:
    forecast, settled = [], []
    for seed in range(20):
        looks, y = simulated(20, {"good": 0.3, "poor": 0.15}, seed)
        found = compare_looks(looks, y, None, NAMES[:2])
        if found.more_labels:
            forecast.append(found.more_labels)
            assert f"{found.more_labels} more labels would probably settle it" in found.sentence
            more, y = simulated(20 + found.more_labels, {"good": 0.3, "poor": 0.15}, seed)
            settled.append(compare_looks(more, y, None, NAMES[:2]).decided)
    assert len(forecast) >= 3
    assert np.mean(settled) >= 0.5


def test_too_few_answers_are_too_early() -> None:
    looks, y = simulated(6, {"one": 0.9, "two": 0.0})
    found = compare_looks(looks, y, None, NAMES[:2])
    assert not found.decided
    assert found.more_labels == 4
    assert found.joined is None
    assert found.sentence.startswith("Too early to compare")
    alone = compare_looks(*(simulated(30, {"one": 0.9})), None, NAMES[:2])
    assert not alone.decided
    assert "nothing to compare" in alone.sentence


def test_the_spread_of_a_mean_is_that_of_groups() -> None:
    rng = np.random.default_rng(0)
    place, values = np.repeat([0, 1], 50), rng.normal(size=(2, 100))
    apart = covariance(values, place, np.arange(100))
    assert apart[0, 0] == pytest.approx(1.4 * values[0].var() / 100, rel=0.1)
    doubled = covariance(np.repeat(values, 2, axis=1), np.repeat(place, 2), np.repeat(np.arange(100), 2))
    assert np.allclose(doubled, apart, rtol=0.05, atol=1e-4)


def test_learning_curves_rise_and_share_their_parts() -> None:
    looks, y = simulated(120, {"good": 0.3, "none": 0.0}, classes=3)
    curves = learning_curves(looks, y)
    assert [point.answers for point in curves["good"]] == [10, 20, 40, 80, 120]
    good = [point.middle for point in curves["good"]]
    assert good[-1] > good[0] + 0.1
    assert abs(curves["none"][-1].middle - 1 / 3) < 0.15
    for point in curves["good"]:
        assert point.low < point.middle < point.high
    same = learning_curves([looks[0], Look("twin", "Twin", looks[0].vectors)], y)
    assert same["good"] == same["twin"]


def test_where_two_looks_disagree_the_surest_comes_first() -> None:
    looks, y = simulated(260, {"a": 0.5, "b": 0.5})
    seen, rest = slice(0, 60), slice(60, None)
    short = [Look(look.key, look.title, look.vectors[seen]) for look in looks]
    pool_a, pool_b = looks[0].vectors[rest].copy(), looks[1].vectors[rest]
    pool_a[7] = -pool_b[7] * 0 + short[0].vectors[y[seen] == 1].mean(axis=0) * 3
    pool_b = pool_b.copy()
    pool_b[7] = short[1].vectors[y[seen] == 0].mean(axis=0) * 3
    found = disagreements(short[0], short[1], y[seen], None, pool_a, pool_b)
    assert found[0].row == 7
    assert (found[0].class_a, found[0].class_b) == (1, 0)
    surest = [min(each.share_a, each.share_b) for each in found]
    assert surest == sorted(surest, reverse=True)
    assert min(surest) >= 0.5
    guess = [
        fit_classifier(look.vectors, y[seen], 2).scores(pool).argmax(axis=1)
        for look, pool in zip(short, (pool_a, pool_b), strict=True)
    ]
    assert abs(len(found) - (guess[0] != guess[1]).sum()) <= 10  # offsets move the border a little
    assert disagreements(short[0], short[0], y[seen], None, pool_a, pool_a) == []


def test_on_the_demo_content_tells_folders_apart_and_colours_do_not(demo_workspace: Workspace) -> None:
    dataset = Dataset.open(demo_workspace, demo_workspace.dataset_ids()[0])
    items = dataset.present().drop_duplicates("content_hash")
    chosen = items[items["meta:folder"].isin(["maps", "people"])].groupby("meta:folder").head(20)
    y = (chosen["meta:folder"] == "people").to_numpy().astype(int)
    looks = looks_of(dataset, chosen["uid"].tolist())
    found = compare_looks(looks, y, np.arange(len(y)), ["maps", "people"])
    assert found.scores[0].title.startswith("What it shows")
    assert found.scores[0].balanced_accuracy > 0.7
    assert {each.title: each.verdict for each in found.scores}["Colours"] == "worse"


def test_nonsense_is_refused() -> None:
    looks, y = simulated(30, {"one": 0.5, "two": 0.5})
    with pytest.raises(BadInput, match="No way of looking"):
        compare_looks([], y, None, NAMES)
    with pytest.raises(BadInput, match="different numbers"):
        compare_looks([looks[0], Look("x", "X", looks[1].vectors[:5])], y, None, NAMES)
    with pytest.raises(BadInput, match="two classes"):
        compare_looks(looks, np.zeros(30, int), None, NAMES)
    with pytest.raises(BadInput, match="outside"):
        compare_looks(looks, y + 3, None, NAMES)
    with pytest.raises(BadInput, match="shapes"):
        learning_curves(looks, y[:5])
    with pytest.raises(BadInput, match="different pictures"):
        disagreements(looks[0], looks[1], y, None, looks[0].vectors, looks[1].vectors[:4])

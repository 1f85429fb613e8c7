"""How far people agree: against worked examples of the authors, and against libraries."""

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.learning.agreement import (
    Ratings,
    agreement,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    ratings,
    ratings_of,
)
from explorer.learning.standing import CurrentAnswer

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units; 0 is missing
UNITS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
)
# Fleiss 1971 as it is usually retold: how many of 14 raters put each of 10 subjects into each of 5 classes; 0.210
SUBJECTS = np.array(
    [
        *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
        *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
    ]
)


def _made(people: int, pictures: int, right: float, missing: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, pictures)
    places = np.where(rng.random((people, pictures)) < right, truth, rng.integers(0, 4, (people, pictures)))
    return np.where(rng.random((people, pictures)) < missing, -1, places)


def _given(places: np.ndarray) -> Ratings:
    return Ratings(tuple("abcdefgh"[: len(places)]), tuple(map(str, range(places.shape[1]))), places)


def test_the_worked_examples_of_the_authors() -> None:
    assert krippendorff_alpha(UNITS - 1) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(UNITS - 1, ordered=True) == pytest.approx(0.815, abs=5e-4)
    raters = np.array([np.repeat(np.arange(5), row) for row in SUBJECTS]).T
    assert fleiss_kappa(raters) == pytest.approx(0.210, abs=5e-4)
    two = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [20, 5, 10, 15], axis=0).T
    assert cohen_kappa(*two) == pytest.approx(0.4), "(0.7 - 0.5) / (1 - 0.5)"


def test_the_same_as_the_libraries() -> None:
    import krippendorff
    from sklearn.metrics import cohen_kappa_score

    places = _made(4, 300, 0.7, 0.3)
    shown = np.where(places < 0, np.nan, places)
    for level, ordered in (("nominal", False), ("ordinal", True)):
        theirs = krippendorff.alpha(shown, level_of_measurement=level)
        assert krippendorff_alpha(places, ordered) == pytest.approx(theirs, abs=1e-12)
    one, other = _made(2, 300, 0.7, 0.0)
    assert cohen_kappa(one, other) == pytest.approx(cohen_kappa_score(one, other), abs=1e-12)


def test_the_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Drawn from one process whose alpha is known from very many pictures: 95 % of 100 intervals, give or take."""
    truth = krippendorff_alpha(_made(3, 100_000, 0.7, 0.2, seed=9))
    inside = 0
    for seed in range(100):
        found = agreement(_given(_made(3, 80, 0.7, 0.2, seed)), draws=200, seed=seed).alpha
        inside += found.low <= truth <= found.high
    assert 87 <= inside <= 100


def test_pairs_and_shares_are_those_of_the_pictures_that_both_have() -> None:
    places = _made(3, 120, 0.8, 0.4)
    found = agreement(_given(places))
    assert [(pair.one, pair.other) for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    both = (places[0] >= 0) & (places[1] >= 0)
    assert found.pairs[0].kappa.pictures == both.sum()
    assert found.pairs[0].same == pytest.approx((places[0] == places[1])[both].mean())
    assert found.pairs[0].kappa.low < found.pairs[0].kappa.value < found.pairs[0].kappa.high
    assert found.pictures == ((places >= 0).sum(axis=0) > 1).sum()


def test_where_there_is_no_figure_none_is_given() -> None:
    few = agreement(_given(_made(2, 6, 0.9, 0.0)))
    assert (few.alpha.value, few.fleiss.value, few.pairs[0].kappa.value) == (None, None, None)
    always = agreement(_given(np.zeros((2, 50), int)))
    assert (always.same, always.alpha.value) == (1.0, None), "one answer only: chance would do as well"
    nothing = agreement(_given(np.full((0, 0), -1)))
    assert (nothing.pictures, nothing.alpha.value) == (0, None)
    with pytest.raises(BadInput, match="two people"):
        cohen_kappa(np.zeros(3, int), np.zeros(4, int))


def test_answers_become_ratings() -> None:
    def said(value: str, class_id: str | None) -> CurrentAnswer:
        return CurrentAnswer(class_id, value, 1, "", "", 0.0)

    given = ratings(
        {
            ("1", "ann"): said("yes", "low"),
            ("1", "bob"): said("yes", "high"),
            ("2", "ann"): said("yes", "low"),
            ("2", "bob"): said("unsure", None),
            ("3", "bob"): said("yes", "gone"),
        },
        ["low", "high"],
    )
    assert (given.people, given.uids, given.places.tolist()) == (("ann", "bob"), ("1",), [[0], [1]])
    verdicts = {("1", "ann"): {"dog": said("yes", "dog")}, ("1", "bob"): {"dog": said("no", "dog")}}
    assert ratings_of(verdicts, "dog").places.tolist() == [[1], [0]]
    assert ratings_of(verdicts, "cat").uids == ()

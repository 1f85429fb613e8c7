"""The next pictures: each way of choosing does what its sentence says, and never shows what is answered."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.learning.classifier import fit_classifier
from explorer.learning.kernels import doubt
from explorer.learning.suggestions import POLICIES, Situation, copies_of, suggest
from explorer.space.codes import largest

CLASSES = ("k", "b", "c")
EVERY = [*(name for name in POLICIES if name not in ("likely", "finish")), "likely:b", "finish:b"]


def collection(n: int = 300, groups: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ten tight clouds, the first holding half of all pictures: (n, 32) unit vectors and the cloud of each."""
    rng = np.random.default_rng(seed)
    cloud = np.where(rng.random(n) < 0.5, 0, rng.integers(groups, size=n))
    cloud[:groups] = np.arange(groups)
    X = rng.normal(size=(groups, 32))[cloud] + 0.4 * rng.normal(size=(n, 32))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), cloud


def situation(
    X: np.ndarray,
    answered: list[int] | None = None,
    probabilities: np.ndarray | None = None,
    copies: np.ndarray | None = None,
    excluded: list[int] | None = None,
) -> Situation:
    n = len(X)
    near = np.sort(X @ X.T, axis=1)[:, -11:-1]
    marks = {"answered": np.zeros(n, bool), "excluded": np.zeros(n, bool)}
    marks["answered"][answered or []] = True
    marks["excluded"][excluded or []] = True
    return Situation(
        vectors=X,
        copies=np.arange(n) if copies is None else copies,
        strangeness=(1 - near.mean(axis=1)).astype(np.float32),
        doubt=None if probabilities is None else doubt(np.log(np.maximum(probabilities, 1e-9))),
        likeliest=None if probabilities is None else likeliest(probabilities),
        class_ids=CLASSES,
        class_names=("kitchen", "bathroom", "cellar"),
        **marks,
    )


def likeliest(probabilities: np.ndarray) -> Callable[[int, int, np.ndarray], np.ndarray]:
    def first(place: int, n: int, wanted: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero(wanted)
        return rows[np.argsort(-probabilities[rows, place], kind="stable")[:n]]

    return first


def learnt(X: np.ndarray, cloud: np.ndarray, answered: list[int]) -> np.ndarray:
    return fit_classifier(X[answered], cloud[answered] % 3, 3).probabilities(X)


@pytest.mark.parametrize("policy", EVERY)
@pytest.mark.parametrize("started", [False, True])
def test_nothing_answered_hidden_or_twice_is_ever_shown(policy: str, started: bool) -> None:
    X, cloud = collection()
    copies = np.arange(300)
    copies[100:140] = copies[60:100]  # forty pictures are there twice
    answered, hidden = list(range(0, 70, 3)), list(range(150, 200))
    shares = learnt(X, cloud, answered) if started else None
    case = situation(X, answered, shares, copies, hidden)
    batch = suggest(policy, 400, case, seed=5)
    assert not set(batch.rows) & (set(answered) | set(hidden))
    assert len(set(copies[batch.rows])) == len(batch.rows)
    assert ((batch.probabilities > 0) & (batch.probabilities <= 1)).all()
    assert batch.why.endswith(".")
    again = suggest(policy, 400, case, seed=5)
    np.testing.assert_array_equal(again.rows, batch.rows)
    assert batch.drawn.any() == (policy == "random" or (policy == "useful" and started))
    if policy != "random":  # a copy of an answered picture has a known answer, and is asked about by lot alone
        assert not set(copies[batch.rows[~batch.drawn]]) & set(copies[answered])
        everything = set(copies) - set(copies[answered]) - set(range(150, 200))
        assert set(copies[batch.rows]) >= everything or policy == "strange"


def test_the_first_ten_come_from_all_over_the_collection() -> None:
    X, cloud = collection()
    first = suggest("useful", 10, situation(X))
    assert first.policy == "first"
    assert len(set(cloud[first.rows])) == 10
    by_lot = [len(set(cloud[suggest("random", 10, situation(X), seed).rows])) for seed in range(50)]
    assert np.mean(by_lot) < 7
    own = X @ np.array([X[cloud == c].mean(axis=0) for c in range(10)]).T
    rank = [(own[cloud == cloud[row], cloud[row]] > own[row, cloud[row]]).mean() for row in first.rows]
    assert np.mean(rank) < 0.35  # typical ones of their cloud, not its edge


def test_what_was_answered_counts_as_covered() -> None:
    X, cloud = collection()
    answered = [int(np.flatnonzero(cloud == c)[0]) for c in range(5)]
    more = suggest("useful", 5, situation(X, answered))
    assert set(cloud[more.rows]) == {5, 6, 7, 8, 9}


def test_a_large_collection_is_covered_through_a_sample() -> None:
    X, cloud = collection(5_000)
    assert len(set(cloud[suggest("useful", 10, situation(X)).rows])) == 10


def test_useful_pictures_are_doubtful_and_unlike_each_other() -> None:
    X, _ = collection()
    rng = np.random.default_rng(1)
    lean = 0.5 + 0.4 * rng.random(300)
    lean[:40] = 0.5 + 0.01 * rng.random(40)  # forty that are open, half of them almost the same picture
    X[:20] = X[0] + 0.01 * rng.normal(size=(20, 32)).astype(np.float32)
    X[:20] /= np.linalg.norm(X[:20], axis=1, keepdims=True)
    shares = np.stack([lean, 1 - lean, np.zeros(300)], axis=1).astype(np.float32)
    batch = suggest("useful", 12, situation(X, probabilities=shares))
    assert batch.drawn.sum() == 3
    rows = batch.rows[~batch.drawn]
    doubt = 2 * (1 - lean)
    assert doubt[rows].mean() > np.quantile(doubt, 0.85)
    assert (rows < 20).sum() <= 1
    near = X[rows] @ X[rows].T
    border = suggest("borderline", 10, situation(X, probabilities=shares)).rows
    among_border = X[border] @ X[border].T
    upper = np.triu_indices(10, 1)
    assert near[np.triu_indices(9, 1)].mean() < among_border[upper].mean()
    assert set(border) == set(np.argsort(np.abs(lean - 0.5), kind="stable")[:10])


def test_useful_answers_teach_more_than_random_ones() -> None:
    X, cloud = collection(600, seed=3)
    X = X + 0.25 * np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = cloud % 3
    reached = {}
    for policy in ("useful", "random"):
        accuracies = []
        for seed in range(6):
            answered: list[int] = []
            shares = None
            for step in range(4):
                answered += suggest(policy, 6, situation(X, answered, shares), seed=10 * seed + step).rows.tolist()
                if len(set(y[answered])) > 1:
                    shares = learnt(X, cloud, answered)
            assert shares is not None
            rest = np.setdiff1d(np.arange(600), answered)
            hit = shares[rest].argmax(axis=1) == y[rest]
            accuracies.append(np.mean([hit[cloud[rest] == c].mean() for c in range(10)]))
        reached[policy] = np.mean(accuracies)
    assert reached["useful"] > reached["random"] + 0.03


def test_likely_shows_the_most_likely_first_and_names_the_class() -> None:
    X, cloud = collection()
    shares = learnt(X, cloud, list(range(60)))
    batch = suggest("likely:b", 20, situation(X, list(range(60)), shares))
    rest = np.arange(60, 300)
    np.testing.assert_array_equal(batch.rows, rest[np.argsort(-shares[rest, 1], kind="stable")[:20]])
    assert "bathroom" in batch.why


def test_strange_finds_the_planted_odd_ones() -> None:
    X, _ = collection()
    rng = np.random.default_rng(7)
    odd = [40, 41, 42, 43]
    X[odd] = rng.normal(size=(4, 32))
    X[odd] /= np.linalg.norm(X[odd], axis=1, keepdims=True)
    assert set(suggest("strange", 4, situation(X)).rows) == set(odd)
    assert set(odd[2:]) <= set(suggest("strange", 4, situation(X, odd[:2])).rows)


def test_the_lot_is_fair_and_its_probabilities_are_true() -> None:
    X, _ = collection(30)
    copies = np.arange(30)
    copies[20:24] = 20  # four copies of one picture
    case = situation(X, [0, 1, 2], copies=copies)
    drawn = np.zeros(30)
    said = np.zeros(30)
    for seed in range(6_000):
        batch = suggest("random", 6, case, seed)
        drawn[batch.rows] += 1
        said[batch.rows] = batch.probabilities
    assert (drawn[:3] == 0).all()
    assert said[5] == pytest.approx(6 / 24)
    assert said[20] == pytest.approx(6 / 24 / 4)
    np.testing.assert_allclose(drawn[3:] / 6_000, said[3:], atol=0.025)


def test_unknown_ways_and_classes_are_refused() -> None:
    X, _ = collection(20)
    for policy in ("clever", "", "likely", "random:b"):
        with pytest.raises(BadInput, match="way of choosing"):
            suggest(policy, 5, situation(X))
    with pytest.raises(BadInput, match="class"):
        suggest("likely:nothing", 5, situation(X))


@pytest.mark.parametrize("policy", EVERY)
def test_when_everything_is_answered_it_says_so(policy: str) -> None:
    X, _ = collection(20)
    batch = suggest(policy, 5, situation(X, list(range(20))))
    assert len(batch.rows) == 0
    assert "Every picture has an answer" in batch.why


def test_the_largest_come_first_with_ties_in_order() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 5, size=200).astype(np.float32)
    whole = np.argsort(-values, kind="stable")
    for n in (0, 1, 7, 63, 199, 200, 500):
        np.testing.assert_array_equal(largest(values, n), whole[:n])


def test_copies_share_a_number_and_unreadable_files_do_not() -> None:
    numbers = copies_of(["aa", "bb", "aa", "", ""])
    assert numbers[0] == numbers[2]
    assert len(set(numbers.tolist())) == 4


def test_a_batch_may_be_asked_of_a_mapped_file(tmp_path: object) -> None:
    X, cloud = collection()
    path = f"{tmp_path}/vectors.npy"
    np.save(path, X)
    case = situation(X, list(range(30)), learnt(X, cloud, list(range(30))))
    mapped = dataclasses.replace(case, vectors=np.load(path, mmap_mode="r"))
    for policy in EVERY:
        np.testing.assert_array_equal(suggest(policy, 9, mapped).rows, suggest(policy, 9, case).rows)

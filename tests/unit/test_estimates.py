"""Random checks: the intervals hold the truth whatever was picked otherwise, and are not wider than they must be."""

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.learning.estimates import Record, distinct, estimate_collection, rest_total


def course(rng: np.random.Generator, y: np.ndarray, shares: np.ndarray, answers: int, by_lot: float = 0.5) -> Record:
    """Answers of which some are drawn by lot and the others picked, unfairly, from the likeliest of class 1."""
    rows: list[int] = []
    checks: list[bool] = []
    still = np.ones(len(y), bool)
    while len(rows) < answers:
        lot = bool(rng.random() < by_lot)
        open_rows = np.flatnonzero(still)
        row = int(rng.choice(open_rows) if lot else open_rows[shares[open_rows].argmax()])
        rows.append(row)
        checks.append(lot)
        still[row] = False
    return Record(np.array(rows), y[rows], np.array(checks))


def world(rng: np.random.Generator, n: int, prevalence: float, skill: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Classes, and how likely class 1 is said to be."""
    y = np.zeros(n, int)
    y[: max(int(prevalence * n), 1)] = 1
    score = skill * (2 * y - 1) + rng.normal(0, 1.5, n)
    return y, 1 / (1 + np.exp(-score))


@pytest.mark.parametrize("prevalence", [0.01, 0.1, 0.5])
def test_the_intervals_hold_the_truth_though_most_pictures_are_picked_unfairly(prevalence: float) -> None:
    rng = np.random.default_rng(int(1000 * prevalence))
    held = np.zeros((100, 2))
    widths, naive = [], 0
    for run in range(len(held)):
        y, share = world(rng, 600, prevalence)
        record = course(rng, y, share, int(rng.choice([30, 80, 160])))
        both = np.stack([1 - share, share], axis=1)
        said = estimate_collection(record, both, both[record.rows], ["other", "it"])
        accuracy = (both.argmax(axis=1) == y).mean()
        held[run] = (
            said.accuracy.low <= accuracy <= said.accuracy.high,
            said.counts[1].low <= y.sum() <= said.counts[1].high,
        )
        widths.append((said.counts[1].high - said.counts[1].low) / 600)
        share_answered = record.y.mean()
        naive += abs(share_answered - y.mean()) < 2 * np.sqrt(
            share_answered * (1 - share_answered) / len(y[record.rows])
        )
    assert (held.mean(axis=0) >= 0.91).all()
    assert np.mean(widths) < 0.35
    assert prevalence < 0.1 or naive < 0.8 * len(held)  # what would be said if all answers were taken for a fair sample


def test_only_checks_and_no_classifier_is_the_textbook_case() -> None:
    rng = np.random.default_rng(0)
    y = np.zeros(400, int)
    y[:100] = 1
    rows = rng.permutation(400)[:60]
    record = Record(rows, y[rows], np.ones(60, bool))
    rest = rest_total(record, record.y == 1, np.ones(400, bool), np.zeros(400, bool))
    found = int(record.y.sum())
    assert rest.value == pytest.approx(found / 60 * 340, abs=1e-6)
    # the normal interval of a sample without replacement, whose variance has the factor 1 - 60 / 400
    half = 1.96 * 400 * np.sqrt(found / 60 * (1 - found / 60) / 60 * (1 - 60 / 400))
    assert rest.high - rest.low == pytest.approx(2 * half, rel=0.06)


def test_nearly_everything_checked_is_nearly_certain_and_everything_answered_is() -> None:
    y = np.arange(200) % 4 == 0
    rows = np.random.default_rng(1).permutation(200)
    most = Record(rows[:190], y[rows[:190]].astype(int), np.ones(190, bool))
    shares = np.stack([np.full(200, 0.6), np.full(200, 0.4)], axis=1)
    said = estimate_collection(most, shares, shares[most.rows], ["no", "yes"])
    assert 50 - said.counts[1].low <= 6
    assert said.counts[1].high - 50 <= 6
    whole = Record(rows, y[rows].astype(int), np.zeros(200, bool))
    said = estimate_collection(whole, shares, shares[rows], ["no", "yes"])
    assert (said.counts[1].low, said.counts[1].value, said.counts[1].high) == (50, 50, 50)
    assert said.accuracy.low == said.accuracy.high == 0.75


def test_a_good_classifier_makes_the_interval_narrower_and_a_bad_one_does_no_harm() -> None:
    rng = np.random.default_rng(2)
    wide, narrow = [], []
    for _ in range(20):
        y, _ = world(rng, 1_000, 0.4)
        rows = rng.permutation(1_000)[:80]
        record = Record(rows, y[rows], np.ones(80, bool))
        knows = np.where(rng.random(1_000) < 0.05, 1 - y, y) == 1
        for part, found in ((knows, narrow), (rng.random(1_000) < 0.5, wide)):
            rest = rest_total(record, record.y == 1, np.ones(1_000, bool), part)
            found.append(rest.high - rest.low)
    assert np.mean(narrow) < 0.65 * np.mean(wide)
    assert np.mean(wide) < 1.15 * 2 * 1.96 * 1_000 * np.sqrt(0.24 / 80)


def test_without_checks_nothing_is_claimed_and_few_are_warned_of() -> None:
    y, share = world(np.random.default_rng(3), 300, 0.3)
    both = np.stack([1 - share, share], axis=1)
    picked = Record(np.arange(40), y[:40], np.zeros(40, bool))
    said = estimate_collection(picked, both, both[:40], ["other", "it"])
    assert (said.counts[1].low, said.counts[1].high) == (y[:40].sum(), y[:40].sum() + 260)
    assert "No random checks yet" in said.words
    few = Record(np.arange(40), y[:40], np.arange(40) >= 34)
    assert "only 6 random checks" in estimate_collection(few, both, both[:40], ["other", "it"]).warning


def test_equal_files_count_once_and_unsure_ones_are_left_out() -> None:
    copies = np.array([0, 0, 0, 3, 4, 4, 6, 7])
    record = Record(np.array([2, 0, 3]), np.array([1, 1, 0]), np.array([True, True, False]))
    unsure = np.zeros(8, bool)
    unsure[[5, 7]] = True
    kept, stands = distinct(record, 8, copies, unsure)
    assert kept.rows.tolist() == [2, 3]  # the second answer about one file says nothing new
    assert np.flatnonzero(stands).tolist() == [2, 3, 6]
    with pytest.raises(BadInput, match="outside the collection"):
        distinct(Record(np.array([9]), np.array([0]), np.array([True])), 8, copies)

"""The finish line: the promise holds however often one looks, and the queue leads there."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from explorer.errors import BadInput
from explorer.learning.estimates import Record
from explorer.learning.finish import may_stop, may_stop_precise, most_missed, plan


class Search:
    """A collection in which somebody looks for class 1 by a ranking of some skill."""

    def __init__(self, seed: int, n: int, there: int, skill: float = 2.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.y = np.zeros(n, int)
        self.y[self.rng.permutation(n)[:there]] = 1
        self.shares = 1 / (1 + np.exp(-(skill * (2 * self.y - 1) + self.rng.normal(0, 1.5, n))))
        self.rows: list[int] = []
        self.checks: list[bool] = []

    @property
    def open(self) -> np.ndarray:
        return np.setdiff1d(np.arange(len(self.y)), self.rows)

    def take(self, rows: np.ndarray, by_lot: bool) -> None:
        self.rows += rows.tolist()
        self.checks += [by_lot] * len(rows)

    def draw(self, n: int) -> None:
        self.take(self.rng.permutation(self.open)[:n], True)

    @property
    def record(self) -> Record:
        rows = np.array(self.rows, np.int64)
        return Record(rows, self.y[rows], np.array(self.checks, bool))

    def state(self) -> tuple[Record, int, np.ndarray]:
        return self.record, 1, np.ones(len(self.y), bool)


def test_the_bound_is_the_exact_one_of_a_sample_without_a_find() -> None:
    """300 drawn of 1,000 below 190 finds, no find: little more than the hypergeometric test allows for one look."""
    y = np.repeat([1, 0], [190, 300])
    record = Record(np.arange(490), y, y == 0)
    most = most_missed(record, y == 1, 1_190)
    allowed = [k for k in range(1, 60) if np.prod((700 - np.arange(k)) / (1_000 - np.arange(k))) > 0.05]
    assert max(allowed) == 8
    assert 8 <= most <= 10
    assert most_missed(record, y == 1, 490) == 0
    nothing = Record(np.arange(5), np.zeros(5, int), np.zeros(5, bool))
    assert most_missed(nothing, nothing.y == 1, 100) == 95


def test_looking_again_and_again_misleads_in_less_than_one_of_twenty() -> None:
    """The bound, looked at 15 times in one course, must never be below the truth; a bound for one look often is."""
    broken = careless = 0
    for seed in range(160):
        search = Search(seed, 300, 40)
        early = naive = False
        for _ in range(15):
            search.draw(10)
            record = search.record
            found, drawn = int(record.y.sum()), len(record.rows)
            early |= most_missed(record, record.y == 1, 300) < 40 - found
            naive |= bool(hypergeom.cdf(found, 300, 40, drawn) < 0.05)
        broken += early
        careless += naive
    assert broken <= 8
    assert careless > 8


def test_a_search_by_the_plan_ends_before_everything_is_seen_and_keeps_its_promise() -> None:
    effort, early = [], 0
    held = 0
    for seed in range(20):
        search = Search(1_000 + seed, 1_000, 200, skill=3.0)
        search.draw(30)
        looks = []
        while True:
            record, place, stands = search.state()
            guessed = search.shares > 0.5
            verdict = may_stop(record, place, stands, guessed, "it", 0.9)
            looks.append(verdict.low <= verdict.found / 200 <= verdict.high)
            if verdict.stop:
                break
            ahead = plan(record, place, stands, search.shares, guessed, "it", 0.9)
            if ahead.next == "review":
                search.take(ahead.queue[:40], False)
            else:
                search.draw(40)
        held += looks[int(search.rng.integers(len(looks)))]
        early += verdict.found < 0.9 * 200
        effort.append(len(search.rows) / 1_000)
        assert "You may stop" in verdict.sentence
        assert verdict.sure_low >= 0.9
    assert early <= 2
    assert held >= 17
    assert np.mean(effort) < 0.6


def test_the_plan_says_how_many_there_are_and_how_far_to_go() -> None:
    search = Search(5, 20_000, 1_000, skill=4.0)
    search.draw(300)
    record, place, stands = search.state()
    ahead = plan(record, place, stands, search.shares, search.shares > 0.5, "glass negatives", 0.95)
    assert ahead.total.low <= 1_000 <= ahead.total.high
    assert ahead.total.high - ahead.total.low < 500
    seen = search.y[ahead.queue[: ahead.review]].sum() + ahead.found
    assert 0.85 <= seen / 1_000 <= 1
    assert ahead.review < 3_000
    assert np.all(np.diff(search.shares[ahead.queue]) <= 0)
    assert not np.isin(ahead.queue, record.rows).any()
    assert "“glass negatives”" in ahead.sentence
    assert f"Review these {ahead.review:,}" in ahead.sentence


def test_all_answered_or_nothing_found() -> None:
    search = Search(6, 60, 5)
    search.draw(60)
    record, place, stands = search.state()
    verdict = may_stop(record, place, stands, search.shares > 0.5, "it", 0.99)
    assert verdict.stop
    assert verdict.low == verdict.high == verdict.sure_low == 1
    none = Search(7, 60, 0)
    none.draw(30)
    record, place, stands = none.state()
    verdict = may_stop(record, place, stands, none.shares > 0.5, "it")
    assert not verdict.stop
    assert "has been found" in verdict.sentence
    with pytest.raises(BadInput, match="between 0 and 100"):
        may_stop(record, place, stands, none.shares > 0.5, "it", 1.0)


def test_a_list_is_precise_only_when_enough_of_it_was_looked_at() -> None:
    search = Search(8, 2_000, 600, skill=6.0)
    listed = search.shares > 0.5
    truth = search.y[listed].mean()
    assert truth > 0.97
    search.take(search.rng.permutation(np.flatnonzero(listed))[:15], True)
    early = may_stop_precise(search.record, 1, listed, "it", 0.9)
    search.take(np.setdiff1d(search.rng.permutation(np.flatnonzero(listed))[:150], search.rows), True)
    late = may_stop_precise(search.record, 1, listed, "it", 0.9)
    assert not early.stop
    assert late.stop
    assert 0.9 <= late.sure_low <= truth
    assert late.low <= truth <= late.high

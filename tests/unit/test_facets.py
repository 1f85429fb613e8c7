"""Facets of columns: what passes and what is counted is what pandas finds; no value, dates and odd numbers included."""

import numpy as np
import pandas as pd
import pytest

from explorer.collection.facets import BINS, Condition, facet_of, failures, shares_facet
from explorer.errors import BadInput

N = 3_000
RNG = np.random.default_rng(5)


def _counts(facet, keep=None):
    fails = failures(len(facet.codes), [] if keep is None else [keep])
    counts = facet.counts(fails, np.zeros(len(facet.codes), np.uint8))
    return dict(zip(facet.values, counts.tolist(), strict=True))


def test_values_come_most_frequent_first_and_no_value_last():
    column = pd.Series(["b", "a", "b", None, "", "c", "a", "b"], dtype="str")
    facet = facet_of(column)
    assert list(facet.values) == ["b", "a", "c", ""]
    assert _counts(facet) == {"b": 3, "a": 2, "c": 1, "": 2}
    assert (
        facet.passing(Condition(("a", "", "not there"))).tolist() == (column.isna() | column.isin(["a", ""])).tolist()
    )
    assert facet.passing(Condition(has="B")).tolist() == (column == "b").tolist()
    assert not facet.passing(Condition(("a",), has="b")).any()
    assert facet.passing(Condition()).all()


def test_a_few_numbers_are_values_in_their_order():
    facet = facet_of(pd.Series([2, 10, 2, np.nan, 3.5, np.inf]))
    assert list(facet.values) == ["2", "3.5", "10", ""]
    assert _counts(facet) == {"2": 2, "3.5": 1, "10": 1, "": 2}


@pytest.mark.parametrize(
    "numbers",
    [
        RNG.normal(0, 1e-3, N), RNG.lognormal(0, 3, N), RNG.integers(-50, 2_000, N).astype(float),
        np.append(np.zeros(N - 20), 1e9 + np.arange(20)), np.arange(N) + 2.0**60, RNG.uniform(-1e300, 1e300, N),
    ],
)  # fmt: skip
def test_a_range_of_bars_is_the_pictures_that_they_count(numbers):
    numbers = numbers.copy()
    numbers[::7] = np.nan
    numbers[3] = -np.inf
    column = pd.Series(numbers)
    facet = facet_of(column)
    known = column[np.isfinite(column)]
    bins = len(facet.values) - 1
    assert 1 <= bins <= BINS + 2
    counts = _counts(facet)
    assert counts[""] == N - len(known)
    assert sum(counts.values()) == N
    for first in range(bins):
        last = min(first + 3, bins - 1)
        ends = [facet.range_words(place) for place in range(first, last + 1)]
        ends = [pair for pair in ends if pair[0] is not None]
        if not ends:
            continue
        low, high = ends[0][0], ends[-1][1]
        keep = facet.passing(Condition(between=(low, high)))
        assert keep.tolist() == column.between(low, high).tolist()
        assert keep.sum() == sum(counts[str(place)] for place in range(first, last + 1))
    assert facet.passing(Condition(("",), (None, 0.0))).sum() == counts[""] + (known <= 0).sum()
    assert facet.passing(Condition((str(known.iloc[0]), "no number"))).sum() == (known == known.iloc[0]).sum()


def test_dates_are_dates_and_a_day_a_month_or_a_year_means_all_of_it():
    days = pd.Series(pd.date_range("2018-11-20", periods=N, freq="7h"))
    column = days.dt.strftime("%Y-%m-%d %H:%M:%S").astype("str")
    column[::9] = None
    facet = facet_of(column)
    assert facet.kind == "dates"
    there = column.notna()
    for low, high in [("2019-02-03", "2019-02-05"), ("2019-02", "2019-02"), ("2019", None), (None, "2020-02-29")]:
        after = days >= pd.Timestamp(low or "1900")
        upto = (
            pd.Series(True, index=days.index) if high is None else days.dt.strftime("%Y-%m-%d").str[: len(high)] <= high
        )
        assert facet.passing(Condition(between=(low, high))).tolist() == (there & after & upto).tolist()
    first = facet.range_words(0)
    assert facet.passing(Condition(between=first)).sum() == _counts(facet)["0"] > 0
    assert facet_of(pd.Series([f"12{n:02}-13" for n in range(20)], dtype="str")).kind == "values", "no such month"
    assert facet_of(pd.Series([f"{n:04}-05-01" for n in range(800, 1900, 5)], dtype="str")).kind == "dates", "long ago"


@pytest.mark.parametrize(
    ("column", "end"),
    [("d", 5), ("d", "now"), ("d", "2019-02-31"), ("d", "x' or 1=1"), ("n", "5"), ("n", float("nan"))],
)
def test_an_end_of_a_range_that_is_none_is_a_clear_error(column, end):
    facet = facet_of(pd.Series(pd.date_range("2019-01-01", periods=40).strftime("%Y-%m-%d").astype("str")))
    if column == "n":
        facet = facet_of(pd.Series(np.arange(40.0)))
    with pytest.raises(BadInput, match="in the filter is no"):
        facet.passing(Condition(between=(end, None)))


def test_a_histogram_counts_what_all_others_leave():
    table = pd.DataFrame(
        {"a": RNG.integers(0, 5, N), "b": RNG.normal(size=N), "c": RNG.integers(0, 300, N).astype(str)}
    )
    table["c"] = table["c"].astype("str")
    facets = {name: facet_of(table[name]) for name in table}
    asked = {"a": Condition(("1", "3")), "b": Condition(between=(-0.5, None)), "c": Condition(has="1")}
    kept = {name: facets[name].passing(condition) for name, condition in asked.items()}
    pandas = {"a": table["a"].isin([1, 3]), "b": table["b"] >= -0.5, "c": table["c"].str.contains("1")}
    fails = failures(N, list(kept.values()))
    for name, facet in facets.items():
        others = np.logical_and.reduce([pandas[other] for other in pandas if other != name])
        counts = facet.counts(fails, kept[name].view(np.uint8) ^ 1)
        if name != "b":
            expected = table[name][others].astype(str).value_counts()
            assert {v: c for v, c in zip(facet.values, counts.tolist(), strict=True) if c} == expected.to_dict()
        assert counts.sum() == others.sum()


def test_shares_lie_in_bins_of_one_width():
    shares = np.array([0, 0.049, 0.05, 0.5, 0.999, 1], np.float32)
    facet = shares_facet(shares)
    assert [*facet.codes] == [0, 0, 1, 10, 19, 19]
    assert facet.passing(Condition(between=(0.5, None))).tolist() == [False, False, False, True, True, True]

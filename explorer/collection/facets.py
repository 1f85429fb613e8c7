"""What pictures can be told apart by, each as a small number a row, so that filters and counts are quick.

A facet is made once from a column, or from anything else that has a value a row. What passes a filter is then looked up
by its code, and a histogram is one pass over the codes: `python -m benchmarks filters` compares this with DuckDB.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from explorer.errors import BadInput

FEW_NUMBERS = 12
"""A column with so few different numbers or dates is shown by value, not by range."""
BINS = 24
_DATE = re.compile(r"\d{4}-\d{2}(-\d{2}([T ]\d{2}:\d{2}.*)?)?")
_DAY = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_DAY_SECONDS = 86_400
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Condition:
    """What a facet must say: one of the `values`, or a number or date within `between`; and a text with `has` in it.

    `between` holds both ends, which count as within, None where there is none. Dates are ISO: a day, a month or a year.
    """

    values: tuple[str, ...] = ()
    between: tuple[float | str | None, float | str | None] | None = None
    has: str = ""


@dataclass(frozen=True)
class Facet:
    """`codes` (n,) unsigned: the place of each row's value in `values`; "" stands for none and comes last."""

    kind: str
    """"values", "numbers" or "dates"; the values of the latter two are bins, called "0", "1" and so on."""
    codes: np.ndarray
    values: Sequence[str]
    labels: Mapping[str, str] = field(default_factory=dict)
    """What a value is called on the screen where that differs."""
    numbers: np.ndarray | None = None
    """(n,) float, nan where there is none; of dates, seconds since 1970."""
    ranges: np.ndarray | None = None
    """(bins, 2): the least and the largest number of each bin, nan where it is empty."""

    @cached_property
    def place_of(self) -> Mapping[str, int]:
        return {value: place for place, value in enumerate(self.values)}

    @cached_property
    def _words(self) -> Any:
        import pyarrow as pa

        words = [self.labels.get(value, value) for value in self.values] if self.labels else self.values
        return pa.array(words, pa.large_string())

    def holding(self, text: str) -> np.ndarray:
        """(len(values),) bool: whose words hold `text`, whatever its case."""
        import pyarrow.compute as pc

        return np.asarray(pc.match_substring(self._words, text, ignore_case=True).to_numpy(zero_copy_only=False), bool)

    def passing(self, condition: Condition) -> np.ndarray:
        """(n,) bool. Raises BadInput for the end of a range that is none."""
        from explorer.collection.facet_kernels import passed

        anything = not condition.values and condition.between is None
        wanted = np.full(len(self.values), anything)
        named = condition.values if self.numbers is None else [each for each in condition.values if not each]
        wanted[[self.place_of[each] for each in named if each in self.place_of]] = True
        if condition.has and self.kind == "values":
            wanted &= self.holding(condition.has)
        keep = np.empty(len(self.codes), bool)
        passed(self.codes, wanted, keep)
        if self.numbers is not None:
            if condition.between is not None:
                low, high = _ends(self.kind, condition.between)
                keep |= (self.numbers >= low) & (self.numbers <= high)
            told = [_number(each) for each in condition.values if each]
            if told and self.kind == "numbers":
                keep |= np.isin(self.numbers, np.array(told, self.numbers.dtype))
        return keep

    def counts(self, fails: np.ndarray, own: np.ndarray) -> np.ndarray:
        """(len(values),) int64: the rows of each value that fail in no other filter (see `facet_kernels.counted`)."""
        from explorer.collection.facet_kernels import counted

        counts = np.zeros(len(self.values), np.int64)
        counted(self.codes, fails, own, counts)
        return counts

    def range_words(self, bin_number: int) -> tuple[float | str | None, float | str | None]:
        """The least and the largest of a bin as a `Condition` takes them; (None, None) of an empty one."""
        if self.ranges is None or not np.isfinite(self.ranges[bin_number]).all():
            return None, None
        low, high = (float(end) for end in self.ranges[bin_number])
        return (_day(low), _day(high)) if self.kind == "dates" else (low, high)


def facet_of(series: pd.Series) -> Facet:
    """The facet of a column of str, int or float. Texts that are all dates (ISO 8601) become dates."""
    if pd.api.types.is_numeric_dtype(series):
        numbers = series.to_numpy(np.float64, na_value=np.nan)
        finite = np.isfinite(numbers)
        known = np.unique(numbers[finite])
        if len(known) > FEW_NUMBERS:
            return numbers_facet(np.where(finite, numbers, np.nan))
        codes = np.where(finite, np.searchsorted(known, numbers), len(known))
        return values_facet(codes, [_plain(float(number)) for number in known])
    places, distinct = pd.factorize(series.astype("str"))
    values = [str(value) for value in distinct]
    if "" in values:
        places = np.where(places == values.index(""), -1, places)
    dates = _as_dates(values)
    if dates is not None and len(values) > FEW_NUMBERS:
        return numbers_facet(np.append(dates, np.nan)[places], "dates")
    counts = np.bincount(places[places >= 0], minlength=len(values))
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda place: (-counts[place], values[place]))
    rank = np.full(len(values) + 1, len(order))  # the last is for -1
    rank[order] = np.arange(len(order))
    return values_facet(rank[places], [values[place] for place in order])


def values_facet(codes: np.ndarray, values: Sequence[str], labels: Mapping[str, str] = _NOTHING) -> Facet:
    """`codes` (n,) int: places in `values`, or len(values) where there is no value."""
    values = [*values, ""] if (codes == len(values)).any() else list(values)
    return Facet("values", codes.astype(np.min_scalar_type(max(len(values) - 1, 0))), values, labels)


def numbers_facet(numbers: np.ndarray, kind: str = "numbers") -> Facet:
    """`numbers` (n,) float64, nan where there is none and finite at one row at least."""
    finite = np.isfinite(numbers)
    known = numbers[finite]
    edges = _date_edges(known) if kind == "dates" else _edges(known)
    bins = len(edges) - 1
    codes = np.full(len(numbers), bins, np.uint8)
    codes[finite] = np.clip(np.searchsorted(edges, known, side="right") - 1, 0, bins - 1)
    ranges = np.full((bins, 2), np.nan)
    for place in range(bins):
        inside = numbers[codes == place]
        if len(inside):
            ranges[place] = inside.min(), inside.max()
    values = [*map(str, range(bins)), *([] if finite.all() else [""])]
    return Facet(kind, codes, values, numbers=numbers, ranges=ranges)


def shares_facet(shares: np.ndarray, bins: int = 20) -> Facet:
    """`shares` (n,) float32 in 0..1, in bins of the same width, whatever is in them."""
    edges = np.arange(bins + 1) / bins
    codes = np.clip((shares * np.float32(bins)).astype(np.int64), 0, bins - 1).astype(np.uint8)
    ranges = np.stack([edges[:-1], edges[1:]], axis=1)
    return Facet("numbers", codes, [*map(str, range(bins))], numbers=shares, ranges=ranges)


def failures(n: int, kept: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) uint8: in how many of the filters, each (n,) bool, a row fails."""
    fails = np.zeros(n, np.uint8)
    for keep in kept:
        fails += keep.view(np.uint8) ^ 1
    return fails


def _plain(number: float) -> str:
    return str(int(number)) if number.is_integer() else str(number)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _nice(width: float) -> float:
    """The next larger 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width * (1 - 1e-9))


def _edges(known: np.ndarray) -> np.ndarray:
    """(bins + 1,) of round width. What lies far from nearly all is counted in the first or the last bin."""
    low, high = float(known.min()), float(known.max())
    first, last = (float(each) for each in np.percentile(known, (1, 99)))
    if 0 < last - first < (high - low) / 3:
        low, high = first, last
    step = _nice(max((high - low) / BINS, np.finfo(float).tiny))
    if (known == np.floor(known)).all():
        step = max(step, 1.0)
    begin = math.floor(low / step)
    return step * np.arange(begin, max(math.floor(high / step) + 2, begin + 2))


def _date_edges(known: np.ndarray) -> np.ndarray:
    ends = np.array([known.min(), known.max()]).astype(np.int64).astype("datetime64[s]")
    span = float(known.max() - known.min())
    unit = "Y" if span > 20 * 365 * _DAY_SECONDS else "M" if span > 92 * _DAY_SECONDS else "D"
    first, last = (int(each) for each in ends.astype(f"datetime64[{unit}]").astype(np.int64))
    width = max((last - first + 1) / BINS, 1)
    step = next(months for months in (1, 2, 3, 6, 12) if months >= width) if unit == "M" else int(_nice(width))
    begin = first - (first + 1970 if unit == "Y" else first) % step
    marks = np.arange(begin, last + step + 1, step)
    return marks.astype(f"datetime64[{unit}]").astype("datetime64[s]").astype(np.float64)


def _as_dates(values: Sequence[str]) -> np.ndarray | None:
    """(len(values),) float64 seconds since 1970, nan for ""; None unless all others are dates."""
    if not any(values) or not all(_DATE.fullmatch(value) for value in values if value):
        return None
    try:
        found = pd.to_datetime(pd.Series(values).where([bool(v) for v in values]), format="ISO8601", utc=True)
    except ValueError:
        return None
    seconds = found.dt.tz_localize(None).astype("datetime64[us]").astype(np.int64).to_numpy() / 1e6
    return np.where(found.isna().to_numpy(), np.nan, seconds)


def _day(seconds: float) -> str:
    return str(np.datetime64(math.floor(seconds), "s").astype("datetime64[D]"))


def _ends(kind: str, between: tuple[Any, Any]) -> tuple[float, float]:
    ends = [-math.inf, math.inf]
    for side, end in enumerate(between):
        if end is None:
            continue
        if kind == "dates" and isinstance(end, str) and _DAY.fullmatch(end):
            try:
                ends[side] = _moment(end, side)
                continue
            except ValueError:
                pass
        elif kind == "numbers" and isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end):
            ends[side] = float(end)
            continue
        raise BadInput(f"'{end}' in the filter is no {'date' if kind == 'dates' else 'number'}; take it out.")
    return ends[0], ends[1]


def _moment(day: str, side: int) -> float:
    """Where a day, a month or a year begins, or (side 1) ends."""
    moment = np.datetime64(day) + side
    return float(moment.astype("datetime64[s]").astype(np.int64)) - side * 1e-6

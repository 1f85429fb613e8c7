"""Before anything is answered: which ways of looking see a collection most differently, and what each groups by.

Both are read off the ten nearest pictures of a sample. Two ways differ by the neighbours that they do not share; one
groups by a column of the user's table if a picture's nearest have the same value more often than others do.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from explorer.collection import own
from explorer.collection.dataset import Dataset
from explorer.collection.items import META
from explorer.errors import BadInput
from explorer.extractors import registry
from explorer.extractors.base import FeatureSpec
from explorer.space.graph import neighbour_graph

NEAREST = 10
SAMPLE = 2_000
_SHRINK = 16
"""As in a space's centring (`recipe`)."""
_LEAST_COVERED = 0.5
"""A feature that was only tried, on the answered pictures say, would shrink the sample for all others."""
_SHUFFLES = 40
_SURE = 4.0
"""Standard deviations above chance: with hundreds of words looked at, none should get there by luck."""
_LEAST = 0.03
"""Share above chance (as Cohen's kappa) below which grouping by something is not worth a word."""
_FEWEST, _COMMON = 8, 0.6
"""A value is looked at by itself if at least so many pictures of the sample have it, and at most that share."""
_MOST_VALUES, _MOST_WORDS, _SHOWN = 200, 150, 5
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True)
class View:
    """The sample as one way of looking sees it."""

    key: str
    title: str
    near: np.ndarray
    """(n, k) int rows: each picture's nearest others."""

    @classmethod
    def of(cls, key: str, title: str, rows: np.ndarray, seed: int = 0) -> "View":
        """From (n, d) features as computed; compared by angle after centring, equally near ones in any order."""
        if len(rows) < 2 * NEAREST + 2:
            raise BadInput(f"To compare ways of looking, at least {2 * NEAREST + 2} pictures are needed.")
        centred = rows - rows.sum(axis=0, dtype=np.float64) / (len(rows) + _SHRINK)
        vectors = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
        # pictures that look all the same would have the first ones of the table as neighbours, in every view alike
        order = np.random.default_rng([seed, *key.encode()]).permutation(len(rows))
        found, _ = neighbour_graph(np.ascontiguousarray(vectors[order], np.float32), NEAREST)
        near = np.empty_like(found)
        near[order] = order[found]
        return cls(key, title, near)


@dataclass(frozen=True)
class Pair:
    """Two ways of looking and how differently they see the collection: 1, no neighbour in common; 0, all."""

    a: str
    b: str
    difference: float


@dataclass(frozen=True)
class Differences:
    keys: tuple[str, ...]
    titles: tuple[str, ...]
    matrix: np.ndarray
    """(m, m) float64, 1 − the mean share of the ten nearest that two ways have in common; symmetric, 0 inside."""
    pairs: tuple[Pair, ...]
    """The most different first."""
    sentence: str


@dataclass(frozen=True)
class GroupedBy:
    """Something that a picture's nearest share more often than chance would have it."""

    column: str
    """The user's column; "" for the words of captions."""
    strength: float
    """The share above chance, between 0 (as by chance) and 1 (always the same)."""
    share: float
    """How often one of the ten nearest has the same value; for words, the same word."""
    chance: float
    values: tuple[tuple[str, float], ...]
    """The values (or words) that are kept together best, each with its own strength."""


@dataclass(frozen=True)
class Grouping:
    key: str
    title: str
    by: tuple[GroupedBy, ...]
    """The strongest first; empty where nothing known of the pictures is grouped."""
    sentence: str


def views(
    dataset: Dataset, keys: Sequence[str] | None = None, limit: int = SAMPLE, seed: int = 0
) -> tuple[pd.DataFrame, list[View]]:
    """A sample of pictures of different content, and how each computed feature sees it.

    Without `keys`, every feature that has at least half of the pictures. Returns the sample's rows of the table of
    items, in the order of the views. Raises NotFound for an unknown key, BadInput for too few pictures.
    """
    items = dataset.present().drop_duplicates("content_hash").reset_index(drop=True)
    stores = [(key, dataset.features(key)) for key in keys or [spec.key for spec in dataset.feature_specs()]]
    lacking = {}
    for key, store in stores:
        names = own.row_names(store.spec, items)
        without = set(store.missing(names))
        if keys is not None or len(without) <= (1 - _LEAST_COVERED) * len(items):
            lacking[key] = np.array([name in without for name in names], bool)
    there = np.flatnonzero(~np.any([np.zeros(len(items), bool), *lacking.values()], axis=0))
    chosen = np.sort(np.random.default_rng(seed).permutation(there)[:limit])
    sample = items.iloc[chosen].reset_index(drop=True)
    return sample, [
        View.of(key, _title(store.spec), store.get(own.row_names(store.spec, sample)), seed)
        for key, store in stores
        if key in lacking
    ]


def differences(of: Sequence[View]) -> Differences:
    """How differently views of one sample see it. Raises BadInput for fewer than two."""
    if len(of) < 2:
        raise BadInput("There is only one way of looking at this collection yet: compute another to compare them.")
    n = len(of[0].near)
    sets = [np.zeros((n, n), bool) for _ in of]
    for marks, view in zip(sets, of, strict=True):
        np.put_along_axis(marks, view.near, True, axis=1)
    matrix = np.zeros((len(of), len(of)))
    for one in range(len(of)):
        for other in range(one):
            common = sets[one][np.arange(n)[:, None], of[other].near].mean()
            matrix[one, other] = matrix[other, one] = 1 - common
    titles = [view.title for view in of]
    places = [(a, b) for a in range(len(of)) for b in range(a + 1, len(of))]
    places.sort(key=lambda pair: (-matrix[pair], pair))
    most, least = places[0], places[-1]
    words = f"{_both(titles, most)} see this collection most differently: {_in_common(1 - matrix[most])}."
    if len(places) > 1:
        words += f" {_both(titles, least)} see it most alike: {_in_common(1 - matrix[least])}."
    pairs = tuple(Pair(of[a].key, of[b].key, float(matrix[a, b])) for a, b in places)
    return Differences(tuple(view.key for view in of), tuple(titles), matrix, pairs, words)


def grouped_by(view: View, items: pd.DataFrame, seed: int = 0) -> Grouping:
    """What a view puts together, of what the table says. `items`: the sample's rows, as `views` gives them.

    For a column, the share of a picture's nearest that have its value, against what shuffled values would give, as
    Cohen's kappa (1960); numbers by quarters of the collection. For captions, the same of each word that several
    have. What lies within four standard deviations of 40 shuffles is left out.
    """
    rng = np.random.default_rng(seed)
    found: list[GroupedBy] = []
    for column in items.columns:
        if str(column).startswith(META) and column != f"{META}caption":
            codes, names = _values(items[column])
            if names:
                found += _by_column(view.near, codes, names, str(column).removeprefix(META), rng)
    if "caption" in items:
        found += _by_words(view.near, items["caption"], rng)
    found.sort(key=lambda each: (-each.strength, each.column))
    return Grouping(view.key, view.title, tuple(found), _grouping_in_words(view.title, found))


def _by_column(
    near: np.ndarray, codes: np.ndarray, names: list[str], column: str, rng: np.random.Generator
) -> list[GroupedBy]:
    """`codes` (n,) places in `names`, -1 where the cell is empty: of that nothing is said or counted."""
    known = codes >= 0
    counts = np.bincount(codes[known], minlength=len(names))
    if known.sum() < 2 * _FEWEST or (counts > 0).sum() < 2:
        return []

    def same(of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, k): do they have the same value; are both known?"""
        beside = of[near]
        return (beside == of[:, None]) & known[:, None], (beside >= 0) & known[:, None]

    matches, counted = same(codes)
    if not counted.any():
        return []
    share = matches.sum() / counted.sum()
    chance = float((counts * (counts - 1)).sum() / (known.sum() * (known.sum() - 1)))

    def shuffled() -> float:
        mixed = codes.copy()
        mixed[known] = rng.permutation(codes[known])
        return float(same(mixed)[0].sum() / counted.sum())

    if not _above(float(share), chance, shuffled):
        return []
    of_value = np.bincount(codes[known], counted[known].sum(axis=1), len(names))
    own_share = np.bincount(codes[known], matches[known].sum(axis=1), len(names)) / np.maximum(of_value, 1)
    by_chance = (counts - 1) / (known.sum() - 1)
    shown = [
        (name, float((own_share[place] - by_chance[place]) / (1 - by_chance[place])))
        for place, name in enumerate(names)
        if counts[place] >= _FEWEST and by_chance[place] < _COMMON
    ]
    shown = sorted([each for each in shown if each[1] >= _LEAST], key=lambda each: (-each[1], each[0]))[:_SHOWN]
    strength = (float(share) - chance) / (1 - chance)
    return [GroupedBy(column, strength, float(share), chance, tuple(shown))]


def _by_words(near: np.ndarray, captions: pd.Series, rng: np.random.Generator) -> list[GroupedBy]:
    """Words by themselves: a picture's caption has several, so that it is in many groups at once."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    said = [
        {word.casefold() for word in _WORD.findall(str(caption))} - ENGLISH_STOP_WORDS
        for caption in captions.fillna("").tolist()
    ]
    counts = pd.Series([word for words in said for word in words], dtype="str").value_counts()
    words = counts[(counts >= _FEWEST) & (counts <= _COMMON * len(said))].head(_MOST_WORDS)
    n = len(said)
    looked: list[tuple[float, float]] = []
    kept: list[tuple[str, float]] = []
    for word, count in words.items():
        has = np.array([word in own for own in said], bool)

        def share_of(has: np.ndarray) -> float:
            return float(has[near[has]].mean())

        share, chance = share_of(has), (int(count) - 1) / (n - 1)
        looked.append((share, chance))
        if _above(share, chance, lambda has=has: share_of(rng.permutation(has))):  # type: ignore[misc]
            kept.append((str(word), (share - chance) / (1 - chance)))
    if not kept:
        return []
    # over all words that were looked at: those that are kept together alone would always look well
    share, chance = (float(each) for each in np.average(looked, axis=0, weights=words.to_numpy(float)))
    shown = sorted(kept, key=lambda each: (-each[1], each[0]))[:_SHOWN]
    return [GroupedBy("", (share - chance) / (1 - chance), share, chance, tuple(shown))]


def _above(share: float, chance: float, shuffled: Callable[[], float]) -> bool:
    """Is it more than luck, and enough to speak of? Shuffled only where the second holds."""
    if (share - chance) / max(1 - chance, 1e-9) < _LEAST:
        return False
    drawn = np.array([shuffled() for _ in range(_SHUFFLES)])
    return bool(share > drawn.max() and share > drawn.mean() + _SURE * drawn.std())


def _values(series: pd.Series) -> tuple[np.ndarray, list[str]]:
    """A column as (n,) places in its values, -1 where empty; no values where it cannot group: all alike, or all
    different. Numbers of many values become quarters of the collection."""
    known = series.notna().to_numpy()
    if pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series) and series.nunique() > 10:
        values = series.to_numpy(np.float64, na_value=np.nan)
        known = known & np.isfinite(values)
        edges = np.unique(np.quantile(values[known], [0.25, 0.5, 0.75])) if known.any() else np.zeros(0)
        codes = np.where(known, np.searchsorted(edges, values, side="right"), -1)
        words = [f"{edge:.6g}" for edge in edges]
        between = [f"{low} to {high}" for low, high in itertools.pairwise(words)]
        return codes, [f"below {words[0]}", *between, f"{words[-1]} and more"] if words else []
    texts = series.astype("str").str.strip().where(known, "")
    counts = texts[texts != ""].value_counts()
    if not 2 <= len(counts) <= _MOST_VALUES or counts.iloc[0] < 2:
        return np.full(len(series), -1), []
    names = [str(name) for name in counts.index]
    place = {name: number for number, name in enumerate(names)}
    return np.array([place.get(text, -1) for text in texts.tolist()]), names


def _title(spec: FeatureSpec) -> str:
    return own.title_of(spec.extractor) if own.is_own(spec.extractor) else registry.title_of(spec.extractor)


def _both(titles: list[str], pair: tuple[int, int]) -> str:
    return f"“{titles[pair[0]]}” and “{titles[pair[1]]}”"


def _in_common(share: float) -> str:
    return f"of the {NEAREST} pictures nearest to one, {NEAREST * share:.1f} are the same on average"


def _grouping_in_words(title: str, found: list[GroupedBy]) -> str:
    if not found:
        return f"“{title}” puts pictures together in a way that your columns and captions do not tell."
    best = found[0]
    what = f"of the same {best.column}" if best.column else "with the same words in their captions"
    words = f"“{title}” puts pictures {what} together: {_percent(best.share)} of the {NEAREST} nearest"
    words += f", {_percent(best.chance)} by chance."
    others = [f"{each.column}" if each.column else "words of captions" for each in found[1:3]]
    return words + (f" Less so: {' and '.join(others)}." if others else "")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 or share == 0 else "under 1 %"

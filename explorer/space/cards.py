"""What a group is: its typical pictures, those on its border, its words, and how the user's columns differ inside."""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

TYPICAL, BORDER, WORDS = 6, 3, 3
_FEWEST = 3
"""A value or word must occur this often in a group before anything is said about it."""
_LEAST_EFFECT = 0.2
"""Cohen's h below which a difference counts as none ("small" in Cohen, 1988)."""
_MOST_VALUES = 200
_AT_ONCE = 4_096
_WORD = re.compile(r"[^\W\d_]{3,}")
_META = "meta:"


@dataclass(frozen=True)
class ClusterCard:
    id: int
    size: int
    typical: list[int]
    """Rows, the nearest to the middle first."""
    border: list[int]
    """Rows that lie nearest to another group."""
    words: list[str]
    title: str
    differs: list[tuple[str, str, float, float]]
    """(column, value, share inside, share outside), the strongest first; only what is more common inside. A column of
    numbers speaks as "above 12.5" or "below 12.5", the middle of the collection."""


def make_cards(labels: np.ndarray, vectors: np.ndarray, items: pd.DataFrame) -> list[ClusterCard]:
    """A card for each group >= 0 of (n,) labels, in their order. `items` has n rows in the order of the vectors."""
    ids = [int(label) for label in np.unique(labels[labels >= 0])]
    if not ids:
        return []
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], [*ids, ids[-1] + 1])
    members = [order[start:stop] for start, stop in pairwise(ends)]
    centres = np.stack([_sum(vectors, rows) / len(rows) for rows in members])
    words = _words(labels, ids, items["caption"] if "caption" in items else pd.Series([""] * len(labels)))
    differs = _differs(np.searchsorted(ids, labels.clip(ids[0])), labels >= 0, len(ids), _facts(items))
    return [
        _card(label, place, rows, vectors, centres, words[label], differs[place])
        for place, (label, rows) in enumerate(zip(ids, members, strict=True))
    ]


def _sum(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(d,) float32: the sum of some rows, without a copy of all of them."""
    parts = [vectors[rows[at : at + _AT_ONCE]].sum(axis=0) for at in range(0, len(rows), _AT_ONCE)]
    return np.asarray(np.sum(parts, axis=0), np.float32)


def _card(
    label: int,
    place: int,
    rows: np.ndarray,
    vectors: np.ndarray,
    centres: np.ndarray,
    words: list[str],
    differs: list[tuple[str, str, float, float]],
) -> ClusterCard:
    # to its own middle, and to the nearest other
    own, other = np.empty(len(rows), np.float32), np.zeros(len(rows), np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        here = slice(start, start + _AT_ONCE)
        near = vectors[rows[here]] @ centres.T
        own[here] = near[:, place]
        near[:, place] = -np.inf
        if len(centres) > 1:
            other[here] = near.max(axis=1)
    typical = rows[np.argsort(-own, kind="stable")[:TYPICAL]]
    by_margin = rows[np.argsort(own - other, kind="stable")[: TYPICAL + BORDER]]
    border = by_margin[~np.isin(by_margin, typical)][:BORDER]
    fallback = f"{differs[0][0]}: {differs[0][1]}" if differs else f"Group {label + 1}"
    title = ", ".join(words) if words else fallback
    return ClusterCard(label, len(rows), typical.tolist(), border.tolist(), words, title, differs)


def _words(labels: np.ndarray, ids: list[int], captions: pd.Series) -> dict[int, list[str]]:
    """The words that mark each group: class-based TF-IDF (Grootendorst, 2022), each caption counting a word once and
    words such as "and" none. A caption is taken apart once, however many pictures have it."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    captions_at, different = pd.factorize(captions.fillna(""))
    number: dict[str, int] = {}
    found, ends = [], [0]
    for caption in different:
        words = {word.casefold() for word in _WORD.findall(str(caption))} - ENGLISH_STOP_WORDS
        found += [number.setdefault(word, len(number)) for word in words]
        ends.append(len(found))
    said = csr_matrix((np.ones(len(found), np.int64), found, ends), (len(different), len(number)))
    ones = np.ones(len(labels), np.int64)
    groups = np.where(labels < 0, len(ids), np.searchsorted(ids, labels.clip(0)))  # the last row: what is in none
    counts = csr_matrix((ones, (groups, captions_at)), (len(ids) + 1, len(different))) @ said
    everywhere = np.asarray(counts.sum(axis=0)).ravel()
    average, names = everywhere.sum() / max(len(ids), 1), list(number)
    chosen = {}
    for place, label in enumerate(ids):
        here = slice(counts.indptr[place], counts.indptr[place + 1])
        at, often = counts.indices[here], counts.data[here]
        weights = often / max(often.sum(), 1) * np.log1p(average / everywhere[at])
        weighed = [(-weights[k], names[at[k]]) for k in np.flatnonzero(often >= _FEWEST)]
        chosen[label] = [name for _, name in sorted(weighed)[:WORDS]]
    return chosen


def _facts(items: pd.DataFrame) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """Everything that can be said of a picture by its columns: (column, value, who has it, who has any value)."""
    facts: list[tuple[str, str, np.ndarray, np.ndarray]] = []
    for name in items.columns:
        if not str(name).startswith(_META) or str(name) == f"{_META}caption":  # captions speak through their words
            continue
        column, series = str(name).removeprefix(_META), items[name]
        known = series.notna().to_numpy()
        if pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series) and series.nunique() > 10:
            values = series.to_numpy(np.float64, na_value=np.nan)
            known = known & np.isfinite(values)
            middle = float(np.median(values[known])) if known.any() else 0.0
            facts.append((column, f"above {middle:.6g}", known & (values > middle), known))
            facts.append((column, f"below {middle:.6g}", known & (values < middle), known))
            continue
        texts = series.astype("str").to_numpy(dtype=object)
        common: Any = pd.Series(texts[known]).value_counts().head(_MOST_VALUES)
        facts += [
            (column, str(value), known & (texts == value), known)
            for value, count in common.items()
            if count >= _FEWEST and str(value).strip()
        ]
    return facts


def _differs(
    place: np.ndarray, grouped: np.ndarray, groups: int, facts: list[tuple[str, str, np.ndarray, np.ndarray]]
) -> list[list[tuple[str, str, float, float]]]:
    """What is more common inside each group, by Cohen's h, which weighs 1 % against 10 % as it does 40 % against 65 %.

    `place` (n,) is the number of each picture's group where it is `grouped`.
    """
    found: list[list[tuple[float, str, str, float, float]]] = [[] for _ in range(groups)]
    for column, value, has, known in facts:
        has = has & known
        inside = np.bincount(place[known & grouped], minlength=groups)
        count = np.bincount(place[has & grouped], minlength=groups)
        elsewhere = int(known.sum()) - inside
        for at in np.flatnonzero((count >= _FEWEST) & (elsewhere > 0)):
            share_in, share_out = count[at] / inside[at], (int(has.sum()) - count[at]) / elsewhere[at]
            effect = 2 * np.arcsin(np.sqrt(share_in)) - 2 * np.arcsin(np.sqrt(share_out))
            if effect >= _LEAST_EFFECT:
                found[at].append((float(effect), column, value, float(share_in), float(share_out)))
    for each in found:
        each.sort(key=lambda fact: (-fact[0], fact[1], fact[2]))
    return [[fact[1:] for fact in each] for each in found]

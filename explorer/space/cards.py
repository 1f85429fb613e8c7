"""What a group is: its typical pictures, those on its border, its words, and how the user's columns differ inside."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

TYPICAL, BORDER, WORDS = 6, 3, 3
_FEWEST = 3
"""A value or word must occur this often in a group before anything is said about it."""
_LEAST_EFFECT = 0.2
"""Cohen's h below which a difference counts as none ("small" in Cohen, 1988)."""
_MOST_VALUES = 200
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
    centres = np.stack([vectors[labels == label].mean(axis=0) for label in ids])
    words = _words(labels, ids, items["caption"] if "caption" in items else pd.Series([""] * len(labels)))
    facts = _facts(items)
    return [_card(label, place, labels, vectors, centres, words[label], facts) for place, label in enumerate(ids)]


def _card(
    label: int,
    place: int,
    labels: np.ndarray,
    vectors: np.ndarray,
    centres: np.ndarray,
    words: list[str],
    facts: list[tuple[str, str, np.ndarray, np.ndarray]],
) -> ClusterCard:
    inside = labels == label
    rows = np.flatnonzero(inside)
    near = vectors[rows] @ centres.T
    own = near[:, place]
    typical = rows[np.argsort(-own, kind="stable")[:TYPICAL]]
    others = np.delete(near, place, axis=1)
    margin = own - others.max(axis=1) if others.shape[1] else own
    by_margin = rows[np.argsort(margin, kind="stable")]
    border = by_margin[~np.isin(by_margin, typical)][:BORDER]
    differs = _differs(inside, facts)
    fallback = f"{differs[0][0]}: {differs[0][1]}" if differs else f"Group {label + 1}"
    title = ", ".join(words) if words else fallback
    return ClusterCard(label, len(rows), typical.tolist(), border.tolist(), words, title, differs)


def _words(labels: np.ndarray, ids: list[int], captions: pd.Series) -> dict[int, list[str]]:
    """The words that mark each group: class-based TF-IDF (Grootendorst, 2022), each caption counting a word once and
    words such as "and" none."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    inside: dict[int, Counter[str]] = {label: Counter() for label in ids}
    everywhere: Counter[str] = Counter()
    for label, caption in zip(labels.tolist(), captions.fillna("").tolist(), strict=True):
        found = {word.casefold() for word in _WORD.findall(str(caption))} - ENGLISH_STOP_WORDS
        everywhere.update(found)
        if label in inside:
            inside[label].update(found)
    average = sum(everywhere.values()) / max(len(ids), 1)
    chosen = {}
    for label, counts in inside.items():
        total = max(sum(counts.values()), 1)
        weights = {
            word: count / total * np.log1p(average / everywhere[word])
            for word, count in counts.items()
            if count >= _FEWEST
        }
        chosen[label] = sorted(weights, key=lambda word: (-weights[word], word))[:WORDS]
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
    inside: np.ndarray, facts: list[tuple[str, str, np.ndarray, np.ndarray]]
) -> list[tuple[str, str, float, float]]:
    """What is more common inside, by Cohen's h, which weighs 1 % against 10 % as it does 40 % against 65 %."""
    found = []
    for column, value, has, known in facts:
        here, elsewhere = int((inside & known).sum()), int((~inside & known).sum())
        count = int((inside & has).sum())
        if count < _FEWEST or not elsewhere:
            continue
        share_in, share_out = count / here, int((~inside & has).sum()) / elsewhere
        effect = 2 * np.arcsin(np.sqrt(share_in)) - 2 * np.arcsin(np.sqrt(share_out))
        if effect >= _LEAST_EFFECT:
            found.append((float(effect), column, value, share_in, share_out))
    found.sort(key=lambda fact: (-fact[0], fact[1], fact[2]))
    return [(column, value, share_in, share_out) for _, column, value, share_in, share_out in found]

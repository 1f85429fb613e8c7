"""What an answer was not tested on: said in plain sentences, from counts alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

FEW_IN_A_CLASS = 10
FEW_CHECKS = 20
_LEAST_PART = 0.01
"""Share of the collection from which a part without an answer is worth a word."""
_MOST_VALUES = 60
_BINS = 5
_NAMED = 3
_LOOKED_AT, _COMPARED = 20_000, 2_000


def untested(
    answered: Mapping[str, int],
    people: int,
    both: int,
    random_checks: int,
    seen_first: int,
    gone: int,
    changed: int,
    unlike: int | None,
    pictures: int,
    parts: Sequence[str],
) -> tuple[str, ...]:
    """Sentences, the weightiest first. `answered`: class name -> answers; `both`: pictures that two people answered;
    `seen_first`: answers given with the guess on the screen; `unlike`: pictures unlike anything answered, None if
    nobody has looked; `parts` as `silent_parts` gives them."""
    said = []
    few = [(count, name) for name, count in answered.items() if count < FEW_IN_A_CLASS]
    if few:
        named = listed([f"“{name}” ({count or 'none'})" for count, name in sorted(few)], _NAMED + 2)
        said.append(f"Classes with fewer than {FEW_IN_A_CLASS} answers, of which the figures say little: {named}.")
    if random_checks == 0:
        said.append(
            "The collection as a whole: no picture was drawn by lot. All figures speak of pictures like those answered."
        )
    elif random_checks < FEW_CHECKS:
        few_lots = "1 picture" if random_checks == 1 else f"{random_checks} pictures"
        said.append(f"What is said of the collection as a whole rests on {few_lots} drawn by lot.")
    if unlike:
        share = f" ({percent(unlike / pictures)})" if pictures else ""
        said.append(f"Pictures unlike anything that was answered: {unlike:,}{share}.")
    said += parts
    if people == 1:
        said.append("A second opinion: one person gave every answer.")
    elif people > 1 and both == 0:
        said.append(f"Agreement: {people} people answered, but no picture was answered by two of them.")
    if seen_first:
        said.append(f"{number(seen_first, 'answer')} given with the guess in view, which may have swayed them.")
    if changed:
        said.append(f"{number(changed, 'answer')} about files that have been edited since; they are left out.")
    if gone:
        said.append(f"{number(gone, 'answer')} about pictures that are no longer there.")
    return tuple(said)


def silent_parts(
    items: pd.DataFrame, answered: np.ndarray, more: Mapping[str, Sequence[Any]] | None = None
) -> list[str]:
    """One sentence for each column with values that no answer speaks of, such as a folder or a span of years.

    `items` (n rows) the pictures that are there, the user's columns as `meta:NAME`; `answered` (n,) bool; `more`
    further columns by name, such as the groups of the map. Values held by fewer than 1 in 100 pictures are not named;
    columns of more than 60 different texts say nothing of parts.
    """
    found: list[tuple[int, str]] = []
    columns: dict[str, Any] = {
        str(name).removeprefix("meta:"): items[name] for name in items if str(name).startswith("meta:")
    }
    for name, column in {**columns, **(more or {})}.items():
        values = _as_parts(pd.Series(list(column)))
        if values is None:
            continue
        pictures = values.value_counts()
        with_answer = set(values[answered].dropna())
        silent = pictures[[value not in with_answer for value in pictures.index]]
        silent = silent[silent >= max(1, _LEAST_PART * len(items))]
        if len(silent):
            named = listed([f"{value} ({count:,})" for value, count in silent.items()], _NAMED)
            found.append((int(silent.sum()), f"Pictures with no answer like them, by {name}: {named}."))
    return [sentence for _, sentence in sorted(found, key=lambda one: (-one[0], one[1]))]


def unlike_answered(vectors: np.ndarray, rows: np.ndarray, groups: np.ndarray, seed: int = 0) -> int:
    """How many pictures are less like any answered one than answered pictures are like each other.

    `vectors` (n, d) float32 of length one, `rows` (m,) the answered ones, `groups` (m,) near-duplicates, which do not
    vouch for each other. The bound is the similarity to the nearest that all but 1 in 20 of the answered have. Counted
    in a sample of 20,000 where there are more. 0 for fewer than 20 answers, which do not show what is usual.
    """
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.permutation(len(rows))[:_COMPARED])
    known = np.asarray(vectors[rows[kept]], np.float32)
    if len(known) < FEW_CHECKS:
        return 0
    among = known @ known.T
    among[groups[kept][:, None] == groups[kept]] = -np.inf
    nearest = among.max(axis=1)
    bound = np.quantile(nearest[np.isfinite(nearest)], 0.05) if np.isfinite(nearest).any() else -np.inf
    looked = np.sort(rng.permutation(len(vectors))[:_LOOKED_AT])
    far = sum(
        int(((np.asarray(vectors[looked[at : at + 2_000]], np.float32) @ known.T).max(axis=1) < bound).sum())
        for at in range(0, len(looked), 2_000)
    )
    return round(far * len(vectors) / max(len(looked), 1))


def listed(words: Sequence[str], most: int) -> str:
    """a, b, c and 4 more"""
    shown = ", ".join(words[:most])
    return f"{shown} and {len(words) - most:,} more" if len(words) > most else shown


def number(count: int, what: str) -> str:
    """With its verb: "1 answer was", "12 answers were"."""
    return f"1 {what} was" if count == 1 else f"{count:,} {what}s were"


def percent(share: float) -> str:
    """A share in whole percent, but never 0 or 100 for what is not quite that."""
    if 0 < share < 0.005:
        return "under 1 %"
    return "over 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def _as_parts(column: pd.Series) -> "pd.Series[Any] | None":
    """Values as texts, numbers of many values as fifths; None for a column that parts nothing."""
    different = column.nunique()
    if different < 2:
        return None
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column) and different > _BINS * 2:
        fifths = pd.qcut(column, _BINS, duplicates="drop")
        if fifths.nunique() < 2:
            return None
        return (
            fifths.map(lambda fifth: f"{max(fifth.left, column.min()):g} to {fifth.right:g}")
            .astype("str")
            .where(column.notna())
        )
    if different > _MOST_VALUES:
        return None
    texts = column.map(lambda value: f"{value:g}" if isinstance(value, float) else str(value), na_action="ignore")
    return texts.where(texts.str.strip() != "")

"""Which pictures a view shows: a small filter that fits into a link."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from explorer.errors import BadInput

MAX_LENGTH = 4_000


@dataclass(frozen=True)
class Filter:
    """Pictures whose columns hold one of the named values and whose caption or name contains the words."""

    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: str = ""

    @classmethod
    def parse(cls, text: str | None) -> "Filter":
        """From the `f` of a link. Raises BadInput if it is not what `str()` of a Filter gives."""
        if not text:
            return cls()
        try:
            if len(text) > MAX_LENGTH:
                raise ValueError("too long")
            raw: Any = json.loads(text)
            values = {str(k): tuple(str(v) for v in vs) for k, vs in raw.get("in", {}).items()}
            return cls(values, str(raw.get("words", "")))
        except (ValueError, AttributeError, TypeError) as error:
            raise BadInput(f"The filter in this link is damaged ({error}); remove 'f=…' from the address.") from error

    def __str__(self) -> str:
        if not self:
            return ""
        state: dict[str, Any] = {}
        if self.values:
            state["in"] = {k: list(v) for k, v in self.values.items()}
        if self.words:
            state["words"] = self.words
        return json.dumps(state, separators=(",", ":"), ensure_ascii=False)

    def __bool__(self) -> bool:
        return bool(self.values or self.words)

    def mask(self, items: pd.DataFrame) -> np.ndarray:
        """(len(items),) bool. A column that is gone filters nothing out."""
        keep = np.ones(len(items), bool)
        for column, wanted in self.values.items():
            if f"meta:{column}" in items:
                keep &= column_text(items, column).isin(wanted).to_numpy()
        for word in self.words.lower().split():
            found = items["caption"].str.lower().str.contains(word, regex=False)
            found |= items["uid"].str.lower().str.contains(word, regex=False)
            keep &= found.to_numpy(bool)
        return keep


def column_text(items: pd.DataFrame, column: str) -> pd.Series:
    """One of the user's columns as text; missing values are the empty text."""
    series = items[f"meta:{column}"]
    return series.astype("object").where(series.notna(), "").map(_plain)


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def choices(items: pd.DataFrame, column: str, most: int = 60) -> list[tuple[str, int]]:
    """The values of a column with their counts, most frequent first, the empty value left out."""
    counts = column_text(items, column).value_counts()
    return [(str(value), int(count)) for value, count in counts.items() if value != ""][:most]

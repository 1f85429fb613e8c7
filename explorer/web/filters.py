"""Which pictures a view shows: a small filter that fits into a link."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from explorer.collection.facets import Condition
from explorer.errors import BadInput

MAX_LENGTH = 4_000
MOST_CONDITIONS = 40


@dataclass(frozen=True)
class Filter:
    """Pictures whose facets say what is asked of each, and whose caption or name contains all the words.

    A facet goes by the name of its column; what is no column has a name that begins with @ (see `shelf`). `values` are
    alternatives, and so is a number or date `between` two ends; `has` is part of a text.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    words: str = ""
    between: Mapping[str, tuple[float | str | None, float | str | None]] = field(default_factory=dict)
    has: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> "Filter":
        """From the `f` of a link. Raises BadInput if it is not what `str()` of a Filter gives."""
        if not text:
            return cls()
        try:
            if len(text) > MAX_LENGTH:
                raise ValueError("too long")
            raw: Any = json.loads(text)
            values = {str(k): tuple(str(v) for v in vs) for k, vs in raw.get("in", {}).items() if vs}
            between = {str(k): _ends(ends) for k, ends in raw.get("between", {}).items()}
            has = {str(k): str(part) for k, part in raw.get("has", {}).items() if part}
            if len(values) + len(between) + len(has) > MOST_CONDITIONS:
                raise ValueError(f"more than {MOST_CONDITIONS} conditions")
            return cls(values, str(raw.get("words", "")).strip(), between, has)
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise BadInput(f"The filter in this link is damaged ({error}); remove 'f=…' from the address.") from error

    def __str__(self) -> str:
        if not self:
            return ""
        state: dict[str, Any] = {}
        if self.values:
            state["in"] = {k: list(v) for k, v in self.values.items()}
        if self.between:
            state["between"] = {k: list(v) for k, v in self.between.items()}
        if self.has:
            state["has"] = dict(self.has)
        if self.words:
            state["words"] = self.words
        return json.dumps(state, separators=(",", ":"), ensure_ascii=False)

    def __bool__(self) -> bool:
        return bool(self.values or self.words or self.between or self.has)

    def conditions(self) -> dict[str, Condition]:
        """What is asked of each facet, by its name."""
        names = dict.fromkeys([*self.values, *self.between, *self.has])
        return {
            name: Condition(self.values.get(name, ()), self.between.get(name), self.has.get(name, "")) for name in names
        }

    def without(self, name: str) -> "Filter":
        """The same without what is asked of one facet."""
        parts = ({k: v for k, v in part.items() if k != name} for part in (self.values, self.between, self.has))
        values, between, has = parts
        return Filter(values, self.words, between, has)  # type: ignore[arg-type]


def _ends(ends: Any) -> tuple[float | str | None, float | str | None]:
    low, high = ends
    for end in (low, high):
        if isinstance(end, bool) or not (end is None or isinstance(end, int | float | str)):
            raise ValueError(f"{end} is no end of a range")
    return low, high

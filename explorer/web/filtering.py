"""What the filter beside a page shows: each facet with its counts as the other filters leave them, and words for it."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.collection.facets import Condition, Facet
from explorer.errors import BadInput, ExplorerError
from explorer.web.filters import Filter
from explorer.web.shelf import COLUMNS, FOUND, METHODS, Shelf, shelf

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

MOST_BARS = 60
"""Of a facet with more values the most frequent are shown, and those that are chosen."""
_BARS_OF_MANY = 12
_MOST_OPEN = 40
NO_VALUE = "no value"


def panel(rt: "Runtime", dataset_id: str, query: dict[str, str]) -> dict[str, Any]:
    """What passes the filter `f`, and the facets that there are; those in `open`, a JSON list of names, with counts.

    {"shown", "all", "facets": [{"name", "title", "about", "on"} …], "chips": [[name, title, words] …]}. An open facet
    has "kind" as well, and of values "bars": [[value, label, count, total] …] and "more", the values that are not among
    them; of numbers and dates "bars": [[low, high, count, total] …], "none": [count, total] and "between"; or
    "problem", a sentence. Raises BadInput, NotFound.
    """
    dataset = rt.dataset(dataset_id)
    here = shelf(rt, dataset, rt.space(dataset_id, query.get("space", "")))
    wanted = Filter.parse(query.get("f"))
    keep = here.shown(wanted)
    conditions = wanted.conditions()
    opened = _names(query.get("open"))
    counts = here.counter(wanted)
    facets, chips = [], []
    for named in here.names():
        said: dict[str, Any] = {"name": named.name, "title": named.title, "about": named.about}
        condition = conditions.pop(named.name, None)
        said["on"] = condition is not None
        if named.name in opened:
            try:
                said |= _open(here, counts, named.name, condition or Condition())
            except ExplorerError as error:
                said["problem"] = str(error)
        if condition is not None:
            apart = named.about not in (COLUMNS, FOUND)
            chips.append(_chip(here, named.name, f"{named.about}: {named.title}" if apart else named.title, condition))
        facets.append(said)
    for name, condition in conditions.items():  # without a place of their own: another map's groups, what has gone
        facets.append({"name": name, "title": _title(name), "about": "", "on": True})
        chips.append(_chip(here, name, _title(name), condition))
    if wanted.words:
        chips.append(["", "Words", f"“{wanted.words}”"])
    return {"shown": int(keep.sum()), "all": int(here.present.sum()), "facets": facets, "chips": chips}


def _chip(here: Shelf, name: str, title: str, condition: Condition) -> list[str]:
    try:
        return [name, title, in_words(here.facet(name)[1], condition)]
    except ExplorerError:
        return [name, title, "no longer there"]


def _title(name: str) -> str:
    kind = name.partition(":")[0].removeprefix("@")
    if kind == "selection":
        return "Only"
    return f"{METHODS[kind]} of another map" if kind in METHODS else name


def in_words(facet: Facet, condition: Condition) -> str:
    """What is asked of a facet, for a person."""
    parts = []
    if condition.has:
        parts.append(f"with “{condition.has}”")
    if condition.between is not None:
        low, high = (_said(end) for end in condition.between)
        if low and high:
            parts.append(low if low == high else f"{low} to {high}")
        else:
            parts.append(f"{low} or more" if low else f"up to {high}" if high else "any")
    parts += [facet.labels.get(value, value) or NO_VALUE for value in condition.values]
    return ", ".join(parts)


def _open(here: Shelf, counter: Callable[[str], np.ndarray], name: str, condition: Condition) -> dict[str, Any]:
    facet, counts, totals = here.facet(name)[1], counter(name), here.totals(name)
    if facet.kind == "values":
        return _values(facet, condition, counts, totals)
    bins = len(facet.values) - ("" in facet.place_of)
    bars = [[*facet.range_words(place), int(counts[place]), int(totals[place])] for place in range(bins)]
    none = [int(counts[bins]), int(totals[bins])] if bins < len(facet.values) else [0, 0]
    return {"kind": facet.kind, "bars": bars, "none": none, "values": list(condition.values),
            "between": None if condition.between is None else list(condition.between)}  # fmt: skip


def _values(facet: Facet, condition: Condition, counts: np.ndarray, totals: np.ndarray) -> dict[str, Any]:
    chosen = [facet.place_of[value] for value in condition.values if value in facet.place_of]
    places = np.flatnonzero(totals)
    if condition.has:
        places = places[facet.holding(condition.has)[places]]
    more, alike = 0, totals[places].max(initial=0) > 1 or condition.has
    if len(places) > MOST_BARS:
        first = places[np.lexsort((places, -totals[places], -counts[places]))][: _BARS_OF_MANY if alike else 0]
        more = len(places) - len(first)
        places = np.array([*dict.fromkeys([*chosen, *first.tolist()])])
    bars = [
        [value, facet.labels.get(value, value) or NO_VALUE, int(counts[place]), int(totals[place])]
        for place in places.tolist()
        for value in (facet.values[place],)
    ]
    return {"kind": "values", "bars": bars, "more": more, "values": list(condition.values), "has": condition.has}


def _names(text: str | None) -> list[str]:
    try:
        names = json.loads(text or "[]")
    except (ValueError, RecursionError) as error:
        raise BadInput(f"'open' is not a list of names ({error}); reload the page.") from error
    if not isinstance(names, list) or len(names) > _MOST_OPEN:
        raise BadInput(f"'open' is a list of at most {_MOST_OPEN} names; reload the page.")
    return [str(name) for name in names]


def _said(end: float | str | None) -> str:
    if end is None:
        return ""
    return end if isinstance(end, str) else f"{end:.10g}"

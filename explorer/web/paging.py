"""Galleries of any length: their order is worked out once, and a page of it costs what its pictures cost."""

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, NotFound
from explorer.space import Space
from explorer.web import selections, views
from explorer.web.bulk import shown_rows

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

PAGE, MOST = 240, 480
_KEPT = 8
_orders: WeakKeyDictionary[Space, dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]] = WeakKeyDictionary()


def rows_of(rt: "Runtime", dataset: Dataset, space: Space, of: str, chosen: str = "") -> np.ndarray:
    """(m,) rows of a gallery in its order, without what is gone or what the filter `chosen` leaves out; read-only.

    `of`: "odd" (all, the oddest first), "cluster:METHOD:NUMBER" (the most typical first) or "selection:ID" (in its
    order). Kept until the space, the items or what the filter lets through change. Raises BadInput, NotFound.
    """
    shown = shown_rows(rt, dataset, space, chosen)
    held = _orders.setdefault(space, {})
    found = held.get((of, chosen))
    if found is None or found[0] is not shown:
        rows = _ordered(rt, dataset, space, of, shown)
        rows.flags.writeable = False
        while len(held) >= _KEPT:
            held.pop(next(iter(held)), None)
        found = held[(of, chosen)] = shown, rows
    return found[1]


def _ordered(rt: "Runtime", dataset: Dataset, space: Space, of: str, shown: np.ndarray) -> np.ndarray:
    kind, _, rest = of.partition(":")
    if of == "odd":
        return space.order[shown[space.order]]
    if kind == "selection":
        rows = space.rows.of(selections.load(rt.catalog, dataset.id, rest)[0])
        rows = rows[rows >= 0]
        return rows[shown[rows]]
    method, _, number = rest.partition(":")
    if kind != "cluster" or method not in space.clusters or not number.isdecimal():
        raise BadInput(f"There is no gallery '{of[:80]}'; reload the page.")
    rows = np.flatnonzero((space.clusters[method].to_numpy() == int(number)) & shown)
    return selections.nearest_first(space.vectors, rows)


def page(rt: "Runtime", dataset_id: str, query: dict[str, str]) -> dict[str, Any]:
    """{"items", "offset", "total"}: pictures `offset` to `offset` + `n` of gallery `of` under the filter `f`."""
    dataset, space = rt.dataset(dataset_id), rt.space(dataset_id, query.get("space", ""))
    if query.get("gen") not in (None, "", str(space.generation)):
        raise NotFound("The map has been made anew meanwhile; reload the page.")
    offset = views.number(query.get("offset"), 0, 0, 10**9)
    n = views.number(query.get("n"), PAGE, 1, MOST)
    rows = rows_of(rt, dataset, space, query.get("of", ""), query.get("f") or "")
    items = views.row_cards(dataset, space, rows[offset : offset + n])
    if query.get("of") == "odd":
        items = [{**card, "badge": f"{offset + place:,}"} for place, card in enumerate(items, 1)]
    return {"items": items, "offset": offset, "total": len(rows)}

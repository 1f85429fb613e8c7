"""The map: every picture a dot, drawn by the browser's graphics card from a file fetched once."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from explorer.web.components.shared.assets import script, style
from explorer.web.components.shared.polygon import points_in_polygon
from explorer.web.components.shared.triggers import heard, on_trigger, trigger_value

__all__ = ["PARTS", "encoded", "map_view", "points_in_polygon"]

_FEW_ROWS = 500
PARTS = tuple(
    f"map/{part}.js"
    for part in "points density renderer legend thumbnails gestures card map selecting filtering".split()
)
"""The scripts of a map without what mounts it."""

_component = st.components.v2.component(
    "explorer_map",
    html="<div class='ex-root'></div>",
    css=style("map/map.css"),
    js=script(*PARTS, "map/mount.js"),
)


def map_view(
    *,
    dataset: str,
    space: str,
    generation: int,
    n: int,
    colour: Mapping[str, Any],
    selection: Mapping[str, Any] | Sequence[int] | np.ndarray | None = None,
    hidden: Sequence[str] = (),
    labels: Sequence[Mapping[str, Any]] = (),
    filter: str = "",
    key: str,
    height: int = 620,
    on_lasso: Callable[[dict[str, Any]], None] | None = None,
    on_clear: Callable[[], None] | None = None,
    on_similar: Callable[[str], None] | None = None,
    on_hidden: Callable[[list[str]], None] | None = None,
) -> None:
    """Show the map of `n` pictures of one generation of a space.

    `colour`: {"by", "v", "kind": "category"|"number"|"none", "title", "legend": [{"label", "count", "colour"}] or
    {"min", "max"}}. `selection`: {"polygon": [[x, y], …]} or the rows of the space. `hidden`: labels of the legend
    that are switched off. `labels`: [{"x", "y", "text"}], the most important first. `filter` goes to shown.bin as
    `f`, which says what it lets through; a panel beside the map may change it meanwhile (`explorer:filter`).

    Before the script runs: `on_lasso({"polygon", "count", "by", "hidden", "hidden_codes"})`, where `polygon` is less
    than 1 KB and `count` is what `points_in_polygon` finds without the pictures that the filter leaves out or whose
    code in colouring `by` is one of `hidden_codes`; `on_clear()`; `on_hidden(labels)`. In the running script, so that
    it may switch the page: `on_similar(uid)`. Without `on_lasso` there is no lasso.
    """
    data = {
        "dataset": dataset,
        "space": space,
        "generation": str(generation),
        "n": int(n),
        "colour": dict(colour),
        "selection": encoded(selection, n),
        "heard": heard(key),
        "hidden": list(hidden),
        "labels": [{"x": float(each["x"]), "y": float(each["y"]), "text": str(each["text"])} for each in labels],
        "filter": filter,
        "height": height,
        "lasso": on_lasso is not None,
        "similar": on_similar is not None,
        "tellHidden": on_hidden is not None,
    }
    result = _component(
        key=key,
        data=data,
        on_lasso_change=on_trigger(key, "lasso", lambda value: on_lasso(value) if on_lasso else None),
        on_clear_change=on_trigger(key, "clear", lambda _: on_clear() if on_clear else None),
        on_hidden_change=on_trigger(key, "hidden", lambda value: on_hidden(value["labels"]) if on_hidden else None),
        on_similar_change=lambda: None,
    )
    asked = trigger_value(result, "similar")
    if asked and on_similar:
        on_similar(str(asked["uid"]))


def encoded(selection: Mapping[str, Any] | Sequence[int] | np.ndarray | None, n: int) -> dict[str, Any] | None:
    """A selection as little JSON as possible: its polygon, a few rows, or one bit a row."""
    if selection is None:
        return None
    if isinstance(selection, Mapping):
        return {"polygon": [[float(x), float(y)] for x, y in selection["polygon"]]}
    rows = np.asarray(selection, dtype=np.int64)
    if len(rows) == 0:
        return None
    if len(rows) <= _FEW_ROWS:
        return {"rows": rows.tolist()}
    bits = np.zeros(n, dtype=bool)
    bits[rows] = True
    return {"bits": base64.b64encode(np.packbits(bits).tobytes()).decode()}

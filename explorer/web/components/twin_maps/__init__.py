"""Two maps of the same pictures side by side, with one lasso for both."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import streamlit as st

from explorer.web.components.map import PARTS, encoded
from explorer.web.components.shared.assets import script, style
from explorer.web.components.shared.triggers import heard, on_trigger, trigger_value


class Side(NamedTuple):
    """One of the two maps: `n` pictures of one generation of a space. `colour` and `selected` (rows of this space) as
    for `map_view`."""

    space: str
    generation: int
    n: int
    title: str
    colour: Mapping[str, Any]
    selected: Sequence[int] = ()


_component = st.components.v2.component(
    "explorer_twin_maps",
    html="<div class='ex-root'></div>",
    css=style("map/map.css", "twin_maps/twin_maps.css"),
    js=script(*PARTS, "twin_maps/twin_maps.js"),
)


def twin_maps(
    left: Side,
    right: Side,
    *,
    dataset: str,
    same: bool,
    filter: str = "",
    key: str,
    height: int = 440,
    on_lasso: Callable[[int, dict[str, Any]], None],
    on_clear: Callable[[], None],
    on_similar: Callable[[str], None],
) -> None:
    """Show two maps; what is circled, pointed at or hidden in one is so in the other.

    `same`: both spaces hold the same pictures in the same rows; otherwise the browser asks which row is which.
    Before the script runs: `on_lasso(side, event)` with side 0 or 1 and the event of `map_view`, in that side's
    coordinates; `on_clear()`. In the running script: `on_similar(uid)`.
    """
    sides = [
        {
            "space": each.space,
            "generation": str(each.generation),
            "n": each.n,
            "title": each.title,
            "colour": dict(each.colour),
            "selection": encoded(list(each.selected), each.n),
        }
        for each in (left, right)
    ]
    data = {
        "dataset": dataset,
        "sides": sides,
        "heard": heard(key),
        "same": same,
        "filter": filter,
        "height": height,
        "similar": True,
    }
    result = _component(
        key=key,
        data=data,
        on_lasso_change=on_trigger(key, "lasso", lambda value: on_lasso(int(value["side"]), value)),
        on_clear_change=on_trigger(key, "clear", lambda _: on_clear()),
        on_similar_change=lambda: None,
    )
    asked = trigger_value(result, "similar")
    if asked:
        on_similar(str(asked["uid"]))

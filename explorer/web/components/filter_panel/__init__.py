"""The filter beside a page: what there is to filter by as bars that can be clicked or drawn across, and what is chosen.

It asks the server itself at each change, and so do the maps of the page, which hear of it by the window's event
`explorer:filter`; the script runs once the choice rests.
"""

from collections.abc import Callable
from functools import partial

import streamlit as st

from explorer.web.components.shared.assets import script, style
from explorer.web.components.shared.triggers import heard, on_trigger

_component = st.components.v2.component(
    "explorer_filter",
    html="<div class='ex-root'></div>",
    css=style("filter_panel/filter_panel.css"),
    js=script(
        "filter_panel/values.js", "filter_panel/numbers.js", "filter_panel/filter_panel.js",
        shared=("shared/dom.js", "shared/api.js"),
    ),
)  # fmt: skip


def filter_panel(*, dataset: str, space: str, filter: str, key: str, on_filter: Callable[[str], None]) -> None:
    """Show the filter that holds, as `str(Filter)`. Before the script runs: `on_filter(text)`, the same of another."""
    _component(
        key=key,
        data={"dataset": dataset, "space": space, "filter": filter, "heard": heard(key)},
        on_filter_change=on_trigger(key, "filter", partial(_told, on_filter)),
    )


def _told(on_filter: Callable[[str], None], value: dict[str, str]) -> None:
    on_filter(str(value["filter"]))

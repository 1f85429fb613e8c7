"""Which answers are taken for which: a grid whose cells can be opened."""

from collections.abc import Callable, Sequence

import streamlit as st

from explorer.web.components.shared.assets import script, style
from explorer.web.components.shared.triggers import on_trigger

_component = st.components.v2.component(
    "explorer_confusion",
    html="<div class='ex-root'></div>",
    css=style("confusion/confusion.css"),
    js=script("confusion/confusion.js"),
)


def confusion_grid(
    names: Sequence[str],
    counts: Sequence[Sequence[int]],
    chosen: tuple[int, int] | None,
    *,
    key: str,
    on_cell: Callable[[int, int], None],
) -> None:
    """`counts`: for each answered class how often it was taken for each; `on_cell(answered, guessed)` is called, before
    the script runs, with the places of the cell that was pressed."""
    data = {"names": list(names), "counts": [list(row) for row in counts], "chosen": list(chosen) if chosen else None}

    def pressed(value: dict[str, int]) -> None:
        on_cell(int(value["answered"]), int(value["guessed"]))

    _component(key=key, data=data, on_cell_change=on_trigger(key, "cell", pressed))

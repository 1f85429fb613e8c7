"""The grid of pictures: click or Enter opens one large, arrows move, a tick or space selects."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from explorer.web.components.shared.assets import script, style
from explorer.web.components.shared.triggers import on_trigger, trigger_value

_SHOWN = ("uid", "hash", "caption", "badge", "note")

_component = st.components.v2.component(
    "explorer_gallery",
    html="<div class='ex-root'></div>",
    css=style("gallery/gallery.css"),
    js=script("gallery/gallery.js"),
)


def gallery(
    items: Sequence[Mapping[str, Any]],
    *,
    dataset: str,
    space: str,
    key: str,
    size: int = 150,
    on_similar: Callable[[str], None] | None = None,
    controls: bool = True,
    selectable: bool = False,
    selected: Sequence[str] = (),
    on_select: Callable[[list[str]], None] | None = None,
    empty: str = "No pictures here.",
    more: Mapping[str, Any] | None = None,
) -> None:
    """Show `items` ({uid, hash, caption, badge?, note?}; at most a few hundred a page) in their order.

    `more`: {"of", "f", "total"} where they are the first page of a longer gallery (see `paging.page`); the person goes
    on to the others, which come over HTTP, without a run of the page.

    Without `controls` there is no size slider and no count, and cards keep `size`; for a strip of a few pictures.
    `size` is the width of a card in pixels until the person moves the slider; their choice is kept by the browser.
    `on_similar(uid)` is called in the running script (so that it may switch the page); `on_select(uids)` before the
    script runs, with the uids in the order of `items`. `selected` is taken over whenever it changes.
    """
    listed = [{name: item[name] for name in _SHOWN if item.get(name) not in (None, "")} for item in items]
    data = {
        "dataset": dataset,
        "space": space,
        "items": listed,
        "size": size,
        "controls": controls,
        "similar": on_similar is not None,
        "selectable": selectable,
        "selected": list(selected),
        "empty": empty,
        "more": dict(more) if more and more["total"] > len(items) else None,
    }
    result = _component(
        key=key,
        data=data,
        on_select_change=on_trigger(key, "select", lambda value: on_select(value["uids"]) if on_select else None),
        on_similar_change=lambda: None,
    )
    asked = trigger_value(result, "similar")
    if asked and on_similar:
        on_similar(str(asked["uid"]))

"""Two ways of looking side by side: two maps with one lasso."""

import numpy as np
import streamlit as st

from explorer.errors import NotFound
from explorer.space import Space
from explorer.web import selections, state, views
from explorer.web.colours import colouring, options
from explorer.web.components.gallery import gallery
from explorer.web.components.shared.polygon import points_in_polygon
from explorer.web.components.twin_maps import Side, twin_maps
from explorer.web.state import View

SHOWN = 60


def side_by_side(view: View, question_id: str) -> None:
    """Two built spaces, chosen by the person, as maps with one lasso."""
    spaces = {info.key: info.title for info in view.rt.space_keys(view.dataset.id)}
    if len(spaces) < 2:
        st.write("There is only one map so far.")
        return
    columns = st.columns(2)
    if state.get("a") not in spaces:
        state.put(a=view.space.key)
    a = state.choose("a", "On the left", spaces, where=columns[0])
    rest = {key: title for key, title in spaces.items() if key != a}
    b = state.choose("b", "On the right", rest, where=columns[1])
    two_maps(view, view.rt.space(view.dataset.id, a), view.rt.space(view.dataset.id, b), question_id)


def two_maps(view: View, left: Space, right: Space, question_id: str = "") -> None:
    """The maps of two spaces; what is circled on either is shown below and kept in the link."""
    rt, dataset = view.rt, view.dataset
    known = options(rt, dataset, left)
    first = [by for by in (f"guess:{question_id}", f"answer:{question_id}") if by in known]
    by = state.choose("by", "Colour by", {each: known[each] for each in [*first, *known]})
    sides = (left, right)
    chosen, words = _selected(view)

    def lassoed(side: int, event: dict) -> None:
        space = sides[side]
        items = views.space_items(dataset, space)
        inside = points_in_polygon(space.xy, event["polygon"])
        inside &= view.filter.mask(items) & (items["status"] == "ok").to_numpy()
        if event.get("hidden_codes"):
            inside &= ~np.isin(colouring(rt, dataset, space, event["by"]).codes, event["hidden_codes"])
        rows = np.flatnonzero(inside)
        if len(rows) == 0:
            return state.put(sel=None)
        uids = [space.uids[row] for row in selections.nearest_first(space.vectors, rows)]
        where = f"{len(rows):,} pictures circled on the map by {space.title.lower()}"
        state.put(sel=selections.save(rt.catalog, dataset.id, uids, where))

    def drawn(space: Space) -> Side:
        rows = [space.rows[uid] for uid in chosen if uid in space.rows]
        colour = colouring(rt, dataset, space, by).for_map()
        return Side(space.key, space.generation, len(space), space.title, colour, rows)

    twin_maps(
        drawn(left), drawn(right), dataset=dataset.id, same=left.uids == right.uids, filter=str(view.filter),
        key=f"twins-{dataset.id}-{left.key}-{right.key}", on_lasso=lassoed, on_clear=_cleared, on_similar=state.similar,
    )  # fmt: skip
    if not chosen:
        st.caption(
            "Point at a picture on one map: the ring on the other shows where it lies there. Press L or the lasso and "
            "draw around some: the same ones light up on both, and appear here."
        )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{views.plain(words)}**")
        st.button("Clear", key="twins-clear", icon=":material/close:", on_click=_cleared)
    gallery(
        views.cards(selections.items_of(dataset, chosen[:SHOWN])), dataset=dataset.id, space=left.key,
        key="twins-gallery", size=96, controls=False, on_similar=state.similar,
    )  # fmt: skip
    if len(chosen) > SHOWN:
        st.caption(f"The {SHOWN} most typical of {len(chosen):,} are shown.")


def _selected(view: View) -> tuple[list[str], str]:
    if not state.get("sel"):
        return [], ""
    try:
        return selections.load(view.rt.catalog, view.dataset.id, state.get("sel"))
    except NotFound as error:
        state.shown(error)
        state.put(sel=None)
        return [], ""


def _cleared() -> None:
    state.put(sel=None)

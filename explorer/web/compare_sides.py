"""Two ways of looking side by side: two maps with one lasso."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from explorer.errors import NotFound
from explorer.space import Space
from explorer.web import looks_work, selections, state, views, watching
from explorer.web.bulk import shown_rows
from explorer.web.colours import colouring, options
from explorer.web.compare_asked import Side, sides
from explorer.web.components.gallery import gallery
from explorer.web.components.shared.polygon import points_in_polygon
from explorer.web.components.twin_maps import Side as Drawn
from explorer.web.components.twin_maps import twin_maps
from explorer.web.looks_shelf import ways
from explorer.web.state import View

SHOWN = 60


def choose_sides(view: View, best: Sequence[str] = ()) -> tuple[Side, Side] | None:
    """The two that are held against each other, chosen by the person; at first the `best` two (keys of features)."""
    known = sides(view.rt, view.dataset.id)
    if len(known) < 2:
        st.write("This takes two ways of looking that have seen every picture.")
        return None
    order = [key for key in best if key in known]
    order += [key for key in known if key not in order]
    names = {key: known[key].title for key in order}
    left, right = st.columns(2)
    a = state.choose("a", "A", names, where=left)
    b = state.choose("b", "B", {key: name for key, name in names.items() if key != a}, where=right)
    return known[a], known[b]


def maps_of(view: View, a: Side, b: Side, question_id: str = "") -> None:
    """Both maps, or what is to be done for them."""
    missing = [each for each in (a, b) if not each.space]
    if not missing:
        two_maps(view, view.rt.space(view.dataset.id, a.space), view.rt.space(view.dataset.id, b.space), question_id)
        return
    names = [way.name for way in ways(view.rt, view.dataset.id).values() if way.key in {each.key for each in missing}]
    st.write(views.plain(" and ".join(f"“{each.title}”" for each in missing)) + " has no map yet.")
    if not state.can_build(view.dataset.id):
        return
    busy = watching.busy(view.rt.jobs.list(view.dataset.id))
    if st.button("Lay it out", icon=":material/bubble_chart:", key="lay-out", disabled=busy):
        state.require("own", view.dataset.id)
        looks_work.look_at_all(view.rt, view.dataset.id, names)
        st.rerun()


def two_maps(view: View, left: Space, right: Space, question_id: str = "") -> None:
    """The maps of two spaces; what is circled on either is shown below and kept in the link."""
    rt, dataset = view.rt, view.dataset
    known = options(rt, dataset, left)
    first = [by for by in (f"guess:{question_id}", f"answer:{question_id}") if by in known]
    by = state.choose("by", "Colour by", {each: known[each] for each in [*first, *known]})
    both = (left, right)
    chosen, words = _selected(view)

    def lassoed(side: int, event: dict) -> None:
        space = both[side]
        inside = points_in_polygon(space.xy, event["polygon"])
        inside &= shown_rows(rt, dataset, space, str(view.filter))
        if event.get("hidden_codes"):
            inside &= ~np.isin(colouring(rt, dataset, space, event["by"]).codes, event["hidden_codes"])
        rows = np.flatnonzero(inside)
        if len(rows) == 0:
            return state.put(sel=None)
        uids = [space.uids[row] for row in selections.nearest_first(space.vectors, rows)]
        where = f"{len(rows):,} pictures circled on the map by {space.title.lower()}"
        state.put(sel=selections.save(rt.catalog, dataset.id, uids, where))

    def drawn(space: Space) -> Drawn:
        rows = [space.rows[uid] for uid in chosen if uid in space.rows]
        colour = colouring(rt, dataset, space, by).for_map()
        return Drawn(space.key, space.generation, len(space), space.title, colour, rows)

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

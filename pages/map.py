"""The whole collection as a map: like lies near like."""

import json
from dataclasses import replace

import numpy as np
import streamlit as st

from explorer.errors import NotFound
from explorer.web import selections, state, views
from explorer.web.colours import colouring, options
from explorer.web.components.gallery import gallery
from explorer.web.components.map import map_view, points_in_polygon

SHOWN = 240
NAMED_BY = 2_000  # pictures of a group that say where its name stands

view = state.open_view("map")
rt, dataset, space = view.rt, view.dataset, view.space

with view.controls:
    by = state.choose("by", "Colour by", options(rt, dataset, space))
    names = st.toggle("Names of groups on the map", value=True)


def _lassoed(event: dict) -> None:
    inside = points_in_polygon(space.xy, event["polygon"]) & view.mask
    if event.get("hidden_codes"):
        inside &= ~np.isin(colouring(rt, dataset, space, event["by"]).codes, event["hidden_codes"])
    rows = np.flatnonzero(inside)
    st.session_state["map-many"] = len(rows) if len(rows) > selections.MAX_UIDS else 0
    if len(rows) == 0 or st.session_state["map-many"]:
        return state.put(sel=None)
    rows = selections.nearest_first(space.vectors, rows)
    words = f"{len(rows):,} pictures circled on the map"
    state.put(sel=selections.save(rt.catalog, dataset.id, [space.uids[row] for row in rows], words))


def _cleared() -> None:
    st.session_state["map-many"] = 0
    state.put(sel=None)


def _only_these() -> None:
    """What is circled becomes part of the filter, which the other pages keep to as well."""
    before = {name: values for name, values in view.filter.values.items() if not name.startswith("@selection:")}
    values = before | {f"@selection:{state.get('sel')}": ("in",)}
    state.put(f=str(replace(view.filter, values=values)), sel=None)


def _hidden(labels: list[str]) -> None:
    """Entries of the legend that were switched off; they belong to the colouring they were switched off in."""
    state.put(hide=json.dumps([by, *labels], ensure_ascii=False) if labels else None)


def _hidden_labels() -> list[str]:
    try:
        coloured_by, *labels = json.loads(state.get("hide", "[null]"))
    except (ValueError, TypeError):
        return []
    return [str(label) for label in labels] if coloured_by == by else []


def _group_names() -> list[dict]:
    """The name of each group in the middle of some of its pictures, largest group first."""
    titles = {card.id: card.title for card in rt.cluster_cards(dataset.id, space.key, "kmeans")}
    members = [(which, rows) for which, rows in space.members["kmeans"].items() if which in titles]
    if not view.mask.all():
        members = [(which, rows[view.mask[rows]]) for which, rows in members]
    found = []
    for which, rows in sorted(members, key=lambda pair: -len(pair[1])):
        if len(rows):
            x, y = np.median(space.xy[rows[:: -(-len(rows) // NAMED_BY)]], axis=0)
            found.append({"x": float(x), "y": float(y), "text": titles[which]})
    return found


chosen_uids, words = [], ""
if state.get("sel"):
    try:
        chosen_uids, words = selections.load(rt.catalog, dataset.id, state.get("sel"))
    except NotFound as error:
        state.shown(error)
        state.put(sel=None)

shown = int(view.mask.sum())
count = f"{shown:,} of {len(space.uids):,} pictures" if view.filtered else f"{shown:,} pictures"
st.caption(
    f"**{dataset.name}** · {count}. Pictures that are alike lie close together. Scroll to come nearer, point at a dot "
    "to see it, and draw around some with the lasso."
)
if not shown:
    st.info("No picture passes the filter. Take something out of it in the sidebar.", icon=":material/filter_alt_off:")

map_view(
    dataset=dataset.id,
    space=space.key,
    generation=space.generation,
    n=len(space.uids),
    colour=colouring(rt, dataset, space, by).for_map(),
    selection=[space.rows[uid] for uid in chosen_uids if uid in space.rows],
    hidden=_hidden_labels(),
    labels=_group_names() if names else [],
    filter=str(view.filter),
    key=f"map-{dataset.id}-{space.key}",
    on_lasso=_lassoed,
    on_clear=_cleared,
    on_hidden=_hidden,
    on_similar=state.similar,
)

if chosen_uids:
    items = selections.items_of(dataset, chosen_uids)
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.subheader(words or f"{len(items):,} pictures", anchor=False)
    with right.container(horizontal=True, horizontal_alignment="right"):
        link = f"/x/{dataset.id}/selection"
        st.link_button("List (CSV)", f"{link}.csv?sel={state.get('sel')}", icon=":material/download:")
        st.link_button("Files (zip)", f"{link}.zip?sel={state.get('sel')}", icon=":material/folder_zip:")
        if state.open_to(view.person, "label", dataset.id) and st.button(
            "Answer for all of these", icon=":material/label:"
        ):  # fmt: skip
            state.go("label", set=f"selection:{state.get('sel')}")
        st.button("Show only these", on_click=_only_these, icon=":material/filter_alt:")
        st.button("Clear", on_click=_cleared, icon=":material/close:")
    gallery(
        views.cards(items.head(SHOWN)),
        dataset=dataset.id,
        space=space.key,
        key="map-gallery",
        on_similar=state.similar,
        more={"of": f"selection:{state.get('sel')}", "total": len(items)},
    )
elif many := st.session_state.get("map-many"):
    st.info(
        f"You have circled {many:,} pictures. Lists and downloads hold up to {selections.MAX_UIDS:,}: come nearer "
        "and circle fewer, or use the filter.", icon=":material/lasso_select:",
    )  # fmt: skip
else:
    st.caption("Nothing circled yet: the pictures you draw around appear here.")

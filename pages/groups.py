"""What groups are there? A card a group: typical pictures, pictures on its border, how it differs from the rest."""

import numpy as np
import streamlit as st

from explorer.web import paging, selections, state, views
from explorer.web.components.gallery import gallery
from explorer.web.sets import cluster_set

METHODS = {"kmeans": "Even: every picture in one", "hdbscan": "Dense: the rest stays out"}
SHOWN = 240
MOST_LOOKED_AT = 2_000
AT_ONCE = 10  # cards drawn before more are asked for: each is a component of its own, and thirty take seconds

view = state.open_view("groups")
rt, dataset, space = view.rt, view.dataset, view.space
may_label = state.open_to(view.person, "label", dataset.id)
with view.controls:
    how = state.choose("how", "Grouping", METHODS)

cards = rt.cluster_cards(dataset.id, space.key, how)
labels = space.clusters[how].to_numpy()
shown_of = np.bincount(labels[view.mask & (labels >= 0)], minlength=int(labels.max(initial=0)) + 1)
counts = {card.id: int(shown_of[card.id]) for card in cards}
cards = sorted((card for card in cards if counts[card.id]), key=lambda card: -counts[card.id])
by_id = {str(card.id): card for card in cards}
chosen = by_id.get(state.get("group"))


def _open(group: str | None) -> None:
    state.put(group=group)


def _answer(group: int) -> None:
    """On to the label page with this group in the panel; the switch has to happen in the script itself."""
    st.session_state["groups-answer"] = group


def _share(share: float) -> str:
    return f"{share:.0%}"


if "groups-answer" in st.session_state:
    state.go("label", set=cluster_set(how, int(st.session_state.pop("groups-answer")), space))

if state.get("group") and chosen is None:
    st.warning("That group is not there (any more): the groups were made anew, or the filter hides it.")
    state.put(group=None)

if chosen is not None:
    of = f"cluster:{how}:{chosen.id}"
    rows = paging.rows_of(rt, dataset, space, of, str(view.filter))
    st.button("All groups", icon=":material/arrow_back:", on_click=_open, args=(None,))
    st.header(views.plain(chosen.title), anchor=False)
    st.caption(f"{len(rows):,} pictures, the most typical first, those on the border of the group last.")
    if chosen.differs:
        words = [
            f"**{views.plain(f'{c}: {v}')}** {_share(a)} here, {_share(b)} elsewhere" for c, v, a, b in chosen.differs
        ]
        st.markdown("What is more common here: " + " · ".join(words[:6]))
    sel = ""
    if len(rows) <= selections.MAX_UIDS:
        uids = space.uids.picked(rows).to_pylist()
        sel = selections.save(rt.catalog, dataset.id, uids, f"{len(rows):,} pictures of the group “{chosen.title}”")
    with st.container(horizontal=True):
        if sel:
            st.link_button("List (CSV)", f"/x/{dataset.id}/selection.csv?sel={sel}", icon=":material/download:")
            st.link_button("Files (zip)", f"/x/{dataset.id}/selection.zip?sel={sel}", icon=":material/folder_zip:")
            if st.button("Show on the map", icon=":material/bubble_chart:"):
                state.go("map", sel=sel)
        if may_label:
            st.button("Answer for all of these", icon=":material/label:", on_click=_answer, args=(chosen.id,))
    gallery(
        views.row_cards(dataset, space, rows[:SHOWN]), dataset=dataset.id, space=space.key,
        key=f"group-{how}-{chosen.id}", on_similar=state.similar,
        more={"of": of, "f": str(view.filter), "total": len(rows)},
    )  # fmt: skip
    st.stop()

alone = int(((labels < 0) & view.mask).sum())
note = f" {alone:,} pictures belong to none of them." if alone else ""
st.caption(
    f"**{dataset.name}** falls into {len(cards)} groups of pictures that are alike.{note} Open one to see all of it."
)
if not cards:
    if view.filtered:
        state.empty("No group passes the filter", "Take something out of the filter in the sidebar.")
    state.empty("No groups", "The pictures lie too evenly for this grouping; try the other one in the sidebar.")

shown = st.session_state.get("groups-shown", AT_ONCE)
for start in range(0, min(shown, len(cards)), 2):
    for column, card in zip(st.columns(2), cards[start : start + 2], strict=False):
        with column.container(border=True):
            left, right = st.columns([4, 5], vertical_alignment="center")
            left.markdown(f"**{views.plain(card.title)}** · {counts[card.id]:,} pictures")
            with right.container(horizontal=True, horizontal_alignment="right"):
                if may_label:
                    st.button(
                        "Answer", key=f"answer-{how}-{card.id}", on_click=_answer, args=(card.id,),
                        icon=":material/label:", help="Answer a question for all of these",
                    )  # fmt: skip
                st.button("Open", key=f"open-{how}-{card.id}", on_click=_open, args=(str(card.id),))
            typical, border = card.typical, card.border[:2]
            if view.filtered:  # of the pictures that are left, the most typical of them
                left_rows = np.flatnonzero((labels == card.id) & view.mask)[:MOST_LOOKED_AT]
                typical = selections.nearest_first(space.vectors, left_rows)[: len(typical)].tolist()
                border = [row for row in border if view.mask[row] and row not in typical]
            typical, border = (views.row_cards(dataset, space, rows) for rows in (typical, border))
            gallery(
                typical + border, dataset=dataset.id, space=space.key, key=f"card-{how}-{card.id}", size=84,
                controls=False, on_similar=state.similar,
            )  # fmt: skip
            last = "The last lies" if len(border) == 1 else f"The last {len(border)} lie"
            words = f"{last} on its border." if border else ""
            if card.differs:
                column_name, value, inside, outside = card.differs[0]
                about = views.plain(f"{column_name}: {value}")
                words = f"{about} — {_share(inside)} here, {_share(outside)} elsewhere. {words}"
            st.caption(words)

if shown < len(cards):
    st.button(
        f"Show the other {len(cards) - shown} groups",
        on_click=st.session_state.update,
        args=({"groups-shown": len(cards)},),
    )

"""The ways of looking at a collection: what each sees and ignores, shown on one picture, and what it costs."""

import numpy as np
import streamlit as st

from explorer.errors import ExplorerError
from explorer.extractors.base import ASPECTS
from explorer.web import looks_work, state, views, watching
from explorer.web.looks_cards import Shown, card
from explorer.web.looks_joined import joined
from explorer.web.looks_pictures import STYLE, example_picture
from explorer.web.looks_shelf import examples, present_of, shelf, ways
from explorer.web.runtime import runtime
from explorer.workspace import replica

state.adopt_url("looks")
rt = runtime()
names = state.dataset_names(rt, "looks")
if not names:
    state.require("look", state.get("d"))
    state.empty("No pictures yet", "Add a folder of pictures first; it takes a minute or two.", "datasets")

with st.sidebar:
    dataset_id = state.choose("d", "Collection", names)
    state.put(d=dataset_id)
    state.require("look", dataset_id)
dataset = rt.dataset(dataset_id)
present = present_of(rt, dataset_id)
found = ways(rt, dataset_id)
jobs = rt.jobs.list(dataset_id)
if not found:
    state.empty(
        f"“{dataset.name}” is not ready yet",
        "Its pictures are still being looked at, or that was stopped. The Collections page shows how far.",
        "datasets",
    )

order = examples(found, present)
known = present.places.get(state.get("look"), int(order[0]) if len(order) else 0)


def _another() -> None:
    """The next one in an order that was drawn by lot."""
    at = np.flatnonzero(order == known)
    state.put(look=present.uids[order[(int(at[0]) + 1) % len(order) if len(at) else 0]])


st.html(STYLE)
example = present.uids[known]
running = looks_work.running(jobs)
shown = Shown(rt, dataset_id, present, found, example, looks_work.failures(jobs), watching.busy(jobs), running)
with st.sidebar:
    st.markdown("**The example**")
    (picture,) = views.cards(present.items.iloc[[known]])
    st.html(example_picture(dataset_id, picture))
    st.caption(views.plain(picture["caption"] or picture["uid"]))
    st.button("Another example", icon=":material/casino:", on_click=_another, width="stretch")
    only = st.toggle("Only those that have looked", key="looks-only")
    if shown.busy:
        st.divider()
        st.markdown("**Being worked out**")
        watching.watch(rt, dataset_id, narrow=True)

st.title("Ways of looking", anchor=False)
st.write(
    "Every way of looking is good at some questions and blind for others: it decides which pictures count as alike. "
    "Here each shows what lies near the same picture. Which one suits your question, the Compare page finds out from "
    "your answers."
)
if not shown.busy and (said := watching.ended(jobs)):
    st.warning(views.plain(said), icon=":material/info:")

for aspect, entries in shelf(found).items():
    entries = [entry for entry in entries if entry.way is not None or not only]
    if not entries:
        continue
    st.subheader(ASPECTS[aspect], anchor=False)
    for entry in entries:
        try:
            card(shown, entry, ASPECTS[aspect])
        except ExplorerError as error:
            state.shown(error)

if replica() and state.can("own", dataset_id):
    st.caption(state.ELSEWHERE)
if not state.can_build(dataset_id):
    st.stop()
st.subheader("Both together", anchor=False)
st.caption("Pictures that are alike in several ways at once: what one way overlooks, the other may see.")
with st.container(border=True):
    joined(shown)

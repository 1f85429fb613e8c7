"""Let others in, and take something away: links, pictures, answers, the map as a file."""

import streamlit as st

from explorer.errors import NotFound
from explorer.web import selections, state
from explorer.web.components.copier import copier
from explorer.web.filters import Filter
from explorer.web.share_accounts import accounts, accounts_of
from explorer.web.share_links import links_there, new_link, root
from explorer.web.taking import reports, tables

view = state.open_view("share")
rt, dataset, space = view.rt, view.dataset, view.space

if state.can("own", dataset.id):
    people, away = st.tabs(["Let others in", "Take something away"])
    with people:
        st.subheader("A link for somebody who knows", anchor=False)
        st.write("Whoever opens it needs no account, and sees what you choose here and nothing else.")
        new_link(view)
        st.subheader("Links that there are", anchor=False)
        links_there(view)
        store = accounts_of(rt)
        if store is not None:
            st.subheader("People with accounts", anchor=False)
            accounts(view, store)
else:
    away = st.container()

with away:
    st.subheader("The address of this view", anchor=False)
    st.write(
        "The address opens the same collection, comparison, filter and selection, for whoever was let in to see it."
    )
    titles = {"map": "Map", "similar": "Similar", "groups": "Groups", "odd": "Odd ones out", "label": "Label"}
    titles |= {"results": "How good?"}
    titles = {name: title for name, title in titles.items() if state.open_to(view.person, name, dataset.id)}
    page = st.segmented_control("Which page", list(titles), format_func=titles.get, default="map", required=True)
    copier(root() + state.link_to(str(page)), key="link")

    st.subheader("Pictures", anchor=False)
    selected = state.get("sel")
    if selected:
        try:
            uids, words = selections.load(rt.catalog, dataset.id, selected)
            st.write(f"Your selection: {words or f'{len(uids):,} pictures'}.")
            query = f"sel={selected}"
        except NotFound as error:
            state.shown(error)
            state.put(sel=None)
            selected = ""
    if not selected:
        query = state.link_query(f=state.get("f"), space=space.key)
        which = "what the filter lets through" if Filter.parse(state.get("f")) else "the whole collection"
        st.write(f"Nothing is circled on the map, so these hold {which}: {int(view.mask.sum()):,} pictures.")
    with st.container(horizontal=True):
        st.link_button("List (CSV)", f"/x/{dataset.id}/selection.csv?{query}", icon=":material/download:")
        st.link_button("Files (zip)", f"/x/{dataset.id}/selection.zip?{query}", icon=":material/folder_zip:")

    st.subheader("Answers", anchor=False)
    questions = rt.questions.list(dataset.id)
    if not questions:
        st.write("No question has been asked about this collection yet; the Label page is the place to ask one.")
    for question in questions:
        answered = len(rt.answers.current(question.id))
        with st.container(border=True):
            st.text(f"{question.name} — {answered:,} answered")
            tables(dataset.id, question.id, space.key)
            reports(dataset.id, question.id, space.key)

    st.subheader("The map as a file", anchor=False)
    st.write(
        "One HTML file with the map and the captions, without the pictures. It opens anywhere and needs no server."
    )
    by = state.link_query(space=space.key, by=st.session_state.get("view", {}).get("by") or "none")
    st.link_button("Map (HTML)", f"/x/{dataset.id}/map.html?{by}", icon=":material/download:")

"""The collections: what there is, how far it is, and adding one."""

from pathlib import Path

import streamlit as st

from explorer.errors import ExplorerError
from explorer.sharing.access import allowed_path
from explorer.web import adding, state, views, watching
from explorer.web.components.gallery import gallery
from explorer.web.navigation import home
from explorer.web.picking import pick
from explorer.web.runtime import runtime
from explorer.workspace import allowed_roots, replica

state.adopt_url("datasets")
rt = runtime()
person = state.me()
ids = rt.workspace.dataset_ids()
names = state.dataset_names(rt, "datasets")
invited = home(person, ids) if person is not None and ids and not names else None
if invited:  # to answer one question: there is no collection to choose here
    state.go(invited)
if not names:
    state.require("look")


def _started(dataset_id: str, extractors: list[str]) -> None:
    rt.jobs.start_worker(rt.jobs.create(dataset_id, "process", {"extractors": extractors}))


def _collection(dataset_id: str) -> None:
    dataset = rt.dataset(dataset_id)
    items = dataset.items
    counts = items["status"].value_counts()
    jobs = rt.jobs.list(dataset_id)
    busy = watching.busy(jobs)
    spaces = rt.space_keys(dataset_id)
    with st.container(border=True):
        left, right = st.columns([3, 2], vertical_alignment="center")
        left.subheader(views.plain(dataset.name), anchor=False)
        parts = [f"{counts.get('ok', 0):,} pictures"]
        if counts.get("problem", 0):
            parts.append(f"{counts['problem']:,} that cannot be read")
        if spaces:
            parts.append("compared by " + ", ".join(dict.fromkeys(space.title.lower() for space in spaces)))
        left.caption(" · ".join(parts))
        with right.container(horizontal=True, horizontal_alignment="right"):
            if spaces and st.button("Open", key=f"open-{dataset_id}", type="primary", icon=":material/bubble_chart:"):
                state.go("map", d=dataset_id, s=None, f=None, sel=None, by=None)
            if not busy and state.can_build(dataset_id) and st.button(
                "Look for changes", key=f"rescan-{dataset_id}", icon=":material/refresh:",
                help="New, changed and removed files are taken over; answers stay on their pictures.",
            ):  # fmt: skip
                state.require("own", dataset_id)
                _started(dataset_id, adding.extractors_of(rt, dataset))
                st.rerun()
        if busy:
            watching.watch(rt, dataset_id)
        elif said := watching.ended(jobs):
            st.warning(views.plain(said), icon=":material/info:")
        shown = dataset.present()
        if len(shown):
            sample = shown.iloc[:: max(len(shown) // 10, 1)].head(10)
            gallery(
                views.cards(sample), dataset=dataset_id, space=spaces[0].key if spaces else "", size=84, controls=False,
                key=f"cover-{dataset_id}", on_similar=lambda uid: state.go("similar", d=dataset_id, uid=uid),
            )  # fmt: skip


if not names and not replica():
    with st.container(border=True):
        st.subheader("Welcome", anchor=False)
        st.write(
            "Add a folder of pictures below. They stay where they are; the app looks at each once and lays them out as "
            "a map, with like near like. To try it first: `python -m explorer demo clipart`."
        )
for each in names:
    try:
        _collection(each)
    except ExplorerError as error:
        state.shown(error)

if replica() and state.can("own"):
    st.caption(state.ELSEWHERE)
if not state.can_build():
    st.stop()
st.subheader("Add a collection", anchor=False)
chosen = pick(rt.workspace)
folder, upload = st.tabs(["A folder on this computer", "Upload"])
with folder, st.form("add-folder", border=False):
    path = st.text_input(
        "Folder, table (CSV, Parquet) or zip", placeholder=str(Path.home() / "Pictures"),
        help="Below: " + ", ".join(str(root) for root in allowed_roots()),
    )  # fmt: skip
    name = st.text_input("Name (optional)")
    if st.form_submit_button("Add", type="primary"):
        try:
            state.require("own")
            _started(adding.from_path(rt, allowed_path(path), name), chosen)
            st.rerun()
        except ExplorerError as error:
            state.shown(error)
with upload, st.form("add-upload", border=False, clear_on_submit=True):
    files = st.file_uploader(
        "Pictures, or one zip of them", accept_multiple_files=True,
        type=["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "zip"],
    )  # fmt: skip
    name = st.text_input("Name", key="upload-name")
    if st.form_submit_button("Upload and add", type="primary"):
        try:
            state.require("own")
            _started(adding.from_uploads(rt, files or [], name), chosen)
            st.rerun()
        except ExplorerError as error:
            state.shown(error)

"""The collections: what there is, how far it is, and adding one."""

from pathlib import Path

import streamlit as st

from explorer.errors import ExplorerError
from explorer.extractors.registry import available
from explorer.sharing.access import allowed_path, allowed_roots
from explorer.web import adding, state, views
from explorer.web.components.gallery import gallery
from explorer.web.runtime import runtime

state.adopt_url("datasets")
rt = runtime()
state.require("look")
BUSY = ("queued", "running")


def _started(dataset_id: str, extractors: list[str]) -> None:
    rt.jobs.start_worker(rt.jobs.create(dataset_id, "process", {"extractors": extractors}))


def _progress(job) -> None:
    """One job as a bar with rate and time left, and a way to stop it."""
    done, total = job.progress.get("done", 0), job.progress.get("total", 0)
    words = job.progress.get("stage") or "Waiting to start"
    if total:
        words += f": {done:,} of {total:,}"
    if job.progress.get("per_second"):
        words += f" · {job.progress['per_second']:,.0f} a second"
    if job.progress.get("seconds_left"):
        words += f" · {adding.duration(job.progress['seconds_left'])} left"
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.progress(min(done / total, 1.0) if total else 0.0, text=words)
    if right.button("Stop", key=f"stop-{job.id}", icon=":material/stop:", width="stretch"):
        rt.jobs.request_cancel(job.id)


@st.fragment(run_every=1.0)
def _watch(dataset_id: str) -> None:
    jobs = rt.jobs.list(dataset_id)
    running = [job for job in jobs if job.state in BUSY]
    for job in running[:1]:
        _progress(job)
    if not running:
        st.rerun()


def _collection(dataset_id: str) -> None:
    dataset = rt.dataset(dataset_id)
    items = dataset.items
    counts = items["status"].value_counts()
    jobs = rt.jobs.list(dataset_id)
    busy = any(job.state in BUSY for job in jobs)
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
            if not busy and st.button(
                "Look for changes", key=f"rescan-{dataset_id}", icon=":material/refresh:",
                help="New, changed and removed files are taken over; answers stay on their pictures.",
            ):  # fmt: skip
                _started(dataset_id, adding.extractors_of(dataset))
                st.rerun()
        if busy:
            _watch(dataset_id)
        else:
            _last(jobs)
        shown = dataset.present()
        if len(shown):
            sample = shown.iloc[:: max(len(shown) // 10, 1)].head(10)
            gallery(
                views.cards(sample), dataset=dataset_id, space=spaces[0].key if spaces else "", size=84, controls=False,
                key=f"cover-{dataset_id}", on_similar=lambda uid: state.go("similar", d=dataset_id, uid=uid),
            )  # fmt: skip


def _last(jobs: list) -> None:
    """How the newest job ended, if not well."""
    if not jobs or jobs[0].state == "done":
        return
    words = {
        "failed": f"The last run failed: {jobs[0].error}",
        "cancelled": "The last run was stopped. What it had done is kept; “Look for changes” goes on from there.",
        "stopped": "The last run ended unexpectedly. What it had done is kept; “Look for changes” goes on from there.",
    }
    st.warning(words.get(jobs[0].state, str(jobs[0].state)), icon=":material/info:")


names = rt.workspace.dataset_ids()
if not names:
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

st.subheader("Add a collection", anchor=False)
library = available()
chosen = st.multiselect(
    "Compare pictures by", [name for name in library if not library[name].needs_download],
    default=["lite0", "colour"], format_func=lambda name: library[name].title,
    help="\n\n".join(f"**{card.title}**: {card.sees} {card.ignores}" for card in library.values()),
)  # fmt: skip
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
            _started(adding.from_path(rt, allowed_path(path), name), chosen or ["lite0"])
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
            _started(adding.from_uploads(rt, files or [], name), chosen or ["lite0"])
            st.rerun()
        except ExplorerError as error:
            state.shown(error)

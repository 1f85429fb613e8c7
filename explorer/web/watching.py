"""The work on a collection as its page shows it: how far it is, a way to stop it, and how it ended if not well."""

from collections.abc import Sequence

import streamlit as st

from explorer.jobs import Job
from explorer.web import adding, state
from explorer.web.runtime import Runtime

BUSY = ("queued", "running")
_GOES_ON = "What it had done is kept; “Look for changes” on the Collections page goes on from there."


def busy(jobs: Sequence[Job]) -> bool:
    return any(job.state in BUSY for job in jobs)


def watch(rt: Runtime, dataset_id: str, narrow: bool = False) -> None:
    """The job that runs, looked at every second; when it has ended the whole page is drawn anew. `narrow`: the button
    stands below the bar, for the sidebar."""
    _watched(rt, dataset_id, narrow, [True])


@st.fragment(run_every=1.0)
def _watched(rt: Runtime, dataset_id: str, narrow: bool, first: list[bool]) -> None:
    state.require("look", dataset_id)
    running = [job for job in rt.jobs.list(dataset_id) if job.state in BUSY]
    for job in running[:1]:
        _progress(rt, dataset_id, job, narrow)
    if not running and not first:  # not within the run that draws the page, which would be broken off half-way
        st.rerun()
    first.clear()


def ended(jobs: Sequence[Job]) -> str:
    """How the newest job ended, in a sentence; "" if it ended well or goes on."""
    if not jobs:
        return ""
    undone = [f"{name}: {words}" for name, words in jobs[0].report.get("failed", {}).items()]
    words = {
        "done": f"In the last run, not everything could be done. {' '.join(undone)}" if undone else "",
        "failed": f"The last run failed: {jobs[0].error}",
        "cancelled": f"The last run was stopped. {_GOES_ON}",
        "stopped": f"The last run ended unexpectedly. {_GOES_ON}",
    }
    return words.get(jobs[0].state, "")


def _progress(rt: Runtime, dataset_id: str, job: Job, narrow: bool) -> None:
    done, total = job.progress.get("done", 0), job.progress.get("total", 0)
    words = job.progress.get("stage") or "Waiting to start"
    if total:
        words += f": {done:,} of {total:,}"
    if job.progress.get("per_second"):
        words += f" · {job.progress['per_second']:,.0f} a second"
    if job.progress.get("seconds_left"):
        words += f" · {adding.duration(job.progress['seconds_left'])} left"
    left, right = (st, st) if narrow else st.columns([5, 1], vertical_alignment="center")
    left.progress(min(done / total, 1.0) if total else 0.0, text=words)
    if not state.can("own", dataset_id):
        return
    if right.button("Stop", key=f"stop-{job.id}", icon=":material/stop:", width="stretch"):
        rt.jobs.request_cancel(job.id)

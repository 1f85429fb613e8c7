"""Ways of looking that have not seen the answered pictures yet: tried on these alone, which takes seconds."""

from collections.abc import Sequence

import streamlit as st

from explorer.collection.costs import costs, duration
from explorer.extractors import packages
from explorer.extractors.registry import families
from explorer.web import state, views, watching
from explorer.web.compare_asked import Question, sees
from explorer.web.looks_shelf import title
from explorer.web.looks_work import failures
from explorer.web.results import Asked

START = 8.0
"""Seconds until a process of its own has loaded what it needs."""


def try_others(asked: Asked) -> None:
    """Tick some, and see them in the chart a few seconds later."""
    question = Question.of(asked)
    rt, dataset = asked.rt, asked.dataset
    jobs = rt.jobs.list(dataset.id)
    if watching.busy(jobs):
        watching.watch(rt, dataset.id)
    seen = {way.name for way in question.ways.values()}
    if not state.can_build(dataset.id):
        mine = state.can("own", dataset.id)
        other = "Whoever owns the collection can try further ways of looking on the answered pictures."
        st.caption(state.ELSEWHERE if mine else other)
        return
    names = [
        name for name, family in families().items()
        if not (family.written or family.card.needs_download or packages.lacking(name)) and name not in seen
    ]  # fmt: skip
    if not names:
        st.caption("Every way of looking that this computer offers by itself has seen your answered pictures.")
        return
    n = len(dataset.present())
    failed = failures(jobs)
    chosen = []
    for name in names:
        left, middle, right = st.columns([3, 6, 2], vertical_alignment="center")
        if left.checkbox(views.plain(title(name)), key=f"try-{asked.key}-{name}"):
            chosen.append(name)
        middle.caption(views.plain(sees(name)))
        whole = costs({name: families()[name].card.dim}, n, rt.workspace)
        right.caption(f"{duration(whole.seconds)} for all {n:,}", help=whole.words)
        if name in failed:
            st.caption(f":material/error: {views.plain(failed[name])}")
    few = len(question.uids)
    words = f"Try {len(chosen)} of them" if len(chosen) > 1 else "Try it"
    label = f"{words} on your {few} answered pictures"
    if chosen:
        label += f" ({lasts(question, chosen)})"
    if st.button(label, icon=":material/science:", key="try", disabled=not chosen or watching.busy(jobs)):
        begin_trial(question, chosen)
        st.rerun()


def lasts(question: Question, names: Sequence[str]) -> str:
    """How long a trial takes, in words."""
    cost = costs(dict.fromkeys(names, 0), len(question.uids), question.rt.workspace, space=False)
    return f"about {duration(START + cost.seconds)}"


def begin_trial(question: Question, names: list[str]) -> None:
    """Look at the answered pictures alone in these ways, in a process of its own."""
    state.require("own", question.dataset.id)
    args = {"extractors": names, "only": question.uids, "build": False}
    question.rt.jobs.start_worker(question.rt.jobs.create(question.dataset.id, "process", args))

"""The trial log: every combination that was tried on a question, and what can be made of it with a press."""

import datetime
from collections.abc import Callable, Hashable, Sequence
from functools import partial

import streamlit as st

from explorer.errors import ExplorerError, Refused
from explorer.learning.comparison import Comparison, LookScore
from explorer.learning.joining import Joined
from explorer.learning.trials import Combination, Trial, TrialStore, ablations, attempt, replay, transfer, with_one_more
from explorer.sharing.access import Scope, authorise
from explorer.space import SpaceRecipe
from explorer.web import comparing, state
from explorer.web.compare_asked import Question, waiting
from explorer.web.compare_scores import comparison
from explorer.web.looks_shelf import title
from explorer.web.results import Asked
from explorer.web.results_charts import table

SHOWN = 15


def note_down(question: Question, found: Comparison) -> None:
    """Keep what a comparison found of each way of looking, and of the best of them together, for whoever may answer."""
    asked = question.asked
    try:
        authorise(state.me(), "label", Scope(asked.dataset.id, asked.question.id))
    except Refused:
        return
    rows = [(((score.key, 1.0),), score) for score in found.scores if score.key in question.ways]
    trials = [_trial(question, features, score) for features, score in rows]
    joined = found.joined
    if joined is not None and len(joined.weights) > 1 and all(key in question.ways for key, _ in joined.weights):
        trials.append(_trial(question, joined.weights, joined))
    TrialStore(asked.rt.catalog).record_all(trials)


def _trial(question: Question, features: Sequence[tuple[str, float]], of: LookScore | Joined) -> Trial:
    asked = question.asked
    combination = Combination(tuple((question.ways[key].name, weight) for key, weight in features))
    keys = {way.name: way.key for way in question.ways.values()}
    recipe = SpaceRecipe(tuple((keys[name], weight) for name, weight in combination.features), combination.steps)
    return Trial(
        asked.question.id, asked.dataset.id, combination.features, combination.steps, combination.method, recipe.key,
        asked.judgement.scores.seq, len(question.uids), of.balanced_accuracy, of.low, of.high, asked.attribute,
        asked.person.id,
    )  # fmt: skip


def log(asked: Asked) -> None:
    """What was tried, on the newest answers first, the best first; one can be tried again, taken apart, added to."""
    question = Question.of(asked)
    found = comparison(question, quiet=True)
    if found is not None and st.session_state.get("noted") != question.key("noted", *question.candidates):
        note_down(question, found)
        st.session_state["noted"] = question.key("noted", *question.candidates)
    trials = TrialStore(asked.rt.catalog).list(asked.question.id, asked.attribute)
    trials.sort(key=lambda trial: (-trial.seq, -trial.balanced_accuracy))
    if not trials:
        st.caption("Nothing has been tried yet.")
        return
    rows = [[_right(trial), f"{trial.answers:,}", _when(trial), trial.combination.words] for trial in trials[:SHOWN]]
    st.html(table(("Right", "Answers", "When", "What was tried"), rows))
    if len(trials) > SHOWN:
        st.caption(f"The newest {SHOWN} of {len(trials):,}.")
    if not state.can("label", asked.dataset.id, asked.question.id):
        return
    names = {trial.id: f"{trial.combination.words}, {trial.answers:,} answers: {_right(trial)}" for trial in trials}
    chosen = st.selectbox("Take one of them up again", list(names), format_func=names.__getitem__, key="log-trial")
    _take_up(question, next(trial for trial in trials if trial.id == chosen))


def _take_up(question: Question, trial: Trial) -> None:
    asked = question.asked
    store, person = TrialStore(asked.rt.catalog), asked.person.id
    held = f"log-of-{trial.id}"
    begun: list[tuple[str, Hashable]] = st.session_state.setdefault(held, [])

    def start(words: str, work: Callable[[], Trial]) -> None:
        key = ("trial", trial.id, words, asked.judgement.scores.seq)
        comparing.begin(key, work)
        if (words, key) not in begun:
            begun.append((words, key))

    def tried(combination: Combination) -> Callable[[], Trial]:
        return partial(
            attempt, store, asked.dataset, trial.question_id, combination, attribute=trial.attribute, person=person
        )

    with st.container(horizontal=True):
        if st.button("On today's answers", icon=":material/replay:", key="log-now"):
            start("on today's answers", partial(replay, store, asked.dataset, trial, "now", person))
        if st.button("On the answers of then", icon=":material/history:", key="log-then"):
            start("on the answers of then", partial(replay, store, asked.dataset, trial, "then", person))
        parts = ablations(trial)
        if parts and st.button("Leave out one thing at a time", icon=":material/remove:", key="log-without"):
            for words, combination in parts:
                start(words, tried(combination))
    inside = {name for name, _ in trial.features}
    more = {way.name: title(way.name) for way in question.ways.values() if way.name not in inside}
    left, right = st.columns(2)
    if more:
        with left.container(horizontal=True, vertical_alignment="bottom"):
            name = st.selectbox("With one more", list(more), format_func=more.__getitem__, key=f"log-more-{trial.id}")
            if st.button("Try", key="log-add", icon=":material/add:"):
                start(f"with {more[name]}", tried(with_one_more(trial, name)))
    elsewhere = _elsewhere(asked)
    if elsewhere:
        with right.container(horizontal=True, vertical_alignment="bottom"):
            where = st.selectbox(
                "On another collection", list(elsewhere), format_func=elsewhere.__getitem__, key="log-where"
            )
            if st.button("Try", key="log-transfer", icon=":material/move_down:"):
                other = asked.rt.dataset(where[0])
                start(f"on {elsewhere[where]}", partial(transfer, store, trial, other, where[1], where[2], person))
    _outcomes(trial, begun)


def _outcomes(trial: Trial, begun: list[tuple[str, Hashable]]) -> None:
    rows = [["as it was tried", _right(trial), f"{trial.answers:,}"]]
    for words, key in begun:
        future = comparing.begun(key)
        if future is None:
            continue
        if not future.done():
            waiting(key, f"Trying it {words}…")
            continue
        try:
            result = future.result()
            rows.append([words, _right(result), f"{result.answers:,}"])
        except ExplorerError as error:
            state.shown(error)
    if len(rows) > 1:
        st.html(table((trial.combination.words, "Right", "Answers"), rows))


def _elsewhere(asked: Asked) -> dict[tuple[str, str, str], str]:
    """(collection, question, attribute) of the other collections, with their words."""
    found: dict[tuple[str, str, str], str] = {}
    for dataset_id in state.dataset_names(asked.rt, "compare"):
        if dataset_id == asked.dataset.id:
            continue
        for question in asked.rt.questions.list(dataset_id):
            words = f"{asked.rt.dataset(dataset_id).name}: {question.name}"
            if question.kind == "attributes":
                found |= {(dataset_id, question.id, one.id): f"{words} ({one.name})" for one in question.classes}
            else:
                found[dataset_id, question.id, ""] = words
    return found


def _right(trial: Trial) -> str:
    return f"{100 * trial.balanced_accuracy:.0f} % ({100 * trial.low:.0f}–{100 * trial.high:.0f})"


def _when(trial: Trial) -> str:
    return datetime.datetime.fromtimestamp(trial.created).strftime("%Y-%m-%d %H:%M")

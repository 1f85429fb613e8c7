"""Asking a new question, and changing the answers of one: the forms of the label page."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from explorer.collection.dataset import Dataset
from explorer.errors import ExplorerError
from explorer.learning.questions import Question
from explorer.sharing.access import Person
from explorer.web import state
from explorer.web.runtime import Runtime

KIND_NAMES = {
    "classes": "One answer each",
    "attributes": "Several can be true",
    "grades": "Grades in order",
}
KIND_WORDS = {
    "classes": "Every picture gets exactly one answer: kitchen, bathroom, or none of these.",
    "attributes": "Each answer is a yes or no of its own: a picture can show a dog and a car.",
    "grades": "From the lowest to the highest, one a line: condition 1 to 5.",
}
NONE = "None of these"


def new_question(rt: Runtime, dataset: Dataset) -> None:
    """The form that makes a question, of one's own or from a column; the page then shows the question."""
    st.subheader("What do you want to know about these pictures?", anchor=False)
    st.write("Name a question and its possible answers. Then answer it for a few dozen pictures; the rest follows.")
    own, column = st.tabs(["My own question", "From a column"])
    with own, st.form("new-question", border=False):
        name = st.text_input("Question", placeholder="for example: Is it alive?")
        kind = st.radio(
            "How is it answered?", list(KIND_NAMES), format_func=lambda each: KIND_NAMES[each],
            captions=list(KIND_WORDS.values()),
        )  # fmt: skip
        classes = st.text_area("Answers, one a line", placeholder="alive\nnot alive", height=120)
        none = st.checkbox(
            f"Offer “{NONE}” as an answer of its own", help="For pictures that are none of them; with one answer each."
        )
        note = st.text_input("What counts as what (optional)")
        if st.form_submit_button("Start labelling", type="primary"):
            state.require("edit", dataset.id)
            given = [line.strip() for line in classes.splitlines() if line.strip()]
            try:
                made = rt.questions.create(dataset.id, name, given, note, kind, NONE if none else None)
                _created(made.id)
            except ExplorerError as error:
                state.shown(error)
    with column:
        _from_column(rt, dataset)


def _from_column(rt: Runtime, dataset: Dataset) -> None:
    usable = [name for name in dataset.columns() if 2 <= dataset.present()[f"meta:{name}"].nunique() <= 30]
    if not usable:
        st.info("This collection has no column with a handful of values to make a question from.")
        return
    chosen = st.selectbox("Column", usable)
    taken = st.toggle("Take its values over as answers", value=False, help="Else only the names of the answers are.")
    if st.button("Make the question"):
        state.require("edit", dataset.id)
        try:
            made = rt.questions.create_from_column(dataset, chosen, f"Which {chosen}?", with_answers=taken)
            _created(made.id)
        except ExplorerError as error:
            state.shown(error)


def _created(question_id: str) -> None:
    state.put(q=question_id)
    st.rerun()


@st.dialog("Answers of this question", width="large", on_dismiss="rerun")
def edit_question(rt: Runtime, person: Person, question_id: str) -> None:
    """Add, rename, explain, order, merge, split and remove answers; what was answered is never lost."""
    question = rt.questions.get(question_id)
    state.require("edit", question.dataset_id, question_id)
    said = st.empty()  # always there: a sentence that comes or goes must not throw the tabs back to the first
    if done := st.session_state.pop("question-done", ""):
        said.success(done, icon=":material/check:")
    change, join, part = st.tabs(["Names and notes", "Merge", "Split"])
    with change:
        _names(rt, question, said)
    with join:
        _merge(rt, question, person, said)
    with part:
        _split(rt, question, said)


def _try(work: Callable[[], Any], done: str, said: DeltaGenerator) -> None:
    """Do it and show the dialog anew, or say in a sentence why not."""
    try:
        work()
    except ExplorerError as error:
        said.error(str(error), icon=":material/error:")
        return
    st.session_state["question-done"] = done
    st.rerun(scope="fragment")


def _names(rt: Runtime, question: Question, said: DeltaGenerator) -> None:
    name = st.text_input("The question itself", value=question.name, key=f"name-{question.id}-{question.name}")
    fields: dict[str, tuple[str, str]] = {}
    for place, c in enumerate(question.classes):
        left, middle, right = st.columns([4, 6, 3], vertical_alignment="bottom")
        shown: Literal["visible", "collapsed"] = "visible" if place == 0 else "collapsed"
        key = f"{c.id}-{c.name}"
        new = left.text_input(f"Answer {place + 1}", value=c.name, key=f"c-{key}", label_visibility=shown)
        about = middle.text_input(
            f"What counts as “{c.name}”" if place else "What counts as it", value=c.note, key=f"note-{key}-{c.note}",
            label_visibility=shown, placeholder="also what just does not count",
        )  # fmt: skip
        fields[c.id] = (new, about)
        with right.container(horizontal=True, gap="small"):
            _move(rt, question, c.id, place, -1, said)
            _move(rt, question, c.id, place, 1, said)
            if st.button("", key=f"remove-{key}", icon=":material/delete:", help=f"Remove “{c.name}”"):
                _try(partial(rt.questions.remove_class, question.id, c.id), f"“{c.name}” is removed.", said)
    added = st.text_input("One more answer", key=f"add-{question.id}-{len(question.classes)}")
    none = _none_choice(question)
    if st.button("Save", type="primary"):
        _try(lambda: _save(rt, question, name, fields, added, none), "Saved.", said)


def _move(rt: Runtime, question: Question, class_id: str, place: int, by: int, said: DeltaGenerator) -> None:
    ends = not 0 <= place + by < len(question.classes)
    icon, words = (":material/arrow_upward:", "Up") if by < 0 else (":material/arrow_downward:", "Down")
    if st.button("", key=f"move{by}-{class_id}-{place}", icon=icon, help=words, disabled=ends):
        _try(partial(rt.questions.move_class, question.id, class_id, place + by), "Moved.", said)


def _none_choice(question: Question) -> str | None:
    if question.kind != "classes":
        return None
    names = {"": "no answer here"} | {c.id: c.name for c in question.classes}
    held = question.none_class.id if question.none_class else ""
    return st.selectbox(
        "Which answer means “none of these”?", list(names), index=list(names).index(held), key=f"none-{held}",
        format_func=lambda each: names[each], help="It stands apart from the others, with the key −.",
    )  # fmt: skip


def _save(
    rt: Runtime, question: Question, name: str, fields: dict[str, tuple[str, str]], added: str, none: str | None
) -> None:
    if name.strip() != question.name:
        rt.questions.rename(question.id, name)
    for c in question.classes:
        new, note = fields[c.id]
        if new.strip() != c.name:
            rt.questions.rename_class(question.id, c.id, new)
        if note.strip() != c.note:
            rt.questions.set_class_note(question.id, c.id, note)
    if added.strip():
        rt.questions.add_class(question.id, added)
    if none is not None and none != (question.none_class.id if question.none_class else ""):
        rt.questions.set_none_class(question.id, none or None)


def _merge(rt: Runtime, question: Question, person: Person, said: DeltaGenerator) -> None:
    st.write("All pictures of one answer count as another one from now on. It can be undone here, with nothing lost.")
    names = {c.id: c.name for c in question.classes}
    if len(names) < 2:
        st.info("There is only one answer.")
    else:
        left, right = st.columns(2)
        old = left.selectbox("This answer", list(names), format_func=lambda each: names.get(each, ""))
        into = right.selectbox("becomes a part of", list(names), index=1, format_func=lambda each: names.get(each, ""))
        if st.button("Merge"):
            done = f"“{names[old]}” counts as “{names[into]}” now."
            _try(lambda: rt.questions.merge_classes(question.id, old, into, person.id), done, said)
    for merged in rt.questions.merged(question.id):
        left, right = st.columns([4, 2], vertical_alignment="center")
        left.write(f"“{merged.name}” counts as “{names.get(merged.into, 'another answer')}”.")
        if right.button("Bring it back", key=f"unmerge-{merged.id}"):
            done = f"“{merged.name}” is back with its own answers."
            _try(partial(rt.questions.unmerge, question.id, merged.id), done, said)


def _split(rt: Runtime, question: Question, said: DeltaGenerator) -> None:
    st.write(
        "One answer turns out to be several: the new ones are added beside it, and its pictures are asked again. "
        "Until then the old answer stays."
    )
    names = {c.id: c.name for c in question.classes}
    old = st.selectbox("The answer to split", list(names), format_func=lambda each: names.get(each, ""))
    new = st.text_area("New answers, one a line", height=100, key=f"split-{question.id}-{len(names)}")
    if st.button("Split and ask again"):
        try:
            seq = rt.answers.latest_seq(question.id)
            split = rt.questions.split_class(question.id, old, [line for line in new.splitlines() if line.strip()])
        except ExplorerError as error:
            said.error(str(error), icon=":material/error:")
            return
        if split.uids:
            state.put(set=f"answered:{old}:{seq}")
        st.rerun()

"""Ask a question, answer it for a few dozen pictures, and see the answer for all the others at once."""

from pathlib import Path

import streamlit as st

from explorer.errors import ExplorerError
from explorer.web import selections, state, views
from explorer.web.answering import class_counts, policies
from explorer.web.colours import PALETTE, colouring
from explorer.web.components.labeller import labeller
from explorer.web.components.map import map_view
from explorer.web.sets import picture_set

view = state.open_view("label", "label")
rt, dataset, space = view.rt, view.dataset, view.space
NEW = "+"
MOST_EXAMPLES = 8
RESULTS = "results" in state.PAGE_KEYS and Path(__file__).with_name("results.py").exists()


def _created(question_id: str) -> None:
    state.put(q=question_id)
    st.rerun()


def _new_question() -> None:
    st.subheader("What do you want to know about these pictures?", anchor=False)
    st.write("Name a question and its possible answers. Then answer it for a few dozen pictures; the rest follows.")
    own, column = st.tabs(["My own question", "From a column"])
    with own, st.form("new-question", border=False):
        name = st.text_input("Question", placeholder="for example: Is it alive?")
        classes = st.text_area("Answers, one a line", placeholder="alive\nnot alive", height=120)
        note = st.text_input("What counts as what (optional)")
        if st.form_submit_button("Start labelling", type="primary"):
            try:
                given = [line.strip() for line in classes.splitlines() if line.strip()]
                _created(rt.questions.create(dataset.id, name, given, note).id)
            except ExplorerError as error:
                state.shown(error)
    with column:
        usable = [name for name in dataset.columns() if 2 <= dataset.present()[f"meta:{name}"].nunique() <= 30]
        if not usable:
            st.info("This collection has no column with a handful of values to make a question from.")
            return
        chosen = st.selectbox("Column", usable)
        taken = st.toggle(
            "Take its values over as answers", value=False, help="Else only the names of the answers are."
        )
        if st.button("Make the question"):
            try:
                made = rt.questions.create_from_column(dataset, chosen, f"Which {chosen}?", with_answers=taken)
                _created(made.id)
            except ExplorerError as error:
                state.shown(error)


questions = {question.id: question.name for question in rt.questions.list(dataset.id)}
if not questions:
    _new_question()
    st.stop()

with st.sidebar:
    question_id = state.choose("q", "Question", questions | {NEW: "A new question…"})
if question_id == NEW:
    _new_question()
    st.stop()
state.put(q=question_id)
question = rt.questions.get(question_id)
seq = rt.answers.latest_seq(question_id)
counts = class_counts(rt, question)


def chosen_set() -> dict[str, str] | None:
    """The group or selection that the link names, with its words; None, and a sentence, when it is not there."""
    if not state.get("set"):
        return None
    try:
        return {"id": state.get("set"), "title": picture_set(rt, dataset, space, question, state.get("set")).words}
    except ExplorerError as error:
        state.shown(error)
        state.put(set=None)
        return None


with st.sidebar:
    guess = st.toggle("Show the guess before I answer", value=state.get("guess") == "1", help="For checking.")
    state.put(guess="1" if guess else None)
    st.link_button(
        "Answers and guesses (CSV)", f"/x/{dataset.id}/answers.csv?question={question_id}&space={space.key}",
        icon=":material/download:", width="stretch",
    )  # fmt: skip
    with st.expander("Answers of this question", icon=":material/edit:"):
        renamed = st.text_input("Question", value=question.name, key=f"name-{question_id}")
        names = {
            c.id: st.text_input(f"Answer {i}", value=c.name, key=f"c-{c.id}") for i, c in enumerate(question.classes, 1)
        }
        added = st.text_input("One more answer", key=f"add-{question_id}-{len(names)}")
        if st.button("Save", width="stretch"):
            try:
                if renamed.strip() != question.name:
                    rt.questions.rename(question_id, renamed)
                for c in question.classes:
                    if names[c.id].strip() != c.name:
                        rt.questions.rename_class(question_id, c.id, names[c.id])
                if added.strip():
                    rt.questions.add_class(question_id, added)
                st.rerun()
            except ExplorerError as error:
                state.shown(error)

if question.note:
    st.caption(question.note)


def _policy(event: dict) -> None:
    """Another way of choosing was picked: the link says so, and a set that was worked on is left."""
    state.put(set=None if event["policy"] != "set" else state.get("set"))
    if event["policy"] != "set":
        state.put(next=event["policy"])


def _example(event: dict) -> None:
    """One press makes a picture an example of an answer, another one takes it out again."""
    held = next((c for c in question.classes if c.id == event["class_id"]), None)
    if held is None:
        return
    left = tuple(uid for uid in held.examples if uid != event["uid"])
    new = left if len(left) < len(held.examples) else (*held.examples, event["uid"])
    rt.questions.set_examples(question_id, held.id, new[-MOST_EXAMPLES:])


def _results() -> None:
    state.go("results", q=question_id)


labeller(
    dataset=dataset.id,
    space=space.key,
    question={
        "id": question.id,
        "name": question.name,
        "kind": question.kind,
        "classes": [
            {
                "id": c.id,
                "name": c.name,
                "colour": PALETTE[place % len(PALETTE)],
                "count": counts.get(c.id, 0),
                "note": c.note,
                "none": getattr(c, "none", False),
                "examples": views.cards(selections.items_of(dataset, list(getattr(c, "examples", ())))),
            }
            for place, c in enumerate(question.classes)
        ],
    },
    seq=seq,
    policy=state.get("next", "useful"),
    policies=policies(question),
    set=chosen_set(),
    show_guess=guess,
    filter=str(view.filter),
    results=RESULTS,
    key=f"label-{question_id}-{space.key}",
    on_policy=_policy,
    on_example=_example,
    on_results=_results,
    on_similar=state.similar,
)

st.subheader("On the map", anchor=False)
st.caption("Every picture in the colour of its most likely answer; it follows as you answer.")
map_view(
    dataset=dataset.id,
    space=space.key,
    generation=space.generation,
    n=len(space.uids),
    colour=colouring(rt, dataset, space, f"guess:{question_id}").for_map(),
    labels=[],
    filter=str(view.filter),
    key=f"label-map-{question_id}-{space.key}",
    height=480,
    on_similar=state.similar,
)

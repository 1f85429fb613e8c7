"""Ask a question, answer it for a few dozen pictures, and see the answer for all the others at once."""

from pathlib import Path

import streamlit as st

from explorer.errors import ExplorerError
from explorer.web import selections, state, views
from explorer.web.answering import class_counts, policies
from explorer.web.colours import PALETTE, colouring
from explorer.web.components.labeller import labeller
from explorer.web.components.map import map_view
from explorer.web.question_forms import edit_question, new_question
from explorer.web.sets import picture_set

view = state.open_view("label", "label")
rt, dataset, space = view.rt, view.dataset, view.space
NEW = "+"
MOST_EXAMPLES = 8
RESULTS = "results" in state.PAGE_KEYS and Path(__file__).with_name("results.py").exists()


questions = {question.id: question.name for question in rt.questions.list(dataset.id)}
if not questions:
    new_question(rt, dataset)
    st.stop()

with st.sidebar:
    question_id = state.choose("q", "Question", questions | {NEW: "A new question…"})
if question_id == NEW:
    new_question(rt, dataset)
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
    if st.button("Answers of this question", icon=":material/edit:", width="stretch", help="Add, rename, merge, split"):
        edit_question(rt, view.person, question_id)

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
                "none": c.none,
                "examples": views.cards(selections.items_of(dataset, list(c.examples))),
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

"""Ask a question, answer it for a few dozen pictures, and see the answer for all the others at once."""

import streamlit as st

from explorer.errors import ExplorerError
from explorer.web import selections, state, views
from explorer.web.answering import class_counts, policies
from explorer.web.colours import PALETTE, colouring
from explorer.web.components.labeller import labeller
from explorer.web.components.map import map_view
from explorer.web.navigation import offers
from explorer.web.question_forms import edit_question, new_question
from explorer.web.sets import picture_set

view = state.open_view("label")
rt, dataset, space = view.rt, view.dataset, view.space
NEW = "+"
MOST_EXAMPLES = 8


questions = state.question_names(rt, dataset.id, "label")
may_ask = state.can("edit", dataset.id)
if not questions:
    if may_ask:
        new_question(rt, dataset)
    elif rt.questions.list(dataset.id):
        state.require("label", dataset.id, state.get("q"))
    else:
        state.empty("Nothing has been asked yet", "Whoever sent you the link has to ask a question first.")
    st.stop()

whole = state.can("look", dataset.id)
with view.controls:
    more = {NEW: "A new question…"} if may_ask else {}
    question_id = next(iter(questions))
    if len(questions) > 1 or may_ask or whole:
        question_id = state.choose("q", "Question", questions | more)
if question_id == NEW:
    new_question(rt, dataset)
    st.stop()
state.put(q=question_id)
state.require("label", dataset.id, question_id)
question = rt.questions.get(question_id)
shows_results = offers(view.person, "results", [dataset.id])
may_edit = state.can("edit", dataset.id, question_id)
similar = state.similar_in(dataset.id)
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


with view.controls:
    guess = st.toggle("Show the guess before I answer", value=state.get("guess") == "1", help="For checking.")
    state.put(guess="1" if guess else None)
    if shows_results:
        st.link_button(
            "Answers and guesses (CSV)", f"/x/{dataset.id}/answers.csv?question={question_id}&space={space.key}",
            icon=":material/download:", width="stretch",
        )  # fmt: skip
    if may_edit and st.button(
        "Answers of this question", icon=":material/edit:", width="stretch", help="Add, rename, merge, split"
    ):  # fmt: skip
        edit_question(rt, view.person, question_id)

if not whole:
    st.title(views.plain(question.name), anchor=False)
if question.note:
    st.caption(question.note)


def _policy(event: dict) -> None:
    """Another way of choosing was picked: the link says so, and a set that was worked on is left."""
    state.put(set=None if event["policy"] != "set" else state.get("set"))
    if event["policy"] != "set":
        state.put(next=event["policy"])


def _example(event: dict) -> None:
    """One press makes a picture an example of an answer, another one takes it out again."""
    state.require("edit", dataset.id, question_id)
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
    results=shows_results,
    key=f"label-{question_id}-{space.key}",
    on_policy=_policy,
    on_example=_example if may_edit else None,
    on_results=_results,
    on_similar=similar,
)
if not whole:
    st.stop()  # the map shows all of the collection

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

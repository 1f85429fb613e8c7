"""Which way of looking suits the question? All of them side by side, on the question's own answers."""

from functools import partial

import streamlit as st

from explorer.errors import BadInput, ExplorerError
from explorer.learning.judgement import Judgement
from explorer.web import state, views
from explorer.web.compare_asked import Question
from explorer.web.compare_before import how_they_differ
from explorer.web.compare_differ import where_they_differ
from explorer.web.compare_log import log
from explorer.web.compare_more import by_layer, larger_networks, one_cut, other_kinds
from explorer.web.compare_scores import best_keys, curves, recommendation, side_by_side, together
from explorer.web.compare_sides import choose_sides, maps_of
from explorer.web.compare_try import try_others
from explorer.web.results import Asked, part

view = state.open_view("compare")
rt, dataset, space = view.rt, view.dataset, view.space

questions = {question.id: question.name for question in rt.questions.list(dataset.id)}
question_id = attribute = ""
if questions:
    with view.controls:
        question_id = state.choose("q", "Question", questions)
    state.put(q=question_id)


def judged() -> Judgement | None:
    """The question as it stands; None before there is anything to judge."""
    try:
        return rt.live.judgement(dataset.id, question_id, space.key, attribute, rt.answers.latest_seq(question_id))
    except BadInput:
        return None
    except ExplorerError as error:
        state.shown(error)
        return None


judgement = None
if question_id:
    question = rt.questions.get(question_id)
    if question.kind == "attributes":
        with view.controls:
            attribute = state.choose("attr", "Which of the answers", {one.id: one.name for one in question.classes})
    judgement = judged()

if judgement is None:
    st.title("Ways of looking, side by side", anchor=False)
    st.caption(
        "Before anything is answered nobody knows which way of looking suits a question. But they can be compared: "
        "what one puts together, another may tear apart."
    )
    if question_id:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"Answer a few dozen pictures of **{views.plain(questions[question_id])}**; then this page says which "
                "way of looking suits it."
            )
            if state.can("label", dataset.id, question_id) and st.button(
                "Label some pictures", type="primary", icon=":material/label:"
            ):  # fmt: skip
                state.go("label", q=question_id, next=None, set=None)
    st.subheader("Which see this collection differently?", anchor=False)
    how_they_differ(view)
    st.subheader("Two of them on the map", anchor=False)
    chosen = choose_sides(view)
    if chosen is not None:
        maps_of(view, *chosen)
    st.stop()

asked = Asked(rt, view.person, dataset, space, question, attribute, judgement, attribute or question.class_ids[0])
st.title(views.plain(question.name), anchor=False)
st.caption("Which way of looking suits this question? Each is judged on your own answers, by what had not seen them.")
part(recommendation, asked)
best = best_keys(Question.of(asked))
if best is None:
    st.stop()  # the part above waits, and draws the page again
st.subheader("All ways of looking, side by side", anchor=False)
part(side_by_side, asked)
st.subheader("Not tried yet", anchor=False)
part(try_others, asked)
st.subheader("Would more answers change the order?", anchor=False)
part(curves, asked)
st.subheader("Several together", anchor=False)
part(together, asked)

st.subheader("Two of them against each other", anchor=False)
chosen = choose_sides(view, best)
if chosen is not None:
    st.markdown("**Where they differ**")
    part(partial(where_they_differ, *chosen), asked)
    st.markdown("**On the map**")
    maps_of(view, *chosen, question_id)

st.subheader("Can one straight cut do it?", anchor=False)
part(one_cut, asked)
st.subheader("Would another kind of classifier do better?", anchor=False)
part(other_kinds, asked)
st.subheader("Layer by layer", anchor=False)
part(by_layer, asked)
st.subheader("Does a larger network help?", anchor=False)
part(larger_networks, asked)
st.subheader("What was tried", anchor=False)
part(log, asked)

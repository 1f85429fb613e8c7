"""How good is it? The verdict, the list, the finish line, and where it goes wrong."""

import streamlit as st

from explorer.errors import BadInput, ExplorerError
from explorer.learning.judgement import Judgement
from explorer.web import state, views
from explorer.web.results import Asked, part
from explorer.web.results_parts import finish_line, more_labels, the_list, verdict
from explorer.web.results_wrong import how_sure, methods, second_looks, where_wrong
from explorer.web.taking import bring_in, tables
from explorer.web.together import working_together

view = state.open_view("results")
rt, dataset, space = view.rt, view.dataset, view.space

questions = state.question_names(rt, dataset.id, "look")
if not questions:
    state.require("look", dataset.id)
    with st.container(border=True, horizontal_alignment="center"):
        st.subheader("Nothing has been asked yet", anchor=False)
        st.write("Ask a question and answer it for a few dozen pictures; then this page says how good the result is.")
        if state.can("edit", dataset.id) and st.button("Ask a question", type="primary", icon=":material/label:"):
            state.go("label")
    if state.can("edit", dataset.id):
        st.subheader("Or bring one in", anchor=False)
        bring_in(rt, dataset)
    st.stop()

with view.controls:
    question_id = state.choose("q", "Question", questions)
state.put(q=question_id)
state.require("look", dataset.id, question_id)
question = rt.questions.get(question_id)
st.title(views.plain(question.name), anchor=False)
st.caption("How good is it? Each of your answers is judged by what it would have said without that answer.")
may_label = state.can("label", dataset.id, question_id)
attribute = ""
if question.kind == "attributes":
    attribute = state.choose("attr", "Which of the answers", {one.id: one.name for one in question.classes})


def judged() -> Judgement | None:
    """The question as it stands; None, with what to do about it, before there is anything to judge."""
    seq = rt.answers.latest_seq(question_id)
    try:
        return rt.live.judgement(dataset.id, question_id, space.key, attribute, seq)
    except BadInput as error:
        with st.container(border=True, horizontal_alignment="center"):
            st.subheader("Too early to say", anchor=False)
            st.write(views.plain(str(error)))
            if may_label and st.button("Label some pictures", type="primary", icon=":material/label:"):
                state.go("label", q=question_id, next=None, set=None)
    except ExplorerError as error:
        state.shown(error)
    return None


def ask(judgement: Judgement) -> Asked:
    """With the class that the list is about; choosing another one lets go of the threshold in the link."""
    options = {one.id: one.name for one in question.classes if one.id in judgement.scores.class_ids}
    if attribute:
        class_id = attribute
    else:
        st.subheader("One answer", anchor=False)
        first = next((one for one in options if one != getattr(question.none_class, "id", None)), "")
        if state.get("class") not in options:
            state.put(**{"class": first})
        class_id = state.choose("class", "The list and the finish line are about", options)
    before = st.session_state.get("results-class")
    if before is not None and before != class_id:
        state.put(t=None, target=None)
    st.session_state["results-class"] = class_id
    return Asked(rt, view.person, dataset, space, question, attribute, judgement, class_id)


judgement = judged()
if judgement is not None:
    whole = Asked(rt, view.person, dataset, space, question, attribute, judgement, attribute or question.class_ids[0])
    part(verdict, whole)
    st.subheader("Will more labels help?", anchor=False)
    part(more_labels, whole)
    asked = ask(judgement)
    name = views.plain(asked.name)
    st.subheader(f"The list of “{name}”", anchor=False)
    part(the_list, asked)
    st.subheader("The finish line", anchor=False)
    st.caption(f"When are nearly all of “{name}” found, so that one may stop?")
    part(finish_line, asked)
    st.subheader("Where it goes wrong", anchor=False)
    part(where_wrong, whole)
    st.subheader("Can it be believed when it is sure?", anchor=False)
    part(how_sure, whole)
    if may_label:
        st.subheader("Second looks", anchor=False)
        part(second_looks, whole)
    if state.can("edit", dataset.id, question_id):
        st.subheader("Another method", anchor=False)
        part(methods, whole)

st.subheader("Working together", anchor=False)
working_together(rt, dataset, question, space.key, attribute)

st.subheader("Take it away", anchor=False)
tables(dataset.id, question_id, space.key)
if state.can("edit", dataset.id):
    bring_in(rt, dataset)

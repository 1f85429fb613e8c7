"""Which way of looking suits the question? All of them side by side, on the question's own answers."""

import streamlit as st

from explorer.web import state, views
from explorer.web.compare_sides import side_by_side

view = state.open_view("compare")
rt, dataset = view.rt, view.dataset

questions = {question.id: question.name for question in rt.questions.list(dataset.id)}
question_id = ""
if questions:
    with st.sidebar:
        question_id = state.choose("q", "Question", questions)
    state.put(q=question_id)
st.title(views.plain(questions.get(question_id, "Ways of looking, side by side")), anchor=False)
st.subheader("Two ways, side by side", anchor=False)
side_by_side(view, question_id)

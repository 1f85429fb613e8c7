"""Everything a question can be taken away as, as links; and the way back in."""

import streamlit as st

from explorer.collection.dataset import Dataset
from explorer.errors import ExplorerError
from explorer.learning.portable import import_question
from explorer.web import state
from explorer.web.runtime import Runtime

MAX_MB = 50


def tables(dataset_id: str, question_id: str, space_key: str) -> None:
    """Links to the answers in every form, and the question itself."""
    query = state.link_query(question=question_id, space=space_key)
    with st.container(horizontal=True):
        st.link_button("Table (CSV)", f"/x/{dataset_id}/answers.csv?{query}", icon=":material/download:")
        st.link_button("Parquet", f"/x/{dataset_id}/answers.parquet?{query}", icon=":material/download:")
        st.link_button("JSON Lines", f"/x/{dataset_id}/answers.jsonl?{query}", icon=":material/download:")
        st.link_button(
            "A folder for each answer (zip)", f"/x/{dataset_id}/classes.zip?{query}", icon=":material/folder_zip:"
        )
        st.link_button(
            "The question as one file", f"/x/{dataset_id}/question.json?{query}", icon=":material/file_save:",
            help="Its answers and what was learnt from them. Another installation reads it and goes on from there.",
        )  # fmt: skip


def reports(dataset_id: str, question_id: str, space_key: str, **more: str) -> None:
    """Links to the one-page report; `more`: the class and the target of its finish line."""
    query = state.link_query(question=question_id, space=space_key, **more)
    with st.container(horizontal=True):
        st.link_button("Report (HTML)", f"/x/{dataset_id}/report.html?{query}", icon=":material/description:")
        st.link_button("Report (PDF)", f"/x/{dataset_id}/report.pdf?{query}", icon=":material/picture_as_pdf:")


def bring_in(rt: Runtime, dataset: Dataset) -> None:
    """A question's file becomes a question of this collection, with its answers."""
    with st.form("bring-in", clear_on_submit=True):
        file = st.file_uploader(
            "A question from another installation", type="json", max_upload_size=MAX_MB,
            help="The file that “The question as one file” gives.",
        )  # fmt: skip
        sent = st.form_submit_button("Bring it in", icon=":material/upload_file:")
    if sent and file is None:
        st.info("Choose the file first: it ends in .json.")
    elif file is not None and sent:
        try:
            state.require("edit", dataset.id)
            imported = import_question(rt.catalog, dataset, file.getvalue())
        except ExplorerError as error:
            state.shown(error)
        else:
            st.session_state["brought-in"] = (imported.question.id, imported.question.name, imported.sentence)
    if "brought-in" in st.session_state:
        question_id, name, sentence = st.session_state["brought-in"]
        with st.container(border=True):
            st.text(f"“{name}” is here. {sentence}")
            if st.button("Show it", icon=":material/arrow_forward:", key="show-brought-in"):
                del st.session_state["brought-in"]
                state.put(q=question_id, attr=None, t=None, target=None, **{"class": None})
                st.rerun()

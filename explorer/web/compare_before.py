"""Before anything is answered: which ways of looking see the collection most differently, and what each groups by."""

from functools import partial

import streamlit as st

from explorer.space import differences
from explorer.space.differences import Differences, Grouping
from explorer.web import state, views
from explorer.web.compare_asked import worked_out
from explorer.web.compare_charts import CONFIG, matrix_chart
from explorer.web.looks_shelf import ways
from explorer.web.results_charts import rounded, table
from explorer.web.state import View


def how_they_differ(view: View) -> None:
    """The matrix with its sentence, then a sentence for each way of looking."""
    keys = sorted(way.key for way in ways(view.rt, view.dataset.id).values() if way.whole)
    if len(keys) < 2:
        st.write("This collection has been looked at in one way only. With a second one, the two can be compared.")
        if st.button("Ways of looking", icon=":material/visibility:", type="primary"):
            state.go("looks")
        return
    found: tuple[Differences, list[Grouping]] | None = worked_out(
        ("differences", view.dataset.id, view.dataset.generation, *keys), partial(_worked_out, view, keys),
        "Comparing what lies near what in each of them…",
    )  # fmt: skip
    if found is None:
        return
    differ, groupings = found
    st.markdown(f"**{views.plain(differ.sentence)}**")
    if len(differ.keys) > 2:
        st.plotly_chart(
            matrix_chart(differ.titles, differ.matrix), config=CONFIG, key="differ",
            alt="How differently each two ways of looking see the collection",
        )  # fmt: skip
        st.caption("Of the ten pictures nearest to one: in how many per cent two ways of looking differ.")
    st.subheader("What each groups by", anchor=False)
    for grouping in groupings:
        st.markdown(views.plain(grouping.sentence))
    rows = [
        [grouping.title, by.column or "words in captions", rounded(by.share), rounded(by.chance),
         ", ".join(value for value, _ in by.values[:3]) or "–"]
        for grouping in groupings
        for by in grouping.by[:3]
    ]  # fmt: skip
    if rows:
        with st.expander("In figures", icon=":material/table:"):
            head = ("Way of looking", "Column", "Nearest that share it", "By chance", "Kept together best")
            st.html(table(head, rows))


def _worked_out(view: View, keys: list[str]) -> tuple[Differences, list[Grouping]]:
    sample, seen = differences.views(view.dataset, keys)
    return differences.differences(seen), [differences.grouped_by(each, sample) for each in seen]

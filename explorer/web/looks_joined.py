"""Two or more ways of looking put together by hand: how much each counts, and what is done to the numbers first."""

import streamlit as st

from explorer.web import looks_work, state
from explorer.web.looks_cards import Shown
from explorer.web.looks_shelf import title

STEPS = {
    "power": "Damp large numbers, so that a few strong traits do not drown the many weak ones.",
    "pca:64": "Keep the 64 main directions in which the collection varies; what is left is mostly noise.",
    "whiten": "Let all main directions count alike, also those in which pictures differ little.",
}
"""Beyond centring and unit length, which every space goes through: the step, and what it does in one sentence."""
NEEDS = {"whiten": "pca:64"}


def joined(shown: Shown) -> None:
    """Choose some that have seen every picture, weigh them, and have a space of them made."""
    whole = {name: title(name) for name, way in shown.ways.items() if way.whole}
    if not whole:
        st.caption("Once all pictures have been looked at in two ways, the two can be put together here.")
        return
    chosen = st.multiselect(
        "Ways of looking", list(whole), format_func=lambda name: whole[name], key="joined-names",
        placeholder="Choose two or more that have seen all pictures",
    )  # fmt: skip
    given = {}
    for column, name in zip(st.columns(max(len(chosen), 1)), chosen, strict=False):
        given[name] = column.slider(
            f"How much “{whole[name]}” counts", 1, 10, 5, key=f"joined-{name}", disabled=len(chosen) < 2
        )
    total = sum(given.values()) or 1
    if len(chosen) > 1:
        st.caption(" · ".join(f"{whole[name]}: {100 * weight / total:.0f} %" for name, weight in given.items()))
    with st.expander("Advanced: what is done to the numbers first"):
        ticked = {step for step, words in STEPS.items() if st.checkbox(words, key=f"joined-step-{step}")}
        ticked |= {NEEDS[step] for step in ticked if step in NEEDS}
        steps = ["centre", *(step for step in STEPS if step in ticked), "l2"]
        st.caption("The mean of the collection is always taken off, and every picture counts alike.")
    plain = steps == ["centre", "l2"]
    label = "Put together" if len(chosen) > 1 else "Lay out anew"
    off = shown.busy or not chosen or (plain and len(chosen) < 2)
    if st.button(label, key="joined-start", icon=":material/join:", type="primary", disabled=off):
        state.require("own", shown.dataset_id)
        weights = {name: weight / total for name, weight in given.items()}
        looks_work.put_together(shown.rt, shown.dataset_id, weights, steps)
        st.rerun()

"""Choosing what a new collection is compared by: ways of looking by their aspect, with what they cost."""

import streamlit as st

from explorer.collection.costs import costs
from explorer.extractors import packages
from explorer.extractors.base import ASPECTS
from explorer.extractors.registry import families
from explorer.workspace import Workspace

FIRST = ("lite0", "colour")
A_THOUSAND = 1_000


def pick(workspace: Workspace) -> list[str]:
    """The ways of looking that were ticked, of those that can be used at once; the rest is on the page of its own."""
    ready = {
        name: family.card
        for name, family in families().items()
        if not (family.written or family.card.needs_download or packages.lacking(name))
    }
    grouped = {aspect: [name for name, card in ready.items() if card.aspect == aspect] for aspect in ASPECTS}
    chosen: list[str] = []
    st.markdown("**Compare pictures by**")
    with st.container(border=True):
        columns = st.columns(3, gap="medium")
        for place, (aspect, names) in enumerate((aspect, names) for aspect, names in grouped.items() if names):
            with columns[place % 3]:
                if [ready[name].title for name in names] != [ASPECTS[aspect]]:
                    st.caption(ASPECTS[aspect])
                for name in names:
                    card = ready[name]
                    about = f"{card.sees.rstrip('.')}. Ignores: {card.ignores}"
                    if st.checkbox(card.title, value=name in FIRST, key=f"pick-{name}", help=about):
                        chosen.append(name)
        used = chosen or [FIRST[0]]
        words = costs({name: ready[name].dim for name in used}, A_THOUSAND, workspace).words
        st.caption(
            f"Every {A_THOUSAND:,} pictures take {words} on this computer. More can be added at any time, and tried on "
            "a few pictures first, on the page “Ways of looking”."
        )
    return used

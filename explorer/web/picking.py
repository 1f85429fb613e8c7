"""Choosing what a new collection is compared by: ways of looking by their aspect, with what they cost."""

from collections.abc import Sequence

import streamlit as st

from explorer.collection.costs import costs
from explorer.extractors import packages
from explorer.extractors.base import ASPECTS
from explorer.extractors.registry import families
from explorer.workspace import Workspace

FIRST = ("lite0", "colour")
A_THOUSAND = 1_000
COLUMNS = {
    "What it shows": ("content",),
    "How it looks": ("style", "colour", "layout", "patches"),
    "Text, copies and the rest": tuple(ASPECTS),
}
"""Headings and the aspects below them; what stands below one does not stand below a later one."""


def pick(workspace: Workspace) -> list[str]:
    """The ways of looking that were ticked, of those that can be used at once; the rest is on the page of its own."""
    ready = {
        name: family.card
        for name, family in families().items()
        if not (family.written or family.card.needs_download or packages.lacking(name))
    }
    left, chosen = dict(ready), []
    st.markdown("**Compare pictures by**")
    with st.container(border=True):
        for column, (heading, aspects) in zip(st.columns(len(COLUMNS), gap="medium"), COLUMNS.items(), strict=True):
            column.caption(heading)
            for name in [name for aspect in aspects for name, card in left.items() if card.aspect == aspect]:
                card = left.pop(name)
                about = f"{card.sees.rstrip('.')}. Ignores: {card.ignores.rstrip('.')}. {_cost(workspace, [name])}"
                if column.checkbox(card.title, value=name in FIRST, key=f"pick-{name}", help=about):
                    chosen.append(name)
        used = chosen or [FIRST[0]]
        st.caption(
            f"{_cost(workspace, used)} on this computer. More can be added at any time, and tried on a few pictures "
            "first, on the page “Ways of looking”."
        )
    return used


def _cost(workspace: Workspace, names: Sequence[str]) -> str:
    dims = {name: families()[name].card.dim for name in names}
    return f"Every {A_THOUSAND:,} pictures take {costs(dims, A_THOUSAND, workspace).words}"

"""Pictures that two ways of looking take for different things."""

from functools import partial

import numpy as np
import streamlit as st

from explorer.learning.comparison import Disagreement, disagreements
from explorer.learning.looks import Look, look_of_recipe
from explorer.web import selections, state, views
from explorer.web.compare_asked import Question, Side, worked_out
from explorer.web.components.gallery import gallery
from explorer.web.results import Asked

SHOWN = 15
SENT = 60
LOOKED_AT = 4_000
"""Unanswered pictures that are asked about, at most; of more, a sample by lot."""


def where_they_differ(a: Side, b: Side, asked: Asked) -> None:
    """The unanswered pictures of which A is sure and B as sure of something else."""
    question = Question.of(asked)
    found: tuple[list[str], list[Disagreement]] | None = worked_out(
        question.key("differ", a.key, b.key), partial(_differing, question, a, b),
        "Looking for pictures that the two take for different things…",
    )  # fmt: skip
    if found is None:
        return
    pool, differing = found
    if not differing:
        st.write("After these answers the two say the same of every picture that was looked at.")
        return
    share = len(differing) / len(pool)
    drawn = " drawn by lot" if len(pool) == LOOKED_AT else ""
    st.write(
        f"Of {len(pool):,} unanswered pictures{drawn}, A and B name {len(differing):,} ({100 * share:.0f} %) "
        "differently; the surest first (on the picture: how sure the less sure of the two is). Answering some of these "
        "tells the two apart sooner than any others."
    )
    names = question.names
    items = selections.items_of(question.dataset, [pool[one.row] for one in differing[:SHOWN]])
    said = {pool[one.row]: one for one in differing[:SHOWN]}
    cards = views.cards(items)
    for card in cards:
        one = said[str(card["uid"])]
        card["note"] = f"A {names[one.class_a]} · B {names[one.class_b]}"
        card["badge"] = f"{100 * min(one.share_a, one.share_b):.0f} %"
    gallery(
        cards, dataset=asked.dataset.id, space=asked.space.key, key=f"differ-{asked.key}-{a.key}-{b.key}", size=150,
        controls=False, on_similar=state.similar,
    )  # fmt: skip
    if state.can("label", asked.dataset.id, asked.question.id) and st.button(
        "Answer these", icon=":material/label:", key="answer-differing"
    ):  # fmt: skip
        uids = [pool[one.row] for one in differing[:SENT]]
        words = f"“{a.title}” and “{b.title}” differ on these"
        kept = selections.save(asked.rt.catalog, asked.dataset.id, uids, words)
        state.go("label", q=asked.question.id, set=f"differ:{kept}", next=None)


def _differing(question: Question, a: Side, b: Side) -> tuple[list[str], list[Disagreement]]:
    scores = question.asked.judgement.scores
    space = scores.space
    there = set(question.dataset.present()["uid"])
    open_rows = [row for row in np.flatnonzero(~scores.answered) if space.uids[row] in there]
    if len(open_rows) > LOOKED_AT:
        open_rows = sorted(np.random.default_rng(0).choice(open_rows, LOOKED_AT, replace=False).tolist())
    pool = [space.uids[row] for row in open_rows]
    m = len(question.uids)
    looks, pools = [], []
    for side in (a, b):
        look = look_of_recipe(question.dataset, side.recipe, [*question.uids, *pool])
        looks.append(Look(side.key, side.title, look.vectors[:m]))
        pools.append(look.vectors[m:])
    return pool, disagreements(looks[0], looks[1], question.y, question.groups, pools[0], pools[1])

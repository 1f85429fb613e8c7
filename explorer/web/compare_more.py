"""The lower half of the Compare page: one straight cut, other kinds of classifiers, layer by layer, larger networks."""

from functools import partial

import numpy as np
import streamlit as st

from explorer.errors import BadInput
from explorer.extractors.registry import families
from explorer.learning.comparison import LookScore, compare_looks
from explorer.learning.looks import IMAGENET, look_of_recipe, looks_of
from explorer.learning.methods import Compared, compare, methods_sentence
from explorer.learning.separability import Separability, separability
from explorer.web import comparing, looks_work, state, views, watching
from explorer.web.compare_asked import Question, worked_out
from explorer.web.compare_charts import CONFIG, layers_chart
from explorer.web.compare_scores import comparison
from explorer.web.compare_try import begin_trial, lasts
from explorer.web.looks_shelf import title
from explorer.web.results import Asked
from explorer.web.results_charts import rounded, table

MOST_PAIRS = 8


def one_cut(asked: Asked) -> None:
    """Whether flat cuts separate the classes in the way of looking in use, and what that is worth."""
    question = Question.of(asked)
    found: Separability | None = worked_out(
        question.key("separability", asked.space.key, asked.space.generation), partial(_separability, question),
        "Trying straight cuts…",
    )  # fmt: skip
    if found is None:
        return
    st.write(views.plain(f"In “{asked.space.title}”: {found.sentence}"))
    names = question.names
    rows = [
        [
            f"{names[pair.a]} and {names[pair.b]}", "yes" if pair.separable else "no", rounded(pair.shuffled_separable),
            rounded(pair.left_out),
        ]
        for pair in found.pairs[:MOST_PAIRS]
    ]  # fmt: skip
    st.html(table(("Between", "One cut separates them", "Shuffled answers, too", "Right when not seen"), rows))
    if len(found.pairs) > MOST_PAIRS:
        st.caption(f"The {MOST_PAIRS} that are hardest to tell apart, of {len(found.pairs)}.")


def _separability(question: Question) -> Separability:
    look = look_of_recipe(question.dataset, question.asked.space.recipe, question.uids)
    return separability(look, question.y, question.names, question.groups)


def other_kinds(asked: Asked) -> None:
    """A forest, a layer, boosting on the same numbers; on a press."""
    question = Question.of(asked)
    key = question.key("kinds", asked.space.key, asked.space.generation)
    if comparing.begun(key) is None:
        st.write(
            "It learns by straight cuts. A random forest, a network with one hidden layer or gradient boosting can "
            "draw any border: are they better on your answers?"
        )
        if not st.button("Try them", icon=":material/forest:", key="kinds"):
            return
    try:
        compared: list[Compared] | None = worked_out(
            key, partial(_kinds, question), "Fitting them five times each; you can go on meanwhile…"
        )
    except BadInput as error:
        st.info(views.plain(str(error)))
        return
    if compared is None:
        return
    st.write(views.plain(methods_sentence(compared)))
    rows = [
        [
            one.title, f"{rounded(one.balanced_accuracy)} ({100 * one.low:.0f}–{100 * one.high:.0f})",
            "–" if one.method == "ridge"
            else f"{100 * one.lead:+.0f} points ({100 * one.lead_low:+.0f} to {100 * one.lead_high:+.0f})",
        ]
        for one in compared
    ]  # fmt: skip
    st.html(table(("Kind", "Right, each answer counted alike", "Against ridge regression"), rows))
    st.caption("The first four are straight cuts, which can be used; the others are for comparison only.")


def _kinds(question: Question) -> list[Compared]:
    space, places = question.asked.space, question.asked.judgement.part.rows[question.asked.judgement.witnesses]
    return compare(np.asarray(space.vectors[places], np.float32), question.y, question.groups, also=True)


def by_layer(asked: Asked) -> None:
    """Score by layer for every network whose layers have seen the answers; a button for those that have not."""
    question = Question.of(asked)
    layered = {name: family for name, family in families().items() if family.layers}
    key_of = {way.name: way.key for way in question.ways.values()}
    drawn, waiting = {}, []
    for name, family in layered.items():
        names = [(f"{name}@{layer}", _place(words)) for layer, words in family.layers] + [(name, "the end")]
        there = [(key_of[each], words) for each, words in names if each in key_of]
        if len(there) > 2:
            drawn[name] = there
        elif name in key_of:
            waiting.append(name)
    keys = sorted({key for there in drawn.values() for key, _ in there})
    scores = worked_out(question.key("layers", *keys), partial(_scores, question, keys), "Going through the layers…")
    if drawn and scores is not None:
        points = {
            title(name): [
                (words, one.balanced_accuracy, one.low, one.high) for key, words in there if (one := scores[key])
            ]
            for name, there in drawn.items()
        }
        st.plotly_chart(
            layers_chart(points, question.guessing), config=CONFIG, key=f"layers-{asked.key}",
            alt="How much each layer has right, from early to late",
        )  # fmt: skip
        st.caption("Early layers see texture and edges, middle ones patterns and parts, late ones objects.")
        _take_layer(question, scores)
    busy = watching.busy(asked.rt.jobs.list(asked.dataset.id))
    for name in waiting if state.can_build(asked.dataset.id) else []:
        layers = [f"{name}@{layer}" for layer, _ in layered[name].layers]
        label = f"Try the {len(layers)} layers of “{title(name)}” on your answered pictures ({lasts(question, layers)})"
        if st.button(views.plain(label), key=f"layers-{name}", icon=":material/layers:", disabled=busy):
            begin_trial(question, layers)
            st.rerun()
    if not drawn and not waiting:
        st.caption("None of the ways of looking here is a network whose layers can be told apart.")


def _scores(question: Question, keys: list[str]) -> dict[str, LookScore]:
    if not keys:
        return {}
    looks = looks_of(question.dataset, question.uids, keys)
    return {one.key: one for one in compare_looks(looks, question.y, question.groups, question.names).scores}


def _take_layer(question: Question, scores: dict[str, LookScore]) -> None:
    """The layer that does best, and a button that looks at all pictures with it, so that it stands with the others."""
    best = question.ways[next(iter(scores))]
    st.write(views.plain(f"The best of these: {title(best.name)}."))
    if best.whole or not state.can_build(question.dataset.id):
        return
    busy = watching.busy(question.rt.jobs.list(question.dataset.id))
    if st.button("Look at all pictures with it", icon=":material/visibility:", key="take-layer", disabled=busy):
        state.require("own", question.dataset.id)
        looks_work.look_at_all(question.rt, question.dataset.id, [best.name])
        st.rerun()


def _place(words: str) -> str:
    """ "early: texture and edges, layer 1 of 7" reads "early, 1"."""
    name, _, rest = words.partition(":")
    number = rest.rpartition("layer ")[2].partition(" ")[0]
    return f"{name}, {number}" if number else words


def larger_networks(asked: Asked) -> None:
    """Better on ImageNet, better here?"""
    question = Question.of(asked)
    found = comparison(question, quiet=True)
    if found is None:
        return
    of_name = {question.ways[score.key].name: score for score in found.scores if score.key in question.ways}
    shown = [name for name in IMAGENET if name in of_name]
    if len(shown) < 2:
        others = [name for name in IMAGENET if name not in of_name]
        time = lasts(question, others)
        st.write(
            "A larger network names more photographs of ImageNet right. Whether it tells your pictures apart better is "
            "another matter."
        )
        busy = watching.busy(asked.rt.jobs.list(asked.dataset.id))
        if state.can_build(asked.dataset.id) and st.button(
            f"Try the larger networks ({time})", key="larger", icon=":material/zoom_out_map:", disabled=busy
        ):  # fmt: skip
            begin_trial(question, others)
            st.rerun()
        return
    rows = [
        [title(name), f"{100 * IMAGENET[name]:.1f} %",
         f"{rounded(of_name[name].balanced_accuracy)} ({100 * of_name[name].low:.0f}–{100 * of_name[name].high:.0f})"]
        for name in shown
    ]  # fmt: skip
    st.html(table(("Network", "Right on ImageNet (published)", "Right here"), rows))

"""The upper half of the Compare page: what to use, all ways of looking side by side, their growth, several together."""

from collections.abc import Hashable
from functools import partial

import streamlit as st

from explorer.learning.comparison import Comparison, LookScore, compare_looks, learning_curves
from explorer.learning.joining import Joined
from explorer.learning.looks import look_of_recipe, looks_of, raw_pixels
from explorer.space import SpaceRecipe
from explorer.web import comparing, looks_work, state, views, watching
from explorer.web.compare_asked import Question, sees, worked_out
from explorer.web.compare_charts import BASE, BEST, CONFIG, LEVEL, WORSE, Bar, bars_chart, curves_chart
from explorer.web.looks_shelf import title
from explorer.web.results import Asked
from explorer.web.results_charts import table

MOST_CURVES = 4
MOST_TOGETHER = 5
_VERDICTS = {"level": "too close to call", "worse": "clearly behind", "best": ""}


def comparison(question: Question, quiet: bool = False) -> Comparison | None:
    """All ways of looking on these answers; None, with a word on the page unless `quiet`, while they are compared."""
    both = _with_baseline(question, quiet)
    return both[0] if both is not None else None


def _with_baseline(question: Question, quiet: bool = False) -> tuple[Comparison, LookScore | None] | None:
    work = partial(_compared, question, question.candidates, _in_use(question))
    found: tuple[Comparison, LookScore | None] | None = worked_out(
        _key(question), work, "" if quiet else "Comparing the ways of looking on your answers…"
    )
    return found


def _key(question: Question) -> Hashable:
    return question.key("looks", _in_use(question), *question.candidates)


def _in_use(question: Question) -> str:
    """Key of the feature that the person uses now; "" where it is several together."""
    features = question.asked.space.recipe.features
    return features[0][0] if len(features) == 1 else ""


def best_keys(question: Question) -> list[str] | None:
    """Keys of the features, the best first; None while they are compared, without a word on the page."""
    future = comparing.begun(_key(question))
    if future is None or not future.done():
        return None
    return [] if future.exception() is not None else [score.key for score in future.result()[0].scores]


def _compared(question: Question, keys: list[str], now: str) -> tuple[Comparison, LookScore | None]:
    looks = looks_of(question.dataset, question.uids, keys)
    found = compare_looks(looks, question.y, question.groups, question.names, default=now)
    if any(way.name == "pixels" for way in question.ways.values()):
        return found, None
    # the baseline stands beside: nobody is to be told to use it, and it is not joined to anything
    best = [look for look in looks if look.key == found.scores[0].key]
    pair = [*best, raw_pixels(question.dataset, question.uids)]
    scored = compare_looks(pair, question.y, question.groups, question.names).scores
    return found, next(score for score in scored if score.key == pair[-1].key)


def recommendation(asked: Asked) -> None:
    """In one sentence, with a button that does it."""
    question = Question.of(asked)
    found = comparison(question)
    if found is None:
        return
    st.header(views.plain(found.sentence), anchor=False)
    way = question.ways.get(found.recommended)
    with st.container(horizontal=True, vertical_alignment="center"):
        if way is not None and way.space and way.space != asked.space.key:
            if st.button("Use this one", type="primary", icon=":material/check:", key="use-this"):
                state.put(s=way.space)
                st.rerun()
        elif way is not None and not way.space and state.can_build(asked.dataset.id):
            busy = watching.busy(asked.rt.jobs.list(asked.dataset.id))
            if st.button("Use this one", type="primary", icon=":material/check:", key="use-this", disabled=busy):
                state.require("own", asked.dataset.id)
                looks_work.look_at_all(asked.rt, asked.dataset.id, [way.name])
                st.rerun()
            st.caption("It has seen only some of the pictures, or has no map yet: pressing looks at all of them first.")
        elif way is not None and way.space:
            st.markdown(f":material/check: “{views.plain(title(way.name))}” is what you use now.")
        if not found.decided and state.can("label", asked.dataset.id, asked.question.id):
            more = f"Answer {found.more_labels} more" if found.more_labels else "Answer some more"
            if st.button(more, icon=":material/label:", key="settle", type="primary" if way is None else "secondary"):
                state.go("label", q=asked.question.id, next=None, set=None)


def side_by_side(asked: Asked) -> None:
    """The score of each with its interval, the best first."""
    question = Question.of(asked)
    both = _with_baseline(question, quiet=True)
    if both is None:
        return
    found, base = both
    bars = [_bar(question, score) for score in (*found.scores, *([base] if base is not None else []))]
    st.plotly_chart(
        bars_chart(bars, question.guessing), config=CONFIG, key=f"looks-{asked.key}",
        alt="How much each way of looking has right, with its interval",
    )  # fmt: skip
    st.caption(
        f"Judged on {len(question.uids)} pictures that you answered one by one, each by what had not seen its answer. "
        "The line at the end of a bar spans what so few answers allow, in 95 of 100 cases. Which is ahead is judged in "
        "pairs on the same pictures, by how sure each was of what turned out right: that tells more than whether two "
        "lines overlap, and sets the order."
    )
    with st.expander("What each of them sees", icon=":material/visibility:"):
        rows = [
            [title(way.name), f"{100 * score.balanced_accuracy:.0f} %", _ahead(score), sees(way.name)]
            for score in found.scores
            if (way := question.ways.get(score.key)) is not None
        ]
        st.html(table(("Way of looking", "Right", "Against the best", "What it sees"), rows))


def _bar(question: Question, score: LookScore) -> Bar:
    base = score.key not in question.ways or question.ways[score.key].name == "pixels"
    colour = BASE if base else {"best": BEST, "level": LEVEL}.get(score.verdict, WORSE)
    name = question.ways[score.key].name if score.key in question.ways else ""
    return Bar(
        title(name) if name else score.title, score.balanced_accuracy, score.low, score.high, colour,
        "knows nothing" if base else _VERDICTS.get(score.verdict, ""),
    )  # fmt: skip


def _ahead(score: LookScore) -> str:
    if score.verdict == "best":
        return "–"
    return f"{100 * score.lead:+.0f} points ({100 * score.lead_low:+.0f} to {100 * score.lead_high:+.0f})"


def curves(asked: Asked) -> None:
    """How the best few grew with the answers."""
    question = Question.of(asked)
    found = comparison(question, quiet=True)
    if found is None:
        return
    best = [score for score in found.scores if score.key in question.ways][:MOST_CURVES]
    work = partial(_curves, question, [score.key for score in best])
    drawn = worked_out(question.key("curves", *(score.key for score in best)), work, "Working out how each one grew…")
    if drawn is None:
        return
    if not any(drawn.values()):
        st.caption("Too few answers yet to tell how the ways of looking grow with them.")
        return
    titles = {score.key: title(question.ways[score.key].name) for score in best}
    st.plotly_chart(
        curves_chart(drawn, titles), config=CONFIG, key=f"curves-{asked.key}",
        alt="How much the best ways of looking had right after so many answers",
    )  # fmt: skip
    st.caption("A line that still rises gains from more answers; one that starts low and rises may overtake another.")


def _curves(question: Question, keys: list[str]) -> dict:
    looks = {look.key: look for look in looks_of(question.dataset, question.uids, keys)}
    return learning_curves([looks[key] for key in keys], question.y, question.groups)


def together(asked: Asked) -> None:
    """The best joint space, and weights by hand."""
    question = Question.of(asked)
    found = comparison(question, quiet=True)
    if found is None:
        return
    if found.joined is not None:
        _joined(question, found.joined)
    _by_hand(question, found)


def _joined(question: Question, joined: Joined) -> None:
    st.write(views.plain(joined.words))
    weights = {question.ways[key].name: weight for key, weight in joined.weights if key in question.ways and weight > 0}
    if len(weights) > 1:
        shown = " + ".join(f"{title(name)} {100 * weight:.0f} %" for name, weight in weights.items())
        right = f"{100 * joined.balanced_accuracy:.0f} % right ({100 * joined.low:.0f}–{100 * joined.high:.0f})"
        st.markdown(views.plain(f"{shown}: {right}"))
        _make(question, weights, "joined-make")


def _by_hand(question: Question, found: Comparison) -> None:
    """Sliders; the score follows."""
    names = {score.key: title(question.ways[score.key].name) for score in found.scores if score.key in question.ways}
    if len(names) < 2:
        st.caption("With a second way of looking, the two can be put together here.")
        return
    with st.expander("Weigh them by hand", icon=":material/tune:"):
        given: dict[str, int] = {}
        first = dict(found.joined.weights) if found.joined is not None else {}
        columns = st.columns(min(len(names), MOST_TOGETHER))
        for column, (key, name) in zip(columns, names.items(), strict=False):
            start = round(10 * first.get(key, 0.0))
            given[key] = column.slider(views.plain(name), 0, 10, start, key=f"weigh-{question.asked.key}-{key}")
        chosen = {key: weight / sum(given.values()) for key, weight in given.items() if weight}
        if len(chosen) < 2:
            st.caption("Give at least two of them some weight.")
            return
        recipe = SpaceRecipe(tuple(sorted(chosen.items())))
        scored = worked_out(
            question.key("by hand", recipe.key, found.scores[0].key),
            partial(_weighed, question, recipe, found.scores[0].key), "Judging this mixture…",
        )  # fmt: skip
        if scored is None:
            return
        mine = next(score for score in scored.scores if score.key == recipe.key)
        best = next(score for score in scored.scores if score.key != recipe.key)
        st.markdown(
            f"**{100 * mine.balanced_accuracy:.0f} % right** ({100 * mine.low:.0f}–{100 * mine.high:.0f}); "
            f"{views.plain(names.get(best.key, best.title))} alone: {100 * best.balanced_accuracy:.0f} %."
        )
        _make(question, {question.ways[key].name: weight for key, weight in chosen.items()}, "by-hand-make")


def _weighed(question: Question, recipe: SpaceRecipe, best: str) -> Comparison:
    looks = [look_of_recipe(question.dataset, recipe, question.uids)]
    looks += looks_of(question.dataset, question.uids, [best])
    return compare_looks(looks, question.y, question.groups, question.names)


def _make(question: Question, weights: dict[str, float], key: str) -> None:
    """The button that lays out a space of these."""
    rt, dataset = question.rt, question.dataset
    keys = {way.name: way.key for way in question.ways.values()}
    total = sum(weights.values())
    recipe = SpaceRecipe(tuple((keys[name], weight / total) for name, weight in weights.items()))
    if any(info.key == recipe.key for info in rt.space_keys(dataset.id)):
        if recipe.key == question.asked.space.key:
            st.markdown(":material/check: This mixture is what you use now.")
        elif st.button("Use it", key=key, icon=":material/check:"):
            state.put(s=recipe.key)
            st.rerun()
        return
    if not state.can_build(dataset.id):
        return
    busy = watching.busy(rt.jobs.list(dataset.id))
    if st.button("Make it a way of looking", key=key, icon=":material/join:", disabled=busy):
        state.require("own", dataset.id)
        looks_work.put_together(rt, dataset.id, {name: weight / total for name, weight in weights.items()}, None)
        st.rerun()

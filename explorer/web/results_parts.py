"""The upper half of the Results page: how good, whether more labels help, the list, the finish line."""

from functools import partial

import streamlit as st

from explorer.learning.curve import Curve
from explorer.learning.estimates import FEW_CHECKS
from explorer.learning.finish import Plan, Verdict
from explorer.learning.thresholds import ThresholdCurve
from explorer.web import state, views
from explorer.web.colours import PALETTE
from explorer.web.components.gallery import gallery
from explorer.web.components.threshold import threshold_slider
from explorer.web.listed import around, listed, unseen_shares
from explorer.web.results import TARGETS, Asked, chosen_target, chosen_threshold, once
from explorer.web.results_charts import CONFIG, MOST_BARS, counts_chart, curve_chart, rounded
from explorer.web.taking import reports

_CHECKS_BY_LOT = "A random check is drawn by lot, so it judges all pictures fairly, whatever you picked otherwise."


def verdict(asked: Asked) -> None:
    """In one sentence, and what random checks say of the whole collection."""
    quality = asked.judgement.quality
    st.header(views.plain(quality.words), anchor=False)
    if quality.warning:
        st.warning(views.plain(quality.warning), icon=":material/warning:")
    if asked.judgement.closer.grades is not None:
        st.write(views.plain(asked.judgement.closer.grades.sentence))
    found = once(asked.judgement, "collection", lambda: asked.judgement.collection)
    if found.checks:
        st.markdown(f"**{views.plain(found.words)}** Judged by {_checks(found.checks)}.")
        if found.warning:
            st.caption(views.plain(found.warning))
    else:
        st.write(
            "That is about pictures like the ones you answered. Nothing is known yet of the collection as a whole: "
            "for that it takes pictures that nobody picked."
        )
    if found.checks < FEW_CHECKS:
        left = 20 if not found.checks else max(FEW_CHECKS - found.checks, 5)
        label = f"Do {left} random checks" if not found.checks else f"Do {left} more random checks"
        if _may_label(asked) and st.button(label, icon=":material/casino:", type="primary", help=_CHECKS_BY_LOT):
            _label(asked, "random")
    if found.checks:
        st.markdown("**How many of each there are**")
        if len(asked.judgement.names) > MOST_BARS:
            st.caption(f"The {MOST_BARS} most frequent answers.")
        figure = counts_chart(asked.judgement.names, found.counts)
        st.plotly_chart(figure, config=CONFIG, key=f"counts-{asked.key}", alt="How many pictures of each answer")
        st.caption("The line at the end of a bar spans what the checks allow, in 95 of 100 cases.")


def more_labels(asked: Asked) -> None:
    """The learning curve with its forecast."""
    with st.spinner("Working out how it grew…"):
        curve: Curve = once(asked.judgement, "curve", lambda: asked.judgement.curve)
    st.write(views.plain(curve.sentence(20)))
    if curve.points:
        st.plotly_chart(
            curve_chart(curve), config=CONFIG, key=f"curve-{asked.key}", alt="How much was right after so many answers"
        )
        st.caption(
            "The dark band: what so many answers gave, each class counted alike. The grey one: what the next 20 "
            "would probably bring. It is drawn by a simpler learner and may lie some points beside the figure "
            "above; what counts is whether it still rises."
        )
    if _may_label(asked) and st.button("Label the most useful ones", icon=":material/label:", key="more-useful"):
        _label(asked, "useful")


def the_list(asked: Asked) -> None:
    """The slider along the list, the pictures around it, and the list itself."""
    curve: ThresholdCurve = once(
        asked.judgement, ("threshold", asked.place), lambda: asked.judgement.threshold(asked.place)
    )
    st.caption(
        "Move the slider: a longer list holds more of what there is, a surer one fewer mistakes. "
        "The dark lines span what the answers so far allow."
    )
    question = asked.rt.questions.get(asked.question.id)
    threshold = chosen_threshold(question, asked.class_id)
    place = asked.question.class_ids.index(asked.class_id)
    threshold_slider(
        curve, threshold, asked.name, PALETTE[place % len(PALETTE)],
        key=f"threshold-{asked.key}-{asked.class_id}", on_settle=partial(_settled, asked),
    )  # fmt: skip
    found = listed(asked.judgement, asked.place, threshold)
    query = state.link_query(
        question=asked.question.id, space=asked.space.key, at=f"{threshold:.6f}", **{"class": asked.class_id}
    )
    st.markdown(f"**Save this list** as it stands after your answers: {len(found.rows):,} pictures")
    if found.put_in or found.taken_out:
        st.caption(
            f"Your answers come first: {_many(found.put_in)} answered so though below the line, "
            f"{_many(found.taken_out)} left out though above it."
        )
    with st.container(horizontal=True):
        none = not len(found.rows)
        st.link_button(
            "List (CSV)", f"/x/{asked.dataset.id}/list.csv?{query}", icon=":material/download:", disabled=none
        )
        st.link_button(
            "Files (zip)", f"/x/{asked.dataset.id}/list.zip?{query}", icon=":material/folder_zip:", disabled=none
        )
    st.markdown("**Right at the line**")
    below, above = around(asked.judgement, asked.place, threshold)
    shares = unseen_shares(asked.judgement, asked.place)
    cards = [
        *views.row_cards(asked.dataset, asked.space, above),
        *views.row_cards(asked.dataset, asked.space, below[::-1]),
    ]
    inside = set(above.tolist())
    for card in cards:
        row = asked.space.rows[card["uid"]]
        card["badge"] = "in" if row in inside else "out"
        card["note"] = f"{rounded(shares[row])} sure"
    st.caption("Nobody has answered these. First the last ones that are in, then the first ones that are out.")
    gallery(
        cards, dataset=asked.dataset.id, space=asked.space.key, key=f"around-{asked.key}", size=92, controls=False,
        on_similar=state.similar_in(asked.dataset.id), empty="Every picture has an answer.",
    )  # fmt: skip


def _settled(asked: Asked, threshold: float) -> None:
    state.put(t=f"{round(threshold, 6):g}")
    if state.can("edit", asked.dataset.id, asked.question.id):  # else it is in the link alone
        asked.keep_of_class("thresholds", round(threshold, 6))


def finish_line(asked: Asked) -> None:
    """How far it is until nearly all of a class are found, and whether one may stop."""
    question = asked.rt.questions.get(asked.question.id)
    widget = f"target-{asked.key}-{asked.class_id}"
    st.segmented_control(
        "How complete must it be?", list(TARGETS), format_func=TARGETS.__getitem__, required=True, key=widget,
        default=chosen_target(question, asked.class_id), on_change=_aimed, args=(asked, widget),
    )  # fmt: skip
    target = chosen_target(question, asked.class_id)
    may_label = _may_label(asked)
    plan: Plan
    now: Verdict
    plan, now = once(
        asked.judgement, ("finish", asked.place, target), lambda: asked.judgement.finish(asked.place, int(target) / 100)
    )
    total = plan.total
    if total.value > 0:
        words = f"{plan.found:,} found of about {total.value:,.0f} ({total.low:,.0f}–{total.high:,.0f})"
        st.progress(min(plan.found / total.value, 1.0), text=words)
    if now.stop:
        st.success(views.plain(now.sentence), icon=":material/flag:")
    else:
        st.markdown(f"**{views.plain(plan.sentence)}**")
        st.caption(views.plain(now.sentence))
        if plan.next == "check":
            st.write("The next step is to draw by lot: few or none among those is the proof that few are missed.")
            if may_label and st.button(
                "Do random checks", icon=":material/casino:", type="primary", key="finish-check"
            ):
                _label(asked, "random")
        elif may_label and st.button("Work it off", icon=":material/checklist:", type="primary", key="finish-review"):
            _label(asked, f"finish:{asked.class_id}")
    reports(
        asked.dataset.id, asked.question.id, asked.space.key,
        **{"class": asked.class_id, "target": f"{int(target) / 100:g}"},
    )  # fmt: skip


def _aimed(asked: Asked, widget: str) -> None:
    target = str(st.session_state[widget])
    state.put(target=target)
    if state.can("edit", asked.dataset.id, asked.question.id):
        asked.keep_of_class("targets", int(target) / 100)


def _label(asked: Asked, policy: str) -> None:
    """On to the label page, with the pictures chosen like this."""
    state.go("label", q=asked.question.id, next=policy, set=None)


def _may_label(asked: Asked) -> bool:
    return state.can("label", asked.dataset.id, asked.question.id)


def _checks(count: int) -> str:
    return "1 random check" if count == 1 else f"{count:,} random checks"


def _many(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"

"""The lower half of the Results page: where it goes wrong, second looks, another method."""

import uuid
from collections.abc import Hashable
from functools import partial

import numpy as np
import streamlit as st

from explorer.errors import BadInput
from explorer.learning.answers import AnswerEvent
from explorer.learning.judgement import confused
from explorer.learning.methods import METHODS
from explorer.learning.second_looks import SecondLook, SecondLooks, apart
from explorer.sharing.access import Scope, authorise
from explorer.web import comparing, selections, state, views
from explorer.web.components.confusion import confusion_grid
from explorer.web.components.gallery import gallery
from explorer.web.results import Asked, once
from explorer.web.results_charts import CONFIG, class_table, percent, reliability_chart, rounded, table

MOST_IN_GRID = 20
MOST_PICTURES = 120
MOST_WRONG = 12
AT_ONCE = 6


def where_wrong(asked: Asked) -> None:
    """Which answers are taken for which, with their pictures."""
    judgement = asked.judgement
    matrix = judgement.quality.confusion
    places = np.arange(len(judgement.names))
    st.caption(
        "Each answered picture, judged as if you had not answered it. Press a number to see those pictures; "
        "orange ones are the mistakes."
    )
    if len(places) > MOST_IN_GRID:
        mistakes = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
        places = np.sort(np.argsort(-mistakes, kind="stable")[:MOST_IN_GRID])
        st.caption(f"The {MOST_IN_GRID} answers with the most mistakes, of {len(judgement.names)}.")
    names = [judgement.names[place] for place in places]
    held = f"cell-{asked.key}"
    cell = st.session_state.get(held)
    if cell is not None and not (set(cell) <= set(places.tolist())):
        cell = None
    back = {int(place): at for at, place in enumerate(places)}
    confusion_grid(
        names, matrix[np.ix_(places, places)].tolist(), (back[cell[0]], back[cell[1]]) if cell else None,
        key=f"confusion-{asked.key}", on_cell=partial(_opened, held, places),
    )  # fmt: skip
    if cell:
        _cell(asked, *cell)
    st.html(class_table(judgement.closer.per_class, judgement.closer.macro_f1))
    share = once(judgement, "unlike", lambda: judgement.unlike)
    if share >= 0.005:
        st.write(
            f"About {rounded(share)} of all pictures are unlike anything you answered: what it says there is a guess."
        )


def _opened(held: str, places: np.ndarray, answered: int, guessed: int) -> None:
    pressed = (int(places[answered]), int(places[guessed]))
    st.session_state[held] = None if st.session_state.get(held) == pressed else pressed


def _cell(asked: Asked, answered: int, guessed: int) -> None:
    """The pictures of one cell."""
    names = asked.judgement.names
    uids = list(confused(asked.judgement, answered, guessed).uids)
    which = "and it says so too" if answered == guessed else f"taken for “{names[guessed]}”"
    st.markdown(views.plain(f"{len(uids):,} answered “{names[answered]}”, {which}, the surest first"))
    gallery(
        _cards(asked, uids[:MOST_PICTURES]), dataset=asked.dataset.id, space=asked.space.key,
        key=f"cell-{asked.key}-{answered}-{guessed}", size=110, controls=False,
        on_similar=state.similar_in(asked.dataset.id),
    )  # fmt: skip
    if len(uids) > MOST_PICTURES:
        st.caption(f"{MOST_PICTURES} of {len(uids):,} are shown.")


def how_sure(asked: Asked) -> None:
    """Whether its certainty can be believed, and where it was sure and wrong."""
    found = asked.judgement.closer.reliability
    st.write(views.plain(found.sentence))
    if found.bins:
        last = found.bins[-1]
        st.caption(
            f"The surest of all: when it says {rounded(last.sure)}, it is right in {percent(last.right)}. "
            f"That rests on {last.answers} answers."
        )
        st.plotly_chart(
            reliability_chart(found), config=CONFIG, key=f"reliability-{asked.key}",
            alt="How sure it says it is, against how often it is right",
        )  # fmt: skip
    wrong = asked.judgement.closer.wrong[:MOST_WRONG]
    if not wrong:
        return
    st.markdown("**Taken for something else, the surest first**")
    judgement = asked.judgement
    answers = judgement.witnesses[[one.place for one in wrong]]
    uids = [judgement.space.uids[row] for row in judgement.part.rows[answers]]
    about = dict(zip(uids, zip(wrong, judgement.part.y[answers].tolist(), strict=True), strict=True))
    cards = _cards(asked, uids)
    for card in cards:
        one, answered = about[str(card["uid"])]
        card["badge"] = judgement.names[one.guessed]
        card["note"] = f"{rounded(one.sure)} sure · you: {judgement.names[answered]}"
    st.caption("On the picture: what it takes it for. Below: how sure it was of that, and what you answered.")
    gallery(
        cards, dataset=asked.dataset.id, space=asked.space.key, key=f"wrong-{asked.key}", size=130, controls=False,
        on_similar=state.similar_in(asked.dataset.id),
    )  # fmt: skip


def second_looks(asked: Asked) -> None:
    """Answers that the rest contradicts, one by one, to keep or to change."""
    found: SecondLooks = once(asked.judgement, "second looks", lambda: _looks(asked))
    done = {uid for uid, how in asked.rt.answers.provenance(asked.question.id).items() if how.policy == "review"}
    left = [look for look in found.items if look.uid not in done]
    if not left:
        st.write("No answer is contradicted by the others." if not found.items else "All of them have been looked at.")
    else:
        st.caption("Nothing is changed by itself. Look at each; keeping an answer is as good as changing it.")
    for start in range(0, min(AT_ONCE, len(left)), 2):
        for column, look in zip(st.columns(2), left[start : min(start + 2, AT_ONCE)], strict=False):
            with column:
                _look(asked, look)
    if len(left) > AT_ONCE:
        st.caption(f"{len(left) - AT_ONCE:,} more come up when these are done.")
    if found.reason:
        st.caption(views.plain(found.reason))


def _looks(asked: Asked) -> SecondLooks:
    found = asked.judgement.second_looks
    if asked.attribute:
        return found
    question, rt = asked.question, asked.rt
    people = {asked.person.id: asked.person.name}
    names = {person: people.get(person, "somebody else") for _, person in rt.answers.by_person(question.id)}
    ids, called = question.class_ids, asked.judgement.names
    several = apart(rt.answers.by_person(question.id), ids, called, names.__getitem__, question.kind == "grades")
    decided = rt.answers.decided(question.id)
    differing = [look for look in several.items if look.uid not in decided]
    known = {look.uid for look in several.items}
    items = (*differing, *(look for look in found.items if look.uid not in known))
    once_each = {look.uid: look for look in reversed(items)}
    return SecondLooks(tuple(dict.fromkeys(once_each[look.uid] for look in items)), found.reason)


def _look(asked: Asked, look: SecondLook) -> None:
    names = asked.judgement.names
    with st.container(border=True):
        pictures, words = st.columns([1, 2] if not look.beside else [1, 1], vertical_alignment="center")
        with pictures:
            gallery(
                _cards(asked, [look.uid, *look.beside[:2]]), dataset=asked.dataset.id, space=asked.space.key,
                key=f"look-{asked.key}-{look.uid}", size=96, controls=False,
                on_similar=state.similar_in(asked.dataset.id),
            )  # fmt: skip
        with words:
            st.write(views.plain(look.why))
            with st.container(horizontal=True):
                keep = st.button(f"Keep “{views.plain(names[look.answered])}”", key=f"keep-{asked.key}-{look.uid}")
                change = st.button(
                    f"Change to “{views.plain(names[look.other])}”", key=f"change-{asked.key}-{look.uid}"
                )
    if keep or change:
        _answer(asked, look.uid, look.answered if keep else look.other)
        st.rerun()


def _answer(asked: Asked, uid: str, place: int) -> None:
    """Answer a picture anew, on a second look."""
    authorise(state.me(), "label", Scope(asked.dataset.id, asked.question.id))
    class_id = asked.attribute or asked.question.class_ids[place]
    value = "no" if asked.attribute and place == 0 else "yes"
    event = AnswerEvent(
        client_event_id=f"review:{uuid.uuid4().hex}",
        question_id=asked.question.id,
        uid=uid,
        value=value,  # type: ignore[arg-type]
        class_id=class_id,
        content_hash=str(asked.dataset.item(uid)["content_hash"]),
        person_id=asked.person.id,
        space=asked.space.key,
        blind=False,
        policy="review",
    )
    asked.rt.answers.record([event])


def methods(asked: Asked) -> None:
    """Other ways of learning from the same answers, compared on demand."""
    now = asked.judgement.scores.method
    st.write(views.plain(f"It learns by {METHODS[now].lower()} now. The others are tried on your own answers."))
    if now != "ridge" and st.button("Go back to the usual one", icon=":material/undo:"):
        asked.keep(method=None)
        st.rerun()
    key = comparing.key_of(asked.judgement, asked.question.id, asked.attribute)
    future = comparing.begun(key)
    if future is None:
        if not st.button("Compare the methods", icon=":material/compare_arrows:"):
            return
        future = comparing.begin(key, partial(comparing.methods, asked.judgement))
    if not future.done():
        _waiting(key, [True])
        return
    try:
        compared = future.result()
    except BadInput as error:
        st.info(str(error))
        return
    rows = [
        [
            one.title,
            f"{rounded(one.balanced_accuracy)} ({100 * one.low:.0f}–{100 * one.high:.0f})",
            "–"
            if one.method == "ridge"
            else f"{100 * one.lead:+.0f} points ({100 * one.lead_low:+.0f} to {100 * one.lead_high:+.0f})",
        ]
        for one in compared
    ]
    st.html(table(("Method", "Right, each answer counted alike", "Against ridge regression"), rows))
    st.caption("Each by itself, without what pictures nearby add; so the figures may lie below the one at the top.")
    better = [one for one in compared if comparing.worth_it(one) and one.method != now]
    for one in better:
        if st.button(f"Use {one.title.lower()}", icon=":material/check:", key=f"use-{one.method}"):
            asked.keep(method=one.method)
            st.rerun()
    if not better:
        st.caption("None is ahead by more than chance explains: there is no reason to change.")


@st.fragment(run_every=1.0)
def _waiting(key: Hashable, first: list[bool]) -> None:
    """Until the comparison is there; the rest of the page can be used meanwhile."""
    future = comparing.begun(key)
    if (future is None or future.done()) and not first:  # not within the run that draws the page
        st.rerun()
    first.clear()
    st.caption("Comparing; this takes some seconds. You can go on meanwhile.")


def _cards(asked: Asked, uids: list[str]) -> list[dict[str, object]]:
    return views.cards(selections.items_of(asked.dataset, uids))

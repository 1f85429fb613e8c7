"""Several people at one question, for the Results page: how far each has come, how far they agree, what to decide."""

import datetime
import uuid
from typing import TYPE_CHECKING

import streamlit as st

from explorer.collection.dataset import Dataset
from explorer.errors import ExplorerError
from explorer.learning.agreement import FEWEST, Agreement, Measure, agreement, ratings, ratings_of
from explorer.learning.answers import AnswerEvent
from explorer.learning.claims import MOST_OVERLAP, check_overlap, overlap_of
from explorer.learning.questions import Question
from explorer.learning.standing import RESOLVE, WHOLE, CurrentAnswer
from explorer.learning.together import Progress, names_of, progress, told_apart
from explorer.sharing.access import Person, Scope, authorise, may
from explorer.web import selections, state, views
from explorer.web.components.gallery import gallery
from explorer.web.results_charts import table

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

SHOWN = 6
RELIABLE, TENTATIVE = 0.8, 0.667
"""Krippendorff's own bounds: above the first, answers may be relied on; between the two, with care."""
_OVERLAP = {1: "one person", 2: "two people", 3: "three people"}
_OTHER = {"unsure": "unsure", "skip": "skipped", "unusable": "not usable"}


@st.fragment
def working_together(rt: "Runtime", dataset: Dataset, question: Question, space_key: str, attribute: str = "") -> None:
    """A part of the page that runs by itself; only a setting for others as long as one person has answered alone."""
    person = state.require("look", dataset.id, question.id)  # the page may be older than what the person still holds
    try:
        question = rt.questions.get(question.id)
        found = _progress(rt, person, question)
        editing = may(person, "edit", Scope(dataset.id, question.id))
        if len(found.people) > 1 or overlap_of(question) > 1:
            working = may(person, "label", Scope(dataset.id, question.id))  # who only looks is told no names
            _people(found, overlap_of(question), working)
            _agreement(rt, question, attribute, person, working)
            if working:
                _differing(rt, person, dataset, question, space_key, editing)
        else:
            st.write("One person has answered so far. Send somebody a link, and each of you answers other pictures.")
        if editing:
            _overlap(rt, person, question)
    except ExplorerError as error:
        state.shown(error)


def who_said(rt: "Runtime", person: Person, question: Question, uids: list[str]) -> dict[str, list[str]]:
    """What each person said of these pictures, one text each ("Ada: cat"), by uid."""
    names = {one.id: one.name for one in question.classes}
    wanted = set(uids)
    said: dict[str, list[tuple[str, str]]] = {uid: [] for uid in uids}
    if question.kind == "attributes":
        for (uid, who), verdict in rt.answers.attributes_by_person(question.id).items():
            if uid in wanted:
                true = [names.get(c, "?") for c, answer in verdict.items() if answer.value == "yes"]
                whole = _OTHER.get(verdict[WHOLE].value, "?") if WHOLE in verdict else "none of them"
                said[uid].append((who, ", ".join(true) or whole))
    else:
        for (uid, who), answer in rt.answers.by_person(question.id).items():
            if uid in wanted:
                said[uid].append((who, _words(answer, names)))
    people = {who for each in said.values() for who, _ in each}
    called = told_apart(names_of(rt.catalog, person.id), people)
    return {uid: sorted(f"{called[who]}: {words}" for who, words in each) for uid, each in said.items()}


def take_back(rt: "Runtime", person: Person, question: Question, uid: str) -> None:
    """What was decided of a picture is open again. Raises Refused without the right to decide."""
    authorise(person, "edit", Scope(question.dataset_id, question.id))
    standing = [
        entry.event.client_event_id
        for entry in rt.answers.history(question.id, uid)
        if entry.active and entry.event.policy == RESOLVE and entry.event.undoes is None
    ]
    about = {"question_id": question.id, "uid": uid, "value": "undo", "person_id": person.id, "policy": RESOLVE}
    rt.answers.record(
        [AnswerEvent(client_event_id=f"undo:{uuid.uuid4().hex}", undoes=each, **about) for each in standing]  # type: ignore[arg-type]
    )


def agreement_words(found: Agreement) -> str:
    """One sentence for somebody who knows no statistics."""
    same = f"Two people who answered the same picture said the same {100 * found.same:.0f} times in 100"
    alpha = found.alpha
    if alpha.value is None or alpha.low is None:
        few = found.pictures < FEWEST
        why = f"that takes {FEWEST} pictures at least" if few else "all of them have one and the same answer"
        return f"{same}. Whether that is more than chance cannot be said yet: {why}."
    if alpha.low >= RELIABLE:
        judged = "the answers can be relied on"
    elif alpha.value >= TENTATIVE:
        judged = "good, though not good enough to do without a look at where they differ"
    else:
        judged = "too little: talk about what each answer means, with the pictures below, before you go on"
    return f"{same}. Of what chance leaves open they agree on {_span(alpha)}: {judged}."


def _progress(rt: "Runtime", person: Person, question: Question) -> Progress:
    answers = rt.answers
    return progress(
        answers.by_person(question.id),
        answers.apart(question.id),
        answers.decided(question.id),
        names_of(rt.catalog, person.id),
        overlap_of(question),
    )


def _people(found: Progress, overlap: int, named: bool) -> None:
    said = f"{found.answered:,} pictures have an answer, by {len(found.people)} people"
    if overlap > 1:
        said += f"; {found.enough:,} of them by {_OVERLAP[overlap]} each"
    st.write(f"{said}.")
    if not named:
        return
    rows = [
        [each.name, f"{each.answered:,}", f"{each.unsure:,}", f"{each.skipped:,}", _day(each.last)]
        for each in found.people
    ]
    st.html(table(("Who", "Pictures", "of these unsure", "skipped", "Last answer (UTC)"), rows))


def _agreement(rt: "Runtime", question: Question, attribute: str, person: Person, named: bool) -> None:
    _, seq = rt.answers.current_with_seq(question.id)

    def made() -> Agreement:
        if attribute:
            return agreement(ratings_of(rt.answers.attributes_by_person(question.id), attribute))
        said = rt.answers.by_person(question.id)
        return agreement(ratings(said, question.class_ids), ordered=question.kind == "grades")

    if question.kind == "attributes" and not attribute:
        return
    found: Agreement = rt.bulletin.once(question.id, f"agreement {attribute} {question.class_ids}", seq, made)
    if not found.pictures:
        st.write("No picture has answers of two people yet, so how far you agree is not known.")
        return
    st.write(views.plain(agreement_words(found)))
    if not named:
        return
    names = told_apart(names_of(rt.catalog, person.id), set(found.people))
    with st.expander("The figures"):
        rows = [
            ["Krippendorff's alpha" + (", ordinal" if found.ordered else ""), *_figures(found.alpha), ""],
            ["Fleiss' kappa", *_figures(found.fleiss), ""],
            *(
                [f"{names[p.one]} and {names[p.other]} (Cohen's kappa)", *_figures(p.kappa), f"{100 * p.same:.0f} %"]
                for p in found.pairs
            ),
        ]
        st.html(table(("", "Value", "95 of 100", "Pictures", "Same answer"), rows))
        st.caption("1 is always the same answer, 0 what chance alone would give. Unsure and skipped ones are left out.")


def _differing(
    rt: "Runtime", person: Person, dataset: Dataset, question: Question, space_key: str, editing: bool
) -> None:
    apart = list(rt.answers.apart(question.id))
    decided = rt.answers.decided(question.id)
    if apart:
        tied = sum(bool(each) for each in rt.answers.apart(question.id).values())
        some = "1 picture has" if len(apart) == 1 else f"{len(apart):,} pictures have"
        st.write(
            f"**{some} different answers.** What most people say counts. Where as many say one thing as another, "
            f"nothing is learnt until somebody decides: {tied:,} of these."
        )
        first = apart[:SHOWN]
        said = who_said(rt, person, question, first)
        cards = views.cards(selections.items_of(dataset, first))
        told = [{**card, "caption": " · ".join(said.get(str(card["uid"]), []))} for card in cards]
        gallery(
            told, dataset=dataset.id, space=space_key, key=f"apart-{question.id}", size=220, controls=False,
            on_similar=state.similar_in(dataset.id),
        )  # fmt: skip
        if editing and st.button("Decide them one by one", icon=":material/gavel:", type="primary"):
            state.go("label", q=question.id, set=f"{RESOLVE}:", next=None)
    if decided:
        with st.expander(f"Decided: {len(decided):,}"):
            _decided(rt, person, dataset, question, editing)


def _decided(rt: "Runtime", person: Person, dataset: Dataset, question: Question, editing: bool) -> None:
    decided = rt.answers.decided(question.id)
    newest = sorted(decided, key=lambda uid: -decided[uid].seq)[: 4 * SHOWN]
    names = told_apart(names_of(rt.catalog, person.id), {answer.person_id for answer in decided.values()})
    classes = {one.id: one.name for one in question.classes}
    for uid in newest:
        answer = decided[uid]
        with st.container(horizontal=True, vertical_alignment="center"):
            words = f"{_caption(dataset, uid)}: “{_words(answer, classes)}”, decided by {names[answer.person_id]}"
            st.write(views.plain(words))
            if editing and st.button("Take it back", key=f"open-{question.id}-{uid}"):
                take_back(rt, person, question, uid)
                st.rerun()


def _overlap(rt: "Runtime", person: Person, question: Question) -> None:
    now = overlap_of(question)
    chosen = st.selectbox(
        "Each picture is answered by",
        list(range(1, MOST_OVERLAP + 1)),
        index=now - 1,
        format_func=_OVERLAP.__getitem__,
        key=f"overlap-{question.id}",
        width=280,
        help="With two or three you learn how far people agree. Nobody is handed a picture that has enough answers.",
    )
    if chosen != now:
        authorise(person, "edit", Scope(question.dataset_id, question.id))
        rt.questions.set_settings(question.id, overlap=check_overlap(chosen))
        st.rerun()


def _words(answer: CurrentAnswer, names: dict[str, str]) -> str:
    return names.get(answer.class_id or "", "?") if answer.value == "yes" else _OTHER.get(answer.value, answer.value)


def _caption(dataset: Dataset, uid: str) -> str:
    row = dataset.row_of.get(uid)
    return uid if row is None else str(dataset.items["caption"].iloc[row]) or uid


def _figures(measure: Measure) -> list[str]:
    if measure.value is None:
        return ["–", "–", f"{measure.pictures:,}"]
    return [f"{measure.value:.2f}", f"{measure.low:.2f} to {measure.high:.2f}", f"{measure.pictures:,}"]


def _span(measure: Measure) -> str:
    low, high = (max(0.0, each or 0.0) for each in (measure.low, measure.high))
    return f"{100 * max(0.0, measure.value or 0.0):.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def _day(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M")

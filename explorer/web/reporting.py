"""Gathers the report of a question from the live scores, the answers and the random checks."""

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.learning.estimates import CollectionEstimate, Record, distinct, estimate_collection
from explorer.learning.finish import may_stop, plan
from explorer.learning.questions import Question
from explorer.learning.suggestions import copies_of
from explorer.sharing.answer_sheet import AnswerSheet
from explorer.sharing.report import Judged, ReportData, report_data
from explorer.sharing.untested import unlike_answered

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

MAX_TARGET = 0.999


def report_of(
    rt: "Runtime", dataset: Dataset, sheet: AnswerSheet, space_key: str, class_id: str = "", target: float = 0.95
) -> ReportData:
    """The report as of now. Without a space, or before there is a classifier, nothing is judged and it says so.

    `class_id`: the class whose finish line is told, with the share of it that is to be found. Raises BadInput for a
    class that the question does not have.
    """
    question = sheet.question
    if class_id and class_id not in question.class_ids:
        raise BadInput("The finish line is about a class that this question does not have (any more); reload the page.")
    checks = rt.answers.random_checks(question.id)
    persons = Counter(uid for uid, _ in rt.answers.by_person(question.id))
    given: dict[str, Any] = {
        "random_checks": len(checks),
        "both": sum(count > 1 for count in persons.values()),
    }
    sheet = replace(sheet, items=dataset.items)
    if not space_key:
        return report_data(sheet, dataset.name, time.time(), **given)
    space = rt.space(dataset.id, space_key)
    scores = rt.live.scores(dataset.id, question.id, space_key, rt.answers.latest_seq(question.id))
    judged = _judged(scores, question)
    cards = rt.cluster_cards(dataset.id, space_key, "kmeans")
    titles = {card.id: card.title for card in cards}
    groups = zip(space.uids, space.clusters["kmeans"].tolist(), strict=True)
    given |= {
        "changed": scores.changed,
        "more_parts": {"group of the map": {uid: titles.get(label) for uid, label in groups}},
        "thumb": lambda uid: dataset.pictures.thumb(space.hashes[space.rows[uid]]),
        "versions": [
            ("compared by", f"{space.title} ({space.key}, generation {space.generation})"),
            ("up to answer", f"{scores.seq:,}"),
        ],
    }
    if judged is not None:
        rows = np.array([space.rows[uid] for uid in judged.uids], np.int64)
        given |= {"judged": judged, "unlike": unlike_answered(space.vectors, rows, judged.groups)}
        if question.kind != "attributes":
            given |= {"quality": scores.quality}
            given |= _of_the_collection(sheet, scores, judged, set(checks), class_id, target)
    return report_data(sheet, dataset.name, time.time(), **given)


def _judged(scores: Any, question: Question) -> Judged | None:
    """The answers that were learnt from beside what was said of them unseen."""
    parts = getattr(scores, "parts", ())
    if not scores.ready or not parts:
        return None
    uids = scores.space.uids
    if question.kind != "attributes":
        (part,) = parts
        left_out = scores.classifier.loo_probabilities()
        return Judged([uids[row] for row in part.rows], part.y, left_out, part.groups)
    rows = np.unique(np.concatenate([part.rows for part in parts]))
    y = np.full((len(rows), len(parts)), -1, np.int64)
    p = np.zeros(y.shape, np.float32)
    group_of: dict[int, int] = {}
    for place, (part, one) in enumerate(zip(parts, scores.scored.parts, strict=True)):
        group_of |= dict(zip(part.rows.tolist(), part.groups.tolist(), strict=True))
        if one is not None:  # an attribute that was only ever true, or never, has no classifier
            at = np.searchsorted(rows, part.rows)
            y[at, place] = part.y
            p[at, place] = one.classifier.loo_probabilities()[:, 1]
    return Judged([uids[row] for row in rows], y, p, np.array([group_of[row] for row in rows.tolist()], np.int64))


def _of_the_collection(
    sheet: AnswerSheet, scores: Any, judged: Judged, checks: set[str], class_id: str, target: float
) -> dict[str, Any]:
    """What random checks say of all pictures, and whether the work on one class may stop."""
    space, question = scores.space, sheet.question
    order = sorted(range(len(judged.uids)), key=lambda at: sheet.answers[judged.uids[at]].seq)
    uids = [judged.uids[at] for at in order]
    record = Record(
        rows=np.array([space.rows[uid] for uid in uids], np.int64),
        y=judged.y[order],
        checks=np.array([uid in checks for uid in uids], bool),
    )
    left_out = scores.answered.copy()
    left_out[record.rows] = False
    shares, copies = scores.probabilities, copies_of(space.hashes)
    names = [one.name for one in question.classes]
    found: dict[str, Any] = {}
    if record.checks.any():
        estimate: CollectionEstimate = estimate_collection(
            record, shares, judged.probabilities[order], names, copies, left_out
        )
        equal = "Equal files count once." if estimate.pictures + left_out.sum() < len(space.uids) else ""
        found["in_the_collection"] = " ".join(filter(None, [estimate.words, equal, estimate.warning]))
        found["in_collection"] = dict(zip(question.class_ids, estimate.counts, strict=True))
    if class_id:
        place = question.class_ids.index(class_id)
        unseen = np.array(shares, np.float32)
        unseen[record.rows] = judged.probabilities[order]
        record, stands = distinct(record, len(space.uids), copies, left_out)
        guessed = unseen.argmax(axis=1) == place
        target = min(target, MAX_TARGET)
        verdict = may_stop(record, place, stands, guessed, names[place], target)
        ahead = (
            ""
            if verdict.stop
            else plan(record, place, stands, unseen[:, place], guessed, names[place], target).sentence
        )
        found["finish"] = f"{ahead} {verdict.sentence}".strip()
    return found

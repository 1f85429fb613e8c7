"""Gathers the report of a question from its judgement, the answers and what was chosen on the Results page."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.learning.judgement import Judgement
from explorer.learning.questions import Question
from explorer.learning.scores import Scores
from explorer.sharing.answer_sheet import AnswerSheet
from explorer.sharing.report import Figure, Judged, ReportData, report_data
from explorer.sharing.untested import unlike_answered
from explorer.web.results_charts import percent
from explorer.web.settings import of_classes

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

MAX_TARGET = 0.999


def report_of(
    rt: "Runtime", dataset: Dataset, sheet: AnswerSheet, space_key: str, class_id: str = "", target: float = 0.95
) -> ReportData:
    """The report as of now. Without a space, or before there is a classifier, nothing is judged and it says so.

    `class_id`: the class whose finish line is told, with the share of it that is to be found; without it, those of the
    classes for which a target was chosen. Raises BadInput for a class that the question does not have.
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
    if scores.ready:
        found = _judgements(rt, dataset, question, space_key)
        judged = _judged(scores, question, found)
        rows = np.array([space.rows[uid] for uid in judged.uids], np.int64)
        given |= {"judged": judged, "unlike": unlike_answered(space.vectors, rows, judged.groups)}
        given |= _of_the_collection(question, found, bool(checks))
        targets = {class_id: target} if class_id else of_classes(question, "targets")
        given |= {"finish": _finish(question, found, targets)}
        given |= {"threshold": _thresholds(question, found, of_classes(question, "thresholds"))}
        if question.kind != "attributes":
            given |= {"quality": found[question.class_ids[0]].quality}
        elif found:
            made = report_data(sheet, dataset.name, time.time(), **given)
            return replace(made, **_of_attributes(question, found))
    return report_data(sheet, dataset.name, time.time(), **given)


def _judgements(rt: "Runtime", dataset: Dataset, question: Question, space_key: str) -> dict[str, Judgement]:
    """By class id: of exclusive classes all the same one; of attributes one each, where there is one."""
    if question.kind != "attributes":
        return dict.fromkeys(question.class_ids, rt.live.judgement(dataset.id, question.id, space_key))
    found = {}
    for class_id in question.class_ids:
        try:
            found[class_id] = rt.live.judgement(dataset.id, question.id, space_key, class_id)
        except BadInput:  # only ever true, or never: there is nothing to judge, and the report says so of the class
            continue
    return found


def _judged(scores: Scores, question: Question, found: Mapping[str, Judgement]) -> Judged:
    """The answers that judge, beside what was said of them unseen."""
    uids = scores.space.uids
    if question.kind != "attributes":
        one = found[question.class_ids[0]]
        at = one.witnesses
        return Judged([uids[row] for row in one.part.rows[at]], one.part.y[at], one.left_out[at], one.part.groups[at])
    rows = np.unique(np.concatenate([part.rows for part in scores.parts]))
    y = np.full((len(rows), len(scores.parts)), -1, np.int64)
    p = np.zeros(y.shape, np.float32)
    group_of: dict[int, int] = {}
    for place, (class_id, part) in enumerate(zip(scores.class_ids, scores.parts, strict=True)):
        group_of |= dict(zip(part.rows.tolist(), part.groups.tolist(), strict=True))
        if class_id in found:
            judgement = found[class_id]
            at = np.searchsorted(rows, judgement.part.rows)
            y[at, place] = judgement.part.y
            p[at, place] = judgement.left_out[:, 1]
    return Judged([uids[row] for row in rows], y, p, np.array([group_of[row] for row in rows.tolist()], np.int64))


def _of_attributes(question: Question, found: Mapping[str, Judgement]) -> dict[str, Any]:
    """How good each attribute is, the weakest first: it gives the figure."""
    weakest_first = sorted(found.items(), key=lambda each: each[1].quality.balanced_accuracy)
    told = [f"“{question.class_of(class_id).name}”: {one.quality.sentence}" for class_id, one in weakest_first]
    least = weakest_first[0][1].quality
    figure = Figure(least.accuracy, least.accuracy_low, least.accuracy_high)
    return {"accuracy": figure, "quality": f"The weakest first. {' '.join(told)}"}


def _place(question: Question, class_id: str) -> int:
    return 1 if question.kind == "attributes" else question.class_ids.index(class_id)


def _of_the_collection(question: Question, found: Mapping[str, Judgement], checked: bool) -> dict[str, Any]:
    """What random checks say of all pictures; of attributes only how many there are of each."""
    if not checked or not found:
        return {}
    told: dict[str, Any] = {
        "in_collection": {
            class_id: one.collection.counts[_place(question, class_id)]
            for class_id, one in found.items()
            if one.collection.checks
        }
    }
    if question.kind != "attributes":
        one = found[question.class_ids[0]]
        estimate = one.collection
        counted = estimate.pictures + int(one.without_class.sum())
        equal = "Equal files count once." if counted < len(one.space.uids) else ""
        if estimate.checks:
            told["in_the_collection"] = " ".join(filter(None, [estimate.words, equal, estimate.warning]))
    return told


def _finish(question: Question, found: Mapping[str, Judgement], targets: Mapping[str, float]) -> str:
    """For each class with a target: what is left to do, and whether the work may stop."""
    told = []
    for class_id, target in targets.items():
        if class_id in found and target > 0:
            ahead, now = found[class_id].finish(_place(question, class_id), min(target, MAX_TARGET))
            told.append(now.sentence if now.stop else f"{ahead.sentence} {now.sentence}")
    return " ".join(told)


def _thresholds(question: Question, found: Mapping[str, Judgement], chosen: Mapping[str, float]) -> str:
    """For each class with a threshold: how long its list is, how much is right and how much is found."""
    told = []
    for class_id, threshold in chosen.items():
        one, place = found.get(class_id), _place(question, class_id)
        if one is None or len(np.unique(one.part.y == place)) < 2:
            continue
        above, precision, recall = one.threshold(place).at(threshold)
        told.append(
            f"The list of “{question.class_of(class_id).name}” holds {above:,} pictures (at least "
            f"{100 * threshold:.0f} % sure): about {percent(precision)} of them are right, and it holds about "
            f"{percent(recall)} of all there are."
        )
    return " ".join(told)

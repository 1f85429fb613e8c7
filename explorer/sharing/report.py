"""The report of one question, as data: what was asked, who answered, how good it is, and what nobody has tested.

`report_data` gathers it; `report_html` and `report_pdf` draw the same on one page.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from explorer import __version__
from explorer.errors import BadInput
from explorer.learning.evaluation import Quality, wilson
from explorer.sharing.answer_sheet import AnswerSheet, policy_words
from explorer.sharing.untested import silent_parts, untested

FAILURES = 6
_LEFT_OUT_VARIANCE = 1.4
"""As in `learning.evaluation`: left-out guesses err together, so that they count for fewer."""
POLICIES = {
    "useful": "most useful", "likely": "likely one of a class", "borderline": "borderline", "strange": "strange",
    "random": "drawn by lot", "first": "to begin with", "review": "checked again", "selection": "selected together",
    "cluster": "a whole group", "top": "top of the ranking", "finish": "on the way to the finish line",
    "column": "taken over from a column", "differ": "two ways of looking differed", "": "picked by hand",
}  # fmt: skip
"""How a picture came to be answered, in words."""


class Interval(Protocol):
    """A figure with its 95 % interval, such as `learning.estimates.Estimate`."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


@dataclass(frozen=True)
class Figure:
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, other: Interval) -> "Figure":
        return cls(float(other.value), float(other.low), float(other.high))


@dataclass(frozen=True)
class ClassReport:
    name: str
    note: str = ""
    none: bool = False
    answers: int = 0
    precision: Figure | None = None
    """Of those taken for it, the share that is."""
    recall: Figure | None = None
    """Of those that are, the share taken for it."""
    in_collection: Figure | None = None
    """Pictures, not a share."""


@dataclass(frozen=True)
class Failure:
    """A picture that was taken for something else, and how surely."""

    uid: str
    caption: str
    answered: str
    guessed: str
    sure: float
    thumb: bytes | None = None
    """JPEG"""


@dataclass(frozen=True)
class PersonReport:
    name: str
    answers: int
    first: float
    last: float


@dataclass(frozen=True)
class ReportData:
    """Everything on the page. Times are UTC seconds; empty sentences and None are left out or said to be missing."""

    question: str
    kind: str
    collection: str
    pictures: int
    """That are there."""
    answered: int
    """Pictures with an answer that names a class (or, among attributes, denies all)."""
    classes: tuple[ClassReport, ...]
    made_at: float
    note: str = ""
    other_answers: tuple[tuple[str, int], ...] = ()
    """Such as ("unsure", 3)."""
    people: tuple[PersonReport, ...] = ()
    chosen: tuple[tuple[str, int], ...] = ()
    """How the pictures came to be answered, in words, the most frequent first."""
    random_checks: int = 0
    accuracy: Figure | None = None
    quality: str = ""
    in_the_collection: str = ""
    """What random checks say of the whole."""
    extra: tuple[str, ...] = ()
    threshold: str = ""
    finish: str = ""
    """The verdict of the finish line with its stated risk."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """[answered][guessed]"""
    failures: tuple[Failure, ...] = ()
    untested: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = field(default_factory=lambda: (("Dataset Explorer", __version__),))


@dataclass(frozen=True)
class Judged:
    """The answers beside what a classifier says that has seen neither them nor their near-duplicates."""

    uids: Sequence[str]
    y: np.ndarray
    """(m,) place of the class; for attributes (m, C) 1, 0, or -1 where nothing was said"""
    probabilities: np.ndarray
    """(m, C) in the order of the question's classes"""
    groups: np.ndarray
    """(m,) near-duplicates share a number"""


def report_data(
    sheet: AnswerSheet,
    collection: str,
    made_at: float,
    judged: Judged | None = None,
    quality: Quality | None = None,
    thumb: Callable[[str], bytes | None] = lambda _: None,
    in_collection: Mapping[str, Interval] | None = None,
    in_the_collection: str = "",
    threshold: str = "",
    finish: str = "",
    random_checks: int | None = None,
    both: int = 0,
    unlike: int | None = None,
    changed: int = 0,
    more_parts: Mapping[str, Mapping[str, Any]] | None = None,
    versions: Sequence[tuple[str, str]] = (),
) -> ReportData:
    """Gather a report. `sheet.items` is the whole items table, with the user's columns.

    `thumb`: small JPEG by uid. `in_collection`: class id -> how many pictures there are (`learning.estimates`), and
    `in_the_collection` its sentence; `threshold` and `finish` the sentences of `learning.thresholds` and
    `learning.finish`. `random_checks`: pictures drawn by lot, else counted from the sheet. `both`: pictures answered by
    two people. `unlike`: pictures unlike anything answered. `more_parts`: name -> uid -> part, such as the groups of
    the map. Raises BadInput for arrays that do not fit.
    """
    question = sheet.question
    if judged is not None:
        _check(judged, len(question.classes))
    items = sheet.items[sheet.items["status"] == "ok"].reset_index(drop=True)
    present = set(items["uid"])
    named = {uid for uid in sheet.answers if uid in present and _names_a_class(sheet, uid)}
    counts = Counter(class_id for uid in named for class_id in sheet.true_classes(uid))
    values = Counter(answer.value for uid, answer in sheet.answers.items() if uid in present)
    how = [sheet.how[uid] for uid in sheet.answers if uid in sheet.how]
    lots = sum(each.policy == "random" for each in how) if random_checks is None else random_checks
    confusion, precision, recall = _told_apart(judged, question.kind)
    estimates = in_collection or {}
    classes = tuple(
        ClassReport(
            name=one.name,
            note=one.note,
            none=getattr(one, "none", False),
            answers=counts[one.id],
            precision=precision[place] if precision else None,
            recall=recall[place] if recall else None,
            in_collection=Figure.of(estimates[one.id]) if one.id in estimates else None,
        )
        for place, one in enumerate(question.classes)
    )
    people = _people(sheet)
    more = {name: [parts.get(uid) for uid in items["uid"]] for name, parts in (more_parts or {}).items()}
    said = [quality.words, quality.warning] if quality else []
    return ReportData(
        question=question.name,
        kind=question.kind,
        collection=collection,
        pictures=len(items),
        answered=len(named),
        classes=classes,
        made_at=made_at,
        note=question.note,
        other_answers=tuple((word, values[word]) for word in ("unsure", "skip", "unusable") if values[word]),
        people=people,
        chosen=_chosen(sheet),
        random_checks=lots,
        accuracy=Figure(quality.accuracy, quality.accuracy_low, quality.accuracy_high) if quality else None,
        quality=" ".join(filter(None, said)),
        in_the_collection=in_the_collection,
        extra=_grades_apart(judged) if question.kind == "grades" and judged is not None else (),
        threshold=threshold,
        finish=finish,
        confusion=confusion,
        failures=_failures(judged, sheet, thumb) if judged is not None else (),
        untested=untested(
            answered={one.name: one.answers for one in classes},
            people=len(people),
            both=both,
            random_checks=lots,
            seen_first=sum(not each.blind and not each.policy.startswith("column") for each in how),
            gone=len(sheet.answers.keys() - present),
            changed=changed,
            unlike=unlike,
            pictures=len(items),
            parts=silent_parts(items, items["uid"].isin(named).to_numpy(), more),
        ),
        versions=(("Dataset Explorer", __version__), *versions),
    )


def _check(judged: Judged, classes: int) -> None:
    m = len(judged.uids)
    if judged.probabilities.shape != (m, classes) or len(judged.y) != m or len(judged.groups) != m:
        raise BadInput(f"The shapes do not fit: {m} answers, shares {judged.probabilities.shape}, {classes} classes.")


def _names_a_class(sheet: AnswerSheet, uid: str) -> bool:
    if sheet.question.kind == "attributes":
        return sheet.answers[uid].value in ("yes", "no")
    return bool(sheet.true_classes(uid))


def _told_apart(
    judged: Judged | None, kind: str
) -> tuple[tuple[tuple[int, ...], ...], list[Figure | None], list[Figure | None]]:
    """The confusion table (none for attributes), and each class's precision and recall with 95 % intervals."""
    if judged is None or not len(judged.uids):
        return (), [], []
    C = judged.probabilities.shape[1]
    weight = len(np.unique(judged.groups)) / len(judged.groups) / _LEFT_OUT_VARIANCE
    if kind == "attributes":
        said, guessed, true = judged.y >= 0, judged.probabilities >= 0.5, judged.y == 1
        right = (guessed & true).sum(axis=0)
        taken, there = (guessed & said).sum(axis=0), true.sum(axis=0)
        table: tuple[tuple[int, ...], ...] = ()
    else:
        best = judged.probabilities.argmax(axis=1)
        confusion = np.bincount(judged.y * C + best, minlength=C * C).reshape(C, C)
        right, taken, there = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
        table = tuple(tuple(int(count) for count in row) for row in confusion)
    precision = [_figure(int(a), int(b), weight) for a, b in zip(right, taken, strict=True)]
    recall = [_figure(int(a), int(b), weight) for a, b in zip(right, there, strict=True)]
    return table, precision, recall


def _figure(right: int, total: int, weight: float) -> Figure | None:
    return None if total == 0 else Figure(right / total, *wilson(right * weight, total * weight))


def _grades_apart(judged: Judged) -> tuple[str, ...]:
    if not len(judged.uids):
        return ()
    distance = np.abs(judged.probabilities.argmax(axis=1) - judged.y)
    return (f"{100 * float((distance <= 1).mean()):.0f} % are at most one grade off.",)


def _failures(judged: Judged, sheet: AnswerSheet, thumb: Callable[[str], bytes | None]) -> tuple[Failure, ...]:
    """The confidently wrong ones, the surest first, one of each group of near-duplicates."""
    names = [one.name for one in sheet.question.classes]
    p = judged.probabilities
    found: list[tuple[float, int, str, str]] = []
    if sheet.question.kind == "attributes":
        for at, place in zip(*np.nonzero((judged.y >= 0) & ((p >= 0.5) != (judged.y == 1))), strict=True):
            words = (names[place], f"not {names[place]}")
            true = bool(judged.y[at, place])
            found.append((max(p[at, place], 1 - p[at, place]), int(at), words[not true], words[true]))
    else:
        best = p.argmax(axis=1)
        found = [
            (p[at, best[at]], int(at), names[judged.y[at]], names[best[at]]) for at in np.flatnonzero(best != judged.y)
        ]
    captions = dict(zip(sheet.items["uid"], sheet.items["caption"], strict=True))
    chosen: list[Failure] = []
    seen: set[int] = set()
    for sure, at, answered, guessed in sorted(found, key=lambda one: (-one[0], one[1])):
        if int(judged.groups[at]) in seen or len(chosen) == FAILURES:
            continue
        seen.add(int(judged.groups[at]))
        uid = judged.uids[at]
        chosen.append(Failure(uid, str(captions.get(uid) or uid), answered, guessed, float(sure), thumb(uid)))
    return tuple(chosen)


def _people(sheet: AnswerSheet) -> tuple[PersonReport, ...]:
    times: dict[str, list[float]] = {}
    for answer in sheet.answers.values():
        times.setdefault(answer.person_id, []).append(answer.at)
    return tuple(
        PersonReport(sheet.people.get(person, person) or "somebody", len(at), min(at), max(at))
        for person, at in sorted(times.items(), key=lambda one: (-len(one[1]), one[0]))
    )


def _chosen(sheet: AnswerSheet) -> tuple[tuple[str, int], ...]:
    policies = Counter(sheet.how[uid].policy.partition(":")[0] for uid in sheet.answers if uid in sheet.how)
    return tuple((POLICIES.get(policy, policy_words(policy, {})), count) for policy, count in policies.most_common())

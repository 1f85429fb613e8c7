"""Answers that deserve a second look: contradicted by all others, different on near-duplicates, two people apart.

Nothing here changes an answer. Each finding is a row for the person to look at, with one sentence of why, the surest
first.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from explorer.errors import BadInput
from explorer.learning.standing import CurrentAnswer

FEWEST = 20
"""Answers, near-duplicates counted once, below which the rest of them cannot contradict one."""
FEWEST_IN_A_CLASS = 5
"""A class with fewer is not judged: without the answer in question hardly anything of it is left."""


@dataclass(frozen=True)
class SecondLook:
    """One answer to look at again. `answered` and `other` are places of classes in the question's order."""

    uid: str
    place: int
    """Where it stands in the arrays that were given; -1 where none were."""
    kind: str
    """One of "contradicted", "duplicates" or "apart"."""
    why: str
    answered: int
    other: int
    sure: float
    """0 to 1: how much speaks for `other` against `answered`."""
    beside: tuple[str, ...] = ()
    """uids of the pictures to show with it: its near-duplicates that were answered otherwise."""


@dataclass(frozen=True)
class SecondLooks:
    """What was found, the surest first, and in words why there may be more to find (empty if not)."""

    items: tuple[SecondLook, ...]
    reason: str = ""


def contradicted(
    uids: Sequence[str],
    y: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    groups: np.ndarray | None = None,
) -> SecondLooks:
    """The answers that the rest contradicts, by confident learning.

    `uids` (m,) and `y` (m,) int the answered pictures and their classes in 0..C-1; `probabilities` (m, C) what a
    classifier that had not seen the answer says (`LinearClassifier.loo_probabilities`), rows that sum to one; `groups`
    (m,) int near-duplicates. For one attribute of several give its yes and no as two classes. Raises BadInput for
    shapes that do not fit.

    How many answers of each class are wrong is read off the pairs of answer and confident guess, and as many of the
    least likely ones are named (Northcutt, Jiang & Chuang 2021, "Confident learning", as in cleanlab's
    `prune_by_noise_rate`). On the demo with 8 % of the answers turned: of as many first findings as were turned, 2 of
    3 are turned ones for two folders, 1 of 2 for eleven; 3 of 4 turned ones are found.
    """
    y, p = np.asarray(y, np.int64), np.asarray(probabilities, np.float64)
    C = len(class_names)
    if y.shape != (len(uids),) or p.shape != (len(y), C) or (groups is not None and np.shape(groups) != y.shape):
        raise BadInput(f"The shapes do not fit: {len(uids)} pictures, {y.shape} answers, {p.shape} shares, {C} names.")
    if len(y) and not (0 <= y.min() <= y.max() < C and np.isfinite(p).all()):
        raise BadInput("An answer names a class that the question lacks, or a share is no number.")
    own = np.arange(len(y)) if groups is None else np.asarray(groups)
    independent = np.array([len(np.unique(own[y == place])) for place in range(C)])
    judged = independent >= FEWEST_IN_A_CLASS
    if len(np.unique(own)) < FEWEST or judged.sum() < 2:
        return SecondLooks((), _too_few(len(np.unique(own))))
    issues = _issues(y, p)
    issues = issues[judged[y[issues]]]
    rivals = p.copy()
    rivals[np.arange(len(y)), y] = -1
    other = rivals.argmax(axis=1)
    found = [
        SecondLook(
            uid=uids[at],
            place=int(at),
            kind="contradicted",
            why=f"Answered “{class_names[y[at]]}”; to all other answers it looks more like “{class_names[other[at]]}”.",
            answered=int(y[at]),
            other=int(other[at]),
            sure=float(p[at, other[at]] / max(p[at, other[at]] + p[at, y[at]], 1e-12)),
        )
        for at in issues
    ]
    thin = [class_names[place] for place in range(C) if not judged[place] and independent[place]]
    reason = f"Not judged, for want of answers: {', '.join(f'“{name}”' for name in thin)}." if thin else ""
    return SecondLooks(tuple(found), reason)


def differing_duplicates(
    uids: Sequence[str], y: np.ndarray, groups: np.ndarray, class_names: Sequence[str]
) -> SecondLooks:
    """Pictures that are nearly the same and were answered differently.

    Arrays as in `contradicted`. Where most of a group agree, those who differ are named; where none has more than the
    others, all are. The more of the group speak against an answer, the earlier it comes.
    """
    y, groups = np.asarray(y, np.int64), np.asarray(groups)
    if y.shape != (len(uids),) or groups.shape != y.shape:
        raise BadInput(f"The shapes do not fit: {len(uids)} pictures, {y.shape} answers, {groups.shape} groups.")
    order = np.argsort(groups, kind="stable")
    found = []
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        counts = Counter(y[members].tolist())
        if len(counts) < 2:
            continue
        most = max(counts.values())
        leading = [place for place in sorted(counts) if counts[place] == most]
        for at in members.tolist():
            if leading == [y[at]]:
                continue
            other = next(place for place in leading if place != y[at])
            same = [uids[twin] for twin in members.tolist() if y[twin] == other]
            twins = "picture was" if len(same) == 1 else f"{len(same)} pictures were"
            why = f"Answered “{class_names[y[at]]}”; nearly the same {twins} answered “{class_names[other]}”."
            sure = counts[other] / (counts[other] + counts[int(y[at])])
            found.append(SecondLook(uids[at], at, "duplicates", why, int(y[at]), other, sure, tuple(same)))
    found.sort(key=lambda look: -look.sure)
    return SecondLooks(tuple(found))


def apart(
    by_person: Mapping[tuple[str, str], CurrentAnswer],
    class_ids: Sequence[str],
    class_names: Sequence[str],
    name_of: Callable[[str], str] = str,
    ordered: bool = False,
) -> SecondLooks:
    """Pictures that two people put into different classes.

    `by_person` is `AnswerStore.by_person(question_id)`; `name_of` gives a person's name by id; `ordered`: the classes
    are grades, and the further apart, the earlier it comes. `answered` is the answer that holds (the latest), `other`
    what most of the others say. Unsure, skip and unusable are nobody's contradiction.
    """
    place_of = {class_id: place for place, class_id in enumerate(class_ids)}
    said: dict[str, list[tuple[int, int, str]]] = {}
    for (uid, person_id), answer in by_person.items():
        if answer.value == "yes" and answer.class_id in place_of:
            said.setdefault(uid, []).append((answer.seq, place_of[answer.class_id], person_id))
    found = []
    for uid, answers in said.items():
        if len({place for _, place, _ in answers}) < 2:
            continue
        answers.sort()
        answered = answers[-1][1]
        counts = Counter(place for _, place, _ in answers)
        other = max((place for place in counts if place != answered), key=lambda place: (counts[place], -place))
        who = {place: [name_of(person) for _, at, person in answers if at == place] for place in (answered, other)}
        why = "; ".join(f"{_people(who[place])} said “{class_names[place]}”" for place in (answered, other)) + "."
        sure = counts[other] / (counts[other] + counts[answered])
        if ordered:
            sure *= abs(other - answered) / max(len(class_ids) - 1, 1)
        found.append(SecondLook(uid, -1, "apart", why, answered, other, sure))
    found.sort(key=lambda look: (-look.sure, look.uid))
    people = {person for _, person in by_person}
    return SecondLooks(tuple(found), "" if len(people) > 1 else "Only one person has answered so far.")


def _issues(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Places of the answers that confident learning doubts, the least likely first; unanswered classes left out."""
    from cleanlab.filter import find_label_issues

    there = np.unique(y)
    shares = np.maximum(p[:, there], 1e-12)
    shares /= shares.sum(axis=1, keepdims=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its advice is for those who call it by hand
        issues = find_label_issues(
            np.searchsorted(there, y),
            shares,
            filter_by="prune_by_noise_rate",
            return_indices_ranked_by="self_confidence",
            n_jobs=1,  # else it forks this process, threads and all
        )
    return np.asarray(issues, np.int64)


def _too_few(independent: int) -> str:
    return (
        f"Too few answers to set against each other: {independent} so far; it takes {FEWEST}, with "
        f"{FEWEST_IN_A_CLASS} of each of two classes."
    )


def _people(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{names[0]} and {len(names) - 1} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))

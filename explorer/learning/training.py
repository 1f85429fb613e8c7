"""From answers to a classifier: which rows of a space they are about, and what is fitted to them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from explorer.learning.classifier import LinearClassifier, fit_classifier
from explorer.learning.methods import METHODS, fit_linear
from explorer.learning.questions import Question
from explorer.learning.scoring import AttributeScored, Scored
from explorer.learning.spreading import spread_answers
from explorer.learning.standing import WHOLE, CurrentAnswer, Provenance

if TYPE_CHECKING:
    from explorer.space import Space
    from explorer.space.spread import Spread

MAX_TRAINING = 10_000
"""Answers that a fit uses at most, drawn evenly from the classes: ridge has learnt what it can long before."""
MANY_AT_ONCE = ("top:", "cluster", "selection", "column:")
"""Ways of choosing pictures that answer many of them in one press."""


@dataclass(frozen=True)
class Prepared:
    """What depends on a space alone."""

    space: "Space"
    copies: np.ndarray
    """(n,) int: the same number for byte-identical pictures"""
    groups: np.ndarray
    """(n,) int: the same number for near-duplicates"""
    all_different: bool
    """No two pictures are copies."""
    strangeness: np.ndarray
    graph: "Spread"
    places: dict[tuple[str, str], int | None] = field(default_factory=dict, compare=False)
    """By uid and content hash of an answer: its row, ~row where that is of another version, None where there is no such
    picture. Filled as answers are gathered: after each new one all of them are gathered again."""


@dataclass(frozen=True)
class Training:
    """Answers that name a class, in the order of their rows: the same answers, however they came, fit alike."""

    rows: np.ndarray
    """(m,) int64 rows of the space"""
    y: np.ndarray
    """(m,) int class places"""
    groups: np.ndarray
    """(m,) int near-duplicate groups"""
    witnesses: np.ndarray
    """(m,) bool: answered one by one, so that they may judge. Answers given to many pictures at once, as the classifier
    had sorted them, only say that it agrees with itself."""

    @property
    def classes(self) -> int:
        """Classes that have an answer."""
        return len(np.unique(self.y))


@dataclass(frozen=True)
class Gathered:
    """The answers of a question as a space sees them."""

    answered: np.ndarray
    """(n,) bool: the rows that have an answer of any kind."""
    changed: int
    """Answers left out because the file has been edited since."""
    parts: tuple[Training, ...]
    """One; of attributes one each, with y 1 where it is true."""


def gather(
    question: Question,
    answers: Mapping[str, CurrentAnswer],
    attributes: Mapping[str, Mapping[str, CurrentAnswer]] | None,
    provenance: Mapping[str, Provenance],
    prepared: Prepared,
    apart: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Gathered:
    """Sort the answers to rows. `attributes`: uid -> class -> yes or no, for a question of that kind.

    `apart`: uid -> the classes (WHOLE: the one answer) of which as many people say one thing as another. Nothing is
    learnt of them: half of the answers would be wrong, and nobody knows which half.
    """
    space = prepared.space
    place_of = {class_id: place for place, class_id in enumerate(question.class_ids)}
    answered = np.zeros(len(space.uids), bool)
    found: list[list[tuple[int, int, str]]] = [[] for _ in (place_of if attributes is not None else (0,))]
    changed, rows, places = 0, [], prepared.places
    for uid, answer in answers.items():
        key = uid, answer.content_hash
        row = places[key] if key in places else places.setdefault(key, _place(space, *key))
        if row is None:
            continue
        if row < 0:
            changed += 1  # the answer stays on its picture, but these are the vectors of another version of it
            rows.append(~row)
            continue
        rows.append(row)
        if attributes is not None:
            for class_id, each in attributes.get(uid, {}).items():
                if class_id in place_of and each.value in ("yes", "no") and class_id not in apart.get(uid, ()):
                    found[place_of[class_id]].append((row, int(each.value == "yes"), uid))
        elif answer.value == "yes" and answer.class_id in place_of and WHOLE not in apart.get(uid, ()):
            found[0].append((row, place_of[answer.class_id], uid))
    answered[rows] = True
    return Gathered(answered, changed, tuple(_training(pairs, prepared, provenance) for pairs in found))


def _place(space: "Space", uid: str, content_hash: str) -> int | None:
    """See `Prepared.places`."""
    row = space.rows.get(uid)
    if row is None:
        return None
    return ~int(row) if content_hash and content_hash != space.hashes[row] else int(row)


def _training(pairs: list[tuple[int, int, str]], prepared: Prepared, provenance: Mapping[str, Provenance]) -> Training:
    pairs = sorted(pairs)
    both = np.array([pair[:2] for pair in pairs], np.int64).reshape(-1, 2)
    at = at_most(both[:, 1], MAX_TRAINING)
    rows, y = both[at].T
    ways = [provenance[uid].policy if (uid := pairs[place][2]) in provenance else "" for place in at.tolist()]
    witnesses = np.array([not way.startswith(MANY_AT_ONCE) for way in ways], bool)
    return Training(rows, y, prepared.groups[rows], witnesses)


def fit(question: Question, gathered: Gathered, prepared: Prepared) -> Scored | AttributeScored | None:
    """The classifier of a question over its space; None as long as no two classes have an answer."""
    if question.kind == "attributes":
        parts = [_fit(part, 2, prepared, ordered=False) if part.classes == 2 else None for part in gathered.parts]
        return AttributeScored(prepared.space, parts) if any(parts) else None
    (part,) = gathered.parts
    if part.classes < 2:
        return None
    return _fit(part, len(question.classes), prepared, question.kind == "grades", method_of(question))


def method_of(question: Question) -> str:
    """The method that somebody has chosen for this question, ridge else; grades and attributes know no other."""
    chosen = question.settings.get("method")
    return chosen if chosen in METHODS and question.kind == "classes" else "ridge"


def _fit(part: Training, classes: int, prepared: Prepared, ordered: bool, method: str = "ridge") -> Scored:
    spreading = spread_answers(prepared.graph, part.rows, part.y, classes, part.groups, ordered)
    vectors = np.asarray(prepared.space.vectors[part.rows])
    fitted: LinearClassifier
    if method == "ridge":
        left_out = spreading.left_out
        fitted = fit_classifier(vectors, part.y, classes, part.groups, left_out_shares=left_out, ordered=ordered)
    else:
        fitted = fit_linear(method, vectors, part.y, classes, part.groups, spreading.left_out)
    return Scored(prepared.space, fitted, spreading)


def at_most(y: np.ndarray, limit: int) -> np.ndarray:
    """Ascending places of at most `limit` of (n,) answers: from each class alike, spread evenly; small classes stay
    whole."""
    if len(y) <= limit:
        return np.arange(len(y))
    kept: list[np.ndarray] = []
    room = limit
    members = sorted((np.flatnonzero(y == place) for place in np.unique(y)), key=len)
    for position, own in enumerate(members):
        share = min(len(own), room // (len(members) - position))
        kept.append(own[np.linspace(0, len(own) - 1, share).astype(int)])
        room -= share
    return np.sort(np.concatenate(kept))

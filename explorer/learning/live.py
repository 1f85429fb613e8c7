"""Questions as they are answered: each new answer refits the classifier and scores every picture, within milliseconds.

Called from the threads of the web server; a lock a question and a bound on how many compute at once keep a dozen
impatient pages from fitting the same thing a dozen times.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from explorer.catalog.database import Catalog
from explorer.errors import BadInput, NotFound
from explorer.learning.answers import AnswerStore, CurrentAnswer
from explorer.learning.classifier import LinearClassifier, fit_classifier
from explorer.learning.evaluation import Quality, evaluate
from explorer.learning.questions import Question, QuestionStore
from explorer.learning.suggestions import Situation, copies_of, suggest, top_places

if TYPE_CHECKING:
    from explorer.space import Space

MAX_TRAINING = 10_000
"""Answers that a fit uses at most, drawn evenly from the classes: ridge has learnt what it can long before."""
MAX_HELD = 24
"""Questions whose scores are kept; 40 MB each at a million pictures and ten classes."""
AT_ONCE = 2


@dataclass(frozen=True)
class Scores:
    """What is known of every picture of one space, as of answer `seq`."""

    seq: int
    ready: bool
    reason: str
    """Why there is no classifier yet, in words; empty when there is."""
    class_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    probabilities: np.ndarray
    """(n, C) float32 in the rows of the space; (0, C) while not ready. Read-only."""
    classifier: LinearClassifier | None
    quality: Quality | None
    answers: Mapping[str, CurrentAnswer]
    """Every answer that holds, by uid, also of pictures outside the space."""
    answered: np.ndarray
    """(n,) bool: the rows that have an answer of any kind."""
    trained: int
    """Answers that the classifier rests on."""
    changed: int
    """Answers left out because the file has been edited since."""
    generation: int
    space: "Space"


@dataclass(frozen=True)
class Ranked:
    """One picture in an order. `class_id` is the likeliest class (or the one asked for), `p` its share."""

    uid: str
    row: int
    hash: str
    class_id: str | None
    p: float | None
    answer: CurrentAnswer | None


@dataclass(frozen=True)
class Order:
    """A page of pictures, likeliest first; in the order of the space while there is no classifier."""

    scores: Scores
    items: tuple[Ranked, ...]
    total: int
    """Pictures in the whole order."""


@dataclass(frozen=True)
class Suggested:
    """Pictures to answer next: (uid, probability of being picked) in the order to show them, and why these."""

    policy: str
    why: str
    items: tuple[tuple[str, float], ...]
    seq: int


@dataclass(frozen=True)
class _Prepared:
    """What depends on a space alone."""

    space: "Space"
    copies: np.ndarray
    groups: np.ndarray
    strangeness: np.ndarray


class LiveQuestions:
    """Scores, orders and suggestions, kept until an answer, a class or the space changes. Thread-safe.

    `open_space(dataset_id, key)` gives the newest generation of a space and must be cheap: it is asked at every call.
    `executor` is there for callers on an event loop: nothing here may run on the loop itself.
    """

    def __init__(self, catalog: Catalog, open_space: "Callable[[str, str], Space]") -> None:
        self._questions = QuestionStore(catalog)
        self._answers = AnswerStore(catalog)
        self._open_space = open_space
        self.executor = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="live")
        self._computing = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, str, str], _Slot] = OrderedDict()
        self._prepared: OrderedDict[tuple[str, str], _Prepared] = OrderedDict()

    def scores(self, dataset_id: str, question_id: str, space_key: str, after_seq: int = 0) -> Scores:
        """The newest scores; at least as new as answer `after_seq`, which a page knows from what it has sent.

        Raises NotFound for an unknown question or space, a question of another dataset, or answers that are not
        there (a catalogue restored from an older copy).
        """
        question = self._questions.get(question_id)
        if question.dataset_id != dataset_id:
            raise NotFound("That question belongs to another collection.")
        space = self._open_space(dataset_id, space_key)
        slot = self._slot((dataset_id, question_id, space_key))
        with slot.lock:
            answers, seq = self._answers.current_with_seq(question_id)
            if seq < after_seq:
                raise NotFound(f"Answer {after_seq} is not in the catalogue (any more); reload the page.")
            held = slot.scores
            names = tuple(one.name for one in question.classes)
            if held is not None and held.space is space and (held.seq, held.class_ids) == (seq, question.class_ids):
                if held.class_names != names:
                    held = slot.scores = replace(held, class_names=names)
                return held
            with self._computing:
                slot.scores = self._compute(question, self._prepare(dataset_id, space), answers, seq)
            return slot.scores

    def order(
        self,
        dataset_id: str,
        question_id: str,
        space_key: str,
        class_id: str = "",
        offset: int = 0,
        n: int = 100,
        after_seq: int = 0,
        allowed: np.ndarray | None = None,
    ) -> Order:
        """`n` pictures from place `offset`, most likely first: to be of `class_id`, or of whatever they look like.

        `allowed` (n,) bool keeps only some rows of the space. Pages of one state follow each other without gaps.
        """
        scores = self.scores(dataset_id, question_id, space_key, after_seq)
        if class_id and class_id not in scores.class_ids:
            raise BadInput("This class does not belong to the question (any more); reload the page.")
        if offset < 0 or n < 0:
            raise BadInput("A page of the order starts at 0 or later and holds 0 or more pictures.")
        size = len(scores.space.uids)
        rows = np.arange(size) if allowed is None else np.flatnonzero(allowed)
        if not scores.ready:
            page = rows[offset : offset + n]
            return Order(scores, tuple(_ranked(scores, int(row), None, None) for row in page), len(rows))
        shares = scores.probabilities if allowed is None else scores.probabilities[rows]
        if class_id:
            column = scores.class_ids.index(class_id)
            best, values = np.full(len(rows), column), shares[:, column]
        else:
            best = shares.argmax(axis=1)
            values = shares[np.arange(len(rows)), best]
        places = top_places(values, offset + n)[offset:]
        items = [_ranked(scores, int(rows[at]), scores.class_ids[best[at]], float(values[at])) for at in places]
        return Order(scores, tuple(items), len(rows))

    def batch(
        self,
        dataset_id: str,
        question_id: str,
        space_key: str,
        policy: str = "useful",
        n: int = 20,
        after_seq: int = 0,
        allowed: np.ndarray | None = None,
        seed: int | None = None,
    ) -> Suggested:
        """Up to `n` pictures to answer next (see `suggestions`). Without a `seed` the same state gives the same ones.

        `allowed` (n,) bool keeps only some rows of the space, e.g. those that are not gone or on the screen already.
        """
        scores = self.scores(dataset_id, question_id, space_key, after_seq)
        prepared = self._prepare(dataset_id, scores.space)
        situation = Situation(
            vectors=scores.space.vectors,
            copies=prepared.copies,
            strangeness=prepared.strangeness,
            answered=scores.answered,
            excluded=np.zeros(len(scores.answered), bool) if allowed is None else ~np.asarray(allowed, bool),
            probabilities=scores.probabilities if scores.ready else None,
            class_ids=scores.class_ids,
            class_names=scores.class_names,
        )
        if seed is None:
            seed = int.from_bytes(f"{question_id}:{scores.seq}".encode(), "little") % 2**63
        with self._computing:
            chosen = suggest(policy, n, situation, seed)
        uids = scores.space.uids
        items = [(uids[int(row)], float(p)) for row, p in zip(chosen.rows, chosen.probabilities, strict=True)]
        return Suggested(chosen.policy, chosen.why, tuple(items), scores.seq)

    def _slot(self, key: tuple[str, str, str]) -> "_Slot":
        with self._lock:
            slot = self._held.setdefault(key, _Slot())
            self._held.move_to_end(key)
            while len(self._held) > MAX_HELD:
                self._held.popitem(last=False)
            return slot

    def _prepare(self, dataset_id: str, space: "Space") -> _Prepared:
        key = (dataset_id, space.key)
        with self._lock:
            held = self._prepared.get(key)
        if held is not None and held.space is space:
            return held
        n = len(space.uids)
        groups = np.arange(n)
        duplicates = space.duplicates
        if len(duplicates):
            rows = duplicates["row"].to_numpy(np.int64)
            groups[rows] = n + duplicates["group"].to_numpy(np.int64)
        distances = np.asarray(space.distances, np.float32)
        strangeness = distances.mean(axis=1) if distances.shape[1] else np.zeros(n, np.float32)
        made = _Prepared(space, copies_of(space.hashes), groups, strangeness)
        with self._lock:
            self._prepared[key] = made
            self._prepared.move_to_end(key)
            while len(self._prepared) > MAX_HELD:
                self._prepared.popitem(last=False)
        return made

    def _compute(
        self, question: Question, prepared: _Prepared, answers: Mapping[str, CurrentAnswer], seq: int
    ) -> Scores:
        space = prepared.space
        place_of = {class_id: place for place, class_id in enumerate(question.class_ids)}
        answered = np.zeros(len(space.uids), bool)
        rows, y, changed = [], [], 0
        for uid, answer in answers.items():
            row = space.rows.get(uid)
            if row is None:
                continue
            answered[row] = True
            if answer.value != "yes" or answer.class_id not in place_of:
                continue
            if answer.content_hash and answer.content_hash != space.hashes[row]:
                changed += 1  # the answer stays on its picture, but these are the vectors of another version of it
                continue
            rows.append(row)
            y.append(place_of[answer.class_id])
        scores = Scores(
            seq=seq,
            ready=False,
            reason=_not_ready(question, len(set(y))),
            class_ids=question.class_ids,
            class_names=tuple(one.name for one in question.classes),
            probabilities=np.zeros((0, len(place_of)), np.float32),
            classifier=None,
            quality=None,
            answers=answers,
            answered=answered,
            trained=len(rows),
            changed=changed,
            generation=space.generation,
            space=space,
        )
        if scores.reason:
            return scores
        order = np.argsort(rows)  # the same answers give the same classifier, whatever their order
        at, classes = _at_most(np.array(rows)[order], np.array(y)[order], MAX_TRAINING)
        groups = prepared.groups[at]
        classifier = fit_classifier(np.asarray(space.vectors[at]), classes, len(place_of), groups)
        probabilities = classifier.probabilities(space.vectors)
        probabilities.flags.writeable = False
        quality = evaluate(classifier, classes, list(scores.class_names), groups)
        return replace(
            scores, ready=True, probabilities=probabilities, classifier=classifier, quality=quality, trained=len(at)
        )


class _Slot:
    """One question in one space: whoever holds the lock may bring the scores up to date."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.scores: Scores | None = None


def _not_ready(question: Question, classes_answered: int) -> str:
    if len(question.classes) < 2:
        return "Give this question at least two classes."
    if classes_answered < 2:
        return "Answer at least one picture of each of two classes; then every picture gets a score."
    return ""


def _at_most(rows: np.ndarray, y: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `limit` of the answers: from each class alike, spread evenly over its rows; small classes stay whole."""
    if len(rows) <= limit:
        return rows, y
    kept: list[np.ndarray] = []
    room = limit
    members = sorted((np.flatnonzero(y == place) for place in np.unique(y)), key=len)
    for position, own in enumerate(members):
        share = min(len(own), room // (len(members) - position))
        kept.append(own[np.linspace(0, len(own) - 1, share).astype(int)])
        room -= share
    at = np.sort(np.concatenate(kept))
    return rows[at], y[at]


def _ranked(scores: Scores, row: int, class_id: str | None, p: float | None) -> Ranked:
    uid = scores.space.uids[row]
    return Ranked(uid, row, scores.space.hashes[row], class_id, p, scores.answers.get(uid))

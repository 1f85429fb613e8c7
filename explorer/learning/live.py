"""Questions as they are answered: each new answer refits the classifier and scores every picture, within milliseconds.

Called from the server's threads; a lock a question and a bound on how many compute keep them from fitting twice.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.catalog.database import Catalog
from explorer.errors import BadInput, NotFound
from explorer.learning.answers import AnswerStore, CurrentAnswer
from explorer.learning.dealing import HANDS, Pick, Pool, Suggested
from explorer.learning.familiarity import unlike
from explorer.learning.judgement import Judgement
from explorer.learning.kept_pages import KeptPages
from explorer.learning.questions import Question, QuestionStore
from explorer.learning.scores import Scores, compute
from explorer.learning.suggestions import Situation, batch_size, copies_of, suggest
from explorer.learning.training import Prepared, gather, method_of

if TYPE_CHECKING:
    from explorer.space import Space

MAX_HELD = 24
"""Questions whose scores are kept; 40 MB each at a million pictures and ten classes."""
AT_ONCE = 2
MOST_LAG_SECONDS = 1.0


@dataclass(frozen=True)
class Ranked:
    """One picture in an order. `class_id` is the likeliest class (or the one asked for), `p` its share.

    `unlike`: nothing like it was answered, so that `p` says little.
    """

    uid: str
    row: int
    hash: str
    class_id: str | None
    p: float | None
    answer: CurrentAnswer | None
    unlike: bool = False


@dataclass(frozen=True)
class Order:
    """A page of pictures, likeliest first; in the order of the space while there is no classifier."""

    scores: Scores
    items: tuple[Ranked, ...]
    total: int
    """Pictures in the whole order."""
    kept: dict[str, Any] = field(default_factory=dict, compare=False)
    """For what a caller makes of this page, which everybody who looks at it then shares."""


class LiveQuestions:
    """Scores, orders and suggestions, kept until an answer, a class or the space changes. Thread-safe.

    `open_space(dataset_id, key)` gives the newest generation of a space and must be cheap: it is asked at every call.
    `executor` is there for callers on an event loop: nothing here may run on the loop itself.
    """

    def __init__(
        self, catalog: Catalog, open_space: "Callable[[str, str], Space]", answers: AnswerStore | None = None
    ) -> None:
        self._questions = QuestionStore(catalog)
        self._answers = AnswerStore(catalog) if answers is None else answers
        self._open_space = open_space
        self.executor = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="live")
        self._computing = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, str, str], _Slot] = OrderedDict()
        self._prepared: OrderedDict[tuple[str, str], Prepared] = OrderedDict()

    def scores(
        self, dataset_id: str, question_id: str, space_key: str, after_seq: int = 0, may_lag: bool = False
    ) -> Scores:
        """The newest scores; at least as new as answer `after_seq`, which a page knows from what it has sent.

        With `may_lag` they may be a second old, also older than `after_seq`, while several people answer: their presses
        share a fit then, which takes a third of the time at most, and nobody waits for it who has an older one.

        Raises NotFound for an unknown question or space, a question of another dataset, or answers that are not
        there (a catalogue restored from an older copy).
        """
        question = self._questions.get(question_id)
        if question.dataset_id != dataset_id:
            raise NotFound("That question belongs to another collection.")
        space = self._open_space(dataset_id, space_key)
        slot = self._slot((dataset_id, question_id, space_key))
        old = slot.scores
        if may_lag and old is not None and self._will_do(old, question, space):
            if time.monotonic() < slot.young_until or not slot.lock.acquire(blocking=False):
                return old  # young enough, or somebody is making newer ones
        else:
            slot.lock.acquire()
        try:
            answers, seq = self._answers.current_with_seq(question_id)
            attributes = self._answers.attributes_with_seq(question_id)[0] if question.kind == "attributes" else None
            if seq < after_seq:
                raise NotFound(f"Answer {after_seq} is not in the catalogue (any more); reload the page.")
            held = slot.scores
            names = tuple(one.name for one in question.classes)
            if (
                held is not None
                and held.space is space
                and (held.seq, held.class_ids, held.method) == (seq, question.class_ids, method_of(question))
            ):
                if held.class_names != names:
                    held = slot.scores = replace(held, class_names=names)
                return held
            with self._computing:
                prepared = self.prepared(dataset_id, space)
                began = time.monotonic()
                provenance, apart = self._answers.provenance(question_id), self._answers.apart(question_id)
                gathered = gather(question, answers, attributes, provenance, prepared, apart)
                slot.scores = compute(question, prepared, gathered, answers, attributes, seq)
                took = time.monotonic() - began
                # an answer that just missed this fit is in the scores when the next one ends: a second later at most,
                # unless fits would take more than a third of the time then
                slot.young_until = began + took + max(2 * took, MOST_LAG_SECONDS - 2 * took)
            return slot.scores
        finally:
            slot.lock.release()

    def _will_do(self, held: Scores, question: Question, space: "Space") -> bool:
        return (
            held.space is space
            and (held.class_ids, held.method) == (question.class_ids, method_of(question))
            and held.class_names == tuple(one.name for one in question.classes)
            and self._answers.several_at_work(question.id)
        )

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

        `allowed` (n,) bool keeps only some rows of the space. Pages of one state follow each other without gaps."""
        scores = self.scores(dataset_id, question_id, space_key, after_seq, may_lag=True)
        if class_id and class_id not in scores.class_ids:
            raise BadInput("This class does not belong to the question (any more); reload the page.")
        if offset < 0 or n < 0:
            raise BadInput("A page of the order starts at 0 or later and holds 0 or more pictures.")
        pages, page = self._slot((dataset_id, question_id, space_key)).pages, (class_id, offset, n)
        return pages.get(scores, page, allowed, partial(self._page, scores, *page, allowed))

    def _page(self, scores: Scores, class_id: str, offset: int, n: int, allowed: np.ndarray | None) -> Order:
        total = len(scores.space.uids) if allowed is None else int(allowed.sum())
        if scores.scored is None:
            rows = np.arange(total) if allowed is None else np.flatnonzero(allowed)
            page = rows[offset : offset + n]
            return Order(scores, tuple(_ranked(scores, int(row), None, None) for row in page), len(rows))
        place = scores.class_ids.index(class_id) if class_id else None
        rows = scores.scored.top(place, offset + n, allowed)[offset:]
        shares = scores.scored.probabilities_of(rows)
        best = np.full(len(rows), place) if place is not None else shares.argmax(axis=1)
        strange = self.unlike(scores, rows)
        items = [
            _ranked(scores, int(row), scores.class_ids[at], float(share[at]), bool(odd))
            for row, at, share, odd in zip(rows, best, shares, strange, strict=True)
        ]
        return Order(scores, tuple(items), total)

    def batch(
        self,
        dataset_id: str,
        question_id: str,
        space_key: str,
        policy: str = "useful",
        n: int | None = None,
        after_seq: int = 0,
        allowed: np.ndarray | None = None,
        seed: int | None = None,
    ) -> Suggested:
        """Up to `n` pictures to answer next (see `suggestions`; None: as many as are best chosen at once).

        Without a `seed` the same state gives the same ones.

        `allowed` (n,) bool keeps only some rows of the space, e.g. those that are not gone or on the screen already.
        """
        scores = self.scores(dataset_id, question_id, space_key, after_seq, may_lag=True)
        prepared = self.prepared(dataset_id, scores.space)
        situation = Situation(
            vectors=scores.space.vectors,
            copies=prepared.copies,
            strangeness=prepared.strangeness,
            answered=scores.answered,
            excluded=np.zeros(len(scores.answered), bool) if allowed is None else ~np.asarray(allowed, bool),
            doubt=None if scores.scored is None else scores.scored.doubt,
            likeliest=None if scores.scored is None else scores.scored.top,
            class_ids=scores.class_ids,
            class_names=scores.class_names,
            graph=prepared.graph,
            all_different=prepared.all_different,
        )
        if seed is None:
            seed = int.from_bytes(f"{question_id}:{scores.seq}".encode(), "little") % 2**63
        with self._computing:
            chosen = suggest(policy, batch_size(int(scores.answered.sum())) if n is None else n, situation, seed)
        uids = scores.space.uids
        items = [
            Pick(uids[int(row)], float(probability), "random" if drawn else chosen.policy)
            for row, probability, drawn in zip(chosen.rows, chosen.probabilities, chosen.drawn, strict=True)
        ]
        return Suggested(chosen.policy, chosen.why, tuple(items), scores.seq)

    def deal(
        self,
        dataset_id: str,
        question_id: str,
        space_key: str,
        policy: str,
        n: int | None,
        shown: np.ndarray,
        free: np.ndarray,
        several: bool,
        open_now: Callable[[], np.ndarray],
    ) -> Suggested:
        """`batch` of the rows `free` for one of several people. While `several` are at work, or their answers say so,
        one choice among `shown`, the same object for all, is dealt out: not everybody's looks at the whole collection.
        `open_now()` (n,) bool: those of `shown` that nobody has answered or holds."""
        if not several and not self._answers.several_at_work(question_id):
            return self.batch(dataset_id, question_id, space_key, policy, n, allowed=free)
        scores = self.scores(dataset_id, question_id, space_key, may_lag=True)
        wanted = batch_size(int(scores.answered.sum())) if n is None else n
        slot, name = self._slot((dataset_id, question_id, space_key)), (policy, wanted, scores.class_ids)
        with slot.dealing:
            pool = slot.pools.get(name)
            hand = () if pool is None or pool.over(shown) else pool.deal(wanted, free, scores.space.rows)
            if pool is None or len(hand) < wanted:
                chosen = self.batch(
                    dataset_id, question_id, space_key, policy, HANDS * wanted, allowed=free & open_now()
                )
                pool = Pool(chosen, shown)
                hand = pool.deal(wanted, free, scores.space.rows)
                slot.pools = {name: pool} if len(slot.pools) > 8 else {**slot.pools, name: pool}
        return replace(pool.chosen, items=hand)

    def unlike(self, scores: Scores, rows: np.ndarray) -> np.ndarray:
        """(k,) bool: which of the rows are unlike anything answered with a class (see `familiarity`)."""
        known = np.unique(np.concatenate([part.rows for part in scores.parts]))
        groups = self.prepared(scores.dataset_id, scores.space).groups[known]
        return unlike(scores.space.vectors, rows, known, groups)

    def judgement(
        self, dataset_id: str, question_id: str, space_key: str, attribute: str = "", after_seq: int = 0
    ) -> Judgement:
        """How good it is, how many there are, what is left to do; computed anew when the scores are.

        `attribute`: the class to judge, of a question with several that can be true at once. Raises BadInput while
        there is no classifier, NotFound as `scores` does.
        """
        scores = self.scores(dataset_id, question_id, space_key, after_seq)
        slot = self._slot((dataset_id, question_id, space_key))
        with slot.lock:
            held = slot.judged.get(attribute)
            if held is None or held.scores is not scores:
                provenance, checks = self._answers.provenance(question_id), self._answers.random_checks(question_id)
                held = Judgement(scores, provenance, checks, self.prepared(dataset_id, scores.space), attribute)
                slot.judged[attribute] = held
            return held

    def _slot(self, key: tuple[str, str, str]) -> "_Slot":
        with self._lock:
            slot = self._held.setdefault(key, _Slot())
            self._held.move_to_end(key)
            while len(self._held) > MAX_HELD:
                self._held.popitem(last=False)
            return slot

    def prepared(self, dataset_id: str, space: "Space") -> Prepared:
        """What the questions of a space share; made at the first call, a second or so at 100,000 pictures."""
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
        copies = copies_of(space.hashes)
        different = bool((copies == np.arange(n)).all())
        made = Prepared(space, copies, groups, different, strangeness, space.spread)
        with self._lock:
            self._prepared[key] = made
            self._prepared.move_to_end(key)
            while len(self._prepared) > MAX_HELD:
                self._prepared.popitem(last=False)
        return made


class _Slot:
    """One question in one space: whoever holds the lock may bring the scores up to date."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.scores: Scores | None = None
        self.young_until = 0.0
        self.judged: dict[str, Judgement] = {}
        self.pages = KeptPages[Order]()
        self.dealing = threading.Lock()
        self.pools: dict[Any, Pool] = {}


def _ranked(scores: Scores, row: int, class_id: str | None, p: float | None, strange: bool = False) -> Ranked:
    uid = scores.space.uids[row]
    return Ranked(uid, row, scores.space.hashes[row], class_id, p, scores.answers.get(uid), strange)

"""One answer for many pictures at once: a group, a selection, or the top of a ranking; taken back as one, too.

The browser names the set, the server expands it to one event a picture, all with one batch id. The first event carries
the client's own id: it is there or it is not, in one transaction, so that a request sent again changes nothing.
"""

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import sqlalchemy as sa

from explorer.catalog.schema import answers as table
from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.learning.answers import MAX_TEXT, AnswerEvent, Value
from explorer.learning.questions import Question
from explorer.learning.standing import RESOLVE, WHOLE
from explorer.sharing.access import Person, Scope, authorise
from explorer.space import Space
from explorer.web import views
from explorer.web.filters import Filter
from explorer.web.sets import picture_set
from explorer.web.shelf import shelf

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

MOST_BULK = 50_000
_one_at_a_time = threading.Lock()
"""A request and its retry must not expand the same set side by side: the second would see what the first changed."""


@dataclass(frozen=True)
class _Expanded:
    rows: np.ndarray
    policy: str
    answered: int
    """Pictures of the set that have an answer already; they are not among `rows` unless they were asked for."""
    least: float | None = None
    """The lowest score among the top of a ranking."""


def answer_many(rt: "Runtime", person: Person, dataset_id: str, message: dict[str, Any]) -> dict[str, Any]:
    """Answer all pictures of `message["bulk"]`; with "dry", only say how many there are. Raises BadInput, NotFound.

    Returns {"stored", "latest", "batch_id", "count", "left"}: `count` pictures got the answer, `left` kept the one
    they had. Dry: {"count", "left", "least"}.
    """
    question = views.question_of(rt, dataset_id, _text(message, "question"))
    dataset, space = rt.dataset(dataset_id), rt.space(dataset_id, _text(message, "space"))
    bulk = message["bulk"]
    if not isinstance(bulk, dict):
        raise BadInput("'bulk' says which pictures are meant; nothing was stored.")
    also = message.get("also_answered") is True
    if _text(message, "filter"):
        authorise(person, "look", Scope(dataset_id))  # a filter tells of columns and of others' answers
    if message.get("dry") is True:
        found = _expand(rt, dataset, space, question, message, also)
        return {"count": len(found.rows), "left": 0 if also else found.answered, "least": found.least}
    batch_id = _text(message, "client_event_id")
    if not batch_id or len(batch_id) > MAX_TEXT // 2:
        raise BadInput("Answers for many need a client_event_id, to tell them from a retry; nothing was stored.")
    with _one_at_a_time:
        known = _batch_size(rt, question.id, batch_id)
        if known:
            return _said(rt, question, batch_id, known, 0, duplicate=True)
        found = _expand(rt, dataset, space, question, message, also)
        value, class_id = _text(message, "value") or "yes", _text(message, "class_id") or None
        if value == "undo":
            raise BadInput("Answers for many are taken back with 'undo_batch'; nothing was stored.")
        hashes = dataset.items["content_hash"].to_numpy()
        events = []
        for place, row in enumerate(found.rows):
            uid = space.uids[int(row)]
            events.append(
                AnswerEvent(
                    client_event_id=_event_id(batch_id, uid) if place else batch_id,
                    question_id=question.id,
                    uid=uid,
                    value=cast(Value, value),  # AnswerStore refuses what is none
                    class_id=class_id,
                    content_hash=str(hashes[dataset.row_of[uid]]),
                    person_id=person.id,
                    space=space.key,
                    blind=message.get("blind") is True,
                    policy=found.policy,
                    probability=1.0,
                    batch_id=batch_id,
                )
            )
        rt.answers.record(events)
    return _said(rt, question, batch_id, len(events), 0 if also else found.answered)


def take_back(rt: "Runtime", person: Person, dataset_id: str, message: dict[str, Any]) -> dict[str, Any]:
    """Undo `message["undo_batch"]`, or, when that was itself an undo, give the answers again. Raises BadInput."""
    question = views.question_of(rt, dataset_id, _text(message, "question"))
    batch_id, event_id = _text(message, "undo_batch"), _text(message, "client_event_id")
    if not batch_id or not event_id:
        raise BadInput("Taking back needs 'undo_batch' and 'client_event_id'; nothing was changed.")
    stored = rt.answers.undo_batch(question.id, batch_id, person.id, event_id)
    return _said(rt, question, event_id, len(stored), 0)


def _said(
    rt: "Runtime", question: Question, batch_id: str, count: int, left: int, duplicate: bool = False
) -> dict[str, Any]:
    latest = rt.answers.latest_seq(question.id)
    stored = [{"client_event_id": batch_id, "seq": latest, "duplicate": duplicate}]
    return {"stored": stored, "latest": latest, "batch_id": batch_id, "count": count, "left": left}


def _expand(
    rt: "Runtime", dataset: Dataset, space: Space, question: Question, message: dict[str, Any], also: bool
) -> _Expanded:
    bulk = message["bulk"]
    allowed = shown_rows(rt, dataset, space, _text(message, "filter"))
    of, least, again = _text(bulk, "of"), None, False
    if of == "top":
        n, class_id = bulk.get("n"), _text(bulk, "class")
        if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= MOST_BULK:
            raise BadInput(f"The top of the ranking is 1 to {MOST_BULK:,} pictures; nothing was stored.")
        if class_id not in question.class_ids:
            raise BadInput("This answer does not belong to the question (any more); reload the page.")
        found = rt.live.order(dataset.id, question.id, space.key, class_id, 0, n, allowed=allowed)
        if not found.scores.ready:
            raise BadInput("Nothing is sorted yet: answer a few pictures first.")
        rows = np.array([each.row for each in found.items], np.int64)
        policy = f"top:{class_id}"
        least = min((each.p for each in found.items if each.p is not None), default=None)
    else:
        parts = [of, _text(bulk, "method"), _text(bulk, "id")] if of == "cluster" else [of, _text(bulk, "id")]
        named = picture_set(rt, dataset, space, question, ":".join(parts), titled=False)
        if named.policy == RESOLVE:
            raise BadInput("What people differ about is decided picture by picture; nothing was stored.")
        rows, again = named.rows[allowed[named.rows]], bool(named.again)
        policy = "selection" if named.policy == "differ" else named.policy
    have = answered_rows(rt, question, space, _text(message, "class_id"))
    answered = int(have[rows].sum())
    if not also and not again:
        rows = rows[~have[rows]]
    if len(rows) > MOST_BULK:
        raise BadInput(f"These are {len(rows):,} pictures; {MOST_BULK:,} can be answered at once. Choose fewer.")
    return _Expanded(rows, policy, 0 if again else answered, least)


def answered_rows(rt: "Runtime", question: Question, space: Space, class_id: str = "") -> np.ndarray:
    """(n,) bool: rows of the space with an answer of any kind; where several may be true, with one about `class_id`."""
    have = np.zeros(len(space.uids), bool)
    if question.kind == "attributes" and class_id:
        said, _ = rt.answers.attributes_with_seq(question.id)
        uids = [uid for uid, each in said.items() if class_id in each or WHOLE in each]
    else:
        uids = list(rt.answers.current(question.id))
    have[[space.rows[uid] for uid in uids if uid in space.rows]] = True
    return have


def shown_rows(rt: "Runtime", dataset: Dataset, space: Space, text: str | None) -> np.ndarray:
    """(n,) bool: rows of the space whose pictures are still there and pass the filter of the page; the same array until
    something changes. Raises BadInput, NotFound for a filter that cannot be."""
    return shelf(rt, dataset, space).shown(Filter.parse(text))


def _event_id(batch_id: str, uid: str) -> str:
    return f"{batch_id}.{hashlib.sha256(uid.encode()).hexdigest()[:24]}"


def _batch_size(rt: "Runtime", question_id: str, batch_id: str) -> int:
    """Events of this batch on record; 0 if it was never stored."""
    with rt.catalog.reading() as connection:
        first = connection.execute(sa.select(table.c.question_id).where(table.c.client_event_id == batch_id)).scalar()
        if first is None:
            return 0
        if first != question_id:
            raise BadInput("This client_event_id belongs to another question; nothing was stored.")
        own = (table.c.question_id == question_id) & (table.c.batch_id == batch_id)
        return int(connection.execute(sa.select(sa.func.count()).where(own)).scalar() or 1)


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"'{name}' is not a text; nothing was stored.")
    return value or ""

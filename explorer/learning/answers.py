"""Answers: events that are on the disk before they are acknowledged, and the present state that follows from them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from explorer.catalog.database import Catalog
from explorer.catalog.schema import answers as table
from explorer.catalog.schema import classes, questions
from explorer.errors import BadInput

Value = Literal["yes", "unsure", "skip", "unusable", "no", "undo"]
VALUES: tuple[Value, ...] = ("yes", "unsure", "skip", "unusable", "no", "undo")
MAX_TEXT = 4096
_CHUNK = 500


@dataclass(frozen=True)
class AnswerEvent:
    """What one person said of one picture, or took back, with everything needed to weigh it later.

    `client_event_id` is made by the client, once for each press: sending it again is a retry, not a second answer.
    `region` is None for the whole picture. `content_hash` is that of the picture as it was shown. `policy` and
    `probability` say how the picture was chosen. `undoes` names the `client_event_id` of an answer, or of an undo
    (which makes it a redo).
    """

    client_event_id: str
    question_id: str
    uid: str
    value: Value
    class_id: str | None = None
    region: dict[str, Any] | None = None
    content_hash: str = ""
    person_id: str = ""
    space: str = ""
    blind: bool = False
    policy: str = ""
    probability: float | None = None
    batch_id: str | None = None
    undoes: str | None = None


@dataclass(frozen=True)
class Stored:
    """Acknowledgement: the event is on the disk under `seq`; `duplicate` if it had been there before."""

    client_event_id: str
    seq: int
    duplicate: bool


@dataclass(frozen=True)
class CurrentAnswer:
    """The answer that holds now. `class_id` is None unless `value` is "yes" (or an "unsure" that leans)."""

    class_id: str | None
    value: str
    seq: int
    person_id: str
    content_hash: str
    at: float


@dataclass(frozen=True)
class HistoryEntry:
    """One event with its number and time; `active` is False for what has been taken back (undo events included)."""

    seq: int
    dataset_id: str
    at: float
    event: AnswerEvent
    active: bool


class AnswerStore:
    """Records answers and derives what holds now. Thread-safe; other processes may write at the same time."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._walks: dict[str, _Walk] = {}
        self._lock = threading.Lock()

    def record(self, events: Sequence[AnswerEvent]) -> list[Stored]:
        """Write all events in one transaction, in order; on return they are on the disk.

        An event whose `client_event_id` is known already is a retry: the first one stands, whatever the retry says.
        Raises BadInput, and writes nothing, if any event names an unknown question or class, an empty uid, or takes
        back what is not there or is another person's.
        """
        for attempt in range(3):
            try:
                with self._catalog.writing() as connection:
                    return self.record_within(connection, events)
            except sa.exc.IntegrityError:
                # The same event came through another connection (a second tab, a retry that overtook): now a retry.
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def record_within(self, connection: Connection, events: Sequence[AnswerEvent]) -> list[Stored]:
        """`record` as a part of a transaction that the caller has begun with `catalog.writing()`."""
        for event in events:
            _check(event)
        # The rows of the questions are locked in order, so that numbers become visible in the order they are given:
        # whoever has seen number 7 of a question will never be surprised by a number 6.
        asked = sorted({event.question_id for event in events})
        datasets = {
            row.id: row.dataset_id
            for row in connection.execute(
                sa.select(questions.c.id, questions.c.dataset_id)
                .where(questions.c.id.in_(asked))
                .order_by(questions.c.id)
                .with_for_update()
            )
        }
        class_of = {
            row.id: row.question_id
            for row in connection.execute(
                sa.select(classes.c.id, classes.c.question_id).where(classes.c.question_id.in_(asked))
            )
        }
        known = _known(connection, {e.client_event_id for e in events} | {e.undoes for e in events if e.undoes})
        now = self._catalog.now(connection)
        fresh: dict[str, dict[str, Any]] = {}
        for event in events:
            if event.client_event_id in known or event.client_event_id in fresh:
                continue
            if event.question_id not in datasets:
                raise BadInput(f"There is no question '{event.question_id}': reload the page.")
            if event.class_id is not None and class_of.get(event.class_id) != event.question_id:
                raise BadInput(f"The class '{event.class_id}' does not belong to this question: reload the page.")
            row = {**vars(event), "dataset_id": datasets[event.question_id], "at": now}
            if event.undoes is not None:
                _check_undo(row, fresh.get(event.undoes) or known.get(event.undoes))
            fresh[event.client_event_id] = row
        if fresh:
            connection.execute(table.insert(), list(fresh.values()))
        written = {event_id: row["seq"] for event_id, row in _known(connection, set(fresh)).items()}
        stored = []
        for event in events:  # the first time that a batch names a new event is the answer, a second time a retry
            seq = written.pop(event.client_event_id, None)
            if seq is not None:
                known[event.client_event_id] = {"seq": seq}
            stored.append(Stored(event.client_event_id, known[event.client_event_id]["seq"], seq is None))
        return stored

    def current(self, question_id: str) -> dict[str, CurrentAnswer]:
        """The latest answer about each whole picture that has not been taken back, over all people, by uid.

        "no" says what a picture is not and leaves earlier answers standing; it is in `history`.
        """
        with self._lock:
            return dict(self._walk(question_id).latest)

    def current_with_seq(self, question_id: str) -> tuple[dict[str, CurrentAnswer], int]:
        """`current` and the number of the last event it takes into account."""
        with self._lock:
            walk = self._walk(question_id)
            return dict(walk.latest), walk.seq

    def by_person(self, question_id: str) -> dict[tuple[str, str], CurrentAnswer]:
        """The latest standing answer of each person: by (uid, person id)."""
        with self._lock:
            return dict(self._walk(question_id).by_person)

    def latest_seq(self, question_id: str) -> int:
        """Number of the question's last event; 0 if it has none."""
        with self._catalog.reading() as connection:
            found = connection.execute(sa.select(sa.func.max(table.c.seq)).where(table.c.question_id == question_id))
            return int(found.scalar() or 0)

    def history(self, question_id: str, uid: str | None = None) -> list[HistoryEntry]:
        """Every event ever recorded, oldest first; with `uid`, those about one picture."""
        wanted = sa.select(table).where(table.c.question_id == question_id).order_by(table.c.seq)
        if uid is not None:
            wanted = wanted.where(table.c.uid == uid)
        with self._catalog.reading() as connection:
            rows = connection.execute(wanted).all()
        walk = _Walk()
        walk.take(rows)
        fields = AnswerEvent.__dataclass_fields__
        return [
            HistoryEntry(
                seq=row.seq,
                dataset_id=row.dataset_id,
                at=row.at,
                event=AnswerEvent(**{name: getattr(row, name) for name in fields}),
                active=walk.active[row.client_event_id],
            )
            for row in rows
        ]

    def _walk(self, question_id: str) -> "_Walk":
        walk = self._walks.setdefault(question_id, _Walk())
        with self._catalog.reading() as connection:
            rows = connection.execute(
                sa.select(*_WALKED)
                .where(table.c.question_id == question_id, table.c.seq > walk.seq)
                .order_by(table.c.seq)
            ).all()
        walk.take(rows)
        return walk


_WALKED = [
    table.c[name] for name in "seq client_event_id uid value class_id person_id content_hash region at undoes".split()
]


class _Walk:
    """The state after the events so far. New events move it on; it never has to start again."""

    def __init__(self) -> None:
        self.seq = 0
        self.active: dict[str, bool] = {}
        self.latest: dict[str, CurrentAnswer] = {}
        self.by_person: dict[tuple[str, str], CurrentAnswer] = {}
        self._undoes: dict[str, str] = {}
        self._uid: dict[str, str] = {}
        self._said: dict[str, dict[str, CurrentAnswer]] = {}  # uid -> client_event_id -> answer, in order

    def take(self, rows: Sequence[Row[Any]]) -> None:
        touched = set()
        for row in rows:
            self.seq = row.seq
            event_id = row.client_event_id
            self.active[event_id] = True
            if row.undoes is not None:
                self._undoes[event_id] = row.undoes
                touched.add(self._turn(row.undoes, False))
            elif row.region is None and row.value != "no":
                self._uid[event_id] = row.uid
                answer = CurrentAnswer(row.class_id, row.value, row.seq, row.person_id, row.content_hash, row.at)
                self._said.setdefault(row.uid, {})[event_id] = answer
                touched.add(row.uid)
        for uid in touched - {None}:
            self._settle(uid)

    def _turn(self, event_id: str, on: bool) -> str | None:
        """Switch an event off or on again; switching an undo turns what it undid the other way. Returns the uid."""
        while event_id in self._undoes:
            self.active[event_id] = on
            event_id, on = self._undoes[event_id], not on
        self.active[event_id] = on
        return self._uid.get(event_id)

    def _settle(self, uid: str | None) -> None:
        assert uid is not None
        for person_id in {answer.person_id for answer in self._said[uid].values()}:
            self.by_person.pop((uid, person_id), None)
        self.latest.pop(uid, None)
        for event_id, answer in self._said[uid].items():
            if self.active[event_id]:
                self.by_person[uid, answer.person_id] = answer
                self.latest[uid] = answer


def _known(connection: Connection, event_ids: set[str]) -> dict[str, dict[str, Any]]:
    """What is on record under these client event ids: seq, question_id, uid, person_id."""
    found: dict[str, dict[str, Any]] = {}
    ordered = sorted(event_ids)
    columns = (table.c.client_event_id, table.c.seq, table.c.question_id, table.c.uid, table.c.person_id)
    for start in range(0, len(ordered), _CHUNK):
        part = ordered[start : start + _CHUNK]
        for row in connection.execute(sa.select(*columns).where(table.c.client_event_id.in_(part))):
            found[row.client_event_id] = dict(row._mapping)
    return found


def _check(event: AnswerEvent) -> None:
    """What can be seen without the database."""
    for name in ("client_event_id", "question_id", "uid", "content_hash", "person_id", "space", "policy"):
        _check_text(name, getattr(event, name))
    for name in ("class_id", "batch_id", "undoes"):
        if getattr(event, name) is not None:
            _check_text(name, getattr(event, name))
    if not event.client_event_id:
        raise BadInput("An answer without a client_event_id cannot be told from a retry; nothing was recorded.")
    if not event.uid:
        raise BadInput("An answer must name a picture (its uid is empty); nothing was recorded.")
    if event.value not in VALUES:
        raise BadInput(f"'{event.value}' is no answer: use one of {', '.join(VALUES)}.")
    if event.value in ("yes", "no") and event.class_id is None:
        raise BadInput(f"The answer '{event.value}' must name a class; nothing was recorded.")
    if (event.value == "undo") != (event.undoes is not None):
        raise BadInput("An undo must name the event that it takes back, and only an undo may; nothing was recorded.")
    probability = event.probability
    if probability is not None and not (isinstance(probability, int | float) and 0 < probability <= 1):
        raise BadInput(f"The probability of having been chosen must lie in (0, 1], not {probability!r}.")
    if not isinstance(event.blind, bool) or not isinstance(event.region, dict | None):
        raise BadInput("`blind` must be true or false and `region` an object or null; nothing was recorded.")


def _check_text(name: str, text: object) -> None:
    if not isinstance(text, str) or len(text) > MAX_TEXT or "\0" in text:
        raise BadInput(f"`{name}` must be text of at most {MAX_TEXT} characters without NUL; nothing was recorded.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"`{name}` holds a character that cannot be stored ({error.reason}).") from error


def _check_undo(row: dict[str, Any], target: dict[str, Any] | None) -> None:
    if target is None or target["question_id"] != row["question_id"] or target["uid"] != row["uid"]:
        raise BadInput("There is no such answer to take back about this picture; reload the page.")
    if target["person_id"] != row["person_id"]:
        raise BadInput("This answer is another person's; only they can take it back.")

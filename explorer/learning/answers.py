"""Answers: events that are on the disk before they are acknowledged, and the present state that follows from them.

A kill of the process, or of every process, at any moment loses no answer that was acknowledged, for the transaction had
been handed to the operating system, and leaves no half of a batch. A power cut loses none either as long as the disk
keeps what it says it has written: SQLite runs with `synchronous=FULL`, which syncs its log at each commit, and
PostgreSQL must keep `fsync` and `synchronous_commit` on, as they are unless somebody turned them off.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from explorer.catalog.database import Catalog
from explorer.catalog.line import Line
from explorer.catalog.schema import answers as table
from explorer.catalog.schema import classes, questions
from explorer.errors import BadInput, NotFound
from explorer.learning.standing import RESOLVE, WALKED, CurrentAnswer, Provenance, Walk

__all__ = ["AnswerEvent", "AnswerStore", "CurrentAnswer", "HistoryEntry", "Provenance", "Stored", "Value"]

Value = Literal["yes", "unsure", "skip", "unusable", "no", "undo"]
VALUES: tuple[Value, ...] = ("yes", "unsure", "skip", "unusable", "no", "undo")
MAX_TEXT = 4096
_CHUNK = 5_000
GATHER_SECONDS = 0.03
"""How long answers of several people are waited for, to be written together: half of the transactions, measured with
fifty people, and the slowest twentieth of the acknowledgements in half the time. Nobody waits who is alone."""


@dataclass(frozen=True)
class AnswerEvent:
    """What one person said of one picture, or took back, with everything needed to weigh it later.

    `client_event_id` is made by the client, once for each press: sending it again is a retry, not a second answer.
    `region` is None for the whole picture. `content_hash` is that of the picture as it was shown. `policy` and
    `probability` say how it was chosen. `undoes` names the `client_event_id` of an answer, or of an undo (a redo).
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
        self._walks: dict[str, Walk] = {}
        self._lock = threading.Lock()
        self._line = Line(self._record, linger=GATHER_SECONDS)
        self._reading = Line(self._move_on)

    def record(self, events: Sequence[AnswerEvent]) -> list[Stored]:
        """Write all events in one transaction, in order; on return they are on the disk.

        An event whose `client_event_id` is known already is a retry: the first one stands, whatever the retry says.
        Raises BadInput, and writes nothing, if any event names an unknown question or class, an empty uid, or takes
        back what is not there or is another person's; only a decision (RESOLVE) may be taken back by another one.
        """
        return self._line.put(events)

    def _record(self, events: Sequence[AnswerEvent]) -> list[Stored]:
        return self._writing(lambda connection: self.record_within(connection, events))

    def undo_batch(self, question_id: str, batch_id: str, person_id: str, client_event_id: str) -> list[Stored]:
        """Take back, in one transaction, every event of this batch of this person that still stands.

        Sending the same `client_event_id` again is a retry. The undo events form a batch under that id, so taking
        that one back is the redo. Gives nothing where nothing stood any more. Raises NotFound, BadInput for no batch.
        """
        ids = (question_id, batch_id, person_id, client_event_id)
        return self._writing(lambda connection: self._undo_batch(connection, *ids))

    def record_within(self, connection: Connection, events: Sequence[AnswerEvent]) -> list[Stored]:
        """`record` as a part of a transaction that the caller has begun with `catalog.writing()`."""
        for event in events:
            check_event(event)
        # The rows of the questions are locked in order, so that numbers become visible in the order they are given:
        # whoever has seen number 7 of a question will never be surprised by a number 6.
        asked = sorted({event.question_id for event in events})
        named = {event.class_id for event in events if event.class_id is not None}
        joined = questions.outerjoin(classes, (classes.c.question_id == questions.c.id) & classes.c.id.in_(named))
        rows = connection.execute(
            sa.select(questions.c.id, questions.c.dataset_id, classes.c.id.label("class_id"))
            .select_from(joined)
            .where(questions.c.id.in_(asked))
            .order_by(questions.c.id)
            .with_for_update(of=questions)
        ).all()
        datasets = {row.id: row.dataset_id for row in rows}
        class_of = {row.class_id: row.id for row in rows}
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
        written: dict[str, int] = {}
        if fresh:
            numbered = table.insert().returning(table.c.client_event_id, table.c.seq, sort_by_parameter_order=True)
            written = {row[0]: row[1] for row in connection.execute(numbered, list(fresh.values()))}
        stored = []
        for event in events:  # the first time that a batch names a new event is the answer, a second time a retry
            seq = written.pop(event.client_event_id, None)
            if seq is not None:
                known[event.client_event_id] = {"seq": seq}
            stored.append(Stored(event.client_event_id, known[event.client_event_id]["seq"], seq is None))
        return stored

    def current(self, question_id: str) -> Mapping[str, CurrentAnswer]:
        """What holds of each whole picture, by uid: what was decided, else what most people say, of a tie the latest.

        Each person has one vote, their last answer that has not been taken back (see `standing.agreed`).
        "no" says what a picture is not and leaves earlier answers standing; it is in `history`. Of a question of
        attributes: the last "yes", else the last answer of any kind. Never changes once given; asking again is free
        until something was recorded.
        """
        return self._holds(question_id, "latest")[0]

    def current_with_seq(self, question_id: str) -> tuple[Mapping[str, CurrentAnswer], int]:
        """`current` and the number of the last event it takes into account."""
        return self._holds(question_id, "latest", "seq")

    def as_of(self, question_id: str, seq: int) -> Walk:
        """What held after event `seq` (0: before the first), with the classes that there are now: its `latest`,
        `attributes` and `provenance`. Goes through every answer up to there. Raises NotFound if there is no such
        question or event."""
        with self._catalog.reading() as connection:
            kind, merged = _merged(connection, question_id)
            events = sa.select(*(table.c[name] for name in WALKED)).where(table.c.question_id == question_id)
            rows = connection.execute(events.where(table.c.seq <= seq).order_by(table.c.seq)).all()
        if not kind or (seq and (not rows or rows[-1].seq != seq)):
            raise NotFound(f"Answer {seq} is not among this question's (any more): an older copy may have come back.")
        walk = Walk(kind)
        walk.take(rows, merged)
        return walk

    def attributes_with_seq(self, question_id: str) -> tuple[Mapping[str, Mapping[str, CurrentAnswer]], int]:
        """Of a question of attributes: uid -> class id -> "yes" or "no" as it holds now; and the last event's number.

        A later answer about the picture as a whole (unsure, skip, unusable) takes the place of all classes, under the
        key `standing.WHOLE`, and the other way round. Empty for other kinds of questions.
        """
        return self._holds(question_id, "attributes", "seq")

    def by_person(self, question_id: str) -> Mapping[tuple[str, str], CurrentAnswer]:
        """The latest standing answer of each person: by (uid, person id)."""
        return self._holds(question_id, "by_person")[0]

    def apart(self, question_id: str) -> Mapping[str, frozenset[str]]:
        """Pictures about which people differ and nobody has decided, by uid: which classes are tied (`Walk.apart`)."""
        return self._holds(question_id, "apart")[0]

    def decided(self, question_id: str) -> Mapping[str, CurrentAnswer]:
        """The answers that somebody has decided where people differed, by uid."""
        return self._holds(question_id, "decided")[0]

    def several_at_work(self, question_id: str) -> bool:
        """Whether several people answer at the same time, as far as this process has read; asks no database."""
        with self._lock:
            walk = self._walks.get(question_id)
            return walk is not None and walk.several_at_work

    def attributes_by_person(self, question_id: str) -> dict[tuple[str, str], Mapping[str, CurrentAnswer]]:
        """`attributes_with_seq` of each person: by (uid, person id). Goes through every answer."""
        (walk,) = self._reading.put([question_id])
        with self._lock:
            return walk.attributes_by_person()

    def provenance(self, question_id: str) -> Mapping[str, Provenance]:
        """How the picture of each standing answer was chosen, by uid."""
        return self._holds(question_id, "provenance")[0]

    def random_checks(self, question_id: str) -> Mapping[str, Provenance]:
        """The pictures that were drawn by chance alone and are answered still, with their first such draw, by uid.

        A picture stays a random check when its answer is corrected later; only the answer is then the later one.
        """
        return self._holds(question_id, "checks")[0]

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
        walk = Walk()
        walk.take([getattr(row, name) for name in WALKED] for row in rows)
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

    def _holds(self, question_id: str, *names: str) -> Any:
        """These properties of the walk, all of one moment that is not before the call."""
        (walk,) = self._reading.put([question_id])
        with self._lock:
            return tuple(getattr(walk, name) for name in names)

    def _move_on(self, question_ids: Sequence[str]) -> list[Walk]:
        """The walks, moved on to the last event. One thread at a time reads, and nobody waits who does not ask."""
        found: dict[str, Walk] = {}
        with self._catalog.reading() as connection:
            for question_id in dict.fromkeys(question_ids):
                found[question_id] = self._walk_within(connection, question_id)
        return [found[question_id] for question_id in question_ids]

    def _walk_within(self, connection: Connection, question_id: str) -> Walk:
        kind, merged = _merged(connection, question_id)
        with self._lock:
            walk = self._walks.setdefault(question_id, Walk(kind)) if kind else Walk()
            known = walk.seq
        rows = connection.execute(
            sa.select(*(table.c[name] for name in WALKED))
            .where(table.c.question_id == question_id, table.c.seq > known)
            .order_by(table.c.seq)
        ).all()
        with self._lock:
            walk.take([row for row in rows if row.seq > walk.seq], merged)
        return walk

    def _undo_batch(
        self, connection: Connection, question_id: str, batch_id: str, person_id: str, client_event_id: str
    ) -> list[Stored]:
        for name, text in (("batch_id", batch_id), ("client_event_id", client_event_id)):
            _check_text(name, text)
            if not text:
                raise BadInput(f"To take back a batch, name it (`{name}` is empty); nothing was recorded.")
        lock = sa.select(questions.c.id).where(questions.c.id == question_id).with_for_update()
        if connection.execute(lock).one_or_none() is None:
            raise NotFound(f"There is no question '{question_id}': reload the page.")
        columns = (table.c.client_event_id, table.c.seq, table.c.uid, table.c.value, table.c.person_id)
        wanted = sa.select(*columns).where(table.c.question_id == question_id).order_by(table.c.seq)
        before = connection.execute(wanted.where(table.c.batch_id == client_event_id)).all()
        if any(row.value != "undo" or row.person_id != person_id for row in before):
            raise BadInput("The id of this undo belongs to other answers; reload the page.")
        if before:
            return [Stored(row.client_event_id, row.seq, True) for row in before]
        own = connection.execute(wanted.where(table.c.batch_id == batch_id, table.c.person_id == person_id)).all()
        if not own:
            raise BadInput("There are no answers of yours under this batch to take back; reload the page.")
        walk = self._walk_within(connection, question_id)
        with self._lock:
            standing = [row for row in own if walk.active[row.client_event_id]]
        return self.record_within(
            connection,
            [
                AnswerEvent(
                    client_event_id=f"{client_event_id}:{row.seq}",
                    question_id=question_id,
                    uid=row.uid,
                    value="undo",
                    person_id=person_id,
                    batch_id=client_event_id,
                    undoes=row.client_event_id,
                )
                for row in standing
            ],
        )

    def _writing(self, work: Callable[[Connection], list[Stored]]) -> list[Stored]:
        for attempt in range(3):
            try:
                with self._catalog.writing(questions_stay=True) as connection:
                    return work(connection)
            except sa.exc.IntegrityError:
                # The same event came through another connection (a second tab, a retry that overtook): now a retry.
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")


def _merged(connection: Connection, question_id: str) -> tuple[str, list[tuple[str, str, int]]]:
    """The question's kind ("" if there is none); what was merged: (class, into, number of the last event before)."""
    joined = questions.outerjoin(
        classes, sa.and_(classes.c.question_id == questions.c.id, classes.c.merged_into.is_not(None))
    )
    rows = connection.execute(
        sa.select(questions.c.kind, classes.c.id, classes.c.merged_into, classes.c.merged)
        .select_from(joined)
        .where(questions.c.id == question_id)
        .order_by(classes.c.id)
    ).all()
    merged = [(row.id, row.merged_into, int((row.merged or {}).get("after", 0))) for row in rows if row.id]
    return (rows[0].kind if rows else ""), merged


def _known(connection: Connection, event_ids: set[str]) -> dict[str, dict[str, Any]]:
    """What is on record under these client event ids: seq, question_id, uid, person_id, policy."""
    found: dict[str, dict[str, Any]] = {}
    ordered = sorted(event_ids)
    names = ("client_event_id", "seq", "question_id", "uid", "person_id", "policy")
    columns = [table.c[name] for name in names]
    for start in range(0, len(ordered), _CHUNK):
        part = ordered[start : start + _CHUNK]
        for row in connection.execute(sa.select(*columns).where(table.c.client_event_id.in_(part))):
            found[row[0]] = dict(zip(names, row, strict=True))
    return found


def check_event(event: AnswerEvent) -> None:
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
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"`{name}` holds a character that cannot be stored ({error.reason}).") from error


def _check_undo(row: dict[str, Any], target: dict[str, Any] | None) -> None:
    if target is None or target["question_id"] != row["question_id"] or target["uid"] != row["uid"]:
        raise BadInput("There is no such answer to take back about this picture; reload the page.")
    decision = target["policy"] == row["policy"] == RESOLVE
    if target["person_id"] != row["person_id"] and not decision:
        raise BadInput("This answer is another person's; only they can take it back.")

"""Several people at one question: what is new, who is here, how far each has come, and where they differ."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from explorer.catalog.database import Catalog
from explorer.catalog.schema import answers, claims, people
from explorer.learning.claims import held_at
from explorer.learning.standing import CurrentAnswer

FRESH_SECONDS = 0.4
MOST_NEW = 2_000
BROUGHT_IN = "Brought in"
"""Who gave the answers that came from a column of a table, and from nobody."""


@dataclass(frozen=True)
class Stand:
    """A question at this moment: the number of its last event, and the people who hold pictures to answer."""

    seq: int
    here: frozenset[str]


@dataclass(frozen=True)
class Share:
    """What one person has done for a question: pictures with an answer, and how many of these have none of the classes.
    `last` is the time of their last answer, UTC seconds."""

    person_id: str
    name: str
    answered: int
    unsure: int
    skipped: int
    last: float


@dataclass(frozen=True)
class Progress:
    """All people, by name, and the pictures: `answered` by anybody, `enough` by as many as are wanted, `apart` where
    people differ and nobody has decided, `decided` by somebody."""

    people: tuple[Share, ...]
    answered: int
    enough: int
    apart: int
    decided: int


class Bulletin:
    """What pages ask for every second, read from the catalogue a few times a second at most, whoever asks.

    Safe to use from several threads.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._stands: dict[str, tuple[float, Stand]] = {}
        self._made: dict[tuple[str, str], tuple[int, Any]] = {}

    def stand(self, question_id: str) -> Stand:
        """At most 0.4 s old. One query, by the indexes of both tables."""
        with self._lock:
            held = self._stands.get(question_id)
        if held is not None and time.monotonic() - held[0] < FRESH_SECONDS:
            return held[1]
        with self._catalog.reading() as connection:
            now = self._catalog.now(connection)
            last = sa.select(sa.func.coalesce(sa.func.max(answers.c.seq), 0).label("seq"), sa.literal("").label("who"))
            live = sa.select(sa.literal(0), claims.c.person_id).distinct()
            both = sa.union_all(
                last.where(answers.c.question_id == question_id),
                live.where(claims.c.question_id == question_id, held_at(now)),
            )
            rows = connection.execute(both).all()
        found = Stand(max(row.seq for row in rows), frozenset(row.who for row in rows if not row.seq and row.who))
        with self._lock:
            self._stands[question_id] = time.monotonic(), found
        return found

    def since(self, question_id: str, seq: int, besides: str) -> set[str]:
        """The pictures that others than `besides` said something of after event `seq`, of the last 2,000 events."""
        events = sa.select(answers.c.uid).where(
            answers.c.question_id == question_id, answers.c.seq > seq, answers.c.person_id != besides
        )
        with self._catalog.reading() as connection:
            return set(connection.execute(events.order_by(answers.c.seq.desc()).limit(MOST_NEW)).scalars())

    def once(self, question_id: str, what: str, seq: int, make: Callable[[], Any]) -> Any:
        """What `make` gives, kept until the question has a newer event than `seq`."""
        with self._lock:
            held = self._made.get((question_id, what))
        if held is not None and held[0] == seq:
            return held[1]
        made = make()
        with self._lock:
            self._made[question_id, what] = seq, made
        return made


def names_of(catalog: Catalog, me: str = "") -> dict[str, str]:
    """What people are called, by person id; `me` is "you", and who started the app here "the owner"."""
    with catalog.reading() as connection:
        named = {row.id: row.name for row in connection.execute(sa.select(people.c.id, people.c.name))}
    named = {"": BROUGHT_IN, "local": "the owner"} | named
    return named | ({me: "you"} if me else {})


def told_apart(names: Mapping[str, str], ids: set[str]) -> dict[str, str]:
    """Names of these people; of two with one name each has the beginning of their id behind it."""
    called = {each: names.get(each, "somebody") for each in ids}
    taken = list(called.values())
    return {each: name if taken.count(name) == 1 else f"{name} ({each[:4]})" for each, name in called.items()}


def progress(
    by_person: Mapping[tuple[str, str], CurrentAnswer],
    apart: Mapping[str, Any],
    decided: Mapping[str, Any],
    names: Mapping[str, str],
    overlap: int = 1,
) -> Progress:
    """From what `AnswerStore` gives under these names; `overlap`: how many people are wanted for each picture."""
    own: dict[str, list[CurrentAnswer]] = {}
    times: dict[str, int] = {}
    for (uid, person_id), answer in by_person.items():
        own.setdefault(person_id, []).append(answer)
        times[uid] = times.get(uid, 0) + 1
    called = told_apart(names, set(own))
    shares = [
        Share(
            person_id,
            called[person_id],
            len(said),
            sum(answer.value == "unsure" for answer in said),
            sum(answer.value == "skip" for answer in said),
            max(answer.at for answer in said),
        )
        for person_id, said in own.items()
    ]
    enough = sum(n >= overlap for n in times.values())
    return Progress(
        tuple(sorted(shares, key=lambda share: (share.name.casefold(), share.person_id))),
        len(times.keys() | decided.keys()),
        enough,
        len(apart),
        len(decided),
    )

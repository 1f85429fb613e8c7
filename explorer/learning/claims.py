"""Who was handed which picture: for a minute nobody else is, unless several are wanted for each picture.

Claims lie in the catalogue, so that several server processes hand out as one. They are taken in one transaction that
holds the question's row, cost one write a batch, and lapse by themselves when somebody leaves.
"""

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from explorer.catalog.database import Catalog
from explorer.catalog.schema import answers, claims, questions
from explorer.errors import BadInput
from explorer.learning.questions import Question
from explorer.learning.standing import CurrentAnswer

CLAIM_SECONDS = 60.0
MOST_OVERLAP = 3


def overlap_of(question: Question) -> int:
    """How many people are to answer each picture, 1 to 3: the question's setting "overlap", 1 unless it was set."""
    wanted = question.settings.get("overlap")
    return wanted if isinstance(wanted, int) and not isinstance(wanted, bool) and 1 <= wanted <= MOST_OVERLAP else 1


def check_overlap(wanted: int) -> int:
    """Raises BadInput unless it can be the setting."""
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= MOST_OVERLAP:
        raise BadInput(f"Each picture can be answered by 1 to {MOST_OVERLAP} people, not by '{wanted}'.")
    return wanted


def answered_by(by_person: Mapping[tuple[str, str], CurrentAnswer]) -> dict[str, set[str]]:
    """Who has answered each picture, in any way: person ids by uid, from `AnswerStore.by_person`."""
    found: dict[str, set[str]] = {}
    for uid, person_id in by_person:
        found.setdefault(uid, set()).add(person_id)
    return found


def held_at(now: float) -> sa.ColumnElement[bool]:
    """Claims that hold. One that would hold for longer than any can was made before a clock was set back."""
    return claims.c.until.between(now, now + CLAIM_SECONDS + 1)


def full(mine: str, people: Collection[str], overlap: int) -> bool:
    """Whether a picture that these people have or had is not for me: I had it, or enough others have."""
    return mine in people or len(people) >= overlap


class ClaimStore:
    """The claims of all questions. Safe to use from several threads and processes."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def others(self, question_id: str, person_id: str) -> dict[str, set[str]]:
        """What other people hold just now: their ids by uid. One query by the primary key."""
        with self._catalog.reading() as connection:
            return self._others(connection, question_id, person_id, self._catalog.now(connection))

    def take(
        self,
        question_id: str,
        person_id: str,
        uids: Sequence[str],
        *,
        overlap: int = 1,
        answered: Mapping[str, Collection[str]] | None = None,
        since: int | None = None,
        keep: Collection[str] = (),
        again: bool = False,
    ) -> list[str]:
        """Claim those of `uids` that may be handed to this person, and return them in order.

        A picture that `overlap` others hold or have answered is not among them. `answered`: who had answered what as of
        event `since`; later answers are looked up here (none are with None). `keep`: what the person has on the screen
        still; other claims of theirs lapse, and everybody's that are over. `again`: the pictures are asked anew,
        whoever has answered them; only who holds them counts.
        """
        known = {} if answered is None or again else answered
        with self._catalog.writing(questions_stay=True) as connection:
            # one hands out at a time, on PostgreSQL too, where writers do not wait for each other by themselves
            connection.execute(sa.select(questions.c.id).where(questions.c.id == question_id).with_for_update())
            now = self._catalog.now(connection)
            later: dict[str, set[str]] = {}
            if since is not None and not again:
                new = sa.select(answers.c.uid, answers.c.person_id)
                of_these = (answers.c.question_id == question_id, answers.c.seq > since, answers.c.uid.in_(uids))
                for row in connection.execute(new.where(*of_these)):
                    later.setdefault(row.uid, set()).add(row.person_id)
            held = self._others(connection, question_id, person_id, now, uids)
            granted = [
                uid
                for uid in dict.fromkeys(uids)
                if not full(person_id, {*known.get(uid, ()), *later.get(uid, ()), *held.get(uid, ())}, overlap)
            ]
            own = (claims.c.question_id == question_id) & (claims.c.person_id == person_id)
            held_now = sa.select(claims.c.uid).where(own, held_at(now))
            kept = {row[0] for row in connection.execute(held_now)} if keep else set()
            over = (claims.c.question_id == question_id) & ~held_at(now)
            connection.execute(claims.delete().where(sa.or_(own, over)))
            wanted = dict.fromkeys([*granted, *(uid for uid in keep if uid in kept)])
            if wanted:
                about = {"question_id": question_id, "person_id": person_id, "until": now + CLAIM_SECONDS}
                connection.execute(claims.insert(), [{"uid": uid, **about} for uid in wanted])
        return granted

    def refresh(self, question_id: str, person_id: str) -> None:
        """Hold for another minute what this person holds still; what has lapsed is not fetched back."""
        with self._catalog.writing(questions_stay=True) as connection:
            now = self._catalog.now(connection)
            own = (claims.c.question_id == question_id) & (claims.c.person_id == person_id)
            later = claims.update().where(own, held_at(now))
            connection.execute(later.values(until=now + CLAIM_SECONDS))

    @staticmethod
    def _others(
        connection: Connection, question_id: str, person_id: str, now: float, uids: Sequence[str] | None = None
    ) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        live = sa.select(claims.c.uid, claims.c.person_id).where(
            claims.c.question_id == question_id, held_at(now), claims.c.person_id != person_id
        )
        if uids is not None:
            live = live.where(claims.c.uid.in_(uids))
        for row in connection.execute(live):
            found.setdefault(row.uid, set()).add(row.person_id)
        return found

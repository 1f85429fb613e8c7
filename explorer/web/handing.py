"""What somebody is handed to answer, so that nobody else is at the same time."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.learning.claims import answered_by, full, overlap_of
from explorer.learning.dealing import Pick
from explorer.learning.questions import Question
from explorer.learning.suggestions import batch_size
from explorer.sharing.access import Person
from explorer.space import Space

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

TRIES = 3
OVERLAP = "overlap"
"""The policy of pictures that somebody has answered and another one is wanted for."""


@dataclass(frozen=True)
class Handed:
    """Pictures that are this person's for a minute. `held`, where there are none: how many are in others' hands that
    they might have had else."""

    why: str
    policy: str
    picks: tuple[Pick, ...]
    held: int


def hand_out(
    rt: "Runtime",
    person: Person,
    question: Question,
    space: Space,
    policy: str,
    n: int | None,
    shown: np.ndarray,
    keep: Collection[str],
) -> Handed:
    """Up to `n` pictures of `shown` (rows of the space), but for those to `keep`, chosen by a policy and claimed.

    Where several people are wanted for each picture, up to half of the most useful ones are such as others have
    answered and this person has not, the longest waiting first; all of them once nothing else is left.
    """
    overlap = overlap_of(question)
    said = rt.answers.by_person(question.id) if overlap > 1 else {}
    answered = answered_by(said)
    several = len(rt.bulletin.stand(question.id).here | {person.id}) > 1

    def open_now() -> np.ndarray:
        done = rt.answers.current(question.id).keys() if overlap == 1 else set()
        return less(shown, space, done | _held(rt, person, question, answered, overlap))

    held: set[str] = set()
    refused: set[str] = set()
    for attempt in range(TRIES):
        if attempt:  # what the others hold is hundreds of rows, and mostly the first pick has none of it
            held = _held(rt, person, question, answered, overlap)
        free = less(shown, space, {*keep, *held, *refused})
        asked = (question.dataset_id, question.id, space.key, policy, n)
        picked = rt.live.deal(*asked, shown, free, several, open_now)
        picks = list(picked.items)
        if overlap > 1 and policy == "useful":
            wanted = n or batch_size(len(answered))
            picks = _with_others(picks, _waiting(rt, person, question, space, answered, overlap, free), wanted)
        uids = [pick.uid for pick in picks]
        granted = set(
            rt.claims.take(
                question.id, person.id, uids, overlap=overlap, answered=answered, since=picked.seq, keep=keep
            )
        )
        if len(granted) == len(picks):
            break
        refused |= set(uids) - granted
    mine = tuple(pick for pick in picks if pick.uid in granted)
    left = set() if mine else _held(rt, person, question, answered, overlap).difference(keep)
    if overlap == 1:
        left -= rt.answers.current(question.id).keys() if left else set()
    else:
        left = {uid for uid in left if not full(person.id, answered.get(uid, ()), overlap)}
    return Handed(picked.why, picked.policy, mine, _count(shown, space, left))


def claim_rows(
    rt: "Runtime", person: Person, question: Question, space: Space, rows: np.ndarray, most: int, again: bool
) -> tuple[np.ndarray, int]:
    """The first `most` of some rows that nobody else holds, claimed; and how many others hold."""
    overlap = 1 if again else overlap_of(question)
    held = _held(rt, person, question, {}, overlap)
    free = [int(row) for row in rows if space.uids[int(row)] not in held]
    uids = [space.uids[row] for row in free[:most]]
    granted = set(rt.claims.take(question.id, person.id, uids, overlap=overlap, again=True))
    left = np.array([row for row in free[:most] if space.uids[row] in granted], np.int64)
    return left, len(rows) - len(free)


def done_rows(rt: "Runtime", person: Person, question: Question, space: Space) -> np.ndarray:
    """(n,) bool: rows of the space that this person is not to be asked about: enough have answered, or they have."""
    have = np.zeros(len(space.uids), bool)
    overlap = overlap_of(question)
    if overlap == 1:
        uids: Iterable[str] = rt.answers.current(question.id)
    else:
        said = answered_by(rt.answers.by_person(question.id))
        decided = rt.answers.decided(question.id)
        uids = {*decided, *(uid for uid, people in said.items() if full(person.id, people, overlap))}
    have[[space.rows[uid] for uid in uids if uid in space.rows]] = True
    return have


def less(shown: np.ndarray, space: Space, uids: Iterable[str]) -> np.ndarray:
    """(n,) bool: `shown` without these pictures."""
    left = shown.copy()
    left[[space.rows[uid] for uid in uids if uid in space.rows]] = False
    return left


def _held(
    rt: "Runtime", person: Person, question: Question, answered: Mapping[str, set[str]], overlap: int
) -> set[str]:
    """Pictures that enough others hold or have answered, of those that anybody holds."""
    held = rt.claims.others(question.id, person.id)
    return {uid for uid, people in held.items() if full(person.id, people | answered.get(uid, set()), overlap)}


def _waiting(
    rt: "Runtime",
    person: Person,
    question: Question,
    space: Space,
    answered: Mapping[str, set[str]],
    overlap: int,
    free: np.ndarray,
) -> list[str]:
    decided = rt.answers.decided(question.id)
    return [
        uid
        for uid, people in answered.items()
        if not full(person.id, people, overlap) and uid not in decided and uid in space.rows and free[space.rows[uid]]
    ]


def _with_others(picks: list[Pick], waiting: list[str], n: int) -> list[Pick]:
    again = [Pick(uid, 1.0, OVERLAP) for uid in waiting[: max(n // 2, n - len(picks))]]
    return [*again, *picks][:n]


def _count(shown: np.ndarray, space: Space, uids: Iterable[str]) -> int:
    return sum(bool(shown[space.rows[uid]]) for uid in uids if uid in space.rows)

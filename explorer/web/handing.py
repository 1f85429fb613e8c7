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
    """Pictures that are this person's for a minute. `held`: how many of the others' hands they might have had else."""

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
    refused: set[str] = set()
    for _ in range(TRIES):
        held = _full(person, rt.claims.others(question.id, person.id), answered, overlap)
        free = less(shown, space, {*keep, *held, *refused})
        picked = rt.live.deal(question.dataset_id, question.id, space.key, policy, n, shown, free)
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
        if granted or not picks:
            break
        refused |= set(uids)
    mine = tuple(pick for pick in picks if pick.uid in granted)
    if overlap == 1:
        still = set(held) - rt.answers.current(question.id).keys()
    else:
        still = {uid for uid in held if not full(person.id, answered.get(uid, ()), overlap)}
    return Handed(picked.why, picked.policy, mine, _count(shown, space, still.difference(keep)))


def claim_rows(
    rt: "Runtime", person: Person, question: Question, space: Space, rows: np.ndarray, most: int, again: bool
) -> tuple[np.ndarray, int]:
    """The first `most` of some rows that nobody else holds, claimed; and how many others hold."""
    overlap = 1 if again else overlap_of(question)
    held = set(_full(person, rt.claims.others(question.id, person.id), {}, overlap))
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


def _full(person: Person, held: Mapping[str, set[str]], answered: Mapping[str, set[str]], overlap: int) -> list[str]:
    return [uid for uid, people in held.items() if full(person.id, people | answered.get(uid, set()), overlap)]


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

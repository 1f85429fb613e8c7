"""What holds now: the standing answers that follow from the events, kept up event by event."""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

WHOLE = ""
"""The key, among the answers to a question of attributes, of one that is about the whole picture: unsure, skip, …"""
CHECK = "random"
"""The policy of pictures drawn by chance alone, from which the whole collection may be judged."""
RESOLVE = "resolve"
"""The policy of an answer that decides what people differ about: it holds over theirs until it is taken back."""
_AT_WORK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CurrentAnswer:
    """The answer that holds now. `class_id` is None unless `value` is "yes" (or an "unsure" that leans); among
    attributes also for "no". Of classes that were merged it names the one that is left."""

    class_id: str | None
    value: str
    seq: int
    person_id: str
    content_hash: str
    at: float


class Provenance(NamedTuple):
    """How a picture came to be answered: what is needed to weigh its answer."""

    policy: str
    probability: float | None
    blind: bool
    at: float
    seq: int
    person_id: str


@dataclass(frozen=True)
class Counts:
    """Answered pictures. What is said of pictures that are gone is kept, and counted apart."""

    answered: int
    """Pictures that are there and have an answer of any kind."""
    gone: int
    """Answered pictures that are no longer in the collection."""
    by_class: dict[str, int]
    """Class id -> pictures that are there and of that class."""
    unsure: int
    skipped: int
    unusable: int


@dataclass(frozen=True)
class Merges:
    """Which classes stand for which. Events keep the class that was pressed."""

    target: Mapping[str, str]
    """Merged class -> the class that it counts as, over any number of steps."""
    below: Mapping[str, tuple[tuple[str, int], ...]]
    """Class -> what was merged into it, each with the number of the last event before that."""

    @classmethod
    def of(cls, merged: Iterable[tuple[str, str, int]]) -> "Merges":
        """From (class, the class it was merged into, number of the last event before that)."""
        step = {one: (into, after) for one, into, after in merged}
        target: dict[str, str] = {}
        below: dict[str, list[tuple[str, int]]] = {}
        for one in step:
            at, last, seen = one, 0, {one}
            while at in step:
                at, after = step[at]
                if at in seen:
                    break
                seen.add(at)
                last = max(last, after)
                below.setdefault(at, []).append((one, last))
            target[one] = at
        return cls(target, {at: tuple(found) for at, found in below.items()})


class _Said(NamedTuple):
    """One event about a whole picture; its answer names the class that was pressed."""

    answer: CurrentAnswer
    batch_id: str | None
    how: Provenance


WALKED = (
    *("seq", "client_event_id", "uid", "value", "class_id", "person_id", "content_hash", "region", "at", "undoes"),
    *("batch_id", "policy", "probability", "blind"),
)
"""Columns of the answers that a walk takes, in order."""


class Walk:
    """The state after the events so far. New events move it on; it never has to start again."""

    def __init__(self, kind: str = "classes") -> None:
        self.kind = kind
        self.seq = 0
        self.active: dict[str, bool] = {}
        self._merged: tuple[tuple[str, str, int], ...] = ()
        self._merges = Merges.of(())
        self._undoes: dict[str, str] = {}
        self._uid: dict[str, str] = {}
        self._said: dict[str, dict[str, _Said]] = {}  # uid -> client_event_id -> event, in order
        self._latest: dict[str, CurrentAnswer] = {}
        self._by_person: dict[tuple[str, str], CurrentAnswer] = {}
        self._attributes: dict[str, Mapping[str, CurrentAnswer]] = {}
        self._provenance: dict[str, Provenance] = {}
        self._checks: dict[str, Provenance] = {}
        self._apart: dict[str, frozenset[str]] = {}
        self._decided: dict[str, CurrentAnswer] = {}
        self._lately: deque[tuple[str, float]] = deque(maxlen=40)
        self._frozen: dict[str, Mapping[Any, Any]] = {}

    # Each of these is a copy that never changes, made anew only after something has changed.

    @property
    def latest(self) -> Mapping[str, CurrentAnswer]:
        return self._copy("latest", self._latest)

    @property
    def by_person(self) -> Mapping[tuple[str, str], CurrentAnswer]:
        return self._copy("by_person", self._by_person)

    @property
    def attributes(self) -> Mapping[str, Mapping[str, CurrentAnswer]]:
        return self._copy("attributes", self._attributes)

    @property
    def provenance(self) -> Mapping[str, Provenance]:
        return self._copy("provenance", self._provenance)

    @property
    def checks(self) -> Mapping[str, Provenance]:
        return self._copy("checks", self._checks)

    @property
    def apart(self) -> Mapping[str, frozenset[str]]:
        """The pictures about which people say different things and nobody has decided -> the classes of which as many
        say one thing as another, so that none holds (WHOLE where a picture has one answer)."""
        return self._copy("apart", self._apart)

    @property
    def decided(self) -> Mapping[str, CurrentAnswer]:
        """The pictures whose answer somebody has decided (RESOLVE), and that answer with its person."""
        return self._copy("decided", self._decided)

    @property
    def several_at_work(self) -> bool:
        """Whether more than one person gave the answers of the last minute before the newest."""
        if not self._lately:
            return False
        since = self._lately[-1][1] - _AT_WORK_SECONDS
        return len({person for person, at in self._lately if at > since}) > 1

    def _copy(self, name: str, state: dict[Any, Any]) -> Mapping[Any, Any]:
        if name not in self._frozen:
            self._frozen[name] = MappingProxyType(state.copy())
        return self._frozen[name]

    def take(self, rows: Iterable[Sequence[Any]], merged: Sequence[tuple[str, str, int]] = ()) -> None:
        """Move on by events (the columns of WALKED) in the order of their numbers; `merged`: all mergings that hold."""
        touched: dict[str | None, None] = {}  # in order, so that every process lists the answers alike
        several = self.kind == "attributes"
        # Reading an attribute of a row takes as long as all the rest here, so each row is taken apart at once.
        for seq, event_id, uid, value, class_id, person, content_hash, region, at, undoes, batch_id, *chosen in rows:
            self.seq = seq
            self.active[event_id] = True
            self._lately.append((person, at))
            if undoes is not None:
                self._undoes[event_id] = undoes
                touched[self._turn(undoes, False)] = None
            elif value == "skip" and chosen[0] == RESOLVE:
                pass  # who leaves a decision to others decides nothing, and keeps their own answer
            elif region is None and (several or value != "no"):
                self._uid[event_id] = uid
                answer = CurrentAnswer(class_id, value, seq, person, content_hash, at)
                policy, probability, blind = chosen
                how = Provenance(policy, probability, blind, at, seq, person)
                self._said.setdefault(uid, {})[event_id] = _Said(answer, batch_id, how)
                touched[uid] = None
        if tuple(merged) != self._merged:
            self._merged = tuple(merged)
            self._merges = Merges.of(merged)
            touched |= dict.fromkeys(self._said)
        if touched:
            self._frozen.clear()
        for uid in touched:
            if uid is not None:
                self._settle(uid)

    def attributes_by_person(self) -> dict[tuple[str, str], Mapping[str, CurrentAnswer]]:
        """(uid, person) -> class -> answer, for those who still have something to say."""
        found = {
            (uid, person): self._verdict(said)
            for uid in self._said
            for person, said in self._persons([each for each in self._standing(uid) if each.how.policy != RESOLVE])
        }
        return {who: verdict for who, verdict in found.items() if verdict}

    def _turn(self, event_id: str, on: bool) -> str | None:
        """Switch an event off or on again; switching an undo turns what it undid the other way. Returns the uid."""
        while event_id in self._undoes:
            self.active[event_id] = on
            event_id, on = self._undoes[event_id], not on
        self.active[event_id] = on
        return self._uid.get(event_id)

    def _standing(self, uid: str) -> Iterator[_Said]:
        return (said for event_id, said in self._said[uid].items() if self.active[event_id])

    @staticmethod
    def _persons(standing: list[_Said]) -> Iterator[tuple[str, list[_Said]]]:
        people = dict.fromkeys(said.answer.person_id for said in standing)
        if len(people) == 1:
            return iter([(next(iter(people)), standing)])
        return ((each, [said for said in standing if said.answer.person_id == each]) for each in people)

    def _settle(self, uid: str) -> None:
        if uid in self._latest:  # else nothing was said of it, or all was taken back: nothing to forget
            for person_id in {said.answer.person_id for said in self._said[uid].values()}:
                self._by_person.pop((uid, person_id), None)
            for state in (self._latest, self._attributes, self._provenance, self._checks, self._apart, self._decided):
                state.pop(uid, None)
        standing = list(self._standing(uid))
        if not standing:
            return
        check = next((said.how for said in standing if said.how.policy == CHECK), None)
        if check is not None:
            self._checks[uid] = check
        decisions = [said for said in standing if said.how.policy == RESOLVE]
        own = [said for said in standing if said.how.policy != RESOLVE] if decisions else standing
        self._provenance[uid] = (decisions or standing)[-1].how
        if self.kind == "attributes":
            self._settle_attributes(uid, own, decisions)
            return
        by_person = {person: self._resolved(said[-1].answer) for person, said in self._persons(own)}
        for person, answer in by_person.items():
            self._by_person[uid, person] = answer
        if decisions:
            self._latest[uid] = self._decided[uid] = self._resolved(decisions[-1].answer)
        elif len(by_person) == 1:
            self._latest[uid] = by_person[own[-1].answer.person_id]
        else:
            self._latest[uid], differ, tied = agreed(list(by_person.values()))
            if differ:
                self._apart[uid] = frozenset({WHOLE}) if tied else frozenset()

    def _settle_attributes(self, uid: str, own: list[_Said], decisions: list[_Said]) -> None:
        """Of each class what most say; what was decided of it holds over that."""
        verdicts = {person: self._verdict(said) for person, said in self._persons(own)}
        for person, said in verdicts.items():
            self._by_person[uid, person] = _summary(said)
        verdict = self._verdict(own)
        differing: set[str] = set()
        tied: set[str] = set()
        if len(verdicts) > 1 and WHOLE not in verdict:
            votes = {c: [each[c] for each in verdicts.values() if c in each] for c in verdict}
            found = {c: agreed(said) for c, said in votes.items()}
            verdict = MappingProxyType({c: answer for c, (answer, _, _) in found.items()})
            differing = {c for c, (_, differ, _) in found.items() if differ}
            tied = {c for c, (_, _, tie) in found.items() if tie}
        if decisions:
            decided = self._verdict(decisions)
            whole = WHOLE in decided or WHOLE in verdict
            verdict = decided if whole else MappingProxyType({**verdict, **decided})
            differing -= differing if whole else set(decided)
            self._decided[uid] = max(decided.values(), key=lambda answer: answer.seq)
        if differing:
            self._apart[uid] = frozenset(tied & differing)
        self._attributes[uid] = verdict
        self._latest[uid] = _summary(verdict)

    def _resolved(self, answer: CurrentAnswer) -> CurrentAnswer:
        target = self._merges.target.get(answer.class_id or "")
        return answer if target is None else replace(answer, class_id=target)

    def _verdict(self, standing: Iterable[_Said]) -> Mapping[str, CurrentAnswer]:
        """Class -> what holds of it, or WHOLE -> an answer about the picture as a whole, whichever came last.

        A merged class is true if one of its parts was true, until it is answered anew itself.
        """
        state: dict[str, _Said] = {}
        for said in standing:
            own = said.answer.class_id
            if own is None:
                state = {WHOLE: said}
                continue
            state.pop(WHOLE, None)
            for part, after in self._merges.below.get(own, ()):
                older = state.get(part)
                one_press = older is not None and said.batch_id is not None and older.batch_id == said.batch_id
                if older is not None and after < said.answer.seq and not one_press:
                    del state[part]
            state[own] = said
        verdict: dict[str, CurrentAnswer] = {}
        for said in state.values():
            answer = self._resolved(said.answer)
            key = answer.class_id or WHOLE
            before = verdict.get(key)
            if before is None or (before.value == "yes", before.seq) < (answer.value == "yes", answer.seq):
                verdict[key] = answer
        return MappingProxyType(verdict)


def agreed(answers: Sequence[CurrentAnswer]) -> tuple[CurrentAnswer, bool, bool]:
    """What holds of answers by different people (at least one); whether they differ; whether it is a tie.

    What most say holds, in the words of whoever said it last; of a tie the last, of which nothing may be learnt.
    Unsure and skip have no vote: who does not know contradicts nobody.
    """
    votes = Counter((answer.value, answer.class_id) for answer in answers if answer.value not in ("unsure", "skip"))
    ranked = votes.most_common(2)
    tied = len(ranked) > 1 and ranked[0][1] == ranked[1][1]
    most = {vote for vote, n in votes.items() if n == ranked[0][1]}
    holds = [answer for answer in answers if not votes or (answer.value, answer.class_id) in most]
    return max(holds, key=lambda answer: answer.seq), len(votes) > 1, tied


def _summary(verdict: Mapping[str, CurrentAnswer]) -> CurrentAnswer:
    """One answer for several attributes: the last that is true, else the last of all, naming no class for a "no"."""
    found = max(verdict.values(), key=lambda answer: (answer.value == "yes", answer.seq))
    return replace(found, class_id=None) if found.value == "no" else found


def count(current: Mapping[str, CurrentAnswer], present: Collection[str]) -> Counts:
    """Count what `AnswerStore.current` gives; `present`: uids of the pictures that are there (a set, or a dict)."""
    here = [answer for uid, answer in current.items() if uid in present]
    by_class: dict[str, int] = {}
    values: dict[str, int] = {}
    for answer in here:
        values[answer.value] = values.get(answer.value, 0) + 1
        if answer.value == "yes" and answer.class_id is not None:
            by_class[answer.class_id] = by_class.get(answer.class_id, 0) + 1
    return Counts(
        answered=len(here),
        gone=len(current) - len(here),
        by_class=by_class,
        unsure=values.get("unsure", 0),
        skipped=values.get("skip", 0),
        unusable=values.get("unusable", 0),
    )


def count_attributes(current: Mapping[str, Mapping[str, CurrentAnswer]], present: Collection[str]) -> Counts:
    """The same of `AnswerStore.attributes_with_seq`: a picture counts in every class that is true of it."""
    here = [verdict for uid, verdict in current.items() if uid in present]
    by_class: dict[str, int] = {}
    for verdict in here:
        for class_id, answer in verdict.items():
            if answer.value == "yes":
                by_class[class_id] = by_class.get(class_id, 0) + 1
    whole = [verdict[WHOLE].value for verdict in here if WHOLE in verdict]
    return Counts(
        answered=len(here),
        gone=len(current) - len(here),
        by_class=by_class,
        unsure=whole.count("unsure"),
        skipped=whole.count("skip"),
        unusable=whole.count("unusable"),
    )

"""What can be said of a question as it stands: how good, how many there are, where the finish line is.

Everything here rests on answers judged by a classifier that had not seen them, and on the random checks. It takes
tenths of a second, and is asked for by the Results page and the report, not after every key press.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import BadInput
from explorer.learning.closer_look import CloserLook, look_closer
from explorer.learning.curve import Curve, learning_curve
from explorer.learning.estimates import CollectionEstimate, Record, distinct, estimate_collection
from explorer.learning.evaluation import Quality, evaluate
from explorer.learning.familiarity import unlike
from explorer.learning.finish import Plan, Verdict, may_stop, plan
from explorer.learning.scoring import AttributeScored, Scored
from explorer.learning.second_looks import SecondLooks, contradicted, differing_duplicates
from explorer.learning.standing import Provenance
from explorer.learning.thresholds import ThresholdCurve, threshold_curve
from explorer.learning.training import Prepared, Training

if TYPE_CHECKING:
    from explorer.learning.scores import Scores

_SAMPLED = 5_000
_NO_ANSWERS = Training(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool))


class Judgement:
    """One question with its classes, or one attribute of several with the classes "not X" and "X"."""

    def __init__(
        self,
        scores: "Scores",
        provenance: Mapping[str, Provenance],
        checks: Mapping[str, Provenance],
        prepared: Prepared,
        attribute: str = "",
    ) -> None:
        """Raises BadInput while there is no classifier, or for an unknown attribute."""
        self.scores, self.space = scores, scores.space
        self._prepared = prepared
        self.names = scores.class_names
        scored = scores.scored
        self.part: Training = scores.parts[0] if scores.parts else _NO_ANSWERS
        if isinstance(scored, AttributeScored):
            if attribute not in scores.class_ids:
                raise BadInput("This answer does not belong to the question (any more); reload the page.")
            place = scores.class_ids.index(attribute)
            scored, self.part = scored.parts[place], scores.parts[place]
            self.names = (f"not {scores.class_names[place]}", scores.class_names[place])
        if scored is None:
            raise BadInput(scores.reason or "Answer pictures where this is true and others where it is not.")
        self.scored: Scored = scored
        self.left_out = self.scored.classifier.loo_probabilities()
        """(m, C): what a classifier says of each answered picture that has not seen its answer."""
        self._order = self._in_order({**provenance, **checks})  # a corrected check stays in its place
        uids = [self.space.uids[row] for row in self.part.rows[self._order]]
        drawn = np.array([uid in checks for uid in uids], bool)
        self.record = Record(self.part.rows[self._order], self.part.y[self._order], drawn)
        self.without_class = scores.answered.copy()
        """(n,) bool: answered, though not with a class."""
        self.without_class[self.part.rows] = False

    def _in_order(self, provenance: Mapping[str, Provenance]) -> np.ndarray:
        """Places of the answers in the order in which they were given."""
        given = [provenance[uid].seq if (uid := self.space.uids[row]) in provenance else 0 for row in self.part.rows]
        return np.argsort(np.array(given, np.int64), kind="stable")

    @cached_property
    def quality(self) -> Quality:
        return judged(self.scored, self.part, list(self.names))

    @cached_property
    def closer(self) -> CloserLook:
        """Its places are those of `witnesses`."""
        kind = self.scores.kind if len(self.names) == len(self.scores.class_names) else "classes"
        at = self.witnesses
        return look_closer(self.left_out[at], self.part.y[at], self.names, self.part.groups[at], kind)

    @cached_property
    def witnesses(self) -> np.ndarray:
        """Places of the answers that judge: those given one by one, where there are any."""
        return witnesses(self.part)

    @cached_property
    def collection(self) -> CollectionEstimate:
        """Accuracy in the whole collection and how many of each class it holds, from the random checks."""
        left_out = self.left_out[self._order]
        return estimate_collection(
            self.record, self.scored.probabilities, left_out, self.names, self._prepared.copies, self.without_class
        )

    @cached_property
    def curve(self) -> Curve:
        vectors = np.asarray(self.space.vectors[self.part.rows])
        return learning_curve(vectors, self.part.y, len(self.names), self.part.groups)

    def threshold(self, place: int) -> ThresholdCurve:
        """Precision and recall of class `place` as the threshold moves. Raises BadInput without answers either way."""
        own = self.part.y == place
        shares, rows = self.scored.probabilities[:, place], self.part.rows
        return threshold_curve(shares, self.left_out[:, place], own, rows, self.part.groups, ~self.without_class)

    def finish(self, place: int, target: float = 0.95) -> tuple[Plan, Verdict]:
        """What is left to do for `target` of class `place` to be found, and whether to stop."""
        n = len(self.space.uids)
        record, stands = distinct(self.record, n, self._prepared.copies, self.without_class)
        shares = np.array(self.scored.probabilities)
        shares[self.part.rows] = self.left_out  # of the answered ones, what is said without their answer
        guessed = shares.argmax(axis=1) == place
        name = self.names[place]
        wanted = plan(record, place, stands, shares[:, place], guessed, name, target, 1 / len(self.names))
        return wanted, may_stop(record, place, stands, guessed, name, target)

    @cached_property
    def second_looks(self) -> SecondLooks:
        """Answers that the rest contradicts, then near-duplicates answered differently."""
        uids = [self.space.uids[row] for row in self.part.rows]
        found = contradicted(uids, self.part.y, self.left_out, self.names, self.part.groups)
        twins = differing_duplicates(uids, self.part.y, self.part.groups, self.names)
        return SecondLooks((*found.items, *twins.items), found.reason)

    @cached_property
    def unlike(self) -> float:
        """Share of the pictures that are unlike anything answered; of a large collection, of a sample of it."""
        n = len(self.space.uids)
        rows = np.arange(n) if n <= _SAMPLED else np.sort(np.random.default_rng(0).choice(n, _SAMPLED, replace=False))
        return float(unlike(self.space.vectors, rows, self.part.rows, self.part.groups).mean())


def judged(scored: Scored, part: Training, names: list[str]) -> Quality:
    """The quality by the answers that were given one by one; by all where none was."""
    at = witnesses(part)
    return evaluate(scored.classifier.loo_probabilities()[at], part.y[at], names, part.groups[at])


def witnesses(part: Training) -> np.ndarray:
    """Places of the answers given one by one, if they are of two classes; else of all."""
    own = np.flatnonzero(part.witnesses)
    return own if len(np.unique(part.y[own])) > 1 else np.arange(len(part.y))


@dataclass(frozen=True)
class Confused:
    """One cell of the confusion matrix: the answered pictures in it."""

    answered: int
    guessed: int
    uids: tuple[str, ...]


def confused(judgement: Judgement, answered: int, guessed: int) -> Confused:
    """The pictures answered as one class and taken for another (or the same), the surest first."""
    guess = judgement.left_out.argmax(axis=1)
    at = judgement.witnesses
    at = at[(judgement.part.y[at] == answered) & (guess[at] == guessed)]
    at = at[np.argsort(-judgement.left_out[at, guessed], kind="stable")]
    return Confused(answered, guessed, tuple(judgement.space.uids[row] for row in judgement.part.rows[at]))

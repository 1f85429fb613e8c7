"""What is known of every picture of one space once a question has answers: the classifier and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.learning.answers import CurrentAnswer
from explorer.learning.classifier import LinearClassifier
from explorer.learning.evaluation import Quality
from explorer.learning.judgement import judged
from explorer.learning.questions import Question
from explorer.learning.scoring import AttributeScored, Scored
from explorer.learning.training import Gathered, Prepared, Training, fit, method_of

if TYPE_CHECKING:
    from explorer.space import Space


@dataclass(frozen=True)
class Scores:
    """What is known of every picture of one space, as of answer `seq`."""

    dataset_id: str
    seq: int
    ready: bool
    reason: str
    """Why there is no classifier yet, in words; empty when there is."""
    kind: str
    method: str
    """What was fitted: one of `methods.METHODS`."""
    class_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    scored: Scored | AttributeScored | None
    quality: Quality | None
    answers: Mapping[str, CurrentAnswer]
    """Every answer that holds, by uid, also of pictures outside the space."""
    attributes: Mapping[str, Mapping[str, CurrentAnswer]]
    """Of a question of attributes: uid -> class id -> what holds (see `AnswerStore.attributes_with_seq`)."""
    answered: np.ndarray
    """(n,) bool: the rows that have an answer of any kind."""
    parts: tuple[Training, ...]
    """What was learnt from; of attributes one each."""
    trained: int
    """Answers that the classifier rests on."""
    changed: int
    """Answers left out because the file has been edited since."""
    generation: int
    space: "Space"

    @property
    def probabilities(self) -> np.ndarray:
        """(n, C) float32 in the rows of the space; (0, C) while not ready. Of attributes, how likely each is."""
        return np.zeros((0, len(self.class_ids)), np.float32) if self.scored is None else self.scored.probabilities

    @property
    def classifier(self) -> LinearClassifier | None:
        """Of a question with one classifier; attributes have one each, in `scored.parts`."""
        return self.scored.classifier if isinstance(self.scored, Scored) else None

    def probabilities_of(self, rows: np.ndarray) -> np.ndarray:
        """(m,) rows to (m, C) float32, without computing all the others; (m, 0) while not ready."""
        return np.zeros((len(rows), 0), np.float32) if self.scored is None else self.scored.probabilities_of(rows)


def compute(
    question: Question,
    prepared: Prepared,
    gathered: Gathered,
    answers: Mapping[str, CurrentAnswer],
    attributes: Mapping[str, Mapping[str, CurrentAnswer]] | None,
    seq: int,
) -> Scores:
    """Fit the question's classifier over a space, as of answer `seq`."""
    scored = fit(question, gathered, prepared)
    names = tuple(one.name for one in question.classes)
    return Scores(
        dataset_id=question.dataset_id,
        seq=seq,
        ready=scored is not None,
        reason="" if scored is not None else _not_ready(question),
        kind=question.kind,
        method=method_of(question),
        class_ids=question.class_ids,
        class_names=names,
        scored=scored,
        quality=_quality(scored, gathered.parts, names),
        answers=answers,
        attributes=attributes or {},
        answered=gathered.answered,
        parts=gathered.parts,
        trained=max((len(part.rows) for part in gathered.parts), default=0),
        changed=gathered.changed,
        generation=prepared.space.generation,
        space=prepared.space,
    )


def _not_ready(question: Question) -> str:
    if question.kind == "attributes":
        return "Answer at least one picture where something is true and one where it is not."
    if len(question.classes) < 2:
        return "Give this question at least two classes."
    return "Answer at least one picture of each of two classes; then every picture gets a score."


def _quality(
    scored: Scored | AttributeScored | None, parts: tuple[Training, ...], names: tuple[str, ...]
) -> Quality | None:
    if scored is None:
        return None
    if isinstance(scored, Scored):
        return judged(scored, parts[0], list(names))
    found = [
        judged(one, part, [f"not {name}", name])
        for one, part, name in zip(scored.parts, parts, names, strict=True)
        if one is not None
    ]
    return min(found, key=lambda quality: quality.balanced_accuracy)

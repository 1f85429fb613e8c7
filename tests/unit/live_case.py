"""A question over a space made from arrays, for the tests of what follows from its answers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.catalog.database import Catalog
from explorer.errors import NotFound
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.dealing import Suggested
from explorer.learning.live import LiveQuestions, Order
from explorer.learning.questions import Question, QuestionStore
from explorer.learning.scores import Scores
from explorer.space.spread import Spread


@dataclass
class Drawer:
    """A space as the live questions see one, made from arrays."""

    vectors: np.ndarray
    uids: list[str]
    hashes: list[str]
    key: str = "looks"
    generation: int = 1
    duplicates: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"group": [], "row": []}))
    rows: dict[str, int] = field(init=False)
    neighbours: np.ndarray = field(init=False)
    distances: np.ndarray = field(init=False)
    spread: Spread = field(init=False)

    def __post_init__(self) -> None:
        self.rows = {uid: row for row, uid in enumerate(self.uids)}
        alike = self.vectors @ self.vectors.T
        np.fill_diagonal(alike, -2)
        self.neighbours = np.argsort(-alike, axis=1)[:, :5].astype(np.int32)
        self.distances = (1 - np.take_along_axis(alike, self.neighbours, axis=1)).astype(np.float32)
        self.spread = Spread(self.neighbours, self.distances)


class Case:
    """60 kitchens, 60 bathrooms, and a question about them."""

    def __init__(self, folder: Path, n: int = 120, d: int = 48, classes: int = 2) -> None:
        rng = np.random.default_rng(0)
        self.truth = np.arange(n) % classes
        X = rng.normal(size=(classes, d))[self.truth] + 1.5 * rng.normal(size=(n, d))
        X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
        self.space: Any = Drawer(X, [f"{i:05}.jpg" for i in range(n)], [f"{i:032x}" for i in range(n)])
        self.catalog = Catalog.open(f"sqlite:///{folder / 'catalog.db'}")
        self.answers = AnswerStore(self.catalog)
        self.questions = QuestionStore(self.catalog)
        names = ["kitchen", "bathroom", *(f"room {i}" for i in range(2, classes))]
        self.question: Question = self.questions.create("photos", "Which room?", names)
        self.live = LiveQuestions(self.catalog, self.open_space)
        self.events = 0

    def open_space(self, dataset_id: str, key: str) -> Any:
        if (dataset_id, key) != ("photos", "looks"):
            raise NotFound(f"no space {key}")
        return self.space

    def answer(
        self,
        rows: list[int],
        value: Any = "yes",
        wrong: bool = False,
        content_hash: str | None = None,
        by: str = "ann",
    ) -> int:
        events = []
        for row in rows:
            self.events += 1
            place = (self.truth[row] + wrong) % len(self.question.classes)
            class_id = self.question.classes[place].id if value == "yes" else None
            shown = self.space.hashes[row] if content_hash is None else content_hash
            events.append(
                AnswerEvent(
                    f"e{self.events}",
                    self.question.id,
                    self.space.uids[row],
                    value,
                    class_id,
                    content_hash=shown,
                    person_id=by,
                )
            )
        return self.answers.record(events)[-1].seq

    def scores(self, after: int = 0) -> Scores:
        return self.live.scores("photos", self.question.id, "looks", after)

    def order(self, **more: Any) -> Order:
        return self.live.order("photos", self.question.id, "looks", **more)

    def batch(self, **more: Any) -> Suggested:
        return self.live.batch("photos", self.question.id, "looks", **more)

"""What is said of a question as a whole, put together from real answers on the demo."""

from pathlib import Path

import numpy as np
import pytest

from explorer.catalog.database import Catalog
from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.familiarity import unlike
from explorer.learning.judgement import Judgement, confused
from explorer.learning.live import LiveQuestions
from explorer.learning.questions import QuestionStore
from explorer.space import Space, list_spaces, open_space
from explorer.workspace import Workspace

ALIVE = ("animals", "people", "plants")


class Asked:
    """ "Is it alive?" about the demo, answered as the folders say, half of it by lot."""

    def __init__(self, demo: Workspace, folder: Path, kind: str = "classes") -> None:
        dataset = Dataset.open(demo, demo.dataset_ids()[0])
        self.space: Space = open_space(dataset, list_spaces(dataset)[0].key)
        self.catalog = Catalog.open(f"sqlite:///{folder / 'judged.db'}")
        self.answers = AnswerStore(self.catalog)
        self.live = LiveQuestions(self.catalog, lambda dataset_id, key: self.space)
        self.question = QuestionStore(self.catalog).create("photos", "Alive?", ["no", "yes"], kind=kind)
        self.truth = np.array([uid.startswith(ALIVE) for uid in self.space.uids]).astype(int)
        self.rng = np.random.default_rng(0)
        self.given = 0

    def answer(self, count: int, policy: str) -> None:
        current = self.answers.current(self.question.id)
        rows = [row for row, uid in enumerate(self.space.uids) if uid not in current]
        for row in self.rng.choice(rows, count, replace=False):
            self.say(int(row), int(self.truth[row]), policy)

    def say(self, row: int, place: int, policy: str) -> None:
        self.given += 1
        event = AnswerEvent(
            f"e{self.given}", self.question.id, self.space.uids[row], "yes",
            class_id=self.question.class_ids[place], policy=policy, probability=0.1,
        )  # fmt: skip
        self.answers.record([event])

    def judged(self) -> Judgement:
        return self.live.judgement("photos", self.question.id, "content")


@pytest.fixture
def asked(demo_workspace: Workspace, tmp_path: Path) -> Asked:
    made = Asked(demo_workspace, tmp_path)
    made.answer(40, "useful")
    made.answer(40, "random")
    return made


def test_everything_that_is_said_of_a_question_holds_on_the_demo(asked: Asked) -> None:
    judged = asked.judged()
    assert judged is asked.judged()  # kept until something changes
    assert judged.record.checks.sum() == 40
    assert judged.closer.reliability.sentence
    rows, guess = judged.part.rows, judged.scored.probabilities.argmax(axis=1)
    open_rows = np.setdiff1d(np.arange(len(guess)), rows)
    right = (guess == asked.truth)[open_rows].mean()
    assert judged.collection.rest_accuracy.low - 0.05 <= right <= judged.collection.rest_accuracy.high + 0.05
    alive = judged.collection.counts[1]
    assert alive.low - 20 <= asked.truth.sum() <= alive.high + 20
    curve = judged.threshold(1)
    above, precision, recall = curve.at(0.5)
    chosen = judged.scored.probabilities[:, 1] >= 0.5
    assert abs(above - chosen.sum()) <= 40
    assert precision.low <= asked.truth[chosen].mean() <= precision.high
    assert recall.low <= (chosen & (asked.truth == 1)).sum() / asked.truth.sum() <= recall.high
    plan, verdict = judged.finish(1, 0.9)
    assert not verdict.stop
    assert plan.total.low <= asked.truth.sum() <= plan.total.high
    assert asked.truth[plan.queue[:50]].mean() > 2 * asked.truth.mean()
    assert not set(plan.queue.tolist()) & set(rows.tolist())
    assert len(judged.curve.points) > 2
    assert 0 <= judged.unlike < 0.5


def test_the_confusion_and_second_looks_lead_to_pictures(asked: Asked) -> None:
    turned = [row for row, uid in enumerate(asked.space.uids) if asked.truth[row] == 1][::60][:4]
    for row in turned:
        asked.say(row, 0, "review")  # wrong on purpose
    judged = asked.judged()
    cells = [confused(judged, a, g).uids for a in (0, 1) for g in (0, 1)]
    assert sum(map(len, cells)) == len(judged.part.rows)
    matrix = judged.quality.confusion
    assert [len(cell) for cell in cells] == matrix.ravel().tolist()
    found = [look.uid for look in judged.second_looks.items][:12]
    assert len(set(found) & {asked.space.uids[row] for row in turned}) >= 1


def test_attributes_are_judged_one_by_one(demo_workspace: Workspace, tmp_path: Path) -> None:
    made = Asked(demo_workspace, tmp_path, kind="attributes")
    for row in range(0, 1200, 15):
        event = AnswerEvent(
            f"a{row}", made.question.id, made.space.uids[row], "yes" if made.truth[row] else "no",
            class_id=made.question.class_ids[1], policy="random",
        )  # fmt: skip
        made.answers.record([event])
    judged = made.live.judgement("photos", made.question.id, "content", made.question.class_ids[1])
    assert judged.names == ("not yes", "yes")
    assert judged.quality.accuracy > 0.6
    with pytest.raises(BadInput, match="reload"):
        made.live.judgement("photos", made.question.id, "content", "nothing")
    with pytest.raises(BadInput, match="true"):
        made.live.judgement("photos", made.question.id, "content", made.question.class_ids[0])


def test_nothing_is_judged_before_there_is_a_classifier(demo_workspace: Workspace, tmp_path: Path) -> None:
    made = Asked(demo_workspace, tmp_path)
    with pytest.raises(BadInput, match="two classes"):
        made.judged()


def test_pictures_unlike_anything_answered_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 40))
    cloud = np.repeat(np.arange(5), 60)
    X = centres[cloud] + 0.5 * rng.normal(size=(300, 40))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    answered = np.flatnonzero(cloud < 4)[::4]  # nothing of the last cloud
    found = unlike(X, np.arange(300), answered, answered)
    assert found[cloud == 4].mean() > 0.95
    assert found[cloud < 4].mean() < 0.1
    assert not found[answered].any()
    assert not unlike(X, np.arange(300), answered[:10], answered[:10]).any()

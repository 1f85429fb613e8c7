"""The benchmark of many people, small: its load arrives, what it counts is what the database holds."""

import pytest

from benchmarks import people
from explorer.catalog.database import Catalog
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.questions import QuestionStore


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_BENCH_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(people, "UP_SECONDS", (0.5, 1.5))


def test_people_come_by_links_and_what_they_answer_is_there(small):
    """Two people for three seconds over websockets, and once more with a server that is killed."""
    found = people.run(people=2, seconds=3, items=1_000, dimensions=16, kills=1, databases=("sqlite",))
    figures, detail = found["figures"], found["detail"]
    assert figures["acknowledged"] == 12
    assert figures["lost"] == figures["doubled"] == figures["lost_after_1_kills"] == 0
    assert 0 < figures["post_p95_ms.sqlite"] < 10_000
    assert detail["sqlite"]["open_at_the_end"] == 2
    assert detail["sqlite"]["order_ms"]["n"] >= 4
    assert detail["sqlite"]["tracebacks"] == detail["killed"]["tracebacks"] == 0
    assert detail["killed"]["sent_again"] > 0
    assert detail["killed"]["acknowledged"] > 0


def test_a_lost_and_a_doubled_answer_are_counted(workspace):
    catalog = Catalog.open(workspace.catalog_url)
    question = QuestionStore(catalog).create("photos", "Which?", ["a", "b"])
    said = [("one", "x"), ("again", "x"), ("two", "y")]
    AnswerStore(catalog).record(
        [AnswerEvent(name, question.id, uid, "yes", question.classes[0].id, person_id="ann") for name, uid in said]
    )
    presses = [["one", "x", 1, 5.0], ["two", "y", 2, 7.0], ["three", "z", 1, 9.0], ["four", "w", 3, None]]
    person = {"presses": presses, "order_ms": [], "batch_ms": [], "stale_s": [], "failed": []}
    told = people._judged(catalog, question.id, {"people": [person], "client_behind_ms": []})
    catalog.close()
    assert told["lost"] == 2  # one was acknowledged and is not there, one was never acknowledged
    assert told["doubled"] == 1
    assert told["acknowledged"] == 3
    assert told["sent_again"] == 2

"""Answers outlive a killed process, one by one and in bulk, and many at once take seconds."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer.catalog.database import Catalog
from explorer.learning.answers import AnswerStore
from explorer.learning.questions import Question, QuestionStore
from tests.unit.test_answers import event

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


@pytest.fixture
def elsewhere(catalog: Catalog) -> Iterator[Catalog]:
    """The same catalogue as another process sees it."""
    opened = Catalog.open(catalog.url)
    yield opened
    opened.close()


@pytest.fixture
def question(catalog: Catalog) -> Question:
    return QuestionStore(catalog).create("photos", "Which room?", ["kitchen", "bathroom"])


def test_fifty_thousand_answers_are_recorded_in_seconds(tmp_path: Path) -> None:
    """In processor time, since other work may share the machine; on an idle one the clock says about the same."""
    catalog = Catalog.open(f"sqlite:///{tmp_path / 'bulk.db'}")
    made = QuestionStore(catalog).create("photos", "Q", ["kitchen", "bathroom"])
    events = [dataclasses.replace(event(made, f"{i}", f"{i}.jpg"), batch_id="b") for i in range(50_000)]
    started = time.process_time()
    stored = AnswerStore(catalog).record(events)
    assert time.process_time() - started < 5
    assert stored[-1].seq - stored[0].seq == 49_999
    assert len(AnswerStore(catalog).current(made.id)) == 50_000
    catalog.close()


RECORDING = """
import json, sys
from explorer.catalog.database import Catalog
from explorer.learning.answers import AnswerEvent, AnswerStore
url, question, kitchen = sys.argv[1:4]
store = AnswerStore(Catalog.open(url))
for line in sys.stdin:
    i = json.loads(line)
    (stored,) = store.record([AnswerEvent(f"press-{i}", question, f"{i}.jpg", "yes", kitchen, person_id="ann")])
    print(json.dumps([stored.client_event_id, stored.seq, stored.duplicate]), flush=True)
"""


def test_no_acknowledged_answer_is_lost_when_the_process_is_killed(
    catalog: Catalog, elsewhere: Catalog, question: Question
) -> None:
    """200 answers; the recording process is killed again and again, and the client sends what was not acknowledged."""
    acknowledged: dict[str, int] = {}
    waiting = list(range(200))
    killed = retried = 0
    while waiting and killed < 5:
        worker = subprocess.Popen(
            [sys.executable, "-c", RECORDING, catalog.url, question.id, question.classes[0].id],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write("".join(f"{json.dumps(i)}\n" for i in waiting))
        worker.stdin.close()
        goal = len(acknowledged) + 45
        for line in worker.stdout:
            event_id, seq, duplicate = json.loads(line)
            retried += duplicate
            acknowledged[event_id] = seq
            if len(acknowledged) == goal and killed < 4:
                worker.kill()  # SIGKILL while it goes on recording; lines already in the pipe still arrive
                killed += 1
                goal = -1
        worker.stdout.close()
        assert worker.wait() in (0, -9)  # it ended by itself, or by our kill
        # The client is cautious: it sends again the last few that were acknowledged, too.
        waiting = [i for i in waiting if f"press-{i}" not in acknowledged]
        if waiting:
            waiting = [waiting[0] - 1, *waiting]
    assert killed == 4
    assert retried >= 4
    recorded = {entry.event.client_event_id: entry.seq for entry in AnswerStore(elsewhere).history(question.id)}
    assert len(AnswerStore(catalog).history(question.id)) == 200
    assert recorded == acknowledged


BULK = """
import sys
from explorer.catalog.database import Catalog
from explorer.learning.answers import AnswerEvent, AnswerStore
url, question, kitchen = sys.argv[1:4]
store = AnswerStore(Catalog.open(url))
for bulk in map(int, sys.stdin):
    print("begun", bulk, flush=True)
    store.record([
        AnswerEvent(f"{bulk}-{i}", question, f"{bulk}/{i}.jpg", "yes", kitchen, batch_id=f"b{bulk}")
        for i in range(1000)
    ])
    print("done", bulk, flush=True)
"""


def test_a_bulk_is_whole_or_not_there_when_the_process_is_killed(catalog: Catalog, question: Question) -> None:
    """The recording process is killed somewhere inside bulks of 1,000 answers, which the client then sends again."""
    acknowledged: set[int] = set()
    for delay in (0.005, 0.06, None):
        worker = subprocess.Popen(
            [sys.executable, "-c", BULK, catalog.url, question.id, question.classes[0].id],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdin
        assert worker.stdout
        # also what was acknowledged already: a client that never heard of it
        worker.stdin.write("".join(f"{bulk}\n" for bulk in range(6)))
        worker.stdin.close()
        for line in worker.stdout:
            word, number = line.split()
            if word == "done":
                acknowledged.add(int(number))
            elif delay is not None and int(number) == len(acknowledged):
                time.sleep(delay)
                worker.kill()
        worker.stdout.close()
        assert worker.wait() == (0 if delay is None else -9)
        counts: dict[str, int] = {}
        for entry in AnswerStore(catalog).history(question.id):
            counts[entry.event.batch_id or ""] = counts.get(entry.event.batch_id or "", 0) + 1
        assert set(counts.values()) <= {1_000}
        assert {f"b{bulk}" for bulk in acknowledged} <= set(counts)
    assert len(counts) == 6

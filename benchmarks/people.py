"""Fifty people labelling at once: what is acknowledged, lost or doubled, how soon, with servers that are killed too."""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks.running import ROOT, RunningApp, app_server, free_port
from benchmarks.synthetic import RECIPE, kinds_of, synthetic
from explorer.catalog import Catalog
from explorer.catalog.schema import answers
from explorer.collection.dataset import Dataset
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.questions import QuestionStore
from explorer.sharing.access import Scope
from explorer.sharing.links import LinkStore
from explorer.workspace import Workspace

TARGETS = {
    "lost": "= 0",
    "doubled": "= 0",
    "post_p95_ms.sqlite": "<= 100",
    "post_p95_ms.postgresql": "<= 100",
    "mb_per_session": "<= 15",
    "lost_after_20_kills": "= 0",
}
RATE = 2.0
"""Answers a second and person."""
CLASSES, BEFORE, BEGINNER = 2, 40, "beginner"
"""Classes of the question; answers before the clock starts, so that there are scores to keep alive, and whose."""
UP_SECONDS = (1.0, 4.0)
"""How long a server that will be killed is left to work, at random."""


def run(
    people: int = 50,
    seconds: float = 60,
    items: int = 100_000,
    dimensions: int = 512,
    kills: int = 20,
    databases: tuple[str, ...] = ("sqlite", "postgresql"),
) -> dict[str, Any]:
    """One server on loopback for each database, then one that is killed again and again.

    `post_p95_ms` counts from the press to the acknowledgement, waiting behind one's own earlier request included.
    `lost`: acknowledged answers that are not in the database, and pressed ones that were never acknowledged;
    `doubled`: pictures that a person answered once and that stand there twice. EXPLORER_PEOPLE="10,20" makes it ten
    people and twenty seconds; EXPLORER_BENCH_WORKSPACE says where the collection is kept (0.5 GB).
    """
    if os.environ.get("EXPLORER_PEOPLE"):
        people, seconds = (int(part) for part in os.environ["EXPLORER_PEOPLE"].split(","))
    root = Path(os.environ.get("EXPLORER_BENCH_WORKSPACE") or ROOT / "build" / "benchmarks") / "people"
    root.mkdir(parents=True, exist_ok=True)
    dataset = synthetic(Workspace(root), items, dimensions)
    found = {}
    for kind in databases:
        with _database(kind) as url:
            found[kind] = _load(root, dataset, url, people, seconds)
    with _database("sqlite") as url:
        found["killed"] = _load(root, dataset, url, people, seconds, kills)
    figures = {
        "acknowledged": sum(found[kind]["acknowledged"] for kind in databases),
        "lost": sum(found[kind]["lost"] for kind in databases),
        "doubled": sum(each["doubled"] for each in found.values()),
        **{f"post_p95_ms.{kind}": found[kind]["post_ms"]["p95"] for kind in databases},
        "mb_per_session": max(found[kind]["mb_per_session"] for kind in databases),
        f"lost_after_{kills}_kills": found["killed"]["lost"],
    }
    return {"figures": figures, "detail": {"people": people, "answers_per_second": people * RATE, **found}}


def _load(root: Path, dataset: Dataset, url: str, people: int, seconds: float, kills: int = 0) -> dict[str, Any]:
    """What came of one load. With `kills` it goes on until the server was killed and started again so often."""
    catalog = Catalog.open(url)
    catalog.register_dataset(dataset.id, dataset.name)
    plan = _plan(catalog, dataset, people)
    memory: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="people-") as place,
        app_server(root, Path(place) / "server.log", EXPLORER_DATABASE_URL=url) as app,
    ):
        plan |= {"port": app.port, "seconds": None if kills else seconds, "rate": RATE, "sockets": not kills}
        with _clients(plan) as clients:
            for stage in ("in",) if kills else ("first", "open"):
                _hear(clients, stage)
                memory[stage] = _resident_mb(app)
                _say(clients)
            for _ in range(kills):
                time.sleep(random.uniform(*UP_SECONDS))
                app.kill()
                app.start()
            if kills:
                _say(clients)
            told = _hear(clients, "done")
        memory["end"] = _resident_mb(app)
        tracebacks = app.said().count("Traceback (most recent call last)")
    result = _judged(catalog, plan["question"], told) | {"tracebacks": tracebacks, "kills": kills}
    catalog.close()
    if "open" in memory:
        result["mb_per_session"] = round((memory["open"] - memory["first"]) / max(people - 1, 1), 2)
        result |= {"mb": {name: round(mb) for name, mb in memory.items()}, "open_at_the_end": told["open"]}
    return result


def _plan(catalog: Catalog, dataset: Dataset, people: int) -> dict[str, Any]:
    """A question with a few answers, a label link for each person, and what is right about each picture."""
    kinds = kinds_of(dataset)
    uids = dataset.items["uid"].tolist()
    question = QuestionStore(catalog).create(dataset.id, "Which kind?", [f"kind {k}" for k in range(CLASSES)])
    classes = list(question.class_ids)
    rng = np.random.default_rng(0)
    first = [row for k in range(CLASSES) for row in rng.choice(np.flatnonzero(kinds % CLASSES == k), BEFORE // CLASSES)]
    AnswerStore(catalog).record(
        [
            AnswerEvent(
                uuid.uuid4().hex, question.id, uids[row], "yes", classes[int(kinds[row]) % CLASSES], person_id=BEGINNER
            )
            for row in first
        ]
    )
    links = LinkStore(catalog)
    scope = Scope(dataset.id, question.id)
    made = [links.create("label", scope, name=f"Person {place}", seats=1, start="/label") for place in range(people)]
    return {
        "secrets": [secret for _, secret in made],
        "dataset": dataset.id,
        "question": question.id,
        "classes": classes,
        "space": RECIPE.key,
        "uids": uids,
        "kinds": dict(zip(uids, kinds.tolist(), strict=True)),
    }


@contextlib.contextmanager
def _clients(plan: dict[str, Any]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.people_load"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan) + "\n")
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _hear(clients: "subprocess.Popen[str]", stage: str) -> dict[str, Any]:
    assert clients.stdout is not None
    line = clients.stdout.readline()
    if not line:
        raise RuntimeError(f"The people's process ended with {clients.wait()} before '{stage}'.")
    said: dict[str, Any] = json.loads(line)
    assert said["stage"] == stage, said["stage"]
    return said


def _say(clients: "subprocess.Popen[str]") -> None:
    assert clients.stdin is not None
    clients.stdin.write("\n")
    clients.stdin.flush()


def _judged(catalog: Catalog, question_id: str, told: dict[str, Any]) -> dict[str, Any]:
    """What the people were told against what the database holds."""
    with catalog.reading() as connection:
        columns = (answers.c.client_event_id, answers.c.person_id, answers.c.uid)
        rows = connection.execute(sa.select(*columns).where(answers.c.question_id == question_id)).all()
    held = Counter(row.client_event_id for row in rows)
    presses = [press for person in told["people"] for press in person["presses"]]
    acknowledged = [press for press in presses if press[3] is not None]
    twice = Counter((row.person_id, row.uid) for row in rows if row.person_id != BEGINNER)
    return {
        "acknowledged": len(acknowledged),
        "lost": sum(press[0] not in held for press in acknowledged) + len(presses) - len(acknowledged),
        "doubled": sum(count - 1 for count in held.values()) + sum(count - 1 for count in twice.values()),
        "sent_again": sum(press[2] > 1 for press in presses),
        "failed_requests": sum(len(person["failed"]) for person in told["people"]),
        "failures": dict(Counter(words for person in told["people"] for words in person["failed"]).most_common(5)),
        "post_ms": _shares([press[3] for press in acknowledged]),
        "order_ms": _shares([ms for person in told["people"] for ms in person["order_ms"]]),
        "batch_ms": _shares([ms for person in told["people"] for ms in person["batch_ms"]]),
        "stale_ms": _shares([1e3 * seconds for person in told["people"] for seconds in person["stale_s"]]),
        "client_behind_ms": _shares(told["client_behind_ms"]),
    }


def _shares(values: list[float]) -> dict[str, float]:
    if not values:
        return {"n": 0}
    found = {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 95, 99, 100)}
    return {"n": len(values), **found}


def _resident_mb(app: RunningApp) -> float:
    """Memory that the server holds, MB; of Linux."""
    assert app.process is not None
    status = Path(f"/proc/{app.process.pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


@contextlib.contextmanager
def _database(kind: str) -> Iterator[str]:
    """The URL of an empty catalogue: a file, or a PostgreSQL server of its own (Debian's), both on the disk."""
    with tempfile.TemporaryDirectory(prefix="people-") as place:
        if kind == "sqlite":
            yield f"sqlite:///{place}/catalog.db"
            return
        homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        if not homes:
            raise RuntimeError("There is no PostgreSQL server on this machine: apt-get install postgresql.")
        owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to run as root
        if owner:
            shutil.chown(place, "postgres")
        data, port = Path(place) / "data", free_port()
        quiet: dict[str, Any] = {"cwd": place, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        made = [*owner, str(homes[-1] / "initdb"), "-D", str(data), "-U", "explorer", "-A", "trust", "-E", "UTF8"]
        subprocess.run(made, check=True, **quiet)
        flags = ["-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", place]
        server = subprocess.Popen([*owner, str(homes[-1] / "postgres"), *flags], stderr=subprocess.DEVNULL, **quiet)
        try:
            yield _created(port)
        finally:
            server.terminate()
            server.wait(30)


def _created(port: int) -> str:
    import psycopg

    end = time.monotonic() + 30
    while True:
        try:
            with psycopg.connect(f"host=127.0.0.1 port={port} user=explorer dbname=postgres", autocommit=True) as base:
                base.execute("CREATE DATABASE explorer")
            return f"postgresql+psycopg://explorer@127.0.0.1:{port}/explorer"
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)

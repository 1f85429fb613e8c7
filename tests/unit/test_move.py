"""A catalogue moves from SQLite to PostgreSQL and back with every row, and answers go on where they stopped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks import running
from explorer.catalog import Catalog, schema
from explorer.catalog.move import TABLES, move, rows_of
from explorer.catalog.views import ViewStore
from explorer.errors import BadInput, Busy
from explorer.jobs import Jobs
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.questions import QuestionStore
from explorer.sharing.access import Scope
from explorer.sharing.links import LinkStore
from tests.unit.test_catalog import as_first_made


def filled(catalog: Catalog) -> str:
    """Something in every table that people fill; returns the question. Its last answer was given and deleted."""
    catalog.register_dataset("photos", "Photos – Räume")
    store = QuestionStore(catalog)
    question = store.create("photos", "Room?", ["zimmer", "bath", "Ärmel"])
    zimmer, bath, sleeve = question.class_ids
    answers = AnswerStore(catalog)
    answers.record(
        [
            AnswerEvent("e1", question.id, "a\n.jpg", "yes", zimmer, {"box": [0.1, 1 / 3]}, "h", "ann", "s", True),
            AnswerEvent("E2", question.id, "Ü.jpg", "yes", bath, person_id="bob", policy="random", probability=1 / 7),
            AnswerEvent("e3", question.id, "Ü.jpg", "undo", None, person_id="bob", undoes="E2"),
            *(AnswerEvent(f"x{i}", question.id, f"{i}.jpg", "no", bath) for i in range(2_100)),
        ]
    )
    store.merge_classes(question.id, sleeve, zimmer, person_id="ann")
    links = LinkStore(catalog)
    _, secret = links.create("label", Scope("photos", question.id), name="Ann", seats=3)
    links.redeem(secret, name="Ann")
    ViewStore(catalog).save("photos", "selection", {"uids": ["a\n.jpg"], "none": None, "x": 0.1})
    Jobs(catalog).create("photos", "process", {"extractors": ["lite0"]})
    answers.record([AnswerEvent("gone", question.id, "z.jpg", "skip")])
    with catalog.writing() as connection:
        connection.execute(schema.answers.delete().where(schema.answers.c.client_event_id == "gone"))
    return question.id


def everything(catalog: Catalog) -> dict[str, list[dict]]:
    with catalog.reading() as connection:
        return {name: list(rows_of(connection, name)) for name in TABLES}


@pytest.mark.postgres
def test_a_catalogue_moves_to_postgresql_and_back(postgres_url: str, tmp_path: Path) -> None:
    first = Catalog.open(f"sqlite:///{tmp_path / 'first.db'}")
    question = filled(first)
    before, history = everything(first), AnswerStore(first).history(question)
    server = Catalog.open(postgres_url)
    moved = move(first, server)
    assert {name: tally.rows for name, tally in moved.items()} == {name: len(rows) for name, rows in before.items()}
    assert everything(server) == before == everything(first)
    assert AnswerStore(server).history(question) == history
    # numbers go on, also past one that was given and deleted
    (stored,) = AnswerStore(server).record([AnswerEvent("new", question, "n.jpg", "skip")])
    assert stored.seq == history[-1].seq + 2
    back = Catalog.open(f"sqlite:///{tmp_path / 'back.db'}")
    assert move(server, back)["answers"].rows == len(history) + 1
    assert everything(back) == everything(server)
    assert AnswerStore(back).record([AnswerEvent("newer", question, "n.jpg", "skip")])[0].seq == stored.seq + 1
    with pytest.raises(BadInput, match="mixed"):
        move(first, server)
    for catalog in (first, server, back):
        catalog.close()


@pytest.fixture
def postgres_url(postgres: str) -> str:
    name = f"m{schema.new_id()}"
    with sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    return postgres.rsplit("/", 1)[0] + f"/{name}"


def test_nothing_is_moved_while_a_job_runs_nor_to_itself_nor_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = (Catalog.open(f"sqlite:///{tmp_path / name}") for name in ("a.db", "b.db"))
    filled(source)
    with pytest.raises(BadInput, match="another database"):
        move(source, source)
    jobs = Jobs(source)
    claim = jobs.claim(jobs.list("photos")[0].id)
    with pytest.raises(Busy, match="running"):
        move(source, target)
    claim.finish("done")
    from explorer.catalog import move as module

    written = module.write_rows

    def loses_one(connection, name, rows):
        rows = list(rows)
        written(connection, name, rows[1:] if name == "answers" else rows)

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_rows", loses_one)
        with pytest.raises(BadInput, match="gave back other answers"):
            move(source, target)
    assert not any(everything(target).values())
    move(source, target)
    assert everything(target) == everything(source)


def test_migrate_says_from_where_to_where(tmp_path: Path) -> None:
    as_first_made(f"sqlite:///{tmp_path / 'catalog.db'}")
    said = running.command_line(tmp_path, "migrate").stdout
    assert f"from revision 0001 to {schema.REVISION}" in said
    assert str(tmp_path / "catalog.0001.backup.db") in said
    assert (tmp_path / "catalog.0001.backup.db").exists()
    assert "up to date" in running.command_line(tmp_path, "migrate").stdout


@pytest.mark.postgres
def test_the_command_moves_and_tells_no_password(postgres_url: str, tmp_path: Path) -> None:
    question = filled(Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}"))
    url = postgres_url.replace("explorer@", "explorer:hidden@")
    command = [sys.executable, "-m", "explorer", "move-database", "--to", url]
    environment = {**os.environ, "EXPLORER_WORKSPACE": str(tmp_path)}
    done = subprocess.run(command, env=environment, cwd=running.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2,103 answers" in done.stdout
    assert "hidden" not in done.stdout + done.stderr
    moved = Catalog.open(postgres_url)
    assert len(AnswerStore(moved).history(question)) == 2_103
    moved.close()

"""A backup gives back the same history, whatever happens meanwhile, and a hostile one gives nothing."""

import io
import json
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from explorer.catalog import Catalog, backup
from explorer.catalog.backup import LEFT_OUT, restore, save
from explorer.cli import main
from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.jobs import Jobs
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.questions import QuestionStore
from explorer.sharing.access import Scope
from explorer.sharing.links import LinkStore
from explorer.space import list_spaces
from explorer.workspace import Workspace
from tests.unit.test_move import everything, filled


def peoples(catalog: Catalog) -> dict[str, list[dict]]:
    return {name: rows for name, rows in everything(catalog).items() if name not in LEFT_OUT}


def test_a_backup_gives_back_every_event_on_either_database(either_catalog: Catalog, tmp_path: Path) -> None:
    first = Catalog.open(f"sqlite:///{tmp_path / 'first.db'}")
    question = filled(first)
    history = AnswerStore(first).history(question)
    save(first, tmp_path / "all.zip", [{"any": "thing"}])
    assert stat.S_IMODE((tmp_path / "all.zip").stat().st_mode) == 0o600
    found = restore(either_catalog, tmp_path / "all.zip")
    assert found.more == [{"any": "thing"}]
    assert AnswerStore(either_catalog).history(question) == history
    assert peoples(either_catalog) == peoples(first)
    (stored,) = AnswerStore(either_catalog).record([AnswerEvent("new", question, "n.jpg", "skip")])
    assert stored.seq == history[-1].seq + 2  # one was given and deleted
    save(either_catalog, tmp_path / "again.zip", [])
    second = Catalog.open(f"sqlite:///{tmp_path / 'second.db'}")
    restore(second, tmp_path / "again.zip")
    assert peoples(second) == peoples(either_catalog)
    with pytest.raises(BadInput, match="mixed"):
        restore(second, tmp_path / "all.zip")


def test_a_backup_is_one_moment_while_answers_come_in(either_catalog: Catalog, tmp_path: Path) -> None:
    """Two questions get an answer each in one transaction, again and again: a backup has as many of either."""
    store = QuestionStore(either_catalog)
    questions = [store.create("photos", name, ["a", "b"]) for name in ("one", "two")]
    stop, written = threading.Event(), [0]

    def answer() -> None:
        answers = AnswerStore(either_catalog)
        while not stop.is_set():
            number = written[0]
            events = [AnswerEvent(f"{q.id}-{number}", q.id, f"{number}.jpg", "skip") for q in questions]
            answers.record(events)
            written[0] += 1

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        for number in range(3):
            before = written[0]
            while written[0] < before + 5:
                pass
            save(either_catalog, tmp_path / f"{number}.zip", [])
    finally:
        stop.set()
        thread.join()
    for number in range(3):
        with zipfile.ZipFile(tmp_path / f"{number}.zip") as archive:
            rows = [json.loads(line) for line in archive.read("tables/answers.jsonl").splitlines()]
        counts = [sum(row["question_id"] == q.id for row in rows) for q in questions]
        assert counts[0] == counts[1] >= 5 * (number + 1)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a good backup."""
    tmp_path = tmp_path_factory.mktemp("good")
    catalog = Catalog.open(f"sqlite:///{tmp_path / 'good.db'}")
    filled(catalog)
    save(catalog, tmp_path / "good.zip", [])
    catalog.close()
    with zipfile.ZipFile(tmp_path / "good.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def with_people(files: dict[str, bytes], **values: object) -> bytes:
    row = json.loads(files["tables/people.jsonl"].splitlines()[0])
    return packed({**files, "tables/people.jsonl": json.dumps({**row, **values}).encode() + b"\n"})


def newer(files: dict[str, bytes]) -> bytes:
    return packed({**files, "backup.json": files["backup.json"].replace(b'"0004"', b'"0999"')})


HOSTILE: dict[str, tuple[Callable[[dict[str, bytes]], bytes], str]] = {
    "no zip": (lambda _: b"hello" * 100, "no whole zip"),
    "cut": (lambda files: packed(files)[:-200], "no whole zip"),
    "traversal": (lambda files: packed({**files, "../../evil.json": b"{}"}), "files of a backup"),
    "other file": (lambda files: packed({**files, "x.pkl": b"cos\nsystem\n"}), "files of a backup"),
    "file missing": (lambda files: packed({k: v for k, v in files.items() if "links" not in k}), "files of a backup"),
    "bomb": (lambda files: packed({**files, "tables/views.jsonl": b" " * 50_000_000}), "packed as no backup"),
    "deep": (lambda files: packed({**files, "tables/views.jsonl": b"[" * 200_000 + b"1"}), "no JSON|wrong kind|packed"),
    "changed": (lambda files: with_people(files, name="Eve"), "changed or cut off"),
    "lines gone": (lambda files: packed({**files, "tables/grants.jsonl": b""}), "changed or cut off"),
    "wrong kind": (lambda files: with_people(files, name=5), "wrong kind"),
    "NUL": (lambda files: with_people(files, name="a\0b"), "wrong kind"),
    "infinite": (lambda files: with_people(files, created=float("inf")), "wrong kind"),
    "other column": (lambda files: with_people(files, is_admin=True), "other columns"),
    "newer": (newer, "newer version"),
    "no manifest": (lambda files: packed({**files, "backup.json": b"[]"}), "does not say"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_damaged_backup_changes_nothing(name: str, good: dict[str, bytes], tmp_path: Path) -> None:
    made, reason = HOSTILE[name]
    place = tmp_path / "below" / "it"  # so that a name that climbs out is seen
    place.mkdir(parents=True)
    (place / "bad.zip").write_bytes(made(good))
    catalog = Catalog.open(f"sqlite:///{place / 'fresh.db'}")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=reason):
        restore(catalog, place / "bad.zip")
    assert not any(everything(catalog).values())
    assert set(tmp_path.rglob("*")) == before  # nothing was unpacked anywhere
    catalog.close()


def test_a_line_without_an_end_is_not_read_into_memory(good: dict[str, bytes], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(backup, "MOST_LINE", 1_000)
    monkeypatch.setattr(backup, "MOST_RATIO", 10**9)
    (tmp_path / "bad.zip").write_bytes(packed({**good, "tables/views.jsonl": b'"' + b"x" * 5_000 + b'"'}))
    with pytest.raises(BadInput, match=r"longer than it may be|larger than it may be"):
        restore(Catalog.open(f"sqlite:///{tmp_path / 'fresh.db'}"), tmp_path / "bad.zip")


def test_a_workspace_is_lost_and_comes_back(workspace: Workspace, tmp_path: Path, monkeypatch, capsys) -> None:
    """By the commands: answers on renamed and plain pictures, a link, and the way of looking at a collection."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(8):
        noise = np.random.default_rng(number).integers(0, 255, (40, 40, 3), np.uint8)
        cv2.imwrite(str(pictures / f"{number}.png"), noise)

    def said(*arguments: str) -> str:
        assert main([*arguments]) == 0
        return capsys.readouterr().out

    said("add", str(pictures), "--extractors", "colour")
    (pictures / "0.png").rename(pictures / "renamed.png")
    said("rescan", "pictures")
    dataset = Dataset.open(workspace, "pictures")
    uid_of = dict(zip(dataset.items["path"], dataset.items["uid"], strict=True))
    assert uid_of["renamed.png"] == "0.png"
    catalog = Catalog.open(workspace.catalog_url)
    question = QuestionStore(catalog).create("pictures", "What?", ["a", "b"])
    one = question.class_ids[0]
    AnswerStore(catalog).record([AnswerEvent(f"e-{uid}", question.id, uid, "yes", one) for uid in uid_of.values()])
    history = AnswerStore(catalog).history(question.id)
    _, secret = LinkStore(catalog).create("label", Scope("pictures", question.id))
    catalog.close()

    assert "8 answers" in said("backup", str(tmp_path / "all.zip"))
    shutil.rmtree(workspace.root)
    told = said("restore", str(tmp_path / "all.zip"))
    assert str(pictures) in told
    assert "let nobody in for now" in told
    catalog = Catalog.open(workspace.catalog_url)
    assert AnswerStore(catalog).history(question.id) == history
    assert [link.paused for link in LinkStore(catalog).all()] == [True]
    (job,) = Jobs(catalog).list("pictures")
    assert f"work {job.id}" in told
    said("work", job.id)
    again = Dataset.open(workspace, "pictures")
    present = again.present()
    assert dict(zip(present["path"], present["uid"], strict=True)) == uid_of
    assert [space.title for space in list_spaces(again)] == ["Colours"]
    catalog.close()

    monkeypatch.setenv("EXPLORER_WORKSPACE", str(tmp_path / "other"))
    said("restore", "--links", str(tmp_path / "all.zip"))
    other = Catalog.open(Workspace(tmp_path / "other").catalog_url)
    assert LinkStore(other).offered(secret).role == "label"
    other.close()

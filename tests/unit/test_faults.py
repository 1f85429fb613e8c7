"""What breaks around the program: the database goes, the disk is full, files rot, the clock jumps. Nothing is lost."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import sqlalchemy as sa

from benchmarks.running import ROOT, RunningApp
from explorer.catalog import Catalog, schema
from explorer.cli import main
from explorer.collection.dataset import Dataset
from explorer.collection.features import FeatureStore
from explorer.errors import ExplorerError, Unavailable
from explorer.extractors.base import FeatureSpec
from explorer.jobs import Jobs
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.questions import QuestionStore
from explorer.sharing.access import Scope
from explorer.sharing.links import LinkStore
from explorer.space import list_spaces
from explorer.workspace import Workspace
from tests.conftest import PostgresServer


class Browser:
    """Somebody's open page: what it asks the routes, with its cookies."""

    def __init__(self, app: RunningApp) -> None:
        self.app = app
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def asks(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and what was said, as JSON where it is."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.app.url + path, data, {"x-explorer": "1", "origin": self.app.url})
        try:
            with self.opener.open(request, timeout=60) as answer:
                status, said = answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            status, said = error.code, error.read().decode()
        try:
            return status, json.loads(said)
        except ValueError:
            return status, said


@pytest.mark.postgres
def test_two_servers_live_through_a_database_that_goes_and_comes_back(
    workspace: Workspace, tmp_path: Path, postgres_server: PostgresServer, start_server: Callable[..., RunningApp]
) -> None:
    """On PostgreSQL: answers over HTTP, scores from both servers; without the database a sentence and 503; with it
    again all goes on, and every answer is there once."""
    main(["add", str(pictures_in(tmp_path / "demo", 60)), "--extractors", "colour"])
    name = f"f{schema.new_id()}"
    with sa.create_engine(postgres_server.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as base:
        base.execute(sa.text(f"create database {name}"))
    url = postgres_server.url.rsplit("/", 1)[0] + f"/{name}"
    catalog = Catalog.open(url)
    question = QuestionStore(catalog).create("demo", "Which?", ["a", "b"])
    _, secret = LinkStore(catalog).create("label", Scope("demo"))
    catalog.close()
    apps = [start_server(workspace, EXPLORER_DATABASE_URL=url) for _ in range(2)]
    first, second = Browser(apps[0]), Browser(apps[1])
    guest = Browser(apps[0])
    for browser, app in ((first, apps[0]), (second, apps[1])):
        assert browser.asks(f"/enter?token={app.token}&next=/_stcore/health")[0] == 200
    assert guest.asks("/join", {"secret": secret})[0] == 200
    dataset = Dataset.open(workspace, "demo")
    uids = dataset.present()["uid"].tolist()

    def answer(browser: Browser, numbers: range) -> tuple[int, Any]:
        events = [
            {"client_event_id": f"e{i}", "uid": uids[i], "value": "yes", "class_id": question.class_ids[i % 2]}
            for i in numbers
        ]
        return browser.asks("/x/demo/answers", {"question": question.id, "events": events})

    assert answer(first, range(20))[0] == 200
    status, said = answer(second, range(20, 40))
    assert status == 200, said
    (space,) = [info.key for info in list_spaces(dataset)]
    asked = f"/x/demo/order.json?question={question.id}&space={space}&after={said['latest']}&n=4"
    for browser in (first, second):  # the first has heard of the second's answers
        status, scored = browser.asks(asked)
        assert (status, scored["ready"], scored["answered"], scored["seq"]) == (200, True, 40, said["latest"]), scored

    postgres_server.stop()
    try:
        status, refused = answer(first, range(40, 45))
        assert status == 503, refused
        assert "does not answer" in refused["error"]
        time.sleep(1.1)  # who a guest is was remembered for a second
        status, refused = answer(guest, range(45, 50))
        assert status == 503
        assert first.asks(f"/x/demo/full.jpg?uid={uids[0]}")[0] == 200  # what needs no database goes on
    finally:
        postgres_server.start()
    for browser, numbers in ((first, range(40, 45)), (guest, range(45, 50)), (second, range(50, 55))):
        status, said = answer(browser, numbers)
        assert status == 200, said
    status, said = answer(first, range(40, 55))
    assert all(stored["duplicate"] for stored in said["stored"])
    status, scored = second.asks(asked.replace("&after=", f"&after={said['latest']}&was="))
    assert (status, scored["answered"]) == (200, 55)
    catalog = Catalog.open(url)
    history = AnswerStore(catalog).history(question.id)
    assert sorted(entry.event.client_event_id for entry in history) == sorted(f"e{i}" for i in range(55))
    catalog.close()


def test_a_full_disk_while_labelling_costs_no_answer(tmp_path: Path) -> None:
    catalog = Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    question = QuestionStore(catalog).create("photos", "Q", ["a", "b"])
    room = [2**30]

    @sa.event.listens_for(catalog._engine, "checkout")
    def _limit(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={room[0]}")

    with catalog.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    room[0] = pages + 20
    store, done = AnswerStore(catalog), 0

    def some(start: int) -> list[AnswerEvent]:
        return [AnswerEvent(f"e{start + i}", question.id, f"{start + i}.jpg", "skip") for i in range(50)]

    with pytest.raises(Unavailable, match="full"):  # noqa: PT012
        while done < 10_000:
            store.record(some(done))
            done += 50
    assert 0 < done < 10_000
    assert len(AnswerStore(catalog).history(question.id)) == done  # no half of a batch
    room[0] = 2**30
    assert not any(stored.duplicate for stored in store.record(some(done)))
    assert len(AnswerStore(catalog).history(question.id)) == done + 50
    catalog.close()


def pictures_in(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 255, (200, 200, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number:03}.png"), noise)
    return folder


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
from explorer.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of the length of files there")
def test_a_full_disk_while_looking_says_so_and_the_next_run_goes_on(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = pictures_in(tmp_path / "pictures", 60)
    Catalog.open(workspace.catalog_url).close()
    command = [sys.executable, "-c", LIMITED, "add", str(place), "--extractors", "colour"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "no room left on the disk" in done.stderr
    assert "Traceback" not in done.stderr
    (job,) = Jobs(Catalog.open(workspace.catalog_url)).list("pictures")
    assert (job.state, "no room left" in job.error) == ("failed", True)
    assert main(["rescan", "pictures", "--extractors", "colour"]) == 0
    assert "60 pictures" in capsys.readouterr().out
    dataset = Dataset.open(workspace, "pictures")
    assert dataset.pictures.count() == 60
    assert not list(dataset.root.rglob(".*.npz.*"))


def test_damage_is_found_by_checksum_and_computed_again(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = pictures_in(tmp_path / "pictures", 6)
    main(["add", str(place), "--extractors", "colour"])
    assert main(["check"]) == 0
    dataset = Dataset.open(workspace, "pictures")
    hashes = dataset.present()["content_hash"].tolist()
    (spec,) = dataset.feature_specs()
    vectors, thumb = dataset.features(spec).get(hashes), dataset.pictures.thumb(hashes[2])
    assert thumb
    rotten = bytes([*thumb[:50], thumb[50] ^ 1, *thumb[51:]])
    with dataset.pictures._connection() as connection:
        connection.execute("UPDATE pictures SET thumb = ? WHERE hash = ?", (rotten, hashes[2]))
    assert dataset.pictures.thumb(hashes[2]) is None
    segment = next(dataset.features(spec).folder.glob("*.f16.npy"))
    segment.write_bytes(segment.read_bytes()[:-1] + b"\x7f")
    capsys.readouterr()
    assert main(["check", "pictures"]) == 1
    said = capsys.readouterr().out
    assert hashes[2] in said
    assert segment.name in said
    assert main(["check", "--repair"]) == 0
    assert main(["check"]) == 0
    assert dataset.pictures.thumb(hashes[2]) == thumb
    np.testing.assert_array_equal(dataset.features(spec).get(hashes), vectors)


def test_a_damaged_segment_among_whole_ones_is_computed_again(tmp_path: Path, monkeypatch) -> None:
    """Also one so damaged that nothing opens; what is whole stays as it lies."""
    from explorer.collection import features

    monkeypatch.setattr(features, "SEGMENT_ROWS", 8)
    spec = FeatureSpec("x", "", "", "", "none", "f32", 4)
    rows = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    names = [f"{number:032x}" for number in range(30)]

    def fill() -> FeatureStore:
        store = FeatureStore(tmp_path / "f", spec)
        lacking = set(store.missing(names))
        with store.writer() as writer:
            for name, row in zip(names, rows, strict=True):
                if name in lacking:
                    writer.append(name, row)
        return FeatureStore(tmp_path / "f")

    whole = fill().get(names)
    (tmp_path / "f" / "00001.rows.npz").write_bytes(b"rotten")
    with pytest.raises(ExplorerError, match="check --repair"):
        FeatureStore(tmp_path / "f")
    bad = features.damaged(tmp_path / "f")
    assert bad == ["00001.rows.npz"]
    features.drop_damaged(tmp_path / "f", bad)
    store = FeatureStore(tmp_path / "f", spec)
    assert store.missing(names) == names[8:16]
    np.testing.assert_array_equal(fill().get(names), whole)
    assert features.damaged(tmp_path / "f") == []
    np.testing.assert_array_equal(fill().get(names), whole)


def test_a_clock_that_jumps_changes_no_answer_and_loses_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    question = QuestionStore(catalog).create("photos", "Q", ["a", "b"])
    one, two = question.class_ids
    real, jump = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jump[0])
    store = AnswerStore(catalog)
    for number, (class_id, by) in enumerate(((one, 0.0), (two, -86_400.0))):
        jump[0] = by
        store.record([AnswerEvent(f"e{number}", question.id, "a.jpg", "yes", class_id)])
    assert store.current(question.id)["a.jpg"].class_id == two  # the later one, whatever the clock said
    jobs = Jobs(catalog, lease_seconds=0.8)
    jump[0] = 0.0
    claim = jobs.claim(jobs.create("photos", "process", {}))
    for by in (86_400.0, -86_400.0):
        jump[0] = by
        time.sleep(0.7)  # it renews its lease by the new clock
        assert jobs.get(claim.job.id).state == "running"
        assert not claim.cancelled()
        assert not claim.lost
    claim.finish("done")
    catalog.close()

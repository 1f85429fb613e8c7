"""Several copies of the app: replicas with workspaces of their own on one PostgreSQL, and two servers on one folder."""

import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from benchmarks.running import RunningApp, free_port
from explorer.catalog import Catalog
from explorer.catalog.schema import new_id
from explorer.collection.dataset import Dataset
from explorer.collection.pictures import Picture
from explorer.learning.answers import AnswerStore
from explorer.learning.questions import Question, QuestionStore
from explorer.sharing.access import Scope
from explorer.sharing.links import LinkStore
from explorer.storage import Remote, publish
from explorer.workspace import Workspace

HOST = "explore.test"
COOKIE = "explorer_browser_80"
FROM_A_PAGE = {"host": HOST, "origin": f"http://{HOST}", "x-explorer": "1"}
JPEG = b"\xff\xd8 of a new generation"


def _client(app: RunningApp, browser: str = "") -> httpx.Client:
    """A browser at one of the copies, which all go by one name."""
    cookie = {"cookie": f"{COOKIE}={browser}"} if browser else {}
    return httpx.Client(base_url=app.url, headers=FROM_A_PAGE | cookie, timeout=20)


def _within(seconds: float, question: Callable[[], Any], wanted: Any) -> float:
    """Ask until it says what is wanted; how long that took."""
    began = time.monotonic()
    while (found := question()) != wanted:
        assert time.monotonic() - began < seconds, f"after {seconds} s: {found!r}, not {wanted!r}"
        time.sleep(0.05)
    return time.monotonic() - began


def _answer(client: httpx.Client, question: Question, uid: str, number: int = 0) -> httpx.Response:
    event = {"client_event_id": uuid.uuid4().hex, "uid": uid, "value": "yes", "class_id": question.classes[number].id}
    return client.post("/x/demo/answers", json={"question": question.id, "events": [event]})


@pytest.mark.postgres
def test_two_replicas_are_one_app(
    demo_copy: Workspace, start_server: Callable[..., RunningApp], postgres: str, tmp_path: Path
) -> None:
    """A link, answers and a new generation at one are so at the other, each with a workspace that began empty."""
    name = f"t{new_id()}"
    with sa.create_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    url = postgres.rsplit("/", 1)[0] + f"/{name}"
    store = f"file://{tmp_path}/store"
    publish(demo_copy, "demo", Remote(store))
    catalog = Catalog.open(url)
    question = QuestionStore(catalog).create("demo", "Alive?", ["alive", "not alive"])
    links = LinkStore(catalog)
    links.create("own", Scope())  # else nobody could come in, and the copies would not start
    look, look_secret = links.create("look", Scope("demo"))
    label, label_secret = links.create("label", Scope("demo", question.id))
    environment = {
        "EXPLORER_REPLICA": "1",
        "EXPLORER_STORAGE": store,
        "EXPLORER_DATABASE_URL": url,
        "EXPLORER_HOSTS": HOST,
        "EXPLORER_ROOTS": str(tmp_path / "none"),
        "EXPLORER_PROXIES": "127.0.0.1",
        "FORWARDED_ALLOW_IPS": "-",
        "EXPLORER_LOG": "json",
    }
    one, two = _both(start_server, [tmp_path / "one", tmp_path / "two"], environment)
    for app in (one, two):
        assert "its collections come from file://" in _said(app, "its collections come from")
        with _client(app) as stranger:
            _within(20, lambda client=stranger: client.get("/readyz").status_code, 200)  # type: ignore[misc]
            assert stranger.get("/x/demo/item.json").status_code == 403

    with _client(one) as client:
        assert client.post("/join", json={"secret": look_secret}).status_code == 200
        browser = client.cookies[COOKIE]
    with _client(one, browser) as client:
        assert client.post("/join", json={"secret": label_secret}).status_code == 200
    items = Dataset.open(demo_copy, "demo").items
    at_one, at_two = _client(one, browser), _client(two, browser)
    with at_one, at_two:
        uid, content = str(items["uid"][3]), str(items["content_hash"][3])
        for client in (at_one, at_two):
            assert client.get("/x/demo/item.json", params={"uid": uid}).status_code == 200
            small = client.get(f"/x/demo/thumb/{content}.jpg").content
            # the original does not lie where this machine lets read; the small picture stands in for it
            assert client.get("/x/demo/full.jpg", params={"uid": uid}).content == small
            assert client.get("/x/demo/original", params={"uid": uid}).status_code == 422

        # answers, both ways, within two seconds
        def answered(client: httpx.Client) -> int:
            asked = client.get("/x/demo/news.json", params={"question": question.id, "after": "0"})
            assert asked.status_code == 200, asked.text
            return int(asked.json().get("answered", 0))

        assert answered(at_two) == 0
        assert _answer(at_one, question, uid).status_code == 200
        _within(2, lambda: answered(at_two), 1)
        assert _answer(at_two, question, str(items["uid"][4])).status_code == 200
        _within(2, lambda: answered(at_one), 2)

        # a new generation, with a picture that is new and one that cannot be read any more
        dataset = Dataset.open(demo_copy, "demo")
        new = "f" * 32
        dataset.pictures.add_many([Picture(new, 8, 8, JPEG)])
        dataset.record_problems({uid: "it has gone pale"})
        assert at_one.get(f"/x/demo/thumb/{new}.jpg").status_code == 404
        publish(demo_copy, "demo", Remote(store))
        for client in (at_one, at_two):
            _within(10, lambda client=client: client.get(f"/x/demo/thumb/{new}.jpg").content, JPEG)  # type: ignore[misc]
            told = client.get("/x/demo/item.json", params={"uid": uid})
            assert "it has gone pale" in told.text

        there = [at_one, at_two]
        if shutil.which("caddy"):
            there.pop(_behind_a_proxy((one, two), browser, question, (uid, str(items["uid"][5])), tmp_path))

        # taken back at the catalogue, the doors close
        for each in (look, label):
            links.revoke(each.id)
        for client in there:
            _within(3, lambda client=client: client.get("/x/demo/item.json").status_code, 403)  # type: ignore[misc]
    catalog.close()


def _behind_a_proxy(
    apps: tuple[RunningApp, RunningApp], browser: str, question: Question, uids: tuple[str, str], place: Path
) -> int:
    """The proxy of deploy/ keeps each browser at one copy; when that is killed, the other takes it as who it is.
    Returns which was killed."""
    uid, other = uids
    with _caddy([app.port for app in apps], place) as url:
        visitors = [httpx.Client(base_url=url, headers=FROM_A_PAGE, timeout=20) for _ in range(3)]
        kept = []
        for number, client in enumerate(visitors):
            first = client.get(f"/x/demo/thumb/{number:032x}.jpg", headers={"cookie": f"{COOKIE}={browser}"})
            assert first.status_code == 404, "the door is open, there is no such picture"
            kept.append({"cookie": f"{COOKIE}={browser}; explorer_copy={first.cookies['explorer_copy']}"})
            for _ in range(4):
                assert client.get(f"/x/demo/thumb/{number:032x}.jpg", headers=kept[-1]).status_code == 404

        def asked() -> list[list[int]]:
            return [[app.said().count(f"/thumb/{number:032x}.jpg") for app in apps] for number in range(3)]

        _within(5, lambda: [sorted(counts) for counts in asked()], [[0, 5]] * 3)  # a copy's log may be a moment late
        killed = asked()[0].index(5)
        apps[killed].kill()
        for client, headers in zip(visitors, kept, strict=True):
            answer = client.get("/x/demo/item.json", params={"uid": uid}, headers=headers)
            assert answer.status_code == 200, answer.text
        # an answer that was on its way is sent again, as pages do, and stands once
        event = {"client_event_id": uuid.uuid4().hex, "uid": other, "value": "yes", "class_id": question.classes[0].id}
        body = {"question": question.id, "events": [event]}
        posted = visitors[0].post
        _within(8, lambda: posted("/x/demo/answers", json=body, headers=kept[0]).status_code, 200)
        assert posted("/x/demo/answers", json=body, headers=kept[0]).json()["stored"][0]["duplicate"]
        for client in visitors:
            client.close()
        return killed


@contextmanager
def _caddy(ports: list[int], place: Path) -> Iterator[str]:
    """The project's own proxy in front of copies on this machine, without TLS and without a name to look up."""
    port = free_port()
    text = (Path(__file__).resolve().parents[2] / "deploy" / "Caddyfile").read_text()
    begin, end = text.index("dynamic a"), text.index("lb_policy")
    copies = " ".join(f"127.0.0.1:{each}" for each in ports)
    text = text[:begin] + f"to {copies}\n\t" + text[end:]
    text = "{\n\tadmin off\n}\n" + text.replace("{$EXPLORER_HOST} {", f"http://{HOST}:{port} {{")
    (place / "Caddyfile").write_text(text)
    environment = {**os.environ, "XDG_DATA_HOME": str(place), "XDG_CONFIG_HOME": str(place), "HOME": str(place)}
    with open(place / "caddy.log", "wb") as log:
        command = ["caddy", "run", "--config", str(place / "Caddyfile"), "--adapter", "caddyfile"]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _within(10, lambda: _is_up(f"http://127.0.0.1:{port}", process, place), True)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _is_up(url: str, process: "subprocess.Popen[bytes]", place: Path) -> bool:
    assert process.poll() is None, (place / "caddy.log").read_text()
    try:
        return httpx.get(f"{url}/healthz", headers={"host": HOST}).status_code == 200
    except httpx.TransportError:
        return False


def test_two_servers_on_one_folder_take_every_answer_once(
    demo_copy: Workspace, start_server: Callable[..., RunningApp]
) -> None:
    """SQLite, two processes that serve, eight browsers that answer and repeat themselves at the same time."""
    catalog = Catalog.open(demo_copy.catalog_url)
    question = QuestionStore(catalog).create("demo", "Alive?", ["alive", "not alive"])
    _, secret = LinkStore(catalog).create("label", Scope("demo", question.id))
    apps = _both(start_server, [demo_copy.root, demo_copy.root], {"EXPLORER_HOSTS": HOST})
    uids = [str(uid) for uid in Dataset.open(demo_copy, "demo").items["uid"][:120]]
    failed: list[str] = []

    def person(number: int) -> None:
        with _client(apps[number % 2]) as client:
            assert client.post("/join", json={"secret": secret}).status_code == 200
            browser = client.cookies[COOKIE]
        with _client(apps[number % 2], browser) as here, _client(apps[1 - number % 2], browser) as there:
            for uid in uids[number::8]:
                event = {"client_event_id": uuid.uuid4().hex, "uid": uid, "value": "yes",
                         "class_id": question.classes[number % 2].id}  # fmt: skip
                for client in (here, there):  # the second time as when a proxy sends it to the other copy
                    sent = client.post("/x/demo/answers", json={"question": question.id, "events": [event]})
                    if sent.status_code != 200:
                        failed.append(f"{sent.status_code} {sent.text}")

    threads = [threading.Thread(target=person, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    stored = AnswerStore(catalog)
    assert sorted(stored.current(question.id)) == sorted(uids)
    assert len(stored.history(question.id)) == len(uids)
    catalog.close()


def _both(
    start_server: Callable[..., RunningApp], roots: list[Path], environment: dict[str, str]
) -> tuple[RunningApp, RunningApp]:
    """Two servers, started at the same time."""
    apps: dict[int, RunningApp] = {}

    def start(number: int) -> None:
        apps[number] = start_server(Workspace(roots[number]), **environment)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    return apps[0], apps[1]


def _said(app: RunningApp, words: str) -> str:
    _within(10, lambda: words in app.said(), True)
    return app.said()

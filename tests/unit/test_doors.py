"""One check decides everything: each route has a rule, each role gets what it may, and nobody too much at once."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks import doors
from explorer.collection.sources import archive, detect, open_source
from explorer.sharing.access import Grant, LaunchToken, Person, Scope
from explorer.web import gate, headers, routes, state
from explorer.web.limits import MAX_QUERY, MAX_SOCKETS, Buckets, Limits, cost
from explorer.web.visitors import Visitors, cookie_name
from tests.unit.test_sources import picture

ROOT = Path(__file__).resolve().parents[2]
HOST = "http://127.0.0.1:8501"
TOKEN = LaunchToken("the-secret-of-this-launch")
ADA = Person("ada", "Ada", (Grant("label", Scope("demo")),))


def test_every_role_gets_what_it_may_at_every_route_and_bad_links_get_nothing() -> None:
    """In a process of its own: Streamlit runs once in each."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "doors", "--json"],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = json.loads(done.stdout.splitlines()[-1])
    figures, detail = said["figures"], said["detail"]
    assert detail["without_rule"] == []
    assert detail["wrong"] == []
    assert detail["let_in"] == []
    assert figures["routes"] >= len(routes.RULES) + 30  # the walk has found Streamlit's, too
    assert figures["cells_checked"] >= 1_000
    assert figures["bad_links_tried"] >= 100
    assert figures["bad_links_let_in"] == 0


def test_a_route_without_a_rule_is_found_and_not_reached(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key.txt").write_text("inside")

    def inside(_: object) -> PlainTextResponse:
        return PlainTextResponse("inside")

    new = [
        Route("/backdoor", inside),
        Route("/join/extra", inside, methods=["POST"]),
        Route("/map", inside, methods=["DELETE"]),
        Route("/x/{dataset}/not_declared", inside),
        WebSocketRoute("/second/stream", inside),
        Mount("/files", StaticFiles(directory=tmp_path)),
    ]
    known = [Route("/map", inside), Route("/_stcore/metrics", inside), routes.ROUTES[-1], routes.ROUTES[5]]
    assert [doors.rule_of(each) for each in doors.walk(new)] == [None] * 6
    assert None not in [doors.rule_of(each) for each in doors.walk(known)]
    app = Starlette(routes=[*new, *known], middleware=[Middleware(gate.Gate, visitors=Visitors(TOKEN))])
    owner = TestClient(app, base_url=HOST, cookies={cookie_name(8501): TOKEN.cookie_value()})
    assert owner.get("/map").text == "inside"
    for path in ("/backdoor", "/files/secrets/key.txt", "/_stcore/metrics", "//map", "/map/", "/static/../backdoor"):
        assert owner.get(path).status_code == 404, path
    assert owner.delete("/map").status_code == 404
    assert owner.options("/map").status_code == 404


def test_what_each_route_asks_is_written_here_once_more() -> None:
    """The walk holds every route to its own rule; which rule that ought to be is said here. What is not named needs
    `look`; a route that reads a question says where."""
    asked = {action: {each.path[13:] for each in routes.RULES if each.action == action} for action in doors.RANK}
    assert asked["see"] == {"thumb/{hash}.jpg", "full.jpg", "item.json"}
    assert asked["label"] == {"answers", "batch.json", "news.json", "recent.json"}
    assert asked["edit"] == asked["own"] == set()
    without = {each.path[13:].split("/")[0] for each in routes.RULES if not each.where}
    assert without == {
        "thumb",
        "full.jpg",
        "original",
        "item.json",
        "filter.json",
        "page.json",
        "map",
        "selection.csv",
        "selection.zip",
        "map.html",
    }
    assert {each.path for each in routes.RULES if each.method != "GET"} == {"/x/{dataset}/answers"}


def test_every_page_is_in_the_table_and_asks_before_it_shows() -> None:
    """What a page shows comes over the websocket: its script has to ask. `tests/app` looks at what it then shows."""
    for script in sorted((ROOT / "pages").glob("*.py")):
        assert gate.place_of("GET", f"/{script.stem}") == gate.Place(f"/{script.stem}", ("GET",), gate.HELD)
        assert state.NEEDS[script.stem] in ("see", "look", "label", "edit", "own")
        called = [
            node.func.attr
            for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        ]
        assert {"open_view", "require", "me"} & set(called), script.name


def test_a_bucket_empties_and_fills() -> None:
    now = [0.0]
    bucket = Buckets(10, 2, lambda: now[0])
    assert [bucket.take("ada") for _ in range(10)] == [0.0] * 10
    assert bucket.take("ada") == 0.5
    assert bucket.take("bob", 99) == 0.0  # never more than a whole one
    now[0] = 0.5
    assert bucket.take("ada") == 0.0
    assert bucket.take("ada") > 0


def test_too_much_is_refused_with_a_time_and_the_owner_goes_on() -> None:
    limits = Limits(lambda: 0.0)
    asked = [limits.asked(ADA, "", "/x/demo/answers.csv") for _ in range(40)]
    assert asked.count(None) == 30 == 900 / cost("/x/demo/answers.csv")
    assert asked[-1] is not None
    assert asked[-1].status == 429
    assert asked[-1].after > 0
    assert [limits.asked(Person.local_owner(), "", "/map") for _ in range(2_000)] == [None] * 2_000
    assert sum(limits.asked(None, "10.0.0.7", "/join") is None for _ in range(400)) == 300
    assert limits.asked(None, "10.0.0.8", "/join") is None
    bob = Person("bob", "Bob", ADA.grants)
    assert sum(limits.asked(bob, "", "/_stcore/upload_file/s/f", 150_000_000) is None for _ in range(5)) == 3


def test_one_person_has_so_many_pages_open() -> None:
    limits = Limits()
    assert [limits.open_socket(ADA) for _ in range(MAX_SOCKETS + 2)] == [True] * MAX_SOCKETS + [False] * 2
    assert limits.open_socket(Person("bob", "Bob", ADA.grants))
    limits.close_socket(ADA)
    assert [limits.open_socket(ADA) for _ in range(2)] == [True, False]


def test_a_page_too_many_is_closed_and_another_fits_when_one_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def open_page(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive()

    monkeypatch.setattr("explorer.web.limits.MAX_SOCKETS", 1)
    monkeypatch.setattr(gate, "person_of", lambda *_: ADA)
    app = Starlette(
        routes=[WebSocketRoute("/_stcore/stream", open_page)],
        middleware=[Middleware(gate.Gate, visitors=Visitors(TOKEN))],
    )
    path, headers_sent = "/_stcore/stream", {"host": "127.0.0.1:8501", "origin": HOST}
    with TestClient(app, base_url=HOST) as client:
        for _ in range(2):
            with client.websocket_connect(path, headers=headers_sent):
                with (
                    pytest.raises(WebSocketDisconnect) as too_many,
                    client.websocket_connect(path, headers=headers_sent),
                ):
                    pass
                assert too_many.value.code == 1013


def test_streamlit_knows_the_names_that_the_door_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_HOSTS", "explore.museum.org")
    gate.Gate(Starlette(), Visitors(TOKEN))
    from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

    assert is_host_allowed("explore.museum.org:443")
    assert is_host_allowed("127.0.0.1:8501")
    assert is_host_allowed("[::1]:8501")
    assert not is_host_allowed("evil.example")


def test_what_is_too_long_or_too_large_is_refused_at_the_door() -> None:
    app = Starlette(routes=[], middleware=[Middleware(gate.Gate, visitors=Visitors(TOKEN))])
    owner = TestClient(app, base_url=HOST, cookies={cookie_name(8501): TOKEN.cookie_value()})
    assert owner.get("/map?f=" + "x" * MAX_QUERY).status_code == 414
    assert owner.get("/map/" + "x" * 3_000).status_code == 414
    upload = "/_stcore/upload_file/session/file"
    assert owner.put(upload, headers={"content-length": "999000000"}).status_code == 413
    limits = Limits()
    assert limits.lengths(b"/", b"", Headers({"transfer-encoding": "chunked"}), upload=True).status == 411
    assert owner.put(upload, content=b"x", headers={"origin": "http://evil.example"}).status_code == 403


def test_only_who_may_label_sends_files(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Starlette(routes=[], middleware=[Middleware(gate.Gate, visitors=Visitors(TOKEN))])
    client = TestClient(app, base_url=HOST)
    for role, status in (("look", 403), ("label", 404)):
        monkeypatch.setattr(gate, "person_of", lambda *_, role=role: Person("p", "", (Grant(role, Scope("demo")),)))
        assert client.put("/_stcore/upload_file/s/f", content=b"x").status_code == status


def test_every_answer_has_its_headers_and_no_script_is_let_in_but_ours() -> None:
    app = Starlette(routes=routes.ROUTES, middleware=[Middleware(gate.Gate, visitors=Visitors(TOKEN))])
    client = TestClient(app, base_url=HOST, raise_server_exceptions=False)
    cookie = {"cookie": f"{cookie_name(8501)}={TOKEN.cookie_value()}"}
    policies = {}
    for path, more in (("/map", cookie), ("/map", {}), ("/x/demo/nothing", cookie), ("/static/a.js", cookie)):
        answer = client.get(path, headers={"accept": "text/html", **more})
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer")
        policy = policies[path, bool(more)] = answer.headers["content-security-policy"]
        rules = dict(part.split(" ", 1) for part in policy.split("; "))
        assert rules["default-src"] == "'none'"
        assert "frame-ancestors" in rules
        assert "unsafe" not in rules.get("script-src", "")
        assert "http" not in policy
    assert "unsafe" not in policies["/map", False]
    assert policies["/x/demo/nothing", True] == "default-src 'none'; frame-ancestors 'none'"
    assert headers.app_policy().count("'sha256-") >= 2


def test_a_zip_many_folders_deep_is_a_problem(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "deep.zip", "w") as target:
        target.writestr("a/" * archive.MAX_DEPTH + "fine.png", picture(0))
        target.writestr("a/" * (archive.MAX_DEPTH + 1) + "deep.png", picture(1))
    found = {Path(each.path).name: each.problem for each in open_source(detect(tmp_path / "deep.zip")).entries()}
    assert found["fine.png"] is None
    assert "folders deep" in str(found["deep.png"])


def test_the_server_fetches_nothing_that_somebody_names() -> None:
    """SSRF: `serve` asks its own address, `hub` the one that networks are downloaded from; nothing else has the means
    to ask any."""
    network = {"urllib.request", "http.client", "requests", "httpx", "aiohttp", "urllib3", "ftplib"}
    found = set()
    for path in (ROOT / "explorer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {path.name for name in names if name in network}
    assert found <= {"server.py", "hub.py"}


def test_the_tests_that_the_threat_model_names_are_there() -> None:
    text = (ROOT / "security.md").read_text(encoding="utf-8")
    tests = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(re.findall(r"(test_\w+\.py)`", text)) <= set(tests)
    defined = " ".join(re.findall(r"def (test_\w+)", "\n".join(tests.values())))
    parts = re.findall(r"`…(\w+)…?`", text)
    assert len(parts) >= 20
    assert [part for part in parts if part not in defined] == []

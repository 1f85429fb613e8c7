"""The log as JSON: one object a line, a request's id in it and in the answer, and nothing that opens a door."""

import json
import logging

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from explorer.errors import BadInput
from explorer.web import logs

SECRET = "Zm9vYmFyYmF6cXV4cXV1eGNvcmdl"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch):
    """What is logged, as a function that takes it."""
    kept: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(self.format(record))

    handler = Keeping()
    handler.setFormatter(logs.JsonLines())
    logger = logging.getLogger("explorer")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in kept]
    logger.removeHandler(handler)
    logger.setLevel(before)


def _inside(request: Request) -> PlainTextResponse:
    logging.getLogger("explorer.test").warning("asked for %s\nin two lines", request.url)
    return PlainTextResponse("inside")


def _broken(request: Request) -> PlainTextResponse:
    raise RuntimeError(f"no way to {request.url}")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def _client() -> TestClient:
    routes = [WebSocketRoute("/s", _socket), Route("/broken", _broken), Route("/{path:path}", _inside)]
    app = Starlette(routes=routes, middleware=[Middleware(logs.Requests)])
    return TestClient(app, base_url="http://127.0.0.1:8501", raise_server_exceptions=False)


def test_a_request_is_a_line_with_its_id_and_no_secret(lines) -> None:
    answer = _client().get(f"/enter?token={SECRET}&next=/map", headers={"cookie": f"explorer_browser_80={SECRET}"})
    said, asked = lines()
    assert asked["request"] == said["request"] == answer.headers["x-request-id"]
    assert (asked["path"], asked["status"], asked["method"], asked["bytes"]) == ("/enter", 200, "GET", 6)
    assert asked["ms"] >= 0
    assert asked["from"] == "testclient"
    assert said["message"].endswith("in two lines")
    assert SECRET not in json.dumps(lines())


def test_an_error_is_told_with_its_trace_and_without_secrets(lines) -> None:
    assert _client().get(f"/broken?code={SECRET}").status_code == 500
    error, asked = lines()
    assert error["level"] == "error"
    assert "RuntimeError" in error["trace"]
    assert asked["status"] == 500
    assert SECRET not in json.dumps(lines())


def test_a_websocket_is_a_line_too(lines) -> None:
    with _client().websocket_connect("/s") as socket:
        socket.receive()
    assert [(each["method"], each["status"]) for each in lines()] == [("WEBSOCKET", 101)]


@pytest.mark.parametrize(
    "text",
    [
        f"GET /enter?next=/map&token={SECRET} HTTP/1.1", f"https://x.example/join#{SECRET}", f"state={SECRET}",
        f"postgresql+psycopg://ada:{SECRET}@db/explorer", f"_streamlit_user={SECRET}; a=b", f"password={SECRET}",
        f"PUT /_stcore/upload_file/{SECRET}/{SECRET}", f"explorer_8501={SECRET}", f"explorer_browser_80={SECRET}",
    ],
)  # fmt: skip
def test_what_opens_doors_is_taken_out_of_any_text(text) -> None:
    assert SECRET not in logs.clean(text)


def test_ordinary_words_stay() -> None:
    for text in ("the token was refused", "http://127.0.0.1:8501/map?d=demo", "12:30 ada@museum.org came", "a#b"):
        assert logs.clean(text) == text


def test_another_word_than_json_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("EXPLORER_LOG", "yaml")
    with pytest.raises(BadInput, match="yaml"):
        logs.as_json()

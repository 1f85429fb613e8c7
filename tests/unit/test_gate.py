"""The door in front of Streamlit and our routes: nobody passes without this launch's cookie."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from explorer.sharing.access import LaunchToken
from explorer.web import gate
from explorer.web.visitors import Visitors, cookie_name

TOKEN = LaunchToken("the-secret-of-this-launch")
BASE = "http://127.0.0.1:8501"


async def _inside(request: Request) -> PlainTextResponse:
    return PlainTextResponse("inside", headers={"referrer-policy": "no-referrer"})


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("inside")
    await socket.close()


@pytest.fixture
def client() -> TestClient:
    routes = [
        Route("/enter", lambda request: gate.enter(request, TOKEN)),
        Route("/_stcore/health", _inside),
        Route("/{path:path}", _inside, methods=["GET", "POST"]),
        WebSocketRoute("/_stcore/stream", _socket),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(gate.Gate, visitors=Visitors(TOKEN))])
    return TestClient(app, base_url=BASE, follow_redirects=False)


def _enter(client: TestClient, **query: str):
    return client.get("/enter", params={"token": TOKEN.secret, **query})


def test_a_stranger_sees_a_sentence_and_nothing_else(client):
    for path in ("/", "/map?d=demo", "/x/demo/thumb/abc.jpg", "/_stcore/metrics", "/_stcore/host-config"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert answer.text != "inside"
    assert "printed where it was started" in client.get("/map", headers={"accept": "text/html"}).text
    assert client.post("/x/demo/answers", headers={"origin": BASE}).status_code == 403
    assert client.get("/_stcore/health").text == "inside"


def test_the_link_lets_in_and_leads_on(client):
    answer = _enter(client, next="/map?d=demo")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/map?d=demo"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN.secret not in cookie
    assert client.get("/map?d=demo").text == "inside"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "map", "/enter?token=x"]
)
def test_the_link_leads_nowhere_else(client, target):
    assert _enter(client, next=target).headers["location"] == "/"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN.cookie_value()])
def test_a_wrong_link_does_not_let_in(client, token):
    answer = client.get("/enter", params={"token": token})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert client.get("/").status_code == 403


def test_a_cookie_of_another_launch_or_port_does_not_count(client):
    client.cookies.set(cookie_name(8501), LaunchToken("the launch before").cookie_value())
    assert client.get("/").status_code == 403
    client.cookies.clear()
    client.cookies.set(cookie_name(8502), TOKEN.cookie_value())
    assert client.get("/").status_code == 403


def test_another_name_or_another_site_is_refused_even_with_the_cookie(client):
    _enter(client)
    assert client.get("/", headers={"host": "evil.example:8501"}).status_code == 421
    assert client.post("/x/demo/answers", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post("/x/demo/answers", headers={"origin": BASE}).text == "inside"


def test_the_websocket_asks_too(client):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
        pass
    _enter(client)
    # a page elsewhere can open a websocket with the browser's cookies: the origin tells
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/_stcore/stream", headers={"origin": "http://evil.example"}),
    ):
        pass
    cookies = {"cookie": f"{cookie_name(8501)}={TOKEN.cookie_value()}", "host": "127.0.0.1:8501", "origin": BASE}
    with client.websocket_connect("/_stcore/stream", headers=cookies) as socket:
        assert socket.receive_text() == "inside"


def test_headers_are_added_and_a_stricter_one_is_kept(client):
    _enter(client)
    headers = client.get("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["referrer-policy"] == "no-referrer"

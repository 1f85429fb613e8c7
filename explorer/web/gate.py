"""The door: every request to the server passes here before Streamlit or one of our routes sees it.

A page from elsewhere must not be able to use somebody's open browser (DNS rebinding, cross-site posts), and whoever was
not let in must not be able to read the collection: so the Host and Origin are checked, and a cookie is asked for, of
this launch or of a link.
"""

import html
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from explorer.sharing.access import LaunchToken, Person, host_allowed, origin_allowed
from explorer.web.visitors import Visitors, cookie_name

OPEN_PATHS = frozenset({"/enter", "/join", "/join.js", "/join/about", "/_stcore/health"})
COOKIE_DAYS = 30
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}


def person_of(connection: HTTPConnection, visitors: Visitors) -> Person | None:
    """Who asks, or None."""
    return visitors.of(connection.cookies, connection.url.port)


class Gate:
    """ASGI middleware: refuses foreign hosts and origins, asks who it is, adds security headers."""

    def __init__(self, app: ASGIApp, visitors: Visitors) -> None:
        self.app = app
        self.visitors = visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
        else:
            await refusal(scope, receive, _with_headers(send))

    async def _refusal(self, scope: Scope) -> Response | None:
        connection = HTTPConnection(scope)
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not host_allowed(host):
            return PlainTextResponse("This server does not answer under that name (see EXPLORER_HOSTS).", 421)
        changes = scope["type"] == "websocket" or scope.get("method") not in ("GET", "HEAD", "OPTIONS")
        origin = headers.get("origin")
        if changes and origin is not None and not origin_allowed(origin, host):
            return PlainTextResponse("This request comes from another site.", 403)
        if scope["path"] in OPEN_PATHS:
            return None
        if self.visitors.at_once(connection.cookies, connection.url.port):
            person = person_of(connection, self.visitors)
        else:
            person = await run_in_threadpool(person_of, connection, self.visitors)
        if person is not None and person.grants:
            return None
        if "text/html" in headers.get("accept", "") and scope["path"].count("/") <= 1:
            return HTMLResponse(_CLOSED, 403)
        return PlainTextResponse(
            "Open the app with the link that you were given, or the one printed where it was started.", 403
        )


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", [])}
            extra = [(k.encode(), v.encode()) for k, v in _HEADERS.items() if k.encode() not in present]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return sending


def enter(request: Request, token: LaunchToken) -> Response:
    """`/enter?token=…&next=/map?…`: trade the secret of this launch for a cookie and go where the link wanted to."""
    if not token.matches(request.query_params.get("token", "")):
        return HTMLResponse(_CLOSED, 403)
    port = request.url.port
    response = RedirectResponse(safe_next(request.query_params.get("next", "/")), 303)
    response.set_cookie(
        cookie_name(port),
        token.cookie_value(),
        max_age=COOKIE_DAYS * 86400,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )
    response.headers["cache-control"] = "no-store"
    response.headers["referrer-policy"] = "no-referrer"
    return response


def safe_next(target: str) -> str:
    """A path on this server, or the start page: never another site, never a second token."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    return "/" if "token" in parse_qs(parts.query) else target


def page(title: str, text: str) -> str:
    """A small page of our own; `text` is HTML."""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:16px/1.6 system-ui,sans-serif;color:#1c2423;background:#f4f5f4;margin:0;display:grid;
min-height:100vh;place-items:center}}main{{background:#fff;border:1px solid #dfe3e1;border-radius:8px;
padding:2rem 2.5rem;max-width:32rem;margin:1rem}}h1{{font-size:1.3rem;margin:0 0 .6rem}}p{{margin:.5rem 0}}
code{{background:#f4f5f4;padding:.1em .4em;border-radius:4px}}</style>
<main><h1>{html.escape(title)}</h1>{text}</main></html>"""


_CLOSED = page(
    "This collection is closed to strangers",
    "<p>Open it with the link that you were sent. If it worked before, it has ended or was taken back: ask who sent it "
    "for a new one.</p><p>If the app runs on your own computer, open it with the link that was printed where it was "
    "started: it ends in <code>/enter?token=…</code> and is new at every start. After that, every link to a view of "
    "the collection works in this browser.</p>",
)

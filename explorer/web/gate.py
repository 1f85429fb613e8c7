"""The door: every request to the server passes here before Streamlit or one of our routes sees it.

A page from elsewhere must not be able to use somebody's open browser (DNS rebinding, cross-site posts), and whoever was
not let in must not be able to read the collection: so the Host and Origin are checked, and a cookie is asked for, of
this launch or of a link. PLACES has the rule of every address; a route without one is not reached.
"""

import html
import math
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

from explorer.errors import Unavailable
from explorer.sharing.access import (
    ACTIONS,
    LOOPBACK,
    LaunchToken,
    Person,
    host_allowed,
    may,
    named_hosts,
    origin_allowed,
)
from explorer.web import index
from explorer.web.headers import STYLE, headers_of
from explorer.web.limits import Limits, TooMuch
from explorer.web.visitors import Visitors, cookie_name

OPEN, HELD, BY_ROUTE, CLOSED = "open to strangers", "any grant", "the route's own rule", "closed"


@dataclass(frozen=True)
class Place:
    """Who may come to an address: everybody, whoever holds a grant, whoever may do an action somewhere (`asks` names
    it), nobody; below /x/ each route's own rule says."""

    path: str
    """The whole path, or with a slash at its end all below it."""
    methods: tuple[str, ...]
    asks: str


GET, POST, ANY = ("GET",), ("POST",), ("*",)
PLACES = (
    *(Place(path, GET, OPEN) for path in ("/enter", "/join", "/join.js", "/_stcore/health", "/healthz", "/readyz")),
    *(Place(path, GET, OPEN) for path in ("/login", "/auth/login", "/auth/logout", "/oauth2callback")),
    *(Place(path, POST, OPEN) for path in ("/join", "/join/about")),
    # a page's HTML holds nothing: its script, behind the websocket, asks what the person may (`state.NEEDS`)
    *(Place(f"/{page}", GET, HELD) for page in ("", *index.PAGES)),
    *(Place(path, GET, HELD) for path in ("/static/", "/favicon.png", "/manifest.json", "/_stcore/host-config")),
    Place("/media/", GET, HELD),  # named by the hash of what they hold
    Place("/_stcore/stream", ("WEBSOCKET",), HELD),
    Place("/_stcore/upload_file/", ("PUT", "DELETE"), "label"),
    Place("/x/", ("GET", "POST"), BY_ROUTE),
    # what Streamlit offers and this app does not use
    *(Place(path, ANY, CLOSED) for path in ("/_stcore/metrics", "/_stcore/script-health-check", "/_stcore/agent/")),
    *(Place(path, ANY, CLOSED) for path in ("/component/", "/_stcore/bidi-components/", "/app/static/", "/index.html")),
)
"""The rule of every address of the server. What stands nowhere here is refused."""
COOKIE_DAYS = 30
_LITTLE = frozenset({"/enter", "/join", "/join.js", "/join/about", "/login"})
_WHO = "explorer.person"
_NO_OPTIONS = Place("/", ("OPTIONS",), CLOSED)  # nothing here is for pages of other sites, which would ask first
_UNLIMITED = frozenset({"/_stcore/health", "/healthz", "/readyz"})
_BY_PATH = {place.path: [each for each in PLACES if each.path == place.path] for place in PLACES}
_BELOW = [path for path in _BY_PATH if path.endswith("/") and path != "/"]


def place_of(method: str, path: str) -> Place | None:
    """The rule for a request; None where there is none. HEAD is as GET."""
    if method == "OPTIONS":
        return _NO_OPTIONS
    method = "GET" if method == "HEAD" else method
    found = _BY_PATH.get(path) if path == "/" or not path.endswith("/") else None
    if found is None:
        found = next((_BY_PATH[above] for above in _BELOW if path.startswith(above)), [])
    return next((each for each in found if method in each.methods or each.methods == ANY), None)


def person_of(connection: HTTPConnection, visitors: Visitors) -> Person | None:
    """Who asks, or None."""
    return visitors.of(connection.cookies, connection.url.port, connection.headers)


class Gate:
    """ASGI middleware: refuses foreign hosts and origins and what is too much, asks who it is and whether they may come
    to this address at all, adds security headers."""

    def __init__(
        self, app: ASGIApp, visitors: Visitors, limits: Limits | None = None, own: ASGIApp | None = None
    ) -> None:
        self.app = app
        self.own = own or app  # for /x/: what else lies around Streamlit's app is a third of what a small request costs
        self.visitors = visitors
        self.limits = limits or Limits()
        # Streamlit asks for the Host once more at its websocket
        config.set_option("server.allowedHosts", sorted(LOOPBACK | named_hosts()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            refusal = await self._refusal(scope)
        except Unavailable as error:  # who asks is not known as long as the database is away
            refusal = PlainTextResponse(str(error), 503)
        if refusal is None and scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif refusal is None:
            app = self.own if scope["path"].startswith("/x/") else self.app
            await app(scope, receive, _with_headers(send, scope["path"], scope["path"] in _LITTLE))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
        else:
            await refusal(scope, receive, _with_headers(send, scope["path"], little=True))

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        person = scope[_WHO]
        if not self.limits.open_socket(person):
            await send({"type": "websocket.close", "code": 1013, "reason": "too many pages are open"})
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self.limits.close_socket(person)

    async def _refusal(self, scope: Scope) -> Response | None:
        connection = HTTPConnection(scope)
        headers = Headers(scope=scope)
        host, path = headers.get("host", ""), scope["path"]
        if not host_allowed(host):
            return PlainTextResponse("This server does not answer under that name (see EXPLORER_HOSTS).", 421)
        method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
        origin = headers.get("origin")
        if method not in ("GET", "HEAD", "OPTIONS") and origin is not None and not origin_allowed(origin, host):
            return PlainTextResponse("This request comes from another site.", 403)
        place = place_of(method, path)
        upload = place is not None and "PUT" in place.methods and method == "PUT"
        too_much = self.limits.lengths(scope.get("raw_path") or path.encode(), scope["query_string"], headers, upload)
        if too_much is not None:
            return _later(too_much)
        address = (scope.get("client") or ("",))[0]
        if place is not None and place.asks == OPEN:
            too_much = None if path in _UNLIMITED else self.limits.asked(None, address, path)
            return _later(too_much) if too_much else None
        if self.visitors.at_once(connection.cookies, connection.url.port, headers):
            person = person_of(connection, self.visitors)
        else:
            person = await run_in_threadpool(person_of, connection, self.visitors)
        if person is None or not person.grants:
            if "text/html" in headers.get("accept", "") and path.count("/") <= 1:
                way_in = self.visitors.way_in(connection.cookies, headers)
                return HTMLResponse(_CLOSED.replace("</main>", f"{way_in}</main>"), 403)
            return PlainTextResponse(
                "Open the app with the link that you were given, or the one printed where it was started.", 403
            )
        if place is None or place.asks == CLOSED:
            return PlainTextResponse("There is nothing at this address.", 404)
        if place.asks in ACTIONS and not any(may(person, place.asks, each.scope) for each in person.grants):
            return PlainTextResponse(f"The links that you were given do not let you {place.asks} anywhere.", 403)
        scope[_WHO] = person
        sent = int(headers["content-length"]) if upload else 0
        too_much = self.limits.asked(person, address, path, sent)
        return _later(too_much) if too_much else None


def _later(too_much: TooMuch) -> Response:
    headers = {"retry-after": str(math.ceil(too_much.after))} if too_much.after else None
    return PlainTextResponse(too_much.text, too_much.status, headers=headers)


def _with_headers(send: Send, path: str, little: bool) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", [])}
            ours = headers_of(path, little).items()
            extra = [(k.encode(), v.encode()) for k, v in ours if k.encode() not in present]
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
<style>{STYLE}</style>
<main><h1>{html.escape(title)}</h1>{text}</main></html>"""


_CLOSED = page(
    "This collection is closed to strangers",
    "<p>Open it with the link that you were sent. If it worked before, it has ended or was taken back: ask who sent it "
    "for a new one.</p><p>If the app runs on your own computer, open it with the link that was printed where it was "
    "started: it ends in <code>/enter?token=…</code> and is new at every start. After that, every link to a view of "
    "the collection works in this browser.</p>",
)

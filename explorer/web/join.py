"""Coming in by a link: `/join#SECRET`.

The secret stands behind the #, which browsers send to no server: it is in no log and in no Referer. The page shows who
is greeted and asks for a press; only that POST spends the link, so that the preview of a chat does not. What stays is a
cookie that scripts cannot read.
"""

import json
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from explorer.errors import BadInput, ExplorerError, NotFound, Refused
from explorer.sharing.access import origin_allowed
from explorer.web import gate
from explorer.web.runtime import Runtime, runtime
from explorer.web.visitors import browser_cookie

COOKIE_DAYS = 180
MOST_BYTES = 4_000
WORDS = {
    "look": "You can look at the pictures, the map and what came of the questions.",
    "label": "You can look at the pictures and say what you see in them.",
    "edit": "You can look, answer, and change the questions.",
    "own": "You can do everything here, and decide who else may.",
}
_FRESH = {"cache-control": "no-store", "referrer-policy": "no-referrer"}

_PAGE = gate.page(
    "One moment…",
    """<div id="asked" hidden><p id="what"></p>
<p id="naming"><label>Your name, so that the others know whose answers these are (optional)<br>
<input id="name" maxlength="80" autocomplete="name"></label></p>
<p><button id="open" type="button">Open</button></p></div><p id="said" role="alert" hidden></p>
<noscript><p>This app needs JavaScript.</p></noscript><script src="/join.js"></script>""",
)
_SCRIPT = """const secret = decodeURIComponent(location.hash.slice(1));
history.replaceState(null, "", "/join"); // not even the history keeps it
const at = (id) => document.getElementById(id);
const title = document.querySelector("h1");
function say(heading, text) {
  title.textContent = document.title = heading;
  at("said").textContent = text;
  at("said").hidden = false;
  at("asked").hidden = true;
}
async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: { "content-type": "application/json", "x-explorer": "1" }, body: JSON.stringify(body) });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? "The server did not answer; try again in a moment.");
  return told;
}
async function begin() {
  if (!secret) return say("This link is not whole", "Open it again from the message in which it was sent to you.");
  try {
    const about = await ask("/join/about", { secret });
    title.textContent = document.title = about.greeting;
    at("what").textContent = about.what;
    at("naming").hidden = !about.ask_name;
    at("asked").hidden = false;
    at("open").focus();
  } catch (error) { say("This link does not open", error.message); }
}
async function come() {
  at("open").disabled = true;
  try {
    const told = await ask("/join", { secret, name: at("name").value });
    location.replace(told.next);
  } catch (error) { say("This link does not open", error.message); }
}
at("open").addEventListener("click", come);
at("name").addEventListener("keydown", (event) => { if (event.key === "Enter") come(); });
begin();
"""


def _show(_: Request) -> Response:
    return HTMLResponse(_PAGE, headers=_FRESH)


def _script(_: Request) -> Response:
    return Response(_SCRIPT, media_type="text/javascript; charset=utf-8", headers={"cache-control": "no-cache"})


def _about(rt: Runtime, request: Request, told: dict[str, str]) -> Response:
    link = rt.links.offered(told["secret"])
    what = WORDS[link.role]
    try:
        if link.scope.question:
            question = rt.questions.get(link.scope.question)
            what = (
                f"You are asked to help with “{question.name}”: pictures are shown, and you say what you see in them."
            )
        elif link.scope.dataset:
            what = f"“{rt.dataset(link.scope.dataset).name}”, a collection of pictures. {what}"
    except NotFound:
        raise Refused("What this link leads to is not here any more; ask who sent it.") from None
    known = gate.person_of(request, rt.visitors)
    greeting = f"Welcome, {link.name}" if link.name else "Welcome"
    asks = known is None and not link.name
    return JSONResponse({"greeting": greeting, "what": what, "ask_name": asks}, headers=_FRESH)


def _join(rt: Runtime, request: Request, told: dict[str, str]) -> Response:
    port = request.url.port
    before = request.cookies.get(browser_cookie(port), "")
    browser, link = rt.links.redeem(told["secret"], before, told.get("name", ""))
    response = JSONResponse({"next": gate.safe_next(link.start)}, headers=_FRESH)
    response.set_cookie(
        browser_cookie(port),
        browser,
        max_age=COOKIE_DAYS * 86400,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )
    return response


def _posted(function: Callable[[Runtime, Request, dict[str, str]], Response]) -> Callable[[Request], object]:
    async def endpoint(request: Request) -> Response:
        try:
            # another site must not put its own link into somebody's browser
            if not origin_allowed(request.headers.get("origin", ""), request.headers.get("host", "")):
                raise Refused("This address takes requests from the app's own pages only.")
            if request.headers.get("x-explorer") != "1":
                raise Refused("This address takes requests from the app's own pages only.")
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise BadInput("The request is too large for a link.")
            return await run_in_threadpool(function, runtime(), request, _texts(body))
        except ExplorerError as error:
            status = 400 if isinstance(error, BadInput) else 403
            return JSONResponse({"error": str(error)}, status, headers=_FRESH)

    return endpoint


def _texts(body: bytes) -> dict[str, str]:
    try:
        told = json.loads(body)
    except ValueError:
        raise BadInput("The request is not JSON.") from None
    if not isinstance(told, dict) or not isinstance(told.get("secret"), str):
        raise BadInput("The request lacks the link's secret.")
    if not all(isinstance(value, str) for value in told.values()):
        raise BadInput("The request holds more than texts.")
    return told


ROUTES = [
    Route("/join", _show, methods=["GET"]),
    Route("/join.js", _script, methods=["GET"]),
    Route("/join/about", _posted(_about), methods=["POST"]),
    Route("/join", _posted(_join), methods=["POST"]),
]

"""Our own HTTP routes, in the process of the Streamlit server: pictures, map points, answers, orders, downloads.

Heavy traffic stays off Streamlit's websocket: a rerun costs a hundred milliseconds, a route a few. Every route is
declared with the action it needs, and that action is authorised before its function runs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from explorer.collection.images import full_jpeg
from explorer.errors import BadInput, Busy, ExplorerError, NotFound, Refused, Unavailable
from explorer.sharing import exports
from explorer.sharing.access import Person, Scope, authorise, may
from explorer.web import downloads, filtering, gate, paging, views
from explorer.web.answering import batch, news, order, record
from explorer.web.bulk import shown_rows
from explorer.web.colours import colouring
from explorer.web.listed import list_file
from explorer.web.recent import recent
from explorer.web.runtime import Runtime, runtime
from explorer.workspace import replica

MAX_BODY = 2_000_000
FOREVER = {"cache-control": "private, max-age=31536000, immutable", "content-encoding": "identity"}
FRESH = {"cache-control": "no-store"}
_STATUS: dict[type[ExplorerError], int] = {NotFound: 404, Refused: 403, Busy: 409, BadInput: 400, Unavailable: 503}


@dataclass(frozen=True)
class Call:
    """One request, already authorised."""

    rt: Runtime
    person: Person
    path: dict[str, Any]
    query: dict[str, str]
    body: bytes = b""

    @property
    def dataset(self) -> str:
        return str(self.path["dataset"])

    def need(self, name: str) -> str:
        if not self.query.get(name):
            raise BadInput(f"The address lacks '{name}='.")
        return self.query[name]


@dataclass(frozen=True)
class Rule:
    """What a route needs: the action that `authorise` is asked about, and the method. `where` says whether the request
    names a question, to which a grant may be limited: in its "query", in its "body", or "" where it names none.
    `threads`: which of _THREADS, for what open pages ask all the time."""

    path: str
    action: str
    method: str
    function: Callable[[Call], Response]
    where: str = ""
    threads: str = ""

    def scope(self, dataset: str, query: Mapping[str, str], body: bytes) -> Scope:
        """What a request is about. Nothing is read but the names: the function checks what they stand for."""
        if self.where == "query":
            return Scope(dataset, str(query.get("question", "")))
        if self.where == "body":
            try:
                said = json.loads(body)
            except ValueError:
                return Scope(dataset)
            named = said.get("question") if isinstance(said, dict) else None
            return Scope(dataset, named if isinstance(named, str) else "")
        return Scope(dataset)


RULES: list[Rule] = []
_THREADS = {
    "store": anyio.CapacityLimiter(40),
    "order": anyio.CapacityLimiter(4),
    "batch": anyio.CapacityLimiter(4),
}
"""What is stored waits for nobody who waits for scores, nor the order for who chooses pictures. Few threads each: they
give up Python's lock at every row of the database and wait for all the others to get it back."""


def rule(
    path: str, action: str, method: str = "GET", where: str = "", threads: str = ""
) -> Callable[[Callable[[Call], Response]], Callable[..., Response]]:
    def register(function: Callable[[Call], Response]) -> Callable[[Call], Response]:
        RULES.append(Rule(f"/x/{{dataset}}/{path}", action, method, function, where, threads))
        return function

    return register


def _endpoint(a_rule: Rule) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request) if a_rule.method == "POST" else b""
            return await anyio.to_thread.run_sync(_answer, a_rule, request, body, limiter=_THREADS.get(a_rule.threads))
        except ExplorerError as error:
            status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 422)
            return JSONResponse({"error": str(error)}, status, headers=FRESH)

    return endpoint


def _answer(a_rule: Rule, request: Request, body: bytes) -> Response:
    rt = runtime()
    person = gate.person_of(request, rt.visitors)
    authorise(person, a_rule.action, a_rule.scope(request.path_params["dataset"], request.query_params, body))
    assert person is not None  # authorise lets nobody pass; the routes below need to know who it is
    return a_rule.function(Call(rt, person, dict(request.path_params), dict(request.query_params), body))


async def _body(request: Request) -> bytes:
    if request.headers.get("x-explorer") != "1":  # a form on another site cannot set this header
        raise Refused("This address takes requests from the app's own pages only.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadInput(f"The request is larger than {MAX_BODY // 1_000_000} MB; send it in parts.")
    return body


@rule("thumb/{hash}.jpg", "see")
def thumb(call: Call) -> Response:
    picture = call.rt.dataset(call.dataset).pictures.thumb(str(call.path["hash"]))
    if picture is None:
        raise NotFound("There is no small picture under that name; look for changes to make it again.")
    return Response(picture, media_type="image/jpeg", headers=FOREVER)


@rule("full.jpg", "see")
def full(call: Call) -> Response:
    dataset = call.rt.dataset(call.dataset)
    item = dataset.item(call.need("uid"))
    try:
        picture = full_jpeg(dataset.source.read(item["path"]))
    except ExplorerError:
        small = dataset.pictures.thumb(item["content_hash"]) if replica() else None
        if small is None:
            raise
        picture = small
    return Response(picture, media_type="image/jpeg", headers=FRESH)


@rule("original", "look")
def original(call: Call) -> Response:
    dataset = call.rt.dataset(call.dataset)
    item = dataset.item(call.need("uid"))
    name = exports.safe_name(item["path"])
    headers = {**FRESH, "content-disposition": exports.attachment(name)}
    return Response(dataset.source.read(item["path"]), media_type="application/octet-stream", headers=headers)


@rule("item.json", "see")
def item_json(call: Call) -> Response:
    dataset = call.rt.dataset(call.dataset)
    key = call.query.get("space", "")
    space = call.rt.space(call.dataset, key) if key else None
    uid = call.query.get("uid", "")
    if not uid:
        if space is None or str(space.generation) != call.query.get("gen"):
            raise NotFound("The map has been made anew meanwhile; reload the page.")
        uid = space.uids[_row(call.need("row"), len(space.uids))]
    whole = may(call.person, "look", Scope(call.dataset))  # columns and neighbours tell of what one is not asked about
    return JSONResponse(views.item_details(dataset, space if whole else None, uid, whole), headers=FRESH)


@rule("page.json", "look")
def page_json(call: Call) -> Response:
    return JSONResponse(paging.page(call.rt, call.dataset, call.query), headers=FRESH)


@rule("map/{space}/{gen}/points.bin", "look")
def points(call: Call) -> Response:
    return _bytes(_space(call).xy.astype("<f4").tobytes())


@rule("map/{space}/{gen}/shown.bin", "look")
def shown(call: Call) -> Response:
    """For each picture of a map one bit, the first of a byte its highest: whether it passes the filter `f`."""
    keep = shown_rows(call.rt, call.rt.dataset(call.dataset), _space(call), call.query.get("f"))
    headers = {**FRESH, "content-encoding": "identity"}
    return Response(np.packbits(keep).tobytes(), media_type="application/octet-stream", headers=headers)


@rule("filter.json", "look")
def filter_json(call: Call) -> Response:
    return JSONResponse(filtering.panel(call.rt, call.dataset, call.query), headers=FRESH)


@rule("map/{space}/{gen}/hashes.bin", "look")
def hashes(call: Call) -> Response:
    return _bytes(bytes.fromhex(_space(call).hashes.run().decode()))


@rule("map/{space}/{gen}/in/{other}/{other_gen}.bin", "look")
def rows_in(call: Call) -> Response:
    """For each picture of one map, little-endian int32: its row in another, -1 where it is not there."""
    return _bytes(_space(call, "other").rows.of(_space(call).uids).astype("<i4").tobytes())


@rule("map/{space}/{gen}/colours.bin", "look")
def colours(call: Call) -> Response:
    dataset = call.rt.dataset(call.dataset)
    chosen = colouring(call.rt, dataset, _space(call), call.need("by"))
    forever = chosen.version == call.query.get("v")
    headers = FOREVER if forever else {**FRESH, "content-encoding": "identity"}
    return Response(chosen.codes.tobytes(), media_type="application/octet-stream", headers=headers)


@rule("answers", "label", "POST", where="body", threads="store")
def answers(call: Call) -> Response:
    try:
        message = json.loads(call.body)
    except ValueError as error:
        raise BadInput(f"The answers are not JSON ({error}); nothing was stored.") from error
    return JSONResponse(record(call.rt, call.person, call.dataset, message), headers=FRESH)


@rule("order.json", "look", where="query", threads="order")
def order_json(call: Call) -> Response:
    return Response(order(call.rt, call.dataset, call.query), media_type="application/json", headers=FRESH)


@rule("batch.json", "label", where="query", threads="batch")
def batch_json(call: Call) -> Response:
    return JSONResponse(batch(call.rt, call.person, call.dataset, call.query), headers=FRESH)


@rule("news.json", "label", where="query", threads="order")
def news_json(call: Call) -> Response:
    return JSONResponse(news(call.rt, call.person, call.dataset, call.query), headers=FRESH)


@rule("recent.json", "label", where="query")
def recent_json(call: Call) -> Response:
    return JSONResponse(recent(call.rt, call.person, call.dataset, call.query), headers=FRESH)


@rule("answers.csv", "look", where="query")
def answers_csv(call: Call) -> Response:
    return downloads.answers_file(call.rt, call.dataset, call.query, "csv")


@rule("answers.jsonl", "look", where="query")
def answers_jsonl(call: Call) -> Response:
    return downloads.answers_file(call.rt, call.dataset, call.query, "jsonl")


@rule("answers.parquet", "look", where="query")
def answers_parquet(call: Call) -> Response:
    return downloads.answers_file(call.rt, call.dataset, call.query, "parquet")


@rule("classes.zip", "look", where="query")
def classes_zip(call: Call) -> Response:
    return downloads.classes_zip(call.rt, call.dataset, call.query)


@rule("question.json", "look", where="query")
def question_json(call: Call) -> Response:
    return downloads.question_json(call.rt, call.dataset, call.query)


@rule("report.html", "look", where="query")
def report_html(call: Call) -> Response:
    return downloads.report(call.rt, call.dataset, call.query, "html")


@rule("report.pdf", "look", where="query")
def report_pdf(call: Call) -> Response:
    return downloads.report(call.rt, call.dataset, call.query, "pdf")


@rule("list.csv", "look", where="query")
def list_csv(call: Call) -> Response:
    return list_file(call.rt, call.dataset, call.query, "csv")


@rule("list.zip", "look", where="query")
def list_zip(call: Call) -> Response:
    return list_file(call.rt, call.dataset, call.query, "zip")


@rule("selection.csv", "look")
def selection_csv(call: Call) -> Response:
    dataset = call.rt.dataset(call.dataset)
    rows = views.selected_items(call.rt, dataset, call.query)
    return _download(exports.items_csv(rows).encode("utf-8-sig"), f"{dataset.name}.csv", "text/csv; charset=utf-8")


@rule("selection.zip", "look")
def selection_zip(call: Call) -> Response:
    dataset = call.rt.dataset(call.dataset)
    rows = views.selected_items(call.rt, dataset, call.query)
    headers = {**FRESH, "content-disposition": exports.attachment(f"{dataset.name}.zip")}
    return StreamingResponse(exports.zip_stream(dataset, rows), media_type="application/zip", headers=headers)


@rule("map.html", "look")
def map_html(call: Call) -> Response:
    dataset = call.rt.dataset(call.dataset)
    space = call.rt.space(call.dataset, call.need("space"))
    page = views.map_page(dataset, space, colouring(call.rt, dataset, space, call.query.get("by", "none")))
    return _download(page.encode(), f"{dataset.name} map.html", "text/html; charset=utf-8")


def _space(call: Call, name: str = "") -> Any:
    space = call.rt.space(call.dataset, str(call.path[name or "space"]))
    if str(space.generation) != str(call.path[f"{name}_gen" if name else "gen"]):
        raise NotFound("The map has been made anew meanwhile; reload the page.")
    return space


def _row(text: str, n: int) -> int:
    if not text.isdecimal() or int(text) >= n:
        raise NotFound("There is no such picture on the map.")
    return int(text)


def _bytes(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream", headers=FOREVER)


def _download(content: bytes, name: str, media_type: str) -> Response:
    return Response(content, media_type=media_type, headers={**FRESH, "content-disposition": exports.attachment(name)})


def _enter(request: Request) -> Response:
    return gate.enter(request, runtime().token)


def nothing(_: Request) -> Response:
    """Below /x/ Streamlit's page must not answer in place of a route that is not there."""
    return JSONResponse({"error": "There is nothing at this address."}, 404, headers=FRESH)


ROUTES = [
    Route("/enter", _enter, methods=["GET"]),
    *(Route(each.path, _endpoint(each), methods=[each.method]) for each in RULES),
    Route("/x/{rest:path}", nothing, methods=["GET", "POST"]),
]

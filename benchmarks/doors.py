"""Who may come where: every route of the real app asked by every role, and links that must let nobody in.

The routes are found by walking the app as it is served: ours, Streamlit's, and what lies in its folders. What a role
may is said here once more, in this file's own words, and compared with what the server answers.
"""

import json
import re
import secrets
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.doors_world import HOST, ROLES, Held, World, end, world

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


TARGETS = {
    "routes_without_rule": "= 0",
    "cells_wrong": "= 0",
    "bad_links_tried": ">= 100",
    "bad_links_let_in": "= 0",
}
OURS = {"origin": HOST, "x-explorer": "1", "accept-encoding": "identity"}
NEEDS_ANSWERS = ("list.csv", "list.zip")
"""Routes that tell whoever is let in that there is no guess yet."""
REFUSED = ("nothing at this address", "Open the app with", "do not let you")
"""What the door says, to be told from what a route says."""
RANK = ("see", "look", "label", "edit", "own")


@dataclass(frozen=True)
class Address:
    """One method of one route, with a path that it answers to."""

    method: str
    path: str
    route: "BaseRoute"


@dataclass
class Checked:
    """What a walk found."""

    addresses: int = 0
    without_rule: list[str] = field(default_factory=list)
    cells: int = 0
    wrong: list[str] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)


def run() -> dict[str, Any]:
    with world() as here:
        checked = matrix(here)
        tried, let_in = bad_links(here)
    figures = {
        "routes": checked.addresses,
        "routes_without_rule": len(checked.without_rule),
        "cells_checked": checked.cells,
        "cells_wrong": len(checked.wrong),
        "bad_links_tried": sum(tried.values()),
        "bad_links_let_in": len(let_in),
    }
    detail = {
        "without_rule": checked.without_rule[:20],
        "wrong": checked.wrong[:20],
        "answers": dict(sorted(checked.answers.items())),
        "bad_links": dict(tried),
        "let_in": let_in[:20],
    }
    return {"figures": figures, "detail": detail}


def walk(routes: Iterable["BaseRoute"]) -> Iterator[Address]:
    """Every method of every route; of a folder that is served, its own files and one of each folder in it."""
    from starlette.routing import Mount, Route, WebSocketRoute
    from starlette.staticfiles import StaticFiles

    for route in routes:
        if isinstance(route, WebSocketRoute):
            yield Address("WEBSOCKET", route.path, route)
        elif isinstance(route, Route):
            for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
                yield Address(method, route.path, route)
        elif isinstance(route, Mount) and isinstance(route.app, StaticFiles):
            for entry in sorted(Path(str(route.app.directory)).iterdir()):
                file = next(each for each in sorted(entry.rglob("*")) if each.is_file()) if entry.is_dir() else entry
                path = file.relative_to(str(route.app.directory)).as_posix()
                yield Address("GET", f"{route.path.rstrip('/')}/{path}", route)
        else:
            yield Address("*", getattr(route, "path", repr(route)), route)  # of a kind that nobody has thought of


def rule_of(address: Address) -> str | None:
    """What the door asks at an address: one of `gate`'s words, an action, or "ACTION where" of a route's own rule; None
    where nothing is asked."""
    from explorer.web import gate, routes

    place = gate.place_of(address.method, address.path)
    if place is None:
        return None
    if place.asks != gate.BY_ROUTE:
        return place.asks
    if getattr(address.route, "endpoint", None) is routes.nothing:
        return gate.CLOSED
    own = [each for each in routes.RULES if (each.path, each.method) == (address.path, address.method)]
    endpoint = getattr(address.route, "endpoint", None)
    asked = getattr(endpoint, "__qualname__", "").startswith("_endpoint.")
    return f"{own[0].action} {own[0].where}" if own and asked else None


def may(held: Held, action: str, dataset: str, question: str) -> bool:
    """Whether a role should be let in, said without the code that decides it."""
    for role, to_dataset, to_question in held:
        if to_dataset and to_dataset != dataset:
            continue
        enough = RANK.index(action) <= RANK.index(role)
        if (not to_question and enough) or (to_question == question and enough):
            return True
        if to_question and not question and action == "see":
            return True  # whoever answers a question sees its pictures
    return False


def matrix(here: World) -> Checked:
    """Ask everything as everybody."""
    checked = Checked()
    for address in walk(here.routes):
        checked.addresses += 1
        rule = rule_of(address)
        if rule is None:
            checked.without_rule.append(f"{address.method} {address.path}")
            continue
        for role, held in ROLES.items():
            if rule.split(" ")[0] in RANK and address.path.startswith("/x/"):
                cells = _own_cells(here, address, rule, role, held)
            else:
                cells = _place_cells(here, address, rule, role, held)
            for cell, status, right in cells:
                checked.cells += 1
                checked.answers[status] += 1
                if not right:
                    checked.wrong.append(f"{role}: {address.method} {cell}: {status}")
    for role, path, status in _across(here):
        checked.cells += 1
        checked.answers[status] += 1
        if status < 400:
            checked.wrong.append(f"{role}: {path}: {status}")
    return checked


def _across(here: World) -> Iterator[tuple[str, str, int]]:
    """From where somebody may be into where they may not, by a name within the address or the body."""
    from explorer.web import selections

    first, second = here.values["first"], here.values["second"]
    alive, bright, elsewhere = (here.questions[name][1] for name in ("alive", "bright", "elsewhere"))
    chosen = selections.save(here.rt.catalog, "second", [second["uid"]], "some")
    event = {"client_event_id": str(uuid.uuid4()), "uid": first["uid"], "value": "unsure"}
    map_of_first = f"/x/first/map/{first['space']}/{first['gen']}"
    paths = [
        f"{map_of_first}/colours.bin?by=answer:{elsewhere}",
        f"/x/first/thumb/{second['hash']}.jpg",
        f"/x/first/selection.csv?sel={chosen}",
        f"/x/first/item.json?uid=../../second/{second['uid']}",
        f"/x/first/full.jpg?uid=../second/{second['uid']}",
        f"/x/first/original?uid={second['hash']}",
        "/x/first/map.html?space=../../../second",
        f"/x/first/answers.csv?question={alive}&question={elsewhere}",
        f"/x/second/answers.csv?question={elsewhere}&question={alive}",
        f"/x/first%2F..%2Fsecond/thumb/{second['hash']}.jpg",
        f"/x/../x/second/thumb/{second['hash']}.jpg",
        f"//x/second/thumb/{second['hash']}.jpg",
        f"/x/first/../second/thumb/{second['hash']}.jpg",
    ]
    for path in paths:
        yield "own", path, _asked(here, "own", "GET", path).status_code
    one = "label one question"
    for path in (f"{name}?question={alive}&question={bright}" for name in ("recent.json", "batch.json", "answers.csv")):
        yield one, path, _asked(here, one, "GET", f"/x/first/{path}").status_code
    for question in (bright, elsewhere, "", [alive], {"a": alive}, None, f" {alive}"):
        sent = {"question": question, "events": [event]}
        yield one, f"POST {question!r}", _asked(here, one, "POST", "/x/first/answers", sent=sent).status_code
    # what was checked first must be what is then used
    twice = f'{{"question": "{alive}", "events": [{json.dumps(event)}], "question": "{bright}"}}'
    here.client.cookies = here.cookies[one]
    yield one, "POST twice", here.client.post("/x/first/answers", content=twice, headers=OURS).status_code


def _place_cells(here: World, address: Address, rule: str, role: str, held: Held) -> Iterator[tuple[str, int, bool]]:
    """An address outside the collections: there is one cell."""
    from explorer.web import gate

    path = re.sub(r"\{\w+(:path)?\}", "0", address.path)
    method = "POST" if address.method == "*" else address.method
    answer = None if method == "WEBSOCKET" else _asked(here, role, method, path)
    status = _socket(here, role) if answer is None else answer.status_code
    passed = status != 403 if answer is None else not any(words in answer.text for words in REFUSED)
    somewhere = rule not in RANK or any(may((each,), rule, each[1], each[2]) for each in held)
    if rule == gate.OPEN:  # what the route then says to nonsense is its own business
        right = passed and status not in (405, 429) and status < 500
    elif rule == gate.CLOSED:
        right = not passed and status == (404 if held else 403)
    elif held and somewhere:
        right = passed and status not in (405, 429) and status < 500
    else:
        right = not passed and status == 403
    yield path, status, right


def _own_cells(here: World, address: Address, rule: str, role: str, held: Held) -> Iterator[tuple[str, int, bool]]:
    """A route of ours: each collection, and each question where it names one, also those of the other collection."""
    action, where = rule.split(" ")
    for dataset, values in here.values.items():
        for question in ("", *here.questions) if where else ("",):
            owner, question_id = here.questions.get(question, ("", ""))
            event = {"client_event_id": str(uuid.uuid4()), "uid": values["uid"], "value": "unsure"}
            sent = {"question": question_id, "events": [event]}
            query = {"question": question_id, "uid": values["uid"], "space": values["space"], "by": "none", "of": "odd"}
            query |= {"class": here.rt.questions.get(question_id).class_ids[0]} if question else {}
            answer = _asked(here, role, address.method, address.path.format(**values), query=query, sent=sent)
            status = answer.status_code
            allowed = may(held, action, dataset, question if where else "")
            if not allowed:
                right = status == 403 and len(answer.content) < 400
            elif where and owner != dataset:
                right = 400 <= status < 500  # no question, or the other collection's
            else:
                right = status == 200 or (status == 400 and address.path.endswith(NEEDS_ANSWERS))
            yield f"{address.path} of {dataset} {question}", status, right


def _asked(
    here: World, role: str, method: str, path: str, query: dict[str, str] | None = None, sent: Any = None
) -> Any:
    here.client.cookies = here.cookies[role]
    content = json.dumps(sent).encode() if sent is not None and method == "POST" else None
    return here.client.request(method, path, params=query, content=content, headers=OURS, follow_redirects=False)


def _socket(here: World, role: str) -> int:
    """101 where Streamlit's websocket is opened, else 403."""
    from starlette.websockets import WebSocketDisconnect

    kept = "; ".join(f"{name}={value}" for name, value in here.cookies[role].items())
    headers = {"host": HOST.split("//")[1], "origin": HOST, "cookie": kept}
    try:
        with here.client.websocket_connect("/_stcore/stream", subprotocols=["streamlit"], headers=headers):
            return 101
    except WebSocketDisconnect:
        return 403


def bad_links(here: World) -> tuple[Counter[str], list[str]]:
    """Try what must not let in: how many of each kind, and which did."""
    from explorer.catalog.database import Catalog
    from explorer.sharing.access import LaunchToken, Scope
    from explorer.sharing.links import LinkStore, hashed
    from explorer.web.visitors import browser_cookie, cookie_name

    links = here.rt.links
    tried: Counter[str] = Counter()
    let_in: list[str] = []

    def spend(kind: str, secret: str, told: bool = False) -> None:
        """`told`: whom the link greets may be known, for one who is in already may come again."""
        tried[kind] += 1
        here.client.cookies = {}
        for path in ("/join",) if told else ("/join/about", "/join"):
            answer = here.client.post(path, json={"secret": secret}, headers=OURS)
            if answer.status_code < 400 or "set-cookie" in answer.headers:
                let_in.append(f"{kind}: {path} answered {answer.status_code}")
        come(kind, dict(here.client.cookies), counted=False)

    def come(kind: str, cookies: dict[str, str], counted: bool = True) -> None:
        tried[kind] += counted
        here.client.cookies = cookies
        thumb = f"/x/first/thumb/{here.values['first']['hash']}.jpg"
        for path in ("/", thumb, f"/enter?token={next(iter(cookies.values()), '')}"):
            answer = here.client.get(path, headers={"origin": HOST}, follow_redirects=False)
            if answer.status_code < 400:
                let_in.append(f"{kind}: {path} answered {answer.status_code}")

    _, good = links.create("look", Scope("first"))
    for _ in range(40):
        spend("forged", secrets.token_urlsafe(32))
    for at, letter in enumerate(good):
        spend("tampered", good[:at] + ("A" if letter != "A" else "B") + good[at + 1 :])
    for changed in (good[:-1], good + "=", good.swapcase(), good + " ", "", good[::-1]):
        spend("tampered", changed)
    for _ in range(10):
        link, secret = links.create("own", Scope())
        end(here.rt, link.id)
        spend("expired", secret)
        link, secret = links.create("own", Scope())
        browser, _ = links.redeem(secret)
        links.revoke(link.id)
        spend("revoked", secret)
        come("replayed cookie of a revoked link", {browser_cookie(8501): browser})
        link, secret = links.create("own", Scope())
        links.pause(link.id)
        spend("paused", secret)
        _, secret = links.create("look", Scope("first"), seats=1)
        browser, _ = links.redeem(secret)
        spend("replayed, its only seat taken", secret, told=True)
        come("the stored hash as a cookie", {browser_cookie(8501): hashed(browser)})
        spend("the stored hash", hashed(secret))
        come("a link's secret as a cookie", {browser_cookie(8501): secret})
        come("a cookie of another port", {browser_cookie(8502): browser})
        come("a cookie of another launch", {cookie_name(8501): LaunchToken(secrets.token_urlsafe()).cookie_value()})
    elsewhere = Catalog.open(f"sqlite:///{here.place / 'elsewhere.db'}")
    foreign = LinkStore(elsewhere)
    for _ in range(10):
        _, secret = foreign.create("own", Scope())
        spend("foreign", secret)
        come("foreign cookie", {browser_cookie(8501): foreign.redeem(secret)[0]})
    elsewhere.close()
    return tried, let_in

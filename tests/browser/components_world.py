"""What components_app.py shows: made-up pictures, their places, and routes that keep answers in memory.

COMPONENTS_PICTURES=FOLDER shows the PNG files of a folder instead of drawn shapes.
"""

import functools
import io
import json
import os
import random
import threading
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KINDS = ("circle", "square", "triangle", "star <b>bold</b>")
COLOURS = ("#0f766e", "#e07a2f", "#5b6ee1", "#c2417c")
CLASSES = [{"id": f"c{place}", "name": name, "colour": COLOURS[place]} for place, name in enumerate(KINDS[:3])]
FOLDER = os.environ.get("COMPONENTS_PICTURES", "")


@functools.cache
def world(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, 2) float32 in [-1, 1] in a few heaps, and the kind (n,) of each picture."""
    rng = np.random.default_rng(3)
    kinds = rng.integers(0, len(KINDS), n)
    middles = rng.uniform(-0.7, 0.7, (len(KINDS), 6, 2))
    heap = rng.integers(0, 6, n)
    xy = middles[kinds, heap] + rng.normal(0, 0.07, (n, 2))
    return np.clip(xy, -1, 1).astype("<f4"), kinds


def hash_of(row: int) -> str:
    return f"{row + 1:032x}"


@functools.cache
def files() -> list[str]:
    return sorted(str(p) for p in Path(FOLDER).rglob("*.png") if p.stat().st_size < 40_000) if FOLDER else []


@functools.lru_cache(maxsize=4000)
def jpeg(row: int, side: int) -> bytes:
    if FOLDER:
        picture = Image.open(files()[row * 37 % len(files())]).convert("RGBA")
        picture.thumbnail((side, side))
        page = Image.new("RGB", picture.size, "white")
        page.paste(picture, mask=picture.split()[3])
    else:
        page = Image.new("RGB", (side, side * 3 // 4), "white")
        draw = ImageDraw.Draw(page)
        kind = int(world(2000)[1][row % 2000])
        hue = f"hsl({row * 37 % 360}, 60%, 50%)"
        box = (side // 4, side // 8, side * 3 // 4, side * 5 // 8)
        if kind == 0:
            draw.ellipse(box, fill=hue)
        elif kind == 1:
            draw.rectangle(box, fill=hue)
        else:
            draw.regular_polygon((side // 2, side * 3 // 8, side // 4), 3 if kind == 2 else 7, fill=hue)
        draw.text((4, 4), str(row), fill="black")
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def caption(row: int) -> str:
    name = (
        Path(files()[row * 37 % len(files())]).stem.replace("_", " ")
        if FOLDER
        else KINDS[int(world(2000)[1][row % 2000])]
    )
    return f"{name} {row}"


def card(row: int) -> dict[str, object]:
    return {"uid": f"u/{row} ü", "hash": hash_of(row), "caption": caption(row)}


def row_of(uid: str) -> int:
    return int(uid.removeprefix("u/").removesuffix(" ü"))


class Memory:
    """The double of the answer store, with faults that a test can ask for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.events: list[dict] = []
        self.calls: list[str] = []
        self.failing = 0
        self.refusing = ""

    def record(self, events: list[dict]) -> list[dict]:
        with self.lock:
            known = {event["client_event_id"]: seq for seq, event in enumerate(self.events, 1)}
            stored = []
            for event in events:
                duplicate = event["client_event_id"] in known
                if not duplicate:
                    self.events.append(event)
                    known[event["client_event_id"]] = len(self.events)
                seq = known[event["client_event_id"]]
                stored.append({"client_event_id": event["client_event_id"], "seq": seq, "duplicate": duplicate})
            return stored

    def current(self) -> dict[str, dict]:
        """An event holds unless one that holds undoes it."""
        off: set[str] = set()
        answers: dict[str, dict] = {}
        for event in reversed(self.events):
            if event["client_event_id"] in off:
                continue
            if event["undoes"]:
                off.add(event["undoes"])
            else:
                answers.setdefault(event["uid"], event)
        return answers


MEMORY = Memory()
N = 300


def scores() -> np.ndarray | None:
    xy, _ = world(N)
    given = [(row_of(uid), e["class_id"]) for uid, e in MEMORY.current().items() if e["value"] == "yes"]
    if len({c for _, c in given}) < 2:
        return None
    far = np.full((N, len(CLASSES)), 3.0)
    for place, each in enumerate(CLASSES):
        rows = [row for row, c in given if c == each["id"]]
        if rows:
            far[:, place] = np.linalg.norm(xy[:, None] - xy[rows][None], axis=2).min(1)
    strength = np.exp(-far * 8)
    return strength / strength.sum(1, keepdims=True)


def binary(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream", headers={"cache-control": "private, max-age=60"})


def total(request: Request) -> int:
    return int(request.path_params["space"].removeprefix("s"))


def points(request: Request) -> Response:
    return binary(world(total(request))[0].tobytes())


def shown(request: Request) -> Response:
    """The filter of this world lets every second picture through."""
    keep = np.arange(total(request)) % 2 == 1
    return binary(np.packbits(keep).tobytes())


def hashes(request: Request) -> Response:
    n = total(request)
    raw = np.zeros((n, 16), np.uint8)
    raw[:, 12:] = (np.arange(n, dtype=">u4") + 1).view(np.uint8).reshape(n, 4)
    return binary(raw.tobytes())


def colours(request: Request) -> Response:
    n, by = total(request), request.query_params["by"]
    MEMORY.calls.append(f"colours {by} {request.query_params['v']}")
    codes = world(n)[1].astype(np.uint8)
    if by.startswith("column:year"):
        codes = np.linspace(0, 255, n).astype(np.uint8)
    if by.startswith("guess:"):
        found = scores()
        codes = np.full(n, 255, np.uint8) if found is None else found.argmax(1).astype(np.uint8)
    return binary(codes.tobytes())


def rows_in(request: Request) -> Response:
    """The smaller map holds the first pictures of the larger one."""
    rows = np.arange(total(request), dtype="<i4")
    rows[rows >= int(request.path_params["other"].removeprefix("s"))] = -1
    return binary(rows.tobytes())


def thumb(request: Request) -> Response:
    row = int(request.path_params["hash"], 16) - 1
    if row == 7 and "broken" in MEMORY.calls:
        return Response("no", 404)
    return Response(jpeg(row, 256), media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})


def full(request: Request) -> Response:
    return Response(jpeg(row_of(request.query_params["uid"]), 900), media_type="image/jpeg")


async def original(request: Request) -> Response:
    return Response(b"bytes", headers={"content-disposition": "attachment; filename=original.bin"})


async def item(request: Request) -> Response:
    query = request.query_params
    row = row_of(query["uid"]) if "uid" in query else int(query["row"])
    if row == 13:
        return JSONResponse({"error": "x"}, 403)
    near = [{**card((row + step) % N), "score": 0.9} for step in range(1, 13)]
    columns = [["folder", KINDS[row % 4]], ["artist", "<img src=x onerror=alert(1)>"], ["size", "900 × 675"]]
    return JSONResponse(
        {**card(row), "width": 900, "height": 675, "problem": "", "columns": columns, "neighbours": near}
    )


async def answers(request: Request) -> Response:
    message = json.loads(await request.body())
    MEMORY.calls.append(f"post {len(message['events'])}")
    if request.headers.get("x-explorer") != "1":
        return JSONResponse({"error": "header"}, 403)
    if MEMORY.failing > 0:
        MEMORY.failing -= 1
        return JSONResponse({"error": "The disk is full."}, 503)
    if MEMORY.refusing and any(event["uid"] == MEMORY.refusing for event in message["events"]):
        return JSONResponse({"error": "That picture is gone."}, 404)
    stored = MEMORY.record(message["events"])
    return JSONResponse({"stored": stored, "latest": len(MEMORY.events)})


def answer_of(event: dict | None) -> dict | None:
    return None if event is None else {"value": event["value"], "class_id": event["class_id"]}


async def order(request: Request) -> Response:
    query = request.query_params
    found, current = scores(), MEMORY.current()
    first, n = int(query.get("offset", "0")), int(query.get("n", "24"))
    MEMORY.calls.append(f"order {query['after']}, {first} + {n}")
    answered = sum(e["value"] == "yes" for e in current.values())
    head = {"seq": len(MEMORY.events), "ready": found is not None, "answered": answered}
    if found is None:
        return JSONResponse({**head, "quality": {"sentence": ""}, "items": []})
    place = [c["id"] for c in CLASSES].index(query["class"])
    rows = np.argsort(-found[:, place], kind="stable")[first : first + n]
    items = [
        {
            **card(int(row)),
            "class_id": CLASSES[int(found[row].argmax())]["id"],
            "p": round(float(found[row, place]), 4),
            "answer": answer_of(current.get(str(card(int(row))["uid"]))),
        }
        for row in rows
    ]
    return JSONResponse({**head, "quality": {"sentence": "About 9 in 10 are right so far."}, "items": items})


async def batch(request: Request) -> Response:
    query = request.query_params
    current = MEMORY.current()
    shown = json.loads(query.get("without", "[]"))
    rows = [row for row in range(N) if card(row)["uid"] not in current and card(row)["uid"] not in shown]
    random.Random(query["policy"]).shuffle(rows)
    chosen = {"probability": 0.08, "policy": query["policy"], "guess": {"class_id": "c1", "p": 0.9}}
    found = [{**card(row), **chosen} for row in rows[: int(query.get("n", "24"))]]
    return JSONResponse({"why": f"Chosen by {query['policy']}.", "items": found})


async def recent(request: Request) -> Response:
    """The last standing answers, newest first, each by itself."""
    events = sorted(MEMORY.current().values(), key=MEMORY.events.index, reverse=True)
    items = [
        {
            "event": e["client_event_id"], "batch": None, "value": e["value"], "class_id": e["class_id"],
            "policy": e["policy"], "count": 1,
            "pictures": [{**card(row_of(e["uid"])), "class_ids": [e["class_id"]] if e["class_id"] else []}],
        }
        for e in events
    ]  # fmt: skip
    return JSONResponse({"items": items})


async def news(request: Request) -> Response:
    """Nobody else is here."""
    return JSONResponse({"seq": 0, "here": 1})


async def control(request: Request) -> Response:
    """What a test asks of the double: faults, forgetting, and what was received."""
    for name, value in request.query_params.items():
        if name == "broken":
            MEMORY.calls.append("broken")
        elif name == "reset":
            MEMORY.reset()
        else:
            setattr(MEMORY, name, int(value) if name == "failing" else value)
    current = {uid: [e["value"], e["class_id"]] for uid, e in MEMORY.current().items()}
    return JSONResponse({"events": MEMORY.events, "current": current, "calls": MEMORY.calls})


ROUTES = [
    Route("/x/demo/map/{space}/{gen}/points.bin", points),
    Route("/x/demo/map/{space}/{gen}/shown.bin", shown),
    Route("/x/demo/map/{space}/{gen}/hashes.bin", hashes),
    Route("/x/demo/map/{space}/{gen}/colours.bin", colours),
    Route("/x/demo/map/{space}/{gen}/in/{other}/{other_gen}.bin", rows_in),
    Route("/x/demo/thumb/{hash}.jpg", thumb),
    Route("/x/demo/full.jpg", full),
    Route("/x/demo/original", original),
    Route("/x/demo/item.json", item),
    Route("/x/demo/answers", answers, methods=["POST"]),
    Route("/x/demo/order.json", order),
    Route("/x/demo/batch.json", batch),
    Route("/x/demo/recent.json", recent),
    Route("/x/demo/news.json", news),
    Route("/control", control),
]

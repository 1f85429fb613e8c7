"""Many people labelling at once, as their browsers do it: one process beside the server, for `benchmarks.people`.

Each person spends a link, opens the Label page over a websocket that stays open, presses an answer at fixed times and
sends it as the panel does: one request at a time, what was pressed meanwhile goes along with the next one, and what
was not acknowledged is sent again under its own number. The order of all pictures is asked for once a second, the next
pictures when those at hand run out; each only when the one before has arrived, so that no backlog grows.

Run as `python -m benchmarks.people_load`; the first line on its input is the plan (JSON). It prints a line of JSON when
the first person has opened the page, when all have, and when all is done; it goes on at each further line of input.
"""

import asyncio
import json
import random
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import websockets

PANEL_SECONDS = 1.0
"""How often a panel asks for the order of all pictures."""
RETRY_FIRST, RETRY_MOST = 0.2, 2.0
AT_ONCE = 200
DRAIN_SECONDS = 90
OPEN_SECONDS = 120


@dataclass
class Press:
    """One answer, from when it was pressed until the server has said that it is stored."""

    id: str
    uid: str
    due: float
    tries: int = 0
    stored: float | None = None


@dataclass
class Clock:
    """Until when answers are pressed; without seconds in the plan, until there is a line of input."""

    end: float


@dataclass
class Person:
    """One browser."""

    plan: dict[str, Any]
    place: int
    client: httpx.AsyncClient
    presses: list[Press] = field(default_factory=list)
    order_ms: list[float] = field(default_factory=list)
    batch_ms: list[float] = field(default_factory=list)
    stale: list[float] = field(default_factory=list)
    """Seconds from when an own answer was stored to when scores that hold it (or a later one) had arrived."""
    pictures: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seq: int = 0
    learnt: int = 0
    rerun: bytes = b""
    socket: Any = None
    heard: int = 0

    def __post_init__(self) -> None:
        self.base = f"/x/{self.plan['dataset']}"
        self.chance = random.Random(self.place)
        self.waiting: list[Press] = []
        self.done: set[str] = set()
        self.unseen: list[tuple[int, float]] = []

    async def join(self) -> None:
        headers = {"origin": str(self.client.base_url).rstrip("/"), "x-explorer": "1"}
        said = await self.client.post("/join", json={"secret": self.plan["secrets"][self.place]}, headers=headers)
        said.raise_for_status()

    async def open(self) -> None:
        """The Label page: until its script has run once."""
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ClientState_pb2 import ClientState, ContextInfo
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        port = self.plan["port"]
        cookies = "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())
        self.socket = await websockets.connect(
            f"ws://127.0.0.1:{port}/_stcore/stream",
            subprotocols=[websockets.Subprotocol("streamlit")],
            additional_headers={"Cookie": cookies},
            origin=websockets.Origin(f"http://127.0.0.1:{port}"),
            max_size=None,
        )
        query = urlencode({"d": self.plan["dataset"], "q": self.plan["question"]})
        about = ContextInfo(url=f"http://127.0.0.1:{port}/label?{query}", timezone="UTC", locale="en")
        asked = BackMsg(rerun_script=ClientState(query_string=query, page_name="label", context_info=about))
        await self.socket.send(asked.SerializeToString())
        shown: list[str] = []
        async with asyncio.timeout(OPEN_SECONDS):
            while True:
                message = ForwardMsg.FromString(await self.socket.recv())
                shown.append(str(message.WhichOneof("type")))
                if "delta" in shown[-1] and message.delta.new_element.WhichOneof("type") == "exception":
                    raise RuntimeError(f"the page failed: {message.delta.new_element.exception.message}")
                if shown[-1] == "delta" and b"labeller" in message.SerializeToString():
                    self.heard += 1
                if shown[-1] == "script_finished":
                    break
        if not self.heard:
            raise RuntimeError(f"the Label page came without its panel: {shown}")
        self.listening = asyncio.create_task(self.listen())
        await self.fetch()
        del self.pictures[: self.chance.randrange(12)]  # people do not come to the end of their pictures together

    async def listen(self) -> None:
        """A websocket that nobody reads would stop the server from writing."""
        try:
            async for _ in self.socket:
                self.heard += 1
        except websockets.ConnectionClosed:
            pass

    async def label(self, begin: float, clock: "Clock") -> None:
        rate = self.plan["rate"]
        due = begin + self.chance.random() / rate
        panel = asyncio.create_task(self.watch(clock))
        sending: asyncio.Task[None] | None = None
        fetching: asyncio.Task[None] | None = None
        while due < clock.end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if not self.pictures and (fetching is None or fetching.done()):
                fetching = asyncio.create_task(self.fetch())
            press = Press(uuid.uuid4().hex, self.next(), due)
            self.presses.append(press)
            self.waiting.append(press)
            if sending is None or sending.done():
                sending = asyncio.create_task(self.send())
            due += 1 / rate
        if sending is not None:
            await sending
        if self.waiting:
            await self.send()
        await panel
        if fetching is not None:
            await fetching

    def next(self) -> str:
        """Of the pictures that the server chose; any of one's own while they are on their way. Never one twice."""
        while self.pictures:
            uid = self.pictures.pop(0)
            if uid not in self.done:
                self.done.add(uid)
                return uid
        while True:
            uid = self.chance.choice(self.plan["uids"])
            if uid not in self.done:
                self.done.add(uid)
                return uid

    async def send(self) -> None:
        wait, end = RETRY_FIRST, time.perf_counter() + DRAIN_SECONDS
        while self.waiting and time.perf_counter() < end:
            sent = self.waiting[:AT_ONCE]
            for press in sent:
                press.tries += 1
            body = {"question": self.plan["question"], "events": [self.event(press) for press in sent]}
            try:
                answer = await self.client.post(f"{self.base}/answers", json=body, headers={"x-explorer": "1"})
                answer.raise_for_status()
                said = answer.json()
            except (httpx.HTTPError, ValueError) as error:
                self.failed.append(said_of(error))
                await asyncio.sleep(wait)
                wait = min(RETRY_MOST, wait * 2)
                continue
            wait, now = RETRY_FIRST, time.perf_counter()
            kept = {each["client_event_id"]: each["seq"] for each in said["stored"]}
            for press in sent:
                if press.id in kept:
                    press.stored = now
                    self.unseen.append((kept[press.id], now))
                    self.seq = max(self.seq, kept[press.id])
            self.waiting = [press for press in self.waiting if press.id not in kept]

    def event(self, press: Press) -> dict[str, Any]:
        classes = self.plan["classes"]
        chosen = classes[self.plan["kinds"][press.uid] % len(classes)]
        return {"client_event_id": press.id, "uid": press.uid, "value": "yes", "class_id": chosen, "policy": "useful"}

    async def watch(self, clock: "Clock") -> None:
        """The panel below: the order of all pictures, as new as one's own last answer."""
        await asyncio.sleep(self.chance.random() * PANEL_SECONDS)
        while time.perf_counter() < clock.end:
            start = time.perf_counter()
            query = {"question": self.plan["question"], "space": self.plan["space"], "after": self.seq, "n": 24}
            query["class"] = self.plan["classes"][0]
            try:
                answer = await self.client.get(f"{self.base}/order.json", params=query)
                answer.raise_for_status()
                now = time.perf_counter()
                self.order_ms.append(1e3 * (now - start))
                self.learnt = max(self.learnt, int(answer.json()["seq"]))
                self.stale += [now - at for seq, at in self.unseen if seq <= self.learnt]
                self.unseen = [(seq, at) for seq, at in self.unseen if seq > self.learnt]
            except (httpx.HTTPError, ValueError) as error:
                self.failed.append(said_of(error))
            await asyncio.sleep(max(0.05, start + PANEL_SECONDS - time.perf_counter()))

    async def fetch(self) -> None:
        query = {"question": self.plan["question"], "space": self.plan["space"], "policy": "useful", "n": 24}
        start = time.perf_counter()
        try:
            answer = await self.client.get(f"{self.base}/batch.json", params=query)
            answer.raise_for_status()
            self.batch_ms.append(1e3 * (time.perf_counter() - start))
            self.pictures += [each["uid"] for each in answer.json()["items"]]
        except (httpx.HTTPError, ValueError) as error:
            self.failed.append(said_of(error))

    def told(self) -> dict[str, Any]:
        return {
            "presses": [
                [each.id, each.uid, each.tries, None if each.stored is None else 1e3 * (each.stored - each.due)]
                for each in self.presses
            ],
            "order_ms": self.order_ms,
            "batch_ms": self.batch_ms,
            "stale_s": self.stale,
            "failed": self.failed,
            "messages": self.heard,
        }


def said_of(error: Exception) -> str:
    """What went wrong with a request, in the server's own words where it gave any."""
    answer = error.response if isinstance(error, httpx.HTTPStatusError) else None
    return repr(error) if answer is None else f"{answer.status_code} {answer.request.url.path}: {answer.text[:200]}"


async def main() -> None:
    plan = json.loads(await asyncio.to_thread(sys.stdin.readline))
    timeout, limits = httpx.Timeout(30), httpx.Limits(max_connections=4)
    made = [
        Person(
            plan, place, httpx.AsyncClient(base_url=f"http://127.0.0.1:{plan['port']}", timeout=timeout, limits=limits)
        )
        for place in range(len(plan["secrets"]))
    ]
    for person in made:
        await person.join()
    if plan["sockets"]:
        await made[0].open()
        await _stage("first")
        for person in made[1:]:
            await person.open()
        await _stage("open")
    else:
        await _stage("in")
    begin = time.perf_counter() + 0.5
    clock = Clock(float("inf") if plan["seconds"] is None else begin + plan["seconds"])
    behind = asyncio.create_task(_behind(clock))
    waiting = asyncio.create_task(_told_to_stop(clock)) if plan["seconds"] is None else None
    await asyncio.gather(*(person.label(begin, clock) for person in made))
    if waiting is not None:
        await waiting
    told = {"stage": "done", "people": [person.told() for person in made], "client_behind_ms": await behind, "open": 0}
    for person in made:
        if person.socket is not None:
            told["open"] += person.socket.state.name == "OPEN"
            await person.socket.close()
        await person.client.aclose()
    print(json.dumps(told), flush=True)


async def _told_to_stop(clock: Clock) -> None:
    await asyncio.to_thread(sys.stdin.readline)
    clock.end = time.perf_counter()


async def _behind(clock: Clock) -> list[float]:
    """Milliseconds by which this process itself comes too late: of a busy machine, not of the server."""
    late = []
    while time.perf_counter() < clock.end:
        start = time.perf_counter()
        await asyncio.sleep(0.1)
        late.append(1e3 * (time.perf_counter() - start - 0.1))
    return late


async def _stage(name: str) -> None:
    print(json.dumps({"stage": name}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main())

"""From the POST of an answer to new scores of all pictures and the next batch, at 10 thousand to a million pictures."""

import http.client
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np

from benchmarks.running import ROOT, RunningApp, app_server
from benchmarks.synthetic import RECIPE, kinds_of, synthetic
from explorer.catalog import Catalog
from explorer.collection.dataset import Dataset
from explorer.learning.questions import QuestionStore
from explorer.workspace import Workspace

TARGETS = {
    "p95_ms.1m.512.2": "<= 100",
    "p95_ms.1m.512.10": "<= 200",
    "p95_ms.1m.1280.2": "<= 250",
    "bandwidth_share": ">= 0.7",
    "ratio_to_numpy": ">= 4",
}
SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}
DIMS, CLASSES = (512, 1280), (2, 10)
BEFORE, WARM_UP, PRESSES = 40, 3, 40
"""Answers before the clock starts, presses that do not count, presses that do."""
PAUSE = 0.3
"""Seconds between presses: somebody who looks at each picture, quickly."""
MOST_SECONDS = 90
SCANS = 12


def run() -> dict[str, Any]:
    """One server on a workspace of synthetic collections. EXPLORER_LOOP="10k,100k" keeps to some sizes, "512" to a
    dimension; EXPLORER_BENCH_WORKSPACE says where the collections are kept (12 GB in all)."""
    only = {part for part in os.environ.get("EXPLORER_LOOP", "").split(",") if part}
    sizes = {name: n for name, n in SIZES.items() if not only & SIZES.keys() or name in only}
    dims = [d for d in DIMS if not only & {str(each) for each in DIMS} or str(d) in only]
    root = Path(os.environ.get("EXPLORER_BENCH_WORKSPACE") or ROOT / "build" / "benchmarks") / "loop"
    root.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(root)
    made = {(size, d): synthetic(workspace, n, d) for size, n in sizes.items() for d in dims}
    figures: dict[str, float] = {}
    detail: dict[str, Any] = {}
    with app_server(root) as app:
        _at_rest(app)
        for (size, d), dataset in made.items():
            for count in CLASSES:
                times = _loop(app, workspace, dataset, count)
                figures[f"p95_ms.{size}.{d}.{count}"] = float(np.percentile(times["each"], 95))
                detail[f"{size}.{d}.{count}"] = {
                    "presses": len(times["each"]),
                    "first_ms": round(times["first"][0], 1),
                    **{f"p{share}": round(float(np.percentile(times["each"], share)), 1) for share in (5, 50, 95, 100)},
                    "stored_p50": round(float(np.percentile(times["stored"], 50)), 1),
                    "right": times["right"][0],
                }
    largest = made[max(made, key=lambda each: (SIZES[each[0]], -each[1]))]
    scan = _scan(largest)
    if "1m" in sizes:  # fewer rows stay in the processor's cache and say nothing of the memory
        figures |= {name: scan[name] for name in ("bandwidth_share", "ratio_to_numpy")}
    return {"figures": figures, "detail": {"loops": detail, "scan": scan}}


class _Client:
    """One browser: a kept connection and the cookie of the launch."""

    def __init__(self, app: RunningApp) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=600)
        self.connection.request("GET", f"/enter?token={app.token}&next=/")
        answer = self.connection.getresponse()
        answer.read()
        self.headers = {"cookie": (answer.getheader("set-cookie") or "").partition(";")[0], "x-explorer": "1"}

    def ask(self, method: str, address: str, body: Any = None) -> Any:
        text = None if body is None else json.dumps(body)
        self.connection.request(method, address, text, self.headers | {"content-type": "application/json"})
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {address}: {answer.status} {said[:500]!r}")
        return json.loads(said)


def _at_rest(app: RunningApp) -> None:
    """Wait until the server has opened and compiled what it prepares at its start; without /proc, a while."""
    assert app.process is not None
    stat = Path(f"/proc/{app.process.pid}/stat")
    before = -1
    for _ in range(60):
        time.sleep(1)
        if not stat.exists():
            continue
        used = sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:13]))
        if before >= 0 and used - before <= 3:  # hundredths of a second
            return
        before = used


def _loop(app: RunningApp, workspace: Workspace, dataset: Dataset, count: int) -> dict[str, list[float]]:
    """Milliseconds from each POST to the next batch, and to the answer being stored."""
    kinds = kinds_of(dataset)
    questions = QuestionStore(Catalog.open(workspace.catalog_url))
    question = questions.create(dataset.id, f"Kind {uuid.uuid4().hex[:8]}", [f"kind {k}" for k in range(count)])
    row_of = dataset.row_of

    def event(uid: str) -> dict[str, Any]:
        chosen = question.classes[int(kinds[row_of[uid]]) % count].id
        return {"client_event_id": uuid.uuid4().hex, "uid": uid, "value": "yes", "class_id": chosen, "policy": "useful"}

    client = _Client(app)
    address = f"/x/{quote(dataset.id)}"
    rng = np.random.default_rng(0)
    uids = dataset.items["uid"].to_numpy()
    classes = kinds % count
    rows = [rng.choice(np.flatnonzero(classes == k), BEFORE // count, replace=False) for k in range(count)]
    events = [event(str(uids[row])) for row in np.concatenate(rows)]

    def answered(events: list[dict[str, Any]]) -> int:
        return int(client.ask("POST", f"{address}/answers", {"question": question.id, "events": events})["latest"])

    def batch(seq: int) -> list[dict[str, Any]]:
        query = {"question": question.id, "space": RECIPE.key, "policy": "useful", "after": seq}
        found: list[dict[str, Any]] = client.ask("GET", f"{address}/batch.json?{urlencode(query)}")["items"]
        return found

    seq = answered(events)
    begun = time.perf_counter()
    items = batch(seq)
    times: dict[str, list[float]] = {"first": [1e3 * (time.perf_counter() - begun)], "each": [], "stored": []}
    guessed: list[bool] = []
    begun = time.perf_counter()
    for press in range(WARM_UP + PRESSES):
        if time.perf_counter() - begun > MOST_SECONDS and press > WARM_UP + 3:
            break
        said = event(items[0]["uid"])
        guessed.append(items[0].get("guess", {}).get("class_id") == said["class_id"])
        start = time.perf_counter()
        seq = answered([said])
        stored = time.perf_counter()
        items = batch(seq)
        end = time.perf_counter()
        if press >= WARM_UP:
            times["each"].append(1e3 * (end - start))
            times["stored"].append(1e3 * (stored - start))
        time.sleep(PAUSE)
    times["right"] = [round(float(np.mean(guessed)), 3)]
    client.connection.close()
    return times


def _scan(dataset: Dataset) -> dict[str, float]:
    """The scan alone, in this process: against a plain read of the same bytes and against numpy, in turns, the best
    of each; one weight vector for the share (which is what two classes need), two for the ratio."""
    from explorer.space import open_space
    from explorer.space.codes import warm
    from explorer.space.shares import in_shares

    space = open_space(dataset, RECIPE.key)
    warm()
    codes, vectors = space.codes, space.vectors
    plain = codes.codes.view(np.uint64)
    weights = np.random.default_rng(0).normal(size=(vectors.shape[1], 2)).astype(np.float32)
    total = np.zeros(1, np.uint64)
    reading = _reading()
    ways = {
        "read": lambda: in_shares(reading, codes.codes.size, plain, total),
        "one": lambda: codes.scores(weights[:, :1]),
        "two": lambda: codes.scores(weights),
        "numpy": lambda: vectors @ weights,
    }
    best = dict.fromkeys(ways, np.inf)
    for turn in range(SCANS):
        for name, way in ways.items():
            if name == "numpy" and turn > 4:
                continue
            start = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - start)
    return {
        "bandwidth_share": best["read"] / best["one"],
        "ratio_to_numpy": best["numpy"] / best["two"],
        **{f"{name}_ms": round(1e3 * seconds, 2) for name, seconds in best.items()},
        "read_gb_per_s": round(codes.codes.nbytes / best["read"] / 1e9, 2),
    }


def _reading() -> Any:
    """A loop that adds up all bytes, eight at a time: as fast as memory can be read."""
    from numba import njit

    from explorer.space.scan_kernels import BLOCK, take

    @njit(nogil=True)
    def reading(counter: np.ndarray, words: np.ndarray, total: np.ndarray) -> None:
        start, found = take(counter) * BLOCK, np.uint64(0)
        while start < len(words):
            for row in range(start, min(start + BLOCK, len(words))):
                for place in range(words.shape[1]):
                    found += words[row, place]
            start = take(counter) * BLOCK
        total[0] = found

    return reading

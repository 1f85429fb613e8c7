"""From a key press on the Label page to the paint, to the database, to the new order on the screen."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.running import ROOT, RunningApp, app_server, demo_ids, demo_server, open_browser
from benchmarks.synthetic import kinds_of, synthetic
from explorer.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TARGETS = {
    "press_to_paint_ms_p50": "<= 50",
    "press_to_stored_ms_p95": "<= 150",
    "press_to_order_ms_p50": "<= 400",
    "press_to_order_ms_p50.100k": "<= 400",
}
WARM_UP, PRESSES = 6, 60
PAUSE_MS = 700
"""Between presses: somebody who looks at each picture. A fast hand is measured beside it."""
FAST, FAST_PAUSE_MS = 40, 120
ALIVE = ("animals", "people", "plants")
MANY, DIM = 100_000, 1_280
Person = Callable[[str], bool]
"""Whether a picture, by its uid, is of the first class: what somebody who looks at it would say."""


def run() -> dict[str, Any]:
    """Answer a question about the demo with the keyboard in Chromium; the page itself keeps the times. Then the same
    with a synthetic collection of 100,000, which EXPLORER_BENCH_WORKSPACE keeps."""
    with open_browser() as browser:
        with demo_server() as app:
            dataset = demo_ids(Path(app.workspace))[0]
            page = _open(browser, app, dataset, "Is it alive?", ["alive", "not alive"])
            calm, fast = _measure(page, lambda uid: uid.startswith(ALIVE), FAST)
            page.close()
        root = Path(os.environ.get("EXPLORER_BENCH_WORKSPACE") or ROOT / "build" / "benchmarks") / "press"
        root.mkdir(parents=True, exist_ok=True)
        large = synthetic(Workspace(root), MANY, DIM, thumbs=True)
        kinds, row_of = kinds_of(large), large.row_of
        with app_server(root) as app:
            page = _open(browser, app, large.id, f"Even? {os.urandom(4).hex()}", ["even", "odd"])
            many, _ = _measure(page, lambda uid: kinds[row_of[uid]] % 2 == 0, 0)
    figures = {
        "press_to_paint_ms_p50": float(np.percentile(calm["paint"], 50)),
        "press_to_stored_ms_p95": float(np.percentile(calm["stored"], 95)),
        "press_to_order_ms_p50": float(np.percentile(calm["order"], 50)),
        "press_to_order_ms_p50.100k": float(np.percentile(many["order"], 50)),
    }
    detail = {
        "presses": PRESSES,
        "pause_ms": PAUSE_MS,
        "percentiles": {name: _percentiles(values) for name, values in calm.items()},
        "percentiles.100k": {name: _percentiles(values) for name, values in many.items()},
        "fast_hand": {"pause_ms": FAST_PAUSE_MS, **{name: _percentiles(values) for name, values in fast.items()}},
    }
    return {"figures": figures, "detail": detail}


def _open(browser: "Browser", app: RunningApp, dataset: str, name: str, classes: list[str]) -> "Page":
    """The Label page, at rest, with a new question."""
    from explorer.catalog import Catalog
    from explorer.learning.questions import QuestionStore

    questions = QuestionStore(Catalog.open(Workspace(app.workspace).catalog_url))
    question = questions.create(dataset, name, classes)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(app.entering(f"/label?d={dataset}&q={question.id}"))
    page.locator(".lr-card img").first.wait_for(timeout=180_000)
    page.wait_for_timeout(2_000)  # the page has come to rest
    return page


def _measure(page: "Page", first: Person, fast: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """The times of somebody who looks at each picture, and of `fast` presses of somebody who does not."""
    _press(page, WARM_UP, PAUSE_MS, first)
    found = []
    for presses, pause_ms in ((PRESSES, PAUSE_MS), (fast, FAST_PAUSE_MS)):
        page.evaluate("() => { window.__explorerTimings.length = 0 }")
        _press(page, presses, pause_ms, first)
        found.append(_times(page, presses))
    return found[0], found[1]


def _press(page: "Page", times: int, pause_ms: int, first: Person) -> None:
    """Answer as the person would."""
    for _ in range(times):
        uid = str(page.locator(".lr-at:not(.lr-answered)").get_attribute("data-uid", timeout=30_000))
        page.keyboard.press("1" if first(uid) else "2")
        page.wait_for_timeout(pause_ms)


def _times(page: "Page", count: int) -> dict[str, list[float]]:
    """Milliseconds of the last presses by what they were waited for: paint, stored, order."""
    whole = "n => (window.__explorerTimings ?? []).filter(t => t.order !== null && t.stored !== null).length >= n"
    page.wait_for_function(whole, arg=count, timeout=30_000)
    found = page.evaluate("() => window.__explorerTimings")
    return {name: [float(each[name]) for each in found] for name in ("paint", "stored", "order")}


def _percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (5, 50, 95, 100)}

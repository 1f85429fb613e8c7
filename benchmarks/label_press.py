"""From a key press on the Label page to the paint, to the database, to the new order on the screen."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.running import RunningApp, demo_ids, demo_server, open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

TARGETS = {"press_to_paint_ms_p50": "<= 50", "press_to_stored_ms_p95": "<= 150", "press_to_order_ms_p50": "<= 400"}
WARM_UP, PRESSES = 6, 60
PAUSE_MS = 700
"""Between presses: somebody who looks at each picture. A fast hand is measured beside it."""
FAST, FAST_PAUSE_MS = 40, 120
ALIVE = ("animals", "people", "plants")


def run() -> dict[str, Any]:
    """Answer a question about the demo with the keyboard in Chromium; the page itself keeps the times."""
    with demo_server() as app, open_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        _open(page, app)
        _press(page, WARM_UP, PAUSE_MS)
        page.evaluate("() => { window.__explorerTimings.length = 0 }")
        _press(page, PRESSES, PAUSE_MS)
        calm = _times(page, PRESSES)
        page.evaluate("() => { window.__explorerTimings.length = 0 }")
        _press(page, FAST, FAST_PAUSE_MS)
        fast = _times(page, FAST)
    figures = {
        "press_to_paint_ms_p50": float(np.percentile(calm["paint"], 50)),
        "press_to_stored_ms_p95": float(np.percentile(calm["stored"], 95)),
        "press_to_order_ms_p50": float(np.percentile(calm["order"], 50)),
    }
    detail = {
        "presses": PRESSES,
        "pause_ms": PAUSE_MS,
        "percentiles": {name: _percentiles(values) for name, values in calm.items()},
        "fast_hand": {"pause_ms": FAST_PAUSE_MS, **{name: _percentiles(values) for name, values in fast.items()}},
    }
    return {"figures": figures, "detail": detail}


def _open(page: "Page", app: RunningApp) -> None:
    from explorer.catalog import Catalog
    from explorer.learning.questions import QuestionStore
    from explorer.workspace import Workspace

    dataset = demo_ids(Path(app.workspace))[0]
    questions = QuestionStore(Catalog.open(Workspace(app.workspace).catalog_url))
    question = questions.create(dataset, "Is it alive?", ["alive", "not alive"])
    page.goto(app.entering(f"/label?d={dataset}&q={question.id}"))
    page.locator(".lr-card img").first.wait_for(timeout=60_000)
    page.wait_for_timeout(2_000)  # the page has come to rest


def _press(page: "Page", times: int, pause_ms: int) -> None:
    """Answer as the folders say, which a person would see."""
    for _ in range(times):
        uid = str(page.locator(".lr-at").get_attribute("data-uid", timeout=30_000))
        page.keyboard.press("1" if uid.startswith(ALIVE) else "2")
        page.wait_for_timeout(pause_ms)


def _times(page: "Page", count: int) -> dict[str, list[float]]:
    """Milliseconds of the last presses by what they were waited for: paint, stored, order."""
    whole = "n => (window.__explorerTimings ?? []).filter(t => t.order !== null && t.stored !== null).length >= n"
    page.wait_for_function(whole, arg=count, timeout=30_000)
    found = page.evaluate("() => window.__explorerTimings")
    return {name: [float(each[name]) for each in found] for name in ("paint", "stored", "order")}


def _percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (5, 50, 95, 100)}

"""The map of a million pictures in a browser: the first frame, the lasso, moving about, and pages of pictures."""

import io
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import numpy as np
from PIL import Image

from benchmarks.running import ROOT, RunningApp, app_server, open_browser
from benchmarks.synthetic import RECIPE, synthetic
from explorer.collection.dataset import Dataset
from explorer.collection.pictures import Picture
from explorer.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

TARGETS = {"first_frame_s.1m": "<= 3", "lasso_ms.1m": "<= 300"}
N, DIM, RUNS = int(os.environ.get("EXPLORER_BENCH_MILLION", 1_000_000)), 512, 5
NEAR = 3_000
PAGE = 100
FRAMES = """async ([dx, dy, steps]) => {
  const surface = EXPLORER_SURFACE();
  const box = surface.getBoundingClientRect();
  const [clientX, clientY] = [box.left + box.width / 2, box.top + box.height / 2];
  const at = { bubbles: true, pointerId: 7, button: 0, clientX, clientY };
  surface.setPointerCapture = () => {};
  const times = [];
  surface.dispatchEvent(new PointerEvent("pointerdown", at));
  let before = await new Promise(requestAnimationFrame);
  for (let step = 1; step <= steps; step++) {
    const to = { ...at, clientX: at.clientX + (dx * step) / steps, clientY: at.clientY + (dy * step) / steps };
    surface.dispatchEvent(new PointerEvent("pointermove", to));
    const now = await new Promise(requestAnimationFrame);
    times.push(now - before);
    before = now;
  }
  surface.dispatchEvent(new PointerEvent("pointerup", { ...at, clientX: at.clientX + dx, clientY: at.clientY + dy }));
  return times;
}"""
FIND = """() => { window.EXPLORER_SURFACE = () => {
  const all = (root) => [...root.querySelectorAll("*")].flatMap((n) => [n, ...(n.shadowRoot ? all(n.shadowRoot) : [])]);
  return all(document).find((n) => n.classList?.contains("mp-surface"));
}; }"""
COUNTED = """(wanted) => new Promise((done) => {
  const surface = EXPLORER_SURFACE();
  const words = surface.parentNode.querySelector(".mp-status span");
  let up = 0;
  surface.addEventListener("pointerup", () => { up = performance.now(); }, { capture: true, once: true });
  const painted = () => setTimeout(() => done(performance.now() - up));
  const look = () => requestAnimationFrame(up && words.textContent.includes("selected") ? painted : look);
  look();
})"""


def run() -> dict[str, Any]:
    """A page opened by its address in a headless Chromium whose WebGL is SwiftShader, on the processor that also
    serves it. It has been open before in another tab of the same browser, so that the server is warm and the browser
    has its scripts compiled and the points in its cache; `new_visitor_s` is a browser with nothing kept."""
    root = Path(os.environ.get("EXPLORER_BENCH_WORKSPACE") or ROOT / "build" / "benchmarks") / "million"
    root.mkdir(parents=True, exist_ok=True)
    dataset = synthetic(Workspace(root), N, DIM)
    place, bounds = _thumbs(dataset)
    with app_server(root) as app, open_browser() as browser:
        first = _first_frames(browser, app, dataset, 2)[1]
        visitor = browser.new_context(viewport={"width": 1280, "height": 900})
        frames = _first_frames(visitor, app, dataset, RUNS + 1)[1:]
        page = visitor.new_page()
        _ready(page, app, dataset)
        detail = _used(page, place, bounds)
        detail["pages"] = _pages(app, dataset)
    best = float(np.median(frames))
    figures = {"first_frame_s.1m": best, "lasso_ms.1m": float(np.median(detail["lasso_ms"]))}
    figures |= {f"{name}_ms_p50.1m": float(np.median(detail[name])) for name in ("pan", "near_pan")}
    told = {"pictures": N, "new_visitor_s": first, "first_frame_s": frames}
    return {"figures": figures, "detail": told | detail}


def _thumbs(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """A place (2,) of the map whose pictures are given thumbnails, and the least and most of all places (2, 2)."""
    import simplejpeg

    from explorer.space import open_space

    space = open_space(dataset, RECIPE.key)
    middle = space.xy[len(space) // 3]
    rows = np.argsort(((space.xy - middle) ** 2).sum(axis=1))[:NEAR]
    rng, some = np.random.default_rng(0), []
    for row in rows:
        picture = np.full((64, 64, 3), rng.integers(0, 255, 3), np.uint8)
        picture[int(rng.integers(8, 56)) :] = rng.integers(0, 255, 3)
        some.append(Picture(space.hashes[int(row)], 64, 64, simplejpeg.encode_jpeg(picture, quality=75)))
    dataset.pictures.add_many(some)
    return middle, np.array([space.xy.min(axis=0), space.xy.max(axis=0)])


def _on_screen(place: np.ndarray, bounds: np.ndarray, width: float, height: float) -> tuple[float, float]:
    """Where a place is when the whole map is shown."""
    scale = 0.92 * float((np.array([width, height]) / (bounds[1] - bounds[0])).min())
    x, y = (place - bounds.mean(axis=0)) * scale
    return width / 2 + float(x), height / 2 - float(y)


def _address(app: RunningApp, dataset: Dataset) -> str:
    return app.entering(f"/map?{urlencode({'d': dataset.id, 's': RECIPE.key, 'by': 'cluster:kmeans'})}")


def _ready(page: "Page", app: RunningApp, dataset: Dataset) -> float:
    """Seconds from asking for the page to the frame that shows its dots."""
    begun = time.perf_counter()
    page.goto(_address(app, dataset), wait_until="commit")
    page.locator(".mp-surface[data-frame]").wait_for(timeout=180_000, state="attached")
    seconds = time.perf_counter() - begun
    picture = np.asarray(Image.open(io.BytesIO(page.locator(".mp-surface").screenshot())).convert("RGB")).astype(int)
    if (np.ptp(picture, axis=2) > 40).mean() < 0.02:
        raise RuntimeError("The map says it is drawn, and nothing is to be seen.")
    page.evaluate(FIND)
    return seconds


def _first_frames(tabs: "Browser | BrowserContext", app: RunningApp, dataset: Dataset, count: int) -> list[float]:
    """Seconds of each of some tabs, one after the other: of a browser each is a new visitor, with nothing kept."""
    found = []
    for _ in range(count):
        page = tabs.new_page()
        found.append(round(_ready(page, app, dataset), 3))
        page.wait_for_timeout(1_500)
        page.close()
    return found


def _used(page: "Page", place: np.ndarray, bounds: np.ndarray) -> dict[str, Any]:
    """What a person does: move about, circle some, come near; and how often the server was asked meanwhile."""
    page.wait_for_timeout(3_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pan = page.evaluate(FRAMES, [160, 90, 40])
    moved = len(asked)
    page.wait_for_timeout(500)
    surface = page.locator(".mp-surface")
    box = surface.bounding_box()
    assert box
    lasso, counts = [], []
    for turn in range(RUNS):
        page.get_by_label("Select pictures by drawing").click()
        cx, cy, radius = box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5, 60 + 30 * turn
        page.mouse.move(cx + radius, cy)
        page.mouse.down()
        for step in range(1, 40):
            page.mouse.move(cx + radius * math.cos(step / 6.3), cy + radius * math.sin(step / 6.3))
        waiting = page.evaluate_handle(f"() => ({{ told: ({COUNTED})() }})")
        page.mouse.up()
        lasso.append(round(float(page.evaluate("(held) => held.told", waiting)), 1))
        counts.append(int(surface.get_attribute("data-chosen") or 0))
        page.wait_for_timeout(2_500)
        page.keyboard.press("Escape")
        page.wait_for_timeout(1_500)
    page.get_by_label("Show the whole map (0)").click()
    page.wait_for_timeout(1_000)
    asked.clear()
    x, y = _on_screen(place, bounds, box["width"], box["height"])
    page.mouse.move(box["x"] + x, box["y"] + y)
    for _ in range(12):
        page.mouse.wheel(0, -240)
        page.wait_for_timeout(60)
    page.wait_for_timeout(1_500)
    shown = page.locator(".mp-thumb.mp-ready").count()
    near = page.evaluate(FRAMES, [60, 30, 40])
    asked_near = [url for url in asked if "/thumb/" not in url]
    return {
        "pan": [round(each, 1) for each in pan],
        "lasso_ms": lasso,
        "circled": counts,
        "near_pan": [round(each, 1) for each in near],
        "asked_while_panning": moved,
        "asked_while_near": len(asked_near),
        "thumbnails_near": shown,
        "renderer": surface.get_attribute("data-renderer"),
    }


def _pages(app: RunningApp, dataset: Dataset) -> dict[str, float]:
    """Milliseconds of the first, a middle and the last page of all pictures, oddest first, over HTTP."""
    import httpx

    found = {}
    with httpx.Client(timeout=120) as client:
        client.get(app.entering())
        for name, offset in (("warm", 0), ("first", 0), ("middle", N // 2), ("last", N - PAGE)):
            query = urlencode({"space": RECIPE.key, "of": "odd", "offset": offset, "n": PAGE})
            begun = time.perf_counter()
            answer = client.get(f"{app.url}/x/{quote(dataset.id)}/page.json?{query}")
            answer.raise_for_status()
            found[name] = round(1e3 * (time.perf_counter() - begun), 1)
            assert len(answer.json()["items"]) == PAGE
    return found


def markdown(result: dict[str, Any]) -> str:
    figures, detail, pages = result["figures"], result["detail"], result["detail"]["pages"]
    return (
        f"{detail['pictures']:,} points in headless Chromium, drawn by SwiftShader on the cores that also serve the "
        f"page: first frame after {figures['first_frame_s.1m']:.1f} s in a browser that has been there before "
        f"({detail['new_visitor_s']:.1f} s in one with nothing kept), {figures['lasso_ms.1m']:.0f} ms from the end of "
        f"a lasso to the count ({min(detail['circled']):,} to {max(detail['circled']):,} pictures circled), a frame "
        f"every {figures['pan_ms_p50.1m']:.0f} ms while the whole map is moved and every "
        f"{figures['near_pan_ms_p50.1m']:.0f} ms near, without a request; the first page of all pictures takes "
        f"{pages['first']:.0f} ms over HTTP and the last {pages['last']:.0f} ms."
    )

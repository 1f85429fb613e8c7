"""From nothing to an explored demo: embedding, the map, the first page, every page once it is warm, a second run."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.running import RunningApp, app_server, open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

TARGETS = {
    "embed_images_per_s": ">= 60",
    "first_page_s": "<= 4",
    "warm_page_s": "<= 1.5",
    "second_run_embedded": "= 0",
}
ROUNDS = 5
"""Of each page, after the first: the median counts."""
READY = {
    "datasets": "text=/1,5\\d\\d pictures/",
    "map": ".mp-surface[data-ready]",
    "similar": ".gl-card img",
    "groups": ".gl-card img",
    "odd": ".gl-card img",
    "label": ".lr-result img",
    "share": "text=/CSV/",
}
"""What a person waits for on each page: for pictures, that one is there; the map's first frame is drawn."""
TITLES = {"groups": "Groups", "odd": "Odd ones out", "map": "Map"}
"""Pages whose first content does not depend on what was chosen before, and their links in the app."""
_LOADED = """css => [document, ...[...document.querySelectorAll('*')].map(e => e.shadowRoot).filter(Boolean)]
    .some(root => [...root.querySelectorAll(css)].some(image => image.complete && image.naturalWidth))"""


def run() -> dict[str, Any]:
    """Make the demo in a new workspace with the command line's own steps, then open it in Chromium."""
    with tempfile.TemporaryDirectory(prefix="explorer-", ignore_cleanup_errors=True) as place:
        workspace = Path(place) / "workspace"
        figures, detail = embedding(workspace)
        with app_server(workspace) as app:
            pages, seen = opening(app, str(detail["dataset"]))
    return {"figures": {**figures, **pages}, "detail": {**detail, **seen}}


def embedding(root: Path) -> tuple[dict[str, float], dict[str, Any]]:
    """What `python -m explorer demo` does, step by step. `embed_images_per_s` counts from the bytes on the disk to
    the thumbnails and features on the disk, for both extractors of the demo: scan and embedding together. Loading the
    networks (converted for this machine the first time) stands beside it."""
    from explorer.collection.dataset import Dataset
    from explorer.collection.embedding import embed
    from explorer.demos import prepare
    from explorer.extractors.registry import load
    from explorer.space import SpaceRecipe, build_space
    from explorer.workspace import Workspace

    root.mkdir()
    workspace = Workspace(root)
    name, source, extractor_names = prepare("clipart", workspace, lambda line: None)

    start = time.perf_counter()
    extractors = [load(each, models_dir=workspace.models) for each in extractor_names]
    loading = time.perf_counter() - start
    start = time.perf_counter()
    [load(each, models_dir=workspace.models) for each in extractor_names]
    loading_again = time.perf_counter() - start

    dataset = Dataset.create(workspace, name, source, dataset_id=name)
    start = time.perf_counter()
    dataset.rescan()
    scan = time.perf_counter() - start
    first = embed(dataset, extractors)
    pictures = len(dataset.present())

    maps = {}
    for each, extractor in zip(extractor_names, extractors, strict=True):
        start = time.perf_counter()
        build_space(dataset, SpaceRecipe(features=((extractor.spec.key, 1.0),)))
        maps[each] = time.perf_counter() - start

    start = time.perf_counter()
    dataset.rescan()
    second = embed(dataset, extractors)
    again = time.perf_counter() - start
    figures = {
        "embed_images_per_s": pictures / (scan + first.seconds),
        "map_s": maps[extractor_names[0]],
        "second_run_embedded": second.embedded,
    }
    detail = {
        "dataset": dataset.id,
        "pictures": pictures,
        "distinct": first.embedded,
        "extractors": {each.spec.extractor: f"{each.spec.backend} {each.spec.precision}" for each in extractors},
        "scan_s": round(scan, 2),
        "embed_s": round(first.seconds, 2),
        "load_networks_first_time_s": round(loading, 2),
        "load_networks_s": round(loading_again, 2),
        "map_of_each_s": {each: round(seconds, 2) for each, seconds in maps.items()},
        "second_run_s": round(again, 2),
    }
    return figures, detail


def opening(app: RunningApp, dataset: str) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds from following a link to what a person came for: the map in a fresh browser on a fresh server, then
    every page again by its link, and by a click in the app (`detail`)."""
    from explorer.catalog import Catalog
    from explorer.collection.dataset import Dataset
    from explorer.learning.questions import QuestionStore
    from explorer.workspace import Workspace

    workspace = Workspace(app.workspace)
    held = Dataset.open(workspace, dataset)
    question = QuestionStore(Catalog.open(workspace.catalog_url)).create_from_column(held, "folder", "What is it?")
    links = {name: f"{app.url}/{name}?d={dataset}" for name in READY}
    links["similar"] += f"&uid={held.present()['uid'].iloc[0]}"
    links["label"] += f"&q={question.id}"  # every picture has an answer: the classifier's largest case here
    with open_browser() as browser:
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        first = _seconds(tab, lambda: tab.goto(app.entering(f"/map?d={dataset}"), wait_until="commit"), READY["map"])
        by_link: dict[str, list[float]] = {}
        by_click: dict[str, list[float]] = {}
        for number in range(ROUNDS + 1):
            for name, selector in READY.items():
                taken = _seconds(tab, lambda link=links[name]: tab.goto(link, wait_until="commit"), selector)
                if number:  # the first time a page is opened on this server is not yet warm
                    by_link.setdefault(name, []).append(taken)
        for number in range(ROUNDS + 1):
            for name, title in TITLES.items():
                link = tab.get_by_role("link", name=title).first
                taken = _seconds(tab, link.click, READY[name])
                tab.wait_for_timeout(500)
                if number:
                    by_click.setdefault(name, []).append(taken)
    warm = {name: statistics.median(times) for name, times in by_link.items()}
    clicked = {name: statistics.median(times) for name, times in by_click.items()}
    slowest = max(warm, key=lambda name: warm[name])
    detail = {
        "slowest_page": slowest,
        "warm_pages_s": {name: round(value, 2) for name, value in warm.items()},
        "clicked_pages_s": {name: round(value, 2) for name, value in clicked.items()},
    }
    return {"first_page_s": first, "warm_page_s": warm[slowest]}, detail


def _seconds(tab: "Page", go: Callable[[], object], selector: str) -> float:
    start = time.perf_counter()
    go()
    tab.locator(selector).first.wait_for(state="visible", timeout=60_000)
    if selector.endswith("img"):
        tab.wait_for_function(_LOADED, arg=selector, timeout=60_000)
    return time.perf_counter() - start

"""`python -m benchmarks.screenshots`: the README's pictures, taken from the running app on the demo collection."""

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.running import demo_server, open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

OUT = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
SETTLE_MS = 2_500
ANSWERS = 24


_LOADED = """() => [document, ...[...document.querySelectorAll('*')].map(e => e.shadowRoot).filter(Boolean)]
    .flatMap(root => [...root.querySelectorAll('img')])
    .filter(image => image.getBoundingClientRect().top < innerHeight && image.getBoundingClientRect().width)
    .every(image => image.complete)"""


def _shot(page: "Page", name: str) -> None:
    page.wait_for_timeout(SETTLE_MS)
    page.wait_for_function(_LOADED, timeout=60_000)
    page.mouse.move(5, 895)
    page.screenshot(path=OUT / f"{name}.png")
    print(OUT / f"{name}.png")


def _map(page: "Page") -> None:
    canvas = page.locator(".mp-surface[data-ready]")
    canvas.wait_for()
    page.wait_for_timeout(SETTLE_MS)
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    for _ in range(3):
        page.mouse.wheel(0, -240)
        page.wait_for_timeout(150)
    _shot(page, "map")


def _label(page: "Page") -> None:
    """Ask whether a drawing shows something alive, and answer from the folder it lies in."""
    page.get_by_label("Question", exact=True).fill("Is it alive?")
    page.get_by_label("Answers, one a line").fill("alive\nnot alive")
    page.get_by_role("button", name="Start labelling").click()
    page.locator(".lr-card").first.wait_for()
    page.wait_for_timeout(SETTLE_MS)
    for _ in range(ANSWERS):
        uid = page.locator(".lr-at:not(.lr-answered)").get_attribute("data-uid")
        page.keyboard.press("1" if str(uid).startswith(("animals", "people", "plants")) else "2")
        page.wait_for_timeout(250)
    _shot(page, "label")


def main() -> None:
    """Write docs/screenshots/*.png anew."""
    OUT.mkdir(parents=True, exist_ok=True)
    with demo_server() as app, open_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(app.entering("/"))
        _shot(page, "datasets")
        page.goto(f"{app.url}/map?d=demo")
        _map(page)
        for name, more in (("groups", ""), ("odd", ""), ("similar", "&uid=transportation-bus-01")):
            page.goto(f"{app.url}/{name}?d=demo{more}")
            _shot(page, name)
        page.locator(".gl-card").nth(3).click()
        _shot(page, "picture")
        page.keyboard.press("Escape")
        page.goto(f"{app.url}/label?d=demo")
        _label(page)
        page.goto(f"{app.url}/share?d=demo")
        _shot(page, "share")


if __name__ == "__main__":
    main()

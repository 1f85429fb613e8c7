"""The map, the gallery and the large view in a real Chromium, in a real Streamlit app with made-up pictures."""

import io
import math
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

NO_WEBGL = """const get = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind === "webgl2" ? null : get.call(this, kind, ...more); };"""
expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
TEAL, ORANGE = (15, 118, 110), (224, 122, 47)


def open_map(page: Page, components: str, query: str = "") -> Locator:
    page.goto(f"{components}/?view=map&{query}")
    surface = page.locator(".mp-surface[data-ready]")
    expect(surface).to_be_visible()
    page.wait_for_timeout(400)
    return surface


def coloured(surface: Locator, colour: tuple[int, int, int]) -> np.ndarray:
    """(h, w) bool: which pixels of the map are about this colour; the tools at the left are left out."""
    picture = np.asarray(Image.open(io.BytesIO(surface.screenshot())).convert("RGB")).astype(int)
    found = np.abs(picture - colour).max(axis=2) < 28
    found[:, :60] = False
    return np.asarray(found)


def pixels(page: Page, surface: Locator, colour: tuple[int, int, int]) -> int:
    page.wait_for_timeout(250)
    return int(coloured(surface, colour).sum())


def circle(page: Page, surface: Locator, x: float, y: float, radius: float) -> None:
    """Draw a lasso around a place of the map, given in parts of its size; the radius in pixels."""
    box = surface.bounding_box()
    assert box
    cx, cy = box["x"] + x * box["width"], box["y"] + y * box["height"]
    page.mouse.move(cx + radius, cy)
    page.mouse.down()
    for step in range(1, 25):
        page.mouse.move(cx + radius * math.cos(step / 4), cy + radius * math.sin(step / 4))
    page.mouse.up()


def a_dot(page: Page, surface: Locator) -> tuple[float, float]:
    """Point at a dot; returns its middle on the page."""
    teal = coloured(surface, TEAL)
    solid = teal[1:-1, 1:-1] & teal[:-2, 1:-1] & teal[2:, 1:-1] & teal[1:-1, :-2] & teal[1:-1, 2:]
    rows, columns = np.nonzero(solid)
    box = surface.bounding_box()
    assert box
    page.mouse.move(box["x"] + float(columns[0]) + 1.5, box["y"] + float(rows[0]) + 1.5)
    ring = page.locator(".mp-ring")
    expect(ring).to_be_visible()
    place = ring.bounding_box()
    assert place
    return place["x"] + place["width"] / 2, place["y"] + place["height"] / 2


def test_map_shows_dots_names_and_the_picture_under_the_pointer(page: Page, components: str) -> None:
    surface = open_map(page, components, "names=1")
    assert surface.get_attribute("data-renderer") == "webgl2"
    assert pixels(page, surface, TEAL) > 800
    assert pixels(page, surface, ORANGE) > 800
    expect(page.get_by_text("1,500 pictures")).to_be_visible()
    shown = page.locator(".mp-group:not(.mp-away)")
    boxes = [shown.nth(k).bounding_box() for k in range(shown.count())]
    assert len(boxes) >= 3
    for one in boxes:
        for other in boxes:
            apart = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
            apart |= one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
            assert one == other or apart
    a_dot(page, surface)
    expect(page.locator(".mp-card-caption")).to_have_text(re.compile(r"(circle|square|triangle|star).* \d+"))
    expect(page.locator(".mp-card-frame img")).to_have_js_property("complete", True)


def test_pictures_take_the_place_of_dots_as_one_comes_near(page: Page, components: str) -> None:
    surface = open_map(page, components)
    expect(page.locator(".mp-thumb")).to_have_count(0)
    x, y = a_dot(page, surface)
    page.mouse.move(x, y)
    for _ in range(5):
        page.mouse.wheel(0, -240)
        page.wait_for_timeout(40)
    page.wait_for_timeout(500)
    expect(page.locator(".mp-thumb.mp-ready").first).to_be_visible()
    count = page.locator(".mp-thumb").count()
    assert 1 <= count <= 300
    page.mouse.move(x + 1, y)
    expect(page.locator(".mp-card")).to_be_visible()  # zooming kept under the pointer what was under it
    page.get_by_label("Show pictures instead of dots").click()
    expect(page.locator(".mp-thumb")).to_have_count(0)
    page.get_by_label("Show the whole map (0)").click()
    page.wait_for_timeout(500)
    assert pixels(page, surface, ORANGE) > 800


def test_lasso_selects_the_same_pictures_here_and_on_the_server(page: Page, components: str) -> None:
    surface = open_map(page, components)
    page.get_by_label("Select pictures by drawing").click()
    circle(page, surface, 0.42, 0.35, 110)
    told = page.get_by_text(re.compile(r"^count: "))
    expect(told).to_be_visible()
    count, size = map(int, re.findall(r"(\d+) bytes: (\d+)", told.inner_text())[0])
    assert count > 50
    assert size < 1000
    assert surface.get_attribute("data-chosen") == str(count)
    expect(page.get_by_text(f"rows: {count}", exact=True)).to_be_visible()
    expect(page.get_by_text(f"{count} pictures selected")).to_be_visible()
    page.wait_for_timeout(600)
    assert surface.get_attribute("data-chosen") == str(count)  # the server's echo is the same selection
    surface.press("Escape")
    expect(page.get_by_text("rows: none")).to_be_visible()
    expect(page.get_by_text("1,500 pictures")).to_be_visible()


def test_lasso_by_shift_and_clearing_from_the_page(page: Page, components: str) -> None:
    surface = open_map(page, components)
    page.keyboard.down("Shift")
    circle(page, surface, 0.42, 0.35, 90)
    page.keyboard.up("Shift")
    expect(page.get_by_text(re.compile(r"\d+ pictures selected"))).to_be_visible()
    page.get_by_role("button", name="Clear from the page").click()
    expect(surface).to_have_attribute("data-chosen", "0")
    expect(page.get_by_text("1,500 pictures")).to_be_visible()


def test_cleared_from_the_page_before_the_server_had_answered_the_lasso(page: Page, components: str) -> None:
    surface = open_map(page, components, "slow=1.5")
    expect(page.get_by_text("rows: none")).to_be_visible()
    page.wait_for_timeout(500)
    page.keyboard.down("Shift")
    circle(page, surface, 0.42, 0.35, 90)
    page.keyboard.up("Shift")
    page.wait_for_timeout(300)
    assert int(surface.get_attribute("data-chosen") or "0") > 50
    page.get_by_role("button", name="Clear from the page").click()
    expect(surface).to_have_attribute("data-chosen", "0", timeout=6_000)
    expect(page.get_by_text("1,500 pictures")).to_be_visible()


def test_legend_hides_isolates_and_keeps_hidden_dots_out_of_the_lasso(page: Page, components: str) -> None:
    surface = open_map(page, components)
    circle_class = page.locator(".mp-class", has_text="circle")
    circle_class.click()
    assert pixels(page, surface, TEAL) < 60
    expect(page.get_by_text("hidden: ['circle']")).to_be_visible()
    page.get_by_label("Select pictures by drawing").click()
    circle(page, surface, 0.42, 0.35, 110)
    expect(page.get_by_text(re.compile(r"^count: "))).to_be_visible()
    count = int(surface.get_attribute("data-chosen") or "0")
    expect(page.get_by_text(f"rows: {count}", exact=True)).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Clear (Esc)").click()
    page.locator(".mp-class", has_text="square").dblclick()
    assert pixels(page, surface, ORANGE) > 800
    assert pixels(page, surface, TEAL) < 60
    expect(page.locator(".mp-class[aria-pressed=true]")).to_have_count(1)
    names = page.locator(".mp-name")
    expect(names.nth(3)).to_have_text("star <b>bold</b>")


def test_map_without_a_graphics_card_and_with_a_lost_one(page: Page, components: str) -> None:
    surface = open_map(page, components)
    before = pixels(page, surface, TEAL)
    page.evaluate(
        """() => { const all = (n) => [n, ...[...n.querySelectorAll("*")].flatMap(
            (e) => e.shadowRoot ? all(e.shadowRoot) : [])];
        const canvas = all(document).map((n) => n.querySelector("canvas")).find(Boolean);
        const lose = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
        lose.loseContext(); setTimeout(() => lose.restoreContext(), 200); }"""
    )
    page.wait_for_timeout(900)
    assert pixels(page, surface, TEAL) > before / 2
    page.add_init_script(NO_WEBGL)
    surface = open_map(page, components)
    assert surface.get_attribute("data-renderer") == "plain"
    assert pixels(page, surface, TEAL) > 800
    page.get_by_label("Select pictures by drawing").click()
    circle(page, surface, 0.42, 0.35, 110)
    expect(page.get_by_text(re.compile(r"pictures selected · drawn without the graphics card"))).to_be_visible()


def test_filtered_points_are_not_on_the_map(page: Page, components: str) -> None:
    surface = open_map(page, components, "f=1")
    expect(page.get_by_text("750 pictures")).to_be_visible()
    page.get_by_label("Select pictures by drawing").click()
    circle(page, surface, 0.5, 0.5, 250)
    expect(page.get_by_text(re.compile(r"^count: "))).to_be_visible()
    assert 0 < int(surface.get_attribute("data-chosen") or "0") <= 750


def test_numbers_have_a_scale_and_an_empty_map_says_so(page: Page, components: str) -> None:
    open_map(page, components, "by=column:year")
    expect(page.locator(".mp-scale")).to_be_visible()
    expect(page.locator(".mp-ends")).to_have_text("19002020")
    page.goto(f"{components}/?view=map&n=0")
    expect(page.get_by_text("There are no pictures on this map yet.")).to_be_visible()


def test_a_click_on_a_dot_opens_it_large_and_similar_reaches_python(page: Page, components: str) -> None:
    surface = open_map(page, components)
    page.mouse.click(*a_dot(page, surface))
    box = page.locator("dialog.lb")
    expect(box).to_be_visible()
    expect(box.locator("dd").nth(1)).to_have_text("<img src=x onerror=alert(1)>")
    expect(box.get_by_text("1 of 200")).to_be_visible()
    box.get_by_role("button", name="Show pictures like this one").click()
    expect(page.get_by_text(re.compile(r"^similar to u/\d+ ü$"))).to_be_visible()
    expect(box).to_have_count(0)


def test_gallery_by_keyboard_and_the_large_view(page: Page, components: str, control: Any) -> None:
    page.goto(f"{components}/?view=gallery&n=30")
    cards = page.locator(".gl-open")
    expect(cards).to_have_count(30)
    cards.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    columns = page.locator(".gl-grid").evaluate("(g) => getComputedStyle(g).gridTemplateColumns.split(' ').length")
    expect(cards.nth(1 + columns)).to_be_focused()
    page.keyboard.press("Enter")
    box = page.locator("dialog.lb")
    expect(box.get_by_text(f"{columns + 2} of 30")).to_be_visible()
    expect(box.locator(".lb-image")).to_have_attribute("src", re.compile(r"full\.jpg\?uid=u%2F"))
    assert (
        box.get_by_role("link", name="Original")
        .get_attribute("href")
        .startswith(f"{components}/x/demo/original?uid=u%2F")
    )
    page.keyboard.press("ArrowRight")
    expect(box.get_by_text(f"{columns + 3} of 30")).to_be_visible()
    caption = box.locator("h2").inner_text()
    box.locator(".lb-near").nth(4).click()
    expect(box.locator("h2")).not_to_have_text(caption)
    page.keyboard.press("Backspace")
    expect(box.locator("h2")).to_have_text(caption)
    for _ in range(30):  # the focus does not leave the large view
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") in ("explorer-lightbox", "")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    expect(cards.nth(2 + columns)).to_have_attribute("tabindex", "0")


def test_gallery_selection_empty_and_broken(page: Page, components: str, control: Any, trouble: Any) -> None:
    trouble.allow("404")
    control("broken=1")
    page.goto(f"{components}/?view=gallery&n=12&select=1")
    expect(page.get_by_text("cannot be shown")).to_have_count(1)
    page.locator(".gl-tick").nth(2).click(force=True)
    page.locator(".gl-open").nth(5).click(modifiers=["Shift"])
    expect(page.get_by_text("4 of 12 pictures selected")).to_be_visible()
    expect(page.get_by_text("chosen: ['u/2 ü', 'u/3 ü', 'u/4 ü', 'u/5 ü']")).to_be_visible()
    page.locator(".gl-open").nth(0).focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("5 of 12 pictures selected")).to_be_visible()
    page.goto(f"{components}/?view=gallery&n=0")
    expect(page.get_by_text("Nothing is odd here.")).to_be_visible()


def test_the_size_slider_is_remembered_and_a_strip_has_none(page: Page, components: str, control: Any) -> None:
    page.goto(f"{components}/?view=gallery&n=12")
    width = page.locator(".gl-card").first.bounding_box()
    page.get_by_label("Size of the pictures").fill("300")
    page.reload()
    expect(page.get_by_label("Size of the pictures")).to_have_value("300")
    wider = page.locator(".gl-card").first.bounding_box()
    assert width
    assert wider
    assert wider["width"] > 1.5 * width["width"]
    page.goto(f"{components}/?view=gallery&n=12&strip=1")
    expect(page.locator(".gl-card")).to_have_count(12)
    expect(page.get_by_label("Size of the pictures")).to_be_hidden()
    strip = page.locator(".gl-card").first.bounding_box()
    assert strip
    assert strip["width"] < width["width"]


def test_a_closed_door_is_said_in_words(page: Page, components: str, control: Any, trouble: Any) -> None:
    trouble.allow("403")
    page.goto(f"{components}/?view=gallery&n=20")
    page.locator(".gl-open").nth(13).click()
    expect(page.get_by_text("This page needs the link it was opened with.")).to_be_visible()

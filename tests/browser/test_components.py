"""The map, the gallery and the labelling panel in a real Chromium, in a real Streamlit app with made-up pictures."""

import io
import json
import math
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from benchmarks import running

pytestmark = pytest.mark.browser

APP = Path(__file__).with_name("components_app.py")
NO_WEBGL = """const get = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind === "webgl2" ? null : get.call(this, kind, ...more); };"""
expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
TEAL, ORANGE = (15, 118, 110), (224, 122, 47)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = running.free_port()
    log = tmp_path_factory.mktemp("components") / "server.log"
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    with log.open("w") as file:
        root = APP.parents[2]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=file, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(10)
    assert "Traceback" not in log.read_text()


@pytest.fixture
def control(app: str) -> Any:
    """Ask the app's memory for what it received, or for a fault."""

    def ask(query: str = "") -> dict[str, Any]:
        with urllib.request.urlopen(f"{app}/control?{query}") as response:
            return dict(json.load(response))

    ask("reset=1")
    return ask


def open_map(page: Page, app: str, query: str = "") -> Locator:
    page.goto(f"{app}/?view=map&{query}")
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


def test_map_shows_dots_names_and_the_picture_under_the_pointer(page: Page, app: str) -> None:
    surface = open_map(page, app, "names=1")
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


def test_pictures_take_the_place_of_dots_as_one_comes_near(page: Page, app: str) -> None:
    surface = open_map(page, app)
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


def test_lasso_selects_the_same_pictures_here_and_on_the_server(page: Page, app: str) -> None:
    surface = open_map(page, app)
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


def test_lasso_by_shift_and_clearing_from_the_page(page: Page, app: str) -> None:
    surface = open_map(page, app)
    page.keyboard.down("Shift")
    circle(page, surface, 0.42, 0.35, 90)
    page.keyboard.up("Shift")
    expect(page.get_by_text(re.compile(r"\d+ pictures selected"))).to_be_visible()
    page.get_by_role("button", name="Clear from the page").click()
    expect(surface).to_have_attribute("data-chosen", "0")
    expect(page.get_by_text("1,500 pictures")).to_be_visible()


def test_legend_hides_isolates_and_keeps_hidden_dots_out_of_the_lasso(page: Page, app: str) -> None:
    surface = open_map(page, app)
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


def test_map_without_a_graphics_card_and_with_a_lost_one(page: Page, app: str) -> None:
    surface = open_map(page, app)
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
    surface = open_map(page, app)
    assert surface.get_attribute("data-renderer") == "plain"
    assert pixels(page, surface, TEAL) > 800
    page.get_by_label("Select pictures by drawing").click()
    circle(page, surface, 0.42, 0.35, 110)
    expect(page.get_by_text(re.compile(r"pictures selected · drawn without the graphics card"))).to_be_visible()


def test_filtered_points_are_not_on_the_map(page: Page, app: str) -> None:
    surface = open_map(page, app, "f=1")
    expect(page.get_by_text("750 pictures")).to_be_visible()
    page.get_by_label("Select pictures by drawing").click()
    circle(page, surface, 0.5, 0.5, 250)
    expect(page.get_by_text(re.compile(r"^count: "))).to_be_visible()
    assert 0 < int(surface.get_attribute("data-chosen") or "0") <= 750


def test_numbers_have_a_scale_and_an_empty_map_says_so(page: Page, app: str) -> None:
    open_map(page, app, "by=column:year")
    expect(page.locator(".mp-scale")).to_be_visible()
    expect(page.locator(".mp-ends")).to_have_text("19002020")
    page.goto(f"{app}/?view=map&n=0")
    expect(page.get_by_text("There are no pictures on this map yet.")).to_be_visible()


def test_a_click_on_a_dot_opens_it_large_and_similar_reaches_python(page: Page, app: str) -> None:
    surface = open_map(page, app)
    page.mouse.click(*a_dot(page, surface))
    box = page.locator("dialog.lb")
    expect(box).to_be_visible()
    expect(box.locator("dd").nth(1)).to_have_text("<img src=x onerror=alert(1)>")
    expect(box.get_by_text("1 of 200")).to_be_visible()
    box.get_by_role("button", name="Show pictures like this one").click()
    expect(page.get_by_text(re.compile(r"^similar to u/\d+ ü$"))).to_be_visible()
    expect(box).to_have_count(0)


def test_gallery_by_keyboard_and_the_large_view(page: Page, app: str, control: Any) -> None:
    page.goto(f"{app}/?view=gallery&n=30")
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
    assert box.get_by_role("link", name="Original").get_attribute("href").startswith(f"{app}/x/demo/original?uid=u%2F")
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


def test_gallery_selection_empty_and_broken(page: Page, app: str, control: Any, trouble: Any) -> None:
    trouble.allow("404")
    control("broken=1")
    page.goto(f"{app}/?view=gallery&n=12&select=1")
    expect(page.get_by_text("cannot be shown")).to_have_count(1)
    page.locator(".gl-tick").nth(2).click(force=True)
    page.locator(".gl-open").nth(5).click(modifiers=["Shift"])
    expect(page.get_by_text("4 of 12 pictures selected")).to_be_visible()
    expect(page.get_by_text("chosen: ['u/2 ü', 'u/3 ü', 'u/4 ü', 'u/5 ü']")).to_be_visible()
    page.locator(".gl-open").nth(0).focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("5 of 12 pictures selected")).to_be_visible()
    page.goto(f"{app}/?view=gallery&n=0")
    expect(page.get_by_text("Nothing is odd here.")).to_be_visible()


def test_the_size_slider_is_remembered_and_a_strip_has_none(page: Page, app: str, control: Any) -> None:
    page.goto(f"{app}/?view=gallery&n=12")
    width = page.locator(".gl-card").first.bounding_box()
    page.get_by_label("Size of the pictures").fill("300")
    page.reload()
    expect(page.get_by_label("Size of the pictures")).to_have_value("300")
    wider = page.locator(".gl-card").first.bounding_box()
    assert width
    assert wider
    assert wider["width"] > 1.5 * width["width"]
    page.goto(f"{app}/?view=gallery&n=12&strip=1")
    expect(page.locator(".gl-card")).to_have_count(12)
    expect(page.get_by_label("Size of the pictures")).to_be_hidden()
    strip = page.locator(".gl-card").first.bounding_box()
    assert strip
    assert strip["width"] < width["width"]


def test_a_closed_door_is_said_in_words(page: Page, app: str, control: Any, trouble: Any) -> None:
    trouble.allow("403")
    page.goto(f"{app}/?view=gallery&n=20")
    page.locator(".gl-open").nth(13).click()
    expect(page.get_by_text("This page needs the link it was opened with.")).to_be_visible()


def open_labeller(page: Page, app: str) -> Locator:
    page.goto(f"{app}/?view=labeller")
    cards = page.locator(".lr-card")
    expect(cards).to_have_count(24)
    page.wait_for_timeout(300)
    return cards


def test_answers_are_painted_at_once_stored_and_sorted_without_a_rerun(page: Page, app: str, control: Any) -> None:
    cards = open_labeller(page, app)
    expect(page.get_by_text("Give at least one picture to two of the answers")).to_be_visible()
    painted = page.locator(".lr-grid").evaluate(
        """(grid) => { grid.dispatchEvent(
            new KeyboardEvent("keydown", {key: "1", code: "Digit1", bubbles: true, composed: true}));
        return grid.firstChild.lastChild.textContent; }"""
    )
    assert painted == "circle"  # in the same task as the press
    for key in ("2", "3", "0", "s", "x", "1"):
        page.keyboard.press(key)
    expect(cards.nth(3).locator(".lr-mark")).to_have_text("Not sure")
    expect(cards.nth(7)).to_have_class(re.compile("lr-at"))
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    events = control()["events"]
    said = [(event["value"], event["class_id"]) for event in events]
    assert said[:4] == [("yes", "c0"), ("yes", "c1"), ("yes", "c2"), ("unsure", None)]
    assert said[4:] == [("skip", None), ("unusable", None), ("yes", "c0")]
    assert len({event["client_event_id"] for event in events}) == 7
    assert {"policy": "useful", "probability": 0.08, "blind": True, "space": "s300"}.items() <= events[0].items()
    expect(page.locator(".lr-result")).to_have_count(24)
    expect(page.locator(".lr-sorted")).to_have_attribute("data-seq", "7")
    expect(page.get_by_text("About 9 in 10 are right so far.")).to_be_visible()
    expect(page.locator(".lr-class .lr-count").first).to_have_text("2")
    page.locator(".lr-tab", has_text="triangle").click()
    expect(page.locator(".lr-result.lr-answered .lr-mark").first).to_have_text("triangle")
    page.wait_for_function(
        "window.__explorerTimings.every((t) => t.paint !== null && t.stored !== null && t.order !== null)"
    )
    expect(page.get_by_text("runs: 1", exact=True)).to_be_visible()
    assert any(call.startswith("colours guess:q1 live-") for call in control()["calls"])
    orders = [call for call in control()["calls"] if call.startswith("order")]
    assert len(orders) <= 10


def test_several_at_once_are_taken_back_and_given_again_together(page: Page, app: str, control: Any) -> None:
    cards = open_labeller(page, app)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator(".lr-chosen")).to_have_count(2)
    page.keyboard.press("2")
    expect(page.locator(".lr-card.lr-answered")).to_have_count(2)
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    first, second = control()["events"]
    assert first["batch_id"] == second["batch_id"] is not None
    page.keyboard.press("u")
    expect(page.locator(".lr-card.lr-answered")).to_have_count(0)
    expect(page.locator(".lr-class .lr-count").nth(1)).to_have_text("0")
    page.wait_for_function("window.__explorerTimings.length === 2 && window.__explorerTimings[1].stored !== null")
    assert control()["current"] == {}
    page.keyboard.press("r")
    page.wait_for_function("window.__explorerTimings.length === 3 && window.__explorerTimings[2].stored !== null")
    assert [value for value, _ in control()["current"].values()] == ["yes", "yes"]
    expect(page.locator(".lr-guess")).to_be_empty()
    page.keyboard.press("u")
    page.keyboard.press("Shift+U")
    page.wait_for_function("window.__explorerTimings.length === 5 && window.__explorerTimings[4].stored !== null")
    assert len(control()["current"]) == 2
    expect(page.get_by_text("runs: 1", exact=True)).to_be_visible()
    expect(cards.first.locator(".lr-mark")).to_have_text("square")


def test_a_failing_server_gets_every_answer_once(page: Page, app: str, control: Any, trouble: Any) -> None:
    trouble.allow("503")
    open_labeller(page, app)
    control("failing=2")
    for key in "123":
        page.keyboard.press(key)
    expect(page.locator(".lr-saved")).to_have_text(re.compile("Not saved, trying again"))
    expect(page.locator(".lr-saved")).to_have_text("Saved", timeout=15_000)
    assert [event["class_id"] for event in control()["events"]] == ["c0", "c1", "c2"]
    assert page.evaluate("Object.keys(localStorage).filter((k) => k.startsWith('explorer.answer.')).length") == 0


def test_answers_that_were_not_saved_are_sent_after_a_reload(page: Page, app: str, control: Any, trouble: Any) -> None:
    trouble.allow("503")
    cards = open_labeller(page, app)
    control("failing=1000")
    page.keyboard.press("2")
    expect(page.locator(".lr-saved")).to_have_text("Not saved, trying again")
    uid = cards.first.get_attribute("data-uid")
    control("failing=0")
    page.reload()
    expect(page.locator(".lr-card")).to_have_count(24)
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    assert control()["current"] == {uid: ["yes", "c1"]}


def test_a_refused_answer_is_given_back_and_the_others_stored(page: Page, app: str, control: Any, trouble: Any) -> None:
    trouble.allow("404")
    trouble.allow("503")
    cards = open_labeller(page, app)
    uids = [cards.nth(k).get_attribute("data-uid") for k in range(3)]
    control("failing=1")
    urllib.request.urlopen(f"{app}/control?refusing={urllib.parse.quote(uids[1] or '')}").close()
    for key in "123":
        page.keyboard.press(key)
    expect(page.get_by_text("An answer was not taken: That picture is gone.")).to_be_visible()
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    assert set(control()["current"]) == {uids[0], uids[2]}
    expect(page.locator(".lr-card.lr-answered")).to_have_count(2)


def test_a_wrong_one_is_put_right_in_the_sorted_pictures(page: Page, app: str, control: Any) -> None:
    open_labeller(page, app)
    for key in "1213":
        page.keyboard.press(key)
    expect(page.locator(".lr-sorted")).to_have_attribute("data-seq", "4")
    result = page.locator(".lr-result:not(.lr-answered)").first
    uid = result.get_attribute("data-uid")
    chosen = page.locator(f'.lr-result[data-uid="{uid}"]')
    chosen.locator(".lr-open").focus()
    page.keyboard.press("2")
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    page.wait_for_function("window.__explorerTimings.every((t) => t.order !== null)")
    assert control()["current"][uid] == ["yes", "c1"]
    assert control()["events"][-1]["policy"] == "review"
    page.locator(".lr-open").first.click()
    expect(page.locator("dialog.lb")).to_be_visible()
    page.keyboard.press("1")  # keys do not answer what lies beneath
    page.keyboard.press("Escape")
    assert len(control()["events"]) == 5


def test_the_guess_is_shown_only_when_asked_for(page: Page, app: str, control: Any) -> None:
    page.goto(f"{app}/?view=labeller&guess=1")
    expect(page.locator(".lr-guess")).to_have_text("Guess: square, sure")
    page.keyboard.press("1")
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    assert control()["events"][0]["blind"] is False
    page.locator(".lr-select").select_option("random")
    expect(page.get_by_text("Chosen by random.")).to_be_visible()
    page.keyboard.press("z")
    expect(page.locator("dialog.lb").get_by_text(re.compile(r"^\d+ of 24$"))).to_be_visible()

"""The copy without a server, opened from the disk and from a web host, with the network cut."""

import functools
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from tests.conftest import Trouble
from tests.unit.site_case import make_copy

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(demo_workspace, tmp_path_factory):
    made = make_copy(demo_workspace, tmp_path_factory.mktemp("site"))
    made.rt.catalog.close()
    return made.folder


@pytest.fixture
def opened(browser, site, trouble: Trouble):
    """`opened(scheme, width, height)`: a page; at the end nothing was complained of, nothing asked for elsewhere."""
    contexts, asked = [], []

    def open_page(width=1280, height=900, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(20_000)
        context.on("weberror", lambda error: trouble.found.append(f"script error: {error.error}"))
        context.on("console", trouble._console)
        context.on("requestfailed", lambda request: trouble.found.append(f"failed: {request.url} {request.failure}"))
        context.on("request", lambda request: asked.append(request.url))
        contexts.append(context)
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()
    assert trouble.unexpected() == []
    assert [url for url in asked if not url.startswith((site.as_uri(), "http://127.0.0.1"))] == []


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def hosted(site):
    """The folder's parent on a web host: the copy lies below a path there."""
    handler = functools.partial(_Quiet, directory=str(site.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/site/"
        server.shutdown()
        thread.join()


def _ready(page):
    page.wait_for_selector(".mp-surface[data-ready='1502']")
    expect(page.locator(".mp-status")).to_contain_text("1,502 pictures")


def test_the_map_from_the_disk_shows_tells_and_is_drawn_around(opened, site):
    page = opened()
    page.goto(f"{site.as_uri()}/index.html")
    _ready(page)
    page.locator(".mp-surface").press("Enter")  # by keyboard: the picture in the middle, large
    large = page.locator("dialog.lb")
    expect(large.locator("h2")).not_to_have_text("…")
    expect(large.locator("dd").first).not_to_be_empty()
    expect(large.locator(".lb-near")).to_have_count(12)
    expect(large.get_by_text("Original")).to_be_hidden()
    expect(large.locator(".lb-image")).not_to_have_class(re.compile("lb-waiting"))
    expect(large.locator(".lb-note")).to_be_hidden()
    assert large.locator(".lb-image").evaluate("image => image.naturalWidth") > 20
    page.keyboard.press("ArrowRight")
    expect(large.locator(".lb-place")).to_contain_text("2 of")
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)

    page.evaluate("() => document.querySelector('.mp-surface').focus()")
    for _ in range(2):
        page.keyboard.press("+")
        page.wait_for_timeout(400)
    page.wait_for_selector(".mp-thumb.mp-ready")
    thumb = page.locator(".mp-thumb.mp-ready").first.bounding_box()
    page.mouse.move(thumb["x"] + thumb["width"] / 2, thumb["y"] + thumb["height"] / 2)
    expect(page.locator(".mp-card-caption")).not_to_be_empty()

    page.keyboard.press("0")
    page.wait_for_timeout(500)
    page.keyboard.press("l")
    box = page.locator(".mp-surface").bounding_box()
    corners = [(0.25, 0.3), (0.7, 0.3), (0.7, 0.75), (0.25, 0.75), (0.25, 0.32)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()
    expect(page.locator(".st-below h2")).to_contain_text("pictures drawn around")
    expect(page.locator(".st-below .gl-card").first).to_be_visible()
    page.get_by_label("Colour by").select_option(label="folder")
    expect(page.locator(".mp-legend-title")).to_have_text("folder")


def test_words_groups_and_questions_from_a_web_host(hosted, opened):
    page = opened()
    page.goto(hosted)
    _ready(page)
    page.get_by_role("link", name="Pictures").click()
    page.get_by_label("Words").fill("  PIG simple ")
    expect(page.locator(".gl-count")).to_have_text(re.compile(r"^\d pictures?$"))
    expect(page.locator(".gl-words").first).to_contain_text("simple pig")
    page.get_by_label("Words").fill("nothing is called this")
    expect(page.get_by_text("No picture has these words")).to_be_visible()

    page.get_by_role("link", name="Groups").click()
    name = page.locator(".st-card h2 a").nth(1).inner_text()
    page.locator(".st-card h2 a").nth(1).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.get_by_text("the most typical first")).to_be_visible()
    page.get_by_role("button", name="Show on the map").click()
    expect(page.locator(".mp-status")).to_contain_text("selected")

    page.get_by_role("link", name="Questions").click()
    expect(page.get_by_role("row", name="from food")).to_contain_text("12")
    page.get_by_role("button", name="from tools").click()
    first = page.locator(".gl-badge").first
    expect(first).to_contain_text("%")
    page.go_back()
    expect(page.locator(".mp-surface")).to_be_visible()
    page.wait_for_load_state("networkidle")  # pictures are on their way, and the host goes


@pytest.mark.parametrize("where", ["map", "pictures", "groups", "groups/0/0", "questions"])
def test_on_a_phone_in_the_dark_nothing_runs_out_of_the_page(opened, site, where):
    page = opened(390, 844, "dark")
    page.goto(f"{site.as_uri()}/index.html#/{where}")
    page.wait_for_selector(".mp-surface[data-ready]" if where == "map" else "main .gl-card")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(20, 26, 25)"

"""The filter beside the map: a press narrows the counts and the map at once, the link a moment later."""

import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from benchmarks.running import RunningApp

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong


def _present(page: Page, count: int) -> None:
    expect(page.locator(".mp-surface")).to_have_attribute("data-present", str(count))


def _late(route: Route) -> None:
    time.sleep(0.7)
    route.continue_()


def test_values_shares_and_words_narrow_the_map_and_stay_in_the_link(server: RunningApp, page: Page) -> None:
    page.goto(server.entering("/map?d=demo"))
    page.locator(".mp-surface[data-ready]").wait_for()
    side = page.get_by_test_id("stSidebar")
    side.get_by_role("button", name="Filter", exact=True).click()
    expect(side.get_by_role("button", name=re.compile("^food"))).to_be_visible()
    page.route("**/filter.json*", _late)  # pressed faster than the server answers
    side.get_by_role("button", name=re.compile("^animals")).click()
    side.get_by_role("button", name=re.compile("^food")).click()
    _present(page, 460)
    page.unroute("**/filter.json*")
    expect(page.locator(".fp-status")).to_have_text("460 of 1,502 pictures")
    expect(side.get_by_role("button", name=re.compile("^people"))).to_contain_text("230")
    expect(side.get_by_role("button", name="folder: animals, food")).to_be_visible()
    expect(page).to_have_url(re.compile("f="))
    assert parse_qs(urlsplit(page.url).query)["f"] == ['{"in":{"folder":["animals","food"]}}']
    expect(page.get_by_text("460 of 1,502 pictures.")).to_be_visible()

    # the other counts follow, and a click takes a value out again
    side.get_by_role("button", name="Odd ones").click()
    counts = page.locator(".fp-facet[data-name='@odd'] .fp-count")
    expect(counts).to_have_count(4)
    assert sum(int(text) for text in counts.all_inner_texts()) == 460
    side.get_by_role("button", name=re.compile("^food")).click()
    _present(page, 230)
    page.get_by_label("Words in caption or name").fill("dog")
    expect(side.get_by_role("button", name="Words: “dog”")).to_be_visible()
    few = int(page.locator(".mp-surface").get_attribute("data-present") or 0)
    assert 0 < few < 60

    # whoever is sent the link sees the same, and one press shows all again
    expect(page).to_have_url(re.compile("dog"))
    page.goto(page.url)
    _present(page, few)
    expect(side.get_by_role("button", name="folder: animals")).to_be_visible()
    side.get_by_role("button", name="Show all").click()
    _present(page, 1502)
    expect(page).not_to_have_url(re.compile("f="))

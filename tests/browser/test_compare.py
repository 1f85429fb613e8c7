"""The Compare page in Chromium: the recommendation, a trial on the answered pictures, one lasso on two maps."""

import re

import pytest
from playwright.sync_api import Page, expect

from benchmarks.running import RunningApp
from explorer.workspace import Workspace
from tests.browser.test_components import circle
from tests.browser.test_results import answered

pytestmark = pytest.mark.browser
expect.set_options(timeout=60_000)


@pytest.mark.timeout(900)
def test_recommended_tried_and_circled(server: RunningApp, page: Page) -> None:
    question = answered(Workspace(server.workspace), "Is it an animal, a plant or a person?")
    page.goto(server.entering(f"/compare?d=demo&q={question}"))
    told = page.get_by_role("heading", name=re.compile("“What it shows”.*(right|too close to call)"))
    expect(told).to_be_visible(timeout=120_000)  # worked out in the background
    bars = page.locator(".js-plotly-plot").first
    expect(bars.get_by_text("guessing")).to_be_visible()
    expect(bars.get_by_text("Colours", exact=False)).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Of [\d,]+ unanswered pictures, A and B name"))).to_be_visible()
    expect(page.get_by_text(re.compile("flat cut separates"))).to_be_visible()

    # one that is not computed sees the answered pictures alone, and stands in the chart
    expect(bars.get_by_text("Where things are")).to_have_count(0)
    page.get_by_text("Where things are", exact=True).click()
    page.get_by_role("button", name=re.compile(r"Try it on your 80 answered pictures \(about")).click()
    expect(bars.get_by_text("Where things are")).to_be_visible(timeout=180_000)

    # what is circled on one map is chosen on both, and shown below
    surfaces = page.locator(".mp-surface[data-ready]")
    expect(surfaces).to_have_count(2)
    surfaces.nth(0).scroll_into_view_if_needed()
    page.get_by_label("Select pictures by drawing").nth(0).click()
    circle(page, surfaces.nth(0), 0.5, 0.5, 80)
    expect(page.get_by_text(re.compile(r"pictures circled on the map by"))).to_be_visible()
    chosen = surfaces.nth(0).get_attribute("data-chosen")
    assert int(chosen or 0) > 0
    expect(surfaces.nth(1)).to_have_attribute("data-chosen", str(chosen))
    expect(page).to_have_url(re.compile("[?&]sel="))

    # and on to the pictures that the two take for different things
    page.get_by_role("button", name="Answer these").click()
    expect(page).to_have_url(re.compile(r"/label\?.*set=differ"))
    expect(page.locator(".lr-card").first).to_be_visible()


def test_on_a_phone_nothing_runs_out_of_the_page(server: RunningApp, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(server.entering("/compare?d=demo"))
    expect(page.locator(".mp-surface[data-ready]")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

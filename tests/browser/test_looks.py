"""The ways of looking in Chromium: one example in every card, a trial that shows what lies near, the work in sight."""

import re

import pytest
from playwright.sync_api import Page, expect

from benchmarks.running import RunningApp

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)


def loaded(page: Page, count: int) -> None:
    """So many small pictures of strips have arrived."""
    page.locator(".lk-strip img").nth(count - 1).scroll_into_view_if_needed()
    page.wait_for_function(
        "n => [...document.querySelectorAll('.lk-strip img')].filter(i => i.naturalWidth > 0).length >= n",
        arg=count,
    )


def test_a_way_of_looking_is_tried_and_shows_what_lies_near(start_server, demo_copy, page: Page) -> None:
    server: RunningApp = start_server(demo_copy)
    page.goto(server.entering("/looks?d=demo"))
    expect(page.get_by_role("heading", name="Ways of looking")).to_be_visible()
    strips = page.locator(".lk-strip")
    expect(strips).to_have_count(2)
    loaded(page, 12)
    own = page.locator(".lk-strip .lk-own img")
    assert own.nth(0).get_attribute("src") == own.nth(1).get_attribute("src")

    # another example, in every card
    before = own.nth(0).get_attribute("src")
    page.get_by_role("button", name="Another example").click()
    expect(own.nth(0)).not_to_have_attribute("src", str(before))
    expect(page).to_have_url(re.compile("look="))
    expect(own.nth(1)).to_have_attribute("src", str(own.nth(0).get_attribute("src")))

    # a trial: the work is in sight wherever the page stands, and then its pictures are there
    card = page.locator(".st-key-look-phash")
    expect(card.get_by_text("not looked at yet")).to_be_visible()
    card.get_by_role("button", name="Try on 200 pictures").click()
    expect(page.locator("[data-testid=stSidebar]").get_by_text("Being worked out")).to_be_visible()
    expect(card.get_by_text(re.compile(r"^2\d\d of 1,502 pictures"))).to_be_visible(timeout=120_000)
    expect(card.locator(".lk-strip a")).to_have_count(0)
    expect(card.locator(".lk-strip img")).to_have_count(6)
    expect(card.get_by_text("The nearest among")).to_be_visible()
    expect(card.get_by_role("button", name="Try on 200 pictures")).to_have_count(0)
    expect(card.get_by_role("button", name="Look at all pictures this way")).to_be_enabled()

    # a picture near leads to those like it, in that way of looking
    link = strips.nth(1).locator("a").first
    target = str(link.get_attribute("href"))
    link.click()
    expect(page).to_have_url(re.compile(r"/similar\?.*uid="))
    assert "s=colour-" in target
    assert "s=colour-" in page.url


def test_on_a_phone_nothing_runs_out_of_the_page(server: RunningApp, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(server.entering("/looks?d=demo"))
    expect(page.locator(".lk-strip").first).to_be_visible()
    expect(page.get_by_role("button", name="Lay out anew")).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

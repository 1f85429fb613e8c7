"""A whole group answered at once on the demo, in Chromium: seen as a grid, stored, taken back after a reload."""

import json
import re
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from benchmarks.running import RunningApp

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong


def test_a_group_and_the_top_of_a_ranking_are_answered_and_taken_back(start_server, demo_copy, page: Page) -> None:
    server: RunningApp = start_server(demo_copy)  # one that has no question yet
    page.goto(server.entering("/groups?d=demo"))
    page.locator("[data-testid=stButton]").get_by_role("button", name="Answer", exact=True).first.click()
    expect(page).to_have_url(re.compile("/label.*set=cluster"))
    page.get_by_label("Question", exact=True).fill("Is it useful?")
    expect(page.get_by_text("Several can be true")).to_be_visible()
    page.get_by_label("Answers, one a line").fill("useful\nnot useful")
    page.get_by_role("button", name="Start labelling").click()
    cards = page.locator(".lr-card")
    expect(cards.nth(20)).to_be_visible()
    expect(page.locator(".lr-why")).to_have_text(re.compile(r"^The group “.+”: \d+ pictures, none with an answer yet"))
    size = cards.count()

    def counted(name: str) -> str:
        return page.locator(".lr-class", has_text=re.compile(rf"^\d?{name}")).locator(".lr-count").inner_text()

    # the whole group, all on the screen
    page.keyboard.press("Control+a")
    expect(page.locator(".lr-selection")).to_contain_text(f"{size} pictures selected")
    page.keyboard.press("1")
    expect(page.locator(".lr-told")).to_contain_text(f"“useful” for {size} pictures.")
    expect(page.get_by_text("Every picture of these has an answer.")).to_be_visible()
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    page.get_by_role("button", name="Go on with the most useful ones").click()
    expect(page).not_to_have_url(re.compile("set=cluster"))
    expect(cards.nth(3)).to_be_visible()
    for _ in range(4):
        page.keyboard.press("2")
    expect(page.locator(".lr-result").nth(10)).to_be_visible()

    # the first 50 of the ranking, more than are shown
    page.locator(".lr-tab", has_text="not useful").click()
    expect(page.locator(".lr-many button")).to_have_text("All 24 shown are “not useful”")
    page.locator(".lr-steps").select_option("50")
    asked = page.locator(".lr-asking")
    expect(asked).to_contain_text(re.compile(r"\d+ pictures get the answer “not useful”"))
    page.keyboard.press("Escape")
    expect(asked).to_be_hidden()
    assert counted("not useful") == "4"
    page.locator(".lr-steps").select_option("50")
    page.get_by_role("button", name=re.compile(r"^Answer \d+$")).click()
    expect(page.locator(".lr-told")).to_contain_text(re.compile(r"“not useful” for \d+ pictures"))
    many = re.search(r"for (\d+) pictures", page.locator(".lr-told").inner_text())
    assert many
    given = int(many[1])
    expect(page.locator(".lr-class .lr-count").nth(1)).to_have_text(str(4 + given))

    # all of it is known and can be taken back in a new page
    question = re.search(r"q=(\w+)", page.url)
    assert question
    page.reload()
    expect(page.get_by_role("button", name=re.compile("Take the last answer back"))).to_be_enabled()
    page.keyboard.press("u")
    expect(page.locator(".lr-told")).to_have_text(f"Taken back: {given} answers.")
    expect(page.locator(".lr-class .lr-count").nth(1)).to_have_text("4")
    for _ in range(5):
        page.keyboard.press("u")
    expect(page.locator(".lr-told")).to_have_text(f"Taken back: {size} answers.")
    expect(page.locator(".lr-class .lr-count").nth(0)).to_have_text("0")
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    cookie = "; ".join(f"{c['name']}={c['value']}" for c in page.context.cookies())
    recent = urllib.request.Request(
        f"{server.url}/x/demo/recent.json?question={question[1]}", headers={"Cookie": cookie}
    )
    with urllib.request.urlopen(recent) as answer:
        assert json.load(answer)["items"] == []

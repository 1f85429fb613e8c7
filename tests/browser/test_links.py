"""A link from the owner's hands into another browser: made, opened, worked with, taken back."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.running import RunningApp
from explorer.catalog import Catalog
from explorer.learning.answers import AnswerStore
from explorer.learning.questions import QuestionStore
from tests.browser.test_walk import settled

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong


def test_a_link_is_made_opened_worked_with_and_taken_back(
    start_server, demo_copy, page: Page, browser: Browser, trouble
) -> None:
    trouble.allow("403")  # the door closes on the second browser at the end
    catalog = Catalog.open(demo_copy.catalog_url)
    questions = QuestionStore(catalog)
    asked = questions.create("demo", "Is it alive?", ["alive", "not alive"])
    questions.create("demo", "Is it food?", ["food", "not food"])
    app: RunningApp = start_server(demo_copy)

    # the owner makes a link for one question, for one person
    page.goto(app.entering("/share?d=demo"))
    for place, typed in (("for example: Ada", "Ada"), ("any number", "1")):
        page.get_by_placeholder(place).fill(typed)
        page.get_by_placeholder(place).press("Enter")
        settled(page)
    page.get_by_role("button", name="Make the link").click()
    address = page.get_by_role("textbox", name="Link").first
    expect(address).to_have_value(re.compile(r"/join#[\w-]{43}$"))
    link = address.input_value()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("nobody of 1 in")).to_be_visible()
    assert link.partition("#")[2] not in page.content()

    # whoever has it is greeted, comes in by a press, and sees the one question
    other = browser.new_context(viewport={"width": 1440, "height": 900})
    other.set_default_timeout(20_000)
    trouble.watch(other)
    guest = other.new_page()
    guest.goto(link)
    expect(guest.get_by_role("heading", name="Welcome, Ada")).to_be_visible()
    guest.get_by_role("button", name="Open").click()
    expect(guest.get_by_role("heading", name="Is it alive?")).to_be_visible()
    expect(guest.locator(".lr-card").nth(3)).to_be_visible()
    bar = guest.get_by_test_id("stTopNavLink")
    expect(bar).to_have_count(2)
    assert [re.sub(r".*\n", "", each, flags=re.S) for each in bar.all_inner_texts()] == ["Label", "You"]
    assert "food" not in guest.content()

    # three answers by keys, which stand under the person's name
    guest.locator(".lr-grid").focus()
    for key in "121":
        guest.locator(".lr-at:not(.lr-answered)").wait_for()
        guest.keyboard.press(key)
    expect(guest.locator(".lr-quality")).to_contain_text("3 answered")
    expect(guest.locator(".lr-saved")).to_have_text("Saved")
    answers = AnswerStore(catalog)
    assert len(answers.by_person(asked.id)) == 3
    assert {person for _, person in answers.by_person(asked.id)} != {"local"}

    # no other page, whatever is typed
    guest.goto(f"{app.url}/map?d=demo")
    expect(guest.get_by_text("What you were let in for does not reach here")).to_be_visible()
    guest.goto(f"{app.url}/label?d=demo&q={asked.id}")
    expect(guest.locator(".lr-card").nth(3)).to_be_visible()

    # the browser's own request for an icon, which the door refuses to who is not in yet, is all that was closed
    assert not [line for line in trouble.found if "403" in line and "favicon" not in line]

    # taken back, it is over at the next press
    page.reload()
    expect(page.get_by_text("1 person of 1 in")).to_be_visible()
    page.get_by_role("button", name="Take back").click()
    page.get_by_role("button", name="Take it back for good").click()
    expect(page.get_by_text("No link lets anybody in")).to_be_visible()
    guest.locator(".lr-grid").focus()
    guest.locator(".lr-at:not(.lr-answered)").wait_for()
    guest.keyboard.press("2")
    expect(guest.locator(".lr-saved")).to_contain_text("Not saved")
    expect(guest.locator(".lr-saved")).to_have_attribute("title", re.compile("ended or was taken back"))
    bar.last.click()
    expect(guest.get_by_text("ended, is paused or was taken back")).to_be_visible()
    assert len(answers.by_person(asked.id)) == 3
    other.close()

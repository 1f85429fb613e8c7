"""The labelling panel in a real Chromium, in a real Streamlit app with made-up pictures and a server that can fail."""

import re
import urllib.parse
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong


def open_labeller(page: Page, components: str, more: str = "") -> Locator:
    page.goto(f"{components}/?view=labeller{more}")
    cards = page.locator(".lr-card")
    expect(cards).to_have_count(24)
    page.wait_for_timeout(300)
    return cards


def test_answers_are_painted_stored_and_sorted_without_a_rerun(page: Page, components: str, control: Any) -> None:
    cards = open_labeller(page, components)
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


def test_several_at_once_are_taken_back_and_given_again_together(page: Page, components: str, control: Any) -> None:
    cards = open_labeller(page, components)
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


def test_a_failing_server_gets_every_answer_once(page: Page, components: str, control: Any, trouble: Any) -> None:
    trouble.allow("503")
    open_labeller(page, components)
    control("failing=2")
    for key in "123":
        page.keyboard.press(key)
    expect(page.locator(".lr-saved")).to_have_text(re.compile("Not saved, trying again"))
    expect(page.locator(".lr-saved")).to_have_text("Saved", timeout=15_000)
    assert [event["class_id"] for event in control()["events"]] == ["c0", "c1", "c2"]
    assert page.evaluate("Object.keys(localStorage).filter((k) => k.startsWith('explorer.answer.')).length") == 0


def test_unsaved_answers_are_sent_after_a_reload(page: Page, components: str, control: Any, trouble: Any) -> None:
    trouble.allow("503")
    cards = open_labeller(page, components)
    control("failing=1000")
    page.keyboard.press("2")
    expect(page.locator(".lr-saved")).to_have_text("Not saved, trying again")
    uid = cards.first.get_attribute("data-uid")
    control("failing=0")
    page.reload()
    expect(page.locator(".lr-card")).to_have_count(24)
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    assert control()["current"] == {uid: ["yes", "c1"]}


def test_a_refused_answer_is_given_back_the_others_stored(
    page: Page, components: str, control: Any, trouble: Any
) -> None:
    trouble.allow("404")
    trouble.allow("503")
    cards = open_labeller(page, components)
    uids = [cards.nth(k).get_attribute("data-uid") for k in range(3)]
    control("failing=1")
    urllib.request.urlopen(f"{components}/control?refusing={urllib.parse.quote(uids[1] or '')}").close()
    for key in "123":
        page.keyboard.press(key)
    expect(page.get_by_text("An answer was not taken: That picture is gone.")).to_be_visible()
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    assert set(control()["current"]) == {uids[0], uids[2]}
    expect(page.locator(".lr-card.lr-answered")).to_have_count(2)


def test_a_wrong_one_is_put_right_in_the_sorted_pictures(page: Page, components: str, control: Any) -> None:
    open_labeller(page, components)
    for key in "1213":
        page.keyboard.press(key)
    expect(page.locator(".lr-sorted")).to_have_attribute("data-seq", "4")
    result = page.locator(".lr-result:not(.lr-answered)").first
    uid = result.get_attribute("data-uid")
    page.get_by_role("button", name="Show more").click()
    page.mouse.move(0, 0)  # nothing moves under a pointer
    expect(page.locator(".lr-result")).to_have_count(72)
    orders = [call for call in control()["calls"] if call.startswith("order")]
    assert orders[-1] == "order 4, 24 + 48"  # those that are here are not asked for again
    assert len({each.get_attribute("data-uid") for each in page.locator(".lr-result").all()}) == 72
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


def test_the_guess_is_shown_only_when_asked_for(page: Page, components: str, control: Any) -> None:
    page.goto(f"{components}/?view=labeller&guess=1")
    expect(page.locator(".lr-guess")).to_have_text("Guess: square, sure")
    page.keyboard.press("1")
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    assert control()["events"][0]["blind"] is False
    page.locator(".lr-select").select_option("random")
    expect(page.get_by_text("Chosen by random.")).to_be_visible()
    page.keyboard.press("z")
    expect(page.locator("dialog.lb").get_by_text(re.compile(r"^\d+ of 24$"))).to_be_visible()


def test_where_several_are_true_a_picture_gets_a_yes_or_a_no_for_each(
    page: Page, components: str, control: Any
) -> None:
    cards = open_labeller(page, components, "&kind=attributes")
    page.keyboard.press("1")
    page.keyboard.press("3")
    page.keyboard.press("2")
    page.keyboard.press("2")  # a second press takes the mark off
    expect(cards.first.locator(".lr-mark")).to_have_text("circle, triangle")
    expect(page.locator(".lr-class[aria-pressed='true']")).to_have_count(2)
    assert control()["events"] == []
    page.keyboard.press("Enter")
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    events = control()["events"]
    said = {(event["value"], event["class_id"]) for event in events}
    assert said == {("yes", "c0"), ("no", "c1"), ("yes", "c2")}
    assert len({event["batch_id"] for event in events}) == len({event["uid"] for event in events}) == 1
    expect(cards.nth(1)).to_have_class(re.compile("lr-at"))
    expect(page.locator(".lr-class[aria-pressed='true']")).to_have_count(0)
    page.locator(".lr-class", has_text="square").click()  # the mouse does the same
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".lr-card.lr-answered")).to_have_count(2)
    page.keyboard.press("u")
    page.keyboard.press("u")
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    expect(page.locator(".lr-card.lr-answered")).to_have_count(0)
    assert control()["current"] == {}


def test_none_of_these_is_apart_and_the_guess_comes_after_the_answer(page: Page, components: str, control: Any) -> None:
    cards = open_labeller(page, components, "&none=1")
    expect(page.locator(".lr-apart .lr-class")).to_have_text(re.compile("none of these"))
    page.keyboard.press("-")
    expect(cards.first.locator(".lr-mark")).to_have_text("none of these")
    expect(page.locator(".lr-told")).to_have_text("Guess was: square, sure – differs")
    page.keyboard.press("2")
    expect(page.locator(".lr-told")).to_have_text("Guess was: square, sure – agrees")
    expect(page.locator(".lr-card.lr-differs")).to_have_count(1)
    page.keyboard.press("/")
    page.keyboard.type("tri")
    page.keyboard.press("Enter")
    expect(cards.nth(2).locator(".lr-mark")).to_have_text("triangle")
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    events = control()["events"]
    assert [event["class_id"] for event in events] == ["c3", "c1", "c2"]
    assert all(event["blind"] for event in events)
    page.locator(".lr-what").click()
    expect(page.locator(".lr-about")).to_contain_text("Round ones.")
    expect(page.locator(".lr-example")).to_have_count(1)
    uid = page.locator(".lr-card.lr-at").get_attribute("data-uid")
    page.keyboard.press("e")
    page.keyboard.press("1")
    expect(page.get_by_text(re.compile("^example:"))).to_contain_text(str(uid))
    assert len(control()["events"]) == 3


def test_a_finger_that_stays_selects_and_taps_add(page: Page, components: str, control: Any) -> None:
    cards = open_labeller(page, components)
    touch = """(card, stays) => {
        const at = {bubbles: true, composed: true, pointerType: "touch", clientX: 5, clientY: 5};
        card.dispatchEvent(new PointerEvent("pointerdown", at));
        return new Promise((done) => setTimeout(() => {
            card.dispatchEvent(new PointerEvent("pointerup", at));
            card.dispatchEvent(new PointerEvent("click", at));
            done();
        }, stays));
    }"""
    cards.nth(4).evaluate(touch, 600)
    expect(page.locator(".lr-card.lr-chosen")).to_have_count(1)
    cards.nth(6).evaluate(touch, 20)
    expect(page.locator(".lr-card.lr-chosen")).to_have_count(2)
    page.locator(".lr-class").first.click()
    expect(page.locator(".lr-card.lr-answered")).to_have_count(2)
    expect(page.locator(".lr-told")).to_contain_text("“circle” for 2 pictures.")
    cards.nth(8).evaluate(touch, 20)  # nothing is held any more: a tap puts into focus
    expect(cards.nth(8)).to_have_class(re.compile("lr-at"))
    expect(page.locator(".lr-card.lr-chosen")).to_have_count(0)


def test_taking_back_goes_on_after_a_reload(page: Page, components: str, control: Any) -> None:
    cards = open_labeller(page, components)
    uids = [cards.nth(k).get_attribute("data-uid") for k in range(2)]
    page.keyboard.press("1")
    page.keyboard.press("2")
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    open_labeller(page, components)
    undo = page.get_by_role("button", name=re.compile("Take the last answer back"))
    expect(undo).to_be_enabled()
    page.keyboard.press("u")
    expect(page.locator(".lr-card.lr-at")).to_have_attribute("data-uid", str(uids[1]))
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    assert control()["current"] == {uids[0]: ["yes", "c0"]}
    undo.click()
    expect(undo).to_be_disabled()
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    assert control()["current"] == {}

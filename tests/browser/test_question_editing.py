"""The answers of a question changed in its dialog, in Chromium: explained, moved, merged, brought back, split."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from benchmarks.running import RunningApp
from explorer.learning.answers import AnswerEvent
from explorer.web.runtime import runtime

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong


def test_answers_are_merged_and_split_with_nothing_lost(
    start_server: Callable[..., RunningApp], demo_copy, page: Page
) -> None:
    rt = runtime()
    question = rt.questions.create("demo", "What is it?", ["cat", "kitten", "tool"])
    cat, kitten, _ = question.class_ids
    uids = [uid for uid in rt.dataset("demo").present()["uid"] if uid.startswith("animals-")][:6]
    given = zip(uids, [cat, cat, cat, kitten, kitten, kitten], strict=True)
    rt.answers.record([AnswerEvent(f"e{uid}", question.id, uid, "yes", class_id) for uid, class_id in given])

    def names() -> list[str]:
        return [c.name for c in rt.questions.get(question.id).classes]

    def held(class_id: str) -> int:
        return sum(answer.class_id == class_id for answer in rt.answers.current(question.id).values())

    app = start_server(demo_copy)
    page.goto(app.entering(f"/label?d=demo&q={question.id}"))
    expect(page.locator(".lr-card").nth(3)).to_be_visible()
    page.get_by_role("button", name="Answers of this question").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Answer 1").fill("Kitten")  # but for the capital, there is one
    dialog.get_by_label("What counts as it").fill("Grown ones.")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("The class 'Kitten' is named twice")).to_be_visible()
    dialog.get_by_label("Answer 1").fill("cat, grown")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text("Saved.")).to_be_visible()
    assert names() == ["cat, grown", "kitten", "tool"]

    dialog.get_by_role("tab", name="Merge").click()
    dialog.get_by_role("button", name="Merge", exact=True).click()
    expect(dialog.get_by_text("“cat, grown” counts as “kitten” now.")).to_be_visible()
    assert (names(), held(kitten)) == (["kitten", "tool"], 6)
    dialog.get_by_role("button", name="Bring it back").click()
    expect(dialog.get_by_text("is back with its own answers")).to_be_visible()
    assert (held(cat), held(kitten)) == (3, 3)

    dialog.get_by_role("tab", name="Split").click()
    dialog.get_by_role("button", name="Split and ask again").click()
    expect(dialog.get_by_text("Name the classes to split into")).to_be_visible()
    dialog.get_by_label("New answers, one a line").fill("tabby\nsiamese")
    dialog.get_by_role("button", name="Split and ask again").click()
    expect(dialog).to_have_count(0)
    expect(page).to_have_url(re.compile("set=answered"))
    assert names() == ["cat, grown", "tabby", "siamese", "kitten", "tool"]
    expect(page.locator(".lr-card")).to_have_count(3)  # its pictures are asked again
    expect(page.locator(".lr-why")).to_contain_text("asked again")
    page.locator(".lr-grid").focus()
    for key in "223":
        page.keyboard.press(key)
    expect(page.get_by_text("Every picture of these has an answer.")).to_be_visible()
    expect(page.locator(".lr-class .lr-count").nth(1)).to_have_text("2")
    assert (held(cat), held(kitten)) == (0, 3)
    policies = {entry.event.policy for entry in rt.answers.history(question.id)[6:]}
    assert policies == {"split"}

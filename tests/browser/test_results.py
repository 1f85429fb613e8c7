"""The Results page in Chromium: the slider, a cell of the confusion, the finish line, a second look, a download."""

import csv
import io
import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from benchmarks.running import RunningApp
from explorer.learning.answers import AnswerEvent
from explorer.web.runtime import Runtime
from explorer.workspace import Workspace

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)

ALIVE = ("animals", "people", "plants")


def answered(workspace: Workspace, name: str) -> str:
    """A question with 80 answers, half of them by lot and four wrong on purpose; its id."""
    rt = Runtime(workspace)
    space = rt.space("demo", rt.space_keys("demo")[0].key)
    question = rt.questions.create("demo", name, ["not alive", "alive"])
    rows = np.random.default_rng(0).choice(len(space.uids), 80, replace=False)
    events = []
    for place, row in enumerate(rows):
        alive = space.uids[row].startswith(ALIVE) != (place < 4)
        events.append(
            AnswerEvent(
                f"{question.id}:{place}", question.id, space.uids[row], "yes", class_id=question.class_ids[int(alive)],
                policy="random" if place % 2 else "useful", probability=0.1, person_id="local",
            )
        )  # fmt: skip
    rt.answers.record(events)
    return str(question.id)


def test_the_slider_the_confusion_and_the_finish_line(server: RunningApp, page: Page) -> None:
    question = answered(Workspace(server.workspace), "Does it live?")
    page.goto(server.entering(f"/results?d=demo&q={question}"))
    expect(page.get_by_role("heading", name=re.compile(r"about \d+ % right on pictures like"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"Of all 1,470 pictures it names about \d+ % right"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"20 more labels would probably"))).to_be_visible()

    # the slider tells at once, and what it was left at is kept in the link and with the question
    sentence = page.locator(".th-sentence")
    expect(sentence).to_contain_text("of all “not alive”")
    before = sentence.inner_text()
    page.get_by_role("button", name="95 % found").click()
    expect(sentence).not_to_have_text(before)
    expect(page.locator(".th-row", has_text="are found").locator(".th-figure")).to_contain_text(
        re.compile("9[5-9]|100")
    )
    expect(page).to_have_url(re.compile("[?&]t=0"))
    first = page.url
    slider = page.locator(".th-slider")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    last = sentence.inner_text()
    expect(page).not_to_have_url(first)
    kept = page.url
    expect(page.get_by_text(re.compile(r"as it stands after your answers"))).to_be_visible()
    page.reload()
    expect(sentence).to_have_text(last)
    assert page.url == kept
    with page.expect_download() as got:
        page.get_by_role("link", name="List (CSV)").click()
    listed = list(csv.DictReader(io.StringIO(got.value.path().read_text("utf-8-sig"))))
    assert page.get_by_text(f"as it stands after your answers: {len(listed):,} pictures").count() == 1

    # a cell of the grid opens its pictures
    cell = page.locator(".cf-other:not(:disabled)").first
    count = cell.inner_text()
    cell.click()
    expect(page.get_by_text(re.compile(rf"^{count} answered “.*taken for “.*, the surest first$"))).to_be_visible()
    expect(cell).to_have_attribute("aria-pressed", "true")

    # an answer that the others contradict is kept, and does not come up again
    keep = page.get_by_role("button", name=re.compile("^Keep “"))
    shown = keep.count()
    assert shown
    keep.first.click()
    expect(page.get_by_text(re.compile("about .* right on pictures like")).first).to_be_visible()

    # another target, and on to the work
    page.get_by_text("99 % found").click()
    expect(page).to_have_url(re.compile("target=99"))
    page.get_by_role("button", name=re.compile("Work it off|Do random checks")).click()
    expect(page).to_have_url(re.compile(r"/label\?.*next=(finish|random)"))
    expect(page.locator(".lr-card").first).to_be_visible()


def test_on_a_phone_nothing_runs_out_of_the_page(server: RunningApp, page: Page) -> None:
    question = answered(Workspace(server.workspace), "Is it living?")
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(server.entering(f"/results?d=demo&q={question}"))
    expect(page.locator(".th-sentence")).to_be_attached()
    expect(page.get_by_role("button", name="Bring it in")).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

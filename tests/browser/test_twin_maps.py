"""Two maps with one lasso in a real Chromium, over made-up pictures; the right one lacks a third of them."""

import re

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_components import TEAL, circle, coloured, pixels

pytestmark = pytest.mark.browser


def opened(page: Page, components: str) -> tuple[Locator, Locator]:
    page.goto(f"{components}/?view=twins")
    surfaces = page.locator(".mp-surface[data-ready]")
    expect(surfaces).to_have_count(2)
    page.wait_for_timeout(400)
    return surfaces.nth(0), surfaces.nth(1)


def rows(page: Page) -> tuple[int, str]:
    found = re.fullmatch(r"rows: (\d+) of side (\S+)", page.get_by_text(re.compile("^rows: ")).inner_text())
    assert found
    return int(found[1]), found[2]


def test_what_is_circled_on_one_map_lights_up_on_the_other(page: Page, components: str) -> None:
    left, right = opened(page, components)
    page.get_by_label("Select pictures by drawing").nth(0).click()
    circle(page, left, 0.45, 0.4, 110)
    expect(page.get_by_text(re.compile(r"of side 0"))).to_be_visible()
    count = int(left.get_attribute("data-chosen") or 0)
    there = int(right.get_attribute("data-chosen") or 0)
    assert rows(page) == (count, "0")
    assert 0 < there < count  # a third of the pictures is not there
    page.wait_for_timeout(700)  # the server's word about both is what the browser had found
    assert left.get_attribute("data-chosen") == str(count)
    assert right.get_attribute("data-chosen") == str(there)

    page.get_by_label("Select pictures by drawing").nth(1).click()
    circle(page, right, 0.5, 0.5, 90)
    expect(page.get_by_text(re.compile(r"of side 1"))).to_be_visible()
    chosen = right.get_attribute("data-chosen")
    expect(left).to_have_attribute("data-chosen", str(chosen))
    assert rows(page) == (int(chosen or 0), "1")
    page.get_by_role("button", name="Clear (Esc)").nth(0).click()
    expect(left).to_have_attribute("data-chosen", "0")
    expect(right).to_have_attribute("data-chosen", "0")
    expect(page.get_by_text("rows: 0 of side 1")).to_be_visible()


def test_what_is_pointed_at_or_hidden_on_one_map_is_so_on_the_other(page: Page, components: str) -> None:
    left, right = opened(page, components)
    box = right.bounding_box()
    assert box
    teal = coloured(right, TEAL)
    solid = teal[1:-1, 1:-1] & teal[:-2, 1:-1] & teal[2:, 1:-1] & teal[1:-1, :-2] & teal[1:-1, 2:]
    lines, columns = np.nonzero(solid)
    page.mouse.move(box["x"] + float(columns[0]) + 1.5, box["y"] + float(lines[0]) + 1.5)
    marks = page.locator(".tw-mark")
    expect(marks.nth(0)).to_be_visible()
    expect(marks.nth(1)).to_be_hidden()
    caption = page.locator(".mp-card-caption")
    expect(caption.nth(1)).to_have_text(re.compile(r"circle \d+"))
    told = caption.nth(1).inner_text()
    place = marks.nth(0).bounding_box()
    assert place
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    expect(caption.nth(0)).to_have_text(told)  # the picture under the mark is the same one
    expect(marks.nth(1)).to_be_visible()
    page.mouse.move(5, 5)
    expect(marks.nth(1)).to_be_hidden()

    before = pixels(page, right, TEAL)
    page.locator(".mp-class", has_text="circle").nth(0).click()
    assert pixels(page, left, TEAL) < 60
    assert pixels(page, right, TEAL) < 60 < before
    page.get_by_role("button", name="Show all").nth(1).click()
    assert pixels(page, left, TEAL) > 300

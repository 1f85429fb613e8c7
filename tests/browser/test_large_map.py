"""A map with more points than the screen has room for: how many there are shows, and moving about asks nobody."""

import io
import math

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.components_world import world

pytestmark = pytest.mark.browser
N = 200_000


def seen(surface: Locator) -> np.ndarray:
    """(h, w): how far each pixel is from grey."""
    picture = np.asarray(Image.open(io.BytesIO(surface.screenshot())).convert("RGB")).astype(int)
    return np.asarray(np.ptp(picture, axis=2))


def test_a_crowded_map_shows_how_many_there_are(page: Page, components: str) -> None:
    page.goto(f"{components}/?view=map&n={N}")
    surface = page.locator(".mp-surface[data-frame]")
    expect(surface).to_be_visible(timeout=60_000)
    page.wait_for_timeout(500)
    strength = seen(surface)
    height, width = strength.shape
    xy = world(N)[0].astype(float)
    low, high = xy.min(axis=0), xy.max(axis=0)
    scale = 0.92 * min(width / (high[0] - low[0]), height / (high[1] - low[1]))
    x = width / 2 + (xy[:, 0] - (low[0] + high[0]) / 2) * scale
    y = height / 2 - (xy[:, 1] - (low[1] + high[1]) / 2) * scale
    counts = np.histogram2d(y, x, bins=(height // 8, width // 8), range=((0, height), (0, width)))[0]
    blocks = strength[: height // 8 * 8, : width // 8 * 8].reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3))
    free = np.ones_like(counts, bool)
    free[:, :8] = free[-6:] = False  # under the tools and the line at the bottom
    some = free & (counts > 0)
    assert np.corrcoef(np.log1p(counts[some]), blocks[some])[0, 1] > 0.75
    assert blocks[free & (counts == 0)].mean() < 3

    box = surface.bounding_box()
    assert box
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.wait_for_timeout(500)  # the picture under the pointer is asked for
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.mouse.down()
    page.mouse.move(box["x"] + 360, box["y"] + 250, steps=8)
    page.wait_for_timeout(400)
    moved = seen(surface)[120:300, 160:400]
    assert np.abs(moved - strength[70:250, 100:340]).mean() < 6, "the picture went along with the hand"
    assert asked == []
    page.mouse.up()

    page.keyboard.press("l")
    cx, cy = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(cx + 150, cy)
    page.mouse.down()
    for step in range(1, 25):
        page.mouse.move(cx + 150 * math.cos(step / 4), cy + 150 * math.sin(step / 4))
    page.mouse.up()
    expect(page.locator(".mp-status")).to_contain_text("selected")
    chosen = int(surface.get_attribute("data-chosen") or 0)
    assert 100 < chosen < N
    page.wait_for_timeout(400)
    kept = seen(surface)
    ring = np.hypot(*np.mgrid[-height // 2 : height // 2, -width // 2 : width // 2][:, :height, :width])
    assert kept[ring < 130].mean() > 2 * kept[(ring > 170)].mean(), "what is not chosen is faint"

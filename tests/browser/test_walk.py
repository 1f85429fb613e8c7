"""A person's path through the demo, in Chromium: from the map to an answer for every picture, and back by the link."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.running import RunningApp, command_line
from tests.browser.test_components import circle

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong

ALIVE = ("animals", "people", "plants")


def settled(page: Page) -> None:
    """Streamlit has finished the run that the last click began."""
    page.wait_for_timeout(300)
    expect(page.locator("[data-testid='stStatusWidget']")).to_have_count(0)


def go(page: Page, title: str) -> None:
    page.get_by_role("link", name=re.compile(rf"{title}$")).first.click()
    settled(page)


def pictures_loaded(page: Page, css: str) -> None:
    """Every picture of a grid that is in view has arrived."""
    page.wait_for_function(
        """css => {
        const shadows = [...document.querySelectorAll('*')].map(e => e.shadowRoot).filter(Boolean);
        const roots = [document, ...shadows];
        const found = roots.flatMap(r => [...r.querySelectorAll(css + ' img')]);
        const box = i => i.getBoundingClientRect();
        const seen = found.filter(i => box(i).bottom > 0 && box(i).top < innerHeight);
        return seen.length > 0 && seen.every(i => i.complete && i.naturalWidth > 0); }""",
        arg=css,
    )


def test_from_the_map_to_answers_and_back_by_the_link(start_server, demo_copy, page: Page) -> None:
    server: RunningApp = start_server(demo_copy)  # one that has no question yet
    page.goto(server.entering("/map?d=demo"))
    assert server.token not in page.url
    surface = page.locator(".mp-surface[data-ready]")
    expect(surface).to_be_visible()
    expect(page.get_by_text("1,502 pictures").first).to_be_visible()

    # map -> lasso -> gallery
    page.get_by_role("button", name=re.compile("drawing around")).click()
    circle(page, surface, 0.5, 0.5, 110)
    expect(page.get_by_text(re.compile(r"[\d,]+ pictures circled on the map"))).to_be_visible()
    cards = page.locator(".gl-card")
    expect(cards.first).to_be_visible()
    cards.first.scroll_into_view_if_needed()
    pictures_loaded(page, ".gl-card")
    assert "sel=" in page.url
    circled = page.get_by_text(re.compile("circled on the map")).inner_text()
    first = cards.first.get_attribute("data-uid")
    with page.expect_download() as got:
        page.get_by_role("link", name="List (CSV)").click()
    listed = got.value.path().read_text("utf-8-sig").splitlines()
    assert f"{len(listed) - 1:,} pictures" in circled
    assert any(line.startswith(str(first)) for line in listed)

    # gallery -> one picture at full size, with its columns and neighbours -> similar
    cards.first.click()
    large = page.locator(".lb-image")
    expect(large).to_be_visible()
    expect(page.locator(".lb-columns")).to_contain_text("folder")
    expect(page.locator(".lb-near").first).to_be_visible()
    page.wait_for_function(
        "() => { const s = document.querySelector('.explorer-lightbox').shadowRoot.querySelector('.lb-image');"
        " return s.complete && s.naturalWidth > 0; }"
    )
    page.get_by_role("button", name=re.compile("Show pictures like this one")).click()
    expect(page).to_have_url(re.compile(r"/similar\?.*uid="))
    expect(page.get_by_text("Pictures like this", exact=True).first).to_be_visible()
    expect(page.locator(".gl-card").nth(20)).to_be_attached()

    # groups -> one group
    go(page, "Groups")
    page.locator("[data-testid=stButton]").get_by_role("button", name="Open", exact=True).first.click()
    expect(page).to_have_url(re.compile("group="))
    expect(page.get_by_role("button", name="All groups")).to_be_visible()
    expect(page.locator(".gl-card").nth(8)).to_be_attached()

    # odd ones out
    go(page, "Odd ones out")
    expect(page.locator(".gl-badge", has_text=re.compile("^1$"))).to_be_visible()
    page.get_by_text(re.compile("There twice")).click()
    expect(page.get_by_text(re.compile("sets of pictures that are the same"))).to_be_visible()

    # a question
    go(page, "Label")
    page.get_by_label("Question", exact=True).fill("Is it alive?")
    page.get_by_label("Answers, one a line").fill("alive\nnot alive")
    page.get_by_role("button", name="Start labelling").click()
    grid = page.locator(".lr-grid")
    expect(page.locator(".lr-card").nth(3)).to_be_visible()
    expect(page).to_have_url(re.compile("q="))

    # 20 answers with the keyboard; what is alive is known from the folders
    grid.focus()
    for _ in range(20):
        uid = page.locator(".lr-at:not(.lr-answered)").get_attribute("data-uid")
        page.keyboard.press("1" if str(uid).split("-")[0] in ALIVE else "2")
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    expect(page.locator(".lr-quality")).to_contain_text("20 answered")
    results = page.locator(".lr-result")
    expect(results.nth(10)).to_be_visible()
    found = [str(results.nth(k).get_attribute("data-uid")) for k in range(20)]
    right = sum(uid.split("-")[0] in ALIVE for uid in found)
    assert right >= 14, f"of the 20 most likely alive, {right} are: {found}"

    # the keys take back and give again
    page.keyboard.press("u")
    expect(page.locator(".lr-quality")).to_contain_text("19 answered")
    page.keyboard.press("r")
    expect(page.locator(".lr-quality")).to_contain_text("20 answered")

    # the link, opened anew in the same browser: all still there
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator(".lr-quality")).to_contain_text("20 answered")
    expect(page.locator(".lr-result").nth(10)).to_be_visible()
    assert [str(page.locator(".lr-result").nth(k).get_attribute("data-uid")) for k in range(5)] == found[:5]
    with page.expect_download() as got:
        page.get_by_role("link", name="Answers and guesses (CSV)").click()
    answers = got.value.path().read_text("utf-8-sig").splitlines()
    assert len(answers) == 1503
    assert sum(",alive," in line or ",not alive," in line for line in answers) >= 1400


def test_answers_survive_a_killed_server(start_server, demo_copy, page: Page, trouble) -> None:
    trouble.allow("WebSocket|ERR_CONNECTION|Failed to fetch|request failed|console (error|warning)")
    app = start_server(demo_copy)
    page.goto(app.entering("/label?d=demo"))
    page.get_by_label("Question", exact=True).fill("Alive?")
    page.get_by_label("Answers, one a line").fill("alive\nnot alive")
    page.get_by_role("button", name="Start labelling").click()
    expect(page.locator(".lr-card").nth(3)).to_be_visible()
    page.locator(".lr-grid").focus()
    for key in "1212":
        page.locator(".lr-at:not(.lr-answered)").wait_for()
        page.keyboard.press(key)
    expect(page.locator(".lr-saved")).to_have_text("Saved")
    link = page.url
    page.locator(".lr-at:not(.lr-answered)").wait_for()
    app.kill()
    page.keyboard.press("1")  # nobody is there to take this one: the browser keeps it
    expect(page.locator(".lr-saved")).to_contain_text("Not saved")
    app.start()
    page.goto(link)
    expect(page.locator(".lr-quality")).to_contain_text("5 answered")


def test_a_link_of_the_past_launch_does_not_let_in_and_says_so(start_server, demo_copy, page: Page, trouble) -> None:
    trouble.allow("403")
    app = start_server(demo_copy)
    page.goto(app.url + "/map?d=demo")
    expect(page.get_by_text("closed to strangers")).to_be_visible()
    page.goto(f"{app.url}/enter?token=wrong")
    expect(page.get_by_text("closed to strangers")).to_be_visible()


def test_an_uploaded_picture_finds_its_like(server: RunningApp, page: Page) -> None:
    picture = next((Path(__file__).resolve().parents[2] / "data" / "clipart" / "animals").glob("*.jpg"))
    page.goto(server.entering("/similar?d=demo"))
    page.locator("input[type=file]").set_input_files(picture)
    expect(page.get_by_text("Pictures like yours")).to_be_visible()
    expect(page.locator(".gl-card").nth(20)).to_be_attached()
    expect(page.locator(".gl-card").first).to_have_attribute("data-uid", f"animals-{picture.stem}")


def test_a_folder_is_added_in_the_browser(start_server, workspace, page: Page, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for picture in sorted((Path(__file__).resolve().parents[2] / "data" / "clipart" / "food").glob("*.jpg"))[:60]:
        (source / picture.name).write_bytes(picture.read_bytes())
    (source / "broken.jpg").write_text("not a picture")
    app = start_server(workspace, EXPLORER_ROOTS=str(tmp_path))
    page.goto(app.entering("/"))
    expect(page.get_by_text("Welcome")).to_be_visible()
    page.get_by_role("textbox", name=re.compile("Folder, table")).fill("/etc")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("outside the folders that may be added")).to_be_visible()
    page.get_by_role("textbox", name=re.compile("Folder, table")).fill(str(source))
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("60 pictures").first).to_be_visible(timeout=180_000)
    page.locator("[data-testid=stButton]").get_by_role("button", name="Open", exact=True).first.click()
    expect(page.locator(".mp-surface[data-ready]")).to_be_visible()
    go(page, "Odd ones out")
    page.get_by_text(re.compile(r"Problems \(1\)")).click()
    expect(page.get_by_text("Files that could not be used")).to_be_visible()
    said = command_line(workspace.root, "status", "photos", "--json").stdout
    assert '"ok": 60' in said
    assert '"problem": 1' in said


def test_pictures_are_uploaded_and_looked_at(start_server, workspace, page: Page, tmp_path: Path) -> None:
    drawings = sorted((Path(__file__).resolve().parents[2] / "data" / "clipart" / "tools").glob("*.jpg"))[:12]
    with zipfile.ZipFile(tmp_path / "tools.zip", "w") as archive:
        for drawing in drawings:
            archive.write(drawing, drawing.name)
        archive.writestr("../outside.jpg", drawings[0].read_bytes())
    app = start_server(workspace)
    page.goto(app.entering("/"))
    page.get_by_role("tab", name="Upload").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "tools.zip")
    page.get_by_role("button", name="Upload and add").click()
    expect(page.get_by_text("12 pictures · 1 that cannot be read")).to_be_visible(timeout=180_000)
    assert [path.name for path in (workspace.root / "uploads").rglob("*.*")] == ["tools.zip"]


@pytest.mark.timeout(900)
def test_work_that_was_begun_can_be_stopped_and_goes_on_later(start_server, demo_copy, page: Page) -> None:
    shutil.rmtree(demo_copy.root / "demo" / "features")
    app = start_server(demo_copy)
    page.goto(app.entering("/"))
    page.get_by_role("button", name="Look for changes").click()
    stop = page.locator("[data-testid=stButton]").get_by_role("button", name="Stop")
    stopped = page.get_by_text("The last run was stopped")
    for _ in range(10):  # a press at the moment in which the bar is drawn anew is lost, as it would be for a person
        if stop.is_visible():
            stop.click()
        try:
            expect(stopped).to_be_visible(timeout=12_000)
            break
        except AssertionError:
            continue
    expect(stopped).to_be_visible()
    found = json.loads(command_line(demo_copy.root, "status", "demo", "--json").stdout)
    assert found["stale"] or not found["extractors"]
    page.get_by_role("button", name="Look for changes").click()
    stop = page.locator("[data-testid=stButton]").get_by_role("button", name="Stop")
    expect(stop).to_be_visible()
    expect(stop).to_have_count(0, timeout=180_000)  # the old button fades only after the new one has come
    expect(page.get_by_role("button", name="Look for changes")).to_be_visible()
    found = json.loads(command_line(demo_copy.root, "status", "demo", "--json").stdout)
    assert found["extractors"][0]["missing"] == 0
    assert not found["jobs"]

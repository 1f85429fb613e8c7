"""The app in Chromium under its policy: it works, no answer lacks its headers, and what is slipped in fails."""

import re

import pytest
from playwright.sync_api import Page, Response, expect

from benchmarks.running import RunningApp
from explorer.workspace import Workspace
from tests.browser.test_results import answered

pytestmark = pytest.mark.browser
WATCH = """addEventListener("securitypolicyviolation", (event) => {
  // Streamlit's messages try whether there is WebAssembly for whole numbers of 64 bits, and do without
  if (event.blockedURI !== "wasm-eval") (window.violations ??= []).push(event.violatedDirective);
})"""
SLIPPED_IN = """() => {
  const box = document.createElement("div");
  box.innerHTML = '<img src="x:" onerror="window.ran = 1"><img src="https://evil.example/seen.png">';
  document.body.append(box);
  const script = document.createElement("script");
  script.textContent = "window.ran = 1";
  document.body.append(script);
  setTimeout(() => { try { eval("window.ran = 1"); } catch { } });
}"""


@pytest.mark.timeout(600)
def test_the_pages_work_under_the_policy_and_nothing_else_does(server: RunningApp, page: Page, trouble) -> None:
    expect.set_options(timeout=60_000)
    question = answered(Workspace(server.workspace), "Under the policy?")
    bare: list[str] = []

    def look(response: Response) -> None:
        names = ("content-security-policy", "x-content-type-options", "referrer-policy", "x-frame-options")
        if response.url.startswith(server.url) and not all(response.headers.get(name) for name in names):
            bare.append(response.url)

    page.on("response", look)
    page.add_init_script(WATCH)
    seen = {
        "map?d=demo": page.locator(".mp-surface[data-ready]"),
        f"label?d=demo&q={question}": page.locator(".lr-card").nth(3),
        f"results?d=demo&q={question}": page.locator(".js-plotly-plot .main-svg").first,
    }
    for address, shown in seen.items():
        page.goto(server.entering(f"/{address}"))
        expect(shown).to_be_visible(timeout=120_000)
        assert page.evaluate("window.violations ?? []") == [], address
    assert bare == []
    assert trouble.unexpected() == []

    trouble.allow(r"Content Security Policy|ERR_BLOCKED_BY_CSP|evil\.example|console error: Failed to load|x:")
    page.evaluate(SLIPPED_IN)
    wanted = ["script-src-attr", "script-src-elem", "img-src", "script-src"]
    page.wait_for_function("(wanted) => wanted.every((each) => (window.violations ?? []).includes(each))", arg=wanted)
    assert page.evaluate("window.ran") is None
    assert not [line for line in trouble.found if re.search("left the machine", line)]


def test_a_page_for_coming_in_runs_nothing_but_its_own(server: RunningApp, page: Page, trouble) -> None:
    trouble.allow("403|400")
    page.add_init_script(WATCH)
    page.goto(f"{server.url}/join#not-a-link")
    expect(page.get_by_role("heading", name="This link does not open")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") == "8px"  # its style counts
    assert page.url == f"{server.url}/join"
    assert page.evaluate("window.violations ?? []") == []
    page.goto(f"{server.url}/enter?token=wrong")
    expect(page.get_by_text("closed to strangers")).to_be_visible()
    assert page.evaluate("window.violations ?? []") == []

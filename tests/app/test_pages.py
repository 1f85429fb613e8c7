"""Every page without a browser: what it says on the demo, on nothing, and after a broken link."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from explorer.collection.dataset import Dataset
from explorer.sharing.access import Person
from explorer.web import state
from explorer.web.runtime import runtime
from explorer.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("datasets", "map", "similar", "groups", "odd", "label", "results", "compare", "looks", "share")


@pytest.fixture(autouse=True)
def owner(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A script run without a browser has no cookie; the door is tested elsewhere."""
    monkeypatch.setattr(state, "me", Person.local_owner)
    return


def opened(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params.update(query)
    app.run()
    return app.switch_page(f"pages/{page}.py").run()


def said(app: AppTest) -> str:
    """All the words on the page."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success", "text")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_the_demo_runs_without_an_error(page, demo_copy):
    app = opened(page, d="demo")
    assert not app.exception
    assert not app.error
    assert "1,502" in said(app) or page in ("similar", "groups", "odd", "label", "results", "compare")


@pytest.mark.parametrize("page", ["datasets", "looks"])
def test_a_replica_offers_nothing_that_changes_a_collection(page, demo_copy, monkeypatch):
    building = (
        "Look for changes",
        "Add",
        "Upload and add",
        "Look at all pictures this way",
        "Put together",
        "Lay out anew",
    )
    offered = [button.label for button in opened(page, d="demo").button]
    assert set(building) & set(offered)
    monkeypatch.setenv("EXPLORER_REPLICA", "1")
    app = opened(page, d="demo")
    assert not app.exception
    assert not set(building) & {button.label for button in app.button}
    assert "on the machine that builds them" in said(app)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workspace_says_what_to_do(page, workspace):
    app = opened(page)
    assert not app.exception
    assert not app.error
    assert ("Add a folder of pictures" in said(app)) or ("No pictures yet" in said(app))


@pytest.mark.parametrize("page", PAGES[1:])
def test_a_collection_that_is_not_ready_says_so(page, workspace: Workspace, tmp_path):
    (tmp_path / "pictures").mkdir()
    Dataset.create(workspace, "fresh", {"kind": "folder", "path": str(tmp_path / "pictures")})
    app = opened(page)
    assert not app.exception
    assert "is not ready yet" in said(app)


@pytest.mark.parametrize("page", PAGES)
def test_strangers_see_nothing(page, demo_copy, monkeypatch):
    monkeypatch.setattr(state, "me", lambda: None)
    app = opened(page, d="demo")
    assert not app.exception
    assert "Open the app with the link" in said(app)
    assert "1,502" not in said(app)


def test_a_link_to_things_that_are_gone_is_a_sentence_not_a_crash(demo_copy):
    for page, query in (
        ("map", {"d": "gone"}),
        ("map", {"d": "demo", "sel": "0123456789abcdef", "by": "column:gone", "s": "nothing"}),
        ("similar", {"d": "demo", "uid": "not/there.jpg"}),
        ("groups", {"d": "demo", "group": "999", "how": "magic"}),
        ("label", {"d": "demo", "q": "nope"}),
        ("results", {"d": "demo", "q": "nope", "class": "gone", "t": "x"}),
        ("compare", {"d": "demo", "q": "nope", "a": "gone", "b": "gone", "sel": "0123456789abcdef", "by": "x"}),
        ("share", {"d": "demo", "sel": "0123456789abcdef"}),
    ):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.run()
        app.session_state["view"] = dict(query)
        app = app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, (page, app.exception)


def test_a_filter_narrows_the_page_and_stays_in_the_link(demo_copy):
    app = opened("map", d="demo", f='{"in":{"folder":["food"]}}')
    assert not app.exception
    assert "230 of 1,502 pictures" in said(app)
    assert "food" in str(app.query_params["f"])
    app = opened("map", d="demo", f='{"in":{"@kmeans:gone.1":["2"]}}')
    assert "no space 'gone'" in app.error[0].value
    assert "f" not in app.query_params
    assert "1,502 pictures" in said(app)


def test_a_question_is_made_and_a_damaged_one_is_refused(demo_copy):
    app = opened("label", d="demo")
    name = next(box for box in app.text_input if box.label == "Question")
    classes = next(box for box in app.text_area if box.label.startswith("Answers"))
    start = next(button for button in app.button if button.label == "Start labelling")
    name.set_value("Alive?")
    classes.set_value("alive\nalive")
    start.click().run()
    assert not app.exception
    assert app.error
    name = next(box for box in app.text_input if box.label == "Question")
    classes = next(box for box in app.text_area if box.label.startswith("Answers"))
    classes.set_value("alive\nnot alive")
    name.set_value("Alive?")
    next(button for button in app.button if button.label == "Start labelling").click().run()
    assert not app.exception
    assert not app.error
    assert app.query_params["q"]


def _new_question(app: AppTest, name: str, answers: str, kind: str = "classes", none: bool = False) -> AppTest:
    next(box for box in app.text_input if box.label == "Question").set_value(name)
    next(box for box in app.text_area if box.label.startswith("Answers")).set_value(answers)
    next(box for box in app.radio if box.label == "How is it answered?").set_value(kind)
    if none:
        next(box for box in app.checkbox if box.label.startswith("Offer")).check()
    return next(button for button in app.button if button.label == "Start labelling").click().run()


def test_a_question_is_of_the_kind_that_was_chosen_and_may_have_none_of_these(demo_copy):
    questions = runtime().questions
    app = _new_question(opened("label", d="demo"), "How detailed?", "bare\nsome\nrich", "grades", none=True)
    assert "no place in the order of grades" in app.error[0].value
    assert questions.list("demo") == []
    app = _new_question(opened("label", d="demo"), "How detailed?", "bare\nsome\nrich", "grades")
    assert not app.exception
    app.session_state["view"] = {"d": "demo", "q": "+"}
    app.run()
    app = _new_question(app, "What is it?", "animal\ntool", none=True)
    assert not app.exception
    graded, asked = questions.list("demo")
    assert (graded.kind, [c.name for c in graded.classes]) == ("grades", ["bare", "some", "rich"])
    assert asked.none_class is not None
    assert asked.none_class.name == "None of these"

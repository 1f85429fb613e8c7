"""What each person sees of the pages, and the links that the Share page makes."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from explorer.errors import BadInput, NotFound
from explorer.sharing.access import Grant, Person, Scope
from explorer.sharing.accounts import AccountStore
from explorer.web import navigation, share_accounts, state
from explorer.web.runtime import runtime
from tests.app.test_pages import opened, said

EVERYWHERE = [place.name for place in navigation.PLACES]


@pytest.fixture
def asked(demo_copy) -> str:
    """The id of one of two questions about the demo."""
    questions = runtime().questions
    questions.create("demo", "Is it food?", ["food", "not food"])
    return questions.create("demo", "Is it alive?", ["alive", "not alive"]).id


@pytest.fixture
def as_person(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Person]:
    def be(*grants: Grant) -> Person:
        person = Person("somebody", "Ada", grants)
        monkeypatch.setattr(state, "me", lambda: person)
        return person

    return be


def choices(app: AppTest) -> str:
    """All that can be chosen, pressed or downloaded."""
    found = [str(option) for box in (*app.selectbox, *app.radio, *app.multiselect) for option in box.options]
    return "\n".join(
        [*found, *(each.label for each in app.button), *(str(each.proto) for each in app.get("link_button"))]
    )


def test_the_bar_holds_what_a_person_may_use() -> None:
    def bar(*grants: Grant) -> list[str]:
        person = Person("somebody", "Ada", grants)
        return [name for name in EVERYWHERE if navigation.offers(person, name, ["one", "two"])]

    assert bar(Grant("own")) == EVERYWHERE
    assert bar(Grant("label", Scope("one"))) == EVERYWHERE
    assert bar(Grant("look", Scope("one"))) == [name for name in EVERYWHERE if name != "label"]
    assert bar(Grant("label", Scope("one", "q"))) == ["label", "you"]
    assert bar(Grant("look", Scope("one", "q"))) == ["results", "you"]
    assert bar(Grant("edit", Scope("one", "q"))) == ["label", "results", "you"]
    assert bar(Grant("own", Scope("gone"))) == ["you"]
    assert bar() == ["you"]
    assert not any(navigation.offers(None, name, ["one"]) for name in EVERYWHERE)


def test_a_page_that_is_not_for_them_says_so_and_nothing_else(asked, as_person):
    as_person(Grant("label", Scope("demo", asked)))
    app = opened("map", d="demo", q=asked)
    for page in ("map", "similar", "groups", "odd", "looks", "compare", "share"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        assert "does not reach here" in said(app), page
        assert "1,502" not in said(app)
        assert not choices(app)


def test_who_answers_one_question_sees_that_one_alone(asked, as_person):
    as_person(Grant("label", Scope("demo", asked), "g1"))
    app = opened("label", d="demo")
    assert not app.exception
    assert not app.error
    assert "Is it alive?" in said(app)
    assert "food" not in said(app) + choices(app)
    assert "A new question" not in choices(app)
    assert "answers.csv" not in choices(app)
    home = opened("datasets")
    assert not home.exception
    assert "Is it alive?" in said(home)
    other = next(each.id for each in runtime().questions.list("demo") if each.id != asked)
    app = opened("results", d="demo", q=other)
    assert not app.exception
    assert "food" not in said(app) + choices(app)


def test_who_may_look_is_offered_nothing_that_changes_something(asked, as_person):
    as_person(Grant("look", Scope("demo"), "g1"))
    app = opened("datasets", d="demo", q=asked)
    for page in ("datasets", "groups", "looks", "results", "compare", "share"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        assert not app.error, page
        for words in ("Look for changes", "Answer", "Label", "Look at all", "Bring it in", "Make the link", "Upload"):
            assert words not in choices(app).replace("Answers", ""), (page, words)


def test_whose_link_was_taken_back_is_told_so(asked, as_person):
    as_person()
    app = opened("map", d="demo")
    for page in ("map", "label", "you"):
        assert "taken back" in said(app.switch_page(f"pages/{page}.py").run())


def test_the_owner_makes_pauses_and_takes_back_a_link(asked, as_person):
    as_person(Grant("own", Scope("demo"), "g1"))
    app = opened("share", d="demo")
    app.selectbox(key="link-scope-label-demo").set_value("Only the question “Is it alive?”").run()
    app.text_input(key="link-name").set_value("Ada")
    app.button(key="link-make").click().run()
    assert not app.exception
    assert not app.error
    (link,) = runtime().links.all()
    assert (link.role, link.scope, link.name, link.seats) == ("label", Scope("demo", asked), "Ada", None)
    assert link.start.startswith("/label?")
    assert f"q={asked}" in link.start
    assert link.ends is not None
    secret = app.session_state[navigation.NEW_LINK][1].partition("#")[2]
    assert runtime().links.offered(secret).id == link.id
    app.button(key="link-done").click().run()
    assert navigation.NEW_LINK not in app.session_state
    app.button(key=f"pause-{link.id}").click().run()
    assert runtime().links.get(link.id).paused
    app.button(key=f"resume-{link.id}").click().run()
    app.button(key=f"revoke-{link.id}").click().run()
    assert not app.exception
    assert runtime().links.get(link.id).revoked is not None
    assert "All collections" not in choices(app)  # one owns what one gives


def test_the_owner_gives_an_address_a_role_and_takes_it_back(asked, monkeypatch):
    monkeypatch.setattr(state, "me", Person.local_owner)
    assert "Let them in" not in choices(opened("share", d="demo"))  # nobody can log in here
    store = AccountStore(runtime().catalog, owners=())
    monkeypatch.setattr(share_accounts, "accounts_of", lambda _: store)
    app = opened("share", d="demo")
    app.text_input(key="role-pattern").set_value("not an address")
    app.button(key="role-add").click().run()
    assert "is no address" in app.error[0].value
    app.text_input(key="role-pattern").set_value("@museum.org")
    app.radio(key="role-role").set_value("look").run()
    app.button(key="role-add").click().run()
    assert not app.exception
    (role,) = store.all()
    assert (role.pattern, role.role, role.scope) == ("@museum.org", "look", Scope("demo"))
    app.button(key=f"role-revoke-{role.id}").click().run()
    assert not app.exception
    assert not store.all()


def test_who_came_by_a_link_says_what_they_want_to_be_called(workspace) -> None:
    store = runtime().links
    _, secret = store.create("look", Scope(), name="Ada")
    browser, _ = store.redeem(secret)
    store.rename(browser, " Ada L. ")
    person = store.visitor(browser)
    assert person is not None
    assert person.name == "Ada L."
    for wrong in (" ", "two\nlines", "x" * 81):
        with pytest.raises(BadInput, match="A name has"):
            store.rename(browser, wrong)
    with pytest.raises(NotFound):
        store.rename("another browser", "Ada")

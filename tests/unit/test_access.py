"""The door and the one question it asks."""

from pathlib import Path

import pytest

from explorer.errors import BadInput, Refused
from explorer.sharing.access import (
    ACTIONS,
    Grant,
    LaunchToken,
    Person,
    Scope,
    allowed_path,
    authorise,
    host_allowed,
    origin_allowed,
)


def test_the_owner_may_everything_and_nobody_nothing():
    for action in ACTIONS:
        authorise(Person.local_owner(), action, Scope(dataset="demo"))
        with pytest.raises(Refused, match="link that you were given"):
            authorise(None, action, Scope(dataset="demo"))


def test_an_action_holds_those_before_it_and_no_later_one():
    labeller = Person("p1", "Ada", (Grant("label"),))
    authorise(labeller, "look", Scope("demo"))
    authorise(labeller, "label", Scope("demo"))
    for action in ("edit", "own", "anything"):
        with pytest.raises(Refused):
            authorise(labeller, action, Scope("demo"))
    with pytest.raises(Refused):
        authorise(Person("p2", "Bob", (Grant("king"),)), "see", Scope())


def test_a_grant_reaches_as_far_as_its_scope():
    for_all, for_one = Grant("edit"), Grant("edit", Scope("demo"))
    asked = Grant("label", Scope("demo", "q1"))
    assert for_all.allows("edit", Scope())
    assert for_all.allows("edit", Scope("demo", "q1"))
    assert for_one.allows("edit", Scope("demo", "q1"))
    assert for_one.allows("look", Scope("demo"))
    assert not for_one.allows("see", Scope("other"))
    assert not for_one.allows("see", Scope())
    assert asked.allows("label", Scope("demo", "q1"))
    assert asked.allows("look", Scope("demo", "q1"))
    assert asked.allows("see", Scope("demo"))
    for action, what in (
        ("look", Scope("demo")), ("label", Scope("demo")), ("see", Scope("demo", "q2")), ("see", Scope("other", "q1")),
        ("label", Scope("demo", "q2")), ("edit", Scope("demo", "q1")), ("see", Scope()),
    ):  # fmt: skip
        assert not asked.allows(action, what), (action, what)


def test_several_grants_add_up_and_none_is_nothing():
    both = Person("p", "Ada", (Grant("look", Scope("a")), Grant("label", Scope("b", "q"))))
    authorise(both, "look", Scope("a"))
    authorise(both, "label", Scope("b", "q"))
    with pytest.raises(Refused, match="does not reach"):
        authorise(both, "label", Scope("a"))
    with pytest.raises(Refused, match="do not lead"):
        authorise(both, "see", Scope("c"))
    with pytest.raises(Refused):
        authorise(Person("p", "Ada"), "see", Scope("a"))


def test_the_cookie_is_not_the_token_and_neither_opens_the_other():
    token = LaunchToken("s3cret")
    assert token.matches("s3cret")
    assert token.cookie_matches(token.cookie_value())
    assert not token.matches(token.cookie_value())
    assert not token.cookie_matches("s3cret")
    assert not token.matches("")
    assert not token.cookie_matches("")
    assert not token.cookie_matches("é")
    assert LaunchToken("other").cookie_value() != token.cookie_value()


def test_a_launch_makes_a_secret_that_its_children_share(monkeypatch):
    monkeypatch.delenv("EXPLORER_TOKEN", raising=False)
    made = LaunchToken.from_environment()
    assert len(made.secret) >= 43
    assert LaunchToken.from_environment() == made


@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1:1", "127.0.0.1", "[::1]:8501", "LOCALHOST"])
def test_this_computer_answers_under_its_own_names(host):
    assert host_allowed(host)


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example:8501", "127.0.0.1.evil.example", "[::1", "10.0.0.1"]
)
def test_and_under_no_other(host, monkeypatch):
    assert not host_allowed(host)
    monkeypatch.setenv("EXPLORER_HOSTS", "archive.example, other.example")
    assert not host_allowed(host)
    assert host_allowed("archive.example:443")


def test_only_pages_of_this_server_may_change_things():
    assert origin_allowed("http://127.0.0.1:8501", "127.0.0.1:8501")
    for origin in ("http://127.0.0.1:9999", "http://evil.example", "null", "", "file://127.0.0.1:8501"):
        assert not origin_allowed(origin, "127.0.0.1:8501")


def test_only_paths_below_the_roots_can_be_added(tmp_path: Path, monkeypatch):
    root = tmp_path / "pictures"
    (root / "in").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (root / "out").symlink_to(tmp_path / "secret")
    monkeypatch.setenv("EXPLORER_ROOTS", str(root))
    assert allowed_path(str(root / "in")) == root / "in" == allowed_path("in")
    for text in (str(tmp_path / "secret"), str(root / ".." / "secret"), str(root / "out"), "../secret"):
        with pytest.raises(Refused, match="outside the folders"):
            allowed_path(text)
    for text in ("", "  ", "in\x00", str(root / "nothing")):
        with pytest.raises(BadInput):
            allowed_path(text)

"""Links: what they let do, how they end, and that the secret opens nothing it should not."""

import re

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from explorer.catalog import schema
from explorer.catalog.database import Catalog
from explorer.errors import BadInput, NotFound, Refused, Unavailable
from explorer.sharing.access import Scope, may
from explorer.sharing.links import LinkStore, hashed
from explorer.web import gate, join, routes
from explorer.web.runtime import Runtime, runtime
from explorer.web.visitors import browser_cookie

HOST = "http://127.0.0.1:8501"


def test_a_link_lets_in_and_is_kept_as_a_hash(either_catalog: Catalog) -> None:
    store = LinkStore(either_catalog)
    link, secret = store.create("label", Scope("demo", "q1"), name="Ada", start="/label?d=demo&q=q1")
    assert len(secret) >= 43
    browser, found = store.redeem(secret)
    assert found.start == "/label?d=demo&q=q1"
    person = store.visitor(browser)
    assert person is not None
    assert person.name == "Ada"
    assert may(person, "label", Scope("demo", "q1"))
    assert not may(person, "label", Scope("demo", "q2"))
    with either_catalog.reading() as connection:
        kept = repr([connection.execute(sa.select(table)).all() for table in (schema.links, schema.grants)])
    assert secret not in kept
    assert browser not in kept
    assert store.get(link.id).people == 1
    assert store.get(link.id).last_used is not None


def test_paused_ended_revoked_and_unknown_ones_let_nobody_in_nor_stay(either_catalog: Catalog, monkeypatch) -> None:
    store = LinkStore(either_catalog)
    now = [1_000.0]
    monkeypatch.setattr(Catalog, "now", lambda *_: now[0])
    monkeypatch.setattr("explorer.sharing.links._FRESH_SECONDS", 0)
    link, secret = store.create("look", Scope("demo"), ends=2_000.0)
    browser, _ = store.redeem(secret)
    store.pause(link.id)
    assert store.visitor(browser).grants == ()
    with pytest.raises(Refused, match="paused"):
        store.redeem(secret)
    store.pause(link.id, False)
    assert len(store.visitor(browser).grants) == 1
    now[0] = 2_000.0
    assert store.visitor(browser).grants == ()
    with pytest.raises(Refused, match="anywhere"):
        store.redeem(secret)
    other, other_secret = store.create("look", Scope())
    store.redeem(other_secret, browser)
    store.revoke(other.id)
    assert store.visitor(browser).grants == ()
    for bad in (other_secret, "", "x" * 43, secret + "x", secret.swapcase(), hashed(secret)):
        with pytest.raises(Refused):
            store.redeem(bad)
    assert store.visitor("x" * 43) is None
    assert store.visitor(hashed(browser)) is None


def test_revoking_is_felt_at_once_in_this_process(either_catalog: Catalog) -> None:
    store = LinkStore(either_catalog)
    link, secret = store.create("own", Scope())
    browser, _ = store.redeem(secret)
    assert store.visitor(browser).grants
    assert store.remembered(browser) is not None
    store.revoke(link.id)
    assert store.visitor(browser).grants == ()


def test_browsers_that_are_here_are_asked_about_together(either_catalog: Catalog, monkeypatch) -> None:
    store = LinkStore(either_catalog)
    link, secret = store.create("look", Scope("demo"))
    browsers = [store.redeem(secret)[0] for _ in range(5)]
    asked, ask = [], store._ask
    monkeypatch.setattr(store._asking, "_work", lambda marks: asked.append(marks) or ask(marks))
    people = [store.visitor(browser) for browser in browsers]
    assert len({person.id for person in people}) == len(asked) == 5
    for known in store._visitors.values():
        known.at -= 10  # ten seconds later, of which the last was spent here
    assert [store.visitor(browser).id for browser in browsers] == [person.id for person in people]
    assert len(asked) == 6, "one query for all five"
    store.revoke(link.id)
    assert [store.visitor(browser).grants for browser in browsers] == [()] * 5


def test_a_full_disk_shuts_nobody_out(either_catalog: Catalog, monkeypatch) -> None:
    store = LinkStore(either_catalog)
    _, secret = store.create("look", Scope("demo"))
    browser, _ = store.redeem(secret)
    monkeypatch.setattr("explorer.sharing.links._FRESH_SECONDS", 0)
    monkeypatch.setattr("explorer.sharing.links._USED_SECONDS", -1)
    noted = []

    def full(_: Catalog, **__: bool):
        noted.append(1)
        raise Unavailable("The disk is full.")

    monkeypatch.setattr(Catalog, "writing", full)
    assert len(store.visitor(browser).grants) == 1
    assert noted


def test_seats_are_counted_by_browser_and_come_free_again(either_catalog: Catalog) -> None:
    store = LinkStore(either_catalog)
    link, secret = store.create("look", Scope("demo"), seats=2)
    first, _ = store.redeem(secret, name="Ada")
    second, _ = store.redeem(secret, name="Bob")
    assert store.redeem(secret, first)[0] == first
    assert store.get(link.id).people == 2
    with pytest.raises(Refused, match="Everybody"):
        store.redeem(secret)
    store.give_back(first, store.visitor(first).grants[0].id)
    assert store.visitor(first).grants == ()
    third, _ = store.redeem(secret, name="Cleo")
    assert store.visitor(third).name == "Cleo"
    with pytest.raises(Refused, match="Everybody"):
        store.redeem(secret, first)
    with pytest.raises(NotFound):
        store.give_back(first, store.visitor(second).grants[0].id)
    assert store.visitor(second).name == "Bob"


def test_one_browser_with_several_links_is_one_person(either_catalog: Catalog) -> None:
    store = LinkStore(either_catalog)
    _, one = store.create("label", Scope("demo", "q1"))
    _, two = store.create("label", Scope("demo", "q2"))
    browser, _ = store.redeem(one, name="Ada")
    again, _ = store.redeem(two, browser)
    assert again == browser
    person = store.visitor(browser)
    assert {grant.scope.question for grant in person.grants} == {"q1", "q2"}
    assert person.name == "Ada"
    stranger, _ = store.redeem(two, "made up by the visitor" * 2)
    assert stranger not in (browser, "made up by the visitor" * 2)  # no one chooses the secret that says who they are
    assert store.visitor(stranger).id != person.id


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "see"}, {"role": "king"}, {"scope": Scope("", "q1")}, {"name": "x" * 81}, {"name": "a\nb"},
        {"seats": 0}, {"start": "//evil.example"}, {"start": "https://evil.example"},
        {"start": "/\\evil.example"}, {"ends": 1.0},
    ],
    ids=repr,
)  # fmt: skip
def test_a_link_that_cannot_be_right_is_refused(either_catalog: Catalog, wrong) -> None:
    with pytest.raises(BadInput):
        LinkStore(either_catalog).create(**{"role": "look", "scope": Scope("demo"), **wrong})
    assert LinkStore(either_catalog).all() == []


@pytest.fixture
def rt(demo_copy, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("EXPLORER_TOKEN", "secret-of-the-test")
    return runtime()


def _browser(rt: Runtime) -> TestClient:
    middleware = [Middleware(gate.Gate, visitors=rt.visitors)]
    app = Starlette(routes=[*join.ROUTES, *routes.ROUTES], middleware=middleware)
    return TestClient(app, base_url=HOST, raise_server_exceptions=False)


def _come(client: TestClient, secret: str, **headers: str):
    return client.post("/join", json={"secret": secret}, headers={"x-explorer": "1", "origin": HOST, **headers})


def test_a_preview_spends_nothing_and_a_press_lets_in(rt: Runtime) -> None:
    _, secret = rt.links.create("look", Scope("demo"), seats=1, start="/map?d=demo")
    preview, client = _browser(rt), _browser(rt)
    assert preview.get("/join").status_code == 200
    assert preview.get("/join.js").status_code == 200
    asked = {"x-explorer": "1", "origin": HOST}
    about = preview.post("/join/about", json={"secret": secret}, headers=asked).json()
    assert rt.dataset("demo").name in about["what"]
    answer = _come(client, secret)
    assert answer.json() == {"next": "/map?d=demo"}
    cookie = answer.headers["set-cookie"]
    assert re.search(r"HttpOnly.*SameSite=lax", cookie)
    assert secret not in cookie
    hash_ = rt.space("demo", rt.space_keys("demo")[0].key).hashes[0]
    assert client.get(f"/x/demo/thumb/{hash_}.jpg").status_code == 200
    assert _come(preview, secret).status_code == 403  # the one seat is taken
    assert preview.get(f"/x/demo/thumb/{hash_}.jpg").status_code == 403


def test_another_site_cannot_put_its_link_into_this_browser(rt: Runtime) -> None:
    _, secret = rt.links.create("look", Scope("demo"))
    client = _browser(rt)
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"x-explorer": "0"}, {"origin": ""}):
        answer = _come(client, secret, **headers)
        assert answer.status_code == 403
        assert browser_cookie(8501) not in client.cookies
    for body in (b"", b"[]", b"{}", b'{"secret": 5}', b'{"secret": "x", "name": {}}', b"{" * 5_000):
        answer = client.post("/join", content=body, headers={"x-explorer": "1", "origin": HOST})
        assert answer.status_code == 400


def test_who_may_label_one_question_gets_that_one_and_the_pictures(rt: Runtime) -> None:
    mine = rt.questions.create("demo", "Is it alive?", ["yes", "no"])
    other = rt.questions.create("demo", "Is it food?", ["yes", "no"])
    _, secret = rt.links.create("label", Scope("demo", mine.id))
    client = _browser(rt)
    _come(client, secret)
    space = rt.space("demo", rt.space_keys("demo")[0].key)
    batch = "/x/demo/batch.json"
    large = client.get("/x/demo/item.json", params={"uid": space.uids[0], "space": space.key}).json()
    assert large["caption"]
    assert large["neighbours"] == []  # nor what the collection's columns say, or where the file lies
    assert [name for name, _ in large["columns"]] == ["size"]
    query = {"question": mine.id, "space": space.key}
    assert client.get(batch, params=query).status_code == 200
    assert client.get(batch, params=query | {"question": other.id}).status_code == 403
    assert client.get("/x/demo/answers.csv", params=query).status_code == 200
    assert client.get("/x/demo/answers.csv", params=query | {"question": other.id}).status_code == 403
    assert client.get("/x/demo/selection.csv").status_code == 403
    asked = {"x-explorer": "1", "origin": HOST}
    event = {"client_event_id": "e1" * 8, "uid": space.uids[0], "value": "yes", "class_id": mine.classes[0].id}
    assert client.post("/x/demo/answers", json={"question": mine.id, "events": [event]}, headers=asked).is_success
    event |= {"client_event_id": "e2" * 8, "class_id": other.classes[0].id}
    refused = client.post("/x/demo/answers", json={"question": other.id, "events": [event]}, headers=asked)
    assert refused.status_code == 403
    assert {said.person_id for said in rt.answers.current(mine.id).values()} == {
        rt.links.visitor(client.cookies[browser_cookie(8501)]).id
    }

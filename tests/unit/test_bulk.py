"""Answers for many at once, on the demo: expanded by the server, stored once, taken back as one, remembered."""

import uuid

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from explorer.web import gate, routes, selections
from explorer.web.filters import Filter
from explorer.web.runtime import Runtime, runtime
from explorer.web.sets import cluster_set

HOST = "http://127.0.0.1:8501"
HEADERS = {"x-explorer": "1", "origin": HOST}


@pytest.fixture
def rt(demo_copy, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("EXPLORER_TOKEN", "secret-of-the-test")
    return runtime()


@pytest.fixture
def client(rt: Runtime) -> TestClient:
    app = Starlette(routes=routes.ROUTES, middleware=[Middleware(gate.Gate, visitors=rt.visitors)])
    client = TestClient(app, base_url=HOST, raise_server_exceptions=False)
    client.get("/enter", params={"token": rt.token.secret}, follow_redirects=False)
    return client


@pytest.fixture
def space(rt: Runtime):
    return rt.space("demo", rt.space_keys("demo")[0].key)


@pytest.fixture
def question(rt: Runtime):
    return rt.questions.create("demo", "Is it alive?", ["alive", "not alive"])


@pytest.fixture
def group(space) -> tuple[int, list[str]]:
    """The largest group and its pictures."""
    labels = space.clusters["kmeans"].to_numpy()
    which = int(np.bincount(labels[labels >= 0]).argmax())
    return which, [space.uids[row] for row in np.flatnonzero(labels == which)]


def _post(client: TestClient, question, space, **message):
    whole = {"question": question.id, "space": space.key, "client_event_id": str(uuid.uuid4()), **message}
    return client.post("/x/demo/answers", json=whole, headers=HEADERS)


def _single(client: TestClient, question, uid: str, class_id: str) -> str:
    event = {"client_event_id": str(uuid.uuid4()), "uid": uid, "value": "yes", "class_id": class_id}
    sent = client.post("/x/demo/answers", json={"question": question.id, "events": [event]}, headers=HEADERS)
    assert sent.status_code == 200
    return event["client_event_id"]


def _given(rt: Runtime, question) -> dict[str, str | None]:
    return {uid: answer.class_id for uid, answer in rt.answers.current(question.id).items()}


def test_a_group_is_answered_once_and_taken_back_as_one(rt, client, space, question, group):
    which, uids = group
    alive, not_alive = question.class_ids
    _single(client, question, uids[3], not_alive)
    whole = {"bulk": {"of": "cluster", "method": "kmeans", "id": str(which)}, "class_id": alive}
    said = _post(client, question, space, dry=True, **whole).json()
    assert (said["count"], said["left"]) == (len(uids) - 1, 1)
    assert set(_given(rt, question)) == {uids[3]}, "a dry run stores nothing"

    name = str(uuid.uuid4())
    first = _post(client, question, space, **whole, client_event_id=name).json()
    again = _post(client, question, space, **whole, client_event_id=name).json()
    assert first["count"] == again["count"] == len(uids) - 1
    assert [first["stored"][0]["duplicate"], again["stored"][0]["duplicate"]] == [False, True]
    assert first["latest"] == again["latest"]
    given = _given(rt, question)
    assert given.pop(uids[3]) == not_alive, "what was answered before is left alone"
    assert given == dict.fromkeys(set(uids) - {uids[3]}, alive)
    events = [entry.event for entry in rt.answers.history(question.id) if entry.event.uid != uids[3]]
    assert {(e.policy, e.probability, e.batch_id, e.person_id) for e in events} == {("cluster", 1.0, name, "local")}
    assert all(e.content_hash == space.hashes[space.rows[e.uid]] for e in events)

    undo = str(uuid.uuid4())
    for _ in range(2):
        back = _post(client, question, space, undo_batch=name, client_event_id=undo).json()
        assert back["count"] == len(uids) - 1
        assert _given(rt, question) == {uids[3]: not_alive}
    assert _post(client, question, space, undo_batch=undo).status_code == 200
    assert len(_given(rt, question)) == len(uids), "taking back what took back gives again"


def test_a_selection_is_answered_within_the_filter_also_over_old_answers(rt, client, space, question):
    uids = [space.uids[row] for row in range(0, 900, 9)]
    food = [uid for uid in uids if uid.startswith("food-")]
    assert 3 < len(food) < len(uids)
    alive, not_alive = question.class_ids
    _single(client, question, food[0], alive)
    sel = selections.save(rt.catalog, "demo", uids, "100 pictures circled on the map")
    bulk = {"of": "selection", "id": sel}
    only = str(Filter({"folder": ("food",)}))
    said = _post(client, question, space, bulk=bulk, class_id=not_alive, filter=only, also_answered=True).json()
    assert (said["count"], said["left"]) == (len(food), 0)
    assert _given(rt, question) == dict.fromkeys(food, not_alive)


def test_the_top_of_a_ranking_is_what_order_says(rt, client, space, question):
    alive, not_alive = question.class_ids
    bulk = {"of": "top", "class": alive, "n": 50}
    assert "Nothing is sorted" in _post(client, question, space, bulk=bulk, class_id=alive).json()["error"]
    for uid in space.uids[:600:40]:
        _single(client, question, uid, alive if uid.split("-")[0] in ("animals", "people", "plants") else not_alive)
    asked = {"question": question.id, "space": space.key, "class": alive, "n": 50}
    order = client.get("/x/demo/order.json", params=asked).json()
    assert sum(order["counts"].values()) == order["answered"] == 15
    top = {item["uid"] for item in order["items"]}
    before = _given(rt, question)
    dry = _post(client, question, space, bulk=bulk, class_id=alive, dry=True).json()
    assert dry["least"] == pytest.approx(order["items"][-1]["p"], abs=1e-3)
    said = _post(client, question, space, bulk=bulk, class_id=alive).json()
    fresh = {entry.event.uid for entry in rt.answers.history(question.id) if entry.event.batch_id}
    assert fresh == top - set(before)
    assert said["count"] == len(fresh) == 50 - said["left"]
    stored = rt.answers.history(question.id)[-1].event
    assert (stored.policy, stored.probability, stored.blind) == (f"top:{alive}", 1.0, False)


BAD = [
    ({"bulk": {"of": "cluster", "method": "kmeans", "id": "9999"}}, 404, "no such group"),
    ({"bulk": {"of": "cluster", "method": "magic", "id": "1"}}, 404, "no such group"),
    ({"bulk": {"of": "cluster", "method": "kmeans", "id": "1:999"}}, 404, "made anew"),
    ({"bulk": {"of": "selection", "id": "0" * 16}}, 404, ""),
    ({"bulk": {"of": "top", "class": "foreign", "n": 5}}, 400, "does not belong"),
    ({"bulk": {"of": "top", "class": "foreign", "n": 10**9}}, 400, "50,000"),
    ({"bulk": {"of": "everything"}}, 400, "A set of pictures"),
    ({"bulk": 7}, 400, "which pictures"),
    ({"class_id": "foreign"}, 400, "class"),
    ({"class_id": None}, 400, "must name a class"),
    ({"value": "undo"}, 400, "undo_batch"),
    ({"client_event_id": ""}, 400, "client_event_id"),
    ({"bulk": {"of": 3}}, 400, "not a text"),
]


def test_a_bad_request_for_many_is_told_why_and_nothing_is_stored(rt, client, space, question, group):
    good = {"bulk": {"of": "cluster", "method": "kmeans", "id": str(group[0])}, "class_id": question.class_ids[0]}
    for change, status, words in BAD:
        answer = _post(client, question, space, **(good | change))
        assert answer.status_code == status, change
        assert words in answer.json()["error"]
        assert _given(rt, question) == {}


def test_a_set_comes_without_what_is_answered_and_says_how_many(rt, client, space, question, group):
    which, uids = group
    _single(client, question, uids[0], question.class_ids[0])
    named = cluster_set("kmeans", which, space)
    asked = {"question": question.id, "space": space.key, "set": named, "n": 480}
    said = client.get("/x/demo/batch.json", params=asked).json()
    assert {item["uid"] for item in said["items"]} == set(uids[1:])
    assert (said["set"]["total"], said["set"]["open"]) == (len(uids), len(uids) - 1)
    assert {(item["policy"], item["probability"]) for item in said["items"]} == {("cluster", 1.0)}
    again = client.get("/x/demo/batch.json", params={**asked, "set": f"answered:{question.class_ids[0]}"}).json()
    assert [item["uid"] for item in again["items"]] == [uids[0]], "the old ones are asked again"
    for wrong in ("cluster:kmeans:9999", "cluster:kmeans:1:77", "answered:foreign", "selection:gone", "nonsense"):
        assert client.get("/x/demo/batch.json", params={**asked, "set": wrong}).status_code in (400, 404)


def test_what_was_answered_last_is_known_after_the_page_was_left(rt, client, space, question, group):
    which, _ = group
    alive, not_alive = question.class_ids
    first = _single(client, question, space.uids[7], not_alive)
    taken = _single(client, question, space.uids[8], alive)
    undo = {"client_event_id": str(uuid.uuid4()), "uid": space.uids[8], "value": "undo", "undoes": taken}
    client.post("/x/demo/answers", json={"question": question.id, "events": [undo]}, headers=HEADERS)
    bulk = {"of": "cluster", "method": "kmeans", "id": str(which)}
    batch = _post(client, question, space, bulk=bulk, class_id=alive).json()
    items = client.get("/x/demo/recent.json", params={"question": question.id}).json()["items"]
    assert [(each["event"], each["batch"]) for each in items] == [(None, batch["batch_id"]), (first, None)]
    assert [each["count"] for each in items] == [batch["count"], 1]
    assert items[1]["pictures"][0]["hash"] == space.hashes[7]
    _post(client, question, space, undo_batch=batch["batch_id"])
    items = client.get("/x/demo/recent.json", params={"question": question.id}).json()["items"]
    assert [each["event"] for each in items] == [first]


def test_of_several_that_can_be_true_many_get_one_and_the_others_stay_open(rt, client, space, group):
    which, uids = group
    question = rt.questions.create("demo", "What is on it?", ["animal", "tool"], kind="attributes")
    animal, tool = question.class_ids
    _single(client, question, uids[0], animal)
    bulk = {"of": "cluster", "method": "kmeans", "id": str(which)}
    said = _post(client, question, space, bulk=bulk, class_id=tool).json()
    assert (said["count"], said["left"]) == (len(uids), 0), "an answer about animals says nothing of tools"
    held, _ = rt.answers.attributes_with_seq(question.id)
    assert set(held[uids[0]]) == {animal, tool}
    assert set(held[uids[1]]) == {tool}
    again = _post(client, question, space, bulk=bulk, class_id=tool).json()
    assert (again["count"], again["left"]) == (0, len(uids))
    _post(client, question, space, undo_batch=said["batch_id"])
    held, _ = rt.answers.attributes_with_seq(question.id)
    assert {uid: set(each) for uid, each in held.items() if each} == {uids[0]: {animal}}


def test_a_split_answer_is_asked_again_until_each_was_answered_anew(rt, client, space, question):
    alive, _ = question.class_ids
    old = space.uids[:12:3]
    for uid in old:
        _single(client, question, uid, alive)
    seq = rt.answers.latest_seq(question.id)
    split = rt.questions.split_class(question.id, alive, ["animal", "plant"])
    assert set(split.uids) == set(old)
    asked = {"question": question.id, "space": space.key, "set": f"answered:{alive}:{seq}", "n": 480}
    items = client.get("/x/demo/batch.json", params=asked).json()["items"]
    assert {item["uid"] for item in items} == set(old)
    assert {(item["policy"], item["again"]) for item in items} == {("split", alive)}
    _single(client, question, old[0], split.classes[0].id)
    _single(client, question, old[1], alive)  # it stays what it was: asked and answered
    left = client.get("/x/demo/batch.json", params=asked).json()
    assert {item["uid"] for item in left["items"]} == set(old[2:])
    assert left["set"]["open"] == 2

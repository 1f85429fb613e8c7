"""Our HTTP routes on the demo: who may ask, what comes back, what a bad request is told."""

import csv
import io
import uuid
import zipfile

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from explorer.collection.names import Names, Places
from explorer.web import gate, routes, selections
from explorer.web.filters import Filter
from explorer.web.runtime import Runtime, runtime

HOST = "http://127.0.0.1:8501"


@pytest.fixture
def rt(demo_copy, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("EXPLORER_TOKEN", "secret-of-the-test")
    return runtime()


@pytest.fixture
def stranger(rt: Runtime) -> TestClient:
    app = Starlette(routes=routes.ROUTES, middleware=[Middleware(gate.Gate, visitors=rt.visitors)])
    return TestClient(app, base_url=HOST, raise_server_exceptions=False)


@pytest.fixture
def client(rt: Runtime, stranger: TestClient) -> TestClient:
    stranger.get("/enter", params={"token": rt.token.secret}, follow_redirects=False)
    return stranger


@pytest.fixture
def space(rt: Runtime):
    return rt.space("demo", rt.space_keys("demo")[0].key)


@pytest.fixture
def question(rt: Runtime):
    return rt.questions.create("demo", "Is it alive?", ["alive", "not alive"])


def _event(question, uid: str, name: str, **more) -> dict:
    answer = {"client_event_id": str(uuid.uuid4()), "uid": uid, "value": "yes"}
    return {**answer, "class_id": question.class_named(name).id, **more}


def _post(client: TestClient, question, events: list, **headers):
    message = {"question": question.id, "events": events}
    return client.post("/x/demo/answers", json=message, headers={"x-explorer": "1", "origin": HOST, **headers})


def _answer_folders(client: TestClient, rt: Runtime, question, count: int) -> int:
    items = rt.dataset("demo").present()
    alive = items["meta:folder"].isin(["animals", "people", "plants"])
    chosen = [*items[alive]["uid"][: count * 7 : 7], *items[~alive]["uid"][: count * 11 : 11]]
    kinds = ["alive"] * count + ["not alive"] * count
    events = [_event(question, uid, kind) for uid, kind in zip(chosen, kinds, strict=True)]
    return int(_post(client, question, events).json()["latest"])


@pytest.mark.parametrize("rule", routes.RULES, ids=lambda rule: f"{rule.method} {rule.path}")
def test_no_route_answers_a_stranger(rule, stranger, space, question):
    values = {"dataset": "demo", "hash": space.hashes[0], "space": space.key, "gen": space.generation}
    values |= {"other": space.key, "other_gen": space.generation}
    path = rule.path.format(**values)
    query = {"uid": space.uids[0], "question": question.id, "space": space.key, "by": "none"}
    answer = stranger.request(rule.method, path, params=query, headers={"x-explorer": "1", "origin": HOST})
    assert answer.status_code == 403
    assert len(answer.content) < 200


def test_every_route_asks_authorise(rt, client, space, monkeypatch):
    """Even with the cookie: a person whose role does not hold the action is refused by the route itself."""
    from explorer.sharing.access import Person

    monkeypatch.setattr(gate, "person_of", lambda *_: Person("nobody", "nobody"))
    for rule in routes.RULES:
        names = {"space": space.key, "gen": space.generation, "other": space.key, "other_gen": space.generation}
        path = rule.path.format(dataset="demo", hash=space.hashes[0], **names)
        answer = client.request(rule.method, path, headers={"x-explorer": "1", "origin": HOST})
        assert answer.status_code == 403, rule.path


def test_pictures_come_small_large_and_as_they_are(rt, client, space):
    uid, digest = space.uids[0], space.hashes[0]
    small = client.get(f"/x/demo/thumb/{digest}.jpg")
    assert "immutable" in small.headers["cache-control"]
    assert max(Image.open(io.BytesIO(small.content)).size) <= 256
    assert client.get("/x/demo/full.jpg", params={"uid": uid}).headers["content-type"] == "image/jpeg"
    dataset = rt.dataset("demo")
    whole = client.get("/x/demo/original", params={"uid": uid})
    assert whole.content == dataset.source.read(dataset.item(uid)["path"])
    assert whole.headers["content-disposition"].startswith("attachment")
    assert whole.headers["content-type"] == "application/octet-stream"


def test_a_picture_tells_its_columns_and_its_nearest(client, space):
    said = client.get("/x/demo/item.json", params={"uid": space.uids[3], "space": space.key}).json()
    assert ["folder", space.uids[3].split("-")[0]] in said["columns"]
    scores = space.vectors @ space.vectors[3]
    scores[3] = -1
    assert said["neighbours"][0]["uid"] in {space.uids[row] for row in np.flatnonzero(scores > scores.max() - 1e-4)}
    by_row = {"row": 3, "space": space.key, "gen": space.generation}
    assert client.get("/x/demo/item.json", params=by_row).json()["uid"] == space.uids[3]


def test_the_map_is_what_the_space_says_and_the_filter_takes_dots_off_it(rt, client, space):
    base = f"/x/demo/map/{space.key}/{space.generation}"
    xy = np.frombuffer(client.get(f"{base}/points.bin").content, "<f4").reshape(-1, 2)
    assert np.array_equal(xy, space.xy)
    assert client.get(f"{base}/hashes.bin").content.hex()[:32] == space.hashes[0]
    only = Filter({"folder": ("food",)})
    bits = client.get(f"{base}/shown.bin", params={"f": str(only)})
    assert bits.headers["cache-control"] == "no-store"
    food = np.array([uid.startswith("food-") for uid in space.uids])
    assert np.array_equal(np.unpackbits(np.frombuffer(bits.content, np.uint8), count=len(food)), food)
    assert client.get(f"{base}/shown.bin", params={"f": "{"}).status_code == 400
    asked = {"space": space.key, "f": str(only), "open": '["folder"]'}
    said = client.get("/x/demo/filter.json", params=asked).json()
    assert said["shown"] == int(food.sum())
    assert ["food", "food", said["shown"], said["shown"]] in said["facets"][0]["bars"]
    listed = client.get("/x/demo/selection.csv", params={"f": str(only)}).content.decode("utf-8-sig")
    assert len(listed.splitlines()) == said["shown"] + 1
    codes = np.frombuffer(client.get(f"{base}/colours.bin", params={"by": "column:folder"}).content, np.uint8)
    assert len(set(codes[food])) == 1
    assert len(set(codes)) == rt.dataset("demo").present()["meta:folder"].nunique()
    assert client.get(f"/x/demo/map/{space.key}/999/points.bin").status_code == 404


def test_a_map_tells_where_its_pictures_lie_in_another(rt, client, space, monkeypatch):
    other = rt.space("demo", rt.space_keys("demo")[1].key)
    base, there = f"/x/demo/map/{space.key}/{space.generation}", f"in/{other.key}/{other.generation}.bin"
    rows = np.frombuffer(client.get(f"{base}/{there}").content, "<i4")
    assert [other.uids[row] for row in rows] == space.uids
    monkeypatch.setattr(other, "rows", Places(Names([uid for uid in other.uids if uid != space.uids[5]])))
    assert np.frombuffer(client.get(f"{base}/{there}").content, "<i4")[5] == -1
    assert client.get(f"{base}/in/{other.key}/999.bin").status_code == 404


def test_answers_are_stored_once_and_sort_everything(rt, client, space, question):
    latest = _answer_folders(client, rt, question, 12)
    asked = {"question": question.id, "space": space.key, "after": latest, "class": question.class_ids[0], "n": 40}
    said = client.get("/x/demo/order.json", params=asked).json()
    assert said["ready"]
    assert said["answered"] == 24
    assert said["seq"] == latest
    chances = [item["p"] for item in said["items"]]
    assert chances == sorted(chances, reverse=True)
    right = sum(item["uid"].split("-")[0] in ("animals", "people", "plants") for item in said["items"])
    assert right >= 28, "chance is 14"
    last = client.get("/x/demo/order.json", params={**asked, "offset": said["total"] - 40}).json()["items"]
    assert sum(item["uid"].split("-")[0] in ("animals", "people", "plants") for item in last) < right

    event = _event(question, space.uids[1], "alive")
    first = _post(client, question, [event]).json()
    again = _post(client, question, [event]).json()
    assert first["latest"] == again["latest"]
    assert [each["duplicate"] for each in (first["stored"][0], again["stored"][0])] == [False, True]
    assert rt.answers.current(question.id)[space.uids[1]].content_hash == space.hashes[1]


def test_the_next_pictures_have_no_answer_yet_and_say_why(rt, client, space, question):
    _answer_folders(client, rt, question, 8)
    current = set(rt.answers.current(question.id))
    for policy in ("useful", "borderline", "strange", "random", f"likely:{question.class_ids[1]}"):
        asked = {"question": question.id, "space": space.key, "policy": policy, "n": 12}
        said = client.get("/x/demo/batch.json", params=asked).json()
        assert len({item["uid"] for item in said["items"]} - current) == 12
        assert said["why"].endswith(".")
        assert all(0 < item["probability"] <= 1 for item in said["items"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"uid": "not-there"}, "no picture"),
        ({"uid": 7}, "not a text"),
        ({"value": "perhaps"}, "perhaps"),
        ({"class_id": "foreign"}, "class"),
        ({"probability": "high"}, "not a number"),
        ({"client_event_id": ""}, "client_event_id"),
    ],
)
def test_a_bad_answer_is_told_why_and_nothing_is_stored(rt, client, space, question, change, words):
    good, bad = _event(question, space.uids[0], "alive"), _event(question, space.uids[1], "alive") | change
    answer = _post(client, question, [good, bad])
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert rt.answers.current(question.id) == {}


def test_a_form_on_another_site_cannot_answer(client, rt, space, question):
    body = {"question": question.id, "events": [_event(question, space.uids[0], "alive")]}
    assert client.post("/x/demo/answers", json=body, headers={"origin": HOST}).status_code == 403
    assert _post(client, question, body["events"], origin="http://evil.example").status_code == 403
    assert rt.answers.current(question.id) == {}


def test_what_is_too_large_or_no_json_is_refused(client):
    headers = {"x-explorer": "1", "origin": HOST}
    assert client.post("/x/demo/answers", content=b"{" * 2_100_000, headers=headers).status_code == 400
    assert "not JSON" in client.post("/x/demo/answers", content=b"{", headers=headers).json()["error"]


@pytest.mark.parametrize(
    "path", ["x/nothing/full.jpg?uid=a", "x/..%2f..%2fetc/original?uid=passwd", "x/demo/full.jpg?uid=no"]
)
def test_what_is_not_there_is_not_found(client, path):
    answer = client.get("/" + path)
    assert answer.status_code in (400, 404)
    assert b"root:" not in answer.content


def test_a_selection_leaves_as_a_list_and_as_files(rt, client, space):
    uids = [space.uids[row] for row in (5, 2, 9)]
    sel = selections.save(rt.catalog, "demo", uids, "three pictures")
    assert selections.save(rt.catalog, "demo", uids, "three pictures") == sel
    text = client.get("/x/demo/selection.csv", params={"sel": sel}).content.decode("utf-8-sig")
    assert [row["uid"] for row in csv.DictReader(io.StringIO(text))] == uids
    with zipfile.ZipFile(io.BytesIO(client.get("/x/demo/selection.zip", params={"sel": sel}).content)) as archive:
        assert len(archive.namelist()) == 4
        assert archive.testzip() is None
    assert client.get("/x/demo/selection.csv", params={"sel": "0" * 16}).status_code == 404


def test_answers_leave_with_the_guess_for_every_picture(rt, client, space, question):
    _answer_folders(client, rt, question, 6)
    asked = {"question": question.id, "space": space.key}
    text = client.get("/x/demo/answers.csv", params=asked).content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(rt.dataset("demo").items)
    assert sum(row["answer"] != "" for row in rows) == 12
    assert all(row["guess"] in ("alive", "not alive") for row in rows)
    assert all(abs(float(row["score alive"]) + float(row["score not alive"]) - 1) < 1e-3 for row in rows)


def test_the_map_leaves_as_one_file_without_addresses(client, space):
    page = client.get("/x/demo/map.html", params={"space": space.key, "by": "column:folder"}).text
    assert "scattergl" in page
    assert "<script src=" not in page

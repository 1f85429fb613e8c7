"""Galleries come in pages: every picture once, in one order, and only what the filter lets through."""

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from explorer.web import gate, paging, routes, selections
from explorer.web.filters import Filter
from explorer.web.runtime import Runtime, runtime


@pytest.fixture
def rt(demo_copy, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("EXPLORER_TOKEN", "secret-of-the-test")
    return runtime()


@pytest.fixture
def client(rt: Runtime) -> TestClient:
    app = Starlette(routes=routes.ROUTES, middleware=[Middleware(gate.Gate, visitors=rt.visitors)])
    client = TestClient(app, base_url="http://127.0.0.1:8501")
    client.get("/enter", params={"token": rt.token.secret}, follow_redirects=False)
    return client


@pytest.fixture
def space(rt: Runtime):
    return rt.space("demo", rt.space_keys("demo")[0].key)


def pages(client, space, of, size=300, **more):
    """All uids of a gallery, page after page, and the total that each page tells."""
    found, total = [], None
    while total is None or len(found) < total:
        query = {"space": space.key, "of": of, "offset": len(found), "n": size, **more}
        said = client.get("/x/demo/page.json", params=query).json()
        assert said["offset"] == len(found)
        assert total in (None, said["total"])
        total = said["total"]
        assert 0 < len(said["items"]) <= size
        found += [card["uid"] for card in said["items"]]
    return found


def test_pages_of_a_gallery_follow_each_other_without_gaps(rt, client, space):
    odd = pages(client, space, "odd")
    assert odd == [space.uids[row] for row in space.order]
    first = client.get("/x/demo/page.json", params={"space": space.key, "of": "odd", "n": 3}).json()["items"]
    assert [card["badge"] for card in first] == ["1", "2", "3"]

    labels = space.clusters["kmeans"].to_numpy()
    rows = np.flatnonzero(labels == 1)
    assert pages(client, space, "cluster:kmeans:1", 20) == [
        space.uids[row] for row in selections.nearest_first(space.vectors, rows)
    ]
    only = str(Filter({"folder": ("food",)}))
    inside = pages(client, space, "cluster:kmeans:1", 20, f=only) if (labels == 1).any() else []
    assert set(inside) == {space.uids[row] for row in rows if space.uids[row].startswith("food-")}

    sel = selections.save(rt.catalog, "demo", odd[40:90], "some")
    assert pages(client, space, f"selection:{sel}", 7) == odd[40:90]
    beyond = client.get("/x/demo/page.json", params={"space": space.key, "of": "odd", "offset": 10**6}).json()
    assert beyond["items"] == []


def test_an_order_is_worked_out_once(rt, space, monkeypatch):
    dataset = rt.dataset("demo")
    rows = paging.rows_of(rt, dataset, space, "cluster:kmeans:0")
    monkeypatch.setattr(selections, "nearest_first", None)
    assert paging.rows_of(rt, dataset, space, "cluster:kmeans:0") is rows


def test_a_gallery_that_is_not_there_says_so(client, space):
    for of in ("", "all", "cluster:kmeans", "cluster:none:1", "cluster:kmeans:x"):
        answer = client.get("/x/demo/page.json", params={"space": space.key, "of": of})
        assert answer.status_code == 400, of
        assert "reload the page" in answer.json()["error"]
    stale = client.get("/x/demo/page.json", params={"space": space.key, "of": "odd", "gen": 999})
    assert stale.status_code == 404

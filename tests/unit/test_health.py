"""Alive and ready: open to whoever asks, true to what the server can do, and telling nothing else."""

import threading
import time

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from explorer.web import gate, health
from explorer.web.runtime import Runtime, runtime


@pytest.fixture
def rt(workspace, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setattr(health, "_KEPT_SECONDS", 0)
    return runtime()


@pytest.fixture
def client(rt: Runtime) -> TestClient:
    app = Starlette(routes=health.ROUTES, middleware=[Middleware(gate.Gate, visitors=rt.visitors)])
    return TestClient(app, base_url="http://127.0.0.1:8501")


def test_strangers_are_told_that_it_is_alive_and_ready(client, rt) -> None:
    assert client.get("/healthz").json() == {"alive": True}
    assert client.get("/readyz").json() == {"ready": True}
    assert list(rt.workspace.root.glob(".ready-*")) == []
    assert client.get("/readyz", headers={"host": "evil.example"}).status_code == 421


def test_without_its_catalogue_it_is_alive_but_not_ready(client, rt, monkeypatch) -> None:
    def away(self):
        raise sa.exc.OperationalError("select 1", {}, Exception("postgresql://user:password@host is away"))

    monkeypatch.setattr(type(rt.catalog), "reading", away)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "why": "the catalogue does not answer"})
    assert client.get("/healthz").status_code == 200
    monkeypatch.undo()
    monkeypatch.setattr(health, "_KEPT_SECONDS", 0)
    assert client.get("/readyz").status_code == 200


def test_without_room_on_its_disk_it_is_not_ready(client, monkeypatch) -> None:
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(health.os, "write", full)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["why"]) == (503, "the workspace cannot be written")


def test_a_catalogue_that_hangs_is_looked_at_once_and_ends_in_an_answer(rt, monkeypatch) -> None:
    monkeypatch.setattr(health, "WAIT_SECONDS", 0.2)
    hanging, looked = threading.Event(), []

    def hang(_):
        looked.append(1)
        hanging.wait(10)
        return ""

    monkeypatch.setattr(health, "_catalogue", hang)
    readiness = health.Readiness(rt)
    assert "does not answer" in readiness.trouble()
    assert "does not answer" in readiness.trouble()
    assert len(looked) == 1
    hanging.set()
    end = time.monotonic() + 5
    while readiness.trouble() and time.monotonic() < end:
        time.sleep(0.01)
    assert readiness.trouble() == ""

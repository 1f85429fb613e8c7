"""Two small collections behind the real app, in this process, and a browser for each role: what `doors` asks."""

import itertools
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.running import ROOT

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.testclient import TestClient

    from explorer.web.runtime import Runtime

HOST = "http://127.0.0.1:8501"
Held = tuple[tuple[str, str, str], ...]
ROLES: dict[str, Held] = {
    "nobody": (),
    "look": (("look", "first", ""),),
    "label": (("label", "first", ""),),
    "edit": (("edit", "first", ""),),
    "own": (("own", "first", ""),),
    "label one question": (("label", "first", "alive"),),
    "look at one question": (("look", "first", "alive"),),
    "one question and another collection": (("label", "first", "alive"), ("look", "second", "")),
    "look at another collection": (("look", "second", ""),),
    "own everything": (("own", "", ""),),
    "paused": (),
    "revoked": (),
    "ended": (),
    "given back": (),
    "this launch": (("own", "", ""),),
}
"""What each role holds: role, collection, question. The last but one hold nothing any more."""


@dataclass
class World:
    """Two small collections with questions, behind the real app, and a browser for each role."""

    rt: "Runtime"
    client: "TestClient"
    routes: list["BaseRoute"]
    cookies: dict[str, dict[str, str]]
    questions: dict[str, tuple[str, str]]
    """Name to collection and id."""
    values: dict[str, dict[str, str]]
    """Of each collection, what stands in its paths and queries."""
    place: Path


@contextmanager
def world() -> Iterator[World]:
    """The app in this process, on a workspace of its own, served without the network."""
    import streamlit as st
    from starlette.testclient import TestClient

    from explorer.web import server
    from explorer.web.gate import Gate
    from explorer.web.limits import Limits
    from explorer.web.runtime import runtime

    with tempfile.TemporaryDirectory(prefix="explorer-doors-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        kept = {
            name: os.environ.get(name) for name in ("EXPLORER_WORKSPACE", "EXPLORER_TOKEN", "EXPLORER_DATABASE_URL")
        }
        os.environ.update(EXPLORER_WORKSPACE=str(place / "workspace"), EXPLORER_TOKEN=secrets.token_urlsafe(32))
        os.environ.pop("EXPLORER_DATABASE_URL", None)
        runtime.cache_clear()
        warm, server._warm = server._warm, lambda _: None
        try:
            with redirect_stdout(sys.stderr):
                _collections(place)
            around = server.around()
            # an hour between any two requests: how many somebody may ask is another test's matter
            door = next(each for each in around["middleware"] if each.cls is Gate)
            door.kwargs["limits"] = Limits(itertools.count(0.0, 3600.0).__next__)
            app = st.App(str(ROOT / "app.py"), **around)
            with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
                assert app._starlette_app is not None
                rt = runtime()
                questions = _questions(rt)
                values = {each: _values(rt, each) for each in ("first", "second")}
                cookies = {role: _cookies(rt, role, held, questions) for role, held in ROLES.items()}
                yield World(rt, client, list(app._starlette_app.routes), cookies, questions, values, place)
        finally:
            server._warm = warm
            runtime().catalog.close()
            runtime.cache_clear()
            for name, value in kept.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _collections(place: Path) -> None:
    """Two folders of plain pictures, looked at by colour."""
    import numpy as np
    from PIL import Image

    from explorer.cli import main

    rng = np.random.default_rng(5)
    for name in ("first", "second"):
        folder = place / name
        folder.mkdir()
        for number in range(24):
            pixels = np.clip(rng.integers(0, 255, 3) + rng.integers(-20, 20, (48, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:02d}.png")
        assert main(["add", str(folder), "--extractors", "colour"]) == 0


def _questions(rt: "Runtime") -> dict[str, tuple[str, str]]:
    asked = (("alive", "first"), ("bright", "first"), ("elsewhere", "second"))
    return {name: (dataset, rt.questions.create(dataset, name, ["yes", "no"]).id) for name, dataset in asked}


def _values(rt: "Runtime", dataset: str) -> dict[str, str]:
    space = rt.space(dataset, rt.space_keys(dataset)[0].key)
    names = {"space": space.key, "gen": str(space.generation), "other": space.key, "other_gen": str(space.generation)}
    return {"dataset": dataset, "hash": space.hashes[0], "uid": space.uids[0], "rest": "nothing", **names}


def _cookies(rt: "Runtime", role: str, held: Held, questions: dict[str, tuple[str, str]]) -> dict[str, str]:
    """What the browser of a role brings."""
    from explorer.sharing.access import Scope
    from explorer.web.visitors import browser_cookie, cookie_name

    if role == "this launch":
        return {cookie_name(8501): rt.token.cookie_value()}
    browser = ""
    for action, dataset, question in held:
        _, secret = rt.links.create(action, Scope(dataset, questions[question][1] if question else ""))
        browser, _ = rt.links.redeem(secret, browser)
    if role in ("paused", "revoked", "given back", "ended"):
        link, secret = rt.links.create("own", Scope())
        browser, _ = rt.links.redeem(secret)
        person = rt.links.visitor(browser)
        assert person is not None
        if role == "paused":
            rt.links.pause(link.id)
        elif role == "revoked":
            rt.links.revoke(link.id)
        elif role == "given back":
            rt.links.give_back(browser, person.grants[0].id)
        else:
            end(rt, link.id)
    return {browser_cookie(8501): browser} if browser else {}


def end(rt: "Runtime", link_id: str) -> None:
    """As if its last day had passed."""
    from explorer.catalog import schema

    with rt.catalog.writing() as connection:
        connection.execute(schema.links.update().where(schema.links.c.id == link_id).values(ends=1.0))
    rt.links.pause(link_id, False)  # what is remembered of its visitors is forgotten, as it is within a second

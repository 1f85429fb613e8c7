"""Many changes at once, in any order, with keys and without: what is the same item and what is not."""

import itertools
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer.collection import dataset as dataset_module
from explorer.collection.dataset import Dataset, ScanReport
from explorer.collection.hashing import content_hash
from explorer.collection.sources import Entry, Source, open_source
from explorer.workspace import Workspace
from tests.unit.test_dataset import made, state, table, write


class Shuffled:
    """A source that lists in another order each time, as file systems may."""

    def __init__(self, source: Source, seed: int) -> None:
        self._source, self._random = source, random.Random(seed)
        self.spec, self.keyed, self.ignored = source.spec, source.keyed, 0

    def entries(self) -> Iterator[Entry]:
        entries = list(self._source.entries())
        self._random.shuffle(entries)
        return iter(entries)

    def read(self, path: str) -> bytes:
        return self._source.read(path)


@pytest.fixture
def _shuffled(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = itertools.count()
    monkeypatch.setattr(dataset_module, "open_source", lambda spec: Shuffled(open_source(spec), next(seeds)))


@pytest.mark.usefixtures("_shuffled")
@pytest.mark.parametrize("seed", range(12))
def test_answers_stay_on_their_picture_whatever_happens(tmp_path: Path, place: Path, seed: int) -> None:
    """Add, remove, rename, swap, edit, copy and bring back, several at once, over generations. An answer is given on
    a uid when it shows a certain content; later that uid shows this content or a version edited in place, never
    another picture's."""
    rng = random.Random(seed)
    fresh = (f"content {seed} {number}".encode() for number in itertools.count())
    world = {f"{rng.choice('xyz')}/{number}.png": next(fresh) for number in range(12)}
    trash: list[bytes] = []
    dataset = made(tmp_path, place)
    answers: dict[str, str] = {}
    edited: set[str] = set()
    ever: set[str] = set()

    for generation in range(10):
        before = state(dataset)
        uid_at = {path: uid for uid, (path, _, status) in before.items() if status == "ok"}
        old_world = dict(world)
        for _ in range(rng.randint(0, 7)):
            action = rng.choice(["add", "remove", "rename", "swap", "edit", "copy", "return", "reuse"])
            one, two = rng.choice(sorted(world)), rng.choice(sorted(world))
            new_path = f"{rng.choice('xyz')}/{rng.randint(0, 40)}.png"
            if action in ("add", "copy", "return", "rename") and new_path in world:
                continue
            if action == "add":
                world[new_path] = next(fresh)
            elif action == "remove" and len(world) > 3:
                trash.append(world.pop(one))
            elif action == "rename":
                world[new_path] = world.pop(one)
            elif action == "swap":
                world[one], world[two] = world[two], world[one]
            elif action == "edit":
                world[one] = next(fresh)
            elif action == "copy":
                world[new_path] = world[one]
            elif action == "return" and trash:
                world[new_path] = rng.choice(trash)
            elif action == "reuse" and new_path not in world:  # a new picture where another one moved away
                world[new_path], world[one] = world[one], next(fresh)
        shutil.rmtree(place)
        write(place, world)
        dataset.rescan()
        if rng.random() < 0.5:
            dataset = Dataset.open(Workspace(tmp_path / "ws"), dataset.id)
        now = state(dataset)

        assert len(dataset.items["uid"]) == len(set(dataset.items["uid"]))
        assert set(before) <= set(now)
        assert dataset.items["uid"].tolist()[: len(before)] == list(before)
        here = {path: content for path, content, status in now.values() if status == "ok"}
        assert here == {path: content_hash(content) for path, content in world.items()}
        for path, content in world.items():
            if old_world.get(path) == content and generation:
                assert now[uid_at[path]][0] == path  # what was not touched did not change its name
        in_world = {content_hash(content) for content in world.values()}
        for uid, (path, content, _) in before.items():
            if now[uid][1] != content:
                # an edit: in place, and only of an item whose content is nowhere or has enough holders
                assert now[uid][0] == path
                assert before[uid][2] == "ok"
                holders = sum(each[1] == content and each[2] == "ok" for each in now.values())
                assert holders == sum(content_hash(each) == content for each in world.values())
                edited.add(uid)
            elif content in in_world and sum(each[1] == content for each in before.values()) == 1:
                assert now[uid][2] == "ok"  # its content is there, so it is
        for uid, content in answers.items():
            if uid not in edited:
                assert now[uid][1] == content
        for uid, (_, content, status) in now.items():
            if status == "ok" and uid not in answers and rng.random() < 0.3:
                answers[uid] = content
                edited.discard(uid)
        assert not (ever - set(now))
        ever |= set(now)
    assert len(answers) > 10


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_listing_plays_no_part(
    tmp_path: Path, place: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds = []
    rng = random.Random(seed)
    for _ in range(4):
        worlds.append({f"{rng.randint(0, 15)}.png": bytes([rng.randint(0, 6)]) for _ in range(12)})
    results = []
    for order in range(3):
        monkeypatch.setattr(dataset_module, "open_source", lambda spec, order=order: Shuffled(open_source(spec), order))
        dataset = Dataset.create(Workspace(tmp_path / str(order)), "P", {"kind": "folder", "path": str(place)})
        for world in worlds:
            shutil.rmtree(place)
            write(place, world)
            dataset.rescan()
        results.append(state(dataset))
    assert results[0] == results[1] == results[2]
    assert list(results[0]) == list(results[1]) == list(results[2])


@pytest.mark.usefixtures("_shuffled")
def test_with_keys_the_key_decides(tmp_path: Path, place: Path) -> None:
    write(place, {"a.png": b"A", "b.png": b"B", "c.png": b"C"})
    dataset = Dataset.create(Workspace(tmp_path / "ws"), "K", table(place, [("1", "a.png", "x"), ("2", "b.png", "y")]))
    assert dataset.rescan() == ScanReport(added=2)
    assert set(state(dataset)) == {"1", "2"}
    # the files change places: with keys that means that both pictures were replaced
    table(place, [("2", "a.png", "y"), ("3", "c.png", "z"), ("1", "b.png", "x")])
    report = dataset.rescan()
    assert (report.added, report.edited, report.removed) == (1, 2, 0)
    assert state(dataset)["1"] == ("b.png", content_hash(b"B"), "ok")
    os.rename(place / "b.png", place / "renamed.png")
    table(place, [("1", "renamed.png", "x2"), ("3", "c.png", "z")])
    assert dataset.rescan() == ScanReport(removed=1, renamed=1, unchanged=1)
    assert dataset.item("1")["meta:kind"] == "x2"
    table(place, [("2", "a.png", "y")])
    assert dataset.rescan() == ScanReport(removed=2, returned=1)


@pytest.mark.usefixtures("_shuffled")
def test_a_repeated_key_is_a_problem_and_takes_nothing_away(tmp_path: Path, place: Path) -> None:
    write(place, {"a.png": b"A", "b.png": b"B", "c.png": b"C"})
    dataset = Dataset.create(Workspace(tmp_path / "ws"), "K", table(place, [("1", "b.png", "")]))
    dataset.rescan()
    table(place, [("1", "a.png", ""), ("1", "b.png", ""), ("1", "c.png", ""), ("", "c.png", "")])
    for _ in range(3):
        report = dataset.rescan()
        assert report.problems == 3
        assert set(state(dataset)) == {"1", "1~2", "1~3", "c.png"}
        assert state(dataset)["1"] == ("b.png", content_hash(b"B"), "ok")
        assert "keys must differ" in dataset.item("1~2")["problem"]
    assert dataset.generation == 2


def test_one_file_in_several_rows(tmp_path: Path, place: Path) -> None:
    write(place, {"a.png": b"A", "b.png": b"B"})
    spec = {**table(place, [("", "a.png", "left"), ("", "a.png", "right"), ("", "b.png", "x")]), "key_column": None}
    dataset = Dataset.create(Workspace(tmp_path / "ws"), "K", spec)
    dataset.rescan()
    kinds = dict(zip(dataset.items["uid"], dataset.items["meta:kind"], strict=True))
    assert kinds == {"a.png": "left", "a.png~2": "right", "b.png": "x"}
    table(place, [("", "b.png", "x"), ("", "a.png", "right")])
    assert dataset.rescan() == ScanReport(removed=1, unchanged=2)
    assert state(dataset)["a.png"][2] == "gone"
    assert dataset.item("a.png~2")["meta:kind"] == "right"

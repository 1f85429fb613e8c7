"""Items keep their names: whatever happens to the files, every answer stays on the picture it was given to."""

import itertools
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explorer.collection import dataset as dataset_module
from explorer.collection.dataset import Dataset, ScanReport
from explorer.collection.hashing import content_hash
from explorer.collection.pictures import Picture
from explorer.collection.sources import Entry, OutOfReach, Source, open_source
from explorer.errors import BadInput, Busy, Cancelled, NotFound
from explorer.extractors.base import FeatureSpec
from explorer.workspace import Workspace


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def made(tmp_path: Path, place: Path, name: str = "Photos") -> Dataset:
    return Dataset.create(Workspace(tmp_path / "ws"), name, {"kind": "folder", "path": str(place)})


def write(place: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)


def state(dataset: Dataset) -> dict[str, tuple[str, str, str]]:
    items = dataset.items
    return {row.uid: (row.path, row.content_hash, row.status) for row in items.itertuples()}


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


# one step at a time


def test_rename_swap_edit_remove_and_return(tmp_path: Path, place: Path) -> None:
    write(place, {"a.png": b"A", "b.png": b"B", "c.png": b"C", "d.png": b"D", "e/e.png": b"E"})
    dataset = made(tmp_path, place)
    assert dataset.rescan() == ScanReport(added=5)
    assert set(dataset.items["uid"]) == {"a.png", "b.png", "c.png", "d.png", "e/e.png"}
    os.rename(place / "a.png", place / "moved.png")
    write(place, {"b.png": b"C", "c.png": b"B", "d.png": b"D2"})  # b and c swapped, d edited
    shutil.rmtree(place / "e")
    assert dataset.rescan() == ScanReport(removed=1, renamed=3, edited=1)
    assert state(dataset) == {
        "a.png": ("moved.png", content_hash(b"A"), "ok"),
        "b.png": ("c.png", content_hash(b"B"), "ok"),
        "c.png": ("b.png", content_hash(b"C"), "ok"),
        "d.png": ("d.png", content_hash(b"D2"), "ok"),
        "e/e.png": ("e/e.png", content_hash(b"E"), "gone"),
    }
    write(place, {"a.png": b"new", "back.png": b"E"})
    assert dataset.rescan() == ScanReport(added=1, returned=1, renamed=1, unchanged=4)
    assert state(dataset)["a.png~2"] == ("a.png", content_hash(b"new"), "ok")
    assert state(dataset)["e/e.png"] == ("back.png", content_hash(b"E"), "ok")
    assert dataset.items["uid"].tolist() == ["a.png", "b.png", "c.png", "d.png", "e/e.png", "a.png~2"]  # in place


def test_another_picture_under_the_name_of_a_removed_one_is_another_item(tmp_path: Path, place: Path) -> None:
    write(place, {"a.png": b"A", "z.png": b"Z"})
    dataset = made(tmp_path, place)
    dataset.rescan()
    (place / "a.png").unlink()
    dataset.rescan()
    write(place, {"a.png": b"something else"})
    assert dataset.rescan() == ScanReport(added=1, unchanged=1)
    assert state(dataset)["a.png"] == ("a.png", content_hash(b"A"), "gone")
    assert state(dataset)["a.png~2"][2] == "ok"


def test_nothing_changed_writes_nothing(tmp_path: Path, place: Path) -> None:
    write(place, {"a.png": b"A", "b.png": b""})
    dataset = made(tmp_path, place)
    dataset.rescan()
    files = {path: path.stat().st_mtime_ns for path in (dataset.root / "items").iterdir()}
    assert dataset.rescan() == ScanReport(unchanged=2)
    assert dataset.generation == 1
    assert files == {path: path.stat().st_mtime_ns for path in (dataset.root / "items").iterdir()}


def test_only_new_and_changed_files_are_read(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place, {f"{number}.png": bytes([number]) for number in range(20)})
    for path in place.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    read: list[str] = []
    real = dataset_module.open_source

    def counting(spec: dict) -> Source:
        source = real(spec)
        plain = source.read
        source.read = lambda path: (read.append(path), plain(path))[1]  # type: ignore[method-assign]
        return source

    monkeypatch.setattr(dataset_module, "open_source", counting)
    dataset = made(tmp_path, place)
    dataset.rescan()
    assert len(read) == 20
    read.clear()
    write(place, {"3.png": b"\xff", "new.png": b"new"})  # the same size, another time
    assert dataset.rescan() == ScanReport(added=1, edited=1, unchanged=19)
    assert sorted(read) == ["3.png", "new.png"]
    # a file changed twice within the time that the file system can tell apart is read again
    read.clear()
    write(place, {"3.png": b"\xfe"})
    os.utime(place / "3.png", ns=(dataset._manifest["scanned_ns"],) * 2)
    write(place, {})
    dataset.rescan()
    assert "3.png" in read


def test_a_killed_scan_does_not_read_everything_again(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place, {f"{number}.png": bytes([number]) for number in range(200)})
    for path in place.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    dataset = made(tmp_path, place)
    calls = itertools.count()
    with pytest.raises(Cancelled):
        dataset.rescan(cancelled=lambda: next(calls) > 120)
    assert dataset.generation == 0
    with open(dataset.root / "items" / "scan.jsonl", "a") as journal:
        journal.write('["7.png", 1, 10')  # a kill cuts lines anywhere
    read = []
    real = open_source

    def counting(spec: dict) -> Source:
        source = real(spec)
        plain = source.read
        source.read = lambda path: (read.append(path), plain(path))[1]  # type: ignore[method-assign]
        return source

    monkeypatch.setattr(dataset_module, "open_source", counting)
    assert dataset.rescan().added == 200
    assert 50 < len(read) < 100
    assert set(dataset.items["content_hash"]) == {content_hash(bytes([number])) for number in range(200)}
    assert not (dataset.root / "items" / "scan.jsonl").exists()


# many steps in any order


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


# keys


def table(place: Path, rows: list[tuple], columns: tuple = ("id", "image", "kind")) -> dict:
    pd.DataFrame(rows, columns=list(columns)).to_csv(place / "t.csv", index=False)
    return {"kind": "table", "path": str(place / "t.csv"), "image_column": "image", "key_column": "id"}


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


# problems


def test_what_cannot_be_read_is_a_row_with_a_reason(tmp_path: Path, place: Path) -> None:
    write(place, {"a.png": b"A"})
    (place / "loop").symlink_to(place)
    (place / "gone.png").symlink_to("nowhere.png")
    dataset = made(tmp_path, place)
    report = dataset.rescan()
    assert (report.added, report.problems) == (3, 2)
    assert dataset.present()["uid"].tolist() == ["a.png"]
    problems = dataset.items.set_index("uid")["problem"]
    assert "lies in" in problems["loop"]
    assert "nothing" in problems["gone.png"]
    assert dataset.rescan() == ScanReport(unchanged=3, problems=2)
    (place / "gone.png").unlink()
    write(place, {"gone.png": b"here now"})
    assert dataset.rescan() == ScanReport(unchanged=2, edited=1, problems=1)


def test_a_file_that_vanishes_during_the_scan(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place, {"a.png": b"A", "b.png": b"B"})
    dataset = made(tmp_path, place)
    dataset.rescan()
    real = dataset_module.open_source

    def flaky(spec: dict) -> Source:
        source = real(spec)
        plain = source.read

        def read(path: str) -> bytes:
            if path == "a.png":
                raise OutOfReach("it is not there (any more)")
            return plain(path)

        source.read = read  # type: ignore[method-assign]
        return source

    with monkeypatch.context() as patched:
        patched.setattr(dataset_module, "open_source", flaky)
        assert dataset.rescan().problems == 1
    assert dataset.item("a.png")["problem"] == "it is not there (any more)"
    assert dataset.item("a.png")["content_hash"] == content_hash(b"A")  # still known by what it was
    os.rename(place / "a.png", place / "elsewhere.png")
    dataset.rescan()
    assert dataset.item("a.png")["path"] == "elsewhere.png"
    assert dataset.item("a.png")["status"] == "ok"


def test_what_decoding_found_reaches_the_items_by_content(tmp_path: Path, place: Path) -> None:
    write(place, {"a.png": b"A", "b.png": b"B", "copy.png": b"B"})
    dataset = made(tmp_path, place)
    dataset.rescan()
    dataset.pictures.add_many(
        [Picture(content_hash(b"A"), 640, 480, b"jpeg"), Picture(content_hash(b"B"), problem="it is text")]
    )
    dataset.record_problems({}, {})
    assert dataset.generation == 2
    assert dataset.item("a.png")["width"] == 640
    assert dataset.present()["uid"].tolist() == ["a.png"]
    assert dataset.item("copy.png")["problem"] == "it is text"
    write(place, {"third.png": b"B", "a2.png": b"A"})  # known already, before anything looks at them
    assert dataset.rescan().problems == 3
    assert dataset.item("a2.png")["height"] == 480
    dataset.record_problems({"a.png": "it vanished"})
    assert dataset.item("a.png")["problem"] == "it vanished"
    assert dataset.rescan().problems == 3  # tried again
    assert dataset.item("a.png")["status"] == "ok"
    write(place, {"b.png": b"mended"})
    dataset.rescan()
    assert dataset.item("b.png")["status"] == "ok"
    assert dataset.item("b.png")["problem"] == ""


# the rest


def test_columns_keep_their_kinds_through_files(tmp_path: Path, place: Path) -> None:
    write(place, {f"{name}.png": name.encode() for name in "abc"})
    rows = [("1", "a.png", "", 1, 1.5, "x"), ("2", "b.png", "", 2, None, None), ("3", "c.png", "", 3, 2.5, "z")]
    dataset = Dataset.create(
        Workspace(tmp_path / "ws"), "T", table(place, rows, ("id", "image", "none", "n", "x", "word"))
    )
    dataset.rescan()
    for each in (dataset, Dataset.open(Workspace(tmp_path / "ws"), dataset.id)):
        items = each.items
        assert each.columns() == ["none", "n", "x", "word"]
        kinds = {name: str(kind) for name, kind in items.dtypes.items()}
        assert kinds == {"uid": "str", "path": "str", "content_hash": "str", "size": "int64", "mtime_ns": "int64",
                         "width": "int32", "height": "int32", "status": "str", "problem": "str", "caption": "str",
                         "meta:none": "str", "meta:n": "int64", "meta:x": "float64", "meta:word": "str"}  # fmt: skip
        assert items["meta:none"].isna().all()
        assert items["meta:word"].isna().tolist() == [False, True, False]
        assert isinstance(items.index, pd.RangeIndex)
        assert each.item("2") | {"mtime_ns": 0} == {
            "uid": "2", "path": "b.png", "content_hash": content_hash(b"b"), "size": 1, "mtime_ns": 0, "width": 0,
            "height": 0, "status": "ok", "problem": "", "caption": "b", "meta:none": None, "meta:n": 2, "meta:x": None,
            "meta:word": None}  # fmt: skip
    items["uid"] = "changed"
    items.loc[0, "path"] = "changed"
    assert dataset.items["uid"].tolist() == ["1", "2", "3"]
    assert dataset.items["path"].tolist() == ["a.png", "b.png", "c.png"]


def test_an_empty_folder_is_a_dataset_too(tmp_path: Path, place: Path) -> None:
    dataset = made(tmp_path, place)
    assert len(dataset.items) == 0
    assert dataset.rescan() == ScanReport()
    assert len(Dataset.open(Workspace(tmp_path / "ws"), dataset.id).present()) == 0
    write(place, {"a.png": b"A"})
    assert dataset.rescan() == ScanReport(added=1)
    (place / "a.png").unlink()
    assert dataset.rescan() == ScanReport(removed=1)


def test_names_ids_and_what_is_missing(tmp_path: Path, place: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    spec = {"kind": "folder", "path": str(place)}
    assert [Dataset.create(workspace, name, spec).id for name in ("Café  Photos!", "cafe photos", "猫", "models")] == [
        "cafe-photos", "cafe-photos-2", "dataset", "models-1"]  # fmt: skip
    assert Dataset.open(workspace, "cafe-photos").name == "Café Photos!"
    assert workspace.dataset_ids() == ["cafe-photos", "cafe-photos-2", "dataset", "models-1"]
    for arguments in ((" ", spec), ("x", {"kind": "folder", "path": "relative"}), ("x", {"kind": "what"})):
        with pytest.raises(BadInput):
            Dataset.create(workspace, *arguments)
    with pytest.raises(BadInput, match="already"):
        Dataset.create(workspace, "again", spec, dataset_id="dataset")
    for missing in ("nothing", "../x", ""):
        with pytest.raises(NotFound, match="there are: cafe-photos"):
            Dataset.open(workspace, missing)
    dataset = Dataset.open(workspace, "dataset")
    with pytest.raises(NotFound, match=r"no\.png"):
        dataset.item("no.png")
    for key in ("lite0-123", "../x"):
        with pytest.raises(NotFound):
            dataset.features(key)
    shutil.rmtree(place)
    with pytest.raises(NotFound, match="not there"):
        dataset.rescan()
    assert Dataset.open(workspace, "dataset").generation == 0


def test_one_writer_at_a_time(tmp_path: Path, place: Path) -> None:
    write(place, {"a.png": b"A"})
    dataset = made(tmp_path, place)
    other = Dataset.open(Workspace(tmp_path / "ws"), dataset.id)
    with dataset.writing(), pytest.raises(Busy, match="Photos is being worked on"):
        other.rescan()
    assert other.rescan().added == 1
    assert dataset.generation == 0
    assert dataset.refresh()
    assert not dataset.refresh()
    assert dataset.items["uid"].tolist() == ["a.png"]


def test_old_generations_go_and_features_are_listed(tmp_path: Path, place: Path) -> None:
    dataset = made(tmp_path, place)
    for number in range(6):
        write(place, {f"{number}.png": bytes([number])})
        dataset.rescan()
    assert sorted(path.name for path in (dataset.root / "items").iterdir()) == [f"{n:06d}.parquet" for n in (4, 5, 6)]
    spec = FeatureSpec("test", "none", "all", "none", "numpy", "f32", 4)
    assert dataset.feature_specs() == []
    with dataset.features(spec).writer() as writer:
        writer.append(content_hash(b"\0"), np.ones(4, np.float32))
    assert dataset.feature_specs() == [spec]
    assert len(dataset.features(spec.key)) == 1


def test_the_scan_tells_how_far_it_is(tmp_path: Path, place: Path) -> None:
    write(place, {f"{number}.png": bytes([number]) for number in range(30)})
    heard = []
    made(tmp_path, place).rescan(heard.append)
    assert (heard[0].done, heard[0].total) == (0, 30)
    assert (heard[-1].done, heard[-1].total) == (30, 30)

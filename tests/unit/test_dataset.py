"""Items keep their names: whatever happens to the files, every answer stays on the picture it was given to."""

import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explorer.collection import dataset as dataset_module
from explorer.collection.dataset import Dataset, ScanReport
from explorer.collection.hashing import content_hash
from explorer.collection.pictures import Picture
from explorer.collection.sources import OutOfReach, Source, open_source
from explorer.errors import BadInput, Busy, Cancelled, NotFound
from explorer.extractors.base import FeatureSpec
from explorer.workspace import Workspace


def made(tmp_path: Path, place: Path, name: str = "Photos") -> Dataset:
    return Dataset.create(Workspace(tmp_path / "ws"), name, {"kind": "folder", "path": str(place)})


def write(place: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)


def table(place: Path, rows: list[tuple], columns: tuple = ("id", "image", "kind")) -> dict:
    pd.DataFrame(rows, columns=list(columns)).to_csv(place / "t.csv", index=False)
    return {"kind": "table", "path": str(place / "t.csv"), "image_column": "image", "key_column": "id"}


def state(dataset: Dataset) -> dict[str, tuple[str, str, str]]:
    items = dataset.items
    return {row.uid: (row.path, row.content_hash, row.status) for row in items.itertuples()}


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

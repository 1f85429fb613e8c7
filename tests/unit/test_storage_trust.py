"""What a replica does not believe: a storage that names other files, lies about them, or says where originals lie."""

import json
from pathlib import Path
from typing import Any

import pytest

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, ExplorerError, Refused
from explorer.storage.listing import digest, rank
from explorer.workspace import Workspace
from tests.unit.storage_case import Replica


@pytest.mark.parametrize(
    "path",
    ["../../x", "/etc/x", "features/../../../x.npy", "spaces/a/g000001/../../../../x.npy", ".writing", "jobs/x.log",
     "spaces/a/g000001/.x.npy", "thumbs/pictures.db-wal", "features/a/b/c.npy", "items\\x.parquet",
     "items/000001.parquet\n"],
)  # fmt: skip
def test_a_listing_names_only_files_of_a_collection(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rank(path) is None
    content = b"out"
    block = digest(content)
    there = Replica(tmp_path / "replica", f"file://{tmp_path}/store", monkeypatch)
    for file in ({"path": path, "size": 3, "blocks": [block]}, {"path": path, "like": "dataset.json"}):
        _forged(tmp_path / "store", [{"path": "dataset.json", "size": 3, "blocks": [block]}, file], {block: content})
        before = sorted(each for each in tmp_path.rglob("*") if "store" not in each.parts)
        [error] = there.fetch().failed.values()
        assert isinstance(error, BadInput)
        assert sorted(each for each in tmp_path.rglob("*") if "store" not in each.parts) == before


def _forged(store: Path, files: list[Any], blocks: dict[str, bytes], block: Any = 16, **more: Any) -> None:
    said = {"format": 1, "dataset": "demo", "created": "x", "block": block, "files": files, **more}
    content = json.dumps(said).encode()
    (store / "demo" / "listings").mkdir(parents=True, exist_ok=True)
    (store / "demo" / "blocks").mkdir(exist_ok=True)
    (store / "storage.json").write_text("{}")
    (store / "demo" / "listings" / f"{digest(content)}.json").write_bytes(content)
    (store / "demo" / "current.json").write_text(json.dumps({"listing": digest(content), "before": []}))
    for name, each in blocks.items():
        (store / "demo" / "blocks" / name).write_bytes(each)


def test_what_the_storage_says_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links in the folder, sizes, names of blocks, another collection's words: nothing is written outside."""
    store, outside = tmp_path / "store", tmp_path / "outside"
    outside.mkdir()
    there = Replica(tmp_path / "replica", f"file://{store}", monkeypatch)
    manifest = json.dumps({"id": "demo", "generation": 0}).encode()
    item = b"x" * 20
    names = {digest(item[:16]): item[:16], digest(item[16:]): item[16:]}
    names |= {digest(part): part for part in (manifest[:16], manifest[16:32], manifest[32:])}
    own = {"path": "dataset.json", "size": len(manifest),
           "blocks": [digest(manifest[start : start + 16]) for start in range(0, len(manifest), 16)]}  # fmt: skip
    good = {"path": "features/a/x.npy", "size": 20, "blocks": [digest(item[:16]), digest(item[16:])]}
    bad = (
        [own, good, good],
        [own, {**good, "size": 15}],
        [own, {**good, "size": -1, "blocks": []}],
        [own, {**good, "size": True}],
        [own, {**good, "blocks": ["../../../etc/passwd", digest(item[16:])]}],
        [own, {"path": "features/a/y.npy", "like": "features/a/x.npy"}, good],
        [good],
        [own, "features/a/x.npy"],
        {"path": "dataset.json"},
    )
    for files in bad:
        _forged(store, files, names)
        [error] = there.fetch().failed.values()
        assert isinstance(error, BadInput), files
    for more in ({"block": 0}, {"block": 2**40}, {"dataset": "other"}, {"format": 2}):
        _forged(store, [own, good], names, **more)
        assert isinstance(there.fetch().failed["demo"], BadInput), more
    (store / "demo" / "current.json").write_text(json.dumps({"listing": "../../outside/x", "before": []}))
    assert "demo" in there.fetch().failed

    _forged(store, [own, good], names)
    (there.workspace.root / "demo").mkdir(exist_ok=True)
    (there.workspace.root / "demo" / "features").symlink_to(outside)
    assert isinstance(there.fetch().failed["demo"], Refused)
    assert list(outside.iterdir()) == []
    (there.workspace.root / "demo" / "features").unlink()
    (there.workspace.root / "demo" / "features" / "a").mkdir(parents=True)
    (outside / "kept.npy").write_bytes(b"kept")
    (there.workspace.root / "demo" / "features" / "a" / "x.npy").symlink_to(outside / "kept.npy")
    assert not there.fetch().failed
    assert (outside / "kept.npy").read_bytes() == b"kept"
    assert (there.workspace.root / "demo" / "features" / "a" / "x.npy").read_bytes() == item

    wrong = json.dumps({"id": "../../../x", "generation": 0}).encode()
    blocks = {digest(wrong[start : start + 16]): wrong[start : start + 16] for start in range(0, len(wrong), 16)}
    _forged(store, [{**own, "size": len(wrong), "blocks": list(blocks)}], blocks)
    assert isinstance(there.fetch().failed["demo"], BadInput)
    for strange in ("..", "models", "A b"):
        (store / strange).mkdir(exist_ok=True)
    assert set(there.fetch().failed) == {"demo"}


def test_originals_are_read_only_where_this_machine_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The storage says where the pictures lie; it must not open other files of a replica by that."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(b"a picture")
    source = {"kind": "folder", "path": str(tmp_path / "pictures"), "classes": None}
    dataset = Dataset.create(Workspace(tmp_path / "workspace"), "Photos", source)
    monkeypatch.setenv("EXPLORER_REPLICA", "1")
    monkeypatch.setenv("EXPLORER_ROOTS", str(tmp_path / "elsewhere"))
    with pytest.raises(ExplorerError, match="EXPLORER_ROOTS"):
        dataset.source.read("a.jpg")
    monkeypatch.setenv("EXPLORER_ROOTS", str(tmp_path / "pictures"))
    assert dataset.source.read("a.jpg") == b"a picture"

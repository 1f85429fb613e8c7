"""Collections on a storage: what is built arrives elsewhere byte for byte, only what is new travels, nothing else is
written, and whoever shows them changes none."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.growing import grow
from explorer import jobs, processing
from explorer.catalog import Catalog
from explorer.collection.dataset import Dataset
from explorer.collection.pictures import Picture
from explorer.durable import read_json
from explorer.errors import BadInput, Missing, NotFound, Refused, Unavailable
from explorer.jobs import Jobs
from explorer.space.build import build_space
from explorer.space.joined import VECTORS
from explorer.space.space import list_spaces, open_space
from explorer.storage import Fetched, Follower, Remote, fetch, listing, publish, publish_after, withdraw
from explorer.storage.listing import Listing
from explorer.workspace import Workspace
from tests.unit.storage_case import BLOCK, Built, D, N, Replica, build, ftp_server, same_files, small_blocks


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that the files of a small collection have many, and growth as of a large one."""
    small_blocks(monkeypatch)


@pytest.fixture(params=["file", "ftp"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    if request.param == "file":
        yield f"file://{tmp_path}/served/store"
        return
    with ftp_server(tmp_path / "served") as url:
        yield url


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return build(tmp_path / "builder")


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda url, name="replica": Replica(tmp_path / name, url, monkeypatch)


def test_what_is_built_arrives_and_only_growth_travels(built: Built, store: str, other: Any) -> None:
    workspace, dataset, recipe, more = built
    first = publish(workspace, dataset.id, Remote(store))
    assert 0.9 * first.bytes < first.sent_bytes <= first.bytes
    assert not publish(workspace, dataset.id, Remote(store)).sent_blocks
    there = other(store)
    told = there.fetch()
    assert (told.bytes, told.failed) == (first.sent_bytes, {})
    assert not there.fetch().words
    same_files(dataset.root, there.workspace.dataset_dir(dataset.id))
    seen = there.dataset(dataset.id)
    assert seen.items.equals(dataset.items)
    assert seen.pictures.thumb(f"{5:032x}") == dataset.pictures.thumb(f"{5:032x}")
    before = open_space(seen, recipe.key)

    grow(dataset, more)
    dataset.pictures.add_many([Picture(f"{N:032x}", 8, 8, b"a new one")])
    after = build_space(dataset, recipe)
    assert os.path.samefile(after.folder / VECTORS, after.folder.parent / "g000001" / VECTORS), "extended in place"
    second = publish(workspace, dataset.id, Remote(store))
    growing = {VECTORS: 4 * D, "codes.i8.npy": D}
    whole = sum(per * (N + 40) for per in growing.values())
    told = there.fetch()
    assert told.bytes == second.sent_bytes
    kept = [path for path in Path(after.folder).iterdir() if path.name in growing]
    assert len(kept) == 2
    sent = _new_blocks(dataset, after.folder, growing)
    assert sent <= 7 * BLOCK < whole / 8, (sent, whole)

    # who had opened the old generation goes on with it, and thumbnails of the new one are there
    assert (len(before), before.vectors[7].tolist()) == (N, after.vectors[7].tolist())
    assert before.clusters["kmeans"].notna().all()
    assert seen.refresh()
    assert len(open_space(seen, recipe.key)) == N + 40
    assert [info.stale for info in list_spaces(seen)] == [info.stale for info in list_spaces(dataset)]
    assert seen.pictures.thumb(f"{N:032x}") == b"a new one"
    assert not (seen.root / "thumbs" / "pictures.db-wal").exists()
    _same_of_current(dataset, seen)

    # two generations stay here and there, and no block that neither names
    grow(dataset, more[:1] * 0.5 + more[1:2] * 0.5, [f"{N + 40:05}"], [f"{N + 40:032x}"])
    build_space(dataset, recipe)
    publish(workspace, dataset.id, Remote(store))
    there.fetch()
    generations = sorted(path.name for path in (seen.root / "spaces" / recipe.key).glob("g*"))
    assert generations == ["g000002", "g000003"]
    remote = Remote(store)
    kept_listings = remote.sizes(f"{dataset.id}/listings")
    names = {
        name
        for each in kept_listings
        for name in Listing.parse(remote.read(f"{dataset.id}/listings/{each}"), dataset.id).names()
    }
    assert len(kept_listings) == 2
    assert set(remote.sizes(f"{dataset.id}/blocks")) == names


def _new_blocks(dataset: Dataset, folder: Path, names: Any) -> int:
    """Bytes of the current listing's blocks of some files that the listing before did not name."""
    state = read_json(dataset.root / ".storage" / "published.json")
    current = {path: blocks for path, (_, _, blocks) in state["files"].items()}
    remote = dataset.root.parent.parent / "served" / "store" / dataset.id
    said = read_json(remote / "current.json")
    before = Listing.parse((remote / "listings" / f"{said['before'][0]}.json").read_bytes(), dataset.id).names()
    wanted = [current[f"spaces/{folder.parent.name}/{folder.name}/{name}"] for name in names]
    return BLOCK * sum(block not in before for blocks in wanted for block in blocks)


def _same_of_current(dataset: Dataset, seen: Dataset) -> None:
    for path in read_json(seen.root / ".storage" / "fetched.json")["before"]:
        if not path.endswith("pictures.db"):
            assert (seen.root / path).read_bytes() == (dataset.root / path).read_bytes(), path


def test_a_damaged_block_is_told_and_mended(built: Built, other: Any, tmp_path: Path) -> None:
    workspace, dataset, recipe, more = built
    url = f"file://{tmp_path}/store"
    publish(workspace, dataset.id, Remote(url))
    there = other(url)
    there.fetch()
    old = there.dataset(dataset.id).generation
    blocks = tmp_path / "store" / dataset.id / "blocks"
    before = {path.name for path in blocks.iterdir()}
    grow(dataset, more)
    build_space(dataset, recipe)
    publish(workspace, dataset.id, Remote(url))
    hurt = max((path for path in blocks.iterdir() if path.name not in before), key=lambda path: path.stat().st_size)
    hurt.write_bytes(bytes(hurt.stat().st_size))
    told = there.fetch()
    assert "is damaged in" in str(told.failed[dataset.id])
    assert f"publish {dataset.id} --again" in str(told.failed[dataset.id])
    assert there.dataset(dataset.id).generation == old
    assert len(open_space(there.dataset(dataset.id), recipe.key)) == N
    publish(workspace, dataset.id, Remote(url), again=True)
    assert not there.fetch().failed
    assert len(open_space(there.dataset(dataset.id), recipe.key)) == N + 40

    # a block that lies here is not believed either
    local = there.workspace.dataset_dir(dataset.id) / "items" / f"{there.dataset(dataset.id).generation:06d}.parquet"
    status = local.stat()
    local.write_bytes(bytes(status.st_size))
    os.utime(local, ns=(status.st_atime_ns, status.st_mtime_ns))
    dataset.record_problems({dataset.items["uid"].iloc[0]: "it is blue"})
    publish(workspace, dataset.id, Remote(url))
    assert not there.fetch().failed
    assert there.dataset(dataset.id).items.equals(dataset.items)


def test_a_replica_changes_no_collection(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, dataset, recipe, _ = built
    catalog = Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    queued = Jobs(catalog).create(dataset.id, "process", {})
    url = f"file://{tmp_path}/store"
    publish(workspace, dataset.id, Remote(url))
    before = {path: path.stat().st_mtime_ns for path in dataset.root.rglob("*") if path.is_file()}
    with pytest.raises(Refused, match="EXPLORER_REPLICA"):
        fetch(workspace, Remote(url))
    monkeypatch.setenv("EXPLORER_REPLICA", "1")
    monkeypatch.setenv("EXPLORER_WORKSPACE", str(workspace.root))
    monkeypatch.setenv("EXPLORER_DATABASE_URL", catalog.url)
    for attempt in (
        dataset.rescan,
        lambda: dataset.record_problems({"x": "no"}),
        lambda: build_space(dataset, recipe, refit=True),
        lambda: Dataset.create(workspace, "Another", {"kind": "folder", "path": str(tmp_path)}),
        lambda: Jobs(catalog).create(dataset.id, "process", {}),
        lambda: jobs.work(queued),
        lambda: publish(workspace, dataset.id, Remote(url)),
        lambda: withdraw(workspace, dataset.id, Remote(url)),
    ):
        with pytest.raises(Refused, match="on the machine that builds them"):
            attempt()
    assert Jobs(catalog).get(queued).state == "queued", "it is left to the builder"
    # a collection that was built here is not overwritten by somebody's fetch
    assert isinstance(fetch(workspace, Remote(url)).failed[dataset.id], Refused)
    assert {path: path.stat().st_mtime_ns for path in dataset.root.rglob("*") if path.is_file()} == before
    catalog.close()


def test_what_is_gone_goes_and_what_cannot_be_told_stays(built: Built, store: str, other: Any) -> None:
    workspace, dataset, _, _ = built
    there = other(store)
    with pytest.raises(Unavailable, match="Nothing was published"):
        there.fetch()
    publish(workspace, dataset.id, Remote(store))
    (there.workspace.root / "notes").mkdir()
    there.fetch()
    assert there.workspace.dataset_ids() == [dataset.id]
    there.remote = Remote(store + "/nothing")
    with pytest.raises(Unavailable):
        there.fetch()
    there.remote = Remote(store)
    assert there.workspace.dataset_ids() == [dataset.id]
    withdraw(workspace, dataset.id, Remote(store))
    with pytest.raises(NotFound):
        withdraw(workspace, dataset.id, Remote(store))
    assert "not in the storage any more" in there.fetch().words[0]
    assert [path.name for path in there.workspace.root.iterdir()] == ["notes"]
    assert isinstance(there.fetch(only=[dataset.id]).failed[dataset.id], NotFound)
    publish(workspace, dataset.id, Remote(store))
    there.fetch()
    assert there.workspace.dataset_ids() == [dataset.id]


def test_a_storage_that_is_away_costs_nothing_and_says_no_password(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, dataset, _, _ = built
    (tmp_path / "served").mkdir()
    said: list[str] = []
    with ftp_server(tmp_path / "served") as url:
        monkeypatch.setenv("EXPLORER_STORAGE", url)
        assert "Published" in publish_after(workspace, dataset.id, lambda _: None, lambda: False)
        remote = Remote(url)
        assert remote.sizes("")
    words = publish_after(workspace, dataset.id, lambda _: None, lambda: False)
    assert f"Nothing is lost; when that is mended: python -m explorer publish {dataset.id}" in words
    assert "secret" not in words
    monkeypatch.setenv("EXPLORER_REPLICA", "1")
    follower = Follower(Workspace(tmp_path / "replica"), remote, said.append)
    assert not follower.ready.is_set()
    follower.look()
    follower.look()
    assert len(said) == 1, "the same trouble is told once"
    assert "does not answer" in said[0]
    assert "secret" not in said[0]
    assert follower.ready.is_set()
    assert Follower(workspace, remote, said.append).ready.is_set(), "what an earlier run fetched is shown meanwhile"
    monkeypatch.setenv("EXPLORER_STORAGE", " ")
    assert publish_after(workspace, dataset.id, lambda _: None, lambda: False) == ""
    with pytest.raises(Missing, match="EXPLORER_STORAGE"):
        Remote.needed()
    with pytest.raises(Missing, match="paramiko"):
        Remote("sftp://host/folder")
    for wrong in ("nothing://x", "folder/here"):
        with pytest.raises(BadInput):
            Remote(wrong)


def test_a_job_that_ended_well_publishes(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, dataset, _, _ = built
    catalog = Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    monkeypatch.setenv("EXPLORER_WORKSPACE", str(workspace.root))
    monkeypatch.setenv("EXPLORER_DATABASE_URL", catalog.url)
    monkeypatch.setattr(processing, "process", lambda *_: {"name": "Photos", "words": "Looked at."})
    for url, words in (
        (f"file://{tmp_path}/store", "Published: 2."),
        ("sftp://host/x", "Not published: EXPLORER_STORAGE"),
    ):
        monkeypatch.setenv("EXPLORER_STORAGE", url)
        job = Jobs(catalog).create(dataset.id, "process", {})
        assert jobs.work(job).startswith(f"Looked at. {words}")
        done = Jobs(catalog).get(job)
        assert (done.state, done.report["words"].startswith(f"Looked at. {words}")) == ("done", True)
    assert Remote(f"file://{tmp_path}/store").read(f"{dataset.id}/current.json")
    catalog.close()


def test_two_servers_of_one_machine_do_not_fetch_at_once(built: Built, tmp_path: Path, other: Any) -> None:
    workspace, dataset, _, _ = built
    publish(workspace, dataset.id, Remote(f"file://{tmp_path}/store"))
    there = other(f"file://{tmp_path}/store")
    with listing.alone(there.workspace.dataset_dir(dataset.id) / listing.FOLDER):
        assert there.fetch() == Fetched()
    assert there.fetch().words
    (there.workspace.dataset_dir(dataset.id) / "dataset.json").unlink()
    assert there.fetch().words, "what is not there any more is fetched again"


def test_a_lost_builder_is_got_back(built: Built, tmp_path: Path, other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, dataset, recipe, more = built
    remote = Remote(f"file://{tmp_path}/store")
    first = publish(workspace, dataset.id, remote)
    saved = other(f"file://{tmp_path}/store").workspace
    monkeypatch.setenv("EXPLORER_REPLICA", "1")
    fetch(saved, remote)
    monkeypatch.delenv("EXPLORER_REPLICA")
    again = Dataset.open(saved, dataset.id)
    assert publish(saved, dataset.id, remote).sent_blocks <= 1  # the head of the database of thumbnails
    grow(again, more)
    again.pictures.add_many([Picture(f"{N:032x}", 8, 8, b"a new one")])
    assert len(build_space(again, recipe)) == N + 40
    told = publish(saved, dataset.id, remote)
    assert (told.new, told.sent_blocks > 0) == (True, True)
    assert told.sent_bytes < first.bytes


def test_another_collection_of_that_name_is_not_overwritten(built: Built, tmp_path: Path) -> None:
    workspace, dataset, _, _ = built
    remote = Remote(f"file://{tmp_path}/store")
    publish(workspace, dataset.id, remote)
    namesake = Workspace(tmp_path / "second")
    Dataset.create(namesake, "Namesake", {"kind": "folder", "path": str(tmp_path)}, dataset_id=dataset.id)
    stamped = read_json(namesake.dataset_dir(dataset.id) / "dataset.json") | {"created": "another day"}
    (namesake.dataset_dir(dataset.id) / "dataset.json").write_text(json.dumps(stamped))
    with pytest.raises(Refused, match="made elsewhere"):
        publish(namesake, dataset.id, remote)

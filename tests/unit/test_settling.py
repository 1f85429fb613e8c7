"""What was added piece by piece is built in full in the background, and gives way to what people ask for."""

import threading
import time

import numpy as np
import pytest

from benchmarks.growing import collection, grow
from explorer import settling
from explorer.catalog.database import Catalog
from explorer.collection.dataset import Dataset
from explorer.durable import read_json
from explorer.errors import Busy
from explorer.jobs import Jobs
from explorer.space import append, open_space
from explorer.space.build import build_space, unsettled
from explorer.space.space import Space
from explorer.workspace import Workspace

N, D = 1_500, 64


@pytest.fixture
def jobs(workspace: Workspace) -> Jobs:
    return Jobs(Catalog.open(workspace.catalog_url))


@pytest.fixture
def added(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> tuple[Dataset, Space]:
    """A space to which 80 pictures were added, and of which 20 are gone."""
    monkeypatch.setattr(append, "FEWEST", 1_000)
    dataset, recipe, more = collection(workspace, N, D, 80)
    grow(dataset, more)
    items = dataset.items
    items.loc[items["uid"].isin(items["uid"][:20]), "status"] = "gone"
    dataset._store(items, scanned_ns=3)
    space = build_space(dataset, recipe)
    assert len(space) == N + 80
    return dataset, space


def test_a_worker_builds_in_full_what_was_added_to(
    workspace: Workspace, jobs: Jobs, added: tuple[Dataset, Space]
) -> None:
    dataset, before = added
    assert unsettled(dataset, before.key)
    assert settling.follow(jobs, workspace, dataset.id, {"unsettled": []}) is None
    job_id = settling.follow(jobs, workspace, dataset.id, {"unsettled": [before.key]})
    assert job_id is not None
    end = time.monotonic() + 90
    while (job := jobs.get(job_id)).state in ("queued", "running"):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert (job.state, job.error) == ("done", "")
    assert jobs.list(dataset.id) == ()  # no page shows it
    after = open_space(dataset, before.key)
    assert len(after) == N + 60
    rows = after.rows.of(before.uids)
    assert (rows[:20] == -1).all()
    assert np.array_equal(after.xy[rows[20:N]], before.xy[20:N])
    manifest = read_json(after.folder.parent / "manifest.json")
    assert (manifest["settled"], manifest["gone"]) == (N + 60, 0)
    assert not unsettled(dataset, after.key)
    assert build_space(dataset, after.recipe, settle=True).generation == after.generation


def test_it_gives_way_to_what_people_ask_for(workspace: Workspace, jobs: Jobs) -> None:
    behind = jobs.claim(jobs.create("some", "process", {"settle": ["a-space"]}))
    asked = jobs.create("some", "process", {})

    def broken_off() -> None:
        while not behind.cancelled():
            time.sleep(0.05)
        behind.finish("cancelled")

    thread = threading.Thread(target=broken_off)
    thread.start()
    claim = settling.claim(jobs, asked)
    thread.join(10)
    assert jobs.get(behind.job.id).state == "cancelled"
    with pytest.raises(Busy):  # but not the other way round
        settling.claim(jobs, jobs.create("some", "process", {"settle": ["a-space"]}))
    with pytest.raises(Busy):
        settling.claim(jobs, jobs.create("some", "process", {}))
    claim.finish("done")


def test_few_additions_wait_for_more(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append, "FEWEST", 1_000)
    dataset, recipe, more = collection(workspace, N, D, 10)
    grow(dataset, more)
    assert len(build_space(dataset, recipe)) == N + 10
    assert not unsettled(dataset, recipe.key)
    assert not unsettled(dataset, "no-such-space")

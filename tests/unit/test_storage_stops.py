"""Publishing and fetching that are killed, or stop between any two steps: nothing half is seen, and both go on."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.growing import grow
from explorer.space.build import build_space
from explorer.space.space import open_space
from explorer.storage import Remote, publish
from tests.unit.storage_case import BLOCK, N, Replica, build, ftp_server, same_files, small_blocks

SLOWLY = """
import sys, time
from explorer.storage import Remote, fetch, listing, publish
from explorer.workspace import Workspace

def slow(action):
    def slowly(self, path, *content):
        found = action(self, path, *content)
        print(path, flush=True)
        time.sleep(0.004)
        return found
    return slowly

Remote.read, Remote.write = slow(Remote.read), slow(Remote.write)
listing.BLOCK = int(sys.argv[1])
workspace = Workspace.default()
if len(sys.argv) > 2:
    publish(workspace, sys.argv[2], Remote.needed())
else:
    fetch(workspace, Remote.needed())
"""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    with ftp_server(tmp_path / "served") as url:
        yield url


def _killed(workspace: Path, store: str, blocks: int, *arguments: str, replica: str = "") -> int:
    """Run in a process that is killed after so many blocks; how many there were by its end."""
    environment = {**os.environ, "EXPLORER_STORAGE": store, "EXPLORER_WORKSPACE": str(workspace)}
    environment["EXPLORER_REPLICA"] = replica
    command = [sys.executable, "-c", textwrap.dedent(SLOWLY), str(BLOCK), *arguments]
    count = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as process:
        for line in process.stdout or ():
            count += "/blocks/" in line
            if count == blocks:
                os.kill(process.pid, signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL
    return count


def test_what_is_killed_goes_on_and_ends_in_the_same_bytes(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, dataset, _, _ = build(tmp_path / "builder")
    sent = _killed(workspace.root, store, 60, dataset.id)
    assert "current.json" not in Remote(store).sizes(dataset.id)
    told = publish(workspace, dataset.id, Remote(store))
    whole = len([*(tmp_path / "served" / "store" / dataset.id / "blocks").iterdir()])
    assert whole - sent <= told.sent_blocks <= whole - sent + 1, "what had arrived was not sent again"

    there = Replica(tmp_path / "replica", store, monkeypatch)
    travelled = _killed(there.workspace.root, store, whole // 2, replica="1")
    assert there.workspace.dataset_ids() == [], "nothing of it is seen before it is whole"
    fetched = there.fetch()
    assert not fetched.failed
    assert travelled - (-fetched.bytes // BLOCK) <= whole + 6, "what had arrived did not travel again"
    same_files(dataset.root, there.workspace.dataset_dir(dataset.id))
    assert not (there.workspace.dataset_dir(dataset.id) / ".storage" / "partial").exists()


def test_between_any_two_steps_there_is_a_collection_to_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch of a grown collection that ends at one of its renames, at another each time."""
    workspace, dataset, recipe, more = build(tmp_path / "builder")
    url = f"file://{tmp_path}/store"
    publish(workspace, dataset.id, Remote(url))
    first = Replica(tmp_path / "first", url, monkeypatch)
    first.fetch()
    grow(dataset, more)
    build_space(dataset, recipe)
    publish(workspace, dataset.id, Remote(url))

    class Killed(BaseException):
        pass

    replace, left, seen = os.replace, 0, set()

    def at_most(one: Path, other: Path) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        replace(one, other)

    for steps in range(0, 99, 4):
        there = Replica(tmp_path / f"replica{steps}", url, monkeypatch)
        shutil.copytree(first.workspace.root, there.workspace.root, dirs_exist_ok=True)
        left = steps
        try:
            with monkeypatch.context() as patch:
                patch.setattr(os, "replace", at_most)
                there.fetch()
        except Killed:
            pass
        found = there.dataset(dataset.id)
        space = open_space(found, recipe.key)
        assert len(space.vectors) == len(space.xy) == len(space.clusters) == len(space)
        assert not found.features(recipe.features[0][0]).missing(space.hashes.tolist())
        seen.add((len(found.items), len(space)))
        if left:
            break
        assert not there.fetch().failed
        assert len(open_space(there.dataset(dataset.id), recipe.key)) == N + 40
        shutil.rmtree(there.workspace.root)
    assert left, "one went through to the end"
    assert seen == {(N, N), (N + 40, N), (N + 40, N + 40)}, "old, in between as on the builder, new"

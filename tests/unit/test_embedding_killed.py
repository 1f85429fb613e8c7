"""An embedding run that is killed at any moment and resumed. Run as a program, this file embeds a dataset with a small
extractor, so that there is a real process to kill."""

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from explorer.collection.dataset import Dataset
from explorer.collection.embedding import embed
from explorer.workspace import Workspace
from tests.unit.block_means import BlockMeans, made, put


def _files(dataset: Dataset) -> dict[str, bytes]:
    root = dataset.root / "features"
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _thumbs(dataset: Dataset) -> list[tuple]:
    if not dataset.pictures.count():
        return []
    with sqlite3.connect(dataset.pictures.path) as connection:
        return connection.execute("SELECT * FROM pictures ORDER BY hash").fetchall()


def _start(workspace: Path) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(
        [sys.executable, __file__, str(workspace)], stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_at_any_moment_and_resumed_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    """Five kills at random moments of one run: each loses at most 512 pictures, and the bytes are those of a run that
    nobody disturbed."""
    count = 1600
    place = tmp_path / "pictures"
    put(place, range(count))
    (place / "00700.jpg").write_bytes(b"text")
    quiet = made(tmp_path, place, "quiet")
    embed(quiet, [BlockMeans(), BlockMeans(3)])
    dataset = made(tmp_path, place, "killed")
    rng = random.Random(time.time_ns())
    kills, stored = 0, 0
    for moment in [
        rng.randint(0, 300),
        rng.randint(300, 700),
        rng.randint(400, 600),
        rng.randint(1, 900),
        rng.randint(0, 200),
    ]:
        process = _start(tmp_path / "killed")
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            seen = int(line)
            if seen >= moment:
                break
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
        seen = int(rest[: rest.rfind("\n")].split()[-1]) if "\n" in rest else seen  # the last line may be cut
        kills += process.wait() == -signal.SIGKILL
        process.stdout.close()
        for extractor in (BlockMeans(), BlockMeans(3)):
            rows = len(dataset.features(extractor.spec))
            assert rows >= stored + seen - 512
            thumbs = {row[0] for row in _thumbs(dataset) if row[3]}
            assert {name.decode() for name in dataset.features(extractor.spec).hashes()} <= thumbs
        stored = min(len(dataset.features(BlockMeans(blocks).spec)) for blocks in (3, 4))
    assert kills >= 3
    process = _start(tmp_path / "killed")
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert _files(dataset) == _files(quiet)
    assert _thumbs(dataset) == _thumbs(quiet)
    dataset.refresh()
    assert dataset.items.drop(columns="mtime_ns").equals(quiet.items.drop(columns="mtime_ns"))
    report = embed(dataset, [BlockMeans(), BlockMeans(3)])
    assert (report.embedded, report.skipped) == (0, count - 1)


if __name__ == "__main__":
    _counter = itertools.count(1)
    embed(
        Dataset.open(Workspace(Path(sys.argv[1])), "photos"),
        [BlockMeans(pause=0.001), BlockMeans(3)],
        cancelled=lambda: print(next(_counter), flush=True) is not None,  # called after each picture
    )

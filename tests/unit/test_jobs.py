"""Long work outlives its page, dies without harm, is taken up again, stops when asked, and never runs twice at once."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from explorer.catalog.database import Catalog
from explorer.catalog.schema import datasets
from explorer.catalog.schema import jobs as table
from explorer.collection.dataset import Dataset
from explorer.collection.embedding import embed
from explorer.collection.progress import Progress
from explorer.errors import BadInput, Busy, Cancelled, NotFound
from explorer.extractors.registry import load
from explorer.jobs import Jobs, work
from explorer.space import list_spaces, open_space
from explorer.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "clipart"


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


@pytest.fixture
def own_catalog(workspace: Workspace) -> Iterator[Catalog]:
    """That of the workspace, for what the commands and workers find by themselves."""
    opened = Catalog.open(workspace.catalog_url)
    yield opened
    opened.close()


@pytest.fixture
def jobs(catalog: Catalog) -> Jobs:
    return Jobs(catalog)


@pytest.fixture
def own_jobs(own_catalog: Catalog) -> Jobs:
    return Jobs(own_catalog)


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.03)


def queued(jobs: Jobs, dataset_id: str = "photos") -> str:
    return jobs.create(dataset_id, "process", {"extractors": ["colour"]})


def collection(workspace: Workspace, dataset_id: str, folder: Path = DEMO) -> Dataset:
    return Dataset.create(workspace, dataset_id, {"kind": "folder", "path": str(folder)}, dataset_id=dataset_id)


def test_a_job_goes_from_the_queue_to_its_report(jobs: Jobs) -> None:
    job_id = queued(jobs)
    waiting = jobs.get(job_id)
    assert (waiting.state, waiting.args, waiting.progress) == ("queued", {"extractors": ["colour"]}, {})
    claim = jobs.claim(job_id)
    claim.progress(Progress("Looking at the pictures", 5, 10, 2.5, 2.0))
    running = jobs.get(job_id)
    assert (running.state, running.pid) == ("running", os.getpid())
    assert running.progress["done"] == 5
    claim.finish("done", report={"words": "ten pictures"})
    done = jobs.get(job_id)
    assert (done.state, done.report) == ("done", {"words": "ten pictures"})
    assert done.finished is not None
    with pytest.raises(BadInput, match="done already"):
        jobs.claim(job_id)
    newer = queued(jobs)
    assert [job.id for job in jobs.list("photos")] == [newer, job_id]
    with pytest.raises(NotFound, match="nothing"):
        jobs.get("nothing")
    with pytest.raises(BadInput, match="no job of the kind"):
        jobs.create("photos", "dance", {})


def test_one_writer_a_dataset(jobs: Jobs) -> None:
    first, second, elsewhere = queued(jobs), queued(jobs), queued(jobs, "other")
    claim = jobs.claim(first)
    for again in (first, second):
        with pytest.raises(Busy, match=f"{first}.*process {os.getpid()}"):
            jobs.claim(again)
    jobs.claim(elsewhere).finish("done")
    claim.finish("failed", "the disk is full")
    assert jobs.get(first).error == "the disk is full"
    jobs.claim(second).finish("done")
    jobs.claim(first).finish("done")


def test_of_many_that_claim_at_once_one_wins(catalog: Catalog) -> None:
    jobs = Jobs(catalog)
    waiting = [queued(jobs) for _ in range(6)]
    won, refused = [], []

    def claim(job_id: str) -> None:
        try:
            won.append(Jobs(catalog).claim(job_id))
        except Busy as error:
            refused.append(error)

    threads = [threading.Thread(target=claim, args=(job_id,)) for job_id in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 5)
    won[0].finish("done")


HOLDING = """
import sys, time
from explorer.catalog.database import Catalog
from explorer.jobs import Jobs
claim = Jobs(Catalog.open(sys.argv[1])).claim(sys.argv[2])
print("holding", flush=True)
time.sleep(60)
"""


def hold(catalog: Catalog, job_id: str) -> "subprocess.Popen[str]":
    """A process that holds the job until it is killed."""
    worker = subprocess.Popen(
        [sys.executable, "-c", HOLDING, catalog.url, job_id], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout
    assert worker.stdout.readline() == "holding\n"
    worker.stdout.close()
    return worker


def test_a_killed_worker_is_seen_at_once_and_its_job_taken_up_again(catalog: Catalog, jobs: Jobs) -> None:
    job_id = queued(jobs)
    worker = hold(catalog, job_id)
    assert jobs.get(job_id).state == "running"
    with pytest.raises(Busy):
        jobs.claim(job_id)
    worker.kill()
    until(lambda: jobs.get(job_id).state == "stopped", 5)  # while it is a zombie, and after
    worker.wait()
    assert jobs.list("photos")[0].state == "stopped"
    other = queued(jobs)
    jobs.claim(other).finish("done")
    claim = jobs.claim(job_id)
    assert jobs.get(job_id).pid == os.getpid()
    claim.finish("done")


def test_a_worker_of_another_machine_is_given_up_when_its_lease_runs_out(catalog: Catalog) -> None:
    jobs = Jobs(catalog, lease_seconds=1.0)
    job_id = queued(jobs)
    worker = hold(catalog, job_id)
    worker.send_signal(signal.SIGSTOP)  # it does not renew; as if its machine were gone
    with catalog.writing() as connection:
        lease = {"lease_until": catalog.now(connection) + 1.0}
        connection.execute(table.update().values(host="elsewhere", **lease))
    assert jobs.get(job_id).state == "running"
    with pytest.raises(Busy):
        jobs.claim(job_id)
    until(lambda: jobs.get(job_id).state == "stopped", 5)
    claim = jobs.claim(job_id)
    worker.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    assert not claim.cancelled()
    claim.finish("done")
    worker.kill()
    worker.wait()
    assert jobs.get(job_id).state == "done"


def test_the_heartbeat_keeps_the_lease(catalog: Catalog) -> None:
    jobs = Jobs(catalog, lease_seconds=0.6)
    claim = jobs.claim(queued(jobs))
    with catalog.writing() as connection:
        connection.execute(table.update().values(host="elsewhere"))  # so that the lease alone decides
    for _ in range(12):
        time.sleep(0.15)
        assert jobs.get(claim.job.id).state == "running"
    claim.finish("done")


def test_a_worker_that_lost_its_job_stops_and_changes_nothing(catalog: Catalog) -> None:
    jobs = Jobs(catalog, lease_seconds=0.4)
    claim = jobs.claim(queued(jobs))
    with catalog.writing() as connection:
        connection.execute(table.update().values(holder="somebody else"))
    until(claim.cancelled, 5)
    assert claim.lost
    claim.progress(Progress("Looking at the pictures", 7, 10))
    with pytest.raises(Busy, match="taken over"):
        claim.finish("done")
    assert jobs.get(claim.job.id).state == "running"
    assert jobs.get(claim.job.id).progress == {}


def test_telling_and_asking_are_cheap(catalog: Catalog, jobs: Jobs) -> None:
    claim = jobs.claim(queued(jobs))
    statements: list[str] = []
    sa.event.listen(sa.Engine, "before_cursor_execute", counting := lambda _c, _k, sql, *_: statements.append(sql))
    began = time.monotonic()
    done = 0
    while time.monotonic() - began < 1.2:
        claim.progress(Progress("Looking at the pictures", done := done + 1, 10**9))
        claim.cancelled()
    sa.event.remove(sa.Engine, "before_cursor_execute", counting)
    assert done > 1_000
    assert 2 <= sum(sql.startswith("UPDATE") for sql in statements) <= 4
    assert 2 <= sum(sql.startswith("SELECT") for sql in statements) <= 4
    claim.progress(Progress("Looking at the pictures", 10**9, 10**9))  # the end of a stage is always told
    claim.progress(Progress("Drawing the map", 0, 1))
    assert jobs.get(claim.job.id).progress["stage"] == "Drawing the map"
    claim.finish("done")


def test_cancelling_reaches_the_worker_within_a_second(catalog: Catalog, jobs: Jobs) -> None:
    claim = jobs.claim(queued(jobs))
    assert not claim.cancelled()
    Jobs(catalog).request_cancel(claim.job.id)
    until(claim.cancelled, 1)
    claim.finish("cancelled")
    never_begun = queued(jobs)
    jobs.request_cancel(never_begun)
    assert jobs.get(never_begun).state == "cancelled"
    again = jobs.claim(claim.job.id)  # a cancelled job can be taken up again, without the old wish to stop
    assert not again.cancelled()
    again.finish("done")
    jobs.request_cancel(claim.job.id)
    assert jobs.get(claim.job.id).state == "done"


def test_a_worker_that_never_came_up_is_not_waited_for_for_ever(catalog: Catalog, jobs: Jobs) -> None:
    job_id = queued(jobs)
    with catalog.writing() as connection:
        connection.execute(table.update().values(created=catalog.now(connection) - 600))
    assert jobs.get(job_id).state == "stopped"


# --- with the work itself ---


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder by its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def test_killed_cancelled_and_terminated_work_ends_as_if_nothing_had_happened(
    workspace: Workspace, own_jobs: Jobs
) -> None:
    dataset = collection(workspace, "clip")
    job_id = queued(own_jobs, "clip")

    def begun() -> None:
        before = own_jobs.get(job_id).progress.get("done", 0) if own_jobs.get(job_id).state == "running" else 0
        until(lambda: own_jobs.get(job_id).state == "running" and looked_at() > before)

    def looked_at() -> int:
        progress = own_jobs.get(job_id).progress
        return int(progress["done"]) if progress.get("stage") == "Looking at the pictures" else 0

    pid = own_jobs.start_worker(job_id, workspace)
    begun()
    os.kill(pid, signal.SIGKILL)
    until(lambda: own_jobs.get(job_id).state == "stopped", 10)
    until(lambda: "ended with code -9" in own_jobs.get(job_id).error, 10)

    pid = own_jobs.start_worker(job_id, workspace)
    until(lambda: own_jobs.get(job_id).state == "running" and own_jobs.get(job_id).pid == pid)
    os.kill(pid, signal.SIGTERM)
    until(lambda: own_jobs.get(job_id).state != "running", 30)
    assert own_jobs.get(job_id).state == "stopped"

    own_jobs.start_worker(job_id, workspace)
    until(lambda: own_jobs.get(job_id).state == "running")
    own_jobs.request_cancel(job_id)
    until(lambda: own_jobs.get(job_id).state != "running", 30)
    assert own_jobs.get(job_id).state == "cancelled"

    own_jobs.start_worker(job_id, workspace)
    until(lambda: own_jobs.get(job_id).state not in ("queued", "cancelled", "running"), 120)
    done = own_jobs.get(job_id)
    assert done.state == "done", done.error
    assert "pictures" in done.report["words"]
    (key,) = [spec.key for spec in dataset.feature_specs()]
    (info,) = list_spaces(Dataset.open(workspace, "clip"))
    assert len(open_space(Dataset.open(workspace, "clip"), info.key).uids) == info.n > 1_400

    other = collection(workspace, "undisturbed")
    other.rescan()
    embed(other, [load("colour")])
    assert contents(workspace.root / "clip/features" / key) == contents(workspace.root / "undisturbed/features" / key)


def test_work_in_this_process_tells_its_progress_and_does_nothing_twice(
    workspace: Workspace, own_jobs: Jobs, own_catalog: Catalog
) -> None:
    collection(workspace, "maps", DEMO / "maps")
    told: list[Progress] = []
    words = work(queued(own_jobs, "maps"), told.append)
    assert words.startswith("maps: ")
    assert {"Looking for pictures", "Looking at the pictures"} <= {one.stage for one in told}
    again = queued(own_jobs, "maps")
    work(again)
    report = own_jobs.get(again).report
    assert report["embed"]["embedded"] == 0
    assert report["embed"]["skipped"] > 0
    with own_catalog.reading() as connection:
        assert connection.execute(sa.select(datasets.c.id)).scalars().all() == ["maps"]


def test_work_that_fails_says_why_and_leaves_the_dataset_free(workspace: Workspace, own_jobs: Jobs) -> None:
    collection(workspace, "maps", DEMO / "maps")
    job_id = own_jobs.create("maps", "process", {"extractors": ["no-such-thing"]})
    with pytest.raises(Exception, match="no-such-thing"):
        work(job_id)
    failed = own_jobs.get(job_id)
    assert failed.state == "failed"
    assert "no-such-thing" in failed.error
    with pytest.raises(NotFound):
        work(queued(own_jobs, "nowhere"))
    running = own_jobs.claim(queued(own_jobs, "maps"))
    kept_out = queued(own_jobs, "maps")
    with pytest.raises(Busy):
        work(kept_out)
    assert running.job.id in own_jobs.get(kept_out).error
    running.finish("done")
    cancelled = queued(own_jobs, "maps")

    def stop(_: Progress) -> None:
        own_jobs.request_cancel(cancelled)
        time.sleep(0.6)

    with pytest.raises(Cancelled):
        work(cancelled, stop)
    assert own_jobs.get(cancelled).state == "cancelled"


def test_a_worker_that_cannot_start_is_reported_with_its_log(
    workspace: Workspace, own_jobs: Jobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    collection(workspace, "maps", DEMO / "maps")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text("import os; os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    job_id = queued(own_jobs, "maps")
    own_jobs.start_worker(job_id, workspace)
    until(lambda: own_jobs.get(job_id).state == "failed", 20)
    assert "code 3" in own_jobs.get(job_id).error
    assert str(workspace.root) in own_jobs.get(job_id).error

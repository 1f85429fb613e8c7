"""Long work in processes of its own: a row in the catalogue, a lease, a heartbeat, progress and a cancel flag.

The page only watches. A job outlives the page and the server; a worker that dies leaves a lease that runs out, and
the job can be taken up again where its last finished part lies. One writer a dataset is kept by the database.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from explorer import settling
from explorer.catalog.database import Catalog
from explorer.catalog.schema import jobs as table
from explorer.catalog.schema import new_id
from explorer.collection.progress import Progress, ProgressCallback
from explorer.durable import full_disk, no_room
from explorer.errors import BadInput, Busy, Cancelled, ExplorerError, NotFound, Unavailable
from explorer.workspace import Workspace, refuse_on_replica

State = Literal["queued", "running", "done", "failed", "cancelled", "stopped"]
LEASE_SECONDS = 30.0
START_SECONDS = 120.0
"""A job that nobody has taken up by then is shown as stopped: its worker never came up."""
POLL_SECONDS = 0.5
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Job:
    """A job as it stands. `stopped`: its worker ended without a word, or was told to; it can be taken up again."""

    id: str
    dataset_id: str
    kind: str
    args: dict[str, Any]
    state: State
    progress: dict[str, Any]
    report: dict[str, Any]
    error: str
    cancel_requested: bool
    pid: int | None
    created: float
    started: float | None
    finished: float | None


class Jobs:
    """The jobs of all datasets. Thread-safe."""

    def __init__(self, catalog: Catalog, lease_seconds: float = LEASE_SECONDS) -> None:
        self._catalog = catalog
        self._lease = lease_seconds

    def create(self, dataset_id: str, kind: str, args: dict[str, Any]) -> str:
        """Put a job in the queue; `start_worker` or `work` takes it up. Raises BadInput (unknown kind), Refused."""
        refuse_on_replica()
        if kind != "process":
            raise BadInput(f"There is no job of the kind '{kind}'.")
        job_id = new_id()
        with self._catalog.writing() as connection:
            row = {"id": job_id, "dataset_id": dataset_id, "kind": kind, "args": args, "state": "queued"}
            now = self._catalog.now(connection)
            connection.execute(table.insert().values(**row, cancel_requested=False, created=now))
        return job_id

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        with self._catalog.reading() as connection:
            return _job(_row(connection, job_id), self._catalog.now(connection))

    def list(self, dataset_id: str, background: bool = False) -> "tuple[Job, ...]":
        """The jobs of a dataset, newest first: those that people asked for, or those of `settling`."""
        newest = sa.select(table).where(table.c.dataset_id == dataset_id).order_by(table.c.created.desc(), table.c.id)
        with self._catalog.reading() as connection:
            now = self._catalog.now(connection)
            rows = connection.execute(newest)
            return tuple(_job(row, now) for row in rows if settling.in_background(row.args) == background)

    def claim(self, job_id: str) -> "Claim":
        """Take a job up, with a lease that a thread renews until `Claim.finish`.

        Raises NotFound; BadInput for a job that is done; Busy if the job is running or another one writes this dataset.
        """
        holder = new_id()
        try:
            with self._catalog.writing() as connection:
                row = _row(connection, job_id)
                now = self._catalog.now(connection)
                if row.state == "done":
                    raise BadInput(f"Job {job_id} is done already; start a new one.")
                self._make_way(connection, row.dataset_id, now)
                connection.execute(
                    table.update()
                    .where(table.c.id == job_id)
                    .values(
                        state="running",
                        holder=holder,
                        pid=os.getpid(),
                        host=_here(),
                        heartbeat=now,
                        lease_until=now + self._lease,
                        cancel_requested=False,
                        error=None,
                        started=now,
                        finished=None,
                    )
                )
                row = _row(connection, job_id)
        except sa.exc.IntegrityError as error:  # another process claimed a job of this dataset at the same moment
            raise Busy("Another job has just begun to write this collection; try again when it has ended.") from error
        return Claim(self._catalog, _job(row, now), holder, self._lease)

    def request_cancel(self, job_id: str) -> None:
        """Ask the worker to stop, which takes about a second; a job that nobody has begun is cancelled at once."""
        with self._catalog.writing() as connection:
            row = _row(connection, job_id)
            now = self._catalog.now(connection)
            change: dict[str, Any] = {"cancel_requested": True}
            if row.state == "queued" or (row.state == "running" and _is_over(row, now)):
                change |= {"state": "cancelled", "finished": now}
            if row.state in ("queued", "running"):
                connection.execute(table.update().where(table.c.id == job_id).values(**change))

    def give_up(self, job_id: str, reason: str) -> None:
        """Note that a job in the queue cannot be begun, and why."""
        with self._catalog.writing() as connection:
            now = self._catalog.now(connection)
            waiting = (table.c.id == job_id) & (table.c.state == "queued")
            connection.execute(table.update().where(waiting).values(state="failed", error=reason, finished=now))

    def start_worker(self, job_id: str, workspace: Workspace | None = None) -> int:
        """Start `python -m explorer work ID` as a process that outlives this one; returns its process id."""
        workspace = workspace or Workspace.default()
        job = self.get(job_id)
        log = workspace.dataset_dir(job.dataset_id) / "jobs" / f"{job_id}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "EXPLORER_WORKSPACE": str(workspace.root),
            "EXPLORER_DATABASE_URL": self._catalog.url,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH")])),
        }
        detached: dict[str, Any] = {"start_new_session": True}
        if os.name == "nt":
            detached = {"creationflags": 0x00000008 | 0x00000200}  # DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP
        gently = settling.gently() if settling.in_background(job.args) else []
        with open(log, "ab") as output:
            process = subprocess.Popen(
                [*gently, sys.executable, "-m", "explorer", "work", job_id],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                **detached,
            )
        threading.Thread(target=self._bury, args=(process, job_id, log), daemon=True).start()
        return process.pid

    def _bury(self, process: "subprocess.Popen[bytes]", job_id: str, log: Path) -> None:
        """When a worker of ours ended without a word, say so at once instead of when its lease runs out."""
        code = process.wait()
        # with the database away, the process that is gone tells the same a little later
        with contextlib.suppress(Unavailable), self._catalog.writing() as connection:
            for state, pid, shown in (("queued", None, "failed"), ("running", process.pid, "stopped")):
                unfinished = (table.c.id == job_id) & (table.c.state == state)
                if pid is not None:
                    unfinished &= table.c.pid == pid
                reason = f"The worker ended with code {code}; what it said is in {log}."
                now = self._catalog.now(connection)
                connection.execute(
                    table.update().where(unfinished).values(state=shown, error=reason, holder=None, finished=now)
                )

    def _make_way(self, connection: Connection, dataset_id: str, now: float) -> None:
        """Note the jobs whose worker is gone; raise Busy if one is alive."""
        running = sa.select(table).where(table.c.dataset_id == dataset_id, table.c.state == "running")
        for row in connection.execute(running.with_for_update()).all():
            if not _is_over(row, now):
                raise Busy(
                    f"Job {row.id} ({row.kind}, process {row.pid}) is writing this collection; wait until it has "
                    "ended, or stop it first."
                )
            connection.execute(
                table.update().where(table.c.id == row.id).values(state="stopped", holder=None, finished=now)
            )


class Claim:
    """A job in hand. Its thread renews the lease; `finish` gives it back."""

    def __init__(self, catalog: Catalog, job: Job, holder: str, lease_seconds: float) -> None:
        self.job = job
        self._catalog = catalog
        self._mine = (table.c.id == job.id) & (table.c.holder == holder) & (table.c.state == "running")
        self._lease = lease_seconds
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._cancel = threading.Event()
        self._told: Progress | None = None
        self._told_at = self._polled_at = -POLL_SECONDS
        self._thread = threading.Thread(target=self._renew, name=f"lease of {job.id}", daemon=True)
        self._thread.start()

    def progress(self, progress: Progress) -> None:
        """Tell how far it is; written at most twice a second, and at the ends of a stage."""
        now = time.monotonic()
        before = self._told
        turning = before is None or before.stage != progress.stage or progress.done >= progress.total
        if before == progress or (now - self._told_at < POLL_SECONDS and not turning):
            return
        self._told, self._told_at = progress, now
        with contextlib.suppress(Unavailable), self._catalog.writing() as connection:  # work goes on meanwhile
            connection.execute(table.update().where(self._mine).values(progress=asdict(progress)))

    def cancelled(self) -> bool:
        """Whether to stop: somebody asked for it, or the lease went to another worker. Cheap to call often."""
        now = time.monotonic()
        if not self._cancel.is_set() and now - self._polled_at >= POLL_SECONDS:
            self._polled_at = now
            try:
                with self._catalog.reading() as connection:
                    asked = connection.execute(sa.select(table.c.cancel_requested).where(self._mine)).scalar()
            except Unavailable:
                return self._lost.is_set()
            if asked:
                self._cancel.set()
            if asked is None:
                self._lost.set()
        return self._cancel.is_set() or self._lost.is_set()

    @property
    def lost(self) -> bool:
        """The lease ran out and the job is not ours any more: nothing may be written."""
        return self._lost.is_set()

    def finish(self, state: State, error: str = "", report: dict[str, Any] | None = None) -> None:
        """Give the job back. Raises Busy if it had been taken over meanwhile (nothing is changed then)."""
        self._ended.set()
        self._thread.join()
        with self._catalog.writing() as connection:
            now = self._catalog.now(connection)
            changed = connection.execute(
                table.update()
                .where(self._mine)
                .values(state=state, error=error or None, report=report, holder=None, finished=now)
            )
        if not changed.rowcount:
            raise Busy(f"Job {self.job.id} was taken over by another worker; this one stops.")

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(self._lease / 4):
            try:
                with self._catalog.writing() as connection:
                    now = self._catalog.now(connection)
                    change = {"heartbeat": now, "lease_until": now + self._lease}
                    kept = connection.execute(table.update().where(self._mine).values(**change)).rowcount
            except (ExplorerError, sa.exc.SQLAlchemyError):
                # The database may come back; until the lease has run out nobody else can have the job.
                if time.monotonic() - renewed > self._lease:
                    self._lost.set()
                    return
                continue
            if not kept:
                self._lost.set()
                return
            renewed = time.monotonic()


def work(job_id: str, progress: ProgressCallback | None = None) -> str:
    """Do a job of the default workspace in this process, from claim to finish; returns what was done, in words.

    What is new is then published. SIGTERM stops it in order ("stopped"). Raises what the work raised, after noting it.
    """
    from explorer.processing import process
    from explorer.storage import publish_after

    refuse_on_replica()
    workspace = Workspace.default()
    catalog = Catalog.open(workspace.catalog_url)
    jobs = Jobs(catalog)
    try:
        claim = settling.claim(jobs, job_id)
    except Busy as error:
        jobs.give_up(job_id, str(error))
        raise

    def told(now: Progress) -> None:
        claim.progress(now)
        if progress is not None:
            progress(now)

    with _terminated() as terminated:

        def cancelled() -> bool:
            return terminated.is_set() or claim.cancelled()

        try:
            do = settling.settle if settling.in_background(claim.job.args) else process
            report = do(workspace, claim.job.dataset_id, claim.job.args, told, cancelled)
            catalog.register_dataset(claim.job.dataset_id, report["name"])
            report["words"] += publish_after(workspace, claim.job.dataset_id, told, cancelled)
            claim.finish("done", report=report)
            settling.follow(jobs, workspace, claim.job.dataset_id, report)
            return str(report["words"])
        except (Cancelled, KeyboardInterrupt):
            claim.finish("stopped" if terminated.is_set() else "cancelled")
            raise
        except Exception as error:
            if isinstance(error, OSError) and no_room(error):
                error = full_disk(workspace.dataset_dir(claim.job.dataset_id))
            plain = str(error) if isinstance(error, ExplorerError) else f"{type(error).__name__}: {error}"
            claim.finish("failed", plain)
            raise error
        finally:
            catalog.close()


@contextlib.contextmanager
def _terminated() -> Iterator[threading.Event]:
    """An event that SIGTERM sets while inside; only the main thread can listen."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)


def _row(connection: Connection, job_id: str) -> Row[Any]:
    row = connection.execute(sa.select(table).where(table.c.id == job_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no job '{job_id}' in this workspace.")
    return row


def _job(row: Row[Any], now: float) -> Job:
    state: State = "stopped" if _is_over(row, now) else row.state
    return Job(
        id=row.id,
        dataset_id=row.dataset_id,
        kind=row.kind,
        args=row.args,
        state=state,
        progress=row.progress or {},
        report=row.report or {},
        error=row.error or "",
        cancel_requested=row.cancel_requested,
        pid=row.pid,
        created=row.created,
        started=row.started,
        finished=row.finished,
    )


def _is_over(row: Row[Any], now: float) -> bool:
    """Whether a job that is queued or running by its row has nobody (any more) who works on it."""
    if row.state == "queued":
        return bool(now - row.created > START_SECONDS)
    if row.state != "running":
        return False
    return bool(row.lease_until < now) or (row.host == _here() and not _alive(row.pid))


def _here() -> str:
    """This machine and, on Linux, its table of processes: the same number means another process in a container."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def _alive(pid: int) -> bool:
    """Whether a process of this machine runs; True where that cannot be told, and the lease decides."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"  # killed, and not yet waited for by its parent
    return True

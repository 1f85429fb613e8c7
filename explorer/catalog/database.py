"""One catalogue for all processes: a SQLite file on this machine's disk, or PostgreSQL by its URL."""

import contextlib
import itertools
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from explorer.catalog import schema
from explorer.catalog.backup import copy_before_upgrade
from explorer.errors import BadInput, Busy, Missing, Unavailable

BUSY_SECONDS = 30
_PATIENCE = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""Seconds after which a PostgreSQL server that says nothing counts as gone, unless the URL says otherwise."""
_MIGRATION_LOCK = 0x6578706C  # any fixed number, the same for every process of this program
_FULL = (
    "The disk that holds the answers is full or failing, so this was not stored. What was stored before is safe: free "
    "some room on the server, and it goes on without a restart."
)
_AWAY = "The database does not answer just now. What was stored before is safe; try again in a moment."
_NOT_STORED = "The database does not answer just now, so this was not stored. Try again in a moment."
_MOUNTS = Path("/proc/mounts")
_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "lustre", "vboxsf"),
    *("fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.glusterfs", "fuse.ceph", "fuse.davfs", "davfs"),
    *("fuse.vmhgfs-fuse", "fuse.gcsfuse", "fuse.smbnetfs"),
}


class Catalog:
    """The open catalogue. Safe to share between threads; every process opens its own."""

    def __init__(self, engine: Engine, url: str) -> None:
        self.url = url
        self.came_from: str | None = schema.REVISION
        """The revision that was found when it was opened; None for a new one."""
        self.copied: Path | None = None
        """The copy that was made because it was older."""
        self.edition = 0
        """Another number after each of this process's transactions that may have changed what is kept of it."""
        self._editions = itertools.count(1)
        self._engine = engine
        self._read = engine
        if engine.dialect.name == "postgresql":  # where each statement would see a state of its own otherwise
            self._read = engine.execution_options(isolation_level="REPEATABLE READ")
        self._write = engine.execution_options(explorer_begin="BEGIN IMMEDIATE")
        # Waiting for SQLite's lock is polling with growing pauses: this process's own writers wait for each other here.
        self._turn = threading.Lock() if engine.dialect.name == "sqlite" else None

    @classmethod
    def open(cls, url: str) -> "Catalog":
        """Open the catalogue at a SQLAlchemy URL, creating it or bringing it up to date first.

        Raises BadInput for a network share, a file that is no catalogue, or a catalogue of a newer version;
        Busy if another process keeps it locked; Missing if the server cannot be reached. A SQLite catalogue of an
        older version is copied before it is changed (`catalog.0001.backup.db` beside it); PostgreSQL has `pg_dump`.
        """
        parsed = _with_driver(url)
        if parsed.get_backend_name() == "sqlite":
            _prepare_file(parsed)
        engine = _engine(parsed)
        # The URL goes to worker processes, so it keeps its password; messages use `name`.
        opened = cls(engine, parsed.render_as_string(hide_password=False))
        try:
            opened.came_from, opened.copied = _migrate(engine, parsed)
        except BaseException:
            engine.dispose()
            raise
        return opened

    @property
    def name(self) -> str:
        """The URL as it may be shown: without the password."""
        return make_url(self.url).render_as_string(hide_password=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection in one transaction that sees one state of the catalogue. Raises Unavailable if it is away."""
        with _translated(_AWAY), self._read.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, questions_stay: bool = False) -> Iterator[Connection]:
        """A connection in one transaction: on leaving it everything is on the disk, after an error nothing is.

        `questions_stay`: it changes no question and no class, so that those read before stand (`edition`).
        Raises Busy if another writer kept the catalogue for longer than half a minute, Unavailable if the database is
        away or its disk full: whether it was stored is certain only after trying again.
        """
        try:
            with _translated(_NOT_STORED), self._own_turn(), self._write.begin() as connection:
                yield connection
        finally:
            if not questions_stay:
                self.edition = next(self._editions)

    @contextlib.contextmanager
    def _own_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=BUSY_SECONDS):
            raise Busy(f"The catalogue {self.name} is being written by another process; try again.")
        try:
            yield
        finally:
            self._turn.release()

    def now(self, connection: Connection) -> float:
        """UTC seconds by the one clock that all processes share: the server's, or this machine's for a file."""
        if connection.dialect.name == "postgresql":
            return float(connection.execute(sa.text("select extract(epoch from clock_timestamp())")).scalar_one())
        return time.time()

    def register_dataset(self, dataset_id: str, name: str) -> None:
        """Note that a dataset exists, or its new name."""
        with self.writing() as connection:
            changed = connection.execute(
                schema.datasets.update().where(schema.datasets.c.id == dataset_id).values(name=name)
            )
            if not changed.rowcount:
                now = self.now(connection)
                connection.execute(schema.datasets.insert().values(id=dataset_id, name=name, created=now))

    def close(self) -> None:
        self._engine.dispose()


def network_mount(path: Path, mounts: str) -> tuple[str, str] | None:
    """(type, mount point) if `path` lies on a network share according to the text of /proc/mounts, else None."""
    best: tuple[int, str, str, str] | None = None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 4:
            continue
        point = fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        # A later line hides an earlier one on the same mount point.
        if path.is_relative_to(point) and (best is None or len(point) >= best[0]):
            best = (len(point), fields[2], point, fields[3])
    if best is None:
        return None
    _, kind, point, options = best
    windows_drive = kind == "9p" and "aname=drvfs" in options  # /mnt/c under WSL: no shared memory for the log
    return (kind, point) if kind in _NETWORK or windows_drive else None


def _with_driver(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as error:
        raise BadInput(
            f"'{url}' is no database address: use sqlite:////folder/catalog.db or "
            "postgresql://user:password@host/name in EXPLORER_DATABASE_URL."
        ) from error
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise BadInput(f"{parsed.get_backend_name()} is not supported for the catalogue: use SQLite or PostgreSQL.")
    if parsed.get_backend_name() == "sqlite" and not parsed.database:
        raise BadInput("The catalogue needs a file that other processes can open: sqlite:////folder/catalog.db.")
    return parsed


def _prepare_file(url: URL) -> None:
    path = Path(str(url.database)).expanduser().absolute()
    share = None
    if str(path).startswith(("\\\\", "//")):
        share = ("network path", str(path.parent))
    elif _MOUNTS.exists():
        share = network_mount(path.parent.resolve(), _MOUNTS.read_text(errors="surrogateescape"))
    if share:
        raise BadInput(
            f"The catalogue {path} would lie on a network share ({share[0]} at {share[1]}), where SQLite can lose "
            "answers. Put it on a disk of this machine, with EXPLORER_DATABASE_URL=sqlite:////local/folder/catalog.db "
            "or EXPLORER_WORKSPACE=/local/folder, or use PostgreSQL: EXPLORER_DATABASE_URL=postgresql://user@host/name."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _switch_to_wal(path)
    except (OSError, sqlite3.DatabaseError) as error:
        raise BadInput(
            f"The catalogue {path} cannot be opened: {error}. Check the folder's permissions and free space, or name "
            "another place with EXPLORER_WORKSPACE."
        ) from error


def _switch_to_wal(path: Path) -> None:
    """WAL is a property of the file. Switching needs the file alone and does not wait for the busy timeout."""
    until = time.monotonic() + BUSY_SECONDS
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        while True:
            try:
                mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.02)
    if mode != "wal":
        raise OSError(f"its file system does not support SQLite's write-ahead log (mode stays '{mode}')")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        waits = {name: value for name, value in _PATIENCE.items() if name not in url.query}
        return sa.create_engine(url, pool_pre_ping=True, pool_size=20, max_overflow=20, connect_args=waits)
    engine = sa.create_engine(url, pool_size=20, max_overflow=20, connect_args={"timeout": BUSY_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def _configure(dbapi_connection: sqlite3.Connection, _record: object) -> None:
        dbapi_connection.isolation_level = None  # the driver starts no transactions of its own: `_begin` does
        dbapi_connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        dbapi_connection.execute("PRAGMA synchronous=FULL")
        dbapi_connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("explorer_begin", "BEGIN"))

    return engine


def _migrate(engine: Engine, url: URL) -> tuple[str | None, Path | None]:
    """The revision that was found, and the copy that was made of it."""
    shown = url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            if _revision(connection) == schema.REVISION:
                return schema.REVISION, None
        with engine.execution_options(explorer_begin="BEGIN IMMEDIATE").begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("select pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
            return _upgrade(connection, shown, url)
    except sa.exc.OperationalError as error:
        if _is_locked(error):
            raise Busy(f"The catalogue {shown} is being written by another process; try again.") from error
        raise Missing(
            f"The catalogue {shown} cannot be reached: {error.orig}. Check that the server runs and that "
            "EXPLORER_DATABASE_URL is right."
        ) from error
    except sa.exc.DatabaseError as error:
        raise BadInput(f"{shown} is not a catalogue of this program: {error.orig}. Name another one.") from error


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("select version_num from alembic_version")).scalar()


def _upgrade(connection: Connection, shown: str, url: URL) -> tuple[str | None, Path | None]:
    from alembic import command  # takes a tenth of a second to import, and is needed once a version
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = _revision(connection)
    if found is not None and found not in known:
        raise BadInput(
            f"The catalogue {shown} was written by a newer version of this program (its revision is {found}, this "
            f"version knows {schema.REVISION}). Update the program, or use another workspace."
        )
    copied = None
    if found not in (None, schema.REVISION) and connection.dialect.name == "sqlite":
        copied = copy_before_upgrade(Path(str(url.database)).expanduser().absolute(), str(found))
    command.upgrade(config, "head")
    return found, copied


@contextlib.contextmanager
def _translated(away: str) -> Iterator[None]:
    """What the database says of itself, in a sentence; whoever asks may be a guest, so that its address stays out."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
        plain = _plain(error, away)
        if plain is None:
            raise
        raise plain from error


def _plain(error: sa.exc.SQLAlchemyError, away: str) -> Busy | Unavailable | None:
    if isinstance(error, sa.exc.TimeoutError):
        return Busy("Too many are asking the database at this moment; try again.")
    origin = getattr(error, "orig", None)
    if isinstance(origin, sqlite3.Error):
        name = str(getattr(origin, "sqlite_errorname", ""))
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Busy("The catalogue is being written by another process; try again.")
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            return Unavailable(_FULL)
        if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
            return Unavailable("The catalogue's file cannot be opened for writing; check its folder, then try again.")
        return None
    code = str(getattr(origin, "sqlstate", None) or "")
    if code.startswith("40") or code == "55P03":
        return Busy("Somebody else was writing the same at this moment; try again.")
    if code.startswith("53") and code != "53300":
        return Unavailable(_FULL)
    return Unavailable(away)


def _is_locked(error: sa.exc.OperationalError) -> bool:
    return isinstance(error.orig, sqlite3.OperationalError) and "locked" in str(error.orig)

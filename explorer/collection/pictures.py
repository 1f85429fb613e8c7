"""What decoding found out about each content: its size, its thumbnail, or why it cannot be shown.

One SQLite file for all thumbnails of a dataset (a million of them are not a million files), addressed by content
hash, so that it stays right whatever happens to file names. One process writes, any number read. On a replica nobody
writes: the file is replaced as a whole by a newer one, and whoever reads takes that up.
"""

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.durable import full_disk
from explorer.errors import ExplorerError
from explorer.workspace import replica

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pictures (
    hash TEXT PRIMARY KEY, width INTEGER NOT NULL, height INTEGER NOT NULL, thumb BLOB, problem TEXT
);
CREATE INDEX IF NOT EXISTS pictures_sizes ON pictures (hash, width, height);
CREATE INDEX IF NOT EXISTS pictures_problems ON pictures (hash, problem) WHERE problem IS NOT NULL;
CREATE TABLE IF NOT EXISTS checks (hash TEXT PRIMARY KEY, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS grounds (hash TEXT PRIMARY KEY, facts TEXT NOT NULL);
"""
# the indexes answer the questions that go over everything without touching the pages full of thumbnails
_MANY = 5_000
_CHECKED = "pictures.hash, thumb, crc FROM pictures LEFT JOIN checks ON checks.hash = pictures.hash"


@dataclass(frozen=True)
class Picture:
    """What decoding one content gave: a size and a thumbnail, or a problem."""

    hash: str
    width: int = 0
    height: int = 0
    thumb: bytes | None = None
    problem: str | None = None
    ground: dict[str, Any] = field(default_factory=dict)
    """What a picture from above says of its bands and its place: plain values by name."""


class PictureStore:
    """The thumbnails, sizes and problems of one dataset. Safe to use from several threads and after a fork."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fixed = replica()
        self._local = threading.local()

    def thumb(self, content_hash: str) -> bytes | None:
        """The JPEG, longest side 256; None if there is none, or it is not what its checksum says."""
        row = self._one(f"SELECT {_CHECKED} WHERE pictures.hash = ?", content_hash)
        return row[1] if row and _whole(*row[1:]) else None

    def get(self, content_hash: str) -> Picture | None:
        row = self._one("SELECT hash, width, height, thumb, problem FROM pictures WHERE hash = ?", content_hash)
        return Picture(*row) if row else None

    def known(self, hashes: Iterable[str]) -> set[str]:
        """Those that were decoded before, with success or not."""
        return set(self.sizes(hashes))

    def sizes(self, hashes: Iterable[str]) -> dict[str, tuple[int, int]]:
        """(width, height) of the originals, upright, in pixels; (0, 0) where decoding failed; only the known."""
        wanted = list(dict.fromkeys(hashes))
        if not wanted or not self._file():
            return {}
        if len(wanted) > _MANY:
            every = {row[0]: row[1:] for row in self._all("SELECT hash, width, height FROM pictures")}
            return {name: every[name] for name in wanted if name in every}
        found: dict[str, tuple[int, int]] = {}
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            marks = ",".join("?" * len(some))
            rows = self._all(f"SELECT hash, width, height FROM pictures WHERE hash IN ({marks})", some)
            found.update((row[0], (row[1], row[2])) for row in rows)
        return found

    def problems(self) -> dict[str, str]:
        """Content hash to the reason why it cannot be decoded."""
        if not self._file():
            return {}
        return dict(self._all("SELECT hash, problem FROM pictures WHERE problem IS NOT NULL"))

    def grounds(self) -> dict[str, dict[str, Any]]:
        """Content hash to what pictures from above say of their bands and places."""
        if not self._file():
            return {}
        return {name: json.loads(facts) for name, facts in self._all("SELECT hash, facts FROM grounds")}

    def count(self) -> int:
        return int(self._all("SELECT count(*) FROM pictures")[0][0]) if self._file() else 0

    def damaged(self) -> list[str]:
        """The contents whose thumbnails are not what their checksums say; reads everything."""
        if not self._file():
            return []
        with self._translated():
            found = self._connection().execute(f"SELECT {_CHECKED} WHERE thumb IS NOT NULL")
            return [name for name, thumb, crc in found if not _whole(thumb, crc)]

    def forget(self, hashes: Iterable[str]) -> None:
        """Have the next run decode these contents again."""
        with self._translated():
            self._connection().executemany("DELETE FROM pictures WHERE hash = ?", [(name,) for name in hashes])

    def add_many(self, pictures: Iterable[Picture]) -> None:
        """Write all of them in one transaction, on disk before this returns. What is known already is replaced."""
        listed = list(pictures)
        rows = [(each.hash, each.width, each.height, each.thumb, each.problem) for each in listed]
        checks = [(each.hash, zlib.crc32(each.thumb)) for each in listed if each.thumb]
        grounds = [(each.hash, json.dumps(each.ground)) for each in listed if each.ground]
        if not rows:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._translated():
            connection = self._connection()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?)", rows)
                connection.executemany("INSERT OR REPLACE INTO checks VALUES (?, ?)", checks)
                connection.executemany("INSERT OR REPLACE INTO grounds VALUES (?, ?)", grounds)

    def absorb(self, other: Path) -> None:
        """Take over everything of another file of this kind, which nobody writes any more."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._translated():
            connection = self._connection()
            connection.execute("ATTACH ? AS other", (str(other),))
            try:
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    for table in ("pictures", "checks", "grounds"):
                        connection.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM other.{table}")
            finally:
                connection.execute("DETACH other")

    def copy_to(self, path: Path) -> None:
        """Everything as one plain file, to be carried elsewhere; there is none of that name yet."""
        with self._translated():
            self._connection().execute("VACUUM INTO ?", (str(path),))

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _one(self, query: str, *arguments: str) -> tuple | None:
        if not self._file():
            return None
        rows = self._all(query, arguments)
        return rows[0] if rows else None

    def _all(self, query: str, arguments: Iterable[str] = ()) -> list[tuple]:
        with self._translated():
            return self._connection().execute(query, tuple(arguments)).fetchall()

    def _file(self) -> int:
        """The inode of the file; 0 where there is none. A microsecond, so that it may be asked for each thumbnail."""
        try:
            return os.stat(self.path).st_ino
        except FileNotFoundError:
            return 0

    def _connection(self) -> sqlite3.Connection:
        """This thread's own connection; a connection must not cross a fork."""
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.pid, self._local.connection = os.getpid(), None
        if self._fixed:
            return self._of_replica()
        if self._local.connection is None:
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")  # features that follow rely on these rows being on disk
            connection.executescript(_SCHEMA)
            self._local.connection = connection
        return self._local.connection

    def _of_replica(self) -> sqlite3.Connection:
        """A connection to the file that has the name now, as to one that never changes: no lock, no log beside it."""
        inode = self._file()
        if self._local.connection is None or self._local.inode != inode:
            self.close()
            address = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1"
            connection = sqlite3.connect(address, uri=True, isolation_level=None)
            connection.execute("PRAGMA trusted_schema=OFF")  # the file came from elsewhere
            # of before it was opened: if it was replaced in between, the next look opens once more
            self._local.inode, self._local.connection = inode, connection
        return self._local.connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_FULL", "SQLITE_IOERR")):
                raise full_disk(self.path) from error
            raise ExplorerError(
                f"The thumbnails in {self.path} cannot be used: {error}. If the file is damaged, delete it: the next "
                "run makes the thumbnails again."
            ) from error


def _whole(thumb: bytes | None, crc: int | None) -> bool:
    """Whether a thumbnail is what was written; those of an older version have no checksum and are taken as they are."""
    return thumb is None or crc is None or zlib.crc32(thumb) == crc

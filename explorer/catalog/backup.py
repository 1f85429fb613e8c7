"""A copy of a SQLite catalogue, made before its tables are changed."""

import contextlib
import sqlite3
from pathlib import Path

from explorer.errors import BadInput


def copy_before_upgrade(path: Path, revision: str) -> Path:
    """Copy the catalogue at `path` to a file beside it that names its revision; returns that file.

    Includes what still lies in the write-ahead log. A copy that is there already stays: the next one is numbered.
    The caller holds the write lock, so nothing changes meanwhile. Raises BadInput if there is no room.
    """
    from explorer.durable import replacing  # brings pandas, which opening a catalogue does not need otherwise

    copy = path.with_name(f"{path.stem}.{revision}.backup{path.suffix}")
    number = 2
    while copy.exists():
        copy = path.with_name(f"{path.stem}.{revision}.backup-{number}{path.suffix}")
        number += 1
    try:
        with (
            replacing(copy) as beside,
            contextlib.closing(sqlite3.connect(path)) as source,
            contextlib.closing(sqlite3.connect(beside)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file, complete by itself
    except (OSError, sqlite3.Error) as error:
        raise BadInput(
            f"The catalogue {path} must be upgraded, and a copy of it could not be made first: {error}. Nothing was "
            f"changed. Free {path.stat().st_size // 1_000_000 + 1:,} MB in {path.parent} and start again."
        ) from error
    return copy

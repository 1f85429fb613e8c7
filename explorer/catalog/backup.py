"""Copies: of a SQLite catalogue before its tables are changed, and of everything that people made, as a zip.

The zip holds JSON only, one file of lines for each table, and is written while the server runs, from one state of the
catalogue. Whoever reads it back may have got it from anybody: names, sizes, columns and types are checked, and nothing
is unpacked to the disk.
"""

import contextlib
import json
import math
import os
import sqlite3
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import BadInput, Unavailable

if TYPE_CHECKING:
    import sqlalchemy as sa

    from explorer.catalog.database import Catalog
    from explorer.catalog.move import Tally

FORMAT = 1
LEFT_OUT = frozenset({"jobs", "claims"})
"""What the program makes by itself and nobody misses."""
MOST_BYTES, MOST_LINE, MOST_RATIO = 4_000_000_000, 64_000_000, 250
"""What a backup may hold in all and in one row, unpacked, and how much smaller packing may have made it."""
_MANIFEST, _MORE = "backup.json", "collections.json"


@dataclass(frozen=True)
class Restored:
    """What came out of a backup: rows by table, when it was made (UTC seconds), what was laid beside the tables."""

    tables: dict[str, "Tally"]
    made: float
    more: Any


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
    except (OSError, sqlite3.Error, Unavailable) as error:
        reason = error.__cause__ or error
        raise BadInput(
            f"The catalogue {path} must be upgraded, and a copy of it could not be made first: {reason}. Nothing was "
            f"changed. Free {path.stat().st_size // 1_000_000 + 1:,} MB in {path.parent} and start again."
        ) from error
    return copy


def save(catalog: "Catalog", path: Path, more: Any) -> dict[str, "Tally"]:
    """Write everything that people made, and `more` (JSON), to a zip that only its owner can read; returns what is in
    it by table. The catalogue may be written meanwhile: what is saved is its state at one moment. Raises Unavailable.
    """
    from explorer.catalog import move, schema
    from explorer.durable import replacing

    found: dict[str, Tally] = {}
    with (
        replacing(path) as beside,
        catalog.reading() as connection,
        zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        os.chmod(beside, 0o600)
        for name in (each for each in move.TABLES if each not in LEFT_OUT):
            counter = move.Counter()
            with archive.open(_entry(name), "w", force_zip64=True) as file:
                for row in counter.passed(move.rows_of(connection, name)):
                    file.write(move.as_line(row).encode("utf-8", "surrogatepass") + b"\n")
            found[name] = counter.tally()
        manifest = {
            "format": FORMAT,
            "revision": schema.REVISION,
            "made": time.time(),
            "last_number": move.last_number(connection),
            "tables": {name: asdict(tally) for name, tally in found.items()},
        }
        archive.writestr(_MORE, json.dumps(more, ensure_ascii=False))
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
    return found


def restore(
    catalog: "Catalog", path: Path, accept: Callable[[str, dict[str, Any]], dict[str, Any]] = lambda _, row: row
) -> Restored:
    """Give a catalogue without anything of people's the content of a backup, with the same ids and numbers.

    `accept(table, row)` looks at every row before it is written; it may change it, or raise. Everything is read back
    and compared. Raises BadInput, and then nothing was changed, for a file that is no backup, is damaged, of a newer
    version or larger than it may be, and for a catalogue that holds something.
    """
    import sqlalchemy as sa

    from explorer.catalog import move

    with _opened(path) as archive:
        manifest = _checked_manifest(archive, path)
        with catalog.writing() as connection:
            move.refuse_filled(connection, catalog.name)
            connection.execute(move.TABLES["datasets"].delete())
            written: dict[str, Tally] = {}
            for name in (each for each in move.TABLES if each not in LEFT_OUT):
                read, taken = move.Counter(), move.Counter()
                rows = read.passed(_rows(archive, move.TABLES[name], path))
                try:
                    move.write_rows(connection, name, taken.passed(accept(name, row) for row in rows))
                except (sa.exc.IntegrityError, sa.exc.DataError) as error:
                    raise _no_backup(path, f"its {name} do not fit together: {error.orig}") from error
                if asdict(read.tally()) != manifest["tables"][name]:
                    raise _no_backup(path, f"its {name} were changed or cut off since it was made")
                written[name] = taken.tally()
            move.go_on_after(connection, manifest["last_number"])
            move.compare(connection, written, catalog.name)
        return Restored(written, float(manifest["made"]), _json(archive, _MORE, path))


def _entry(table: str) -> str:
    return f"tables/{table}.jsonl"


def _no_backup(path: Path, reason: str) -> BadInput:
    return BadInput(f"{path} cannot be restored: {reason}. Nothing was changed; use another backup.")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, if it holds what a backup holds, once each, and no more than that."""
    from explorer.catalog import move

    wanted = {_MANIFEST, _MORE, *(_entry(name) for name in move.TABLES if name not in LEFT_OUT)}
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) != len(wanted) or {info.filename for info in infos} != wanted:
                raise _no_backup(path, "it does not hold the files of a backup")
            for info in infos:
                packed = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and not info.flag_bits & 1
                bomb = info.file_size > 1_000_000 and info.file_size > MOST_RATIO * max(info.compress_size, 1)
                if not packed or bomb or sum(each.file_size for each in infos) > MOST_BYTES:
                    raise _no_backup(path, f"{info.filename} is packed as no backup is, or larger than one may be")
            yield archive
    except FileNotFoundError as error:
        raise BadInput(f"There is no file {path}; name the backup to restore.") from error
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
        raise _no_backup(path, f"it is no whole zip ({error})") from error


def _json(archive: zipfile.ZipFile, name: str, path: Path) -> Any:
    if archive.getinfo(name).file_size > MOST_LINE:
        raise _no_backup(path, f"{name} is larger than it may be")
    return _parsed(archive.read(name), name, path)


def _parsed(content: bytes, name: str, path: Path) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _no_backup(path, f"{name} is no JSON ({error})") from error


def _checked_manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    from explorer.catalog import move, schema

    found = _json(archive, _MANIFEST, path)
    if not isinstance(found, dict) or not isinstance(found.get("tables"), dict):
        raise _no_backup(path, f"{_MANIFEST} does not say what is in it")
    if found.get("format") != FORMAT or str(found.get("revision")) > schema.REVISION:
        raise _no_backup(path, "it was made by a newer version of this program; update it")
    if any(name not in LEFT_OUT and name not in found["tables"] for name in move.TABLES):
        raise _no_backup(path, f"{_MANIFEST} does not say what is in it")
    number = found.get("last_number")
    if not isinstance(number, int) or not 0 <= number < 2**62 or not isinstance(found.get("made"), int | float):
        raise _no_backup(path, f"{_MANIFEST} does not say what is in it")
    return found


def _rows(archive: zipfile.ZipFile, table: "sa.Table", path: Path) -> Iterator[dict[str, Any]]:
    name = _entry(table.name)
    kinds = {column.name: (_kind(column), column.nullable) for column in table.columns}
    with archive.open(name) as file:
        while line := file.readline(MOST_LINE + 1):
            if len(line) > MOST_LINE:
                raise _no_backup(path, f"a line of {name} is longer than it may be")
            row = _parsed(line, name, path)
            if not isinstance(row, dict) or row.keys() != kinds.keys():
                raise _no_backup(path, f"a line of {name} has other columns than this version of the program")
            for column, value in row.items():
                fits, nullable = kinds[column]
                if not (nullable if value is None else fits(value)):
                    raise _no_backup(path, f"'{column}' of a line of {name} is of the wrong kind")
            yield row


def _kind(column: "sa.Column[Any]") -> Callable[[Any], bool]:
    """Whether a value of JSON may stand in a column."""
    import sqlalchemy as sa

    if isinstance(column.type, sa.JSON):
        return lambda value: True
    if isinstance(column.type, sa.Boolean):
        return lambda value: isinstance(value, bool)
    if isinstance(column.type, sa.Integer):
        return lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62
    if isinstance(column.type, sa.Double):
        return lambda value: isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
    return lambda value: isinstance(value, str) and "\0" not in value

"""Rows of the catalogue on their way to another database or a file: all of them, as they are, with the same numbers."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from explorer.catalog.database import Catalog
from explorer.catalog.schema import metadata
from explorer.errors import BadInput, Busy

CHUNK = 2_000
EMPTY_STAYS = frozenset({"datasets", "jobs", "claims"})
"""What a program makes by itself: a database that holds no more than that holds nothing yet."""


def _exact() -> dict[str, sa.Table]:
    """The tables in an order in which rows may be written; what is NULL in a column of JSON is written as NULL."""
    copy = sa.MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(copy)
    for table in copy.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, sa.JSON) and column.nullable:
                column.type = sa.JSON(none_as_null=True)
    return {table.name: table for table in copy.sorted_tables}


TABLES = _exact()


@dataclass(frozen=True)
class Tally:
    """How many rows a table has, and a checksum of everything in them in the order of their keys."""

    rows: int
    checksum: str


class Counter:
    """Counts rows that pass by; the same rows give the same `Tally`, whatever database or file they come from."""

    def __init__(self) -> None:
        self._rows, self._digest = 0, hashlib.blake2b(digest_size=16)

    def passed(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            self._rows += 1
            self._digest.update(as_line(row).encode("utf-8", "surrogatepass") + b"\n")
            yield row

    def tally(self) -> Tally:
        return Tally(self._rows, self._digest.hexdigest())


def as_line(row: dict[str, Any]) -> str:
    """One row as one line of JSON."""
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def rows_of(connection: Connection, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a table by its key, a few thousand in memory at a time."""
    table = TABLES[name]
    keys = [_by_code(column, connection) for column in table.primary_key]
    wanted = sa.select(table).order_by(*keys).execution_options(yield_per=CHUNK)
    for row in connection.execute(wanted):
        yield dict(row._mapping)


def _by_code(column: sa.Column[Any], connection: Connection) -> sa.ColumnElement[Any]:
    """A key in an order that both databases share; PostgreSQL would sort text by the rules of some language."""
    if connection.dialect.name == "postgresql" and isinstance(column.type, sa.Text):
        return sa.collate(column, "C")
    return column


def write_rows(connection: Connection, name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows that were `rows_of` another database. The caller has the transaction."""
    table = TABLES[name]
    merged: list[dict[str, Any]] = []
    coming = iter(rows)
    while listed := list(islice(coming, CHUNK)):
        if name == "classes":  # a class may have gone into one that comes later
            merged += [{"of": row["id"], "into": row["merged_into"]} for row in listed if row["merged_into"]]
            listed = [{**row, "merged_into": None} for row in listed]
        connection.execute(table.insert(), listed)
    if merged:
        change = table.update().where(table.c.id == sa.bindparam("of")).values(merged_into=sa.bindparam("into"))
        connection.execute(change, merged)


def last_number(connection: Connection) -> int:
    """The highest number that an answer was ever given; 0 if there was none."""
    if connection.dialect.name == "postgresql":
        found = connection.execute(
            sa.text("select case when is_called then last_value else 0 end from answers_seq_seq")
        )
        return int(found.scalar_one())
    found = connection.execute(sa.text("select seq from sqlite_sequence where name = 'answers'"))
    return int(found.scalar() or 0)


def go_on_after(connection: Connection, number: int) -> None:
    """Have the next answer get a higher number than `number`."""
    number = max(number, int(connection.execute(sa.text("select coalesce(max(seq), 0) from answers")).scalar_one()))
    if number and connection.dialect.name == "postgresql":
        connection.execute(sa.text("select setval('answers_seq_seq', :n)"), {"n": number})
    elif number:
        connection.execute(sa.text("delete from sqlite_sequence where name = 'answers'"))
        connection.execute(sa.text("insert into sqlite_sequence (name, seq) values ('answers', :n)"), {"n": number})


def refuse_filled(connection: Connection, shown: str) -> None:
    """Raises BadInput if people have made something in this database already."""
    for name, table in TABLES.items():
        if name not in EMPTY_STAYS and connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise BadInput(
                f"{shown} holds {name} already, and the two would be mixed. Name an empty database, or move this one "
                "out of the way first. Nothing was changed."
            )


def move(source: Catalog, target: Catalog) -> dict[str, Tally]:
    """Copy every row to an empty catalogue, with the same ids and numbers; returns what was copied, by table.

    Nobody can write to the source meanwhile, and it stays as it was. Everything is read back and compared before it
    counts. Raises BadInput if the target holds something or what it gives back differs (then it stays empty), Busy if
    a job runs.
    """
    if source.url == target.url:
        raise BadInput(f"{source.name} is where everything is already; name another database.")
    with source.writing() as reading, target.writing() as writing:
        if reading.dialect.name == "postgresql":
            reading.execute(sa.text(f"lock table {', '.join(TABLES)} in share mode"))
        jobs = TABLES["jobs"]
        alive = (jobs.c.state == "running") & (jobs.c.lease_until > source.now(reading))
        if reading.execute(sa.select(jobs.c.id).where(alive)).first():
            raise Busy("A job is running; wait until it has ended, or stop it, and move then. Nothing was changed.")
        refuse_filled(writing, target.name)
        found: dict[str, Tally] = {}
        for name in reversed(TABLES):
            writing.execute(TABLES[name].delete())
        try:
            for name in TABLES:
                counter = Counter()
                write_rows(writing, name, counter.passed(rows_of(reading, name)))
                found[name] = counter.tally()
        except (sa.exc.DataError, sa.exc.IntegrityError, sa.exc.StatementError) as error:
            if isinstance(error, sa.exc.OperationalError):
                raise
            raise BadInput(
                f"{target.name} cannot take the {name}: {error.orig or error}. Nothing was changed."
            ) from error
        go_on_after(writing, last_number(reading))
        compare(writing, found, target.name)
    return found


def compare(connection: Connection, expected: dict[str, Tally], shown: str) -> None:
    """Raises BadInput if tables do not hold what they should; the caller's transaction is then undone."""
    for name, tally in expected.items():
        counter = Counter()
        for _ in counter.passed(rows_of(connection, name)):
            pass
        if counter.tally() != tally:
            raise BadInput(f"{shown} gave back other {name} than were written to it. Nothing was changed there.")

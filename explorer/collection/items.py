"""The table of items: its columns, their types, and its files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from explorer.durable import write_parquet

OK, PROBLEM, GONE = "ok", "problem", "gone"
META = "meta:"
GROUND = "ground: "
"""Begins the names of the columns that pictures from above bring themselves, among the user's own."""
_STORED_GENERATIONS = 3
_TYPES = {
    "uid": "str",
    "path": "str",
    "content_hash": "str",
    "size": "int64",
    "mtime_ns": "int64",
    "width": "int32",
    "height": "int32",
    "status": "str",
    "problem": "str",
    "caption": "str",
}


def build(rows: Iterable[dict[str, Any]], meta: list[dict[str, Any]]) -> pd.DataFrame:
    """The table from one dict a row and, beside it, the user's columns of that row (str, int, float or None)."""
    listed = list(rows)
    table = pd.DataFrame({name: pd.Series([row[name] for row in listed], dtype=kind) for name, kind in _TYPES.items()})
    names = dict.fromkeys(name for row in meta for name in row)
    columns = {META + name: _column([row.get(name) for row in meta]) for name in names}
    return pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1)


def meta_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The user's columns of each row as plain values, None where missing: the inverse of `build`."""
    names = [name for name in table.columns if name.startswith(META)]
    if not names:
        return [{} for _ in range(len(table))]
    columns = [plain(table[name]) for name in names]
    short = [name.removeprefix(META) for name in names]
    return [dict(zip(short, values, strict=True)) for values in zip(*columns, strict=True)]


def with_grounds(table: pd.DataFrame, grounds: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """With one column for each thing that pictures say of their ground, by content hash, in place of those before."""
    others = table.drop(columns=[name for name in table.columns if name.startswith(META + GROUND)])
    rows = [grounds.get(content, {}) for content in table["content_hash"].tolist()]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {META + GROUND + name: _column([row.get(name) for row in rows]) for name in names}
    return pd.concat([others, pd.DataFrame(columns, index=others.index)], axis=1) if names else others


def plain(column: pd.Series) -> list[Any]:
    """A column as str, int, float or None."""
    missing = column.isna().tolist()
    return [None if gone else value for value, gone in zip(column.tolist(), missing, strict=True)]


def write(folder: Path, generation: int, table: pd.DataFrame) -> None:
    write_parquet(folder / f"{generation:06d}.parquet", table)


def read(folder: Path, generation: int) -> pd.DataFrame:
    """One generation; the empty table for generation 0."""
    if generation == 0:
        return build([], [])
    table = pd.read_parquet(folder / f"{generation:06d}.parquet")
    kinds = {name: kind for name, kind in _TYPES.items() if str(table[name].dtype) != kind}
    return table.astype(kinds) if kinds else table


def forget_old(folder: Path, generation: int) -> None:
    """Remove generations that nobody reads any more; each reader holds its own in memory."""
    for path in folder.glob(".*.parquet.*"):
        path.unlink(missing_ok=True)  # half-written by a killed process
    for path in folder.glob("*.parquet"):
        if int(path.stem) <= generation - _STORED_GENERATIONS or int(path.stem) > generation:
            path.unlink(missing_ok=True)


def _column(values: list[Any]) -> pd.Series:
    filled = [value for value in values if value is not None]
    whole = all(isinstance(value, int) and -(2**63) <= value < 2**63 for value in filled)
    if filled and whole and len(filled) == len(values):
        return pd.Series(values, dtype="int64")
    if filled and all(isinstance(value, int | float) for value in filled):
        return pd.Series(values, dtype="float64")
    return pd.Series([None if value is None else str(value) for value in values], dtype="str")

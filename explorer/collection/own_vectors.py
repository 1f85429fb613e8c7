"""Vectors that somebody computed elsewhere, read from a file of numbers and matched with the pictures by their keys."""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.errors import BadInput, NotFound

ENDINGS = (".npy", ".npz", ".parquet", ".pq")
MOST_NUMBERS = 20_000
_KEY_NAMES = ("key", "uid", "id", "path", "file", "filename", "file_name", "image", "name")


def read_vectors(path: str, present: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, str]:
    """The rows of a file that belong to present pictures: (m,) places in `present`, (m, d) float32, and a hash of what
    went in.

    `.npy`: (n, d), with a text file beside it, `<name>.keys.txt`, one key a line; without that, one row for each
    picture in the order of the table. `.npz`: the array "vectors" with "keys", or alone. `.parquet`: a column of keys
    and either a column of lists or columns of numbers. A key is a picture's name (uid), else its path. Pictures without
    a row are left out; rows without a picture are not looked at. Nothing is unpickled. Raises NotFound, BadInput.
    """
    file = Path(path).expanduser()
    if not file.is_absolute() or file.suffix.lower() not in ENDINGS:
        raise BadInput(f"Vectors are read from the full path of a file ending in {', '.join(ENDINGS)}, not '{path}'.")
    try:
        vectors, keys = _read_table(file) if file.suffix.lower() in (".parquet", ".pq") else _read_arrays(file)
    except FileNotFoundError:
        raise NotFound(f"The file of vectors {file} is not there. Put it back, or leave it out.") from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise BadInput(f"{file.name} cannot be read as vectors: {error}") from None
    _check(vectors, keys, file.name)
    if keys is None:
        if len(vectors) != len(present):
            raise BadInput(
                f"{file.name} has {len(vectors):,} rows and no keys, and there are {len(present):,} pictures. Write "
                f"the pictures' names, one a line, into {file.stem}.keys.txt beside it."
            )
        keys = present["uid"].tolist()
    places, rows = _matched(keys, present, file.name)
    found = np.asarray(vectors[rows], np.float64)
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1) | (np.abs(found) > 1e30).any(axis=1))
    if len(bad):
        raise BadInput(f"{file.name}: the vector of '{keys[rows[bad[0]]]}' holds a value that is no finite number.")
    values = found.astype(np.float32)
    digest = hashlib.blake2b(digest_size=16)
    digest.update("\n".join(present["uid"].iloc[places]).encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(values, "<f4").tobytes())
    return places, values, digest.hexdigest()


def _read_arrays(file: Path) -> tuple[np.ndarray, list[str] | None]:
    if file.suffix.lower() == ".npy":
        vectors = np.load(file, mmap_mode="r", allow_pickle=False)
        beside = file.with_name(f"{file.stem}.keys.txt")
        if not beside.exists():
            return vectors, None
        text = beside.read_text(encoding="utf-8-sig")
        return vectors, [line.strip() for line in text.splitlines() if line.strip()]
    with np.load(file, allow_pickle=False) as arrays:
        names = list(arrays.files)
        if "vectors" not in names and len(names) != 1:
            raise BadInput(f"{file.name} has no array 'vectors'; it has: {', '.join(names) or 'nothing'}.")
        vectors = arrays["vectors" if "vectors" in names else names[0]]
        if "keys" not in names:
            return vectors, None
        keys = arrays["keys"]
        if keys.ndim != 1 or keys.dtype.kind not in "USiu":
            raise BadInput(f"The keys of {file.name} are not a list of texts or whole numbers.")
        texts = np.char.decode(keys, "utf-8") if keys.dtype.kind == "S" else keys
        return vectors, [str(key) for key in texts.tolist()]


def _read_table(file: Path) -> tuple[np.ndarray, list[str] | None]:
    table = pd.read_parquet(file)
    table = table if isinstance(table.index, pd.RangeIndex) else table.reset_index()
    lists = [name for name in table.columns if _holds_lists(table[name])]
    by_name = {str(name).lower(): name for name in table.columns if name not in lists}
    key = next((by_name[name] for name in _KEY_NAMES if name in by_name), None)
    if key is None:
        key = next((name for name in by_name.values() if not pd.api.types.is_numeric_dtype(table[name])), None)
    if key is None:
        raise BadInput(f"{file.name} has no column of keys; name one 'key'.")
    if len(lists) > 1:
        raise BadInput(f"{file.name} has several columns of lists ({', '.join(map(str, lists))}); keep one of them.")
    keys = [str(value) for value in table[key]]
    if lists:
        rows = [np.asarray(row, np.float64) for row in table[lists[0]]]
        lengths = {row.shape for row in rows}
        if len(lengths) > 1:
            raise BadInput(f"The lists in '{lists[0]}' of {file.name} are not all of one length.")
        return np.stack(rows), keys
    numeric = [name for name in table.columns if name != key and pd.api.types.is_numeric_dtype(table[name])]
    if not numeric:
        raise BadInput(f"{file.name} has no column of numbers beside its keys '{key}'.")
    return table[numeric].to_numpy(np.float64, na_value=np.nan), keys


def _holds_lists(column: pd.Series) -> bool:
    return column.dtype == object and len(column) > 0 and isinstance(column.iloc[0], np.ndarray | list)


def _check(vectors: np.ndarray, keys: Sequence[str] | None, name: str) -> None:
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiub" or not len(vectors):
        raise BadInput(
            f"{name} must hold a table of numbers, one row a picture, not {vectors.dtype} of shape {vectors.shape}."
        )
    if not 1 <= vectors.shape[1] <= MOST_NUMBERS:
        raise BadInput(f"{name} has {vectors.shape[1]:,} numbers a row; 1 to {MOST_NUMBERS:,} are possible.")
    if keys is None:
        return
    if len(keys) != len(vectors):
        raise BadInput(f"{name} has {len(vectors):,} rows and {len(keys):,} keys; each row needs one.")
    twice = pd.Series(keys)[pd.Series(keys).duplicated()]
    if len(twice):
        raise BadInput(f"{name} has the key '{twice.iloc[0]}' more than once; keys must differ.")


def _matched(keys: Sequence[str], present: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Places in `present`, and the rows of the file that belong there: by uid, and where that is unknown by path."""
    row_of = {key: row for row, key in enumerate(keys)}
    rows = present["uid"].map(row_of)
    rows = rows.fillna(present["path"].map(row_of))
    places = np.flatnonzero(rows.notna())
    if not len(places):
        raise BadInput(
            f"None of the {len(keys):,} keys of {name} names a picture here: its first is '{keys[0]}', a picture here "
            f"is called '{present['uid'].iloc[0]}'."
        )
    return places, rows.iloc[places].to_numpy(np.int64)

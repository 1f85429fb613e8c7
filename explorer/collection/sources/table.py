"""Pictures named by a table, with everything else that the table says of them."""

import csv
import io
import json
import math
import numbers
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.collection.sources.base import Entry, OutOfReach
from explorer.collection.sources.files import Confined, reason
from explorer.collection.sources.names import storable, words
from explorer.errors import BadInput, NotFound

EXTENSIONS = frozenset({"csv", "tsv", "parquet", "pq"})
_IMAGE_NAMES = ("image", "image_path", "imagepath", "image_file", "file", "filename", "file_name", "filepath",
                "file_path", "path", "picture", "photo", "img")  # fmt: skip
_KEY_NAMES = ("key", "uid", "id", "accession", "accession_number", "accession_no", "object_id", "objectid",
              "inventory_number", "identifier", "item_id", "image_id", "guid", "uuid")  # fmt: skip
_CAPTION_NAMES = ("caption", "title", "description", "name")
_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*|\d*\.\d+|0\.|[1-9]\d*\.)(?:[eE][+-]?\d+)?")


class TableSource:
    """A CSV, TSV or Parquet file with a column of picture paths relative to it.

    Spec: `{"kind": "table", "path": …, "image_column": …, "key_column": … | null, "caption_column": … | null}`.
    With a key column, items are named by it. Every other column is kept; a column is numeric if all
    its values are.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self._path = Path(spec["path"])
        self.spec = {
            "kind": "table",
            "path": str(self._path),
            "image_column": spec["image_column"],
            "key_column": spec.get("key_column"),
            "caption_column": spec.get("caption_column"),
        }
        self.keyed = bool(self.spec["key_column"])
        self.ignored = 0
        self._files = Confined(self._path.parent)

    def entries(self) -> Iterator[Entry]:
        table = read_table(self._path)
        image, key, caption = (self.spec[f"{which}_column"] for which in ("image", "key", "caption"))
        for name in (image, key, caption):
            if name and name not in table.columns:
                has = ", ".join(map(str, table.columns))
                raise BadInput(f"{self._path.name} has no column '{name}'; it has: {has}.")
        columns = {name: _values(table[name]) for name in table.columns if name not in (image, key, caption)}
        images = [_text(value) for value in table[image]]
        keys = [_text(value) for value in table[key]] if key else [None] * len(table)
        captions = [_text(value) for value in table[caption]] if caption else [None] * len(table)
        for number, (path, item_key, title) in enumerate(zip(images, keys, captions, strict=True), start=1):
            row = {str(name): values[number - 1] for name, values in columns.items()}
            yield self._entry(number, path, item_key, title or None, row)

    def read(self, path: str) -> bytes:
        return self._files.read(path)

    def _entry(self, number: int, path: str, key: str | None, title: str | None, columns: dict[str, Any]) -> Entry:
        stored = storable(path.replace("\\", "/").removeprefix("./"))
        key = storable(key) if key else None
        problem = None
        if not path:
            stored, problem = f"(row {number})", f"row {number} of the table names no picture"
        elif self.keyed and not key:
            problem = f"row {number} of the table has no {self.spec['key_column']}"
        elif re.match(r"[a-z][a-z0-9+.-]+://", path, re.IGNORECASE):
            problem = "it is a web address; only files beside the table are read"
        if problem is None:
            try:
                status = self._files.stat(stored)
                return Entry(stored, status.st_size, status.st_mtime_ns, key, title or words(stored), columns)
            except OutOfReach as error:
                problem = str(error)
        return Entry(stored, key=key, caption=title or words(stored), columns=columns, problem=problem)


def read_table(path: Path) -> pd.DataFrame:
    """The whole table; every CSV value as text, so that the key 0012 stays 0012. Raises NotFound, BadInput."""
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table = pd.read_parquet(path)
            return table if isinstance(table.index, pd.RangeIndex) else table.reset_index()
        text = _decoded(path.read_bytes())
        return pd.read_csv(io.StringIO(text), sep=_separator(text), dtype=str, keep_default_na=False, index_col=False)
    except FileNotFoundError:
        raise NotFound(f"The table {path} is not there. Put it back, or add the dataset anew.") from None
    except OSError as error:
        raise BadInput(f"The table {path} cannot be read: {reason(error)}.") from None
    except (ValueError, csv.Error) as error:  # pandas' parser errors and Arrow's are ValueErrors
        raise BadInput(f"{path.name} is not a table that can be read: {error}") from None


def guess_columns(path: Path) -> dict[str, str | None]:
    """Which columns hold the pictures, the keys and the captions, by name and then by content.

    Raises BadInput if no column looks like pictures.
    """
    table = read_table(path)
    by_name = {re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_"): str(name) for name in table.columns}
    image = next((by_name[name] for name in _IMAGE_NAMES if name in by_name), None)
    if image is None:
        image = next((str(name) for name in table.columns if _looks_like_pictures(table[name])), None)
    if image is None:
        raise BadInput(f"No column of {path.name} looks like pictures' files; name one: {', '.join(by_name.values())}.")
    key = next((by_name[name] for name in _KEY_NAMES if name in by_name and _is_key(table[by_name[name]])), None)
    caption = next((by_name[name] for name in _CAPTION_NAMES if name in by_name and by_name[name] != image), None)
    return {"image_column": image, "key_column": None if key == image else key, "caption_column": caption}


def _looks_like_pictures(values: pd.Series) -> bool:
    sample = [_text(value) for value in values.head(20)]
    return bool(sample) and all(
        re.search(r"\.(jpe?g|png|webp|gif|bmp|tiff?)$", value, re.IGNORECASE) for value in sample
    )


def _is_key(values: pd.Series) -> bool:
    """Nearly every value is there and occurs once; a few slips are shown as problems, a category is no key."""
    texts = pd.Series([_text(value) for value in values], dtype="str")
    filled = texts[texts != ""]
    return len(filled) > 0 and len(filled) >= 0.5 * len(texts) and filled.nunique() >= 0.9 * len(filled)


def _decoded(content: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("cp1252", errors="replace")  # what older spreadsheet programs write


def _separator(text: str) -> str:
    head = text.split("\n", 1)[0]
    return max(",;\t|", key=head.count)


def _text(value: Any) -> str:
    """A cell as text; missing is "", and a whole number read as a float is written as whole."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _values(column: pd.Series) -> list[Any]:
    """The cells of a metadata column as str, int, float or None."""
    plain = [_plain(value) for value in column]
    filled = [value for value in plain if value is not None]
    if all(isinstance(value, str) for value in filled):
        if filled and all(_NUMBER.fullmatch(value) for value in filled):
            whole = all(re.fullmatch(r"[+-]?\d{1,15}", value) for value in filled)
            return [None if value is None else int(value) if whole else float(value) for value in plain]
        return plain
    if all(isinstance(value, int | float) for value in filled):
        return plain
    return [None if value is None else str(value) for value in plain]


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list | tuple | np.ndarray):
        return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, default=str, ensure_ascii=False)
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    return _text(value) or None

"""Where pictures come from: a folder, a table, a zip; others join behind the same protocol."""

from pathlib import Path
from typing import Any

from explorer.collection.sources.archive import ZipSource
from explorer.collection.sources.base import IMAGE_EXTENSIONS, Entry, OutOfReach, Source
from explorer.collection.sources.folder import FolderSource
from explorer.collection.sources.names import original, storable, words
from explorer.collection.sources.rooted import RootedSource
from explorer.collection.sources.table import EXTENSIONS as TABLE_EXTENSIONS
from explorer.collection.sources.table import TableSource, guess_columns
from explorer.errors import BadInput, NotFound

__all__ = [
    "IMAGE_EXTENSIONS", "Entry", "FolderSource", "OutOfReach", "RootedSource", "Source", "TableSource", "ZipSource",
    "detect", "open_source", "original", "storable", "words",
]  # fmt: skip

_KINDS: dict[str, type[FolderSource] | type[TableSource] | type[ZipSource]] = {
    "folder": FolderSource,
    "table": TableSource,
    "zip": ZipSource,
}


def open_source(spec: dict[str, Any]) -> Source:
    """The source that a spec describes. Looks at nothing yet. Raises BadInput for a spec of no known kind."""
    kind = spec.get("kind")
    if kind not in _KINDS:
        raise BadInput(f"'{kind}' is no kind of source; there are: {', '.join(_KINDS)}.")
    missing = [name for name in ("path", *(["image_column"] if kind == "table" else [])) if not spec.get(name)]
    if missing:
        raise BadInput(f"A source of kind '{kind}' needs: {', '.join(missing)}.")
    return _KINDS[kind](spec)


def detect(path: str | Path) -> dict[str, Any]:
    """The spec for a folder, a table or a zip, with the columns of a table guessed from their names.

    Raises NotFound if nothing is there, BadInput if it is something else.
    """
    place = Path(path).expanduser().absolute()
    if place.is_dir():
        return {"kind": "folder", "path": str(place), "classes": None}
    if not place.is_file():
        raise NotFound(f"There is nothing at {place}. Give a folder of pictures, a zip, or a CSV or Parquet table.")
    extension = place.suffix.lower().removeprefix(".")
    if extension == "zip":
        return {"kind": "zip", "path": str(place)}
    if extension in TABLE_EXTENSIONS:
        return {"kind": "table", "path": str(place), **guess_columns(place)}
    raise BadInput(f"{place.name} is neither a folder of pictures, a zip, nor a CSV or Parquet table.")

"""What leaves: lists that a spreadsheet cannot be tricked with, and files under safe names."""

import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import quote

import pandas as pd

from explorer.collection.dataset import Dataset
from explorer.errors import ExplorerError

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
INTERNAL = ("mtime_ns", "content_hash")


def safe_cell(value: object) -> object:
    """Text that a spreadsheet would run as a formula gets a ' before it; numbers stay numbers.

    (The signs are those of OWASP's page on CSV injection.)
    """
    if isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def items_csv(items: pd.DataFrame) -> str:
    """A table as formula-safe CSV, its column names too; `meta:` is dropped, the app's inner columns are left out."""
    table = items.drop(columns=[name for name in INTERNAL if name in items])
    names = [str(name).removeprefix("meta:") for name in table.columns]
    safe = pd.DataFrame({place: [safe_cell(value) for value in table.iloc[:, place]] for place in range(len(names))})
    safe.columns = pd.Index([safe_cell(name) for name in names])
    return safe.to_csv(index=False, lineterminator="\r\n", errors="surrogateescape")


def safe_name(path: str) -> str:
    """A file name that is one on every system: no folder, no control signs, not hidden, at most 120 characters."""
    name = unicodedata.normalize("NFC", PurePosixPath(path.replace("\\", "/")).name)
    name = name.encode("utf-8", "replace").decode()
    name = _UNSAFE.sub("_", name).strip(" .")
    if len(name) > 120:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[: 119 - len(ending)]}.{ending}" if dot and len(ending) <= 10 else name[:120]
    if not name or _RESERVED.fullmatch(name):
        name = f"_{name}"
    return name


def attachment(name: str) -> str:
    """A Content-Disposition that downloads under `name`, whatever is in it (RFC 6266)."""
    plain = safe_name(name).encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe_name(name), safe='')}"


class Pipe(io.RawIOBase):
    """Takes what ZipFile or Parquet writes and gives it out in pieces, so that no whole file is held anywhere."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self.pieces.append(piece)
        self.at += len(piece)
        return len(piece)

    def taken(self) -> bytes:
        taken = b"".join(self.pieces)
        self.pieces.clear()
        return taken


def zip_stream(dataset: Dataset, items: pd.DataFrame) -> Iterator[bytes]:
    """The files of `items` and a list of them, as a zip in pieces. What cannot be read is named in `problems.txt`."""
    pipe = Pipe()
    unused = Names("list.csv", "problems.txt")
    problems = []
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        names = []
        for item in items.to_dict("records"):
            name = unused.new(str(item["path"]))
            try:
                archive.writestr(name, dataset.source.read(str(item["path"])))
                names.append(name)
            except ExplorerError as error:
                problems.append(f"{item['path']}: {error}")
                names.append("")
            yield pipe.taken()
        archive.writestr("list.csv", items_csv(items.assign(file=names)).encode("utf-8-sig"))
        if problems:
            archive.writestr("problems.txt", "\r\n".join(problems).encode("utf-8", "backslashreplace"))
    yield pipe.taken()


def safe_folder(name: str) -> str:
    """Any text as the name of one folder: a class "cats/dogs" is cats_dogs."""
    return safe_name(re.sub(r"[/\\]", "_", name))


class Names:
    """Gives every file a name of its own in one folder, however many are called alike; case makes no difference."""

    def __init__(self, *taken: str) -> None:
        self._used = {name.casefold() for name in taken}
        self._next: dict[str, int] = {}

    def new(self, path: str) -> str:
        """A safe name for `path` that no earlier one has: cat.jpg, cat-2.jpg, …"""
        name = safe_name(path)
        stem, dot, ending = name.rpartition(".")
        found, number = name, self._next.get(name.casefold(), 2)
        while found.casefold() in self._used:
            found = f"{stem}-{number}.{ending}" if dot else f"{name}-{number}"
            number += 1
        self._next[name.casefold()] = number
        self._used.add(found.casefold())
        return found

"""What a source is: a list of pictures and a way to read one, wherever they lie."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from explorer.errors import Unreadable

IMAGE_EXTENSIONS = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"})
MAX_FILE_BYTES = 1 << 30
"""A file above this is not read: no picture within the pixel limit needs it."""


class OutOfReach(Unreadable):
    """The bytes of a picture could not be got this time (vanished, changed, forbidden); a later scan tries again."""


@dataclass(frozen=True)
class Entry:
    """One picture of a listing, or one thing that should have been a picture."""

    path: str
    """What `Source.read` takes; unique in a listing unless a table names a file twice. Valid UTF-8 without control
    characters."""
    size: int = 0
    mtime_ns: int = -1
    """Changes whenever the bytes do; -1 if unknown."""
    key: str | None = None
    caption: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    """The user's columns: str, int, float or None."""
    problem: str | None = None
    """Why it cannot be read, if that is known without reading it."""


class Source(Protocol):
    """A place that pictures come from."""

    spec: dict[str, Any]
    """JSON that opens the same source again. `entries` may add to it what it found out."""
    keyed: bool
    """Items are named by the source's own keys rather than by path."""
    ignored: int
    """How many files the last finished `entries` left out because they are no pictures by their names."""

    def entries(self) -> Iterator[Entry]:
        """List everything; one thing that cannot be listed becomes an entry with a problem. Raises NotFound or
        BadInput if the source as a whole cannot be listed."""
        ...

    def read(self, path: str) -> bytes:
        """The bytes of one picture. Raises OutOfReach. Safe to call from several threads at once."""
        ...


def has_image_extension(name: str) -> bool:
    return "." in name and name.rpartition(".")[2].lower() in IMAGE_EXTENSIONS


def is_sidecar(path: str) -> bool:
    """Is this one of macOS' companion files (`._cat.jpg`, `__MACOSX/…`), which look like pictures and never are?"""
    parts = path.split("/")
    return parts[-1].startswith("._") or "__MACOSX" in parts

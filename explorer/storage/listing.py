"""The files of one generation of a dataset: what is written down of them, in which order they count, what of them is
known to lie here.

A file is its size and the BLAKE2b of each 64 MB of it. A listing comes from elsewhere: only paths of the shapes that a
dataset has are taken, so that nothing is written outside its folder or beside what it knows.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.durable import lock, read_json, write_json
from explorer.errors import BadInput, Busy

BLOCK = 64 * 2**20
FOLDER = ".storage"
"""In a dataset's folder: what is known here about the storage, and what is on its way."""
PICTURES = "thumbs/pictures.db"
DATASET = "dataset.json"
_FORMAT = 1
_LARGEST_BLOCK = 2**30
_NAME = re.compile(r"[0-9a-f]{64}")
_PART = r"[^\W_][\w-]*"  # letters of any script: a feature may be called by a column
_PLAIN = r"[^\W_][\w.-]*"
_ORDER = (
    re.compile(rf"items/\d{{6,}}\.parquet|{PICTURES}|invariance/{_PART}\.json|features/{_PART}/(parts/)?{_PLAIN}\.np[yz]"
               rf"|spaces/{_PART}/g\d{{6,}}/{_PLAIN}\.(npy|npz|parquet)"),
    re.compile(r"dataset\.json"),
    re.compile(rf"features/{_PART}/manifest\.json"),
    re.compile(rf"spaces/{_PART}/manifest\.json"),
)  # fmt: skip
"""The paths that there are, in the order in which whoever reads meanwhile may see them: what a manifest names is there
before it, the items before what was computed of them, features before the spaces that rest on them."""


@dataclass(frozen=True)
class File:
    """One file: its path below the dataset's folder, its size in bytes, the names of its blocks in order."""

    path: str
    size: int
    blocks: tuple[str, ...]
    like: str = ""
    """An earlier file of the listing that is the same one under another name; "" if there is none."""


@dataclass(frozen=True)
class Listing:
    """A generation; `block` is the size of all blocks but the last of a file, `created` tells collections apart that
    have the same id."""

    dataset: str
    created: str
    block: int
    files: tuple[File, ...]

    def as_bytes(self) -> bytes:
        files = [
            {"path": each.path, "like": each.like}
            if each.like
            else {"path": each.path, "size": each.size, "blocks": each.blocks}
            for each in self.files
        ]
        said = {"format": _FORMAT, "dataset": self.dataset, "created": self.created, "block": self.block}
        return json.dumps({**said, "files": files}, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, content: bytes, dataset_id: str) -> "Listing":
        """Raises BadInput for what is no listing of that dataset, or names what it must not."""
        try:
            said = json.loads(content)
            if said["format"] != _FORMAT:
                raise BadInput(f"{dataset_id} was published by a newer version of this program; update this one.")
            block = said["block"]
            if said["dataset"] != dataset_id or type(block) is not int or not 0 < block <= _LARGEST_BLOCK:
                raise _hostile(dataset_id, "it is of something else")
            files: dict[str, File] = {}
            for each in said["files"]:
                file = _file(dataset_id, each, files, block)
                if file.path in files:
                    raise _hostile(dataset_id, f"it names {file.path!r} twice")
                files[file.path] = file
            if DATASET not in files:
                raise _hostile(dataset_id, "the collection itself is not in it")
            return cls(dataset_id, str(said["created"]), block, tuple(files.values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _hostile(dataset_id, "it is damaged") from error

    def in_order(self) -> list[File]:
        return sorted(self.files, key=lambda each: (rank(each.path), bool(each.like)))

    def names(self) -> set[str]:
        """Of all blocks."""
        return {name for file in self.files for name in file.blocks}

    def length(self, file: File, number: int) -> int:
        """Of a block of a file, in bytes."""
        return min(self.block, file.size - number * self.block)


def _file(dataset_id: str, said: dict[str, Any], before: dict[str, File], block: int) -> File:
    path = said["path"]
    if not isinstance(path, str) or rank(path) is None:
        raise _hostile(dataset_id, f"{str(path)[:80]!r} is no file of a collection")
    if "like" in said:
        same = before.get(said["like"])
        if same is None or same.like:
            raise _hostile(dataset_id, f"{path!r} is like nothing that comes before it")
        return File(path, same.size, same.blocks, same.path)
    size, blocks = said["size"], tuple(said["blocks"])
    if type(size) is not int or size < 0 or len(blocks) != -(-size // block):
        raise _hostile(dataset_id, f"the size of {path!r} is not that of its blocks")
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in blocks):
        raise _hostile(dataset_id, f"{path!r} has blocks that are none")
    return File(path, size, blocks)


def _hostile(dataset_id: str, why: str) -> BadInput:
    return BadInput(
        f"What the storage says of {dataset_id} cannot be used ({why}); nothing was changed here. Publish it again "
        f"where it is built: python -m explorer publish {dataset_id} --again"
    )


def rank(path: str) -> int | None:
    """When a file of this path may appear (0 first); None for what is no file of a dataset."""
    return next((number for number, shape in enumerate(_ORDER) if shape.fullmatch(path)), None)


def manifest_of(path: str) -> str:
    """The path of what says that a file counts; "" for one that counts by itself."""
    parts = path.split("/")
    if parts[0] in ("features", "spaces"):
        return f"{parts[0]}/{parts[1]}/manifest.json"
    return DATASET if parts[0] == "items" else ""


def digest(content: bytes | memoryview) -> str:
    """The name of a block, or of a listing."""
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def blocks_of(path: Path, block: int) -> Iterator[str]:
    """The names of a file's blocks, reading it."""
    with open(path, "rb", buffering=0) as file:
        held = memoryview(bytearray(block))
        while (length := _fill(file, held)) > 0:
            yield digest(held[:length])


def _fill(file: Any, held: memoryview) -> int:
    length = 0
    while length < len(held) and (some := file.readinto(held[length:])):
        length += some
    return length


class Held:
    """What is known of the files here without reading them: their blocks, for as long as inode, size and time stay.

    `listing` is the name of the one that they were last brought in line with, `before` the paths of that before it.
    """

    def __init__(self, file: Path, block: int) -> None:
        self.file, self.block = file, block
        self.listing = ""
        self.before: list[str] = []
        self._files: dict[str, tuple[list[int], int, list[str]]] = {}
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):  # else everything is read once
            said = read_json(file)
            self.listing, self.before = str(said["listing"]), [str(path) for path in said["before"]]
            if said["block"] == block:
                self._files = {
                    path: (stamp, int(size), list(names)) for path, (stamp, size, names) in said["files"].items()
                }

    def save(self) -> None:
        said = {"listing": self.listing, "before": self.before, "block": self.block, "files": self._files}
        write_json(self.file, said)

    def known(self, path: str, stamp: list[int]) -> tuple[int, list[str]] | None:
        """Size and blocks of a file that has this stamp; None where it must be read."""
        found = self._files.get(path)
        return found[1:] if found is not None and found[0] == stamp else None

    def note(self, path: str, stamp: list[int], size: int, blocks: Iterable[str]) -> None:
        self._files[path] = (stamp, size, list(blocks))

    def keep(self, paths: Iterable[str]) -> None:
        """Forget all others."""
        wanted = set(paths)
        self._files = {path: known for path, known in self._files.items() if path in wanted}

    def unchanged(self, root: Path) -> Iterator[tuple[Path, list[str]]]:
        """The files that still are what was noted, with their blocks."""
        for path, (stamp, _, blocks) in self._files.items():
            if stamp and stamp_of(root / path) == stamp:
                yield root / path, blocks


def stamp_of(path: Path) -> list[int]:
    """Inode, size and time; empty for what is no plain file, also if it leads to one."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [status.st_ino, status.st_size, status.st_mtime_ns] if status.st_mode & 0o170000 == 0o100000 else []


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only process that publishes or fetches a dataset. Raises Busy."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+b") as file:
        try:
            lock(file.fileno())
        except OSError:
            raise Busy(f"{folder.parent.name} is on its way already, by another process here.") from None
        yield

"""Pictures in a folder and the folders below it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from explorer.collection.sources.base import Entry, OutOfReach, has_image_extension, is_sidecar
from explorer.collection.sources.files import Confined, reason
from explorer.collection.sources.names import storable
from explorer.errors import BadInput, NotFound

CLASS_COLUMN = "folder"


class FolderSource:
    """A folder, read recursively.

    Spec: `{"kind": "folder", "path": …, "classes": true | false | null}`. With classes, the first folder of each
    path becomes the column "folder"; null means: if every picture lies exactly one folder down. Once found, classes
    stay on, so that one stray picture does not take a column away.

    Links to files inside the folder are read. Links to folders inside it are passed over, since their pictures are
    listed where they really lie. Links that loop, lead outside or to nothing are problems.
    """

    keyed = False

    def __init__(self, spec: dict[str, Any]) -> None:
        root = Path(spec["path"])
        self.spec = {"kind": "folder", "path": str(root), "classes": spec.get("classes")}
        self.ignored = 0
        self._root = root
        self._files = Confined(root)

    def entries(self) -> Iterator[Entry]:
        self.ignored = 0
        try:
            found = list(self._walk())
        except FileNotFoundError:
            raise NotFound(f"The folder {self._root} is not there. Put it back, or add the dataset anew.") from None
        except (NotADirectoryError, PermissionError) as error:
            raise BadInput(f"The folder {self._root} cannot be listed: {reason(error)}.") from None
        if self.spec["classes"] is None:
            pictures = [entry.path for entry in found if entry.problem is None]
            if pictures and all(path.count("/") == 1 for path in pictures):
                self.spec["classes"] = True
        for entry in found:
            if self.spec["classes"]:
                first, _, below = entry.path.partition("/")
                entry.columns[CLASS_COLUMN] = first if below else None
            yield entry

    def read(self, path: str) -> bytes:
        return self._files.read(path)

    def _walk(self) -> Iterator[Entry]:
        """Depth first in the order of names. Raises OSError if the root itself cannot be listed."""
        with os.scandir(self._root) as listing:
            pending = _sorted(listing, prefix="")
        while pending:
            name, item = pending.pop()
            try:
                if item.is_symlink():
                    yield from self._link(name, item)
                elif item.is_dir(follow_symlinks=False):
                    try:
                        with os.scandir(item.path) as listing:
                            pending.extend(_sorted(listing, prefix=name + "/"))
                    except OSError as error:
                        yield Entry(storable(name) + "/", problem=f"the folder cannot be opened: {reason(error)}")
                elif not has_image_extension(item.name) or is_sidecar(name):
                    self.ignored += 1
                elif not item.is_file(follow_symlinks=False):
                    yield Entry(storable(name), problem="it is not a file")
                else:
                    status = item.stat(follow_symlinks=False)
                    yield Entry(storable(name), status.st_size, status.st_mtime_ns)
            except OSError as error:
                yield Entry(storable(name), problem=reason(error))

    def _link(self, name: str, item: os.DirEntry[str]) -> Iterator[Entry]:
        """A link: a picture, something to pass over, or a problem."""
        path = storable(name)
        try:
            real = self._files.resolve(path)
        except OutOfReach as error:
            if has_image_extension(name) or _leads_to_folder(item):
                yield Entry(path, problem=str(error))
            else:
                self.ignored += 1
            return
        if os.path.isdir(real):
            lies_in = os.path.realpath(os.path.dirname(item.path)) + os.sep
            if lies_in.startswith(real.rstrip(os.sep) + os.sep):
                yield Entry(path, problem="the link leads back to a folder that it lies in")
            else:
                self.ignored += 1
        elif has_image_extension(name) and not is_sidecar(name):
            try:
                status = self._files.stat(path)
                yield Entry(path, status.st_size, status.st_mtime_ns)
            except OutOfReach as error:
                yield Entry(path, problem=str(error))
        else:
            self.ignored += 1


def _leads_to_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:
        return True  # a loop has no end to look at, and a link that hides its end may be a folder


def _sorted(listing: Iterator[os.DirEntry[str]], prefix: str) -> list[tuple[str, os.DirEntry[str]]]:
    """Last name first, so that popping from the end walks in order."""
    return sorted(((prefix + item.name, item) for item in listing), key=lambda pair: pair[0], reverse=True)

"""The storage itself: a few names below one URL, read and written whole.

storage.json                    says that this is one
<dataset>/current.json          which listing counts; switched last
<dataset>/listings/<hash>.json  the files of one generation, see `listing`
<dataset>/blocks/<hash>         at most 64 MB of their bytes, under the BLAKE2b of these
"""

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from explorer.durable import no_room
from explorer.errors import BadInput, ExplorerError, Missing, NotFound, Unavailable

MARK = "storage.json"
T = TypeVar("T")


class Remote:
    """One storage. A connection that broke is made anew at the next call; one call at a time."""

    def __init__(self, url: str) -> None:
        """Raises BadInput for a URL that cannot be one, Missing without the package that it needs."""
        self._url, self._scheme = url, url.partition("://")[0] if "://" in url else "file"
        self._fs: Any = None
        self._root = ""
        self._made: set[str] = set()
        self._lock = threading.Lock()
        if "://" not in url and not os.path.isabs(url):
            raise BadInput(f"EXPLORER_STORAGE is '{url}'; it must be a URL such as s3://bucket/folder, or a full path.")
        from fsspec import get_filesystem_class

        try:
            get_filesystem_class(self._scheme)
        except ImportError as error:
            raise Missing(f"EXPLORER_STORAGE={self._scheme}://… needs a package that is not here: {error}.") from error
        except ValueError as error:
            raise BadInput(f"EXPLORER_STORAGE={self._scheme}://…: fsspec knows no storage of that kind.") from error

    @classmethod
    def needed(cls) -> "Remote":
        """The one that EXPLORER_STORAGE names. Raises Missing where nothing is named."""
        url = os.environ.get("EXPLORER_STORAGE", "").strip()
        if not url:
            raise Missing("No storage is named: set EXPLORER_STORAGE, such as s3://bucket/folder (scaling.md).")
        return cls(url)

    @property
    def name(self) -> str:
        """The URL without the name and password that may stand in it."""
        if "@" not in self._url:
            return self._url
        parts = urlsplit(self._url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()

    def read(self, path: str) -> bytes:
        """Raises NotFound, Unavailable."""
        return self._done(path, lambda fs, whole: bytes(fs.cat_file(whole)))

    def write(self, path: str, content: bytes) -> None:
        """Whoever reads meanwhile may see a part: for what is checked against its name. Raises Unavailable."""
        self._done(path, lambda fs, whole: self._put(fs, whole, content))

    def switch(self, path: str, content: bytes) -> None:
        """Write so that whoever reads sees the old or the new. Raises Unavailable."""

        def switched(fs: Any, whole: str) -> None:
            if _of_objects(fs):  # one appears whole
                self._put(fs, whole, content)
                return
            self._put(fs, f"{whole}.new", content)
            fs.mv(f"{whole}.new", whole)

        self._done(path, switched)

    def sizes(self, folder: str) -> dict[str, int]:
        """What lies in a folder: name to size in bytes, 0 for folders; empty where there is none."""

        def listed(fs: Any, whole: str) -> dict[str, int]:
            fs.invalidate_cache()  # what others wrote meanwhile
            try:
                found = fs.ls(whole, detail=True)
            except FileNotFoundError:
                return {}
            named = [(str(each["name"]).strip("/"), int(each.get("size") or 0)) for each in found]
            # an object store may name the folder itself
            return {name.rpartition("/")[2]: size for name, size in named if name != whole.strip("/")}

        return self._done(folder, listed)

    def remove(self, path: str) -> None:
        """Raises Unavailable; that it is gone already is fine."""

        def removed(fs: Any, whole: str) -> None:
            try:
                fs.rm_file(whole)
            except FileNotFoundError:
                return

        self._done(path, removed)

    def remove_folder(self, path: str) -> None:
        """With the files that lie in it, not those below. Raises Unavailable."""
        for name in self.sizes(path):
            self.remove(f"{path}/{name}")

        def removed(fs: Any, whole: str) -> None:
            with contextlib.suppress(OSError, NotImplementedError):  # object stores know no folders
                fs.rmdir(whole)

        self._done(path, removed)

    def _put(self, fs: Any, whole: str, content: bytes) -> None:
        folder = whole.rpartition("/")[0]
        try:
            if folder not in self._made and not _of_objects(fs):  # there it would make a bucket of a misspelt name
                fs.makedirs(folder, exist_ok=True)
                self._made.add(folder)
            fs.pipe_file(whole, content)
        except FileNotFoundError as error:
            raise Unavailable(f"{self.name} is not there: nothing can be written to it ({error}).") from error

    def _done(self, path: str, action: Callable[[Any, str], T]) -> T:
        with self._lock:
            try:
                try:
                    return self._tried(path, action, anew=self._fs is None)
                except (OSError, EOFError) as error:
                    if isinstance(error, FileNotFoundError):
                        raise
                    return self._tried(path, action, anew=True)  # the connection may have been closed meanwhile
            except ExplorerError:
                raise
            except FileNotFoundError as error:
                raise NotFound(f"There is no {path} in {self.name}.") from error
            except NotImplementedError as error:
                raise BadInput(f"{self.name} can only be read; publish to a storage that takes files.") from error
            except Exception as error:  # every driver has errors of its own
                self._fs = None
                full = isinstance(error, OSError) and no_room(error)
                why = "it has no room left" if full else f"{type(error).__name__}: {self._hidden(str(error))}"
                raise Unavailable(f"The storage {self.name} does not answer as it should ({why}).") from error

    def _tried(self, path: str, action: Callable[[Any, str], T], anew: bool = False) -> T:
        if anew:
            from fsspec.core import url_to_fs

            self._fs, root = url_to_fs(self._url, skip_instance_cache=True)
            self._root = root.rstrip("/")
            self._made.clear()
        return action(self._fs, f"{self._root}/{path}" if path else self._root or "/")

    def _hidden(self, text: str) -> str:
        secret = (urlsplit(self._url).password if "@" in self._url else None) or ""
        for shape in filter(None, (secret, unquote(secret))):
            text = text.replace(shape, "…")
        return text


def _of_objects(fs: Any) -> bool:
    """Whether it is a store of objects, without folders."""
    return bool(getattr(fs, "async_impl", False))

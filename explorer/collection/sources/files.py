"""Reading files below one folder and nowhere else."""

import errno
import os
import stat
from pathlib import Path

from explorer.collection.sources.base import MAX_FILE_BYTES, OutOfReach
from explorer.collection.sources.names import original

_OPEN_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)  # a pipe named cat.jpg must not make a reader wait for ever


def reason(error: OSError) -> str:
    """An OSError in the words of a sentence, without the path."""
    if isinstance(error, FileNotFoundError):
        return "it is not there (any more)"
    if isinstance(error, PermissionError):
        return "this computer does not allow reading it"
    return (error.strerror or str(error) or type(error).__name__).lower()


class Confined:
    """A folder whose files can be read by relative names; what leads out of it, by name or by link, cannot."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real_root = os.path.realpath(root)

    def resolve(self, path: str) -> str:
        """The real place of a stored relative path. Raises OutOfReach if it lies outside or has no place at all."""
        name = original(path)
        if name.startswith(("/", "\\")) or os.path.isabs(name) or os.path.splitdrive(name)[0]:
            raise OutOfReach("it names a place outside the source")
        try:
            real = os.path.realpath(os.path.join(self.root, name), strict=True)
        except FileNotFoundError:
            place = os.path.join(self.root, name)
            said = "the link leads to nothing" if os.path.islink(place) else "it is not there (any more)"
            raise OutOfReach(said) from None
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.ELOOP:
                raise OutOfReach("the link leads back to itself") from None
            said = reason(error) if isinstance(error, OSError) else "its name cannot be a file's"
            raise OutOfReach(said) from None
        if not self.contains(real):
            raise OutOfReach("it leads out of the source")
        return real

    def contains(self, real: str) -> bool:
        return real == self._real_root or real.startswith(self._real_root.rstrip(os.sep) + os.sep)

    def stat(self, path: str) -> os.stat_result:
        """Size and time of a regular file. Raises OutOfReach."""
        try:
            status = os.stat(self.resolve(path))
        except OSError as error:
            raise OutOfReach(reason(error)) from None
        _check(status)
        return status

    def read(self, path: str) -> bytes:
        """All bytes of a file that stands still while it is read. Raises OutOfReach."""
        real = self.resolve(path)
        try:
            handle = os.open(real, _OPEN_FLAGS)
            with open(handle, "rb", buffering=0) as file:
                before = os.fstat(handle)
                _check(before)
                content = file.readall()
                after = os.fstat(handle)
        except OSError as error:
            raise OutOfReach(reason(error)) from None
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(content) != after.st_size:
            raise OutOfReach("it changed while it was being read; the next scan tries again")
        return content


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OutOfReach("it is not a file")
    if status.st_size > MAX_FILE_BYTES:
        raise OutOfReach(f"its {status.st_size:,} bytes are more than the {MAX_FILE_BYTES:,} that are read")

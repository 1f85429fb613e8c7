"""Pictures in a zip, read in place: nothing is ever unpacked to disk."""

import os
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from explorer.collection.sources.base import MAX_FILE_BYTES, Entry, OutOfReach, has_image_extension, is_sidecar
from explorer.collection.sources.files import reason
from explorer.collection.sources.names import original, storable
from explorer.errors import BadInput, NotFound

MAX_MEMBERS = 2_000_000
MAX_DEPTH = 64
"""Folders above a member. An archive inside the archive is no picture and is not looked into."""
MAX_DIRECTORY_BYTES = 400 << 20
"""Of the archive's own list of members, which has to be held in memory."""
FREE_BYTES = 32 << 20
"""A member may swell to this size whatever its ratio: an empty white page compresses well."""
MAX_RATIO = 200
"""Above FREE_BYTES a member may swell at most this many times; photographs swell hardly at all."""
MAX_TOTAL_RATIO = 100
MIN_TOTAL_BYTES = 1 << 30
"""The archive as a whole may swell to the larger of this and MAX_TOTAL_RATIO times its own size."""
_CHUNK = 1 << 20


class ZipSource:
    """A zip archive. Spec: `{"kind": "zip", "path": …}`. Members are read one at a time into memory, with limits on
    how far they may swell that hold whatever the archive says of itself."""

    keyed = False

    def __init__(self, spec: dict[str, Any]) -> None:
        self._path = Path(spec["path"])
        self.spec = {"kind": "zip", "path": str(self._path)}
        self.ignored = 0
        self._lock = threading.Lock()
        self._archive: zipfile.ZipFile | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}

    def entries(self) -> Iterator[Entry]:
        self.ignored = 0
        with self._lock:
            self._open()
            assert self._archive is not None
            infos = self._archive.infolist()
        budget = max(MIN_TOTAL_BYTES, MAX_TOTAL_RATIO * self._path.stat().st_size)
        seen: dict[str, int] = {}
        for info in infos:
            if info.is_dir():
                continue
            if not has_image_extension(info.filename) or is_sidecar(info.filename):
                self.ignored += 1
                continue
            path = storable(info.filename)
            seen[path] = seen.get(path, 0) + 1
            if seen[path] > 1:
                yield Entry(f"{path} ({seen[path]})", problem="the archive holds this name more than once")
                continue
            problem = _refusal(info)
            if problem is None:
                budget -= info.file_size
                if budget < 0:
                    problem = f"the archive as a whole swells more than {MAX_TOTAL_RATIO} times"
            yield Entry(path, info.file_size, _stamp(info), problem=problem)

    def read(self, path: str) -> bytes:
        with self._lock:
            if self._archive is None:
                try:
                    self._open()
                except (BadInput, NotFound) as error:
                    raise OutOfReach(str(error)) from None
            archive, info = self._archive, self._members.get(original(path))
        if info is None or archive is None:
            raise OutOfReach("the archive no longer holds it")
        problem = _refusal(info)
        if problem is not None:
            raise OutOfReach(problem)
        return _inflate(archive, info)

    def _open(self) -> None:
        """Read the archive's list of members (again)."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None
        try:
            _check_directory(self._path)
            archive = zipfile.ZipFile(self._path)
        except FileNotFoundError:
            raise NotFound(f"The archive {self._path} is not there. Put it back, or add the dataset anew.") from None
        except OSError as error:
            raise BadInput(f"The archive {self._path} cannot be opened: {reason(error)}.") from None
        except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
            raise BadInput(f"{self._path} is not a zip archive that can be read: {error}.") from None
        if len(archive.filelist) > MAX_MEMBERS:
            archive.close()
            raise BadInput(f"{self._path} holds more than {MAX_MEMBERS:,} files; unpack it and add the folder.")
        self._archive = archive
        self._members = {}
        for info in archive.filelist:
            self._members.setdefault(info.filename, info)


def _check_directory(path: Path) -> None:
    """Refuse an archive whose list of members would fill the memory, before zipfile reads it."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65_557 - 76))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise zipfile.BadZipFile("it has no list of members at its end (is it cut short?)")
    (length,) = struct.unpack_from("<L", tail, at + 12)
    wide = tail.rfind(b"PK\x06\x06", 0, at)
    if length == 0xFFFFFFFF and wide >= 0 and len(tail) >= wide + 56:
        (length,) = struct.unpack_from("<Q", tail, wide + 40)
    if length > MAX_DIRECTORY_BYTES:
        raise zipfile.BadZipFile(f"its list of members alone takes {length:,} bytes")


def _refusal(info: zipfile.ZipInfo) -> str | None:
    """Why a member is not even tried, from what the archive says of it."""
    name = info.filename
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        return "its name climbs out of the archive"
    if len(re.split(r"[/\\]", name)) - 1 > MAX_DEPTH:
        return f"it lies more than {MAX_DEPTH} folders deep"
    if info.flag_bits & 0x1:
        return "it is encrypted; add an archive without a password"
    return _swelling(info, info.file_size)


def _swelling(info: zipfile.ZipInfo, size: int) -> str | None:
    if size > MAX_FILE_BYTES:
        return f"its {size:,} bytes are more than the {MAX_FILE_BYTES:,} that are read"
    if size > FREE_BYTES and size > MAX_RATIO * max(info.compress_size, 1):
        return f"it swells more than {MAX_RATIO} times when unpacked, like an archive made to fill the memory"
    return None


def _inflate(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Unpack one member, counting what really comes out."""
    content = bytearray()
    try:
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK):
                content += chunk
                problem = _swelling(info, len(content))
                if problem is not None:
                    raise OutOfReach(problem)
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error) as error:
        raise OutOfReach(f"the archive is damaged here ({error})") from None
    except NotImplementedError as error:
        raise OutOfReach(f"it is packed in a way that cannot be read here ({error})") from None
    except OSError as error:
        raise OutOfReach(reason(error)) from None
    except RuntimeError as error:  # zipfile's word for a password, and for an archive closed meanwhile
        raise OutOfReach(f"it cannot be unpacked ({error})") from None
    except ValueError as error:
        raise OutOfReach(f"the archive was closed meanwhile ({error})") from None
    return bytes(content)


def _stamp(info: zipfile.ZipInfo) -> int:
    """A time that changes whenever the bytes do: archives keep two-second times, often the same for every member, so
    the checksum stands in place of the nanoseconds."""
    try:
        seconds = int(datetime(*info.date_time, tzinfo=UTC).timestamp())
    except ValueError:
        seconds = 0
    return seconds * 1_000_000_000 + info.CRC % 1_000_000_000

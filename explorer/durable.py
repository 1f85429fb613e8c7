"""Files that are either wholly there or not there at all.

Everything is written beside its final name, fsynced and renamed, and the folder is fsynced, so that a kill at any
moment leaves the old file or the new one. A disk without room raises Unavailable, and the old file stays.
"""

import contextlib
import errno
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.errors import Unavailable

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name in the folder of `path`; on success it becomes `path`, on any error it is removed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
        _fsync_folder(path.parent)
    except OSError as error:
        if no_room(error):
            raise full_disk(path) from error
        raise
    finally:
        beside.unlink(missing_ok=True)


def no_room(error: OSError) -> bool:
    """Whether it says that the disk, a quota or the longest file allowed is full."""
    return error.errno in _NO_ROOM


def full_disk(path: Path) -> Unavailable:
    """What to say when there was no room for `path`."""
    return Unavailable(
        f"There is no room left on the disk for {path.parent}: what was written before is kept, this was not. Free "
        "some room there and do the same again; it goes on from where it stopped."
    )


def reserve(mapped: np.memmap) -> None:
    """Take the room of a new mapped file on the disk at once. One that finds the disk full while it is filled ends the
    whole process without a word. Raises Unavailable."""
    if not hasattr(os, "posix_fallocate"):
        return
    path = Path(str(mapped.filename))
    try:
        with open(path, "rb+") as file:
            os.posix_fallocate(file.fileno(), 0, mapped.offset + mapped.nbytes)
    except OSError as error:
        if no_room(error):
            raise full_disk(path) from error  # where the file system cannot reserve, nothing is lost by going on


def lock(handle: int) -> None:
    """Lock an open file for this process until it is closed. Raises OSError if another has it."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as beside:
        beside.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).encode())


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def write_npy(path: Path, array: np.ndarray) -> None:
    with replacing(path) as beside, open(beside, "wb") as file:
        np.save(file, array, allow_pickle=False)


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    with replacing(path) as beside, open(beside, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    with replacing(path) as beside:
        table.to_parquet(beside)


def _fsync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened for fsync there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

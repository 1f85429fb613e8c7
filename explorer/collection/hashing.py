"""Reading everything that is new or changed once, to know it by its content."""

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from explorer.collection.sources.base import Entry, Source
from explorer.errors import Unreadable

_AHEAD = 64
_SAVE_SECONDS = 5.0
Stamp = tuple[int, int]
"""Size and time of a file: while they stay, its content is taken to stay."""


def settled(mtime_ns: int, looked_ns: int) -> bool:
    """Was a file left alone long enough before we looked that a later change must show in its time? File systems
    keep times to a few milliseconds, some to two seconds."""
    return 0 <= mtime_ns < looked_ns - 2_000_000_000


def content_hash(data: bytes) -> str:
    """BLAKE2b-128 of the bytes, 32 hex digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def hash_entries(
    source: Source, entries: Iterable[Entry], journal: Path, each: Callable[[int], None]
) -> Iterator[tuple[Entry, str, str]]:
    """Yield (entry, hash, "") or (entry, "", reason) for every entry, reading in threads.

    What was read is noted in `journal` every few seconds, so that a killed scan does not read everything again;
    the caller deletes it when the scan is stored. `each` hears how many are done and may raise to stop.
    """
    noted = _noted(journal)
    journal.parent.mkdir(parents=True, exist_ok=True)

    def read(entry: Entry) -> tuple[Entry, str, str]:
        if (known := noted.get(entry.path)) and known[0] == (entry.size, entry.mtime_ns):
            return entry, known[1], ""
        try:
            return entry, content_hash(source.read(entry.path)), ""
        except Unreadable as error:
            return entry, "", str(error)

    waiting: deque[Future[tuple[Entry, str, str]]] = deque()
    done, saved = 0, time.monotonic()
    with open(journal, "a", encoding="utf-8") as notes, ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        pending = iter(entries)
        try:
            while True:
                while len(waiting) < _AHEAD and (entry := next(pending, None)) is not None:
                    waiting.append(pool.submit(read, entry))
                if not waiting:
                    return
                entry, name, problem = waiting.popleft().result()
                if name and entry.path not in noted and settled(entry.mtime_ns, time.time_ns()):
                    notes.write(json.dumps([entry.path, entry.size, entry.mtime_ns, name]) + "\n")
                    if time.monotonic() - saved > _SAVE_SECONDS:
                        notes.flush()
                        saved = time.monotonic()
                done += 1
                each(done)
                yield entry, name, problem
        finally:
            for future in waiting:
                future.cancel()


def _noted(journal: Path) -> dict[str, tuple[Stamp, str]]:
    """What an unfinished scan has read; a last line that was cut off by a kill is left out."""
    found: dict[str, tuple[Stamp, str]] = {}
    if not journal.exists():
        return found
    with open(journal, encoding="utf-8", errors="replace") as notes:
        for line in notes:
            try:
                path, size, mtime_ns, name = json.loads(line)
                found[path] = ((size, mtime_ns), name)
            except ValueError:
                continue
    return found

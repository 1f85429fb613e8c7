"""How much one visitor may ask of the server: requests, bytes sent, lengths of addresses.

Each person has a bucket that fills at a steady rate; what they ask for is taken out of it. Whoever owns everything runs
the machine and is not limited; strangers share a bucket by the address they come from.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers

from explorer.sharing.access import Person, Scope

MAX_PATH = 2_000
MAX_QUERY = 48_000
"""Bytes; the longest of ours names the hundred pictures that a browser holds."""
MAX_UPLOAD = 201_000_000
"""Of one file sent to Streamlit, whose own limit (server.maxUploadSize) is 200 MB and the form around it."""
MAX_SOCKETS = 24
"""Pages that one person has open at once: each is a session that takes memory."""
_MOST_KEYS = 10_000
_LARGE = (".zip", ".pdf", ".html", ".csv", ".jsonl", ".parquet", "question.json")
_MIDDLE = ("/full.jpg", "/original")


class Buckets:
    """A bucket for each key, holding `most` and filling by `per_second`. Safe to use from several threads."""

    def __init__(self, most: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.per_second = per_second
        self._clock = clock
        self._held: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, key: str, amount: float = 1.0) -> float:
        """Take `amount` (at most a whole bucket); 0.0, or the seconds until it is there, with nothing taken."""
        amount = min(amount, self.most)
        with self._lock:
            now = self._clock()
            held, at = self._held.get(key, (self.most, now))
            held = min(self.most, held + (now - at) * self.per_second)
            if held < amount:
                self._held[key] = (held, now)
                return (amount - held) / self.per_second
            if key not in self._held and len(self._held) >= _MOST_KEYS:
                self._sweep(now)
            self._held[key] = (held - amount, now)
            return 0.0

    def _sweep(self, now: float) -> None:
        """Forget whose buckets are full again; if nobody's is, everybody."""
        kept = {
            key: (held, at) for key, (held, at) in self._held.items() if held + (now - at) * self.per_second < self.most
        }
        self._held = kept if len(kept) < _MOST_KEYS else {}


@dataclass(frozen=True)
class TooMuch:
    """Why a request is not even looked at."""

    status: int
    text: str
    after: float = 0.0
    """Seconds until it is worth trying again; 0: never."""


class Limits:
    """Those of one server. A look at a page costs some hundred requests, an answer one, a report thirty."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.people = Buckets(900, 60, clock)
        self.strangers = Buckets(300, 10, clock)
        self.uploads = Buckets(500_000_000, 500_000_000 / 3600, clock)
        """Bytes. Streamlit keeps uploaded files in memory until their session ends."""
        self._sockets: Counter[str] = Counter()

    def lengths(self, raw_path: bytes, query: bytes, headers: Headers, upload: bool) -> TooMuch | None:
        """What is too long, before anybody is asked who they are. Our routes count their bodies themselves, too."""
        if len(raw_path) > MAX_PATH or len(query) > MAX_QUERY:
            return TooMuch(414, "This address is too long.")
        said = headers.get("content-length", "")
        if upload and not said.isdecimal():
            return TooMuch(411, "A file is sent with its length.")
        if upload and int(said) > MAX_UPLOAD:
            return TooMuch(413, "A file that is sent has at most 200 MB; add the folder instead.")
        return None

    def asked(self, person: Person | None, address: str, path: str, sent: int = 0) -> TooMuch | None:
        """Count a request; `sent`: bytes of a file that comes with it."""
        if person is None:
            wait = self.strangers.take(address)
        elif _owns_everything(person):
            return None
        else:
            wait = self.people.take(person.id, cost(path))
            if sent and not wait:
                wait = self.uploads.take(person.id, sent)
        if not wait:
            return None
        return TooMuch(429, f"Too much at once: try again in {max(round(wait), 1)} s.", wait)

    def open_socket(self, person: Person) -> bool:
        """Count a page that is opened, unless there are too many; `close_socket` when it goes. On the event loop."""
        if self._sockets[person.id] >= MAX_SOCKETS and not _owns_everything(person):
            return False
        self._sockets[person.id] += 1
        return True

    def close_socket(self, person: Person) -> None:
        self._sockets[person.id] -= 1
        if not self._sockets[person.id]:
            del self._sockets[person.id]


def _owns_everything(person: Person) -> bool:
    return any(each.role == "own" and each.scope == Scope() for each in person.grants)


def cost(path: str) -> float:
    """Of a request, in thumbnails: what makes the server read much costs more."""
    if path.startswith("/x/"):
        if path.endswith(_LARGE):
            return 30.0
        if path.endswith(_MIDDLE):
            return 3.0
    return 1.0

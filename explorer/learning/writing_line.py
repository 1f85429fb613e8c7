"""Requests that are to be written wait in a line, and whoever comes first writes for all of them.

A transaction is mostly waiting for the disk: one for ten requests costs what one for a single request does.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from explorer.errors import Busy, Unavailable

Event = TypeVar("Event")
Done = TypeVar("Done")
_log = logging.getLogger(__name__)


@dataclass
class _Waiting(Generic[Event, Done]):
    events: Sequence[Event]
    done: list[Done] | None = None
    error: Exception | None = None


class WritingLine(Generic[Event, Done]):
    """`write` puts events down in one transaction and gives back one thing for each, in their order."""

    def __init__(self, write: Callable[[Sequence[Event]], list[Done]]) -> None:
        self._write = write
        self._turn, self._lining_up = threading.Lock(), threading.Lock()
        self._line: list[_Waiting[Event, Done]] = []

    def put(self, events: Sequence[Event]) -> list[Done]:
        """On return they are written, alone or with those of other threads; raises what `write` does for these."""
        mine = _Waiting[Event, Done](events)
        with self._lining_up:
            self._line.append(mine)
        with self._turn:
            if mine.done is None and mine.error is None:
                with self._lining_up:
                    line, self._line = self._line, []
                self._write_all(line)
        if mine.error is not None:
            raise mine.error
        assert mine.done is not None
        return mine.done

    def _write_all(self, line: list[_Waiting[Event, Done]]) -> None:
        """Where one transaction for all fails each has its own, so that nobody bears another's mistake."""
        if len(line) > 1:
            try:
                done = self._write([event for each in line for event in each.events])
                for each in line:
                    each.done, done = done[: len(each.events)], done[len(each.events) :]
                return
            except (Busy, Unavailable) as error:  # no mistake of anybody's: one by one each would wait as long again
                for each in line:
                    each.error = error
                return
            except Exception:
                _log.debug("several requests are written one by one", exc_info=True)
        for each in line:
            try:
                each.done = self._write(each.events)
            except Exception as error:
                each.error = error

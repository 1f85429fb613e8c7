"""Requests to the database wait in a line, and whoever comes first does the work of all of them.

A transaction is mostly waiting: for the disk where it writes, for the interpreter's lock where many threads read. One
for ten requests costs what one for a single request does.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from explorer.errors import Busy, Unavailable

Asked = TypeVar("Asked")
Done = TypeVar("Done")
_log = logging.getLogger(__name__)


@dataclass
class _Waiting(Generic[Asked, Done]):
    asked: Sequence[Asked]
    done: list[Done] | None = None
    error: Exception | None = None


class Line(Generic[Asked, Done]):
    """`work` does, in one transaction, what several ask for, and gives back one thing for each, in their order."""

    def __init__(self, work: Callable[[Sequence[Asked]], list[Done]], linger: float = 0.0) -> None:
        """While several ask, each turn waits `linger` seconds for more of them."""
        self._work, self._linger, self._busy = work, linger, False
        self._turn, self._lining_up = threading.Lock(), threading.Lock()
        self._line: list[_Waiting[Asked, Done]] = []

    def put(self, asked: Sequence[Asked]) -> list[Done]:
        """On return it is done, alone or with that of other threads, and was begun after this call; raises what `work`
        does for these."""
        mine = _Waiting[Asked, Done](asked)
        with self._lining_up:
            self._line.append(mine)
        with self._turn:
            if mine.done is None and mine.error is None:
                if self._busy:
                    time.sleep(self._linger)
                with self._lining_up:
                    line, self._line = self._line, []
                self._busy = len(line) > 1
                self._do_all(line)
        if mine.error is not None:
            raise mine.error
        assert mine.done is not None
        return mine.done

    def _do_all(self, line: list[_Waiting[Asked, Done]]) -> None:
        """Where one transaction for all fails each has its own, so that nobody bears another's mistake."""
        if len(line) > 1:
            try:
                done = self._work([one for each in line for one in each.asked])
                for each in line:
                    each.done, done = done[: len(each.asked)], done[len(each.asked) :]
                return
            except (Busy, Unavailable) as error:  # no mistake of anybody's: one by one each would wait as long again
                for each in line:
                    each.error = error
                return
            except Exception:
                _log.debug("several requests are answered one by one", exc_info=True)
        for each in line:
            try:
                each.done = self._work(each.asked)
            except Exception as error:
                each.error = error

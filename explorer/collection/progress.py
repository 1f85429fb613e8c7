"""How far a long piece of work has come, how fast it goes and how long it will still take."""

import collections
import time
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW_SECONDS = 10.0


@dataclass(frozen=True)
class Progress:
    stage: str
    """In plain words, for the screen."""
    done: int
    total: int
    per_second: float | None = None
    """Over the last seconds; None until it can be told."""
    seconds_left: float | None = None


ProgressCallback = Callable[[Progress], None]


class Meter:
    """Turns counts into Progress, a few times a second at most."""

    def __init__(self, stage: str, total: int, report: ProgressCallback | None, every: float = 0.2) -> None:
        self._stage, self._total, self._report, self._every = stage, total, report, every
        self._samples: collections.deque[tuple[float, int]] = collections.deque([(time.monotonic(), 0)])
        self._last = -1.0
        self._send(0)

    def update(self, done: int) -> None:
        now = time.monotonic()
        if now - self._last >= self._every or done >= self._total:
            self._send(done)

    def _send(self, done: int) -> None:
        if self._report is None:
            return
        now = self._last = time.monotonic()
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[0][0] > _WINDOW_SECONDS:
            self._samples.popleft()
        (then, before), speed = self._samples[0], None
        if now - then > 0.5 and done > before:
            speed = (done - before) / (now - then)
        left = (self._total - done) / speed if speed else None
        self._report(Progress(self._stage, done, self._total, speed, left))

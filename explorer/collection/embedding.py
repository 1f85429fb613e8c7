"""Where a dataset and extractors meet: every content is decoded and computed once, ever.

Decoding runs ahead in threads, computing follows in others, one thread puts both together in the order of the items,
and one writes. Several looks at one computation (the layers of a network) are computed once for all of them. Every
flush writes the thumbnails first and the features after them, so a content that has features always has a thumbnail,
and a killed run loses at most PART_ROWS pictures: what came after the last flush, and what was being computed or
written then.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.collection.features import PART_ROWS
from explorer.collection.hashing import content_hash
from explorer.collection.images import decode, ground, thumbnail
from explorer.collection.items import OK
from explorer.collection.pictures import Picture, PictureStore
from explorer.collection.progress import Meter, Progress, ProgressCallback
from explorer.collection.sources import Source
from explorer.errors import Cancelled, Unreadable
from explorer.extractors.backends import usable_cores
from explorer.extractors.base import Extractor, Layered, prepared

__all__ = ["EmbedReport", "Progress", "embed"]

FLUSH_SECONDS = 8.0
DECODE_SIDE = 256
"""Pictures are decoded to at least this, whatever the extractor: a feature must not depend on which other
extractors ran along with it, and thumbnails need it."""
_AHEAD = 48
"""Contents that are being decoded or wait decoded; bounds the memory."""
_FLUSH_AT = (PART_ROWS - _AHEAD) // 2
"""Pictures handed on, not yet written; as many again may be on their way to the disk, and those decoded ahead."""
_HANDED = 4
"""Contents that a decoding thread takes at once: to hand over each one costs a cheap extractor a tenth of its speed."""


@dataclass(frozen=True)
class EmbedReport:
    embedded: int
    """Contents for which at least one feature was computed; exact duplicates count once."""
    skipped: int
    """Contents that had everything already, or are known to be undecodable."""
    problems: int
    """Contents that turned out to be unusable in this run."""
    seconds: float


@dataclass(frozen=True)
class Task:
    """One content, the items that have it, and the extractors (by number) that have not seen it."""

    hash: str
    uids: list[str]
    paths: list[str]
    extractors: list[int] = field(default_factory=list)
    wants_picture: bool = False


@dataclass(frozen=True)
class _Ready:
    """What the decoding threads made of a task."""

    task: Task
    inputs: dict[int, np.ndarray] = field(default_factory=dict)
    """By the number of the computation."""
    picture: Picture | None = None
    unusable: str | None = None
    out_of_reach: str | None = None


class _Computation:
    """One extractor, or several that are looks at the same computation, with the pictures on their way through it."""

    def __init__(self, extractors: dict[int, Extractor]) -> None:
        self.extractors = extractors
        self.first = next(iter(extractors.values()))
        self.batch: list[_Ready] = []
        """Not yet handed on."""
        self.running: deque[tuple[list[_Ready], Future[dict[int, np.ndarray]]]] = deque()

    def compute(self, inputs: np.ndarray) -> dict[int, np.ndarray]:
        """The rows of each extractor, by its number."""
        if len(self.extractors) == 1:
            return {number: extractor.compute(inputs) for number, extractor in self.extractors.items()}
        assert isinstance(self.first, Layered)
        layers = self.first.compute_layers(inputs)
        return {number: layers[extractor.spec.layer] for number, extractor in self.extractors.items()}


def embed(
    dataset: Dataset,
    extractors: Sequence[Extractor],
    progress: ProgressCallback | None = None,
    cancelled: Callable[[], bool] | None = None,
    only: Collection[str] | None = None,
) -> EmbedReport:
    """Compute what is missing: thumbnails, sizes, and the rows of each extractor for every present item, or for
    those of the uids `only`; a later run without it computes the rest.

    A content that cannot be decoded is written down by its hash and never tried again; a file that vanished or
    changed since the scan makes its items problems until the next scan. Raises Cancelled (what was computed is kept)
    and Busy.
    """
    started = time.monotonic()
    with dataset.writing():
        tasks, skipped = plan(dataset, extractors, only)
        run = Run(dataset.source, dataset.pictures, extractors, tasks, progress)
        with ExitStack() as stack:  # also without tasks: the writers tidy up after a killed run
            run.writers = [stack.enter_context(dataset.features(each.spec).writer()) for each in extractors]
            stopped = run.work(cancelled)
        dataset.absorb(run.lost)
    if stopped:
        raise Cancelled(f"Stopped after {run.done:,} of {len(tasks):,} pictures; what was computed is kept.")
    return EmbedReport(run.embedded, skipped, run.problems, time.monotonic() - started)


def plan(dataset: Dataset, extractors: Sequence[Extractor], only: Collection[str] | None) -> tuple[list[Task], int]:
    """What is to be done, in the order of the items, and how many contents need nothing."""
    items = dataset.items
    items = items[items["status"] == OK]
    if only is not None:
        items = items[items["uid"].isin(set(only))]
    by_hash: dict[str, Task] = {}
    columns = (items[name].tolist() for name in ("uid", "path", "content_hash"))
    for uid, path, name in zip(*columns, strict=True):
        task = by_hash.setdefault(name, Task(name, [], []))
        task.uids.append(uid)
        task.paths.append(path)
    undecodable = dataset.pictures.problems()
    wanted = [name for name in by_hash if name not in undecodable]
    pictures = dataset.pictures.known(wanted)
    for number, extractor in enumerate(extractors):
        for name in dataset.features(extractor.spec).missing(wanted):
            by_hash[name].extractors.append(number)
    tasks = [
        Task(task.hash, task.uids, task.paths, task.extractors, task.hash not in pictures)
        for task in (by_hash[name] for name in wanted)
        if task.extractors or task.hash not in pictures
    ]
    return tasks, len(by_hash) - len(tasks)


class Writer(Protocol):
    """Where the rows of one extractor go: a FeatureWriter, or what stands for one on another machine."""

    def append(self, content_hash: str, row: np.ndarray) -> None: ...

    def take(self) -> list[tuple[bytes, np.ndarray]]: ...

    def write(self, taken: list[tuple[bytes, np.ndarray]]) -> None: ...


class Run:
    """One run over the tasks: its queues and its counts. `writers`, one for each extractor, are to be set before
    `work`."""

    def __init__(
        self,
        source: Source,
        pictures: PictureStore,
        extractors: Sequence[Extractor],
        tasks: list[Task],
        progress: ProgressCallback | None,
    ) -> None:
        self.source, self.pictures, self.extractors, self.tasks = source, pictures, extractors, tasks
        self.writers: Sequence[Writer] = []
        self.lost: dict[str, str] = {}
        """Items whose bytes could not be got, or of which an extractor could make nothing."""
        self.done = self.embedded = self.problems = 0
        self._pictures: list[Picture] = []
        self._computations = _computations(extractors)
        self._unwritten = 0
        """Pictures handed on of which not everything has been given to the writing thread."""
        self._flushed_at = time.monotonic()
        self._threads = usable_cores()
        self._meter = Meter("Looking at the pictures", len(tasks), progress)
        self._compute_pool: ThreadPoolExecutor
        self._write_pool: ThreadPoolExecutor
        self._writing: Future[None] | None = None

    def work(self, cancelled: Callable[[], bool] | None) -> bool:
        """Do the tasks. True if cancelled."""
        stopped = False
        with (
            ThreadPoolExecutor(self._threads, "decode") as decoding,
            ThreadPoolExecutor(self._threads, "compute") as self._compute_pool,
            ThreadPoolExecutor(1, "write") as self._write_pool,
        ):
            results = _in_order(decoding, self._prepare_some, self.tasks)
            try:
                for ready in results:
                    self._take(ready)
                    # a picture counts from when it is handed on to be computed; those decoded ahead are allowed for
                    if self._unwritten >= _FLUSH_AT or time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
                        self._flush()
                    if cancelled is not None and cancelled():
                        stopped = True
                        break
                results.close()
                self._finish()
            finally:
                results.close()
                self._write()  # after an error too: what was computed is kept
                self._wait_written()
        return stopped

    def _prepare_some(self, tasks: list[Task]) -> list[_Ready]:
        return [self._prepare(task) for task in tasks]

    def _prepare(self, task: Task) -> _Ready:
        """In a decoding thread: bytes to the inputs of the extractors and a thumbnail."""
        try:
            data = self._read(task)
        except Unreadable as error:
            return _Ready(task, out_of_reach=str(error))
        try:
            wanted = [
                (number, each.first, max(DECODE_SIDE, each.first.min_side))
                for number, each in enumerate(self._computations)
                if not each.extractors.keys().isdisjoint(task.extractors)
            ]
            decoded = {side: decode(data, side) for side in sorted({side for *_, side in wanted} or {DECODE_SIDE})}
        except Unreadable as error:
            return _Ready(task, unusable=str(error), picture=Picture(task.hash, problem=str(error)))
        smallest = decoded[min(decoded)]
        picture = None
        if task.wants_picture:
            picture = Picture(task.hash, smallest.width, smallest.height, thumbnail(smallest.rgb), ground=ground(data))
        inputs = {number: prepared(extractor, data, decoded[side].rgb) for number, extractor, side in wanted}
        return _Ready(task, inputs, picture)

    def _read(self, task: Task) -> bytes:
        """The bytes that were there at the scan, from whichever duplicate still has them. Raises Unreadable."""
        reason = Unreadable("it is not there")
        for path in task.paths:
            try:
                data = self.source.read(path)
            except Unreadable as error:
                reason = error
                continue
            if content_hash(data) == task.hash:
                return data
            reason = Unreadable("it was changed since the last scan; the next scan takes the new version")
        raise reason

    def _take(self, ready: _Ready) -> None:
        """Hand a decoded picture on to the extractors that want it."""
        self.done += 1
        self._unwritten += 1
        self._meter.update(self.done)
        if ready.picture is not None:
            self._pictures.append(ready.picture)
        if ready.unusable is not None or ready.out_of_reach is not None:
            self.problems += 1
            if ready.out_of_reach is not None:
                self.lost.update(dict.fromkeys(ready.task.uids, ready.out_of_reach))
            return
        self.embedded += bool(ready.task.extractors)
        for number in list(ready.inputs):
            computation = self._computations[number]
            computation.batch.append(ready)
            if len(computation.batch) >= computation.first.batch_size:
                self._submit(number)

    def _submit(self, number: int) -> None:
        computation = self._computations[number]
        batch, computation.batch = computation.batch, []
        if not batch:
            return
        inputs = np.stack([ready.inputs[number] for ready in batch])
        for ready in batch:
            del ready.inputs[number]
        computation.running.append((batch, self._compute_pool.submit(computation.compute, inputs)))
        while len(computation.running) > 2 * self._threads:
            self._collect(computation)

    def _collect(self, computation: _Computation) -> None:
        """Wait for the oldest batch of a computation and hand its rows to the writers."""
        batch, future = computation.running.popleft()
        for number, rows in future.result().items():
            rows = np.asarray(rows, np.float32)
            for ready, row, finite in zip(batch, rows, np.isfinite(rows).all(axis=1), strict=True):
                if number not in ready.task.extractors:  # another layer is missing, this one is not
                    continue
                if finite:
                    self.writers[number].append(ready.task.hash, row)
                else:
                    title = self.extractors[number].card.title
                    reason = f"{title} can make nothing of it (its numbers are not finite)"
                    self.lost.update(dict.fromkeys(ready.task.uids, reason))

    def _flush(self) -> None:
        """What is computed by now, on disk. Nothing is waited for, so that no core idles meanwhile, unless more is on
        its way than a kill may cost."""
        for computation in self._computations:
            while computation.running and computation.running[0][1].done():
                self._collect(computation)
        self._write()
        if self._unwritten > _FLUSH_AT // 2:
            self._finish()
            self._write()

    def _finish(self) -> None:
        """Compute all that was handed on."""
        for number, computation in enumerate(self._computations):
            self._submit(number)
            while computation.running:
                self._collect(computation)

    def _write(self) -> None:
        """Have the thumbnails written, then the features, while the next are decoded; the last write is waited for."""
        self._wait_written()
        pictures, self._pictures = self._pictures, []
        rows = [(writer, writer.take()) for writer in self.writers]

        def write() -> None:
            self.pictures.add_many(pictures)
            for writer, taken in rows:
                writer.write(taken)

        self._writing = self._write_pool.submit(write)
        on_their_way = [
            ready
            for computation in self._computations
            for batch in (computation.batch, *(batch for batch, _ in computation.running))
            for ready in batch
        ]
        self._unwritten, self._flushed_at = len({ready.task.hash for ready in on_their_way}), time.monotonic()

    def _wait_written(self) -> None:
        """Raises what went wrong while writing."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()


def _computations(extractors: Sequence[Extractor]) -> list[_Computation]:
    """Each extractor alone, those that share a computation together."""
    together: dict[object, dict[int, Extractor]] = {}
    for number, extractor in enumerate(extractors):
        together.setdefault(extractor.network if isinstance(extractor, Layered) else number, {})[number] = extractor
    return [_Computation(each) for each in together.values()]


def _in_order(
    pool: ThreadPoolExecutor, prepare: Callable[[list[Task]], list[_Ready]], tasks: list[Task]
) -> Generator[_Ready]:
    """`map` that runs at most _AHEAD tasks ahead of what was taken, and on closing drops what has not begun."""
    waiting: deque[Future[list[_Ready]]] = deque()
    pending = (tasks[start : start + _HANDED] for start in range(0, len(tasks), _HANDED))
    try:
        while True:
            while len(waiting) < _AHEAD // _HANDED and (some := next(pending, None)) is not None:
                waiting.append(pool.submit(prepare, some))
            if not waiting:
                return
            yield from waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()

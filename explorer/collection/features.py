"""What one extractor says of every content of a dataset, computed once, for ever.

On disk, below `<dataset>/features/<key>/`:

    manifest.json            the identity of the feature, the finished files and their checksums
    00000.f16.npy            16,384 rows, memory-mapped, never changed once full
    00000.rows.npz           the content hash and the scale of each row
    00003-05120.f16.npy …    the last, unfinished segment, named by its number of rows
    parts/000007.npz         at most 512 rows each: what a running or killed run has finished since

Rows stand in the order in which they were computed, so a run that was killed and resumed ends in the same bytes as
one that was not. Each row is divided by a power of two so that its largest value lies just below 2^15: half precision
then holds it with its full 11 bits, whatever the extractor's range.
"""

import hashlib
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np

from explorer.durable import read_json, replacing, write_json
from explorer.errors import BadInput, ExplorerError, NotFound
from explorer.extractors.base import FeatureSpec

SEGMENT_ROWS = 16_384
PART_ROWS = 512
_HASH = np.dtype("S32")
_FORMAT = 1
_MIXING = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64)


class FeatureStore:
    """The rows of one feature, addressed by content hash; a view of what was finished when it was opened.

    Open it again (or call `reload`) to see what was written since. Safe to read from several threads.
    """

    def __init__(self, folder: Path, spec: FeatureSpec | None = None) -> None:
        """With a spec, a folder that does not exist yet is an empty store. Raises NotFound, or BadInput if the
        folder holds another feature."""
        self.folder = folder
        self._lock = threading.Lock()
        self._order: np.ndarray | None = None
        if not (folder / "manifest.json").exists() and spec is None:
            raise NotFound(f"There is no feature in {folder}; run the extractor first.")
        self._asked = spec
        self.reload()

    def reload(self) -> None:
        """See what has been written by now."""
        for attempt in range(20):
            try:
                self._load()
                return
            except FileNotFoundError:  # the writer tidied up between two of our looks
                time.sleep(0.01 * (attempt + 1))
        raise ExplorerError(f"Files in {self.folder} are missing; delete that folder to compute the feature anew.")

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def dim(self) -> int:
        return self.spec.dim

    def hashes(self) -> np.ndarray:
        """(n,) S32, content hashes in the order of the rows."""
        return self._hashes

    def missing(self, hashes: Iterable[str]) -> list[str]:
        """Those that have no row, once each, in the given order."""
        wanted = np.array(list(hashes), dtype=_HASH)
        lacking = wanted[self._rows(wanted) < 0] if len(wanted) else wanted
        return list(dict.fromkeys(np.char.decode(lacking).tolist()))

    def get(self, hashes: Sequence[str] | np.ndarray) -> np.ndarray:
        """(n, dim) float32 in the order asked. Raises NotFound naming the first hash that has no row."""
        wanted = np.asarray(hashes, dtype=_HASH)
        result = np.empty((len(wanted), self.dim), np.float32)
        rows = self._rows(wanted)
        if len(rows) and rows.min() < 0:
            name = wanted[int(np.argmin(rows))].decode()
            raise NotFound(f"{self.spec.extractor} has not seen content {name} yet; run it on the dataset first.")
        block = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(block):
            places = np.flatnonzero(block == number)
            places = places[np.argsort(rows[places], kind="stable")]  # in the order of the disk
            inside = rows[places] - self._starts[number]
            result[places] = self._blocks[number][inside]
        result *= self._scales[rows][:, None]
        return result

    def verify(self) -> list[str]:
        """The finished files that are missing or whose bytes changed; reads everything."""
        return damaged(self.folder)

    def writer(self) -> "FeatureWriter":
        """Open for appending. Only one at a time: the caller holds the dataset's writing lock."""
        self.reload()
        self._tidy()
        return FeatureWriter(self)

    def _rows(self, wanted: np.ndarray) -> np.ndarray:
        """Row numbers, -1 where there is none."""
        with self._lock:
            order = self._order
            if order is None:
                keys = _keys(self._hashes)
                order = self._order = np.argsort(keys)
                self._sorted = keys[order]
        asked = _keys(wanted)
        turn = np.argsort(asked)  # what is looked for in order is found in half the time
        at = np.empty(len(asked), np.int64)
        at[turn] = np.searchsorted(self._sorted, asked[turn])
        found, left = np.full(len(wanted), -1, np.int64), np.arange(len(wanted))
        while len(left):  # once, but for contents that share a key
            left = left[at[left] < len(order)]
            left = left[self._sorted[at[left]] == asked[left]]
            rows = order[at[left]]
            same = self._hashes[rows] == wanted[left]
            found[left[same]] = rows[same]
            left = left[~same]
            at[left] += 1
        return found

    def _tidy(self) -> None:
        """Remove what a killed writer left behind: half-written files, and segments that have been replaced."""
        keep = {name for segment in self._manifest["segments"] for name in segment["checksums"]} | {"manifest.json"}
        parts = self.folder / "parts"
        for path in [*self.folder.glob("*"), *parts.glob(".*")]:
            if path.name not in keep and path.is_file():
                _remove(path)
        if parts.exists() and not any(parts.iterdir()):
            parts.rmdir()

    def _load(self) -> None:
        # parts before the manifest: the writer switches the manifest before it removes parts, so that what has left
        # the one is found in the other; what is in both counts once
        parts = [(path, _read_part(path)) for path in sorted((self.folder / "parts").glob("*.npz"))]
        path = self.folder / "manifest.json"
        if path.exists():
            self._manifest = read_json(path)
        else:
            assert self._asked is not None
            self._manifest = {"format": _FORMAT, "spec": asdict(self._asked), "segments": []}
        if self._manifest["format"] != _FORMAT:
            raise BadInput(f"{path} was written by a newer version of this program; update it.")
        self.spec = FeatureSpec(**self._manifest["spec"])
        if self._asked is not None and self._asked != self.spec:
            raise BadInput(f"{self.folder} holds {self.spec}, not {self._asked}.")
        blocks: list[np.ndarray] = []
        hashes: list[np.ndarray] = []
        scales: list[np.ndarray] = []
        for segment in self._manifest["segments"]:
            name = self.folder / segment["name"]
            try:
                blocks.append(np.load(f"{name}.f16.npy", mmap_mode="r", allow_pickle=False))
                with np.load(f"{name}.rows.npz", allow_pickle=False) as rows:
                    hashes.append(rows["hash"])
                    scales.append(rows["scale"])
            except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
                raise _hurt(name) from error
            if not len(blocks[-1]) == len(hashes[-1]) == len(scales[-1]) == segment["rows"]:
                raise _hurt(name)
        seen = {name for some in hashes for name in some.tolist()} if parts else set()
        for _, (part_hashes, part_scales, part_rows) in parts:
            new = [number for number, name in enumerate(part_hashes.tolist()) if name not in seen]
            seen.update(part_hashes.tolist())
            hashes.append(part_hashes[new])
            scales.append(part_scales[new])
            blocks.append(part_rows[new])
        self._blocks = blocks
        self._starts = np.cumsum([0, *[len(block) for block in blocks]])[:-1]
        self._hashes = np.concatenate(hashes) if hashes else np.empty(0, _HASH)
        self._scales = np.concatenate(scales) if scales else np.empty(0, np.float32)
        self._order = None
        self._sorted = np.empty(0, np.uint64)
        self._part_paths = [path for path, _ in parts]


class FeatureWriter:
    """Appends rows; what was flushed survives a kill. Leaving the `with` block without an error flushes
    and gathers the parts into segments."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._known = set(store.hashes().tolist())
        self._pending: list[tuple[bytes, np.ndarray]] = []
        self._next_part = 1 + max((int(path.stem) for path in store._part_paths), default=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            self.flush()
            self.compact()

    @property
    def pending(self) -> int:
        """Rows that a kill would lose."""
        return len(self._pending)

    def append(self, content_hash: str, row: np.ndarray) -> None:
        """Take one (dim,) row. Raises BadInput for a wrong shape, NaN, infinity, or a content that has a row."""
        values = np.asarray(row, np.float32)
        spec = self._store.spec
        if values.shape != (spec.dim,):
            raise BadInput(f"{spec.extractor} gave a row of shape {values.shape} instead of ({spec.dim},).")
        if not np.isfinite(values).all():
            raise BadInput(f"{spec.extractor} gave numbers that are not finite for content {content_hash}.")
        name = content_hash.encode()
        if len(name) != 32:
            raise BadInput(f"'{content_hash}' is no content hash: it needs 32 characters.")
        if name in self._known:
            raise BadInput(f"{spec.extractor} has already seen content {content_hash}.")
        self._known.add(name)
        self._pending.append((name, values))

    def flush(self) -> None:
        """Put what was appended on disk."""
        self.write(self.take())

    def take(self) -> list[tuple[bytes, np.ndarray]]:
        """What was appended and not yet taken, to be handed to `write`, perhaps in another thread."""
        taken, self._pending = self._pending, []
        return taken

    def write(self, taken: list[tuple[bytes, np.ndarray]]) -> None:
        """Put on disk what was taken; one call at a time."""
        for start in range(0, len(taken), PART_ROWS):
            some = taken[start : start + PART_ROWS]
            scales, rows = _packed(np.stack([values for _, values in some]))
            if self._next_part == 1 and not (self._store.folder / "manifest.json").exists():
                write_json(self._store.folder / "manifest.json", self._store._manifest)
            names = np.array([name for name, _ in some], _HASH)
            with (
                replacing(self._store.folder / "parts" / f"{self._next_part:06d}.npz") as beside,
                open(beside, "wb") as file,
            ):
                np.savez(file, allow_pickle=False, hash=names, scale=scales, rows=rows)
            self._next_part += 1

    def compact(self) -> None:
        """Gather parts into segments of 16,384 rows and one unfinished; the manifest is switched in between writing
        and removing, so that a kill loses nothing and readers find every row."""
        store = self._store
        store.reload()
        if not store._part_paths:
            return
        segments = [segment for segment in store._manifest["segments"] if _closed(segment)]
        start = sum(segment["rows"] for segment in segments)
        while start < len(store):
            stop = min(start + SEGMENT_ROWS, len(store))
            number = max((int(segment["name"][:5]) + 1 for segment in segments), default=0)  # damaged ones leave gaps
            segments.append(self._write_segment(number, start, stop))
            start = stop
        write_json(store.folder / "manifest.json", {**store._manifest, "segments": segments})
        finished = store._part_paths
        store.reload()
        for path in finished:
            _remove(path)
        store.reload()
        store._tidy()
        self._next_part = 1

    def _write_segment(self, number: int, start: int, stop: int) -> dict[str, Any]:
        store, rows = self._store, stop - start
        name = f"{number:05d}" if rows == SEGMENT_ROWS else f"{number:05d}-{rows:05d}"
        values = np.empty((rows, store.dim), np.float16)
        for block, first in zip(store._blocks, store._starts, strict=True):
            low, high = max(start, int(first)), min(stop, int(first) + len(block))
            if low < high:
                values[low - start : high - start] = block[low - first : high - first]
        return _save_segment(store.folder, name, store._hashes[start:stop], store._scales[start:stop], values)

    def next_number(self) -> int:
        """Of the next segment."""
        return max((int(segment["name"][:5]) + 1 for segment in self._store._manifest["segments"]), default=0)

    def adopt(self, segment: dict[str, Any]) -> None:
        """Take up a segment of `write_segment`: from now on it is there for every reader."""
        store = self._store
        before = store._manifest["segments"]
        closed = [each for each in before if _closed(each)]
        segments = [*closed, segment, *before[len(closed) :]]
        store._manifest = {**store._manifest, "segments": segments}
        write_json(store.folder / "manifest.json", store._manifest)


def write_segment(folder: Path, number: int, rows: list[tuple[bytes, np.ndarray]]) -> dict[str, Any]:
    """Finished rows (content hash, (dim,) float32) as a segment of their own, on whichever machine; what the manifest
    is to say of it once the writer adopts it. Written again, it has the same bytes."""
    scales, values = _packed(np.stack([row for _, row in rows]))
    names = np.array([name for name, _ in rows], _HASH)
    return {**_save_segment(folder, f"{number:05d}-{len(rows):05d}", names, scales, values), "closed": True}


def _closed(segment: dict[str, Any]) -> bool:
    """Whether no row is added to it any more; these stand before the unfinished one."""
    return segment["rows"] == SEGMENT_ROWS or bool(segment.get("closed"))


def _keys(hashes: np.ndarray) -> np.ndarray:
    """(n,) uint64 of (n,) S32: the same for the same, hardly ever for others, and put in order ten times as fast."""
    return np.asarray((np.ascontiguousarray(hashes).view(np.uint64).reshape(-1, 4) * _MIXING).sum(axis=1))


def _save_segment(
    folder: Path, name: str, hashes: np.ndarray, scales: np.ndarray, values: np.ndarray
) -> dict[str, Any]:
    files: dict[str, Callable[[Any], None]] = {
        f"{name}.f16.npy": lambda file: np.save(file, values, allow_pickle=False),
        f"{name}.rows.npz": lambda file: np.savez(file, allow_pickle=False, hash=hashes, scale=scales),
    }
    checksums = {}
    for file_name, write in files.items():
        with replacing(folder / file_name) as beside:
            with open(beside, "wb") as file:
                write(file)
            checksums[file_name] = _checksum(beside)
    return {"name": name, "rows": len(values), "checksums": checksums}


def damaged(folder: Path) -> list[str]:
    """The files of a feature, relative to its folder, that are missing, cannot be read or are not what their checksums
    say; reads everything, also where the feature cannot be opened."""
    try:
        segments = read_json(folder / "manifest.json")["segments"]
        sums = {name: checksum for segment in segments for name, checksum in segment["checksums"].items()}
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError):
        return ["manifest.json"]
    bad = [name for name, sum_ in sums.items() if not (folder / name).exists() or _checksum(folder / name) != sum_]
    for path in sorted((folder / "parts").glob("*.npz")):
        try:
            _read_part(path)
        except ExplorerError:
            bad.append(f"parts/{path.name}")
    return bad


def drop_damaged(folder: Path, bad: Iterable[str]) -> None:
    """Forget the rows in the files that `damaged` named: the next run computes them. The caller holds the dataset's
    writing lock."""
    names = set(bad)
    if "manifest.json" in names:
        shutil.rmtree(folder)
        return
    manifest = read_json(folder / "manifest.json")
    kept = [segment for segment in manifest["segments"] if names.isdisjoint(segment["checksums"])]
    write_json(folder / "manifest.json", {**manifest, "segments": kept})
    for name in names:
        _remove(folder / name)


def _hurt(path: Path) -> ExplorerError:
    return ExplorerError(
        f"{path} is damaged. `python -m explorer check --repair` drops what is damaged and computes it again."
    )


def _packed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) float32 to scales (n,) float32, powers of two, and rows (n, d) float16 with values = rows * scale."""
    largest = np.abs(values).max(axis=1) if values.shape[1] else np.zeros(len(values), np.float32)
    exponent = np.frexp(largest)[1] - 15  # rows end up below 2^15, and what is 2^29 times smaller is still exact
    exponent = np.where(largest > 0, np.clip(exponent, -126, 127), 0)
    rows = np.ldexp(values, -exponent[:, None]).astype(np.float16)
    return np.ldexp(np.float32(1), exponent).astype(np.float32), rows


def _read_part(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as part:
            return part["hash"], part["scale"], part["rows"]
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError):
        raise _hurt(path) from None


def _checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        if os.name != "nt":
            raise
        # a reader has it mapped: the next run removes it

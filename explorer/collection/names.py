"""Very many short texts, such as the uids of a million pictures, and where each stands, without an object for each.

A list of a million texts and a dict over it take 250 MB and a second; the same as one run of bytes with offsets, as
Arrow has them, 20 to 45 MB and no time, and the places of texts 16 MB, made when first asked for.
"""

import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_CHUNK, _KEPT = 65_536, 200_000
_NONE = array("q", [0])


class Names(Sequence[str]):
    """n texts, read like a list. Equal to a list, or to other names, of the same texts. Thread-safe."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, texts: Any) -> None:
        """From an Arrow array or chunked array of strings, or anything that such an array can be made of. A missing
        text is the empty one."""
        if not isinstance(texts, pa.Array | pa.ChunkedArray):
            texts = pa.array(texts, pa.large_string())
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        texts = texts.cast(pa.large_string())
        self._array: pa.Array = texts.fill_null("") if texts.null_count else texts
        _, starts, data = self._array.buffers()
        first, n = self._array.offset, len(self._array)
        self._starts = memoryview(starts)[8 * first : 8 * (first + n + 1)].cast("q") if n else memoryview(_NONE)
        self._data = memoryview(data) if data is not None else memoryview(b"")

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int | np.integer) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                return [self[row] for row in range(start, stop, step)]
            found: list[str] = self._array.slice(start, max(stop - start, 0)).to_pylist()
            return found
        row = int(index)
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(f"There is no row {index}; there are {len(self)}.")
        return str(self._data[self._starts[row] : self._starts[row + 1]], "utf-8")

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self[start : start + _CHUNK] for start in range(0, len(self), _CHUNK))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Names):
            return bool(self._array.equals(other._array))
        return self.tolist() == other if isinstance(other, list) else NotImplemented

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.tolist(), dtype)

    def __arrow_array__(self, type: Any = None) -> pa.Array:
        return self._array if type is None else self._array.cast(type)

    def __repr__(self) -> str:
        return f"Names({len(self)})"

    def tolist(self) -> list[str]:
        return self[:]

    def picked(self, rows: np.ndarray) -> pa.Array:
        """The texts of (m,) rows."""
        return self._array.take(pa.array(np.asarray(rows, np.int64)))

    def run(self) -> bytes:
        """All texts in UTF-8, one after the other with nothing between."""
        return bytes(self._data[self._starts[0] : self._starts[-1]])

    def firsts(self) -> np.ndarray:
        """(n,) int64: the row at which the text of each row stands first, -1 for the empty text."""
        codes = np.asarray(self._array.dictionary_encode().indices, np.int64)
        first = np.full(int(codes.max(initial=-1)) + 1, len(codes), np.int64)
        np.minimum.at(first, codes, np.arange(len(codes)))
        return np.where(np.diff(np.frombuffer(self._starts, np.int64)) > 0, first[codes], -1)


class Places(Mapping[str, int]):
    """Where each of some names, all different, stands: a dict from text to row. Thread-safe.

    Made when first asked for: the texts' hashes in order, a tenth of what a dict takes and .3 s at a million. What was
    found lately is kept in a dict: the answers of a question are looked up again at every key press.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self._lock = threading.Lock()
        self._made: tuple[np.ndarray, np.ndarray] | None = None
        self._found: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and self.get(text) is not None

    def __getitem__(self, text: str) -> int:
        row: int | None = self.get(text)
        if row is None:
            raise KeyError(text)
        return row

    def get(self, text: str, default: Any = None) -> Any:
        row = self._found.get(text)
        if row is None:
            row = self._find(text)
            if len(self._found) >= _KEPT:
                self._found.clear()
            self._found[text] = row
        return default if row < 0 else row

    def of(self, texts: Iterable[str]) -> np.ndarray:
        """(m,) int64 rows of m texts, -1 where there is none."""
        if isinstance(texts, Names) and texts == self.names:
            return np.arange(len(texts))
        listed = texts if isinstance(texts, Names) else Names(list(texts))
        hashes, rows = self._made or self._make()
        if not len(hashes):
            return np.full(len(listed), -1, np.int64)
        own = _hashes(listed)
        at = np.minimum(np.searchsorted(hashes, own), len(hashes) - 1)
        found = np.where(hashes[at] == own, rows[at], -1)
        near = np.flatnonzero(found >= 0)
        same = np.asarray(pc.equal(self.names.picked(found[near]), listed.picked(near)))
        for row in near[~same]:  # two texts of one hash
            found[row] = self._find(listed[row])
        return found

    def _find(self, text: str) -> int:
        hashes, rows = self._made or self._make()
        own = hash(text)
        at = int(np.searchsorted(hashes, own))
        while at < len(hashes) and hashes[at] == own:
            if self.names[rows[at]] == text:
                return int(rows[at])
            at += 1
        return -1

    def _make(self) -> tuple[np.ndarray, np.ndarray]:
        with self._lock:
            if self._made is None:
                hashes = _hashes(self.names)[::-1]
                order = np.argsort(hashes, kind="stable")  # of equal ones the last row first
                self._made = hashes[order], (len(hashes) - 1 - order).astype(np.int64)
            return self._made


def _hashes(names: Names) -> np.ndarray:
    return np.fromiter(map(hash, names), np.int64, len(names))

"""Several spaces read as one: a joined space's vectors and codes as a view of its parts', without a second copy.

A joined row is its parts' rows one after the other, each times a factor, made to length one again. An inner product
with it is the sum of inner products with the parts, so a scan is the sum of the parts' scans, and its bound the sum of
theirs. The parts' files are linked into the joined space's folder: what is linked stays, also when the space that it
belongs to has been built anew.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explorer.errors import BadInput
from explorer.space.codes import FILES, Codes, float32_scores, ranked
from explorer.space.signs import SIGN_FILES

VECTORS = "vectors.f32.npy"
_LENGTHS = "lengths.npy"
_BLOCK = 16_384
_ULP = 2.0**-24


@dataclass(frozen=True)
class _Part:
    vectors: np.ndarray
    codes: Codes
    factor: np.float32
    rows: np.ndarray | None
    """(n,) int64: where each joined row stands in the part; None where the rows are the same."""
    columns: slice

    def at(self, index: Any) -> Any:
        """The part's rows for any index of the joined rows."""
        return index if self.rows is None else self.rows[index]

    def spread(self, found: np.ndarray) -> np.ndarray:
        """Values of the part's rows as those of the joined rows."""
        return found if self.rows is None else found[self.rows]


class JoinedVectors:
    """(n, d) float32 unit rows that lie in parts. Behaves like an array where vectors are read: rows by number, list,
    mask or slice, `@`, `shape`, and `numpy.asarray`, which makes the whole copy."""

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, parts: Sequence[_Part], lengths: np.ndarray | None) -> None:
        self.parts, self.lengths = tuple(parts), lengths
        first = parts[0]
        self.shape = (len(first.vectors) if first.rows is None else len(first.rows), parts[-1].columns.stop)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, tuple):
            picked = self[index[0]]
            return picked[(slice(None),) * (picked.ndim - 1) + index[1:]]
        found: np.ndarray | None = None
        for part in self.parts:
            own = part.vectors[part.at(index)]
            if found is None:
                found = np.empty((*own.shape[:-1], self.shape[1]), np.float32)
            np.multiply(own, part.factor, out=found[..., part.columns])
        assert found is not None
        if self.lengths is not None:
            found *= self.lengths[index][..., None]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __matmul__(self, other: np.ndarray) -> np.ndarray:
        other = np.asarray(other)
        products = [part.spread(part.vectors @ (other[part.columns] * part.factor)) for part in self.parts]
        found = np.asarray(sum(products))
        if self.lengths is not None:
            found *= self.lengths if found.ndim == 1 else self.lengths[:, None]
        return found

    def scores(self, rows: np.ndarray, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        """What `codes.float32_scores` is for an array: (m, C) float32 of (m,) rows, in a fixed order of summing."""
        exact, offsets = _weights(weights, bias, self.shape[1])
        rows = np.asarray(rows, np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"There is a row outside 0 to {len(self) - 1}.")
        found = np.zeros((len(rows), exact.shape[1]), np.float32)
        for part in self.parts:
            found += float32_scores(part.vectors, part.at(rows), exact[part.columns] * np.float64(part.factor))
        if self.lengths is not None:
            found *= self.lengths[rows, None]
        return found + offsets


class JoinedCodes:
    """The codes of `JoinedVectors`: the same scans as `Codes`, as sums of the parts' scans."""

    def __init__(self, vectors: JoinedVectors) -> None:
        self.parts, self.lengths, self.d = vectors.parts, vectors.lengths, vectors.shape[1]
        self._n = len(vectors)

    def __len__(self) -> int:
        return self._n

    def scores(self, weights: np.ndarray, bias: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Approximate scores (n, C) float32 and bounds (n,): see `Codes.scores`."""
        return self.approximate(weights, bias), self.bounds(weights, bias)

    def approximate(self, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        exact, offsets = _weights(weights, bias, self.d)
        found: np.ndarray | None = None
        for part in self.parts:
            some = part.spread(part.codes.approximate(exact[part.columns] * np.float64(part.factor)))
            found = some if found is None else np.add(found, some, out=found)
        assert found is not None
        if self.lengths is not None:
            found *= self.lengths[:, None]
        found += offsets
        return found

    def estimates(self, query: np.ndarray) -> np.ndarray:
        """(n,) float32: the scores of a (d,) query from the parts' signs, see `Signs`."""
        exact = np.asarray(query, np.float64)
        found = np.zeros(self._n, np.float32)
        for part in self.parts:
            found += part.spread(part.codes.estimates(exact[part.columns] * np.float64(part.factor)))
        if self.lengths is not None:
            found *= self.lengths
        return found

    def spread(self, query: np.ndarray) -> float:
        """See `Codes.spread`: the parts err each on their own."""
        exact = np.asarray(query, np.float64)
        parts = [part.factor**2 * part.codes.spread(exact[part.columns]) for part in self.parts]
        return float(np.linalg.norm(parts))

    def bounds(self, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        """(n,) float32: the parts' bounds, and what adding them up in float32, on both sides, can come to."""
        exact, offsets = _weights(weights, bias, self.d)
        found, size = np.zeros(self._n, np.float32), np.zeros(self._n, np.float32)
        for part in self.parts:
            own = exact[part.columns] * np.float64(part.factor)
            found += part.spread(part.codes.bounds(own))
            size += part.spread(part.codes.error[:, 1]) * np.float32(np.linalg.norm(own, axis=0).max())
        largest = np.float32(np.abs(offsets[np.isfinite(offsets)]).max(initial=0))
        found += np.float32((8 * len(self.parts) + 16) * _ULP) * (size + largest)
        if self.lengths is not None:
            found *= np.maximum(self.lengths, 1)
        return found * np.float32(1 + 1e-5)

    def top(
        self,
        w: np.ndarray,
        n: int,
        vectors: Any,
        allowed: np.ndarray | None = None,
        extra: np.ndarray | None = None,
    ) -> np.ndarray:
        """The rows with the largest scores, exactly as by float32: see `Codes.top`."""
        column = np.reshape(w, (-1, 1))
        about, bound = self.scores(column)
        return ranked(about[:, 0], bound, n, lambda rows: float32_scores(vectors, rows, column)[:, 0], allowed, extra)

    def decide(
        self,
        weights: np.ndarray,
        bias: np.ndarray | None,
        vectors: Any,
        extra: np.ndarray | None = None,
    ) -> np.ndarray:
        """The column of the largest score of every row, exactly as by float32: see `Codes.decide`."""
        found, bound = self.scores(weights, bias)
        if extra is not None:
            found += np.asarray(extra, np.float32)
            bound += np.float32(8 * _ULP) * np.abs(np.where(np.isfinite(found), found, 0)).max(axis=1)
        if found.shape[1] > 1:
            best = np.partition(found, found.shape[1] - 2, axis=1)[:, -2:]
            near = np.flatnonzero(~(best[:, 1] - best[:, 0] > 2 * bound))
            found[near] = float32_scores(vectors, near, weights, bias)
            if extra is not None:
                found[near] += np.asarray(extra, np.float32)[near]
        return found.argmax(axis=1)


def _weights(weights: np.ndarray, bias: np.ndarray | None, d: int) -> tuple[np.ndarray, np.ndarray]:
    exact = np.asarray(weights, np.float64)
    offsets = np.zeros(exact.shape[-1], np.float32) if bias is None else np.asarray(bias, np.float32)
    if exact.ndim != 2 or exact.shape[0] != d or not exact.shape[1] or offsets.shape != exact.shape[1:]:
        raise BadInput(f"Weights here are ({d}, classes) and a bias for each, not {np.shape(weights)}.")
    if np.isnan(offsets).any():
        raise BadInput("The weights hold values that are no numbers.")
    return exact, offsets


def link_parts(
    folder: Path, parts: Sequence[Path], weights: Sequence[float], rows: Sequence[np.ndarray | None], n: int
) -> JoinedVectors:
    """Make the view of the parts' folders in the folder of a joined space of n rows, and open it.

    `rows`: see `_Part.rows`. The files are linked where the disk can, else copied. A row of which a part has nothing
    (all zeros) is made to length one by the others.
    """
    for number, part in enumerate(parts):
        for name in (VECTORS, *FILES):
            link(part / name, folder / f"part{number}.{name}")
        for name in SIGN_FILES:
            if (part / name).exists():  # not in a space of an older version
                link(part / name, folder / f"part{number}.{name}")
        if rows[number] is not None:
            np.save(folder / f"part{number}.rows.npy", np.asarray(rows[number], np.int32), allow_pickle=False)
    vectors = open_parts(folder, weights, n)
    lengths = np.ones(len(vectors), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        own = np.linalg.norm(vectors[start : start + _BLOCK], axis=1)
        lengths[start : start + _BLOCK] = np.where(np.abs(own - 1) < 1e-4, 1, 1 / np.maximum(own, 1e-12))
    lengths[lengths > 1e11] = 1
    if (lengths != 1).any():
        np.save(folder / _LENGTHS, lengths, allow_pickle=False)
        return JoinedVectors(vectors.parts, lengths)
    return vectors


def open_parts(folder: Path, weights: Sequence[float], n: int) -> JoinedVectors:
    """The view of n rows that `link_parts` made. Raises FileNotFoundError if there is none."""
    parts, start = [], 0
    for number, weight in enumerate(weights):
        file = folder / f"part{number}.rows.npy"
        rows = np.load(file, allow_pickle=False).astype(np.int64) if file.exists() else None
        count = n if rows is None else int(rows.max()) + 1  # later generations of a part may have added to its files
        vectors = np.load(folder / f"part{number}.{VECTORS}", mmap_mode="r", allow_pickle=False)[:count]
        codes = Codes.open(folder, vectors.shape[1], count, f"part{number}.")
        if codes is None:
            raise FileNotFoundError(folder / f"part{number}.{FILES[0]}")
        factor = np.float32(np.sqrt(weight / sum(weights)))
        parts.append(_Part(vectors, codes, factor, rows, slice(start, start + vectors.shape[1])))
        start += vectors.shape[1]
    lengths = np.load(folder / _LENGTHS, allow_pickle=False) if (folder / _LENGTHS).exists() else None
    return JoinedVectors(parts, lengths)


def whole(folder: Path) -> bool:
    """Can this folder of a space be a part: are its vectors and their codes there?"""
    return all((folder / name).exists() for name in (VECTORS, *FILES))


_hard_link = os.link


def link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the disk has no links."""
    try:
        _hard_link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)

"""A space's vectors in one bit a number: a first look at very many rows, of which the likely are looked at closely.

The signs of a row turned twice (`codes.turned`; once leaves a few large numbers too far apart) and one factor give an
estimate without bias of its inner product with any query (RaBitQ, Gao & Long 2024). What it misses has a known spread
and no bound worth using, unlike that of `codes`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from explorer.space.shares import in_shares

if TYPE_CHECKING:
    from explorer.space.codes import Codes

SIGN_FILES = ("signs.u64.npy", "signs.factor.npy")
SPREAD = 0.8
"""Of an estimate, times the root of d: .80 on synthetic rows and on EfficientNet-Lite0's."""
ROOM = 8_192
"""The most rows that are named for one of many queries."""
_SAMPLE = 16_384
"""Rows whose estimates say above which about as many rows as are wanted lie."""
_WIDEST = 3.0
"""Of a query's numbers, in their root mean square: the few beyond are cut off, and the steps of all are finer. So three
bits do (spread .80 and .81 on both, where four without a cut have .76 and .77) in three quarters of the time."""
_STEPS = 6
"""Of the work of one bit-count, in those of `shares.INLINE`."""


@dataclass(frozen=True)
class Signs:
    """The rows of a space in one bit a number. Safe from several threads."""

    bits: np.ndarray
    """(n / 8, d' / 64, 8) uint64, see `sign_kernels`."""
    factor: np.ndarray
    """(n,) float32, made up to a multiple of 8."""
    n: int

    @classmethod
    def of(cls, codes: "Codes") -> Self:
        """In memory, an eighth of the codes' size: a tenth of a second at a million rows of 512 numbers."""
        from explorer.space import sign_kernels as kernels
        from explorer.space.codes import LANE, fixed, flips

        n, width = codes.codes.shape
        blocks = -(-n // kernels.ROWS)
        bits = np.zeros((blocks, width // LANE, kernels.ROWS), np.uint64)
        factor = np.zeros(blocks * kernels.ROWS, np.float32)
        turns = fixed(flips(width), np.int32)
        in_shares(kernels.signs_of, n * width, fixed(codes.codes), fixed(codes.scale), turns, bits, factor)
        return cls(fixed(bits), fixed(factor), n)

    def write(self, folder: Path) -> None:
        """Keep them in a folder: to make them anew takes a second at a million rows."""
        for name, array in zip(SIGN_FILES, (self.bits, self.factor), strict=True):
            np.save(folder / name, array, allow_pickle=False)

    @classmethod
    def open(cls, folder: Path, n: int, prefix: str = "") -> Self | None:
        """The first n rows of a folder, memory-mapped; None where there are none, as in a space of an older version."""
        from explorer.space.codes import fixed
        from explorer.space.sign_kernels import ROWS

        files = [folder / f"{prefix}{name}" for name in SIGN_FILES]
        if not all(file.exists() for file in files):
            return None
        bits, factor = (np.load(file, mmap_mode="r", allow_pickle=False) for file in files)
        blocks = -(-n // ROWS)
        return cls(fixed(bits[:blocks]), fixed(factor[: blocks * ROWS]), n)

    def estimates(self, query: np.ndarray) -> np.ndarray:
        """(n,) float32: about the inner products with a (d,) query."""
        from explorer.space import sign_kernels as kernels

        planes, terms = self._prepare(query[None])
        out = np.empty(len(self.factor), np.float32)
        in_shares(kernels.estimate, self.bits.size * _STEPS, self.bits, self.factor, planes[0], terms[0], out)
        return out[: self.n]

    def reach(self, queries: np.ndarray, least: np.ndarray) -> list[tuple[np.ndarray, np.ndarray] | None]:
        """For each of (m, d) queries the rows whose estimates are `least` (m,) or more, int64, and their estimates,
        float32, in no order. None where those are more than ROOM."""
        from explorer.space import sign_kernels as kernels

        planes, terms = self._prepare(queries)
        m = len(queries)
        rows, estimates = np.empty((m, ROOM), np.int32), np.empty((m, ROOM), np.float32)
        counts = np.zeros(m, np.int64)
        arrays = (self.bits, self.factor, planes, terms, np.asarray(least, np.float32), rows, estimates, counts)
        in_shares(kernels.reach, self.bits.size * _STEPS * m, *arrays)
        found: list[tuple[np.ndarray, np.ndarray] | None] = []
        for number, hits in enumerate(counts.tolist()):
            some = rows[number, :hits].astype(np.int64)
            there = some < self.n  # the last block is made up with rows that are not there
            found.append((some[there], estimates[number, :hits][there]) if hits <= ROOM else None)
        return found

    def guess(self, queries: np.ndarray, count: int) -> np.ndarray:
        """(m,) float32: for each of (m, d) queries an estimate that about `count` rows reach, or more, by a sample."""
        from explorer.space import sign_kernels as kernels

        planes, terms = self._prepare(queries)
        blocks = np.arange(0, len(self.bits), max(len(self.bits) * kernels.ROWS // _SAMPLE, 1))
        bits = np.ascontiguousarray(self.bits[blocks])
        factor = np.ascontiguousarray(self.factor.reshape(-1, kernels.ROWS)[blocks]).ravel()
        expected = count * len(factor) / max(self.n, 1)
        place = min(int(np.ceil(expected + 2 * np.sqrt(expected) + 1)), len(factor))
        least, out = np.empty(len(planes), np.float32), np.empty(len(factor), np.float32)
        for number in range(len(planes)):
            in_shares(kernels.estimate, 0, bits, factor, planes[number], terms[number], out)
            least[number] = np.partition(out, len(out) - place)[len(out) - place]
        return least

    def _prepare(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(m, d) queries to planes (m, words, 3) uint64 and (m, 2) float32, see `sign_kernels`."""
        from explorer.space.codes import LANE, turned
        from explorer.space.sign_kernels import PLANES

        half = 2 ** (PLANES - 1)
        exact = turned(turned(np.asarray(queries, np.float64)))
        usual = np.sqrt(np.square(exact).mean(axis=1, keepdims=True))
        most = np.minimum(np.abs(exact).max(axis=1, keepdims=True), _WIDEST * usual)
        unit = np.maximum(most / (half - 0.5), 1e-35)
        whole = np.clip(np.rint(exact / unit), -half, half - 1).astype(np.int64)
        m = len(whole)
        in_words = whole.reshape(m, -1, LANE).transpose(0, 2, 1).reshape(m, -1, LANE)  # the order of `signs_of`
        shifts = np.arange(LANE, dtype=np.uint64)
        planes = [(((in_words >> bit) & 1).astype(np.uint64) << shifts).sum(axis=2) for bit in range(PLANES)]
        terms = np.concatenate([2 * unit, whole.sum(axis=1, keepdims=True) * unit], axis=1)
        return np.stack(planes, axis=2), terms.astype(np.float32)

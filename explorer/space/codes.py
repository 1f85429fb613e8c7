"""A space's vectors in one byte a number, and scans of them that end in what float32 would have said.

Every row has its own scale and a bound on what its codes miss, so an approximate score comes with a bound of its error:
rows that could change an order or a decision are scored again from the vectors, and only those. A scan reads a quarter
of the bytes of float32 and runs as fast as the memory gives them (see `benchmarks.label_loop`). Rows are turned before
they are rounded, see `turned`: that halves what is missed (demo: .016 to .008 of a row's length, colours .012 to .006).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from explorer.durable import reserve
from explorer.errors import BadInput
from explorer.space.shares import in_shares
from explorer.space.signs import SPREAD, Signs

FILES = ("codes.i8.npy", "codes.scale.npy", "codes.error.npy")
_LARGEST = 32_639
"""Of a weight in two bytes, so that both halves fit a signed byte."""
_SUM = 2**31 - 2**16
"""Codes times weights never sum to more."""
_ULP = 2.0**-24
_NOTHING = 1e-28
"""Added to bounds: scores smaller than this may be flushed to zero."""
_AT_ONCE = 8_000_000
"""Scores held at once while deciding."""
_SAMPLE = 4_096
LANE = 64
"""Numbers that are turned together; rows of codes are a multiple of it."""


@dataclass(frozen=True)
class _Weights:
    """(d, C) weights in two bytes a number, C >= 1, and what that costs."""

    words: np.ndarray
    octets: np.ndarray
    sums: np.ndarray
    unit: np.ndarray
    bias: np.ndarray
    length: float
    """Of the longest column, at least."""
    missed: float
    """The most that a column lost."""
    largest_bias: float


@dataclass(frozen=True)
class Codes:
    """The rows of a space as bytes. All arrays are read-only and may be memory-mapped; safe from several threads."""

    codes: np.ndarray
    """(n, d') int8; d' is d, made up to a multiple of 64."""
    scale: np.ndarray
    """(n,) float32: a row, turned, is about its codes times this."""
    error: np.ndarray
    """(n, 2) float32: the length of what the codes miss of the row, and of the row itself; both at least."""
    d: int
    kept: Signs | None = None
    """Of the same rows, where they were stored."""

    @classmethod
    def of(cls, vectors: np.ndarray) -> Self:
        """The codes of (n, d) float32 vectors, in memory."""
        n, d = vectors.shape
        codes, scale, error = np.empty((n, _padded(d)), np.int8), np.empty(n, np.float32), np.empty((n, 2), np.float32)
        _quantise(vectors, codes, scale, error)
        return cls(fixed(codes), fixed(scale), fixed(error), d)

    @staticmethod
    def write(folder: Path, vectors: np.ndarray) -> None:
        """Write the codes of (n, d) float32 vectors, in memory or mapped, to a folder."""
        n, d = vectors.shape
        shapes: list[tuple[type, Any]] = [(np.int8, (n, _padded(d))), (np.float32, (n,)), (np.float32, (n, 2))]
        made = [
            np.lib.format.open_memmap(folder / name, mode="w+", dtype=kind, shape=shape)
            for name, (kind, shape) in zip(FILES, shapes, strict=True)
        ]
        for array in made:
            reserve(array)
        codes, scale, error = [np.asarray(array) for array in made]
        _quantise(vectors, codes, scale, error)
        for array in made:
            array.flush()
        Codes(fixed(codes), fixed(scale), fixed(error), d).signs.write(folder)

    @classmethod
    def open(cls, folder: Path, d: int, n: int | None = None, prefix: str = "") -> Self | None:
        """The codes of a folder, memory-mapped; None where there are none, as in a space of an older version. The first
        `n` rows: a later generation may have added to the same files."""
        files = [folder / f"{prefix}{name}" for name in FILES]
        if not all(file.exists() for file in files):
            return None
        codes, scale, error = [fixed(np.load(file, mmap_mode="r", allow_pickle=False)[:n]) for file in files]
        return cls(codes, scale, error, d, Signs.open(folder, len(codes), prefix))

    def __len__(self) -> int:
        return len(self.codes)

    def scores(self, weights: np.ndarray, bias: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Approximate scores (n, C) float32 of every row, from weights (d, C) and bias (C,) float32, and bounds (n,).

        The bound holds for each of a row's scores: float32 over the vectors, `float32_scores`, is no further away. A
        score whose bias is -inf is -inf. Raises BadInput for shapes that do not fit and weights that are no numbers.
        """
        made = self._prepare(weights, bias)
        return self._scan(made, 0, len(self)), self._bound(made)

    def approximate(self, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        """The scores of `scores` alone, for who needs their bounds later or not at all."""
        return self._scan(self._prepare(weights, bias), 0, len(self))

    def bounds(self, weights: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
        """(n,) float32: how far each of `approximate` can be from `float32_scores`."""
        return self._bound(self._prepare(weights, bias))

    @cached_property
    def signs(self) -> Signs:
        """The rows in one bit a number, made at first use where none are stored."""
        return self.kept or Signs.of(self)

    def estimates(self, query: np.ndarray) -> np.ndarray:
        """(n,) float32: the scores of a (d,) query from the signs alone, without a bound. See `Signs`."""
        return self.signs.estimates(query)

    def spread(self, query: np.ndarray) -> float:
        """How far `estimates` of a (d,) query are off rows of length one, as a standard deviation."""
        return SPREAD / float(np.sqrt(self.codes.shape[1])) * float(np.linalg.norm(query))

    def top(
        self,
        w: np.ndarray,
        n: int,
        vectors: np.ndarray,
        allowed: np.ndarray | None = None,
        extra: np.ndarray | None = None,
    ) -> np.ndarray:
        """The `n` rows with the largest score, largest first, equal ones in the order of the rows: (n',) int64.

        The score is float32 over `vectors` (n, d) with `w` (d,), plus `extra` (n,) float32 where it is given. `allowed`
        (n,) bool keeps only some rows. Every row whose bound reaches the n-th best is scored from its vector.
        """
        self._check(vectors)
        column = np.reshape(w, (-1, 1))
        made = self._prepare(column, None)
        about, bound = self._scan(made, 0, len(self))[:, 0], self._bound(made)
        return ranked(about, bound, n, lambda rows: float32_scores(vectors, rows, column)[:, 0], allowed, extra)

    def decide(
        self, weights: np.ndarray, bias: np.ndarray | None, vectors: np.ndarray, extra: np.ndarray | None = None
    ) -> np.ndarray:
        """The column of the largest score of every row, the first of equal ones, as float32 over `vectors` has it.

        (n,) int64. `extra` (n, C) float32 is added to the scores. Rows whose best two are within their bounds of each
        other are scored from their vectors.
        """
        return self._decide(weights, bias, vectors, extra)[0]

    def _decide(
        self, weights: np.ndarray, bias: np.ndarray | None, vectors: np.ndarray, extra: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same, and (n,) bool: the rows that had to be scored again."""
        self._check(vectors)
        made = self._prepare(weights, bias)
        count, n = len(made.words), len(self)
        squares = np.asarray(weights, np.float64).T @ np.asarray(weights, np.float64)
        lengths = np.diag(squares)
        apart = np.sqrt(np.maximum(lengths[:, None] + lengths - 2 * squares, 0)) + 1e-6 * made.length + 2 * made.missed
        rounding = np.array([2 * made.missed + 2 * self._ulps * made.length, 16 * _ULP * (1 + made.largest_bias)])
        columns = fixed(np.asarray(weights).T, np.float32)
        offsets = fixed(np.zeros(count) if bias is None else bias, np.float32)
        added = fixed(np.empty((0, count)) if extra is None else extra, np.float32)
        best, again = np.empty(n, np.int64), np.empty(n, np.bool_)
        step = max(_AT_ONCE // count, 1)
        for start in range(0, n, step):
            here = slice(start, min(start + step, n))
            scores = self._scan(made, here.start, here.stop)
            if extra is not None:
                scores += added[here]
            arrays = (fixed(vectors[here], np.float32), columns, offsets, added[here], best[here], again[here])
            in_shares(
                _kernel("decide"), scores.size * 8, scores, self.error[here], fixed(apart), fixed(rounding), *arrays
            )
        return best, again

    @property
    def _ulps(self) -> float:
        """Relative to the lengths of row and weights: what float32 may be off in a sum of d products, in any order."""
        return (self.d + 8) * _ULP

    def _check(self, vectors: np.ndarray) -> None:
        if vectors.shape != (len(self), self.d):
            raise BadInput(f"These are the codes of ({len(self)}, {self.d}) vectors, not of {vectors.shape}.")

    def _prepare(self, weights: np.ndarray, bias: np.ndarray | None) -> _Weights:
        exact = np.asarray(weights, np.float64)
        count = exact.shape[1] if exact.ndim == 2 else 0
        offsets = np.zeros(count, np.float32) if bias is None else np.asarray(bias, np.float32)
        if exact.ndim != 2 or exact.shape[0] != self.d or not count or offsets.shape != (count,):
            raise BadInput(f"Weights here are ({self.d}, classes) and a bias for each, not {np.shape(weights)}.")
        if not np.isfinite(exact).all() or np.isnan(offsets).any():
            raise BadInput("The weights hold values that are no numbers.")
        exact = turned(exact.T)
        unit = np.maximum(np.abs(exact).max(axis=1) / _LARGEST, 127 * np.abs(exact).sum(axis=1) / _SUM)
        unit = np.maximum(unit, 1e-35).astype(np.float32)
        whole = np.rint(exact / unit[:, None])
        words = whole.astype(np.int32)
        low = ((words + 128) & 255) - 128
        octets = np.stack([(words - low) // 256, low], axis=1).astype(np.int8)
        sums = (128 * words.sum(axis=1, dtype=np.int64)).astype(np.uint32).view(np.int32)  # mod 2^32
        finite = offsets[np.isfinite(offsets)]
        return _Weights(
            words=fixed(words, np.int16),
            octets=fixed(octets),
            sums=fixed(_with_fours(sums)),
            unit=fixed(_with_fours(unit)),
            bias=fixed(_with_fours(offsets)),
            length=float(np.linalg.norm(exact, axis=1).max()) * (1 + 1e-9),
            missed=float(np.linalg.norm(exact - whole * unit[:, None].astype(np.float64), axis=1).max()) * (1 + 1e-9),
            largest_bias=float(np.abs(finite).max(initial=0)),
        )

    def _scan(self, made: _Weights, start: int, stop: int) -> np.ndarray:
        scores = np.empty((stop - start, len(made.words)), np.float32)
        arrays = (made.words, made.octets, made.sums, made.unit, made.bias)
        in_shares(
            _kernel("scan"), scores.size * self.d, self.codes[start:stop], self.scale[start:stop], *arrays, scores
        )
        return scores

    def _bound(self, made: _Weights) -> np.ndarray:
        """(n,) float32: what codes, two-byte weights and the roundings of both ways of summing come to at most."""
        missed = np.float32((made.length + made.missed) * (1 + 1e-5))
        rounding = np.float32((made.missed + self._ulps * made.length) * (1 + 1e-5))
        bound = self.error[:, 0] * missed
        bound += self.error[:, 1] * rounding
        bound += np.float32(4 * _ULP * made.largest_bias + _NOTHING)
        return bound


def ranked(
    about: np.ndarray,
    bound: np.ndarray,
    n: int,
    exact: Callable[[np.ndarray], np.ndarray],
    allowed: np.ndarray | None = None,
    extra: np.ndarray | None = None,
) -> np.ndarray:
    """The first n rows by `exact`, which gives (m,) float32 scores of (m,) rows, from (n,) float32 approximate scores
    and their bounds, both of which are overwritten; else as `Codes.top`."""
    if extra is not None:
        about = about + np.asarray(extra, np.float32)
        bound += np.float32(8 * _ULP) * np.abs(about)
    at_least = about - bound
    sure = largest(at_least, n, allowed)
    if not len(sure):
        return sure
    about += bound
    # the bound of a bound: what the two roundings above may have taken
    reached = np.nextafter(at_least[sure[-1]], np.float32(-np.inf)) - np.abs(about.max()) * np.float32(4 * _ULP)
    rows = np.flatnonzero(about >= reached if allowed is None else (about >= reached) & allowed)
    found = exact(rows)
    if extra is not None:
        found += np.asarray(extra, np.float32)[rows]
    return rows[np.lexsort((rows, -found))[:n]]


def turned(rows: np.ndarray) -> np.ndarray:
    """(m, d) rows or columns of weights to (m, d') float64 whose inner products are the same, and whose numbers are of
    one size: fixed signs, then a Hadamard transform of each 64 numbers, which lie d' / 64 apart. A few large numbers
    would otherwise set the step for all (as in QuIP, Chee et al. 2023)."""
    from scipy.linalg import hadamard

    d = rows.shape[1]
    width = _padded(d)
    padded = np.zeros((len(rows), width))
    padded[:, :d] = rows * flips(d)
    apart = padded.reshape(len(rows), LANE, width // LANE).transpose(0, 2, 1)
    return (apart @ (hadamard(LANE) / np.sqrt(LANE))).reshape(len(rows), width)


def float32_scores(
    vectors: np.ndarray, rows: np.ndarray, weights: np.ndarray, bias: np.ndarray | None = None
) -> np.ndarray:
    """Scores (m, C) float32 of rows (m,) of (n, d) float32 vectors, summed in float32: what scans are measured by.

    The order of summing is fixed, so that a row has the same score whichever others are asked for; numpy's differs from
    it, and from itself, in the last bits. Vectors that lie in parts (`joined`) are the sum of the parts' scores.
    """
    if (in_parts := getattr(vectors, "scores", None)) is not None:
        return np.asarray(in_parts(rows, weights, bias))
    columns = np.ascontiguousarray(np.asarray(weights, np.float32).T)
    offsets = np.zeros(len(columns), np.float32) if bias is None else np.asarray(bias, np.float32)
    if columns.ndim != 2 or columns.shape[1] != vectors.shape[1] or offsets.shape != (len(columns),):
        raise BadInput(f"Weights here are ({vectors.shape[1]}, classes) and a bias each, not {np.shape(weights)}.")
    if len(rows) and not 0 <= np.min(rows) <= np.max(rows) < len(vectors):
        raise IndexError(f"There is a row outside 0 to {len(vectors) - 1}.")
    out = np.empty((len(rows), len(columns)), np.float32)
    arrays = (fixed(vectors, np.float32), fixed(rows, np.int64), fixed(columns), fixed(offsets), out)
    in_shares(_kernel("exact"), out.size * vectors.shape[1], *arrays)
    return out


def largest(values: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    """The rows of the k largest of (n,) float32, largest first, equal ones in the order of the rows: (k',) int64.

    `allowed` (n,) bool keeps only some. A sample guesses a threshold, one pass finds what is above it, and only that is
    sorted; where the guess was bad, a partition does it.
    """
    if allowed is not None:
        rows = np.flatnonzero(allowed)
        return rows[largest(values[rows], k)]
    n, k = len(values), min(k, len(values))
    if k <= 0:
        return np.empty(0, np.int64)
    found = _above_sampled(values, k) if 16 * k < n and n > 4 * _SAMPLE else None
    if found is None:
        least = np.partition(values, n - k)[n - k]
        above, equal = np.flatnonzero(values > least), np.flatnonzero(values == least)
        found = np.concatenate([above, equal[: k - len(above)]])
    return found[np.lexsort((found, -values[found]))[:k]]


def at_least(values: np.ndarray, least: float, room: int) -> tuple[np.ndarray, int]:
    """The rows of (n,) float32 that are `least` or more, ascending, up to `room` of them; and how many there are."""
    from explorer.space import scan_kernels

    rows, count = scan_kernels.at_least(fixed(values, np.float32), least, room)
    return rows, int(count)


def _above_sampled(values: np.ndarray, k: int) -> np.ndarray | None:
    n = len(values)
    sample = values[:: n // _SAMPLE]
    expected = k * len(sample) / n
    place = int(np.ceil(expected + 4 * np.sqrt(expected) + 4))
    least = np.partition(sample, len(sample) - place)[len(sample) - place]
    rows, count = at_least(values, least, 4 * place * (n // len(sample)) + k)
    return rows if k <= count == len(rows) else None


def warm() -> None:
    """Compile the loops, or read them from the disk, before somebody waits for them: seconds once, then about one."""
    from explorer.space.spread import Spread

    vectors = np.eye(8, 64, dtype=np.float32)
    weights = np.ones((64, 2), np.float32)
    codes = Codes.of(vectors)
    codes.decide(weights, np.zeros(2, np.float32), vectors)
    codes.top(weights[:, 0], 3, vectors)
    codes.estimates(weights[:, 0])
    largest(np.zeros(5 * _SAMPLE, np.float32), 5)
    ring = np.arange(8, dtype=np.int32)
    Spread(((ring + 1) % 8)[:, None], np.full((8, 1), 0.5, np.float32)).column(0)


def _padded(d: int) -> int:
    return -(-d // LANE) * LANE


def flips(d: int) -> np.ndarray:
    """(d,) of 1 and -1, the same for ever: stored codes rest on them."""
    mixed = np.arange(1, d + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
    return 1.0 - 2.0 * ((mixed >> np.uint64(40)) & np.uint64(1))


def _quantise(vectors: np.ndarray, codes: np.ndarray, scale: np.ndarray, error: np.ndarray) -> None:
    arrays = (fixed(vectors, np.float32), fixed(flips(vectors.shape[1])), codes, scale, error)
    in_shares(_kernel("quantise"), vectors.size * 16, *arrays)


def _with_fours(values: np.ndarray) -> np.ndarray:
    """(C,) to (5 C,): as they are, then each four times."""
    return np.concatenate([values, np.repeat(values, 4)])


def fixed(array: np.ndarray, kind: Any = None) -> np.ndarray:
    """A plain, contiguous, read-only view: one type of array for the compiler, so that it compiles once."""
    plain = np.ascontiguousarray(array, kind).view(np.ndarray).view()
    plain.flags.writeable = False
    return plain


def _kernel(name: str) -> Callable[..., None]:
    from explorer.space import scan_kernels

    if name == "scan":
        return scan_kernels.scan_vnni if scan_kernels.has_vnni() else scan_kernels.scan_plain
    found: Callable[..., None] = getattr(scan_kernels, name)
    return found

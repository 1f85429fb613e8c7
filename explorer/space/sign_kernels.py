"""Compiled loops of `signs`, in one file because numba's disk cache looks at the file of a function only.

Rows stand in blocks of eight, a word of 64 signs of each side by side, so that one instruction counts the bits of
eight rows and their sums never have to be gathered.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from explorer.space.codes import LANE
from explorer.space.scan_kernels import take

ROWS, PLANES = 8, 3
"""Rows of a block, and bits of a query's number."""
_BLOCKS = 256
"""Blocks that a thread takes at once."""
_NEAR = 32
"""Blocks that stay in the processor's nearest memory while many queries go over them."""


@njit(cache=True, nogil=True)
def signs_of(
    counter: np.ndarray,
    codes: np.ndarray,
    scale: np.ndarray,
    flips: np.ndarray,
    bits: np.ndarray,
    factor: np.ndarray,
) -> None:
    """The signs of codes (n, d') int8, turned once more, as `bits` (n / 8, d' / 64, 8) uint64, and `factor` (n,)
    float32, by which the sum of a query's numbers, each with the row's sign, becomes an estimate of their inner
    product. `flips` (d',) int32 are the signs of `codes.turned`. One share of the rows."""
    n, d = codes.shape
    words = d // LANE
    mixed = np.empty(d, np.int16)  # no sum of 64 codes is too large for it
    size = _BLOCKS * ROWS
    start = take(counter) * size
    while start < n:
        for row in range(start, min(start + size, n)):
            code, squares, lengths = codes[row], np.int32(0), np.int32(0)
            for place in range(d):
                value = np.int32(code[place])
                squares = np.int32(squares + value * value)
                mixed[place] = np.int16(flips[place] * value)
            width = words
            while width < d:
                for first in range(0, d, 2 * width):
                    low, high = mixed[first : first + width], mixed[first + width : first + 2 * width]
                    for place in range(width):
                        one, other = low[place], high[place]
                        low[place], high[place] = np.int16(one + other), np.int16(one - other)
                width *= 2
            for place in range(d):
                lengths = np.int32(lengths + abs(np.int32(mixed[place])))
            for at in range(words):
                some, word = mixed[LANE * at : LANE * at + LANE], np.uint64(0)
                for place in range(LANE):
                    word |= np.uint64(some[place] >= 0) << np.uint64(place)
                bits[row // ROWS, at, row % ROWS] = word
            # 8 is the root of LANE, by which the turned are too long
            factor[row] = scale[row] * np.float32(8 * squares / lengths) if lengths else np.float32(0)
        start = take(counter) * size


def _eight(typingctx: Any, bits: Any, planes: Any, words: Any, factor: Any, unit: Any, total: Any, out: Any) -> Any:
    """Estimates of eight rows, from the addresses of their bits and factors, to eight float32 at `out`.

    `planes` is the address of the query, (words, 3) uint64: whole numbers from -4 to 3 in two's complement, one bit of
    64 numbers a word. Twice their unit times the numbers where the sign is plus, less the sum of all, is their sum
    with the signs.
    """
    from llvmlite import ir

    whole, long, real = ir.IntType(32), ir.IntType(64), ir.FloatType()
    lanes, few, reals = ir.VectorType(long, ROWS), ir.VectorType(whole, ROWS), ir.VectorType(real, ROWS)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits, planes, words, factor, unit, total, out = arguments
        kind = ir.FunctionType(lanes, [lanes])
        count = cgutils.get_or_insert_function(builder.module, kind, f"llvm.ctpop.v{ROWS}i64")
        sums = [cgutils.alloca_once_value(builder, ir.Constant(lanes, None)) for _ in range(PLANES)]

        def load(address: Any, as_type: Any, align: int) -> Any:
            value = builder.load(builder.inttoptr(address, as_type.as_pointer()))
            value.align = align
            return value

        def offset(index: Any, number: int) -> Any:
            return builder.mul(index, ir.Constant(long, number))

        def repeated(value: Any, as_type: Any) -> Any:
            nothing = ir.Constant(as_type, ir.Undefined)
            one = builder.insert_element(nothing, value, ir.Constant(whole, 0))
            return builder.shuffle_vector(one, nothing, ir.Constant(few, [0] * ROWS))

        with cgutils.for_range(builder, words) as loop:
            here = load(builder.add(bits, offset(loop.index, 8 * ROWS)), lanes, 8)
            first = builder.add(planes, offset(loop.index, 8 * PLANES))
            for number, found in enumerate(sums):
                plane = load(builder.add(first, ir.Constant(long, 8 * number)), long, 8)
                hits = builder.call(count, [builder.and_(here, repeated(plane, lanes))])
                builder.store(builder.add(builder.load(found), hits), found)
        *lower, top = [
            builder.shl(builder.load(found), ir.Constant(lanes, [number] * ROWS)) for number, found in enumerate(sums)
        ]
        result = builder.sub(ir.Constant(lanes, None), top)  # the highest bit counts negative
        for part in lower:
            result = builder.add(result, part)
        scores = builder.fmul(builder.sitofp(builder.trunc(result, few), reals), repeated(unit, reals))
        scores = builder.fmul(builder.fsub(scores, repeated(total, reals)), load(factor, reals, 4))
        stored = builder.store(scores, builder.inttoptr(out, reals.as_pointer()))
        stored.align = 4
        return context.get_dummy_value()

    long_, real_ = types.int64, types.float32
    return types.void(long_, long_, long_, long_, real_, real_, long_), generate


_estimates: Any = intrinsic(_eight)


def _counted_at(typingctx: Any, address: Any) -> Any:
    """`take` for the int64 at an address: a slice would be counted by both threads, at 1.6 microseconds a row."""
    from llvmlite import ir

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(types.int64), generate


_take_at: Any = intrinsic(_counted_at)


@njit(cache=True, nogil=True)
def estimate(
    counter: np.ndarray, bits: np.ndarray, factor: np.ndarray, planes: np.ndarray, query: np.ndarray, out: np.ndarray
) -> None:
    """Estimates of the inner products of one query with all rows into `out`: one share of the rows.

    `bits` (b, words, 8), `factor` and `out` (8 b,) float32; `planes` (words, 3) uint64 and `query`, its unit twice and
    the sum of its numbers, (2,) float32.
    """
    blocks, words = bits.shape[0], bits.shape[1]
    b, f, o, p = bits.ctypes.data, factor.ctypes.data, out.ctypes.data, planes.ctypes.data
    unit, total = query[0], query[1]
    start = take(counter) * _BLOCKS
    while start < blocks:
        for block in range(start, min(start + _BLOCKS, blocks)):
            at = 4 * ROWS * block
            _estimates(b + 8 * ROWS * words * block, p, words, f + at, unit, total, o + at)
        start = take(counter) * _BLOCKS


@njit(cache=True, nogil=True)
def reach(
    counter: np.ndarray,
    bits: np.ndarray,
    factor: np.ndarray,
    planes: np.ndarray,
    queries: np.ndarray,
    least: np.ndarray,
    rows: np.ndarray,
    estimates: np.ndarray,
    counts: np.ndarray,
) -> None:
    """The rows whose estimate for a query is at least `least`, of many queries: one share of the rows.

    `planes` (m, words, 3), `queries` (m, 2), `least` (m,) float32. In no order into `rows` (m, room) int32 and
    `estimates` (m, room) float32, `counts` (m,) int64 of them; there may be more than there is room for.
    """
    blocks, words = bits.shape[0], bits.shape[1]
    scores = np.empty(_NEAR * ROWS, np.float32)
    b, f, o, p = bits.ctypes.data, factor.ctypes.data, scores.ctypes.data, planes.ctypes.data
    c, room = counts.ctypes.data, rows.shape[1]
    start = take(counter) * _NEAR
    while start < blocks:
        stop = min(start + _NEAR, blocks)
        size = ROWS * (stop - start)
        for number in range(len(planes)):
            here, unit, total = p + 8 * PLANES * words * number, queries[number, 0], queries[number, 1]
            for block in range(start, stop):
                to = o + 4 * ROWS * (block - start)
                _estimates(b + 8 * ROWS * words * block, here, words, f + 4 * ROWS * block, unit, total, to)
            bound, hits = least[number], 0
            for at in range(size):
                hits += scores[at] >= bound
            if hits:
                for at in range(size):
                    if scores[at] >= bound:
                        place = _take_at(c + 8 * number)
                        if place < room:
                            rows[number, place] = ROWS * start + at
                            estimates[number, place] = scores[at]
        start = take(counter) * _NEAR

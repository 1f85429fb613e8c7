"""Compiled loops of `codes`, all in one file because numba's disk cache looks at the file of a function only.

The sums of a scan are whole numbers and the same on every processor; where it has them, they are made with instructions
that multiply and add 64 bytes at once (VNNI), else by a plain loop. Loops that share rows among threads take blocks
from a counter until none is left, so that a thread that is kept waiting holds nobody up, and they need none of numba's
own threading, whose default aborts the process when two scans meet.
"""

from typing import Any

import numpy as np
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from explorer.space.codes import LANE

BLOCK = 2_048
"""Rows that a thread takes at once."""
_AHEAD = 2
"""Steps for which codes are asked of the memory in advance: a quarter less time for one column (512 numbers)."""


def has_vnni() -> bool:
    """Does this processor multiply and add bytes 64 at a time (AVX-512 VNNI)?"""
    import llvmlite.binding as llvm

    if getattr(config, "CPU_NAME", None) or getattr(config, "CPU_FEATURES", None):
        return False  # numba was told to compile for another
    features = llvm.get_host_cpu_features()
    return all(features.get(name, False) for name in ("avx512f", "avx512bw", "avx512vnni"))


def _counted(typingctx: Any, counter: Any) -> Any:
    """The value of a (1,) int64 counter, which is one larger afterwards, whoever else counts on it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        one = context.get_constant(types.int64, 1)
        return builder.atomic_rmw("add", array.data, one, "monotonic")

    return types.int64(counter), generate


take: Any = intrinsic(_counted)


def _four(rows: bool) -> Any:
    """Makes the function that scores four columns of one row, or four `rows` of one column, and writes them in a row.

    It takes the address of the (first) row's codes, of the (first) column's weights and the width d; of four each of
    the weights' sums (int32, 128 times the sum), units and biases, of one scale or four, and where the four go. Weights
    are 2 d bytes a column: the high ones, then the low ones, both signed. The instruction multiplies unsigned bytes by
    signed ones, so codes are counted from 128 upwards, and 128 times the sum of the weights is taken off again. All
    sums are mod 2^32. The arithmetic after that is the one of `scan_plain`, step by step.
    """

    @intrinsic
    def four(
        typingctx: Any, code: Any, weight: Any, d: Any, sums: Any, unit: Any, bias: Any, scale: Any, out: Any
    ) -> Any:
        from llvmlite import ir

        byte, whole, long, real = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
        lanes, octets = ir.VectorType(whole, 16), ir.VectorType(byte, 64)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            code, weight, d, sums, unit, bias, scale, out = arguments
            kind = ir.FunctionType(lanes, [lanes, lanes, lanes])
            multiply_add = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
            kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), whole, whole, whole])
            prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            high = [cgutils.alloca_once_value(builder, ir.Constant(lanes, None)) for _ in range(4)]
            low = [cgutils.alloca_once_value(builder, ir.Constant(lanes, None)) for _ in range(4)]

            def load(address: Any, as_type: Any) -> Any:
                value = builder.load(builder.inttoptr(address, as_type.as_pointer()))
                value.align = 1
                return value

            def times(value: Any, number: int) -> Any:
                return builder.mul(value, ir.Constant(long, number))

            with cgutils.for_range(builder, builder.udiv(d, ir.Constant(long, LANE))) as loop:
                offset = times(loop.index, LANE)
                for k in range(4):
                    if k == 0 or rows:
                        ahead = builder.add(code, builder.add(offset, times(d, k + (4 if rows else 1) * _AHEAD)))
                        hint = [ir.Constant(whole, number) for number in (0, 3, 1)]
                        builder.call(prefetch, [builder.inttoptr(ahead, byte.as_pointer()), *hint])
                        found = load(builder.add(code, builder.add(offset, times(d, k))), octets)
                        shifted = builder.bitcast(builder.xor(found, ir.Constant(octets, [-128] * 64)), lanes)
                    for half, totals in enumerate((high, low)):
                        column = times(d, half if rows else 2 * k + half)
                        by = load(builder.add(weight, builder.add(offset, column)), lanes)
                        builder.store(builder.call(multiply_add, [builder.load(totals[k]), shifted, by]), totals[k])

            def fold(left: Any, right: Any, width: int) -> Any:
                """Each pair of neighbouring lanes of both added."""
                masks = [ir.Constant(ir.VectorType(whole, width), list(range(odd, 2 * width, 2))) for odd in (0, 1)]
                return builder.add(*[builder.shuffle_vector(left, right, mask) for mask in masks])

            eight = ir.Constant(lanes, [8] * 16)
            parts = [
                builder.add(builder.shl(builder.load(upper), eight), builder.load(lower))
                for upper, lower in zip(high, low, strict=True)
            ]
            total = fold(fold(parts[0], parts[1], 16), fold(parts[2], parts[3], 16), 16)
            for width in (8, 4):
                total = fold(total, total, width)
            four_whole, four_real = ir.VectorType(whole, 4), ir.VectorType(real, 4)
            total = builder.sitofp(builder.sub(total, load(sums, four_whole)), four_real)
            if rows:
                scales = load(scale, four_real)
            else:
                one = builder.insert_element(ir.Constant(four_real, None), load(scale, real), ir.Constant(whole, 0))
                scales = builder.shuffle_vector(one, one, ir.Constant(four_whole, [0] * 4))
            scores = builder.fmul(total, builder.fmul(scales, load(unit, four_real)))
            stored = builder.store(
                builder.fadd(scores, load(bias, four_real)), builder.inttoptr(out, four_real.as_pointer())
            )
            stored.align = 1
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8), generate

    return four


_four_columns, _four_rows = _four(rows=False), _four(rows=True)


@njit(cache=True, nogil=True)
def _one(codes: np.ndarray, row: int, weights: np.ndarray, column: int) -> Any:
    """A sum of codes times weights, mod 2^32. The casts keep the sum in 32 bits, which is what makes the loop fast."""
    total = np.int32(0)
    for place in range(codes.shape[1]):
        total = np.int32(total + np.int32(np.int32(codes[row, place]) * np.int32(weights[column, place])))
    return total


@njit(cache=True, nogil=True)
def scan_plain(
    counter: np.ndarray,
    codes: np.ndarray,
    scale: np.ndarray,
    weights: np.ndarray,
    octets: np.ndarray,
    sums: np.ndarray,
    unit: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
) -> None:
    """Approximate scores (n, C) of codes (n, d') int8 with their scales (n,): one share of the rows.

    Weights (C, d') int16 with their units and biases, (5 C,) float32: one each, then each four times in a row (the
    compiler knows nothing of arrays whose addresses are all that is used, so the caller must hold them). `octets` and
    `sums` are for `scan_vnni`.
    """
    n, count = len(codes), len(weights)
    start = take(counter) * BLOCK
    while start < n:
        for row in range(start, min(start + BLOCK, n)):
            for column in range(count):
                total = _one(codes, row, weights, column)
                out[row, column] = np.float32(total) * (scale[row] * unit[column]) + bias[column]
        start = take(counter) * BLOCK


@njit(cache=True, nogil=True)
def scan_vnni(
    counter: np.ndarray,
    codes: np.ndarray,
    scale: np.ndarray,
    weights: np.ndarray,
    octets: np.ndarray,
    sums: np.ndarray,
    unit: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
) -> None:
    """The same from `octets` (C, 2, d') int8, the weights' high and low bytes, and `sums` (5 C,) int32, 128 times the
    sums of the weights. Four columns of one row at a time, and one column of four rows for what remains."""
    n, d = codes.shape
    count = len(weights)
    fours = count - count % 4
    some = np.empty(4, np.float32)
    code, weight, scales, to = codes.ctypes.data, octets.ctypes.data, scale.ctypes.data, out.ctypes.data
    t, u, b, few = sums.ctypes.data, unit.ctypes.data, bias.ctypes.data, some.ctypes.data
    t4, u4, b4 = t + 4 * count, u + 4 * count, b + 4 * count
    start = take(counter) * BLOCK
    while start < n:
        stop = min(start + BLOCK, n)
        for first in range(start, stop, 4):
            last = min(first + 4, stop)
            for row in range(first, last):
                q, s, o = code + row * d, scales + 4 * row, to + 4 * row * count
                for at in range(0, fours, 4):
                    _four_columns(q, weight + 2 * at * d, d, t + 4 * at, u + 4 * at, b + 4 * at, s, o + 4 * at)
            if last - first == 4:
                q, s = code + first * d, scales + 4 * first
                for at in range(fours, count):
                    o = to + 4 * first if count == 1 else few
                    _four_rows(q, weight + 2 * at * d, d, t4 + 16 * at, u4 + 16 * at, b4 + 16 * at, s, o)
                    if count > 1:
                        for k in range(4):
                            out[first + k, at] = some[k]
            else:
                for row in range(first, last):
                    for at in range(fours, count):
                        total = _one(codes, row, weights, at)
                        out[row, at] = np.float32(total) * (scale[row] * unit[at]) + bias[at]
        start = take(counter) * BLOCK


@njit(cache=True, nogil=True)
def quantise(
    counter: np.ndarray,
    vectors: np.ndarray,
    signs: np.ndarray,
    codes: np.ndarray,
    scale: np.ndarray,
    error: np.ndarray,
) -> None:
    """(n, d) float32 to codes (n, d') int8 of the rows as `codes.turned` turns them, scales (n,) and (n, 2) float32:
    the length of what the codes miss of the row, and that of the row, both rounded up."""
    n, d = vectors.shape
    blocks = codes.shape[1] // LANE
    turned = np.empty((blocks, LANE))
    start = take(counter) * BLOCK
    while start < n:
        for row in range(start, min(start + BLOCK, n)):
            turned[:] = 0
            for place in range(d):
                turned[place % blocks, place // blocks] = signs[place] * vectors[row, place]
            largest, length = 0.0, 0.0
            for block in range(blocks):
                width = 1
                while width < LANE:
                    for first in range(0, LANE, 2 * width):
                        for place in range(first, first + width):
                            one, other = turned[block, place], turned[block, place + width]
                            turned[block, place], turned[block, place + width] = one + other, one - other
                    width *= 2
                for place in range(LANE):
                    value = turned[block, place] / 8  # the root of LANE
                    turned[block, place] = value
                    largest = max(largest, abs(value))
                    length += value * value
            unit = largest / 127
            dot, square, missed = 0.0, 0.0, 0.0
            for block in range(blocks):
                for place in range(LANE):
                    code = np.rint(turned[block, place] / unit) if unit > 0 else 0.0
                    codes[row, block * LANE + place] = np.int8(code)
                    dot += turned[block, place] * code
                    square += code * code
            step = np.float32(dot / square) if square > 0 else np.float32(0)  # the scale that fits the codes best
            for block in range(blocks):
                for place in range(LANE):
                    rest = turned[block, place] - np.float64(step) * codes[row, block * LANE + place]
                    missed += rest * rest
            scale[row] = step
            error[row, 0] = np.float32(np.sqrt(missed) * 1.000001 + 1e-12 * np.sqrt(length) + 1e-37)
            error[row, 1] = np.float32(np.sqrt(length) * 1.000001 + 1e-37)
        start = take(counter) * BLOCK


def _add_up(typingctx: Any, vector: Any, weight: Any, d: Any) -> Any:
    """The inner product of two float32 vectors from their addresses: sixteen sums side by side, then their pairs, then
    what remains one by one. The order is written out, so that the compiler makes the same of it everywhere."""
    from llvmlite import ir

    whole, long, real = ir.IntType(32), ir.IntType(64), ir.FloatType()
    lanes = ir.VectorType(real, 16)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, weight, d = arguments
        sums = [cgutils.alloca_once_value(builder, ir.Constant(lanes, [0.0] * 16)) for _ in range(2)]

        def product(index: Any, as_type: Any) -> Any:
            found = []
            for address in (vector, weight):
                at = builder.add(address, builder.mul(index, ir.Constant(long, 4)))
                value = builder.load(builder.inttoptr(at, as_type.as_pointer()))
                value.align = 4
                found.append(value)
            return builder.fmul(*found)

        pairs = builder.udiv(d, ir.Constant(long, 32))
        with cgutils.for_range(builder, pairs) as loop:
            for half, total in enumerate(sums):
                index = builder.add(builder.mul(loop.index, ir.Constant(long, 32)), ir.Constant(long, 16 * half))
                builder.store(builder.fadd(builder.load(total), product(index, lanes)), total)
        folded = builder.fadd(*[builder.load(total) for total in sums])
        for width in (8, 4, 2):
            masks = [ir.Constant(ir.VectorType(whole, width), list(range(at, at + width))) for at in (0, width)]
            folded = builder.fadd(*[builder.shuffle_vector(folded, folded, mask) for mask in masks])
        ends = [builder.extract_element(folded, ir.Constant(whole, place)) for place in (0, 1)]
        result = cgutils.alloca_once_value(builder, builder.fadd(*ends))
        done = builder.mul(pairs, ir.Constant(long, 32))
        with cgutils.for_range(builder, builder.sub(d, done)) as loop:
            one = product(builder.add(done, loop.index), real)
            builder.store(builder.fadd(builder.load(result), one), result)
        return builder.load(result)

    return types.float32(types.int64, types.int64, types.int64), generate


_dot: Any = intrinsic(_add_up)


@njit(cache=True, nogil=True)
def exact(
    counter: np.ndarray, vectors: np.ndarray, rows: np.ndarray, weights: np.ndarray, bias: np.ndarray, out: np.ndarray
) -> None:
    """Float32 scores (m, C) of some rows (m,) of (n, d) float32, with weights (C, d) and bias (C,), all float32: one
    share. A row's score does not depend on which others are asked for."""
    d = vectors.shape[1]
    vector, weight = vectors.ctypes.data, weights.ctypes.data
    start = take(counter) * 64
    while start < len(rows):
        for at in range(start, min(start + 64, len(rows))):
            for column in range(len(weights)):
                out[at, column] = _dot(vector + 4 * d * rows[at], weight + 4 * d * column, d) + bias[column]
        start = take(counter) * 64


@njit(cache=True, nogil=True)
def decide(
    counter: np.ndarray,
    scores: np.ndarray,
    error: np.ndarray,
    apart: np.ndarray,
    rounding: np.ndarray,
    vectors: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    extra: np.ndarray,
    best: np.ndarray,
    again: np.ndarray,
) -> None:
    """The column with the largest score of each row into `best`, and whether it had to be scored again into `again`.

    `scores` (n, C) are approximate and hold `extra`, which is (n, C) too, or (0, C) if there is none. What codes miss
    of a row times the distance of two columns' weights, `apart` (C, C), plus the length of the row times `rounding`[0]
    plus the two scores and one times `rounding`[1] bounds the error of their difference. Columns that may be larger
    than the largest by that are scored in float32. One share of the rows.
    """
    n, count = scores.shape
    d = vectors.shape[1]
    vector, weight = vectors.ctypes.data, weights.ctypes.data
    start = take(counter) * BLOCK
    while start < n:
        for row in range(start, min(start + BLOCK, n)):
            top = 0
            for column in range(1, count):
                if scores[row, column] > scores[row, top]:
                    top = column
            chosen, most, looked = top, np.float32(0), False
            for column in range(count):
                if column == top or scores[row, column] == -np.inf:
                    continue  # minus infinity is exact: a class without an answer
                gap = np.float64(scores[row, top]) - scores[row, column]
                slack = rounding[1] * (1 + abs(scores[row, top]) + abs(scores[row, column]))
                if gap > error[row, 0] * apart[top, column] + error[row, 1] * rounding[0] + slack:
                    continue
                if not looked:
                    looked = True  # the top itself is scored as soon as another one comes near
                    most = _dot(vector + 4 * d * row, weight + 4 * d * top, d) + bias[top]
                    if len(extra):
                        most = np.float32(most + extra[row, top])
                score = _dot(vector + 4 * d * row, weight + 4 * d * column, d) + bias[column]
                if len(extra):
                    score = np.float32(score + extra[row, column])
                if score > most or (score == most and column < chosen):
                    chosen, most = column, score
            best[row], again[row] = chosen, looked
        start = take(counter) * BLOCK


@njit(cache=True, nogil=True)
def at_least(values: np.ndarray, least: float, room: int) -> tuple[np.ndarray, int]:
    """The rows of (n,) float32 that are `least` or more, ascending, up to `room` of them; and how many there are."""
    rows, count, stride = np.empty(room, np.int64), 0, 256
    for start in range(0, len(values), stride):
        stop = min(start + stride, len(values))
        here = 0
        for row in range(start, stop):
            here += values[row] >= least
        if here and count < room:
            at = count
            for row in range(start, stop):
                if values[row] >= least and at < room:
                    rows[at] = row
                    at += 1
        count += here
    return rows[: min(count, room)], count

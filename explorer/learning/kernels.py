"""The loops over every picture that a key press waits for, compiled; their code is kept on disk between runs.

Each takes blocks of rows from a counter, so that all cores share one (`space.shares`).
"""

from typing import Any

import numba
import numpy as np

from explorer.space.scan_kernels import BLOCK, take
from explorer.space.shares import in_shares

Graph = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The matrix S of `space.spread` in rows: starts, columns, values."""


def doubt(logits: np.ndarray) -> np.ndarray:
    """(n, C) float32 logits to (n,) float32: 1 minus the lead of the likeliest class over the second, in shares."""
    out = np.empty(len(logits), np.float32)
    in_shares(_doubt, 10.0 * logits.size, _plain(logits), out)
    return out


def doubt_of_two(lead: np.ndarray) -> np.ndarray:
    """(n,) float32 lead of one of two classes over the other, in logits, to the same."""
    out = np.empty(len(lead), np.float32)
    in_shares(_doubt_of_two, 10.0 * len(lead), _plain(lead), out)
    return out


def advantage(logits: np.ndarray, place: int) -> np.ndarray:
    """(n, C) logits to (n,) float32: the log odds of class `place`, or, for -1, of whichever is likeliest."""
    out = np.empty(len(logits), np.float32)
    in_shares(_advantage, 10.0 * logits.size, _plain(logits), np.array([place]), out)
    return out


def diffused(graph: Graph, mass: np.ndarray, alpha: float, steps: int) -> np.ndarray:
    """(n,) float32: mass + alpha S mass + … + alpha^steps S^steps mass."""
    out = mass
    for _ in range(steps):
        before, out = out, np.empty_like(mass)
        in_shares(_step, 2.0 * len(graph[1]), *graph, before, mass, np.array([alpha], np.float32), out)
    return out


def diffused_at(graph: Graph, mass: np.ndarray, alpha: float, rows: np.ndarray) -> np.ndarray:
    """The same after two steps for some (m,) rows only, without looking at the others."""
    out = np.empty(len(rows), np.float32)
    in_shares(_two_steps, 400.0 * len(rows), *graph, mass, np.array([alpha], np.float32), rows, out)
    return out


def gathered(
    n: int, rows: np.ndarray, values: np.ndarray, starts: np.ndarray, y: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sum columns that lie one after another: column j has the entries from starts[j] on and counts for class y[j].

    Returns the (t,) rows that occur, ascending, and their (t, classes) float64 sums.
    """
    mark = np.zeros(n, np.int32)
    mark[rows] = 1
    reached = np.flatnonzero(mark)
    mark[reached] = np.arange(len(reached), dtype=np.int32)
    sums = np.zeros((len(reached), classes))
    _add(rows, values, starts, y, mark, sums)
    return reached, sums


def warm() -> None:
    """Compile the loops, or read them from the disk, before somebody waits for them."""
    three, mass, rows = np.zeros((3, 3), np.float32), np.ones(3, np.float32), np.arange(3)
    graph = (np.arange(4), np.zeros(3, np.int32), mass)
    doubt(three), advantage(three, 0), doubt_of_two(mass)
    diffused(graph, mass, 0.5, 1), diffused_at(graph, mass, 0.5, rows)
    gathered(3, rows, mass, np.array([0, 3]), np.zeros(1, np.int64), 2)


def _plain(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)


def _compiled(function: Any) -> Any:
    return numba.njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})(function)


@numba.njit(inline="always")
def _power(x: Any) -> Any:
    """e^x for x <= 0 as (1 + x / 4096)^4096: within .1 % down to -3, .005 in all, and many at once."""
    y = np.float32(1) + max(x, np.float32(-60)) * np.float32(1 / 4096)
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    return y


@_compiled
def _doubt(counter: np.ndarray, logits: np.ndarray, out: np.ndarray) -> None:
    n, classes = logits.shape
    shares = np.empty(BLOCK * classes, np.float32)
    start = take(counter) * BLOCK
    while start < n:
        stop = min(start + BLOCK, n)
        for row in range(start, stop):
            best = logits[row, 0]
            for place in range(1, classes):
                best = max(best, logits[row, place])
            for place in range(classes):
                shares[(row - start) * classes + place] = logits[row, place] - best
        for at in range((stop - start) * classes):  # one long loop, which the processor does many at once
            shares[at] = _power(shares[at])
        for row in range(start, stop):
            total, second, bests = np.float32(0), np.float32(0), 0
            for at in range((row - start) * classes, (row - start + 1) * classes):
                share = shares[at]
                total += share
                if share == 1:
                    bests += 1
                elif share > second:
                    second = share
            out[row] = 1 - (1 - (second if bests == 1 else np.float32(1))) / total
        start = take(counter) * BLOCK


@_compiled
def _doubt_of_two(counter: np.ndarray, lead: np.ndarray, out: np.ndarray) -> None:
    start = take(counter) * BLOCK
    while start < len(lead):
        for row in range(start, min(start + BLOCK, len(lead))):
            less = _power(-abs(lead[row]))
            out[row] = 2 * less / (1 + less)
        start = take(counter) * BLOCK


@_compiled
def _advantage(counter: np.ndarray, logits: np.ndarray, chosen: np.ndarray, out: np.ndarray) -> None:
    n, classes = logits.shape
    start = take(counter) * BLOCK
    while start < n:
        for row in range(start, min(start + BLOCK, n)):
            place = chosen[0]
            if place < 0:
                place = 0
                for other in range(1, classes):
                    if logits[row, other] > logits[row, place]:
                        place = other
            best = np.float32(-np.inf)
            for other in range(classes):
                if other != place and logits[row, other] > best:
                    best = logits[row, other]
            total = np.float32(0)
            for other in range(classes):
                if other != place:
                    total += np.exp(logits[row, other] - best)
            out[row] = logits[row, place] - best - np.log(total)
        start = take(counter) * BLOCK


@_compiled
def _step(
    counter: np.ndarray,
    starts: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    mass: np.ndarray,
    source: np.ndarray,
    alpha: np.ndarray,
    out: np.ndarray,
) -> None:
    n = len(source)
    start = take(counter) * BLOCK
    while start < n:
        for row in range(start, min(start + BLOCK, n)):
            total = np.float32(0)
            for at in range(starts[row], starts[row + 1]):
                total += values[at] * mass[columns[at]]
            out[row] = source[row] + alpha[0] * total
        start = take(counter) * BLOCK


@_compiled
def _two_steps(
    counter: np.ndarray,
    starts: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    mass: np.ndarray,
    alpha: np.ndarray,
    rows: np.ndarray,
    out: np.ndarray,
) -> None:
    start = take(counter) * BLOCK
    while start < len(rows):
        for place in range(start, min(start + BLOCK, len(rows))):
            row = rows[place]
            total = mass[row]
            for at in range(starts[row], starts[row + 1]):
                other = columns[at]
                inner = mass[other]
                for beyond in range(starts[other], starts[other + 1]):
                    inner += alpha[0] * values[beyond] * mass[columns[beyond]]
                total += alpha[0] * values[at] * inner
            out[place] = total
        start = take(counter) * BLOCK


@_compiled
def _add(
    rows: np.ndarray, values: np.ndarray, starts: np.ndarray, y: np.ndarray, place: np.ndarray, sums: np.ndarray
) -> None:
    for column in range(len(y)):
        for at in range(starts[column], starts[column + 1]):
            sums[place[rows[at]], y[column]] += values[at]

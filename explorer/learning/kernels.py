"""The loops over every picture that a key press waits for, compiled; their code is kept on disk between runs."""

from typing import Any

import numba
import numpy as np


def doubt(logits: np.ndarray) -> np.ndarray:
    """(n, C) float32 logits to (n,) float32: 1 minus the lead of the likeliest class over the second, in shares."""
    return _doubt(np.ascontiguousarray(logits))


def advantage(logits: np.ndarray, place: int) -> np.ndarray:
    """(n, C) logits to (n,) float32: the log odds of class `place`, or, for -1, of whichever is likeliest."""
    return _advantage(np.ascontiguousarray(logits), place)


def _compiled(function: Any) -> Any:
    return numba.njit(parallel=True, nogil=True, cache=True, fastmath={"contract", "reassoc"})(function)


@_compiled
def _doubt(logits: np.ndarray) -> np.ndarray:
    n, classes = logits.shape
    out = np.empty(n, np.float32)
    for row in numba.prange(n):
        best, second = -np.inf, -np.inf
        for place in range(classes):
            value = logits[row, place]
            if value > best:
                second, best = best, value
            elif value > second:
                second = value
        if classes == 2:
            lead = np.exp(second - best)
            out[row] = 2 * lead / (1 + lead)
        else:
            total = np.float32(0)
            for place in range(classes):
                total += np.exp(logits[row, place] - best)
            out[row] = 1 - (1 - np.exp(second - best)) / total
    return out


@_compiled
def _advantage(logits: np.ndarray, chosen: int) -> np.ndarray:
    n, classes = logits.shape
    out = np.empty(n, np.float32)
    for row in numba.prange(n):
        place = chosen
        if place < 0:
            place = 0
            for other in range(1, classes):
                if logits[row, other] > logits[row, place]:
                    place = other
        best = -np.inf
        for other in range(classes):
            if other != place and logits[row, other] > best:
                best = logits[row, other]
        if classes == 2:
            out[row] = logits[row, place] - best
        else:
            total = np.float32(0)
            for other in range(classes):
                if other != place and logits[row, other] > -np.inf:
                    total += np.exp(logits[row, other] - best)
            out[row] = logits[row, place] - best - np.log(total)
    return out


def diffused(
    graph: tuple[np.ndarray, np.ndarray, np.ndarray], mass: np.ndarray, alpha: float, steps: int
) -> np.ndarray:
    """(n,) float32: mass + alpha S mass + … + alpha^steps S^steps mass; `graph` is S as starts, columns, values."""
    out = mass
    for _ in range(steps):
        out = _step(*graph, out, mass, np.float32(alpha))
    return out


def diffused_at(
    graph: tuple[np.ndarray, np.ndarray, np.ndarray], mass: np.ndarray, alpha: float, rows: np.ndarray
) -> np.ndarray:
    """The same after two steps for some (m,) rows only, without looking at the others."""
    return _two_steps(*graph, mass, np.float32(alpha), rows)


@_compiled
def _step(
    starts: np.ndarray, columns: np.ndarray, values: np.ndarray, mass: np.ndarray, source: np.ndarray, alpha: float
) -> np.ndarray:
    out = np.empty_like(source)
    for row in numba.prange(len(source)):
        total = np.float32(0)
        for at in range(starts[row], starts[row + 1]):
            total += values[at] * mass[columns[at]]
        out[row] = source[row] + alpha * total
    return out


@_compiled
def _two_steps(
    starts: np.ndarray, columns: np.ndarray, values: np.ndarray, mass: np.ndarray, alpha: float, rows: np.ndarray
) -> np.ndarray:
    out = np.empty(len(rows), np.float32)
    for place in numba.prange(len(rows)):
        row = rows[place]
        total = mass[row]
        for at in range(starts[row], starts[row + 1]):
            other = columns[at]
            inner = mass[other]
            for beyond in range(starts[other], starts[other + 1]):
                inner += alpha * values[beyond] * mass[columns[beyond]]
            total += alpha * values[at] * inner
        out[place] = total
    return out

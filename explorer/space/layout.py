"""Compiled loops of `projection`: from a graph of nearest others to places on the map. Kept on disk once compiled.

The objective is that of UMAP (McInnes, Healy & Melville, 2018): what is near in the graph pulls, and randomly drawn
others push. Unlike there each place is moved by one thread only, and looks at where the others were in the round
before: whichever thread comes first, the same graph and seed give the same map.
"""

from typing import Any

import numpy as np
from numba import njit, uint32, uint64

from explorer.space.scan_kernels import BLOCK, take

CURVE = 1.6
"""Likeness on the map is 1 / (1 + CURVE d^2): UMAP's curve for its usual `min_dist` of .1 with the power (.9 there)
rounded to one, which spares two powers a step."""
PUSHES = 5
"""Others that push, for each that pulls; as in UMAP."""
_STEP = 4.0
"""The longest step along an axis; as in UMAP."""


@njit(cache=True, nogil=True)
def memberships(counter: np.ndarray, distances: np.ndarray, weights: np.ndarray) -> None:
    """(n, k) distances, ascending, to (n, k) weights in 0..1: one for the nearest, falling off so that each row's sum
    is log2(k)."""
    n, k = distances.shape
    target = np.log2(k)
    mean = distances.mean()
    start = take(counter) * BLOCK
    while start < n:
        for row in range(start, min(start + BLOCK, n)):
            nearest = np.float32(0)
            for place in range(k):
                if distances[row, place] > 0:
                    nearest = distances[row, place]
                    break
            low, high, width = 0.0, np.inf, 1.0
            for _ in range(64):
                total = 0.0
                for place in range(k):
                    total += np.exp(-max(distances[row, place] - nearest, 0) / width)
                if abs(total - target) < 1e-5:
                    break
                if total > target:
                    high = width
                    width = (low + high) / 2
                else:
                    low = width
                    width = width * 2 if high == np.inf else (low + high) / 2
            width = max(width, 1e-3 * (distances[row].mean() if nearest > 0 else mean))
            for place in range(k):
                away = distances[row, place] - nearest
                weights[row, place] = 1 if away <= 0 or width == 0 else np.exp(-away / width)
        start = take(counter) * BLOCK


@njit(cache=True, nogil=True, inline="always")
def _back(rows: np.ndarray, weights: np.ndarray, row: int, other: int) -> Any:
    """The weight with which `other` names `row`; 0 if it does not."""
    for place in range(rows.shape[1]):
        if rows[other, place] == row:
            return weights[other, place]
    return np.float32(0)


@njit(cache=True, nogil=True)
def both_ways(rows: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The (n, k) graph as a symmetric one, CSR (n + 1,) int64, (e,) int32, (e,) float32: a + b - ab of the weights a
    and b with which two name each other."""
    n, k = rows.shape
    starts = np.zeros(n + 1, np.int64)
    for row in range(n):
        starts[row + 1] += k
        for place in range(k):
            if _back(rows, weights, row, rows[row, place]) == 0:
                starts[rows[row, place] + 1] += 1
    for row in range(n):
        starts[row + 1] += starts[row]
    at = starts[:-1].copy()
    others, pulls = np.empty(starts[n], np.int32), np.empty(starts[n], np.float32)
    for row in range(n):
        for place in range(k):
            other, weight = rows[row, place], weights[row, place]
            back = _back(rows, weights, row, other)
            others[at[row]], pulls[at[row]] = other, weight + back - weight * back
            at[row] += 1
            if back == 0:
                others[at[other]], pulls[at[other]] = row, weight
                at[other] += 1
    return starts, others, pulls


@njit(cache=True, nogil=True, inline="always")
def _mixed(number: Any) -> Any:
    """64 bits well mixed (SplitMix64; Steele, Lea & Flood, 2014)."""
    number = (number ^ (number >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> uint64(27))) * uint64(0x94D049BB133111EB)
    return number ^ (number >> uint64(31))


@njit(cache=True, nogil=True, inline="always")
def _clipped(step: float) -> Any:
    return min(max(step, -np.float32(_STEP)), np.float32(_STEP))


@njit(cache=True, nogil=True, fastmath={"contract"})
def move(
    counter: np.ndarray,
    starts: np.ndarray,
    others: np.ndarray,
    shares: np.ndarray,
    now: np.ndarray,
    then: np.ndarray,
    rule: np.ndarray,
) -> None:
    """One round: each row's place in `now` (n, 2) float32 to its place in `then`.

    `shares` (e,) uint32: the share of the rounds in which an edge pulls, 2^32 being all. `rule` (3,) float64: the
    round, the step length, the seed.
    """
    n = len(now)
    turn, rate, seed = uint64(rule[0]), np.float32(rule[1]), uint64(rule[2])
    curve, one = np.float32(CURVE), np.float32(1)
    start = take(counter) * BLOCK
    while start < n:
        for row in range(start, min(start + BLOCK, n)):
            x, y = now[row, 0], now[row, 1]
            state = _mixed(uint64(row) * uint64(0x9E3779B97F4A7C15) + (seed << uint64(20)) + turn)
            for edge in range(starts[row], starts[row + 1]):
                if uint32((turn + uint64(1)) * uint64(shares[edge])) >= shares[edge]:
                    continue
                other = others[edge]
                dx, dy = x - now[other, 0], y - now[other, 1]
                near = dx * dx + dy * dy
                # half as strong as UMAP's: it pulls here from both ends at once, and longer steps overshoot
                force = -curve / (one + curve * near)
                x += rate * _clipped(force * dx)
                y += rate * _clipped(force * dy)
                away_x, away_y = np.float32(0), np.float32(0)
                for push in range(PUSHES):
                    number = _mixed(state + uint64(push) * uint64(0x9E3779B97F4A7C15))
                    drawn = ((number >> uint64(32)) * uint64(n)) >> uint64(32)
                    dx, dy = x - now[drawn, 0], y - now[drawn, 1]
                    near = dx * dx + dy * dy
                    force = np.float32(2) / ((np.float32(0.001) + near) * (one + curve * near))
                    away_x += _clipped(force * dx)
                    away_y += _clipped(force * dy)
                state += uint64(PUSHES) * uint64(0x9E3779B97F4A7C15)
                x += rate * away_x
                y += rate * away_y
            then[row, 0], then[row, 1] = x, y
        start = take(counter) * BLOCK

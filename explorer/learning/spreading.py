"""What the answers say of the pictures around them: class shares along the neighbour graph, and left-out ones.

A picture's share of a class is the part of everything that reaches it which comes from that class' answers, every class
sending out the same amount in all; what has not been reached has no share. (Zhou et al. 2004, in `space.spread`.)
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.learning.classifier import grade_likeness
from explorer.learning.kernels import gathered

if TYPE_CHECKING:
    from explorer.space.spread import Spread

MOST = 1_000
"""Answers that are spread at most; with more of them the linear part knows better."""
_FAINT = 1e-5
"""What reaches a picture from all classes together before its shares count in full: below, values are cut off."""


@dataclass(frozen=True)
class Spreading:
    rows: np.ndarray
    """(t,) int64, ascending: the pictures that any answer reaches."""
    shares: np.ndarray
    """(t, C) float32; each row sums to zero, a class without an answer has zero."""
    left_out: np.ndarray
    """(m, C) float32: the shares of each answered picture without its own answer and its near-duplicates'."""


def spread_answers(
    graph: "Spread",
    rows: np.ndarray,
    y: np.ndarray,
    n_classes: int,
    groups: np.ndarray | None = None,
    ordered: bool = False,
) -> Spreading:
    """Spread (m,) classes `y` from the answered (m,) rows; `groups` (m,) are the near-duplicates' numbers.

    `ordered`: classes are grades, and each speaks for its neighbours in grade too, as in `fit_classifier`.
    """
    m = len(rows)
    sent = np.arange(m) if m <= MOST else _some(rows)
    counts = np.bincount(y[sent], minlength=n_classes).astype(np.float64)
    columns = graph.many(rows[sent].tolist())
    found = np.concatenate([found for found, _ in columns])
    starts = np.cumsum([0, *(len(found) for found, _ in columns)])
    values = np.concatenate([values for _, values in columns])
    reached, sums = gathered(graph.n, found, values, starts, y[sent], n_classes)
    at_row = np.minimum(np.searchsorted(reached, rows), len(reached) - 1)
    left = np.where((reached[at_row] == rows)[:, None], sums[at_row], 0.0)
    fewer = np.repeat(counts[None], m, axis=0)
    for at, mates in _vouching(sent, groups):
        for mate in mates:
            found, values = columns[mate]
            place = np.searchsorted(found, rows[at])
            if place < len(found) and found[place] == rows[at]:
                left[at, y[sent[mate]]] -= values[place]
            fewer[at, y[sent[mate]]] -= 1
    trained = counts > 0
    shares = [_shares(sums, counts[None], trained), _shares(left, fewer, trained)]
    if ordered:
        places = np.flatnonzero(trained)
        mixed = grade_likeness(places).astype(np.float32)
        for table in shares:
            table[:, places] = table[:, places] @ mixed
    return Spreading(reached, *shares)


def _some(rows: np.ndarray) -> np.ndarray:
    """MOST places of (m,) rows, ascending. By a hash of the row, so that one more answer changes one of them at most:
    their columns are known already."""
    mixed = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hash, wraps at 2^64
    return np.sort(np.argpartition(mixed, MOST)[:MOST])


def _vouching(sent: np.ndarray, groups: np.ndarray | None) -> list[tuple[int, np.ndarray]]:
    """For each answer, the places in `sent` that must not speak for it: its own and its near-duplicates'."""
    if groups is None:
        return [(int(at), np.array([place])) for place, at in enumerate(sent)]
    of_sent = groups[sent]
    order = np.argsort(of_sent, kind="stable")
    low, high = (np.searchsorted(of_sent[order], groups, side=side) for side in ("left", "right"))
    return [(at, order[a:b]) for at, (a, b) in enumerate(zip(low, high, strict=True)) if b > a]


def _shares(sums: np.ndarray, counts: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """(k, C) sums over (k, C) or (1, C) numbers of answers to (k, C) shares around zero."""
    mean = np.where(counts > 0, np.maximum(sums, 0) / np.maximum(counts, 1), 0)
    centred = np.where(trained, mean - mean.sum(axis=1, keepdims=True) / max(trained.sum(), 1), 0)
    return (centred / (mean.sum(axis=1, keepdims=True) + _FAINT)).astype(np.float32)

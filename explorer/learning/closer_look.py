"""A closer look at a classifier: each class, how far its certainty can be believed, where it is surely wrong.

Everything is counted from what is said of each answered picture by a classifier that has seen neither its answer nor
its near-duplicates. Intervals are 95 % ones and treat near-duplicates as one witness, as in `evaluation`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explorer.errors import BadInput
from explorer.learning.estimates import Estimate
from explorer.learning.evaluation import Quality, evaluate, evidence, wilson

BINS = 10
_IN_A_BIN = 5
_DRAWS = 2_000


@dataclass(frozen=True)
class ClassQuality:
    """One class. A figure is None where there is nothing to count."""

    name: str
    answers: int
    guessed: int
    precision: Estimate | None
    """Of those taken for it, the share that is."""
    recall: Estimate | None
    """Of those that are, the share taken for it."""
    f1: Estimate | None


@dataclass(frozen=True)
class Bin:
    """Answers of which the classifier was about equally sure."""

    answers: int
    sure: float
    """How sure it was, on average."""
    right: Estimate
    """How often it was right."""


@dataclass(frozen=True)
class Reliability:
    """Is what it is 80 % sure of right in 80 of 100?"""

    bins: tuple[Bin, ...]
    """At most ten with equally many answers, five or more, the least sure first."""
    error: float
    """Expected calibration error: the mean distance of `sure` from `right`."""
    error_by_chance: float
    """What a faultless one would show with so few answers."""

    @property
    def sentence(self) -> str:
        if not self.bins:
            return "Too few answers to say whether its certainty can be believed."
        if self.error <= max(0.05, self.error_by_chance * 1.3):
            return "Its certainty can be believed: what it is sure of is right as often as it says."
        sure = sum(one.sure * one.answers for one in self.bins)
        right = sum(one.right.value * one.answers for one in self.bins)
        return f"It is {'more' if sure > right else 'less'} sure than it should be, by {100 * self.error:.0f} points."


@dataclass(frozen=True)
class Wrong:
    """A picture that was surely taken for something else."""

    place: int
    """Among the answers."""
    guessed: int
    sure: float


@dataclass(frozen=True)
class Grades:
    """Ordered classes: how far off, in grades."""

    off: Estimate
    """Mean distance between the guess and the answer."""
    within_one: Estimate
    """Share of guesses at most one grade off."""

    @property
    def sentence(self) -> str:
        return (
            f"On average {self.off.value:.1f} grades off ({self.off.low:.1f}–{self.off.high:.1f}); "
            f"{100 * self.within_one.value:.0f} % are at most one grade off "
            f"({100 * self.within_one.low:.0f}–{100 * self.within_one.high:.0f} %)."
        )


@dataclass(frozen=True)
class CloserLook:
    per_class: tuple[ClassQuality, ...]
    macro_f1: Estimate | None
    """The mean F1 of the classes that were answered; None with fewer than two of them."""
    reliability: Reliability
    wrong: tuple[Wrong, ...]
    """The confidently wrong ones, the surest first; one of each set of near-duplicates."""
    grades: Grades | None


def look_closer(
    left_out: np.ndarray,
    y: np.ndarray,
    class_names: Sequence[str],
    groups: np.ndarray | None = None,
    kind: str = "classes",
    most_wrong: int = 24,
) -> CloserLook:
    """From (m, C) left-out probabilities and (m,) classes. Raises BadInput if they do not fit."""
    y = np.asarray(y, np.int64)
    classes = len(class_names)
    if left_out.shape != (len(y), classes) or not len(y) or not 0 <= y.min() <= y.max() < classes:
        raise BadInput("The answers and what the classifier says of them differ in number; reload the page.")
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    weight = evidence(len(y), groups) / len(y)
    guess, sure = left_out.argmax(axis=1), left_out.max(axis=1)
    confusion = np.bincount(y * classes + guess, minlength=classes * classes).reshape(classes, classes)
    return CloserLook(
        per_class=tuple(_class(place, name, confusion, weight) for place, name in enumerate(class_names)),
        macro_f1=_macro_f1(confusion, weight),
        reliability=reliability(sure, guess == y, weight),
        wrong=_wrong(guess, sure, y, groups, most_wrong),
        grades=_grades(np.abs(guess - y), classes, weight) if kind == "grades" else None,
    )


def evaluate_attributes(
    left_out: np.ndarray, y: np.ndarray, class_names: Sequence[str], groups: np.ndarray | None = None
) -> tuple[Quality | None, ...]:
    """One judgement for each attribute, as a question of its own with the classes "not X" and "X".

    `left_out` (m, C): how likely each attribute is; `y` (m, C): 1, 0, or -1 where nothing was said. None for an
    attribute that was not both given and denied.
    """
    if left_out.shape != np.shape(y) or left_out.shape[1:] != (len(class_names),):
        raise BadInput("The answers and what the classifier says of them differ in number; reload the page.")
    found: list[Quality | None] = []
    for place, name in enumerate(class_names):
        said = np.flatnonzero(y[:, place] >= 0)
        own, share = y[said, place].astype(np.int64), left_out[said, place]
        both = np.stack([1 - share, share], axis=1)
        within = None if groups is None else np.asarray(groups)[said]
        found.append(evaluate(both, own, [f"not {name}", name], within) if len(set(own.tolist())) == 2 else None)
    return tuple(found)


def _class(place: int, name: str, confusion: np.ndarray, weight: float) -> ClassQuality:
    right = int(confusion[place, place])
    there, taken = int(confusion[place].sum()), int(confusion[:, place].sum())
    # right / (right + both kinds of wrong) is a plain share; F1 is a rising function of it
    shared = _share(right, there + taken - right, weight)
    f1 = None if shared is None else Estimate(*(2 * s / (1 + s) for s in (shared.value, shared.low, shared.high)))
    return ClassQuality(name, there, taken, _share(right, taken, weight), _share(right, there, weight), f1)


def _share(right: int, total: int, weight: float) -> Estimate | None:
    return Estimate(right / total, *wilson(right * weight, total * weight)) if total else None


def _macro_f1(confusion: np.ndarray, weight: float) -> Estimate | None:
    """Its interval is that of 2,000 tables drawn around the one counted (Dirichlet, half an answer a row added), moved
    to lie around the figure: classes share their mistakes, which no formula for one class knows."""
    there = np.flatnonzero(confusion.sum(axis=1))
    if len(there) < 2:
        return None
    kept = confusion[np.ix_(there, there)].astype(np.float64)
    outside = confusion[there].sum(axis=1) - kept.sum(axis=1)  # guesses of classes that nobody answered: wrong
    value = _mean_f1(kept[None], outside[None])[0]
    cells = np.concatenate([kept, outside[:, None]], axis=1) * weight
    cells[:, :-1] += 0.5 / len(there)
    drawn = np.random.default_rng(0).gamma(np.maximum(cells, 1e-9), size=(_DRAWS, *cells.shape))
    low, high = np.quantile(_mean_f1(drawn[..., :-1], drawn[..., -1]), [0.025, 0.975])
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))


def _mean_f1(tables: np.ndarray, outside: np.ndarray) -> np.ndarray:
    right = np.einsum("tcc->tc", tables)
    both = tables.sum(axis=2) + outside + tables.sum(axis=1)
    return np.asarray(np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0).mean(axis=1))


def reliability(sure: np.ndarray, right: np.ndarray, weight: float = 1.0) -> Reliability:
    """(m,) how sure of the likeliest class, (m,) bool whether it was right. `weight`: what one answer counts for."""
    m = len(sure)
    parts = np.array_split(np.argsort(sure, kind="stable"), min(BINS, m // _IN_A_BIN)) if m >= 2 * _IN_A_BIN else []
    bins, error, chance = [], 0.0, 0.0
    for places in parts:
        said, hits, size = float(sure[places].mean()), int(right[places].sum()), len(places)
        bins.append(Bin(size, said, Estimate(hits / size, *wilson(hits * weight, size * weight))))
        error += size / m * abs(hits / size - said)
        chance += size / m * math.sqrt(2 / math.pi * said * (1 - said) / size)
    return Reliability(tuple(bins), error, chance)


def _wrong(guess: np.ndarray, sure: np.ndarray, y: np.ndarray, groups: np.ndarray, most: int) -> tuple[Wrong, ...]:
    found: list[Wrong] = []
    seen: set[int] = set()
    for place in np.argsort(-sure, kind="stable"):
        group = int(groups[place])
        if guess[place] != y[place] and group not in seen and len(found) < most:
            seen.add(group)
            found.append(Wrong(int(place), int(guess[place]), float(sure[place])))
    return tuple(found)


def _grades(off: np.ndarray, classes: int, weight: float) -> Grades:
    """The mean's interval from shares of each distance drawn around those counted, one answer spread over all."""
    counts = np.bincount(off, minlength=classes)
    drawn = np.random.default_rng(0).dirichlet(counts * weight + 1 / classes, _DRAWS) @ np.arange(classes)
    low, high = np.quantile(drawn, [0.025, 0.975])
    value, near = float(off.mean()), int(counts[:2].sum())
    mean = Estimate(value, float(min(low, value)), float(max(high, value)))
    return Grades(mean, Estimate(near / len(off), *wilson(near * weight, len(off) * weight)))

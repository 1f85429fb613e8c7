"""How good a classifier is, in figures with their uncertainty and in one plain sentence."""

import math
from dataclasses import dataclass

import numpy as np

from explorer.learning.classifier import LinearClassifier

FEW_IN_ALL = 20
FEW_IN_A_CLASS = 5
_Z95 = 1.959964
_LEFT_OUT_VARIANCE = 1.4
"""Left-out guesses come from nearly the same answers and err together: their share of right ones varies more than that
of independent ones (Bates, Hastie & Tibshirani 2023, on cross-validation). Over 300 simulated questions each at
20, 40 and 100 answers: 1.1 to 1.6 times the binomial variance. Without it 95 % intervals hold the truth 89 to 95 % of
the time, with it 93 to 96 %."""


@dataclass(frozen=True)
class Quality:
    """Judged on the answers themselves, each by a classifier that had not seen it (nor its near-duplicates).

    The pictures that were answered are not a fair sample unless they were drawn at random: "on pictures like the ones
    you answered" is meant as it is said.
    """

    answers: int
    independent: int
    """Answers, counting near-duplicates of one another once: what the intervals rest on."""
    per_class: tuple[int, ...]
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    balanced_accuracy: float
    balanced_low: float
    balanced_high: float
    confusion: np.ndarray
    """(C, C) int64: how often a picture answered as row class was taken for column class."""
    grade: str
    """"too early", "no better than guessing", "weak", "fair", "good" or "very good"."""
    words: str
    warning: str
    """Why to be careful with it; empty if nothing speaks against."""

    @property
    def sentence(self) -> str:
        """Both, for the screen."""
        return f"{self.words} {self.warning}".strip()


def wilson(right: float, total: float, z: float = _Z95) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); both may be fractions of answers. (0, 1) of nothing."""
    if total <= 0:
        return 0.0, 1.0
    share = right / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def evidence(answers: int, groups: np.ndarray | None = None) -> float:
    """How many independent answers left-out guesses are worth: near-duplicates count once, and all err together."""
    return (answers if groups is None else len(np.unique(groups))) / _LEFT_OUT_VARIANCE


def evaluate(
    left_out: LinearClassifier | np.ndarray, y: np.ndarray, class_names: list[str], groups: np.ndarray | None = None
) -> Quality:
    """Judge a classifier by the (n, C) left-out probabilities (or scores) of the (n,) answers it was fitted to."""
    classes = len(class_names)
    shares = left_out.loo_probabilities() if isinstance(left_out, LinearClassifier) else left_out
    guessed = shares.argmax(axis=1)
    confusion = np.bincount(y * classes + guessed, minlength=classes * classes).reshape(classes, classes)
    counts = confusion.sum(axis=1)
    n = len(y)
    independent = n if groups is None else len(np.unique(groups))
    accuracy = float(np.trace(confusion) / n)
    weight = evidence(n, groups) / n
    low, high = wilson(accuracy * n * weight, n * weight)
    answered = np.flatnonzero(counts)
    recalls = np.diag(confusion)[answered] / counts[answered]
    balanced = float(recalls.mean())
    worth = balanced_worth(recalls, counts[answered] * weight)
    balanced_low, balanced_high = wilson(balanced * worth, worth)

    chance = 1 / len(answered)
    if n < 2 * len(answered) + 2:
        grade, words = "too early", f"Too early to say how good it is: only {n} answers so far."
    else:
        about = f"about {100 * accuracy:.0f} % right on pictures like the ones you answered"
        interval = f"({100 * low:.0f}–{100 * high:.0f} %)"
        grade = _grade(balanced, balanced_low, chance)
        words = f"{grade.capitalize()}: {about} {interval}."
    return Quality(
        answers=n,
        independent=independent,
        per_class=tuple(int(count) for count in counts),
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        balanced_accuracy=balanced,
        balanced_low=balanced_low,
        balanced_high=balanced_high,
        confusion=confusion,
        grade=grade,
        words=words,
        warning=_warning(n, independent, counts, class_names),
    )


def balanced_worth(recalls: np.ndarray, counts: np.ndarray) -> float:
    """How many answers would make a plain share as uncertain as the mean of (C,) recalls of (C,) answers each.

    Each recall's variance is taken half an answer away from 0 and 1, where it would be zero.
    """
    shrunk = (recalls * counts + 0.5) / (counts + 1)
    variance = float((shrunk * (1 - shrunk) / counts).sum()) / len(recalls) ** 2
    middle = float(shrunk.mean())
    return middle * (1 - middle) / variance


def _grade(balanced: float, balanced_low: float, chance: float) -> str:
    """Words for the share between guessing and perfect that is reached."""
    if balanced_low <= chance:
        return "no better than guessing" if balanced <= chance * 1.1 else "weak"
    reached = (balanced - chance) / (1 - chance)
    for least, word in ((0.9, "very good"), (0.7, "good"), (0.4, "fair")):
        if reached >= least:
            return word
    return "weak"


def _warning(n: int, independent: int, counts: np.ndarray, class_names: list[str]) -> str:
    thin = [(int(counts[place]), name) for place, name in enumerate(class_names) if counts[place] < FEW_IN_A_CLASS]
    if n < FEW_IN_ALL:
        return f"This rests on only {n} answers."
    if thin:
        fewest, name = min(thin)
        many = "no answer" if fewest == 0 else "only 1 answer" if fewest == 1 else f"only {fewest} answers"
        return f"This rests on {many} for “{name}”."
    if independent < n / 2:
        return f"Many answers are about nearly the same picture: they count like {independent}."
    return ""

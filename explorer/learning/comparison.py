"""Which way of looking suits a question: every look judged on the same answers, and whether the difference is real.

The order is that of their support by the answers (`paired`). What a difference of support means for accuracy on unseen
pictures, and how far it strays, was measured: 200 draws of 30 answers from each of five collections, ten looks, 45
pairs. The leading look is recommended when the chances of the others to be more than two points better add up to less
than DOUBT; else it is too close to call, with those whose chance is not small.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from explorer.errors import BadInput
from explorer.learning.classifier import fit_classifier, softmax
from explorer.learning.joining import Joined, join
from explorer.learning.looks import Look
from explorer.learning.paired import (
    answers_of,
    balanced,
    covariance,
    fit_dual,
    hits,
    left_out,
    losses,
    support,
)
from explorer.learning.training import at_most

FEWEST = 10
"""Different pictures below which nothing is compared."""
MOST = 1_000
"""Answers used; more of them settle nothing that these do not."""
DOUBT = 0.1
"""Sum of the chances, an upper bound of the chance that any of them is better (Bonferroni). Of twelve extractors at 30
answers one was recommended in .34 of 200 draws where two are as good and ahead of all others, wrongly in .07; in 0 to
.07, wrongly in up to .02, where several are about as good. With .2 it was .65 and .14."""
SMALL = 0.1
MARGIN = 0.02
_POINTS_PER_SUPPORT = 0.95
"""Accuracy for a unit of support: .55 to 1.14 in the five collections, of 3 to 11 classes, seen in three ways."""
_SPREAD = 0.45
"""Support, times .8, strays by this share of what paired left-out squared losses do: actual spreads over draws were .8
to 1.1 times that, of simulated looks .7 to 1.0."""
_FEW_EACH = 3.0
"""Where classes have few answers both stray more than the answers' spread tells, by 1 + this over answers a class."""
_MISFIT = 0.03
"""Two looks with the same support are this different, if they share nothing."""
_SPREAD_OF_LOOKS = 0.2
"""Standard deviation of accuracy between looks that share nothing, before anything is known; less by what they share.
Sizes of one network hold pictures for alike by .8 and seldom differ by more than two points."""
_LUCK = 0.042
"""Training luck at 30 answers: looks of equal worth differ by this much once they have learnt from the same few
answers, less, by a fourth root, if they share much: .8 to 1.2 of it in all five collections, and simulated. No figure
of the answers foretells it."""
_FEW, _FADES = 30, 0.2
"""Luck, and what support is worth in accuracy, fall with this power of the answers: measured at 30, 60, 100 and 200."""
_STEPS = (5, 10, 15, 20, 30, 50, 80, 120, 200)
_CURVE = (10, 20, 40, 80, 160, 320, 640)
_REPEATS = 20
_Z95 = 1.959964


@dataclass(frozen=True)
class LookScore:
    """One look, judged by answers that it had not seen."""

    key: str
    title: str
    balanced_accuracy: float
    """Share of left-out answers that are right, every class counting alike; `low` to `high` is its 95 % interval."""
    low: float
    high: float
    lead: float
    """What it would be ahead of the leading look on unseen pictures, in balanced accuracy, as far as its support by the
    answers tells, with its 95 % interval. It need not equal the difference of the two shares, which is noisier."""
    lead_low: float
    lead_high: float
    verdict: str
    """"best", "level" (too close to call; once it is decided: not better, perhaps as good) or "worse"."""


@dataclass(frozen=True)
class Comparison:
    """Looks by their support, the best first, and what follows."""

    scores: tuple[LookScore, ...]
    recommended: str
    """The key of the look to take; "" while it is too close to call."""
    decided: bool
    sentence: str
    more_labels: int | None
    """Answers that would probably settle it: 0 if it is settled, None if 200 more would not."""
    joined: Joined | None


@dataclass(frozen=True)
class CurvePoint:
    """Balanced accuracy after so many answers, with its 95 % interval."""

    answers: int
    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Disagreement:
    """A picture that two looks name differently, with the share that each gives its own class."""

    row: int
    class_a: int
    share_a: float
    class_b: int
    share_b: float


def compare_looks(
    looks: Sequence[Look],
    y: np.ndarray,
    groups: np.ndarray | None,
    class_names: Sequence[str],
    default: str = "",
    seed: int = 0,
) -> Comparison:
    """Compare (m, d_i) looks at the same answers of (m,) classes and (m,) near-duplicate groups.

    `class_names` are those that y counts; `default`: the key of the look in use, which is worth keeping where nothing
    is better. The layers of one network are looks like any others. Raises BadInput without a look, for shapes that do
    not fit, or fewer than two classes with an answer.
    """
    _fitting(looks, y, groups, len(class_names))
    found = judge(looks, y, groups)
    scores = []
    for at in found.order:
        spread = _Z95 * float(found.spread[at])
        verdict = "best" if at == found.best else "level" if found.level[at] else "worse"
        accuracy, low, high = found.accuracy[at]
        ahead = float(found.lead[at])
        ends = (ahead, ahead - spread, ahead + spread)
        scores.append(LookScore(looks[at].key, looks[at].title, accuracy, low, high, *ends, verdict))
    sentence = _sentence(scores, found.decided, found.more_labels, default, found.early)
    joined = None if found.early else join(looks, y, groups, seed)
    recommended = looks[found.best].key if found.decided else ""
    return Comparison(tuple(scores), recommended, found.decided, sentence, found.more_labels, joined)


@dataclass(frozen=True)
class Judged:
    """What `judge` found, in the order of the looks that it was given."""

    best: int
    order: np.ndarray
    """(q,) places of the looks, the best supported first"""
    accuracy: list[tuple[float, float, float]]
    lead: np.ndarray
    spread: np.ndarray
    """(q,) standard deviation of the lead"""
    level: np.ndarray
    """(q,) bool: too close to call with the best one, which is not among them; once it is decided, perhaps as good"""
    decided: bool
    early: bool
    more_labels: int | None


def judge(looks: Sequence[Look], y: np.ndarray, groups: np.ndarray | None) -> Judged:
    """`compare_looks` without words and without joining."""
    y, groups = _fitting(looks, y, groups, 0)
    rows = _used(y)
    place, groups = answers_of(y[rows], groups[rows], len(rows))
    used = [look.vectors[rows] for look in looks]
    grams = [np.asarray(each @ each.T, np.float64) for each in used]
    scores = [left_out(gram, place, groups) for gram in grams]
    lost = np.stack([losses(each, place) for each in scores])
    supports = np.array([support(gram, place, groups) for gram in grams])
    best = int(supports.argmax())
    independent = len(np.unique(groups))
    _, different = np.unique(groups, return_index=True)
    apart = [gram[np.ix_(different, different)] for gram in grams]
    lead, doubt, luck = _leads(supports, covariance(lost, place, groups), apart, best, int(place.max()) + 1)
    spread = np.hypot(doubt, luck)
    chances = _chances(lead, spread, best)
    early = independent < FEWEST
    decided = len(looks) > 1 and not early and bool(chances.sum() < DOUBT)
    if decided:
        level = lead > -MARGIN  # none of them better, some perhaps as good
    else:
        level = np.full(len(looks), True) if early else chances >= min(SMALL, float(chances.max()))
    level[best] = False
    more: int | None = 0 if decided else None
    if early:
        more = FEWEST - independent
    elif len(looks) > 1 and not decided:
        more = _settled_after(lead, doubt, luck, best, independent)
    accuracy = [balanced(hits(each, place), place, groups) for each in scores]
    order = np.argsort(-supports, kind="stable")
    return Judged(best, order, accuracy, lead, spread, level, decided, early, more)


def learning_curves(
    looks: Sequence[Look], y: np.ndarray, groups: np.ndarray | None = None, seed: int = 0
) -> dict[str, tuple[CurvePoint, ...]]:
    """How each look's balanced accuracy grew with the answers, by its key; the same parts of the answers for all.

    Points at 10, 20, 40, … answers: fits to 20 parts drawn by lot, near-duplicates together, judged on the rest; the
    last point is all answers, each left out in turn. A part too small for every class has no point. Raises BadInput as
    `compare_looks` does.
    """
    y, groups = _fitting(looks, y, groups, 0)
    rows = _used(y)
    place, groups = answers_of(y[rows], groups[rows], len(rows))
    rng = np.random.default_rng(seed)
    classes, several = int(place.max()) + 1, len(np.unique(groups))
    sizes = [size for size in _CURVE if 2 * classes <= size <= 0.8 * several]
    parts = {size: [_part(place, groups, size, rng) for _ in range(_REPEATS)] for size in sizes}
    curves = {}
    for look in looks:
        vectors = look.vectors[rows]
        gram = np.asarray(vectors @ vectors.T, np.float64)
        points = [(size, _judged(gram, place, parts[size])) for size in sizes]
        points.append((len(place), hits(left_out(gram, place, groups), place)))
        curves[look.key] = tuple(CurvePoint(size, *balanced(right, place, groups)) for size, right in points)
    return curves


def disagreements(
    a: Look, b: Look, y: np.ndarray, groups: np.ndarray | None, pool_a: np.ndarray, pool_b: np.ndarray
) -> list[Disagreement]:
    """Where two looks that learnt from the same answers name unanswered pictures differently.

    `pool_a` (p, d_a) and `pool_b` (p, d_b): the same pictures in both; `row` counts them. The one where the less sure
    of the two is surest comes first. Raises BadInput for shapes that do not fit or fewer than two classes.
    """
    y, groups = _fitting([a, b], y, groups, 0)
    if len(pool_a) != len(pool_b):
        raise BadInput(f"The two looks are at different pictures: {len(pool_a)} and {len(pool_b)}.")
    shares = []
    for look, pool in ((a, pool_a), (b, pool_b)):
        fitted = fit_classifier(look.vectors, y, int(y.max()) + 1, groups)
        shares.append(softmax(fitted.logits(np.asarray(pool, np.float32))))
    guess = [each.argmax(axis=1) for each in shares]
    sure = [each.max(axis=1) for each in shares]
    rows = np.flatnonzero(guess[0] != guess[1])
    rows = rows[np.argsort(-np.minimum(sure[0], sure[1])[rows], kind="stable")]
    return [
        Disagreement(int(r), int(guess[0][r]), float(sure[0][r]), int(guess[1][r]), float(sure[1][r])) for r in rows
    ]


def _fitting(
    looks: Sequence[Look], y: np.ndarray, groups: np.ndarray | None, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Classes and groups as arrays. Raises BadInput."""
    if not looks:
        raise BadInput("No way of looking has been computed for these pictures; run one on them first.")
    if len({len(look.vectors) for look in looks}) > 1:
        raise BadInput("The ways of looking are at different numbers of pictures; they cannot be compared.")
    y = np.asarray(y)
    answers_of(y, groups, len(looks[0].vectors))
    if y.min() < 0 or (classes and y.max() >= classes):
        raise BadInput(f"There are {classes} classes; the answers name one outside 0 to {classes - 1}.")
    return y, np.arange(len(y)) if groups is None else np.asarray(groups)


def _used(y: np.ndarray) -> np.ndarray:
    return at_most(y, MOST)


def _leads(
    supports: np.ndarray, strayed: np.ndarray, grams: list[np.ndarray], best: int, classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(q,) leads over the best look in accuracy, their standard deviations, and those of training luck; `strayed`
    (q, q) covariance of mean losses, `grams` the looks' products of pictures that are no near-duplicates."""
    answers = len(grams[0])
    fading = (_FEW / answers) ** _FADES
    unlike = np.array([0.0 if at == best else 1 - _alike(grams[best], gram) for at, gram in enumerate(grams)])
    variance = np.maximum(strayed.diagonal() + strayed[best, best] - 2 * strayed[best], 0)
    variance *= 1 + _FEW_EACH * classes / answers
    variance = _SPREAD**2 * variance + _MISFIT**2 * unlike
    prior = (_SPREAD_OF_LOOKS * unlike) ** 2
    trust = prior / (prior + variance + 1e-12)
    lead = _POINTS_PER_SUPPORT * fading * (supports - supports[best]) * trust
    return lead, np.sqrt(variance * trust), _LUCK * fading * unlike**0.25


def _alike(a: np.ndarray, b: np.ndarray) -> float:
    """How far two looks hold the same pictures for alike, 0 to 1: the correlation of products of different pictures."""
    off = ~np.eye(len(a), dtype=bool)
    of_a, of_b = a[off], b[off]
    length = float(np.linalg.norm(of_a) * np.linalg.norm(of_b))
    return float(np.clip(of_a @ of_b / length, 0, 1)) if length else 0.0


def _chances(lead: np.ndarray, spread: np.ndarray, best: int) -> np.ndarray:
    """(q,) how likely each is to be more than MARGIN better than the best one; 0 for that."""
    found = np.asarray(norm.sf(MARGIN, lead, np.maximum(spread, 1e-9)))
    found[best] = 0
    return found


def _settled_after(lead: np.ndarray, doubt: np.ndarray, luck: np.ndarray, best: int, answers: int) -> int | None:
    """Further answers after which one would be recommended, if the leads stay what they seem."""
    for more in _STEPS:
        left = answers / (answers + more)
        if _chances(lead, np.hypot(doubt * np.sqrt(left), luck * left**_FADES), best).sum() < DOUBT:
            return more
    return None


def _sentence(scores: list[LookScore], decided: bool, more: int | None, default: str, early: bool) -> str:
    best = scores[0]
    if len(scores) == 1:
        return f"Only “{best.title}” has been computed; there is nothing to compare it with."
    if early:
        return f"Too early to compare: about {_labels(more or 1)} first."
    second = scores[1]
    against = f"{_figure(best)} against {_figure(second)} right"
    contrary = best.balanced_accuracy < second.balanced_accuracy
    if decided:
        if second.verdict == "level":
            told = f"“{best.title}” is a sound choice: nothing here is likely to be more than two points better"
            return f"{told} ({_figure(best)} right; “{second.title}” {_figure(second)})."
        if contrary:
            return f"“{best.title}” suits this better than “{second.title}”: surer of its answers ({against})."
        return f"“{best.title}” tells these apart better than “{second.title}”: {against}."
    level = [each for each in scores[1:] if each.verdict == "level"]
    settle = f"; {_labels(more)} would probably settle it" if more else ""
    if len(level) == 1 and not contrary:
        if more:
            told = f"“{best.title}” seems to tell these apart better than “{second.title}”: {against}, "
            return f"{told}but that is too close to call{settle}."
        told = f"“{best.title}” and “{second.title}” tell these apart about equally well ({against})"
    else:
        named = [f"“{each.title}”" for each in [best, *level]]
        shown = f"{', '.join(named[:-1])} and {named[-1]}" if len(named) <= 4 else f"{', '.join(named[:3])} and others"
        low = min(each.balanced_accuracy for each in [best, *level])
        high = max(each.balanced_accuracy for each in [best, *level])
        told = f"Too close to call between {shown} ({_plain(low)} to {_plain(high)} right)"
    stay = [each for each in [best, *level] if each.key == default]
    keep = f"; nothing speaks against staying with “{stay[0].title}”" if stay and not more else ""
    return f"{told}{settle}{keep}."


def _labels(count: int | None) -> str:
    return "1 more label" if count == 1 else f"{count} more labels"


def _figure(score: LookScore) -> str:
    return _plain(score.balanced_accuracy)


def _plain(share: float) -> str:
    """.80, as figures are written everywhere."""
    return f"{share:.2f}".removeprefix("0")


def _part(place: np.ndarray, groups: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """(m,) bool: `size` groups drawn by lot, first one of each class."""
    order = rng.permutation(len(place))
    _, first = np.unique(place[order], return_index=True)
    order = np.concatenate([order[first], np.delete(order, first)])
    _, first = np.unique(groups[order], return_index=True)
    return np.isin(groups, groups[order[np.sort(first)[:size]]])


def _judged(gram: np.ndarray, place: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
    """(m,) how often each answer was named right by fits to parts without it; NaN if it was in all of them."""
    right, judged = np.zeros(len(place)), np.zeros(len(place))
    for inside in parts:
        train, test = np.flatnonzero(inside), np.flatnonzero(~inside)
        trained, own = np.unique(place[train], return_inverse=True)
        if len(trained) < 2:
            continue
        added, _, _ = fit_dual(gram[np.ix_(train, train)], own)
        right[test] += trained[(gram[np.ix_(test, train)] @ added).argmax(axis=1)] == place[test]
        judged[test] += 1
    return np.divide(right, judged, out=np.full(len(place), np.nan), where=judged > 0)

"""Several ways of looking at once: how much each should weigh, and whether that is better than the best alone.

In the dual a joined look is a weighted sum of products, so nothing is computed anew. Weights are those of Bayesian
model averaging, tempered (Hoeting et al. 1999; Grünwald & van Ommen 2017): looks that foretell the answers alike share
the weight, one that is clearly worse gets none. A look that is poor alone but helps the others much is added, which
weights of looks alone cannot see. From 30 answers (five collections, ten looks, 60 draws) together they were 1.2 points
better to .9 worse than the best look of each draw, which nobody knows; that look chosen once and for all, as if its
mean were known, was .1 to 2.0 worse.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explorer.learning.looks import Look
from explorer.learning.paired import answers_of, balanced, covariance, fit_dual, shares_of, support
from explorer.learning.training import at_most

SHARPNESS = 0.4
"""Of one answer's support (`paired`)."""
LEAST_WEIGHT = 0.03
MOST_TOGETHER = 6
MOST_ANSWERS = 100
"""More answers sharpen the weights no further: small differences would leave one look alone, though several together
tell more."""
MOST_USED = 300
"""Answers that weights are chosen and judged by, at most."""
_FOLDS = 10
_ADDED = (0.3, 0.5)
_WORTH_ADDING = 0.05
"""Support that adding a look must bring: about four points of accuracy."""
_WORTH_IT = 0.01
_Z95 = 1.959964


@dataclass(frozen=True)
class Joined:
    """Several looks weighed together, judged by answers that had no part in choosing the weights."""

    weights: tuple[tuple[str, float], ...]
    """(look's key, weight), the heaviest first; they sum to one. A single one: nothing is to be joined."""
    balanced_accuracy: float
    low: float
    high: float
    lead: float
    """Ahead of the best look alone, on the same answers, in balanced accuracy."""
    lead_low: float
    lead_high: float
    words: str


def weights_of(supports: np.ndarray, answers: int) -> np.ndarray:
    """(q,) supports by so many answers to (q,) weights that sum to one, all but a few of them zero."""
    found = np.exp(SHARPNESS * min(answers, MOST_ANSWERS) * (supports - supports.max()))
    found /= found.sum()
    order = np.argsort(-found, kind="stable")
    found[order[MOST_TOGETHER:]] = 0
    found[(found < LEAST_WEIGHT) & (found < found.max())] = 0
    return np.asarray(found / found.sum())


def join(looks: Sequence[Look], y: np.ndarray, groups: np.ndarray | None = None, seed: int = 0) -> Joined | None:
    """Weights for (m, d_i) looks at the same answers, (m,) classes; None for fewer than two looks.

    The score is of grouped folds: the weights that judge a fold were chosen without it. Raises BadInput for shapes that
    do not fit, or fewer than two classes.
    """
    if len(looks) < 2:
        return None
    grams, place, groups = _products(looks, y, groups)
    chosen, alone = _chosen(grams, place, groups)
    best = int(alone.argmax())
    right = _right_without(grams, place, groups, seed)
    accuracy, low, high = balanced(right[0], place, groups)
    lead = float((right[0] - right[1]) @ shares_of(place))
    spread = _Z95 * float(np.sqrt(max(covariance((right[0] - right[1])[None], place, groups)[0, 0], 0)))
    weights = _named(looks, chosen)
    titles = {each.key: each.title for each in looks}
    words = _words([titles[key] for key, _ in weights], looks[best].title, lead, spread)
    return Joined(tuple(weights), accuracy, low, high, lead, lead - spread, lead + spread, words)


def chosen_weights(looks: Sequence[Look], y: np.ndarray, groups: np.ndarray | None = None) -> list[tuple[str, float]]:
    """(look's key, weight), the heaviest first, without judging them. Raises BadInput as `join` does."""
    grams, place, groups = _products(looks, y, groups)
    return _named(looks, _chosen(grams, place, groups)[0])


def _products(
    looks: Sequence[Look], y: np.ndarray, groups: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(q, m, m) products within each look, (m,) classes and (m,) groups of the answers that are used."""
    place, groups = answers_of(y, groups, len(looks[0].vectors))
    rows = at_most(place, MOST_USED)
    place, groups = answers_of(place[rows], groups[rows], len(rows))
    used = [each.vectors[rows] for each in looks]
    return np.stack([np.asarray(each @ each.T, np.float64) for each in used]), place, groups


def _named(looks: Sequence[Look], weights: np.ndarray) -> list[tuple[str, float]]:
    order = np.argsort(-weights, kind="stable")
    return [(looks[number].key, float(weights[number])) for number in order if weights[number] > 0]


def _chosen(grams: np.ndarray, place: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(q,) weights, and the supports of the (q, m, m) looks alone."""
    alone = np.array([support(gram, place, groups) for gram in grams])
    weights = weights_of(alone, len(np.unique(groups)))
    together = np.tensordot(weights, grams, 1)
    most = before = support(together, place, groups)
    found = None
    for share in _ADDED:
        # a look that knows nothing damps the others, as a larger penalty would: what is added must bring more than that
        nothing = support((1 - share) * together + share * np.eye(len(place)), place, groups)
        enough = max(before, nothing) + _WORTH_ADDING
        for each in range(len(grams)):
            joined = support((1 - share) * together + share * grams[each], place, groups)
            if joined > most and joined > enough:
                most, found = joined, (each, share)
    if found is not None:
        each, share = found
        weights = (1 - share) * weights
        weights[each] += share
    return weights, alone


def _right_without(grams: np.ndarray, place: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """(2, m) is each answer guessed right by the joined looks, and by the best alone, chosen and fitted without its
    fold? An answer whose class or fold leaves too little to learn from counts as wrong."""
    rng = np.random.default_rng(seed)
    several = int(groups.max()) + 1
    folds = min(several, _FOLDS if several > 4 * _FOLDS else 3 * _FOLDS)
    fold_of = (rng.permutation(several) % folds)[groups]
    right = np.zeros((2, len(place)))
    for fold in np.unique(fold_of):
        test, train = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        trained, own = np.unique(place[train], return_inverse=True)
        if len(trained) < 2:
            continue
        inside, near = grams[:, train[:, None], train], np.unique(groups[train], return_inverse=True)[1]
        weights, alone = _chosen(inside, own, near)
        for number, each in enumerate((weights, np.eye(len(grams))[alone.argmax()])):
            added, _, _ = fit_dual(np.tensordot(each, inside, 1), own)
            products = np.tensordot(each, grams[:, test[:, None], train], 1)
            right[number, test] = trained[(products @ added).argmax(axis=1)] == place[test]
    return right


def _words(kept: list[str], best: str, lead: float, spread: float) -> str:
    if len(kept) == 1:
        return f"Nothing is gained by joining: “{best}” alone is as good."
    names = [f"“{each}”" for each in kept]
    together = f"{', '.join(names[:-1])} and {names[-1]} together"
    points = abs(round(100 * lead))
    far = f"{points} point{'' if points == 1 else 's'}"
    if lead - spread > 0:
        return f"{together} are better than “{best}” alone, by about {far}."
    if lead > _WORTH_IT:
        return f"{together} are {far} ahead of “{best}” alone so far, which may still be chance."
    if lead + spread < 0:
        return f"Joining does not help here: {together} are {far} behind “{best}” alone."
    return f"Joining is hardly worth it: {together} are about as good as “{best}” alone."

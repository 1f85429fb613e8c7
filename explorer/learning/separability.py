"""Can one flat cut separate the classes, and does it mean anything if it can?

With as many numbers as answers, any answers can be separated, also wrong ones (Cover 1965). So the same is tried with
classes dealt out at random: what counts is whether true answers separate where shuffled ones do not, how much wider
the gap between them is, and above all what is right of pictures that the cut has not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from explorer.errors import BadInput
from explorer.learning.looks import Look
from explorer.learning.paired import answers_of, hits, left_out, shares_of

SHUFFLES = 10
MOST_OF_A_CLASS = 100
MOST_PAIRS = 66
_HARD = 1e6
_ITERATIONS = 20_000


@dataclass(frozen=True)
class PairSeparability:
    """Two classes and the widest flat gap between them."""

    a: int
    b: int
    answers: int
    separable: bool
    margin: float
    """Half the width of the gap, in units of the vectors' length, which is one; 0 where there is none."""
    shuffled_separable: float
    """Share of shuffles of these answers that could be separated as well."""
    shuffled_margin: float
    """Their mean margin."""
    left_out: float
    """Balanced share of these answers that a cut between the two names right without having seen them."""


@dataclass(frozen=True)
class Separability:
    sentence: str
    pairs: tuple[PairSeparability, ...]
    """The hardest to tell apart first."""
    separable: float
    """Share of pairs separated without an error."""
    shuffled_separable: float
    wider: float
    """The mean gap as a multiple of the shuffled ones'; NaN where those have none."""
    left_out: float
    """Mean over pairs."""
    numbers: int
    answers: int


def separability(
    look: Look, y: np.ndarray, class_names: Sequence[str], groups: np.ndarray | None = None, seed: int = 0
) -> Separability:
    """Of a look at (m,) answers: for each pair of classes a hard-margin cut (Boser, Guyon & Vapnik 1992).

    Uses at most 100 answers of a class, and the 66 pairs with the most answers. Raises BadInput for shapes that do not
    fit, an index without a name, or fewer than two classes with two answers each.
    """
    y = np.asarray(y)
    _, groups = answers_of(y, groups, len(look.vectors))
    if y.min() < 0 or y.max() >= len(class_names):
        raise BadInput(f"There are {len(class_names)} classes; the answers name one that is not among them.")
    rng = np.random.default_rng(seed)
    members = {}
    for each in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == each))[:MOST_OF_A_CLASS]
        if len(rows) >= 2:
            members[int(each)] = np.sort(rows)
    if len(members) < 2:
        raise BadInput("Answer at least two pictures of each of two classes first.")
    chosen = sorted(combinations(members, 2), key=lambda pair: -min(len(members[pair[0]]), len(members[pair[1]])))
    pairs = [_pair(look.vectors, members[a], members[b], a, b, groups, rng) for a, b in chosen[:MOST_PAIRS]]
    pairs.sort(key=lambda pair: pair.left_out)
    own, others = (np.array([getattr(pair, name) for pair in pairs]) for name in ("margin", "shuffled_margin"))
    wider = float((own[others > 0] / others[others > 0]).mean()) if (others > 0).any() else float("nan")
    found = Separability(
        sentence="",
        pairs=tuple(pairs),
        separable=float(np.mean([pair.separable for pair in pairs])),
        shuffled_separable=float(np.mean([pair.shuffled_separable for pair in pairs])),
        wider=wider,
        left_out=float(np.mean([pair.left_out for pair in pairs])),
        numbers=look.vectors.shape[1],
        answers=len(y),
    )
    return replace(found, sentence=_sentence(found))


def _pair(
    vectors: np.ndarray,
    of_a: np.ndarray,
    of_b: np.ndarray,
    a: int,
    b: int,
    groups: np.ndarray,
    rng: np.random.Generator,
) -> PairSeparability:
    rows = np.concatenate([of_a, of_b])
    place = np.repeat([0, 1], [len(of_a), len(of_b)])
    gram = np.asarray(vectors[rows] @ vectors[rows].T, np.float64)
    near = np.unique(groups[rows], return_inverse=True)[1]
    margin = _margin(gram, place)
    shuffled = np.array([_margin(gram, rng.permutation(place)) for _ in range(SHUFFLES)])
    seen = float(hits(left_out(gram, place, near), place) @ shares_of(place))
    return PairSeparability(
        a, b, len(rows), margin > 0, margin, float((shuffled > 0).mean()), float(shuffled.mean()), seen
    )


def _margin(gram: np.ndarray, place: np.ndarray) -> float:
    """Half the widest gap between two classes, 0 where no flat cut separates them."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # one that does not end has not separated them
        model = SVC(C=_HARD, kernel="precomputed", max_iter=_ITERATIONS).fit(gram, place)
    alphas, rows = model.dual_coef_[0], model.support_
    length = np.sqrt(max(float(alphas @ gram[np.ix_(rows, rows)] @ alphas), 1e-18))
    side = np.where(place == 1, 1, -1) * model.decision_function(gram)
    return max(float(side.min() / length), 0.0) if side.min() > 1e-6 else 0.0


def _sentence(found: Separability) -> str:
    many, whole = len(found.pairs), round(found.separable * len(found.pairs))
    if many == 1:
        told = "One flat cut separates the two without an error" if whole else "No flat cut separates the two"
    elif whole == many:
        told = f"Flat cuts separate every pair of classes without an error ({many} of {many})"
    else:
        told = f"Flat cuts separate {whole} of {many} pairs of classes without an error"
    if whole and found.shuffled_separable > 0.5:
        told += (
            f", but with {found.numbers:,} numbers a picture and {found.answers} answers almost anything can be "
            f"separated: {round(100 * found.shuffled_separable)} % of shuffled answers were too"
        )
        if found.wider >= 1.1:
            told += f", though with a gap {found.wider:.1f} times narrower"
    elif whole:
        told += f", which shuffled answers allow in {round(100 * found.shuffled_separable)} % of cases"
    return f"{told}. Judged by cuts that had not seen them, {round(100 * found.left_out)} % are on the right side."

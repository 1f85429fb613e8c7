"""Which pictures to show next, how likely each was to be picked, and why, in one sentence.

A rule that always picks the same pictures has the probability 1 for each; only `random` draws, and its answers alone
say without bias how the whole collection is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.collection.names import Names
from explorer.errors import BadInput
from explorer.space.codes import largest

if TYPE_CHECKING:
    from explorer.space.spread import Spread

POLICIES = ("useful", "likely", "finish", "borderline", "strange", "random")
"""`likely` and `finish` are written with their class: "likely:CLASS_ID"."""
_LOOKED_AT = 1_200
"""Pictures drawn to stand for a larger collection when coverage is computed: every pair of them is compared."""
_STRANGE_CANDIDATES = 5_000
_CANDIDATES = 10
"""Uncertain pictures looked at for every one that is picked."""
_DOUBTFUL, _DOUBTFUL_OF_MANY = 4_000, 1_000
"""The most doubtful pictures, among which those with most doubt around them are looked for; fewer of a large
collection, where a thousand are as doubtful as four."""
_DIFFUSED = 100_000
"""Up to here doubt is gathered along the whole graph, in ten steps; above, two steps around the doubtful ones."""


def batch_size(answered: int) -> int:
    """How many pictures to choose at once: few at the start, when every answer changes what is worth asking.

    Measured on 5 collections, 60 questions: after 20 answers batches of 4 are 1 to 2 points ahead of batches of 8,
    after 50 it makes no difference; one at a time is no better than 4 that differ.
    """
    return 4 if answered < 24 else 8 if answered < 60 else 16


def _by_lot(n: int, answered: int) -> int:
    """How many of n useful pictures are drawn by lot instead: they keep the answers a fair sample, and judge.

    Measured on 3 collections, 72 questions, against random answers alone, after 20, 50 and 100 answers: a quarter and
    then a half by lot +3.2, +1.6 and +1.0 points of balanced accuracy; none by lot +2.4, +.7 and +.6, and behind on
    single collections. After 60 answers hardly anything is gained by choosing: two in three.
    """
    return n // 4 if answered < 24 else n // 2 if answered < 60 else 2 * n // 3


@dataclass(frozen=True)
class Situation:
    """What is known when the next pictures are chosen. All arrays are over the n rows of one space."""

    vectors: np.ndarray
    """(n, d) float32, of length one"""
    copies: np.ndarray
    """(n,) int: the same number for byte-identical pictures"""
    strangeness: np.ndarray
    """(n,) float32: mean distance to the nearest others"""
    answered: np.ndarray
    """(n,) bool"""
    excluded: np.ndarray
    """(n,) bool: not to be shown (gone, or on the screen already)"""
    class_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    doubt: np.ndarray | None
    """(n,) float32: 1 where the two best classes are equally likely, 0 where one is certain; None while there is no
    classifier"""
    likeliest: Callable[[int, int, np.ndarray], np.ndarray] | None = None
    """(class place, how many, (n,) bool which) to the rows most likely of that class"""
    graph: "Spread | None" = None
    """The neighbour graph; without it doubt is not gathered from around"""
    all_different: bool = False
    """No two of the n pictures are copies: what need not be looked for"""


@dataclass(frozen=True)
class Batch:
    """Rows in the order to show them. `policy` is the one that was followed, which may not be the one asked for."""

    policy: str
    why: str
    rows: np.ndarray
    """(m,) int64, m <= n"""
    probabilities: np.ndarray
    """(m,) float64 in (0, 1]"""
    drawn: np.ndarray
    """(m,) bool: those drawn by lot, whatever the others were chosen by: their policy is "random" """


def suggest(policy: str, n: int, situation: Situation, seed: int = 0) -> Batch:
    """Up to `n` pictures without an answer, no two of them the same file; the same seed gives the same ones.

    Raises BadInput for an unknown policy or class.
    """
    name, _, class_id = policy.partition(":")
    of_class = name in ("likely", "finish")
    if name not in POLICIES or of_class != bool(class_id):
        raise BadInput(f"'{policy}' is no way of choosing pictures: use {', '.join(POLICIES)} (likely:CLASS).")
    if of_class and class_id not in situation.class_ids:
        raise BadInput("This class does not belong to the question (any more); reload the page.")
    still = ~(situation.answered | situation.excluded)  # (n,) bool: may be shown
    if name == "random":
        return _random(n, situation, still, seed)
    rows = np.zeros(0, np.int64)
    if name == "strange":
        rows = _strange(n, situation, np.flatnonzero(still))
        known = "than the pictures you answered" if situation.answered.any() else "than most"
        why = f"Pictures that look more different {known}: mistakes hide there."
    elif situation.doubt is None:
        rows = _first(n, situation, np.flatnonzero(still), seed)
        policy, why = "first", "Typical pictures from all over the collection, for a start."
    elif of_class:
        place = situation.class_ids.index(class_id)
        likeliest = situation.likeliest
        assert likeliest is not None
        rows = _best(n, situation, still, lambda m: likeliest(place, m, still))
        why = f"The pictures most likely to be “{situation.class_names[place]}”."
        if name == "finish":
            why = (
                f"All that may be “{situation.class_names[place]}”, the most likely first, until the list is complete."
            )
    elif name == "borderline":
        doubt = situation.doubt
        rows = _best(n, situation, still, lambda m: largest(doubt, m, still))
        why = "Pictures right between two classes."
    else:
        return _mixed(n, situation, still, seed)
    return _batch(policy, why if len(rows) else "Every picture has an answer.", rows)


def _distinct(situation: Situation, rows: np.ndarray) -> np.ndarray:
    """One of each set of copies, in the order of `rows`, and none whose copy was answered: its answer is known."""
    seen = np.unique(situation.copies[np.flatnonzero(situation.answered)])
    rows = rows[~np.isin(situation.copies[rows], seen)]
    return rows[np.sort(np.unique(situation.copies[rows], return_index=True)[1])]


def _best(n: int, situation: Situation, still: np.ndarray, first: Callable[[int], np.ndarray]) -> np.ndarray:
    """The first n distinct pictures of an order of which `first(m)` gives the first m rows."""
    wanted, most = 2 * n + 50, int(still.sum())
    while True:
        found = _distinct(situation, first(wanted))
        if len(found) >= n or wanted >= most:
            return found[:n]
        wanted *= 4


def _mixed(n: int, situation: Situation, still: np.ndarray, seed: int) -> Batch:
    """Useful pictures, and some drawn by lot from all that are open: drawn first, so that nothing bends the lot."""
    by_lot = min(_by_lot(n, int(situation.answered.sum())), int(still.sum()) // 2)
    drawn = _random(by_lot, situation, still, seed)
    left = still.copy()
    left[drawn.rows] = False
    rows = _useful(n - len(drawn.rows), situation, left)
    rows = rows[~np.isin(situation.copies[rows], situation.copies[drawn.rows])]
    if not len(rows) and not by_lot:
        return _batch("useful", "Every picture has an answer.", rows)
    why = "Pictures that the classifier is unsure about, among many others like them"
    why += "; some are drawn by lot, which keeps it honest." if by_lot else "."
    return Batch(
        "useful",
        why,
        np.concatenate([rows, drawn.rows]).astype(np.int64),
        np.concatenate([np.ones(len(rows)), drawn.probabilities]),
        np.arange(len(rows) + len(drawn.rows)) >= len(rows),
    )


def _batch(policy: str, why: str, rows: np.ndarray) -> Batch:
    return Batch(policy, why, rows.astype(np.int64), np.ones(len(rows)), np.zeros(len(rows), bool))


def _random(n: int, situation: Situation, still: np.ndarray, seed: int) -> Batch:
    """Files drawn alike, then one of each file's copies: a picture's probability is n / files / copies."""
    why = "Drawn by lot from all pictures without an answer: the fairest judge of how good the classifier is."
    many = int(still.sum())
    if not many or n <= 0:
        return _batch("random", "Every picture has an answer.", np.zeros(0, np.int64))
    generator = np.random.default_rng(seed)
    if situation.all_different:
        picked = _drawn(min(n, many), still, many, generator)
        return Batch("random", why, picked, np.full(len(picked), len(picked) / many), np.ones(len(picked), bool))
    rows = np.flatnonzero(still)
    sizes = np.bincount(situation.copies[rows])
    files = np.flatnonzero(sizes)
    drawn = files[generator.choice(len(files), min(n, len(files)), replace=False)]
    members = rows[np.isin(situation.copies[rows], drawn)]
    of_file = situation.copies[members]
    picked = np.array([generator.choice(members[of_file == file]) for file in drawn], np.int64)
    return Batch("random", why, picked, len(drawn) / len(files) / sizes[drawn], np.ones(len(drawn), bool))


def _drawn(n: int, still: np.ndarray, many: int, generator: np.random.Generator) -> np.ndarray:
    """n different rows of the `many` marked ones, each as likely; most of a large collection is never looked at."""
    if 20 * n > many or 20 * many < len(still):
        return np.asarray(generator.choice(np.flatnonzero(still), n, replace=False), np.int64)
    found: dict[int, None] = {}
    while len(found) < n:
        tried = generator.integers(0, len(still), 4 * n)
        found |= dict.fromkeys(tried[still[tried]].tolist())
    return np.array(list(found)[:n], np.int64)


def _top(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """The rows with the n largest values, largest first, equal ones in the order of their rows."""
    return rows[largest(values, n)]


def _useful(n: int, situation: Situation, still: np.ndarray) -> np.ndarray:
    """Doubtful pictures with much doubt around them, each unlike the others that are picked.

    Doubt alone finds the odd ones, which teach nothing about the rest (information density: Settles & Craven 2008;
    here along the neighbour graph). Measured on 5 collections, 60 questions, against doubt and distance alone: balanced
    accuracy .881 against .849 after 20 answers to "one or the other", .776 against .755 to "is it one".
    """
    assert situation.doubt is not None
    most = _DOUBTFUL if len(still) <= _DIFFUSED else _DOUBTFUL_OF_MANY
    doubtful = largest(np.where(still, situation.doubt, np.float32(-1)), min(most, int(still.sum())))
    doubtful = _distinct(situation, doubtful)
    merit = situation.doubt[doubtful].astype(np.float64)
    if situation.graph is not None:
        merit *= _around(situation, doubtful)
    places = largest(merit, max(_CANDIDATES * n, 50))
    return doubtful[places][_greedy(np.asarray(situation.vectors[doubtful[places]]), merit[places], n)]


def _around(situation: Situation, rows: np.ndarray) -> np.ndarray:
    """(m,) how much doubt the graph gathers at each of the rows; what was answered raises none."""
    from explorer.learning.kernels import diffused, diffused_at

    assert situation.graph is not None
    assert situation.doubt is not None
    graph = situation.graph
    edges = (graph.starts, graph.columns, graph.values)
    mass = np.where(situation.answered, np.float32(0), situation.doubt)
    if len(mass) <= _DIFFUSED:
        return diffused(edges, mass, graph.alpha, 10)[rows]
    return diffused_at(edges, mass, graph.alpha, rows)


def _greedy(vectors: np.ndarray, weight: np.ndarray, n: int, distance: np.ndarray | None = None) -> np.ndarray:
    """Places of n of (m, d) unit vectors: each time the one whose weight times distance to those picked is largest.

    `distance` (m,): cosine distance to what counts as picked already.
    """
    distance = np.full(len(vectors), 2.0) if distance is None else distance.astype(np.float64)
    picked: list[int] = []
    for _ in range(min(n, len(vectors))):
        merit = weight * distance
        merit[picked] = -np.inf
        best = int(merit.argmax())
        picked.append(best)
        distance = np.minimum(distance, np.maximum(1 - vectors @ vectors[best], 0))
    return np.array(picked, np.int64)


def _strange(n: int, situation: Situation, rows: np.ndarray) -> np.ndarray:
    """Far from everything that was answered, and, while nothing was, far from their own neighbours."""
    rows = _distinct(situation, _top(situation.strangeness[rows], rows, _STRANGE_CANDIDATES))
    vectors = np.asarray(situation.vectors[rows])
    weight = situation.strangeness[rows].astype(np.float64)
    known = np.flatnonzero(situation.answered)
    if not len(known):
        return rows[:n]
    known = known[np.linspace(0, len(known) - 1, min(len(known), _LOOKED_AT)).astype(int)]
    nearest = (vectors @ np.asarray(situation.vectors[known]).T).max(axis=1)
    return rows[_greedy(vectors, weight, n, np.maximum(1 - nearest, 0))]


def _first(n: int, situation: Situation, rows: np.ndarray, seed: int) -> np.ndarray:
    """Pictures that together stand near as many others as possible (greedy facility location, Nemhauser et al. 1978).

    What was answered already counts as chosen. Above 1,200 pictures a sample of them is covered.
    """
    generator = np.random.default_rng(seed)
    sample = _distinct(situation, rows) if len(rows) <= 50 * _LOOKED_AT else rows
    if len(sample) > _LOOKED_AT:
        sample = np.sort(generator.choice(sample, _LOOKED_AT, replace=False))
    sample = _distinct(situation, sample)
    vectors = np.asarray(situation.vectors[sample])
    near = np.maximum(vectors @ vectors.T, 0)
    covered = np.zeros(len(sample), np.float32)
    known = np.flatnonzero(situation.answered)
    if len(known):
        known = known[np.linspace(0, len(known) - 1, min(len(known), _LOOKED_AT)).astype(int)]
        covered = np.maximum((vectors @ np.asarray(situation.vectors[known]).T).max(axis=1), 0)
    picked: list[int] = []
    for _ in range(min(n, len(sample))):
        gain = np.maximum(near - covered[:, None], 0).sum(axis=0)
        gain[picked] = -1
        best = int(gain.argmax())
        picked.append(best)
        covered = np.maximum(covered, near[:, best])
    return sample[picked]


def copies_of(hashes: Sequence[str]) -> np.ndarray:
    """(n,) int: the same number for equal content hashes; an unreadable file ("") is like no other."""
    first = (hashes if isinstance(hashes, Names) else Names(hashes)).firsts()
    return np.where(first < 0, np.arange(len(first)), first)

"""Which pictures to show next, how likely each was to be picked, and why, in one sentence.

A rule that always picks the same pictures has the probability 1 for each; only `random` draws, and its answers alone
say without bias how the whole collection is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explorer.errors import BadInput

POLICIES = ("useful", "likely", "borderline", "strange", "random")
"""`likely` is written with its class: "likely:CLASS_ID"."""
_LOOKED_AT = 1_200
"""Pictures drawn to stand for a larger collection when coverage is computed: every pair of them is compared."""
_STRANGE_CANDIDATES = 5_000
_CANDIDATES = 10
"""Uncertain pictures looked at for every one that is picked."""


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
    probabilities: np.ndarray | None
    """(n, C) float32, or None while there is no classifier"""
    class_ids: tuple[str, ...]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """Rows in the order to show them. `policy` is the one that was followed, which may not be the one asked for."""

    policy: str
    why: str
    rows: np.ndarray
    """(m,) int64, m <= n"""
    probabilities: np.ndarray
    """(m,) float64 in (0, 1]"""


def suggest(policy: str, n: int, situation: Situation, seed: int = 0) -> Batch:
    """Up to `n` pictures without an answer, no two of them the same file; the same seed gives the same ones.

    Raises BadInput for an unknown policy or class.
    """
    name, _, class_id = policy.partition(":")
    if name not in POLICIES or (name == "likely") != bool(class_id):
        raise BadInput(f"'{policy}' is no way of choosing pictures: use {', '.join(POLICIES)} (likely:CLASS).")
    if name == "likely" and class_id not in situation.class_ids:
        raise BadInput("This class does not belong to the question (any more); reload the page.")
    open_rows = np.flatnonzero(~situation.answered & ~situation.excluded)
    if name == "random":
        return _random(n, situation, open_rows, seed)
    # One of each set of copies, and none whose copy was answered: its answer is known.
    seen = np.unique(situation.copies[situation.answered])
    open_rows = open_rows[~np.isin(situation.copies[open_rows], seen)]
    open_rows = np.sort(open_rows[np.unique(situation.copies[open_rows], return_index=True)[1]])
    if not len(open_rows) or n <= 0:
        return _batch(policy, "Every picture has an answer.", open_rows[:0])
    shares = situation.probabilities
    if name == "strange":
        rows = _strange(n, situation, open_rows)
        known = "than the pictures you answered" if situation.answered.any() else "than most"
        return _batch(policy, f"Pictures that look more different {known}: mistakes hide there.", rows)
    if shares is None:
        rows = _first(n, situation, open_rows, seed)
        return _batch("first", "Typical pictures from all over the collection, for a start.", rows)
    if name == "likely":
        place = situation.class_ids.index(class_id)
        rows = _top(shares[open_rows, place], open_rows, n)
        return _batch(policy, f"The pictures most likely to be “{situation.class_names[place]}”.", rows)
    doubt = _doubt(shares[open_rows])
    if name == "borderline":
        return _batch(policy, "Pictures right between two classes.", _top(doubt, open_rows, n))
    rows = _useful(n, situation.vectors, open_rows, doubt)
    return _batch(policy, "Pictures that the classifier is unsure about, each unlike the others.", rows)


def _batch(policy: str, why: str, rows: np.ndarray) -> Batch:
    return Batch(policy, why, rows.astype(np.int64), np.ones(len(rows)))


def _random(n: int, situation: Situation, rows: np.ndarray, seed: int) -> Batch:
    """Files drawn alike, then one of each file's copies: a picture's probability is n / files / copies."""
    why = "Drawn by lot from all pictures without an answer: the fairest judge of how good the classifier is."
    files, of_file, sizes = np.unique(situation.copies[rows], return_inverse=True, return_counts=True)
    if not len(files) or n <= 0:
        return _batch("random", "Every picture has an answer.", rows[:0])
    generator = np.random.default_rng(seed)
    drawn = generator.choice(len(files), min(n, len(files)), replace=False)
    grouped = np.split(rows[np.argsort(of_file, kind="stable")], np.cumsum(sizes)[:-1]) if len(rows) else []
    picked = np.array([generator.choice(grouped[file]) for file in drawn])
    return Batch("random", why, picked.astype(np.int64), len(drawn) / len(files) / sizes[drawn])


def _top(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """The rows with the n largest values, largest first, equal ones in the order of their rows."""
    return rows[top_places(values, n)]


def top_places(values: np.ndarray, n: int) -> np.ndarray:
    """Places of the n largest of (m,) values, largest first, ties by place: the same whatever n is."""
    m = len(values)
    if n <= 0:
        return np.zeros(0, np.int64)
    if n >= m:
        return np.argsort(-values, kind="stable")
    edge = np.partition(values, m - n)[m - n]
    above = np.flatnonzero(values > edge)
    level = np.flatnonzero(values == edge)[: n - len(above)]
    return np.concatenate([above[np.argsort(-values[above], kind="stable")], level])


def _doubt(shares: np.ndarray) -> np.ndarray:
    """(m, C) to (m,): 1 where the two best classes are equally likely, 0 where one is certain (margin sampling)."""
    best = np.partition(shares, shares.shape[1] - 2, axis=1)[:, -2:]
    return np.asarray(1 - (best[:, 1] - best[:, 0]))


def _useful(n: int, vectors: np.ndarray, rows: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """From the most doubtful, one after the other the one with most doubt times distance to those picked."""
    places = top_places(doubt, max(_CANDIDATES * n, 50))
    candidates, weight = np.asarray(vectors[rows[places]]), doubt[places]
    return rows[places][_greedy(candidates, weight, n)]


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
    places = top_places(situation.strangeness[rows], _STRANGE_CANDIDATES)
    vectors = np.asarray(situation.vectors[rows[places]])
    weight = situation.strangeness[rows[places]].astype(np.float64)
    known = np.flatnonzero(situation.answered)
    if not len(known):
        return rows[places][:n]
    known = known[np.linspace(0, len(known) - 1, min(len(known), _LOOKED_AT)).astype(int)]
    nearest = (vectors @ np.asarray(situation.vectors[known]).T).max(axis=1)
    return rows[places][_greedy(vectors, weight, n, np.maximum(1 - nearest, 0))]


def _first(n: int, situation: Situation, rows: np.ndarray, seed: int) -> np.ndarray:
    """Pictures that together stand near as many others as possible (greedy facility location, Nemhauser et al. 1978).

    What was answered already counts as chosen. Above 1,200 pictures a sample of them is covered.
    """
    generator = np.random.default_rng(seed)
    sample = rows if len(rows) <= _LOOKED_AT else np.sort(generator.choice(rows, _LOOKED_AT, replace=False))
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
    numbers: dict[str, int] = {}
    return np.array([place if not one else numbers.setdefault(one, place) for place, one in enumerate(hashes)], int)

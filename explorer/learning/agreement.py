"""How far people agree beyond chance: Cohen's kappa of two, Fleiss' kappa and Krippendorff's alpha of several.

Each with the interval that remains when the pictures are drawn anew with replacement (percentile bootstrap, 95 %): the
pictures are the sample, the people are who they are. Cohen 1960, Fleiss 1971, Krippendorff 2011 ("Computing
Krippendorff's Alpha-Reliability"). 1 is agreement throughout, 0 what chance alone would give, below 0 less than that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from explorer.errors import BadInput
from explorer.learning.standing import CurrentAnswer

DRAWS = 1_000
MOST_PICTURES = 20_000
FEWEST = 10
"""Pictures that two people have answered below which no figure is given: its interval would span nearly everything."""


@dataclass(frozen=True)
class Measure:
    """A coefficient and its 95 % interval; `value` is None where it has none: too few pictures, or only one answer was
    ever given, so that nothing can be told from chance."""

    value: float | None
    low: float | None
    high: float | None
    pictures: int


@dataclass(frozen=True)
class Pair:
    """Two people, the pictures that both have answered: the share with the same answer, and Cohen's kappa."""

    one: str
    other: str
    same: float
    kappa: Measure


@dataclass(frozen=True)
class Agreement:
    """Of all people at one question. `same`: the share of pairs of answers to one picture that are the same."""

    people: tuple[str, ...]
    pictures: int
    """With answers by two people at least."""
    same: float
    alpha: Measure
    fleiss: Measure
    pairs: tuple[Pair, ...]
    ordered: bool


@dataclass(frozen=True)
class Ratings:
    """`places` (P, U) int: the class that each person gave to each picture, by its place; -1 where they gave none."""

    people: tuple[str, ...]
    uids: tuple[str, ...]
    places: np.ndarray


def ratings(said: Mapping[tuple[str, str], CurrentAnswer], class_ids: Sequence[str]) -> Ratings:
    """From `AnswerStore.by_person`: pictures to which two people at least gave a class. Unsure, skipped and unusable
    ones have none and are left out, for there is no saying how far they lie from a class."""
    place_of = {class_id: place for place, class_id in enumerate(class_ids)}
    return _ratings(
        {who: place_of[a.class_id] for who, a in said.items() if a.value == "yes" and a.class_id in place_of}
    )


def ratings_of(said: Mapping[tuple[str, str], Mapping[str, CurrentAnswer]], class_id: str) -> Ratings:
    """Of one attribute, from `AnswerStore.attributes_by_person`: 0 where somebody says no, 1 where yes."""
    found = {who: each[class_id].value for who, each in said.items() if class_id in each}
    return _ratings({who: int(value == "yes") for who, value in found.items() if value in ("yes", "no")})


def agreement(given: Ratings, ordered: bool = False, draws: int = DRAWS, seed: int = 0) -> Agreement:
    """Of grades (`ordered`) alpha counts a near miss for less (ordinal). At most 20,000 pictures, drawn by lot, go in.

    With differing numbers of people at the pictures Fleiss' kappa is the mean over them, each by its own number.
    """
    rng = np.random.default_rng(seed)
    places = given.places
    if places.shape[1] > MOST_PICTURES:
        places = places[:, np.sort(rng.choice(places.shape[1], MOST_PICTURES, replace=False))]
    places = _packed(places)
    counts = _counts(places)
    n = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1)
    same = float(agreeing.sum() / (n * (n - 1)).sum()) if len(n) else 0.0
    pairs = []
    for i in range(len(places)):
        for j in range(i + 1, len(places)):
            both = (places[i] >= 0) & (places[j] >= 0)
            if both.any():
                a, b = places[i, both], places[j, both]
                kappa = _measured(_Cohen(a, b), draws, rng)
                pairs.append(Pair(given.people[i], given.people[j], float((a == b).mean()), kappa))
    alpha = _measured(_Ordinal(counts) if ordered else _Nominal(counts), draws, rng)
    fleiss = _measured(_Fleiss(counts), draws, rng)
    return Agreement(given.people, len(n), same, alpha, fleiss, tuple(pairs), ordered)


def cohen_kappa(a: np.ndarray, b: np.ndarray) -> float | None:
    """Of two people's classes (m,) int for the same pictures. Raises BadInput for other shapes."""
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim != 1 or a.shape != b.shape:
        raise BadInput(
            f"Cohen's kappa compares the answers of two people to the same pictures, not {a.shape} {b.shape}."
        )
    return _whole(_Cohen(*_packed(np.stack([a, b]))))


def fleiss_kappa(places: np.ndarray) -> float | None:
    """Of (P, U) classes by person and picture, -1 where there is none."""
    return _whole(_Fleiss(_counts(_packed(places))))


def krippendorff_alpha(places: np.ndarray, ordered: bool = False) -> float | None:
    """Of (P, U) classes by person and picture, -1 where there is none; ordinal with `ordered`, else nominal."""
    if not ordered:
        return _whole(_Nominal(_counts(_packed(places))))
    return _whole(_Ordinal(_counts(np.asarray(places))))


class _Nominal:
    """Krippendorff's alpha: 1 - observed / expected disagreement, from pictures with two answers or more.

    Pictures that were answered alike are one row, `times` of them: many pictures make few rows.
    """

    def __init__(self, counts: np.ndarray) -> None:
        alike, self.times = np.unique(counts[counts.sum(axis=1) > 1], axis=0, return_counts=True)
        self.counts = alike.astype(np.float64)
        self.n = self.counts.sum(axis=1)
        # pairs of differing answers at each picture, over the others that each answer is compared with
        self.apart = (self.n**2 - (self.counts**2).sum(axis=1)) / np.maximum(self.n - 1, 1)

    def of(self, weights: np.ndarray) -> np.ndarray:
        """(B, rows) how many pictures of each row there are to (B,) values, NaN where there is none."""
        totals = weights @ self.counts
        n = totals.sum(axis=1)
        return _one_less((weights @ self.apart) / n, (n**2 - (totals**2).sum(axis=1)) / (n * (n - 1)))


class _Ordinal(_Nominal):
    """As nominal, with the squared number of answers that lie between two grades as their distance."""

    def of(self, weights: np.ndarray) -> np.ndarray:
        return np.array([self._one(each) for each in weights])

    def _one(self, weights: np.ndarray) -> float:
        scaled = self.counts * (weights / np.maximum(self.n - 1, 1))[:, None]
        together = scaled.T @ self.counts
        together[np.diag_indices_from(together)] -= scaled.sum(axis=0)
        totals = weights @ self.counts
        middle = np.cumsum(totals) - totals / 2
        distance = (middle[:, None] - middle[None, :]) ** 2
        n = totals.sum()
        expected = (np.outer(totals, totals) * distance).sum() / (n - 1)
        return float(_one_less(np.array([(together * distance).sum()]), np.array([expected]))[0])


class _Fleiss(_Nominal):
    """Observed is the mean over pictures of agreeing pairs; by chance two answers agree as the classes' shares do."""

    def __init__(self, counts: np.ndarray) -> None:
        super().__init__(counts)
        self.differing = self.apart / np.maximum(self.n, 1)
        self.shares = self.counts / np.maximum(self.n, 1)[:, None]

    def of(self, weights: np.ndarray) -> np.ndarray:
        pictures = weights.sum(axis=1)
        shares = (weights @ self.shares) / pictures[:, None]
        return _one_less((weights @ self.differing) / pictures, 1 - (shares**2).sum(axis=1))


class _Cohen:
    """Two people: each has shares of their own, by which they would agree by chance."""

    def __init__(self, a: np.ndarray, b: np.ndarray) -> None:
        classes = int(max(a.max(initial=-1), b.max(initial=-1))) + 1
        both, self.times = np.unique(np.stack([a, b], axis=1), axis=0, return_counts=True)
        a, b = both.T
        self.a, self.b = np.eye(classes)[a], np.eye(classes)[b]
        self.differ = (a != b).astype(np.float64)

    def of(self, weights: np.ndarray) -> np.ndarray:
        n = weights.sum(axis=1)
        chance = ((weights @ self.a) * (weights @ self.b)).sum(axis=1) / n**2
        return _one_less((weights @ self.differ) / n, 1 - chance)


def _one_less(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """1 - observed / expected; NaN where no disagreement can be expected."""
    found: np.ndarray = np.where(expected > 1e-12, 1 - observed / np.where(expected > 1e-12, expected, 1), np.nan)
    return found


def _whole(measure: _Nominal | _Cohen) -> float | None:
    if not len(measure.times):
        return None
    value = float(measure.of(measure.times[None, :].astype(np.float64))[0])
    return value if np.isfinite(value) else None


def _measured(measure: _Nominal | _Cohen, draws: int, rng: np.random.Generator) -> Measure:
    pictures = int(measure.times.sum())
    value = _whole(measure) if pictures >= FEWEST else None
    if value is None:
        return Measure(None, None, None, pictures)
    parts = [rng.multinomial(pictures, measure.times / pictures, draws // 20) for _ in range(20)]
    drawn = np.concatenate([measure.of(part.astype(np.float64)) for part in parts])
    low, high = np.quantile(drawn[np.isfinite(drawn)], [0.025, 0.975])
    return Measure(value, float(min(low, value)), float(max(high, value)), pictures)


def _ratings(said: Mapping[tuple[str, str], int]) -> Ratings:
    times: dict[str, int] = {}
    for uid, _ in said:
        times[uid] = times.get(uid, 0) + 1
    uids = sorted(uid for uid, n in times.items() if n > 1)
    column = {uid: at for at, uid in enumerate(uids)}
    people = sorted({person for uid, person in said if uid in column})
    line = {person: at for at, person in enumerate(people)}
    places = np.full((len(people), len(uids)), -1, np.int64)
    for (uid, person), place in said.items():
        if uid in column:
            places[line[person], column[uid]] = place
    return Ratings(tuple(people), tuple(uids), places)


def _packed(places: np.ndarray) -> np.ndarray:
    """The same with the classes that occur numbered without gaps, in their order."""
    used, packed = np.unique(places, return_inverse=True)
    found: np.ndarray = packed.reshape(np.shape(places)) - int(len(used) > 0 and used[0] < 0)
    return found


def _counts(places: np.ndarray) -> np.ndarray:
    """(U, C) how many people gave each class to each picture, of pictures with two answers or more."""
    classes = int(places.max(initial=-1)) + 1
    counts = np.stack([(places == place).sum(axis=0) for place in range(classes)], axis=1) if classes else None
    if counts is None:
        return np.zeros((0, 0), np.int64)
    return counts[counts.sum(axis=1) > 1]

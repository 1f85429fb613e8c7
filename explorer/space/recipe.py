"""What a space is made of, and the transform that is fitted once and applied to every picture, also uploaded ones."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from explorer.collection import own
from explorer.errors import BadInput
from explorer.extractors.registry import families

STEPS = {
    "centre": "The mean of the collection is taken off: what all pictures share says nothing.",
    "power": "Every number becomes its signed root, or with power:0.3 that power: a few large numbers no longer drown "
    "the many small ones (Perronnin, Sánchez & Mensink 2010).",
    "pca": "pca:64 keeps the 64 main directions of the collection; after centre.",
    "whiten": "All of these directions count alike; right after pca.",
    "l2": "Every row gets length one; always last.",
}
"""What each step does, by its name."""
SAMPLE = 20_000
"""Distinct pictures that `pca` is fitted to, at most."""
MOST_AXES = 4_096
_SHRINK = 16
"""The mean counts as if this many more pictures lay at zero: a handful of pictures is not torn to opposite ends, one
picture alone still has a direction, and a thousand notice nothing."""
_TINY = 1e-12


@dataclass(frozen=True)
class SpaceRecipe:
    """One feature, or several joined with weights, and the steps that each goes through before it is weighed."""

    features: tuple[tuple[str, float], ...]
    """(feature key, weight); a joined vector's inner product is the weighted mean of the features' own."""
    steps: tuple[str, ...] = ("centre", "l2")
    """Out of STEPS, each at most once, in the order in which they are taken."""

    def __post_init__(self) -> None:
        if not self.features or not all(0 < weight < np.inf for _, weight in self.features):
            raise BadInput("A space needs at least one feature, each with a weight above zero.")
        object.__setattr__(self, "steps", _checked(self.steps))

    @property
    def key(self) -> str:
        """Folder name: the features' names made safe, and a hash of everything."""
        digest = hashlib.blake2b(json.dumps(self.as_json(), sort_keys=True).encode(), digest_size=4).hexdigest()
        names = "-and-".join(_family(key) for key, _ in self.features)
        return f"{re.sub(r'[^a-z0-9-]', '-', names)[:48].strip('-')}-{digest}"

    @property
    def title(self) -> str:
        """What is compared, in the words of the extractors' cards, e.g. "What it shows + Colours"."""
        more = [words for step in self.steps if (words := _step_in_words(step))]
        return " + ".join(_words(key) for key, _ in self.features) + (f", {', '.join(more)}" if more else "")

    @property
    def axes(self) -> int:
        """How many main directions are kept at most; 0 where all numbers are."""
        return next((int(step.partition(":")[2]) for step in self.steps if step.startswith("pca")), 0)

    def alone(self, number: int) -> "SpaceRecipe":
        """The space of one of the features by itself, through the same steps."""
        return SpaceRecipe(((self.features[number][0], 1.0),), self.steps)

    def with_features(self, keys: dict[str, str]) -> "SpaceRecipe":
        """The same with some feature keys replaced by others."""
        return SpaceRecipe(tuple((keys.get(key, key), weight) for key, weight in self.features), self.steps)

    def as_json(self) -> dict[str, Any]:
        return {"features": [[key, float(weight)] for key, weight in self.features], "steps": list(self.steps)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(tuple((key, float(weight)) for key, weight in value["features"]), tuple(value["steps"]))


def _checked(steps: Sequence[str]) -> tuple[str, ...]:
    """The steps, each written in one way. Raises BadInput for an order that makes no sense."""
    known = [re.fullmatch(r"(centre|whiten|l2|power(?::(0?\.\d{1,3}|1))?|pca:([1-9]\d{0,3}))", str(s)) for s in steps]
    names = [str(step).partition(":")[0] for step in steps]
    at = {name: place for place, name in enumerate(names)}
    sound = all(known) and len(at) == len(names) and names[-1:] == ["l2"]
    sound = sound and not ("pca" in at and at.get("centre", len(at)) > at["pca"])
    sound = sound and not ("whiten" in at and at.get("pca", -2) != at["whiten"] - 1)
    if not sound:
        raise BadInput(
            "A space goes through 'centre', 'power', 'pca:64' (after centre) and 'whiten' (right after pca), each at "
            f"most once, and 'l2' at the end, not {[str(step)[:40] for step in steps]}."
        )
    written = []
    for step in map(str, steps):
        if step.startswith("power"):
            exponent = _exponent(step)
            if exponent == 0:
                raise BadInput("The exponent of 'power' must be above zero, such as power:0.5.")
            step = "power" if exponent == 0.5 else f"power:{exponent:g}"
        elif step.startswith("pca") and int(step[4:]) > MOST_AXES:
            raise BadInput(f"'pca' keeps at most {MOST_AXES:,} directions, not {step[4:]}.")
        written.append(step)
    return tuple(written)


def _exponent(step: str) -> float:
    return float(step.partition(":")[2] or 0.5)


def _step_in_words(step: str) -> str:
    """What a step adds to the title; nothing for those that every space goes through."""
    name, _, argument = step.partition(":")
    if name == "pca":
        return f"{int(argument):,} main directions"
    return {"power": "large numbers damped", "whiten": "all directions alike"}.get(name, "")


def _family(key: str) -> str:
    return re.sub(r"-[0-9a-f]{12}$", "", key)


def _words(key: str) -> str:
    """The card's title of the family that a feature key belongs to; the rest of the key's name in brackets."""
    name = _family(key)
    cards = {family.name: family.card for family in families().values()} | own.CARDS
    layers = {family.name: dict(family.layers) for family in families().values()}
    for known in sorted(cards, key=lambda each: -len(each)):
        safe = re.sub(r"[^a-z0-9]", "-", known)
        if name == safe or (known in ("vectors", "onnx") and name.startswith(safe + "-")):
            return cards[known].title  # the path of a file is no name for a screen
        if name.startswith(safe + "-"):
            rest = name.removeprefix(safe + "-")
            return f"{cards[known].title} ({layers.get(known, {}).get(rest, rest)})"
    return name


@dataclass(frozen=True)
class Transform:
    """A recipe fitted to a collection: for each feature its mean, shrunk towards zero, and its main directions."""

    recipe: SpaceRecipe
    means: tuple[np.ndarray, ...]
    """(dim,) float32 each; zeros where the recipe does not centre."""
    axes: tuple[np.ndarray, ...] = ()
    """(dim, k) float32 each with k <= the recipe's `axes`, divided by their spreads where it whitens; none without
    pca."""

    @classmethod
    def fit(cls, recipe: SpaceRecipe, sums: list[np.ndarray], count: int, samples: Sequence[np.ndarray] = ()) -> Self:
        """From the sums of `ahead` over `count` distinct pictures, one (dim,) float64 array for each feature; for
        "pca" also the raw rows of some of them, (m, dim) each."""
        if "centre" in recipe.steps:
            means = tuple((total / (count + _SHRINK)).astype(np.float32) for total in sums)
        else:
            means = tuple(np.zeros(len(total), np.float32) for total in sums)
        if not recipe.axes:
            return cls(recipe, means)
        before = cls(recipe, means)
        whiten = "whiten" in recipe.steps
        pairs = enumerate(samples)
        return cls(recipe, means, tuple(_axes(before._until_pca(at, rows), recipe.axes, whiten) for at, rows in pairs))

    @staticmethod
    def ahead(recipe: SpaceRecipe, raw: np.ndarray) -> np.ndarray:
        """(m, dim) raw rows after what stands before "centre": what `fit` wants the sums of."""
        steps = recipe.steps
        if "centre" not in steps:
            return raw
        for step in steps[: steps.index("centre")]:
            raw = _rooted(raw, _exponent(step))
        return raw

    @property
    def dim(self) -> int:
        """Numbers in a vector of the space."""
        return sum(self.dims)

    @property
    def dims(self) -> list[int]:
        """Of those, the numbers that each feature has."""
        return [axes.shape[1] for axes in self.axes] if self.axes else [len(mean) for mean in self.means]

    def alone(self, number: int) -> "Transform":
        """What is done to one of the features, as a transform of it by itself."""
        return Transform(self.recipe.alone(number), self.means[number : number + 1], self.axes[number : number + 1])

    @classmethod
    def of_parts(cls, recipe: SpaceRecipe, parts: "Sequence[Transform]") -> Self:
        """The transform of a joined recipe from those of its features alone."""
        means = tuple(mean for part in parts for mean in part.means)
        return cls(recipe, means, tuple(axes for part in parts for axes in part.axes))

    def same_as(self, other: "Transform") -> bool:
        """Does it make the very same vectors?"""
        mine, others = (*self.means, *self.axes), (*other.means, *other.axes)
        alike = self.recipe == other.recipe and len(mine) == len(others)
        return alike and all(np.array_equal(*pair) for pair in zip(mine, others, strict=True))

    def as_arrays(self) -> dict[str, np.ndarray]:
        """What was fitted, by names, for a file without pickles; `from_arrays` reads it."""
        means = {f"mean{number}": mean for number, mean in enumerate(self.means)}
        return means | {f"axes{number}": axes for number, axes in enumerate(self.axes)}

    @classmethod
    def from_arrays(cls, recipe: SpaceRecipe, stored: Any) -> Self:
        """From a mapping of `as_arrays`. Raises KeyError where something is not in it."""
        numbers = range(len(recipe.features))
        axes = tuple(stored[f"axes{number}"] for number in numbers) if recipe.axes else ()
        return cls(recipe, tuple(stored[f"mean{number}"] for number in numbers), axes)

    def __call__(self, raw: list[np.ndarray]) -> np.ndarray:
        """One (m, dim_i) array for each feature, in the recipe's order, to (m, d) float32 rows of length one.

        Raises BadInput if they are not the recipe's features.
        """
        shapes = [np.shape(block)[-1] for block in raw]
        wanted = [len(mean) for mean in self.means]
        if shapes != wanted:
            raise BadInput(f"This space is made of features of {wanted} numbers, not of {shapes}.")
        blocks = []
        for number, (_, weight) in enumerate(self.recipe.features):
            rows = self._until_pca(number, raw[number])
            if self.axes:
                rows = rows @ self.axes[number]
                for step in self.recipe.steps[self._pca + 1 :]:
                    rows = _rooted(rows, _exponent(step)) if step.startswith("power") else rows
            blocks.append(np.sqrt(weight) * normalised(rows))
        return normalised(np.concatenate(blocks, axis=1)) if len(blocks) > 1 else normalised(blocks[0])

    @property
    def _pca(self) -> int:
        """The place of "pca" among the steps, or the end."""
        found = [place for place, step in enumerate(self.recipe.steps) if step.startswith("pca")]
        return found[0] if found else len(self.recipe.steps)

    def _until_pca(self, number: int, raw: np.ndarray) -> np.ndarray:
        rows = np.atleast_2d(np.asarray(raw, np.float32))
        for step in self.recipe.steps[: self._pca]:
            if step == "centre":
                rows = rows - self.means[number]
            elif step.startswith("power"):
                rows = _rooted(rows, _exponent(step))
        return rows


def normalised(rows: np.ndarray) -> np.ndarray:
    """(m, d) rows divided by their lengths; a row of zeros stays one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)


def _rooted(rows: np.ndarray, exponent: float) -> np.ndarray:
    return np.sign(rows) * np.abs(rows) ** np.float32(exponent)


def _axes(rows: np.ndarray, most: int, whiten: bool) -> np.ndarray:
    """(dim, k) float32 main directions of (m, dim) centred rows, k = min(most, m, dim), each pointing the way of its
    largest number.

    To whiten they are divided by the roots of their eigenvalues, which are first drawn towards their mean as far as
    the sample is too small for them (Ledoit & Wolf 2004): what was hardly measured is not blown up to full size.
    """
    from scipy.linalg import eigh
    from sklearn.covariance import ledoit_wolf_shrinkage

    m, dim = rows.shape
    count = min(most, m, dim)
    values, axes = eigh((rows.T @ rows).astype(np.float64) / m, subset_by_index=[dim - count, dim - 1])
    values, axes = np.maximum(values[::-1], 0), axes[:, ::-1]
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(count)] < 0, -1.0, 1.0)
    if whiten:
        shrink = float(ledoit_wolf_shrinkage(rows @ axes, assume_centered=True)) if m > 2 else 1.0
        shrunk = (1 - shrink) * values + shrink * values.mean()
        axes = axes / np.sqrt(np.maximum(shrunk, max(1e-9 * float(shrunk.max()), _TINY)))
    return np.ascontiguousarray(axes, np.float32)

"""What a space is made of, and the transform that is fitted once and applied to every picture, also uploaded ones."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from explorer.errors import BadInput
from explorer.extractors.registry import families

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

    def __post_init__(self) -> None:
        if not self.features or any(weight <= 0 for _, weight in self.features):
            raise BadInput("A space needs at least one feature, each with a weight above zero.")
        if self.steps not in (("l2",), ("centre", "l2")):
            raise BadInput(f"A space goes through ('l2') or ('centre', 'l2'), not {self.steps}.")

    @property
    def key(self) -> str:
        """Folder name: the features' names made safe, and a hash of everything."""
        digest = hashlib.blake2b(json.dumps(self.as_json(), sort_keys=True).encode(), digest_size=4).hexdigest()
        names = "-and-".join(_family(key) for key, _ in self.features)[:48].strip("-")
        return f"{names}-{digest}"

    @property
    def title(self) -> str:
        """What is compared, in the words of the extractors' cards, e.g. "What it shows + Colours"."""
        return " + ".join(_words(key) for key, _ in self.features)

    def as_json(self) -> dict[str, Any]:
        return {"features": [[key, float(weight)] for key, weight in self.features], "steps": list(self.steps)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(tuple((key, float(weight)) for key, weight in value["features"]), tuple(value["steps"]))


def _family(key: str) -> str:
    return re.sub(r"-[0-9a-f]{12}$", "", key)


def _words(key: str) -> str:
    """The card's title of the family that a feature key belongs to; the rest of the key's name in brackets."""
    name = _family(key)
    for family in sorted(families().values(), key=lambda each: -len(each.name)):
        safe = re.sub(r"[^a-z0-9]", "-", family.name)
        if name == safe:
            return family.card.title
        if name.startswith(safe + "-"):
            return f"{family.card.title} ({name.removeprefix(safe + '-')})"
    return name


@dataclass(frozen=True)
class Transform:
    """A recipe fitted to a collection: for each feature its mean, shrunk towards zero. (dim,) float32 each."""

    recipe: SpaceRecipe
    means: tuple[np.ndarray, ...]

    @classmethod
    def fit(cls, recipe: SpaceRecipe, sums: list[np.ndarray], count: int) -> Self:
        """From the sums over `count` distinct pictures, one (dim,) float64 array for each feature."""
        if "centre" not in recipe.steps:
            return cls(recipe, tuple(np.zeros(len(total), np.float32) for total in sums))
        return cls(recipe, tuple((total / (count + _SHRINK)).astype(np.float32) for total in sums))

    @property
    def dim(self) -> int:
        return sum(len(mean) for mean in self.means)

    def __call__(self, raw: list[np.ndarray]) -> np.ndarray:
        """One (m, dim_i) array for each feature, in the recipe's order, to (m, d) float32 rows of length one.

        Raises BadInput if they are not the recipe's features.
        """
        shapes = [np.shape(block)[-1] for block in raw]
        wanted = [len(mean) for mean in self.means]
        if shapes != wanted:
            raise BadInput(f"This space is made of features of {wanted} numbers, not of {shapes}.")
        blocks = []
        for (_, weight), mean, block in zip(self.recipe.features, self.means, raw, strict=True):
            centred = np.atleast_2d(np.asarray(block, np.float32)) - mean
            blocks.append(np.sqrt(weight) * normalised(centred))
        return normalised(np.concatenate(blocks, axis=1)) if len(blocks) > 1 else normalised(blocks[0])


def normalised(rows: np.ndarray) -> np.ndarray:
    """(m, d) rows divided by their lengths; a row of zeros stays one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)

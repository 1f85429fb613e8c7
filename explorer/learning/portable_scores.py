"""A classifier away from its collection: what it says of features computed elsewhere, and of which it says nothing.

It names the space that it was trained in, feature by feature and step by step, and carries what the steps were fitted
to, so that its scores elsewhere are those at home. Whatever is not of that space is refused.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import BadInput
from explorer.learning.portable_format import PortableClassifier

if TYPE_CHECKING:
    from explorer.learning.classifier import LinearClassifier
    from explorer.space import Space
    from explorer.space.recipe import SpaceRecipe, Transform

_BLOCK = 16_384


def portable_classifier(
    space: "Space", fitted: "LinearClassifier", class_ids: tuple[str, ...], threshold: float | None = None
) -> PortableClassifier:
    """What a file carries of a classifier that was fitted in a space.

    Its calibration goes along, except for what neighbours say: there are none elsewhere. Raises BadInput if the
    classifier is not of that space.
    """
    d = space.vectors.shape[1]
    if len(fitted.weights) != d or len(class_ids) != fitted.weights.shape[1]:
        raise BadInput(f"The space “{space.title}” has {d} numbers a picture, this classifier {len(fitted.weights)}.")
    return PortableClassifier(
        recipe=space.recipe.as_json(),
        means=np.concatenate(space.fitted.means),
        weights=fitted.weights,
        bias=(fitted.bias + fitted.calibration.offsets / np.float32(fitted.temperature)).astype(np.float32),
        class_ids=tuple(class_ids),
        temperature=fitted.temperature,
        threshold=threshold,
        dims=tuple(len(mean) for mean in space.fitted.means),
        axes=space.fitted.axes,
    )


def scores_of(classifier: PortableClassifier, features: Mapping[str, np.ndarray]) -> np.ndarray:
    """(m, C) float32 scores of pictures from their raw features, (m, dim) each under its key (`FeatureSpec.key`).

    Times the temperature these are the logits. Raises BadInput where a feature of the classifier's space is not among
    them, or has other numbers: another network's vectors are never scored, however well their length fits.
    """
    transform = transform_of(classifier, features)
    raw = [np.atleast_2d(np.asarray(features[key], np.float32)) for key, _ in transform.recipe.features]
    if len({len(block) for block in raw}) > 1:
        raise BadInput(
            f"The features are of {' and '.join(str(len(block)) for block in raw)} pictures, not of the same."
        )
    return np.asarray(transform(raw) @ classifier.weights + classifier.bias, np.float32)


def scores_in(classifier: PortableClassifier, space: "Space") -> np.ndarray:
    """(n, C) float32 scores of every picture of a space. Raises BadInput if it is not the one, fitted alike, in which
    the classifier was trained."""
    trained = _recipe(classifier)
    if space.recipe != trained:
        raise BadInput(
            f"This classifier was trained in the space “{trained.title}” ({_listed(classifier)}), and cannot score "
            f"vectors of “{space.title}” ({space.key}). Open that space, or train it here."
        )
    if not transform_of(classifier, dict(zip(_keys(classifier), space.fitted.means, strict=True))).same_as(
        space.fitted
    ):
        raise BadInput(
            f"This classifier was trained in a space “{trained.title}” that was fitted to other pictures; the numbers "
            "of the one here mean something else. Score from the features instead, or train it here."
        )
    out = np.empty((len(space), classifier.weights.shape[1]), np.float32)
    for start in range(0, len(space), _BLOCK):
        out[start : start + _BLOCK] = space.vectors[start : start + _BLOCK] @ classifier.weights
    return out + classifier.bias


def transform_of(classifier: PortableClassifier, features: Mapping[str, np.ndarray]) -> "Transform":
    """The transform of the classifier's space, for such features. Raises BadInput if they are not its own."""
    from explorer.space.recipe import Transform

    recipe = _recipe(classifier)
    lacking = [key for key in _keys(classifier) if key not in features]
    if lacking:
        raise BadInput(
            f"This classifier was trained in the space “{recipe.title}” ({_listed(classifier)}); these are "
            f"{', '.join(features) or 'no features'}. Compute {', '.join(lacking)} for these pictures."
        )
    given = tuple(np.shape(features[key])[-1] for key in _keys(classifier))
    wanted = classifier.dims or given
    if given != wanted or sum(given) != len(classifier.means):
        raise BadInput(
            f"The features of “{recipe.title}” have {' and '.join(map(str, wanted))} numbers a picture where this "
            f"classifier was trained, and {' and '.join(map(str, given))} here."
        )
    means = np.split(classifier.means, np.cumsum(given)[:-1])
    return Transform(recipe, tuple(means), classifier.axes)


def _recipe(classifier: PortableClassifier) -> "SpaceRecipe":
    from explorer.space.recipe import SpaceRecipe

    return SpaceRecipe.from_json(dict(classifier.recipe))


def _keys(classifier: PortableClassifier) -> list[str]:
    return [key for key, _ in classifier.recipe["features"]]


def _listed(classifier: PortableClassifier) -> str:
    weighed = [f"{key} × {weight:g}" for key, weight in classifier.recipe["features"]]
    return f"{' + '.join(weighed)}; {', '.join(classifier.recipe['steps'])}"

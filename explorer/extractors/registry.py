"""Extractors by name. One more family is one more file and one more line in FAMILIES."""

import importlib
from collections.abc import Callable
from pathlib import Path

from explorer.errors import BadInput, Missing
from explorer.extractors.base import Card, Extractor, FeatureSpec

DEFAULT = "lite0"

FAMILIES = {
    "lite0": "explorer.extractors.lite0:create",
    "open_clip": "explorer.extractors.open_clip:create",
    "colour": "explorer.extractors.colour:create",
}
"""Family name to "module:factory". The module is imported when the family is asked for; beside its factory it has
CARD (what a person reads before choosing) and NAMES (how the family is written, e.g. "open_clip:ARCH/PRETRAINED").
The factory takes (argument: what follows the colon, models_dir, exact)."""


def load(name: str, models_dir: Path | None = None, exact: bool = False) -> Extractor:
    """The extractor called `name`: "lite0", "colour", "open_clip:ARCH/PRETRAINED".

    `models_dir` keeps networks converted for this machine (None: convert anew each time); `exact` asks for single
    precision even where the processor has a faster one. Raises BadInput for an unknown name, Missing where a package
    or a weight file is not there.
    """
    family, _, argument = name.partition(":")
    if family not in FAMILIES:
        raise BadInput(f"There is no extractor '{name}'. Those there are: {', '.join(available())}.")
    module, factory = FAMILIES[family].split(":")
    create: Callable[[str, Path | None, bool], Extractor] = getattr(importlib.import_module(module), factory)
    return create(argument, models_dir, exact)


def load_like(spec: FeatureSpec, models_dir: Path | None = None) -> Extractor:
    """The extractor that made the features of `spec`, for pictures that are to be compared with them.

    Raises Missing if this machine can only make other ones (another precision, other weights).
    """
    differs: list[str] = []
    for exact in (False, True):
        extractor = load(spec.extractor, models_dir, exact)
        if extractor.spec == spec:
            return extractor
        differs.append(f"{extractor.spec.backend} {extractor.spec.precision} with weights {extractor.spec.weights[:8]}")
    raise Missing(
        f"'{spec.extractor}' was computed with {spec.backend} {spec.precision} and weights {spec.weights[:8]}; this "
        f"machine offers {' or '.join(dict.fromkeys(differs))}, which must not be mixed with it. Run the "
        "collection through the extractor again on this machine."
    )


def available() -> dict[str, Card]:
    """How each family is written, with its card. Imports no heavy package."""
    modules = (importlib.import_module(place.split(":")[0]) for place in FAMILIES.values())
    return {module.NAMES: module.CARD for module in modules}

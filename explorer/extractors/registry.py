"""Extractors by name. One more family is one more file and one more line in MODULES."""

import functools
import importlib
import re
from dataclasses import replace
from pathlib import Path

from explorer.errors import BadInput, Missing
from explorer.extractors import entry_points
from explorer.extractors.base import Card, Extractor, Family, FeatureSpec

DEFAULT = "lite0"

MODULES = (
    "explorer.extractors.lite",
    "explorer.extractors.colour",
    "explorer.extractors.open_clip",
    "explorer.extractors.timm_networks",
    "explorer.extractors.layout",
    "explorer.extractors.style",
    "explorer.extractors.patches",
    "explorer.extractors.copies",
    "explorer.extractors.pixels",
    "explorer.extractors.text",
    "explorer.extractors.onnx",
    "explorer.extractors.spectral",
)
"""Each has FAMILIES, and imports heavy packages only when one of them is created."""

_SEEN = {
    "early": "How surfaces look: edges, texture, colour, before the network knows what a thing is.",
    "middle": "Patterns and parts, and the way they are drawn: halfway through the network.",
    "late": "Things as a whole, shortly before the network would name them.",
}
"""What a layer sees, by where in its network it stands."""

_NAME = re.compile(r"(?P<family>[a-z0-9_]+)(:(?P<argument>.*?))?(@(?P<layer>[a-z0-9_]+))?", re.DOTALL)


def load(name: str, models_dir: Path | None = None, exact: bool = False) -> Extractor:
    """The extractor called `name`: "lite0", "lite0@block2", "open_clip:ARCH/PRETRAINED".

    `models_dir` keeps networks converted for this machine (None: convert anew each time); `exact` asks for single
    precision even where the processor has a faster one. Raises BadInput for an unknown name, Missing where a package
    or a weight file is not there.
    """
    found = _NAME.fullmatch(name)
    family = families().get(found["family"]) if found else None
    if found is None or family is None:
        known = ", ".join(each.written or each.name for each in families().values())
        raise BadInput(f"There is no extractor '{name}'. Those there are: {known}.")
    argument, layer = found["argument"] or "", found["layer"] or ""
    if family.alone and (argument or layer):
        raise BadInput(f"'{family.name}' takes nothing after it, not '{argument or layer}'.")
    return family.create(argument, layer, models_dir, exact)


def load_like(spec: FeatureSpec, models_dir: Path | None = None) -> Extractor:
    """The extractor that made the features of `spec`, for pictures that are to be compared with them.

    Raises Missing if this machine can only make other ones (another precision, other weights), or if they were never
    made from pictures.
    """
    if spec.rows == "item":
        raise Missing(f"'{spec.extractor}' tells what your own table says; a picture alone does not have it.")
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


@functools.cache
def families() -> dict[str, Family]:
    """Every family by its name. Imports no heavy package."""
    known = {family.name: family for module in MODULES for family in importlib.import_module(module).FAMILIES}
    return known | {family.name: family for family in entry_points.found(known)}


def available() -> dict[str, Card]:
    """How each family is written, with its card. Imports no heavy package."""
    return {family.written or family.name: family.card for family in families().values()}


def card_of(name: str) -> Card | None:
    """The card of an extractor by its name; a layer's says how far the network has come there. None where nothing is
    known of that name."""
    found = _NAME.fullmatch(name)
    family = families().get(found["family"]) if found else None
    if found is None or family is None:
        return None
    if not found["layer"]:
        return family.card
    early = dict(family.layers).get(found["layer"], "").partition(":")[0]
    sees = _SEEN.get(early, f"What the layer “{found['layer']}” of the network has made of a picture.")
    return replace(family.card, title=title_of(name), sees=sees, ignores="")


def title_of(name: str) -> str:
    """An extractor's name in plain words, e.g. "What it shows (block 2)", files without their folders; an unknown one
    stays as it is written."""
    found = _NAME.fullmatch(name)
    family = families().get(found["family"]) if found else None
    if found is None or family is None:
        return name
    more = [found["argument"]] if found["argument"] else []
    if found["layer"]:
        more.append(dict(family.layers).get(found["layer"], found["layer"]))
    words = family.card.title + (f" ({', '.join(more)})" if more else "")
    return re.sub(r"\(/[^,)]*/", "(", re.sub(r"//[^,)]*/", ", ", words))

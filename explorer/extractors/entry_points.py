"""Other people's extractors: packages that name theirs under the Python entry point group `explorer.extractors`.

In the other package's pyproject.toml:

    [project.entry-points."explorer.extractors"]
    mine = "their_package.module:FAMILY"

`FAMILY` is a `Family`, or a function without arguments that gives one. The entry point's name is how the family is
written, so it must be the family's own. Installing such a package is trusting it: its code runs here.
"""

import re
from collections.abc import Collection
from importlib import metadata
from pathlib import Path

from explorer.errors import Missing
from explorer.extractors.base import ASPECTS, Card, Extractor, Family

GROUP = "explorer.extractors"


def found(taken: Collection[str] = ()) -> tuple[Family, ...]:
    """The families of the installed packages, in the order of their names; `taken` are names that are in use already.

    A package that cannot be used stops nothing: its family has a card that says what is wrong, and making its
    extractor raises Missing with the same words. One whose name is taken, twice there or not a name is told of under
    "own_1", "own_2", ….
    """
    families: dict[str, Family] = {}
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        used = {*taken, *families}
        broken = point.name
        try:
            if not re.fullmatch(r"[a-z0-9_]+", point.name):
                broken = ""
                raise ValueError("its name may hold only a to z, 0 to 9 and _")
            if point.name in used:
                broken = ""
                raise ValueError("there is another of this name")
            family = _loaded(point)
        except (Exception, SystemExit) as error:  # other people's code raises anything
            number = 1
            while not broken or broken in used:
                broken, number = f"own_{number}", number + 1
            family = _broken(broken, point, error)
        families[family.name] = family
    return tuple(families.values())


def _loaded(point: metadata.EntryPoint) -> Family:
    made = point.load()
    family = made if isinstance(made, Family) else made()
    if not isinstance(family, Family) or not isinstance(family.card, Card):
        raise TypeError(f"it gives a {type(family).__name__}, not an explorer.extractors.base.Family with a card")
    if family.name != point.name:
        raise ValueError(f"its family calls itself '{family.name}'")
    if family.card.aspect not in ASPECTS:
        raise ValueError(f"its card's aspect '{family.card.aspect}' is none of {', '.join(ASPECTS)}")
    return family


def _broken(name: str, point: metadata.EntryPoint, error: BaseException) -> Family:
    package = point.dist.name if point.dist else "a package"
    said = " ".join(str(error).split())[:300] or type(error).__name__
    why = f"The extractor '{point.name}' of {package} cannot be used: {said}."
    way_out = f"Correct or remove the package: pip install --upgrade {package}, or pip uninstall {package}."
    card = Card(
        title=f"{point.name} (cannot be used)",
        sees=why,
        ignores=way_out,
        licence="Unknown",
        aspect="own",
    )

    def create(argument: str, layer: str, models_dir: Path | None, exact: bool) -> Extractor:
        raise Missing(f"{why} {way_out}")

    return Family(name, card, create)

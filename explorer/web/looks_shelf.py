"""The ways of looking at one collection: how far each is computed, and what lies near a picture in it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.collection import own
from explorer.collection.dataset import Dataset
from explorer.collection.features import FeatureStore
from explorer.extractors.base import ASPECTS, Card, FeatureSpec
from explorer.extractors.registry import card_of, families, title_of
from explorer.space import SpaceRecipe
from explorer.space.space import spaces_dir
from explorer.web.runtime import Runtime

NEAR = 5
TRIED = 200
COMPARED = 4_096
"""Pictures that an example is compared with where there is no neighbour graph, or where its space is too large to be
opened for five small pictures."""
LARGE = 200_000
_SHRINK = 16
"""As in a space's centring (`space.recipe`), so that a trial shows what the space would."""


@dataclass(frozen=True)
class Present:
    """The items that can be looked at, in the order of their table."""

    items: pd.DataFrame
    uids: list[str]
    places: Mapping[str, int]


@dataclass(frozen=True)
class Near:
    """The pictures nearest to an example, and among how many different ones they were looked for."""

    uids: tuple[str, ...]
    among: int


@dataclass
class Way:
    """One way of looking, as far as this collection has been looked at with it."""

    name: str
    key: str
    store: FeatureStore
    mask: np.ndarray
    """(n,) bool over the present items: which have been looked at."""
    names: np.ndarray
    """(n,) S32, what the rows of the present items are called in the store."""
    space: str
    """Key of the space of this feature alone; "" while none is built."""
    present: Present
    _near: dict[str, Near] = field(default_factory=dict)
    _some: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def seen(self) -> int:
        return int(self.mask.sum())

    @property
    def whole(self) -> bool:
        return bool(self.mask.all())

    def near(self, rt: Runtime, dataset_id: str, uid: str) -> Near | None:
        """The `NEAR` pictures nearest to `uid` that are not the same; None if it has not been looked at this way.

        From the space's neighbours, else by comparing with at most `COMPARED` of the pictures. Kept.
        """
        place = self.present.places.get(uid)
        if place is None or not self.mask[place]:
            return None
        if uid not in self._near:
            small = self.space and len(self.present.uids) <= LARGE
            found = self._from_space(rt, dataset_id, uid) if small else None
            self._near[uid] = found or self._from_store(place)
        return self._near[uid]

    def _from_space(self, rt: Runtime, dataset_id: str, uid: str) -> Near | None:
        space = rt.space(dataset_id, self.space)
        row = space.rows.get(uid)
        if row is None:
            return None
        found = _others(space.hashes, [row, *space.neighbours[row].tolist()])
        if len(found) < min(NEAR, len(space) - 1):  # copies fill the list
            found = _others(space.hashes, [row, *space.search(row, 200)[0].tolist()])
        return Near(tuple(space.uids[one] for one in found if space.uids[one] in self.present.places), len(space))

    def _from_store(self, place: int) -> Near:
        if self._some is None:
            rows = np.flatnonzero(self.mask)
            _, first = np.unique(self.names[rows], return_index=True)
            rows = rows[np.sort(first)]
            rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), COMPARED)).astype(int)]
            self._some = rows, self.store.get(self.names[rows])
        rows, vectors = self._some
        mean = vectors.sum(axis=0) / (len(vectors) + _SHRINK)
        query, others = self.store.get(self.names[[place]])[0] - mean, vectors - mean
        lengths = np.maximum(np.linalg.norm(others, axis=1), 1e-12)
        order = rows[np.argsort(-(others @ query) / lengths, kind="stable")]
        found = _others(self.names, [place, *order.tolist()])
        return Near(tuple(self.present.uids[one] for one in found), len(rows))


@dataclass(frozen=True)
class Entry:
    """One place on the shelf. Without a `name` it stands for those that something must be written after."""

    family: str
    name: str
    title: str
    card: Card
    way: Way | None
    layers: tuple[tuple[str, str], ...] = ()


def shelf(found: Mapping[str, Way]) -> dict[str, list[Entry]]:
    """What can be chosen and what was computed, by aspect in the order of ASPECTS; aspects with nothing are left out.

    A family comes before what was computed with its layers or its arguments. What this program does not know (any
    more) stands among the person's own.
    """
    entries: dict[str, list[Entry]] = {aspect: [] for aspect in ASPECTS}
    known = [(each.name, each.card, "" if each.written else each.name, each.layers) for each in families().values()]
    known += [(name, card, "", ()) for name, card in own.CARDS.items()]
    for family, card, name, layers in known:
        place = entries[card.aspect]
        place.append(Entry(family, name, card.title, card, found.get(name), layers))
        for more, way in found.items():
            if more != name and family_name(more) == family:
                place.append(Entry(family, more, title(more), card_of(more) or card, way))
    names = {family for family, *_ in known}
    for name, way in found.items():
        if family_name(name) not in names:
            entries["own"].append(Entry("", name, name, Card(name, "", "", "", aspect="own"), way))
    return {aspect: listed for aspect, listed in entries.items() if listed}


def title(name: str) -> str:
    """What a way of looking is called on the screen; of a file, its name without the folders."""
    if own.is_own(name):
        return own.title_of(name)
    return title_of(name)


def family_name(name: str) -> str:
    """ "lite0@early" and "lite0" are of the family "lite0"."""
    return re.split(r"[:@]", name, maxsplit=1)[0]


def ways(rt: Runtime, dataset_id: str) -> dict[str, Way]:
    """Every way of looking that has seen some pictures of a dataset, by the extractor's name. Of several features by
    one name (another precision, other weights) the one that has seen most."""
    dataset = rt.dataset(dataset_id)
    table = dataset.root / "dataset.json"
    present = present_of(rt, dataset_id)
    found: dict[str, Way] = {}
    for spec in dataset.feature_specs():
        folder = dataset.root / "features" / spec.key
        built = spaces_dir(dataset) / SpaceRecipe(features=((spec.key, 1.0),)).key / "manifest.json"
        files = [table, folder / "manifest.json", folder / "parts", built]
        opened = partial(_way, dataset, spec, present, built)
        way: Way = rt.newest(("way", dataset_id, spec.key), files, opened)
        if way.seen and (spec.extractor not in found or way.seen > found[spec.extractor].seen):
            found[spec.extractor] = way
    return found


def present_of(rt: Runtime, dataset_id: str) -> Present:
    """The items of a dataset that can be looked at, kept until they change."""
    dataset = rt.dataset(dataset_id)

    def made() -> Present:
        items = dataset.present()
        uids = items["uid"].tolist()
        return Present(items, uids, {uid: place for place, uid in enumerate(uids)})

    present: Present = rt.newest(("present", dataset_id), [dataset.root / "dataset.json"], made)
    return present


def examples(found: Mapping[str, Way], present: Present) -> np.ndarray:
    """Places of the present items that every way of looking has seen (or as many of them as have any in common), in an
    order that is drawn by lot once and stays."""
    common = np.ones(len(present.uids), bool)
    for way in sorted(found.values(), key=lambda each: -each.seen):
        if (common & way.mask).any():
            common &= way.mask
    drawn = np.random.default_rng(0).permutation(len(common))
    return drawn[common[drawn]]


def tried(present: Present, example: str, count: int = TRIED) -> list[str]:
    """The pictures that a way of looking is tried on: the same ones for all, drawn by lot, and the example."""
    drawn = np.random.default_rng(0).permutation(len(present.uids))[:count]
    uids = [present.uids[place] for place in np.sort(drawn)]
    return uids if example in uids or example not in present.places else [*uids[: count - 1], example]


def _way(dataset: Dataset, spec: FeatureSpec, present: Present, built: Path) -> Way:
    store = dataset.features(spec)
    names = own.row_names(spec, present.items)
    mask = ~np.isin(names, store.missing(names)) if names else np.zeros(0, bool)
    space = built.parent.name if built.exists() else ""
    return Way(spec.extractor, spec.key, store, mask, np.array(names, dtype="S32"), space, present)


def _others(names: "Sequence[str] | np.ndarray", rows: list[int]) -> list[int]:
    """The first `NEAR` rows after the first one that are named otherwise than it and than each other."""
    known, found = {names[rows[0]]}, []
    for row in rows[1:]:
        if names[row] not in known:
            known.add(names[row])
            found.append(row)
        if len(found) == NEAR:
            break
    return found

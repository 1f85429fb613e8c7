"""The benchmark collections as every extractor that needs no download sees them.

A sample of each, computed once and kept beside the fetched pictures; things that are the same stay together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.collections import NAMES, fetched, kept_workspace, truth

SAMPLED = 900
"""Pictures of each collection. Reading the text in them takes most of the time: several a second."""


@dataclass(frozen=True)
class Seen:
    """Pictures of one collection with what is true of them, and their vectors in every way of looking."""

    name: str
    vectors: dict[str, np.ndarray]
    """Extractor name to (n, d) float32, centred, of length one."""
    classes: np.ndarray
    """(n,) int"""
    class_names: list[str]
    groups: np.ndarray
    """(n,) int: pictures that show the same thing."""


def offline() -> tuple[list[str], dict[str, str]]:
    """Names of the extractors that run here without a download, and why the others do not."""
    from explorer.errors import ExplorerError
    from explorer.extractors import families, load

    names, left_out = [], {}
    for family in families().values():
        if family.written:
            left_out[family.written] = "needs a name after it"
        elif family.card.needs_download:
            left_out[family.name] = "needs a download"
        else:
            try:
                load(family.name, kept_workspace().models)
                names.append(family.name)
            except ExplorerError as error:
                left_out[family.name] = str(error)
    return names, left_out


def seen(extractors: Sequence[str], names: Sequence[str] = NAMES) -> dict[str, Seen]:
    """Each named collection as the named extractors see it; computes what is missing."""
    from explorer.collection.embedding import embed
    from explorer.extractors import load
    from explorer.space import SpaceRecipe
    from explorer.space.recipe import Transform

    workspace = kept_workspace()
    loaded = [load(name, workspace.models) for name in extractors]
    found = {}
    for name in names:
        dataset = fetched(name, workspace)
        items = dataset.present().drop_duplicates("content_hash").reset_index(drop=True)
        groups = truth(name, items)[2]
        order = np.random.default_rng(0).permutation(groups.max() + 1)
        within = np.cumsum(np.bincount(groups)[order]) <= SAMPLED
        items = items[np.isin(groups, order[within])]
        embed(dataset, loaded, only=set(items["uid"]))
        vectors = {}
        for each, extractor in zip(extractors, loaded, strict=True):
            raw = [dataset.features(extractor.spec).get(items["content_hash"].tolist())]
            recipe = SpaceRecipe(((extractor.spec.key, 1.0),))
            vectors[each] = Transform.fit(recipe, [raw[0].sum(axis=0, dtype=np.float64)], len(items))(raw)
        found[name] = Seen(name, vectors, *truth(name, items))
    return found

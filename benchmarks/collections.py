"""The labelled collections that benchmarks ask questions about: their vectors, neighbours and true classes.

Fetched and embedded once, into build/benchmarks (or EXPLORER_BENCH_WORKSPACE); the next run finds them there.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from explorer.collection.dataset import Dataset
    from explorer.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
SAMPLED = 2_000
"""Pictures of a collection that is larger than its questions need."""
NAMES = ("clipart", "emoji_category", "emoji_artwork", "textile", "fashion")


@dataclass(frozen=True)
class Collection:
    """Distinct pictures with the class that each truly has."""

    name: str
    vectors: np.ndarray
    """(n, d) float32 `lite0`, centred, of length one: the app's default space."""
    classes: np.ndarray
    """(n,) int"""
    class_names: list[str]
    groups: np.ndarray
    """(n,) int: pictures that show the same thing, which a fair test keeps on one side."""


def collections(names: tuple[str, ...] = NAMES) -> dict[str, Collection]:
    """Every named collection; fetches what is missing."""
    return {name: _collection(name, kept_workspace()) for name in names}


def kept_workspace() -> "Workspace":
    """Where what was fetched and computed stays for the next run."""
    from explorer.workspace import Workspace

    root = Path(os.environ.get("EXPLORER_BENCH_WORKSPACE") or ROOT / "build" / "benchmarks")
    root.mkdir(parents=True, exist_ok=True)
    return Workspace(root)


def _collection(name: str, workspace: "Workspace") -> Collection:
    from explorer.collection.embedding import embed
    from explorer.extractors import load
    from explorer.space import SpaceRecipe
    from explorer.space.recipe import Transform

    dataset = fetched(name, workspace)
    extractor = load("lite0", workspace.models)
    embed(dataset, [extractor])

    items = dataset.present().drop_duplicates("content_hash")
    raw = [dataset.features(extractor.spec).get(items["content_hash"].tolist())]
    recipe = SpaceRecipe(((extractor.spec.key, 1.0),))
    vectors = Transform.fit(recipe, [raw[0].sum(axis=0, dtype=np.float64)], len(items))(raw)
    return Collection(name, vectors, *truth(name, items))


def fetched(name: str, workspace: "Workspace") -> "Dataset":
    """The dataset behind a collection, its files listed; nothing is computed."""
    from explorer.collection.dataset import Dataset
    from explorer.demos import prepare

    demo = name.split("_")[0]
    dataset_id = f"bench-{demo}"
    if dataset_id in workspace.dataset_ids():
        return Dataset.open(workspace, dataset_id)
    source = prepare(demo, workspace, lambda line: None).source
    dataset = Dataset.create(workspace, dataset_id, _sample(source, workspace) if demo == "fashion" else source)
    dataset.rescan()
    return dataset


def truth(name: str, items: "pd.DataFrame") -> tuple[np.ndarray, list[str], np.ndarray]:
    """(n,) classes, their names and (n,) groups of things that are the same, for items of a collection."""
    column = {"clipart": "meta:folder", "emoji_category": "meta:category", "emoji_artwork": "meta:artwork"}
    found = items[column.get(name, "meta:folder")].astype(str).to_numpy(dtype=object)
    class_names, classes = np.unique(found.astype(str), return_inverse=True)
    # the same emoji in three styles is one thing; elsewhere every distinct picture is its own
    subject = items["uid"].str.partition("-")[2] if name.startswith("emoji") else items["uid"]
    return classes, class_names.tolist(), np.unique(subject.to_numpy(dtype=object).astype(str), return_inverse=True)[1]


def _sample(source: "dict[str, object]", workspace: "Workspace") -> "dict[str, object]":
    """A table of SAMPLED pictures of a folder source, as many of each subfolder."""
    import csv

    folder = Path(str(source["path"]))
    rng = np.random.default_rng(0)
    table = folder.parent / "sampled.csv"
    kinds = sorted(path for path in folder.iterdir() if path.is_dir())
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "image", "caption", "folder"])
        for kind in kinds:
            pictures = sorted(kind.glob("*.png"))
            for place in np.sort(rng.choice(len(pictures), SAMPLED // len(kinds), replace=False)):
                image = pictures[place]
                writer.writerow([f"{kind.name}-{image.stem}", image.relative_to(folder.parent), kind.name, kind.name])
    columns = {"image_column": "image", "key_column": "key", "caption_column": "caption"}
    return {"kind": "table", "path": str(table), **columns}

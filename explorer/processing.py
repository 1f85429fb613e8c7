"""What a job of the kind "process" does: look at the source again, compute what is missing, lay out the spaces."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from explorer.collection.dataset import Dataset
from explorer.collection.embedding import embed
from explorer.collection.progress import Progress, ProgressCallback
from explorer.errors import Cancelled
from explorer.extractors.base import Extractor
from explorer.extractors.registry import load
from explorer.space import SpaceRecipe, build_space
from explorer.workspace import Workspace

DEFAULT_EXTRACTORS = ("lite0",)


def process(
    workspace: Workspace,
    dataset_id: str,
    args: dict[str, Any],
    progress: ProgressCallback,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Bring a dataset up to date; what is there already is not computed again.

    `args`: {"extractors": names, "spaces": further spaces, each [[feature key or extractor name, weight], …],
    "refit": whether transforms and maps are made anew}. Returns {"name", "words", "scan", "embed", "spaces"}, all JSON.
    Raises Cancelled (what was finished is kept) and the errors of the steps.
    """
    began = time.monotonic()
    dataset = Dataset.open(workspace, dataset_id)
    progress(Progress("Looking for pictures", 0, 0))
    scan = dataset.rescan(progress, cancelled)
    names = list(dict.fromkeys(args.get("extractors") or DEFAULT_EXTRACTORS))
    extractors: list[Extractor] = []
    for name in names:
        if cancelled():
            raise Cancelled("The work was stopped.")
        progress(Progress("Loading the networks", len(extractors), len(names)))
        extractors.append(load(name, models_dir=workspace.models))
    embedded = embed(dataset, extractors, progress, cancelled)

    keys = {name: extractor.spec.key for name, extractor in zip(names, extractors, strict=True)}
    recipes = [SpaceRecipe(features=((key, 1.0),)) for key in keys.values()]
    for joined in args.get("spaces") or []:
        recipes.append(SpaceRecipe(features=tuple((keys.get(part, part), float(weight)) for part, weight in joined)))
    spaces = []
    if len(dataset.present()):
        for recipe in dict.fromkeys(recipes):
            space = build_space(dataset, recipe, progress, cancelled, refit=bool(args.get("refit")))
            spaces.append({"key": space.key, "generation": space.generation})
    seconds = time.monotonic() - began
    counts = dataset.items["status"].value_counts()
    words = [f"{int(counts.get('ok', 0)):,} pictures, {embedded.embedded:,} of them looked at now"]
    words += [f"{scan.removed:,} removed"] if scan.removed else []
    words += [f"{int(counts['problem']):,} cannot be read (see Problems)"] if counts.get("problem") else []
    return {
        "name": dataset.name,
        "words": f"{dataset.name}: {'; '.join(words)}. {seconds:,.0f} s.",
        "scan": asdict(scan),
        "embed": asdict(embedded),
        "spaces": spaces,
        "seconds": round(seconds, 2),
    }

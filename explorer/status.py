"""What a dataset holds, what is computed and what is stale, as plain data and as text."""

from collections.abc import Sequence
from typing import Any

from explorer.catalog import Catalog
from explorer.collection import own
from explorer.collection.costs import runs_here
from explorer.collection.dataset import Dataset
from explorer.extractors import packages
from explorer.extractors.base import ASPECTS
from explorer.extractors.registry import families
from explorer.jobs import Job, Jobs
from explorer.learning.answers import AnswerStore
from explorer.learning.questions import QuestionStore
from explorer.space import SpaceRecipe, list_spaces
from explorer.space.space import read_manifest, spaces_dir
from explorer.workspace import Workspace


def status(workspace: Workspace, dataset_id: str) -> dict[str, Any]:
    """Counts, extractors, spaces, questions and running jobs of one dataset. Raises NotFound."""
    dataset = Dataset.open(workspace, dataset_id)
    catalog = Catalog.open(workspace.catalog_url)
    counts = dataset.items["status"].value_counts().to_dict()
    present = dataset.present()
    features = []
    for spec in dataset.feature_specs():
        names = set(own.row_names(spec, present))
        missing = len(dataset.features(spec).missing(names))
        features.append(
            {
                "extractor": spec.extractor,
                "key": spec.key,
                "dim": spec.dim,
                "backend": spec.backend,
                "precision": spec.precision,
                "computed": len(names) - missing,
                "missing": missing,
                "stale": missing > 0 and spec.rows == "content",  # not every picture has a vector of one's own
            }
        )
    spaces = [
        {"key": s.key, "title": s.title, "generation": s.generation, "pictures": s.n, "stale": s.stale}
        for s in list_spaces(dataset)
    ]
    answers = AnswerStore(catalog)
    questions = [
        {"id": q.id, "name": q.name, "classes": [c.name for c in q.classes], "answered": len(answers.current(q.id))}
        for q in QuestionStore(catalog).list(dataset_id)
    ]
    jobs = [
        {"id": job.id, "kind": job.kind, "state": job.state, "progress": job.progress}
        for job in Jobs(catalog).list(dataset_id)
        if job.state in ("queued", "running")
    ]
    return {
        "id": dataset.id,
        "name": dataset.name,
        "source": dataset.source.spec,
        "generation": dataset.generation,
        "items": {key: int(counts.get(key, 0)) for key in ("ok", "problem", "gone")},
        "extractors": features,
        "spaces": spaces,
        "questions": questions,
        "jobs": jobs,
        "stale": any(f["stale"] for f in features) or any(s["stale"] for s in spaces),
    }


def in_use(dataset: Dataset, jobs: Sequence[Job]) -> list[str]:
    """The extractors to look at changed pictures with: those of the spaces, and those that a run that was stopped had
    not finished. What was only tried on some pictures is not among them, unless there is nothing else.

    `jobs`: the dataset's, newest first.
    """
    specs = {spec.key: spec.extractor for spec in dataset.feature_specs()}
    names = []
    for info in list_spaces(dataset):
        manifest = read_manifest(spaces_dir(dataset) / info.key)
        recipe = SpaceRecipe.from_json(manifest["recipe"]) if manifest else None
        names += [specs[key] for key, _ in recipe.features if key in specs] if recipe else []
    if jobs and jobs[0].state in ("cancelled", "stopped") and not jobs[0].args.get("only"):
        names += jobs[0].args.get("extractors") or []
    return list(dict.fromkeys(names or specs.values()))


def library(workspace: Workspace | None = None) -> list[dict[str, Any]]:
    """Every way of looking that there is, by aspect: how it is written, in words, whether it can be used here, and how
    its network runs on this machine if it was tried in that workspace."""
    known = [(each.written or each.name, each.name, each.card, each.layers) for each in families().values()]
    known += [(own.WRITTEN[name], name, card, ()) for name, card in own.CARDS.items()]
    order = list(ASPECTS)
    found = []
    for written, name, card, layers in sorted(known, key=lambda each: order.index(each[2].aspect)):
        missing = packages.way_out(name)
        state = f"needs: {missing}" if missing else "ready"
        if card.needs_download:
            state += "; its weights are downloaded when it is first used, unless you have a file of them"
        found.append(
            {
                "name": written,
                "title": card.title,
                "aspect": ASPECTS[card.aspect],
                "sees": card.sees,
                "ignores": card.ignores,
                "licence": card.licence,
                "state": state,
                "layers": dict(layers),
                "runs_here": runs_here(name, workspace) if workspace else "",
            }
        )
    return found


def summary(found: dict[str, Any]) -> str:
    """The same for a person at a terminal."""
    items = found["items"]
    lines = [f"{found['name']} ({found['id']})"]
    lines.append(f"  {items['ok']:,} pictures, {items['problem']:,} problems, {items['gone']:,} removed")
    for f in found["extractors"]:
        state = f"{f['missing']:,} missing: python -m explorer rescan {found['id']}" if f["stale"] else "complete"
        lines.append(f"  {f['extractor']}: {f['computed']:,} × {f['dim']} ({f['backend']} {f['precision']}), {state}")
    for s in found["spaces"]:
        state = "out of date" if s["stale"] else "up to date"
        lines.append(f"  space “{s['title']}”: {s['pictures']:,} pictures, generation {s['generation']}, {state}")
    for q in found["questions"]:
        lines.append(f"  question “{q['name']}”: {q['answered']:,} answered")
    for job in found["jobs"]:
        lines.append(f"  job {job['id']}: {job['state']}")
    return "\n".join(lines)

"""What a dataset holds, what is computed and what is stale, as plain data and as text."""

from typing import Any

from explorer.catalog import Catalog
from explorer.collection.dataset import Dataset
from explorer.jobs import Jobs
from explorer.learning.answers import AnswerStore
from explorer.learning.questions import QuestionStore
from explorer.space import list_spaces
from explorer.workspace import Workspace


def status(workspace: Workspace, dataset_id: str) -> dict[str, Any]:
    """Counts, extractors, spaces, questions and running jobs of one dataset. Raises NotFound."""
    dataset = Dataset.open(workspace, dataset_id)
    catalog = Catalog.open(workspace.catalog_url)
    counts = dataset.items["status"].value_counts().to_dict()
    present = dataset.present()["content_hash"].unique().tolist()
    features = []
    for spec in dataset.feature_specs():
        missing = len(dataset.features(spec).missing(present))
        features.append(
            {
                "extractor": spec.extractor,
                "key": spec.key,
                "dim": spec.dim,
                "backend": spec.backend,
                "precision": spec.precision,
                "computed": len(present) - missing,
                "missing": missing,
                "stale": missing > 0,
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

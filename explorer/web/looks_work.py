"""What the page of the ways of looking starts: looking at all pictures, trying on a few, putting two together."""

from collections.abc import Mapping, Sequence
from typing import Any

from explorer.jobs import Job
from explorer.web.looks_shelf import Present, family_name, tried
from explorer.web.runtime import Runtime
from explorer.web.watching import BUSY


def look_at_all(rt: Runtime, dataset_id: str, names: Sequence[str]) -> str:
    """Look at every picture in these ways and lay out a space for each; the job's id."""
    return _begin(rt, dataset_id, {"extractors": list(names)})


def try_out(rt: Runtime, dataset_id: str, names: Sequence[str], present: Present, example: str) -> str:
    """Look at a few pictures in these ways: the same few for every way of looking; the job's id."""
    return _begin(rt, dataset_id, {"extractors": list(names), "only": tried(present, example), "build": False})


def put_together(rt: Runtime, dataset_id: str, weights: Mapping[str, float], steps: Sequence[str] | None) -> str:
    """Lay out one space of several ways of looking, each with its weight; the job's id."""
    features = [[name, weight] for name, weight in weights.items()]
    joined: Any = {"features": features, "steps": list(steps)} if steps is not None else features
    return _begin(rt, dataset_id, {"extractors": list(weights), "spaces": [joined]})


def failures(jobs: Sequence[Job]) -> dict[str, str]:
    """Name of an extractor to the sentence that says why its newest job could not look with it; those that went well
    later are not among them. `jobs`: the newest first."""
    found: dict[str, str] = {}
    settled: set[str] = set()
    for job in jobs:
        names = [name for name in job.args.get("extractors") or [] if name not in settled]
        if job.state in BUSY or job.state == "cancelled":
            continue
        settled.update(names)
        told = dict.fromkeys(names, job.error) if job.state == "failed" else job.report.get("failed", {})
        found.update({name: words for name, words in told.items() if name in names})
    return found


def running(jobs: Sequence[Job]) -> frozenset[str]:
    """Names of the extractors that are looking now, or are about to."""
    return frozenset(name for job in jobs if job.state in BUSY for name in job.args.get("extractors") or [])


def of_family(found: Mapping[str, str], family: str) -> dict[str, str]:
    """The failures of names of one family."""
    return {name: words for name, words in found.items() if family_name(name) == family}


def _begin(rt: Runtime, dataset_id: str, args: dict[str, Any]) -> str:
    job = rt.jobs.create(dataset_id, "process", args)
    rt.jobs.start_worker(job)
    return job

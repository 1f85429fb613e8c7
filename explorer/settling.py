"""Large spaces grow by small additions, which take seconds; now and then they are built in full while nobody waits.

The full build drops the rows of pictures that are gone, and draws the groups, the neighbours and the odd ones from all;
places and the numbers of groups stay. It is a job of its own that no page shows, at low priority, and gives way to any
other job of its collection.
"""

import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from explorer.collection.progress import ProgressCallback
from explorer.errors import Busy
from explorer.workspace import Workspace

if TYPE_CHECKING:
    from explorer.jobs import Claim, Jobs

GIVES_WAY_SECONDS = 60.0
"""A step that cannot be broken off takes some ten seconds at a million pictures."""


def in_background(args: dict[str, Any]) -> bool:
    """Whether a job with these arguments is one of these."""
    return bool(args.get("settle"))


def gently() -> list[str]:
    """What to put before the command of such a job, so that people's requests come first."""
    return [found, "-n", "10"] if (found := shutil.which("nice")) else []


def claim(jobs: "Jobs", job_id: str) -> "Claim":
    """`Jobs.claim`; a job in the background that is in the way is stopped first."""
    end = time.monotonic() + GIVES_WAY_SECONDS
    while True:
        try:
            return jobs.claim(job_id)
        except Busy:
            job = jobs.get(job_id)
            if in_background(job.args) or time.monotonic() > end or not _stop(jobs, job.dataset_id):
                raise
            time.sleep(0.1)


def _stop(jobs: "Jobs", dataset_id: str) -> bool:
    running = [job for job in jobs.list(dataset_id, background=True) if job.state == "running"]
    for job in running:
        if not job.cancel_requested:
            jobs.request_cancel(job.id)
    return bool(running)


def settle(
    workspace: Workspace,
    dataset_id: str,
    args: dict[str, Any],
    progress: ProgressCallback,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Build the spaces of `args["settle"]` in full; returns what `processing.process` would say of it."""
    from explorer.collection.dataset import Dataset
    from explorer.space import SpaceRecipe, build_space
    from explorer.space.space import read_manifest, spaces_dir

    dataset = Dataset.open(workspace, dataset_id)
    spaces = []
    for key in args["settle"]:
        manifest = read_manifest(spaces_dir(dataset) / key)
        if manifest is not None:
            recipe = SpaceRecipe.from_json(manifest["recipe"])
            space = build_space(dataset, recipe, progress, cancelled, settle=True)
            spaces.append({"key": space.key, "generation": space.generation})
    words = f"{dataset.name}: {len(spaces)} maps settled"
    return {"name": dataset.name, "words": words, "spaces": spaces, "failed": {}, "unsettled": []}


def follow(jobs: "Jobs", workspace: Workspace, dataset_id: str, report: dict[str, Any]) -> str | None:
    """Start the job that a finished one leaves to do, if any; gives its id."""
    if not report.get("unsettled"):
        return None
    job_id = jobs.create(dataset_id, "process", {"settle": report["unsettled"]})
    jobs.start_worker(job_id, workspace)
    return job_id

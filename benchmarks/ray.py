"""Embedding on a Ray cluster: the same vectors as on one machine, and nothing lost when a node is killed.

Two nodes of one core each, both on this machine, so nothing is said of speed. 640×480 JPEGs, `lite0`; the
node that is killed is in the middle of a batch. `identical`: 1 if every vector, thumbnail and size is the one that the
local engine gives, to the last bit. `lost_after_node_kill`: pictures without a vector or a thumbnail at the end.
"""

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.collections import ROOT, kept_workspace

if TYPE_CHECKING:
    from explorer.collection.dataset import Dataset
    from explorer.collection.progress import Progress

TARGETS = {"identical": "= 1", "lost_after_node_kill": "= 0"}
COUNT = int(os.environ.get("EXPLORER_BENCH_RAY", "400"))
BATCH = 40


def run() -> dict[str, Any]:
    """Every figure; EXPLORER_BENCH_RAY lowers the number of photographs (400)."""
    from benchmarks.embed import listed, photographs
    from explorer.collection.embedding import embed
    from explorer.engine_ray import embed_with_ray
    from explorer.extractors import load

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    import ray
    from ray.cluster_utils import Cluster

    lite = load("lite0", kept_workspace().models)
    killed_at: list[int] = []
    with tempfile.TemporaryDirectory(prefix="explorer-", ignore_cleanup_errors=True) as place:
        files = photographs(Path(place) / "photographs", COUNT)
        alone, clustered = listed(files, Path(place) / "alone"), listed(files, Path(place) / "cluster")
        embed(alone, [lite])
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        second = cluster.add_node(num_cpus=1)
        os.environ["RAY_ADDRESS"] = cluster.address

        def progress(told: "Progress") -> None:
            if told.done >= COUNT // 4 and not killed_at:
                killed_at.append(told.done)
                threading.Thread(target=lambda: cluster.remove_node(second, allow_graceful=False)).start()

        try:
            began = time.perf_counter()
            report = embed_with_ray(clustered, {"lite0": lite}, kept_workspace().models, progress, rows=BATCH)
            seconds = time.perf_counter() - began
        finally:
            ray.shutdown()
            cluster.shutdown()
            del os.environ["RAY_ADDRESS"]
        lost, identical = _compared(alone, clustered, lite.spec)
    figures = {"identical": float(identical), "lost_after_node_kill": float(lost)}
    detail = {
        "photographs": COUNT,
        "of_a_batch": BATCH,
        "done_when_a_node_was_killed": killed_at[0] if killed_at else None,
        "embedded": report.embedded,
        "seconds_with_the_cluster": round(seconds, 1),
        "backend": f"{lite.spec.backend} {lite.spec.precision}",
    }
    if not killed_at:
        raise RuntimeError("No node was killed: give it more photographs.")
    return {"figures": figures, "detail": detail}


def _compared(alone: "Dataset", clustered: "Dataset", spec: Any) -> tuple[int, bool]:
    names = alone.present()["content_hash"].tolist()
    missing = set(clustered.features(spec).missing(names))
    missing |= {name for name in names if clustered.pictures.thumb(name) is None}
    if missing:
        return len(missing), False
    same = np.array_equal(alone.features(spec).get(names), clustered.features(spec).get(names))
    return 0, same and all(alone.pictures.get(name) == clustered.pictures.get(name) for name in names)


def markdown(result: dict[str, Any]) -> str:
    """A line for README."""
    figures, detail = result["figures"], result["detail"]
    same = "the same to the last bit as" if figures["identical"] == 1 else "**not the same as**"
    return (
        f"On a Ray cluster of two nodes, one killed after {detail['done_when_a_node_was_killed']:,} of "
        f"{detail['photographs']:,} photographs: {figures['lost_after_node_kill']:.0f} lost, vectors and thumbnails "
        f"{same} those of one machine."
    )

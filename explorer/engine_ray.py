"""Embedding on several machines: Ray Data hands out batches of pictures, whoever is free computes one.

All machines see the workspace and the pictures at the same paths (a shared file system) and have this program. What is
to be done lies in a file there; through Ray go only the numbers of the batches and short reports. A batch becomes a
segment of each feature and a file of thumbnails, written by whoever computed it, and counts once the driver has taken
both up: a machine that dies costs its batches, which Ray gives to another, a driver that dies those not taken up. The
same bytes come out as on one machine with processors of the same kind, in another order.

Moritz et al., "Ray: A Distributed Framework for Emerging AI Applications" (2018).
"""

import functools
import importlib.util
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.collection.dataset import Dataset
from explorer.collection.embedding import EmbedReport, Run, Task, plan
from explorer.collection.features import SEGMENT_ROWS, FeatureWriter, write_segment
from explorer.collection.pictures import PictureStore
from explorer.collection.progress import Meter, ProgressCallback
from explorer.collection.sources import open_source
from explorer.durable import read_json, replacing, write_bytes, write_json
from explorer.errors import Cancelled, ExplorerError, Missing, Refused
from explorer.extractors.base import Extractor, FeatureSpec
from explorer.extractors.registry import load

_ROOT = Path(__file__).resolve().parent.parent


def embed_with_ray(
    dataset: Dataset,
    extractors: dict[str, Extractor],
    models: Path,
    progress: ProgressCallback | None = None,
    cancelled: Callable[[], bool] | None = None,
    only: Collection[str] | None = None,
    rows: int = SEGMENT_ROWS,
) -> EmbedReport:
    """As `embedding.embed`, on the Ray cluster of RAY_ADDRESS, or one of this machine alone.

    `extractors` by the names that load them; `rows`: pictures of a batch, which is what a machine that dies loses.
    Raises Missing without Ray, Refused where a machine computes otherwise than this one, Cancelled, Busy.
    """
    if importlib.util.find_spec("ray") is None:
        raise Missing('Embedding on several machines needs Ray on each of them: pip install "ray[data]"')
    started = time.monotonic()
    folder = dataset.root / "ray"
    with dataset.writing():
        _gather(dataset.pictures, folder)  # of a driver that died: what has features must have a thumbnail
        tasks, skipped = plan(dataset, list(extractors.values()), only)
        writers = [dataset.features(each.spec).writer() for each in extractors.values()]
        _write_plan(folder, dataset, extractors, models, tasks, writers, rows)
        meter = Meter("Looking at the pictures, on several machines", len(tasks), progress)
        counts: dict[str, int] = dict.fromkeys(("done", "embedded", "problems"), 0)
        lost: dict[str, str] = {}
        try:
            with closing(_reports(folder, -(-len(tasks) // rows))) as reports:
                for report in reports:
                    _gather(dataset.pictures, folder)
                    for number, segment in report["segments"].items():
                        writers[int(number)].adopt(segment)
                    lost |= report["lost"]
                    counts = {name: count + report[name] for name, count in counts.items()}
                    meter.update(counts["done"])
                    if cancelled is not None and cancelled():
                        raise Cancelled(f"Stopped after {counts['done']:,} of {len(tasks):,} pictures; they are kept.")
        finally:
            _gather(dataset.pictures, folder)
            dataset.absorb(lost)
        shutil.rmtree(folder, ignore_errors=True)
    return EmbedReport(counts["embedded"], skipped, counts["problems"], time.monotonic() - started)


def _write_plan(
    folder: Path,
    dataset: Dataset,
    extractors: dict[str, Extractor],
    models: Path,
    tasks: Sequence[Task],
    writers: Sequence[FeatureWriter],
    rows: int,
) -> None:
    """What every machine reads: the whole in a small file, and its part of the tasks."""
    folder.mkdir(exist_ok=True)
    said = {
        "source": dataset.source.spec,
        "models": str(models),
        "extractors": [[name, asdict(each.spec)] for name, each in extractors.items()],
        "features": [str(dataset.root / "features" / each.spec.key) for each in extractors.values()],
        "first": [writer.next_number() for writer in writers],
    }
    write_json(folder / "plan.json", said)
    with replacing(folder / "tasks.parquet") as beside:
        table = pa.Table.from_pylist([asdict(task) for task in tasks], schema=_TASKS)
        pq.write_table(table, beside, row_group_size=rows)


_TASKS = pa.schema(
    {
        "hash": pa.string(),
        "uids": pa.list_(pa.string()),
        "paths": pa.list_(pa.string()),
        "extractors": pa.list_(pa.int32()),
        "wants_picture": pa.bool_(),
    }
)


def _reports(folder: Path, batches: int) -> Generator[dict[str, Any]]:
    """One for each batch, as they come."""
    if not batches:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    import ray
    import ray.data
    from ray.exceptions import RayError

    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells of its plans
    started = not ray.is_initialized()
    if started:
        paths = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        ray.init(
            address=os.environ.get("RAY_ADDRESS") or "local",  # not whatever else runs on this machine
            include_dashboard=None if "RAY_ADDRESS" in os.environ else False,
            log_to_driver=False,
            configure_logging=False,
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
        )
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        found = (
            ray.data.range(batches, override_num_blocks=batches)
            # the program's own threads use a whole machine: one batch a machine at a time
            .map_batches(
                functools.partial(_batch, folder=str(folder)),
                batch_size=1,
                num_cpus=min(cores for cores in nodes if cores),
            )
        )
        for row in found.iter_rows():
            report = json.loads(row["report"])
            if "error" in report:
                raise ExplorerError(f"A machine of the Ray cluster could not go on: {report['error']}")
            yield report
    except RayError as error:
        raise ExplorerError(f"The Ray cluster could not go on: {str(error).strip()[-500:]}") from error
    finally:
        if started:
            ray.shutdown()


def _batch(batch: Any, folder: str) -> dict[str, list[str]]:
    """On whichever machine: the batches whose numbers are in the column "id", from their pictures to their files."""
    reports = []
    for number in batch["id"]:
        try:
            reports.append(_computed(Path(folder), int(number)))
        except Exception as error:  # told in its own words, where Ray would wrap it
            said = str(error) if isinstance(error, ExplorerError) else f"{type(error).__name__}: {error}"
            reports.append({"error": said})
    return {"report": [json.dumps(each) for each in reports]}


def _computed(folder: Path, number: int) -> dict[str, Any]:
    said = read_json(folder / "plan.json")
    tasks = [Task(**row) for row in pq.ParquetFile(folder / "tasks.parquet").read_row_group(number).to_pylist()]
    extractors = [_loaded(name, json.dumps(spec), said["models"]) for name, spec in said["extractors"]]
    rows = [_Rows() for _ in extractors]
    with tempfile.TemporaryDirectory(prefix="explorer-") as place:  # SQLite is for a disk of one's own
        pictures = PictureStore(Path(place) / "pictures.db")
        run = Run(open_source(said["source"]), pictures, extractors, tasks, None)
        run.writers = rows
        run.work(None)
        if pictures.path.exists():
            whole = Path(place) / "whole.db"
            pictures.copy_to(whole)
            pictures.close()
            write_bytes(folder / f"{number:06d}.db", whole.read_bytes())
    segments = {
        place: write_segment(Path(said["features"][place]), said["first"][place] + number, each.taken)
        for place, each in enumerate(rows)
        if each.taken
    }
    return {
        "done": run.done,
        "embedded": run.embedded,
        "problems": run.problems,
        "lost": run.lost,
        "segments": segments,
    }


class _Rows:
    """What stands for a FeatureWriter until the batch is whole."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, np.ndarray]] = []

    def append(self, content_hash: str, row: np.ndarray) -> None:
        self.taken.append((content_hash.encode(), row.astype(np.float32)))

    def take(self) -> list[tuple[bytes, np.ndarray]]:
        return []

    def write(self, taken: list[tuple[bytes, np.ndarray]]) -> None:
        pass


@functools.lru_cache(maxsize=8)
def _loaded(name: str, spec: str, models: str) -> Extractor:
    """Kept in the worker's process; must be the driver's to the last word. Raises Refused."""
    wanted = FeatureSpec(**json.loads(spec))
    extractor = load(name, Path(models), exact=wanted.precision == "fp32")
    if extractor.spec != wanted:
        other = f"{extractor.spec.backend} {extractor.spec.precision}"
        raise Refused(
            f"A machine of the cluster would compute '{name}' with {other}, the one that began with {wanted.backend} "
            f"{wanted.precision}. Use machines of one kind, or --exact."
        )
    return extractor


def _gather(pictures: PictureStore, folder: Path) -> None:
    """Take the thumbnails that the machines wrote into the collection's one file."""
    for path in sorted(folder.glob("[0-9]*.db")):
        pictures.absorb(path)
        path.unlink()

"""What a way of looking would cost here, told before anything is computed: time on this machine, and room on its disk.

Times come from speeds measured on this machine, in jobs or in a short trial, and kept in `<workspace>/speeds.json`; for
what was never run here, from figures of another machine, scaled by what has been measured.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from explorer.collection.images import decode
from explorer.durable import read_json, write_json
from explorer.errors import BadInput, Unreadable
from explorer.extractors.backends import processor, usable_cores
from explorer.extractors.base import Extractor, prepared
from explorer.extractors.choice import choose, trials_of
from explorer.workspace import Workspace

MAP = "map"
"""The name under which the speed of laying out a space is kept: its graph, map, groups and odd ones out."""
CORE_SECONDS = {
    "lite0": 0.013,
    "lite1": 0.015,
    "lite2": 0.024,
    "colour": 0.004,
    "style": 0.009,
    "layout": 0.01,
    "patches": 0.01,
    "text_where": 0.25,
    "text_what": 0.25,
    "phash": 0.003,
    "sscd": 0.06,
    "spectral": 0.020,
    "pixels": 0.003,
    "columns": 0.00002,
    "vectors": 0.00002,
    MAP: 0.006,
}
"""Seconds of one core for a picture, decoding included, on a server processor of 2023: for the first guess."""
UNKNOWN = 0.15
"""For a network by its name: between a ResNet-50 and a ViT-B-16."""
USUAL_DIM = 1024
FEW = 16
"""A speed measured on fewer pictures says more about the start than about the rest."""
TRIED = 48
_DECODE_SIDE = 256
_READS = {"text_where": "text", "text_what": "text"}
"""Families that are looks at the same computation, as layers of one network are."""


@dataclass(frozen=True)
class Cost:
    seconds: float
    bytes: int
    """On the disk: features, and the space with its map if there is to be one."""
    measured: bool
    """Whether the speeds are this machine's own."""

    @property
    def words(self) -> str:
        """For the screen: "about 3 min and 12 MB"."""
        told = f"{duration(self.seconds)} and {size(self.bytes)}"
        return f"about {told}" if self.measured else f"roughly {told} (never timed on this machine)"


def cost(name: str, n: int, workspace: Workspace, dim: int = 0, space: bool = True) -> Cost:
    """What an extractor, by its name, would cost over `n` pictures; see `costs`."""
    return costs({name: dim}, n, workspace, space)


def costs(dims: dict[str, int], n: int, workspace: Workspace, space: bool = True) -> Cost:
    """What several extractors would cost over `n` distinct pictures: names, and the numbers in a row of each (0 where
    that is not known). Layers of one network take its time once; decoding is counted with each, so that several in
    one pass take less than this. With `space`, each gets a space of its own, with a map."""
    known = _speeds(workspace)
    here = [_rate_elsewhere(one) / known[one] for one in known if one in CORE_SECONDS]
    scale = median(here) if here else 1.0
    computations = {_computation(name): name for name in reversed(dims)}
    seconds, measured = 0.0, True
    for name in [*computations.values(), *([MAP] * len(dims) if space else [])]:
        alike = [known[one] for one in known if _computation(one) == _computation(name)]
        measured = measured and bool(alike)
        seconds += n / alike[0] if alike else n * scale / _rate_elsewhere(name)
    return Cost(seconds, sum(_bytes(dim or USUAL_DIM, n, space) for dim in dims.values()), measured)


def record_speed(workspace: Workspace, name: str, pictures: int, seconds: float) -> None:
    """Keep how fast an extractor (or MAP) was here, over so many pictures from the file to the finished row.

    For runs in which it was the only one. Too few pictures are not kept, nor is a short trial after a long run.
    """
    if pictures < FEW or seconds <= 0:
        return
    speeds = _read(workspace)
    before = speeds.get(name, {}).get("pictures", 0)
    if 4 * pictures >= before:
        speeds[name] = {"per_second": round(pictures / seconds, 4), "pictures": pictures}
        write_json(_file(workspace), {"machine": machine(), "speeds": speeds})


def measure_speed(extractor: Extractor, files: Sequence[bytes], workspace: Workspace, name: str = "") -> float:
    """Pictures a second from files (their bytes, 16 to 64 of the user's own) to rows, on all cores; kept for `cost`.

    The first batch is not timed: networks take longer over it. Nothing is written to the collection. Raises BadInput
    if too few of the files can be decoded.
    """
    side = max(_DECODE_SIDE, extractor.min_side)

    def inputs(data: bytes) -> np.ndarray | None:
        try:
            return prepared(extractor, data, decode(data, side).rgb)
        except Unreadable:
            return None

    def run(some: Sequence[bytes]) -> int:
        batch = [each for each in map(inputs, some) if each is not None]
        if batch:
            extractor.compute(np.stack(batch))
        return len(batch)

    size = extractor.batch_size
    warm, timed = files[: min(size, 4)], list(files)
    run(warm)
    cores = usable_cores()
    share = max(1, min(size, -(-len(timed) // cores)))
    with ThreadPoolExecutor(cores) as pool:
        began = time.perf_counter()
        done = sum(pool.map(run, [timed[start : start + share] for start in range(0, len(timed), share)]))
        seconds = time.perf_counter() - began
    if done < FEW:
        raise BadInput(f"To time {extractor.card.title}, at least {FEW} pictures that can be read are needed.")
    record_speed(workspace, name or extractor.spec.extractor, done, seconds)
    return done / seconds


def runs_here(name: str, workspace: Workspace) -> str:
    """What its network was found to run best with on this machine: "half precision (OpenVINO bf16), 6 times as fast as
    PyTorch, .998 alike"; "" where nothing has been tried, or there was nothing to try."""
    trials = trials_of(workspace.models, name.partition("@")[0])
    if not trials:
        return ""
    chosen, plain = choose(trials), trials[-1]
    if chosen == plain:
        return "single precision (PyTorch)"
    precision = "half precision" if chosen.precision == "bf16" else "single precision"
    alike = f"{chosen.cosine:.3f}".removeprefix("0")
    times = f"{chosen.per_second / plain.per_second:.1f}".removesuffix(".0")
    return f"{precision} (OpenVINO {chosen.precision}), {times} times as fast as PyTorch, {alike} alike"


def machine() -> dict[str, Any]:
    """What speeds belong to: they are forgotten when a workspace moves to another."""
    return {"cpu": processor(), "cores": usable_cores()}


def duration(seconds: float) -> str:
    """ "a moment", "20 s", "3 min", "2 h 10 min"."""
    if seconds < 1:
        return "a moment"
    if seconds < 100:
        return f"{_round(seconds)} s"
    if seconds < 100 * 60:
        return f"{_round(seconds / 60)} min"
    hours, minutes = divmod(round(seconds / 600) * 10, 60)
    if hours < 10:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    return f"{round(seconds / 3600):,} h"


def size(count: int) -> str:
    """ "12 MB": bytes in powers of ten, as disks are sold."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            value = count / factor
            return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    return "less than 1 MB"


def _round(value: float) -> int:
    """Two digits are all that an estimate is worth."""
    return round(value) if value < 20 else 5 * round(value / 5)


def _bytes(dim: int, n: int, space: bool) -> int:
    """Features in half precision with hash and scale; a space's vectors in single precision, their codes of a byte in
    whole cache lines, and for each picture its neighbours with distances, its place, and the tables about it."""
    features = 2 * dim + 36
    laid_out = 4 * dim + -(-dim // 64) * 64 + 250
    return n * (features + (laid_out if space else 0))


def _computation(name: str) -> str:
    shared = name.partition("@")[0]
    return _READS.get(shared, shared)


def _rate_elsewhere(name: str) -> float:
    """Pictures a second on as many cores as there are here."""
    family = name.partition("@")[0].partition(":")[0]
    return usable_cores() / CORE_SECONDS.get(family, UNKNOWN)


def _speeds(workspace: Workspace) -> dict[str, float]:
    return {name: float(each["per_second"]) for name, each in _read(workspace).items()}


def _read(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """What was measured on this machine; nothing where the file is another's, or no such file."""
    try:
        stored = read_json(_file(workspace))
        speeds = {name: dict(each) for name, each in stored["speeds"].items() if float(each["per_second"]) > 0}
        return speeds if stored["machine"] == machine() else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # speeds are measured again; a damaged file is no reason to stop anybody


def _file(workspace: Workspace) -> Path:
    return workspace.root / "speeds.json"

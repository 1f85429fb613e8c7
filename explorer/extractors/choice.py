"""Which backend and precision a network runs with here: the fastest by a short trial that still says what PyTorch says.

Tried once for each network and processor, when the network is converted, and written beside it; from then on the same
one is taken, because vectors of two backends or precisions must not be mixed. ONNX Runtime is not among them:
with `lite0` in single precision it was as fast as OpenVINO on an Intel processor (40 to 58 against 36 to 45 pictures a
second, both cores busy with more) and up to 1.24 times as fast on an AMD one, and OpenVINO's bf16 is twice as fast as
either.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.durable import read_json, write_json
from explorer.extractors import backends
from explorer.extractors.backends import Network, TorchNetwork, openvino_network, openvino_version, processor

if TYPE_CHECKING:
    import torch

LEAST_COSINE = 0.99
MAIN = "pooled-b8"
"""The part of an extractor's network that gives its own vector, eight at a time."""
LEAD = 1.15
"""How much faster a later candidate must be to be preferred: a trial on a busy machine is off by a tenth."""
_SECONDS, _ROUNDS = 0.25, 5


@dataclass(frozen=True)
class Trial:
    """How one backend did."""

    backend: str
    precision: str
    per_second: float
    """Inputs a second, all cores busy."""
    cosine: float
    """The least, over the trial's inputs and the parts of the output, to PyTorch's eager single precision."""


def best_network(
    name: str,
    weights: str,
    build: "Callable[[], torch.nn.Module]",
    example: np.ndarray,
    models_dir: Path | None,
    exact: bool,
    widths: Sequence[int] = (),
    finish: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Network:
    """The module that `build` makes, ready for this machine, for inputs of exactly `example`'s shape and type.

    `example`: a full batch of inputs as unlike as they come. The candidates are OpenVINO in bf16 (unless `exact`, and
    where the processor has it) and in single precision, and PyTorch on the best device; each part of their output, of
    `widths` side by side (none: one part) and as `finish` leaves it, must have a cosine of at least .99 to PyTorch's on
    every input. `name` must change with the module's structure. What is on the disk already is neither tried nor
    converted again, and PyTorch is not imported then. Raises Missing.
    """
    if not backends.has_openvino():
        return TorchNetwork(build())
    file = models_dir / f"{name}-{weights[:16]}-ov{openvino_version()}.json" if models_dir else None
    trials = _kept(file)
    if not trials:
        tried = _tried(name, weights, build(), example, models_dir, widths, finish)
        if file:
            write_json(file, _stored(file) | {processor(): [asdict(each) for each in tried]})
        return tried[choose(list(tried), exact)]
    chosen = choose(trials, exact)
    if chosen.backend == "openvino":
        return openvino_network(name, weights, build, example, models_dir, chosen.precision == "fp32")
    return TorchNetwork(build())


def choose(trials: Sequence[Trial], exact: bool = False) -> Trial:
    """The first of those that are near enough, unless a later one is faster by LEAD; of single precision if `exact`.
    PyTorch is always among them."""
    near = [each for each in trials if each.cosine >= LEAST_COSINE and (not exact or each.precision == "fp32")]
    best = near[0] if near else trials[-1]
    for each in near[1:]:
        if each.per_second > LEAD * best.per_second:
            best = each
    return best


def network_name(extractor: str, part: str) -> str:
    """What the files of a network are called: an extractor's name made safe, and what of it this is."""
    return "".join(each if each.isalnum() else "-" for each in extractor)[-60:] + f"-{part}"


def trials_of(models_dir: Path, extractor: str) -> list[Trial]:
    """What was tried on this processor for the main output of an extractor, by its name; nothing is loaded, and nothing
    is given where there was nothing to try."""
    files = models_dir.glob(f"{network_name(extractor, MAIN)}-*.json")
    newest = sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return next((trials for trials in map(_kept, newest) if trials), [])


def _tried(
    name: str,
    weights: str,
    module: "torch.nn.Module",
    example: np.ndarray,
    models_dir: Path | None,
    widths: Sequence[int],
    finish: Callable[[np.ndarray], np.ndarray],
) -> dict[Trial, Network]:
    """In the order of preference."""
    import torch

    with torch.inference_mode():
        expected = finish(module.eval()(torch.from_numpy(example)).float().numpy())
    ends = np.cumsum(widths)[:-1]

    def trial(network: Network) -> Trial:
        found = finish(network(example))
        parts = zip(np.split(found, ends, axis=1), np.split(expected, ends, axis=1), strict=True)
        cosine = min(least_cosine(ours, theirs) for ours, theirs in parts)
        return Trial(network.backend, network.precision, round(_rate(network, example), 2), round(cosine, 5))

    tried: dict[Trial, Network] = {}
    for exact in (False, True):
        try:
            network = openvino_network(name, weights, lambda: module, example, models_dir, exact)
            if network.precision not in [each.precision for each in tried]:  # else the processor has no bf16
                tried[trial(network)] = network
        except Exception:  # the converter raises nearly anything for an operation that it does not know
            break
    plain = TorchNetwork(module)
    return tried | {trial(plain): plain}


def _rate(network: Network, example: np.ndarray) -> float:
    """Inputs a second as the app asks for them, from as many threads as there are cores; the best of a few rounds."""
    cores = backends.usable_cores()
    best, ends = np.inf, time.perf_counter() + _SECONDS
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            list(pool.map(network, [example] * cores))
            best = min(best, time.perf_counter() - began)
            if time.perf_counter() > ends:
                break
    return cores * len(example) / best


def least_cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The least cosine between (n, ...) rows of the same number; -1 where one is not finite. Two rows of zeros are
    alike."""
    a, b = (np.reshape(each, (len(each), -1)).astype(np.float64) for each in (a, b))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    same = (np.abs(a).max(axis=1, initial=0) == 0) & (np.abs(b).max(axis=1, initial=0) == 0)
    cosines = np.where(same, 1.0, np.sum(a * b, axis=1) / np.maximum(lengths, 1e-20))
    return float(np.nan_to_num(cosines, nan=-1.0).min())


def _kept(file: Path | None) -> list[Trial]:
    """What was tried on this processor."""
    try:
        return [Trial(**each) for each in _stored(file).get(processor(), [])] if file else []
    except TypeError:
        return []  # it is tried again; a damaged file is no reason to stop anybody


def _stored(file: Path) -> dict[str, Any]:
    """Processor to what was tried on it: machines of several kinds may share a workspace."""
    try:
        found = read_json(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

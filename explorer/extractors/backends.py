"""Where a network runs: OpenVINO on a processor, PyTorch on a graphics card or where OpenVINO is not there.

A network here is a function from a full batch to its vectors. Batches always have the same size (the last one is
filled up), because a kernel chosen for another size may round differently, and a picture's vector must not depend on
its company.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import queue
import shutil
import sys
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from explorer.errors import Missing

if TYPE_CHECKING:
    import torch


class Network(Protocol):
    """A network made ready for this machine, with a fixed batch size."""

    backend: str
    precision: str

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """(batch_size, ...) to (batch_size, dim) float32. Safe to call from several threads at once."""
        ...


def in_full_batches(network: Callable[[np.ndarray], np.ndarray], batch: np.ndarray, size: int) -> np.ndarray:
    """Run (b, ...) inputs, 1 <= b <= size, as one batch of `size` rows and give back the b results."""
    if len(batch) == size:
        return network(batch)
    if not 0 < len(batch) < size:
        raise ValueError(f"a batch holds 1 to {size} pictures, not {len(batch)}")
    full = np.zeros((size, *batch.shape[1:]), batch.dtype)
    full[: len(batch)] = batch
    return network(full)[: len(batch)]


def file_hash(path: Path) -> str:
    """blake2b-128 of a file's bytes, 32 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def tensors_hash(module: "torch.nn.Module") -> str:
    """blake2b-128 of the names, shapes and bytes of a module's tensors, however their file was written."""
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)};".encode())
        digest.update(values.flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


def openvino_version() -> str:
    """As its package says it; nothing is imported."""
    return importlib.metadata.version("openvino").split("-")[0]


def openvino_core() -> Any:
    """OpenVINO's core, with its reporting to Intel shut off.

    The converter reports each use over the network unless `openvino_telemetry` cannot be imported, in which case it
    falls back to its own silent stand-in; there is no switch for one process.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise Missing(f"OpenVINO cannot be loaded ({error}): pip install --force-reinstall openvino") from error
    return openvino.Core()


class OpenVinoNetwork:
    """A converted network on the processor, one stream a core: a stream is single-threaded, so that a vector is the
    same on two cores and on sixty, and several requests run side by side."""

    backend = "openvino"

    def __init__(self, core: Any, model: Any, exact: bool) -> None:
        bf16 = not exact and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = "bf16" if bf16 else "fp32"
        streams = max(1, min(16, usable_cores()))
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
                "PERFORMANCE_HINT": "THROUGHPUT",
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": streams,
            },
        )
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        request = self._idle.get()
        try:
            request.infer({0: np.ascontiguousarray(batch)})
            return np.array(request.get_output_tensor(0).data, dtype=np.float32)
        finally:
            self._idle.put(request)


def openvino_network(
    name: str,
    weights: str,
    build: "Callable[[], torch.nn.Module]",
    example: np.ndarray,
    models_dir: Path | None,
    exact: bool,
) -> OpenVinoNetwork:
    """Compile the module that `build` makes, for inputs of exactly `example`'s shape and type.

    The converted network is kept as `<models_dir>/<name>-<weights>-<OpenVINO version>/`; once it is there neither
    `build` is called nor PyTorch imported. `name` must change with the module's structure.
    """
    core = openvino_core()
    import openvino

    folder = models_dir / f"{name}-{weights[:16]}-ov{openvino_version()}" if models_dir else None
    if folder and (folder / "model.xml").exists():
        return OpenVinoNetwork(core, core.read_model(folder / "model.xml"), exact)

    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the converter traces in a way that PyTorch will retire
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # the shape of the inputs is fixed here
        model = openvino.convert_model(
            build().eval(), example_input=torch.from_numpy(example), input=[list(example.shape)]
        )
    if folder:
        _save_openvino(model, folder)
        model = core.read_model(folder / "model.xml")  # the very network that later runs read, to the last bit
    return OpenVinoNetwork(core, model, exact)


def _save_openvino(model: Any, folder: Path) -> None:
    """Write the two files beside their final folder, then rename the folder: it is there whole or not at all."""
    import openvino

    beside = folder.with_name(f".{folder.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    beside.mkdir(parents=True)
    try:
        openvino.save_model(model, beside / "model.xml", compress_to_fp16=False)
        for path in beside.iterdir():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
        try:
            os.replace(beside, folder)
        except OSError:
            if not (folder / "model.xml").exists():  # otherwise another process was first, with the same network
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


class TorchNetwork:
    """A PyTorch module in single precision on the best device there is."""

    precision = "fp32"

    def __init__(self, module: "torch.nn.Module") -> None:

        self.device = torch_device()
        self.backend = f"torch-{self.device}"
        self._module = module.eval().to(self.device)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self._module(torch.from_numpy(batch).to(self.device)).float().cpu().numpy()


def torch_device() -> str:
    """The name of the device: cuda, mps or cpu."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def usable_cores() -> int:
    """Cores that this process may use, which in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Its name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:  # no Linux
        pass
    return platform.processor() or platform.machine()

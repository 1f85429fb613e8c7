"""What this machine can do at most: reading memory, multiplying matrices, decoding photographs.

Nothing of the app runs here but its decoder. Every figure is for all cores together, the best of several rounds,
because a limit is what is reached when nothing else is in the way; the inputs lie in memory. Figures of other
benchmarks can be given as shares of these.
"""

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

READ_BYTES = int(os.environ.get("EXPLORER_BENCH_READ_BYTES", str(1 << 30)))
"""Many times what the caches hold."""
SIDE = 4096
PICTURES = 400
ROUNDS = 7


def run() -> dict[str, Any]:
    """Every figure; EXPLORER_BENCH_READ_BYTES lowers how much memory is read (1 GB)."""
    from explorer.extractors.backends import usable_cores

    cores = usable_cores()
    gemm, gemm_bf16 = gemm_gflops()
    figures = {
        "read_gb_per_s": read_gb_per_s(cores),
        "read_gb_per_s_1_core": read_gb_per_s(1),
        "gemm_gflops": gemm,
        "gemm_bf16_gflops": gemm_bf16,
        "decode_images_per_s": decode_images_per_s(cores),
    }
    return {"figures": figures, "detail": {"cores": cores, "bytes_read": READ_BYTES, "gemm_side": SIDE}}


def best_seconds(work: Callable[[], Any]) -> float:
    """Of ROUNDS, after one that is not timed."""
    work()
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def read_gb_per_s(cores: int) -> float:
    """Adding up whole numbers in a compiled loop, each core its share."""
    import numba

    @numba.njit(nogil=True, fastmath=True)
    def total(values: np.ndarray) -> int:
        found = 0
        for value in values:
            found += value
        return found

    values = np.ones(READ_BYTES // 8, np.int64)
    parts = np.array_split(values, cores)
    with ThreadPoolExecutor(cores) as pool:
        return values.nbytes / best_seconds(lambda: list(pool.map(total, parts))) / 1e9


def gemm_gflops() -> tuple[float, float]:
    """A square product in single precision by the faster of numpy and PyTorch, and in bf16 by PyTorch."""
    import torch

    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(SIDE, SIDE)).astype(np.float32) for _ in range(2))
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    x16, y16 = x.bfloat16(), y.bfloat16()
    work = 2 * SIDE**3 / 1e9
    single = min(best_seconds(lambda: a @ b), best_seconds(lambda: x @ y))
    return work / single, work / best_seconds(lambda: x16 @ y16)


def decode_images_per_s(cores: int) -> float:
    """640×480 JPEGs to pixels as the app decodes them, from bytes in memory."""
    from benchmarks.embed import photographs
    from explorer.collection.embedding import DECODE_SIDE
    from explorer.collection.images import decode

    with tempfile.TemporaryDirectory(prefix="explorer-") as place:
        contents = [path.read_bytes() for path in photographs(Path(place) / "photographs", PICTURES)]
    parts = [contents[start::cores] for start in range(cores)]

    def some(part: list[bytes]) -> None:
        for data in part:
            decode(data, DECODE_SIDE)

    with ThreadPoolExecutor(cores) as pool:
        return PICTURES / best_seconds(lambda: list(pool.map(some, parts)))


def markdown(result: dict[str, Any]) -> str:
    """A line for README."""
    figures = result["figures"]
    return (
        f"This machine's limits, all cores: {figures['read_gb_per_s']:.0f} GB/s read from memory (one core "
        f"{figures['read_gb_per_s_1_core']:.0f}), {figures['gemm_gflops']:,.0f} GFLOP/s in single precision and "
        f"{figures['gemm_bf16_gflops']:,.0f} in bf16, {figures['decode_images_per_s']:,.0f} photographs of 640×480 "
        "decoded a second."
    )

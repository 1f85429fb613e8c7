"""Work on rows shared among the processor's cores by plain threads, for compiled loops that let go of Python's lock.

numba's own threads are not used: its default layer aborts the process when two calls meet, the others spin while they
wait, and whoever has least to do waits for whoever has most. Here each thread takes blocks of rows from a counter until
none is left, the caller first of all.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from explorer.extractors.backends import usable_cores

INLINE = 4_000_000
"""Steps up to which one thread is quicker than telling others."""
_lock = threading.Lock()
_helpers: ThreadPoolExecutor | None = None


def in_shares(kernel: Callable[..., None], work: float, *arrays: np.ndarray) -> None:
    """Run `kernel(counter, *arrays)` on all cores; `counter` is (1,) int64, from which it takes its blocks.

    Helpers that are busy elsewhere are not waited for: the caller does their share.
    """
    counter = np.zeros(1, np.int64)
    cores = usable_cores()
    others = [_pool(cores).submit(kernel, counter, *arrays) for _ in range(cores - 1)] if work > INLINE else []
    kernel(counter, *arrays)
    for other in others:
        if not other.cancel():
            other.result()


def _pool(cores: int) -> ThreadPoolExecutor:
    global _helpers
    with _lock:
        if _helpers is None:
            _helpers = ThreadPoolExecutor(max(cores - 1, 1), thread_name_prefix="share")
        return _helpers


def _forget_helpers() -> None:
    global _helpers
    _helpers = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)

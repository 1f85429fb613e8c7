"""Comparisons worked out in the background: they take seconds, and nobody waits for them."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np

from explorer.learning.judgement import Judgement
from explorer.learning.methods import Compared, compare

MAX_HELD = 64
_executor = ThreadPoolExecutor(1, thread_name_prefix="compare")
_lock = Lock()
_asked: OrderedDict[Hashable, Future[Any]] = OrderedDict()


def key_of(judgement: Judgement, question_id: str, attribute: str) -> Hashable:
    """What a comparison holds for: the same answers over the same space."""
    return question_id, attribute, judgement.scores.seq, judgement.space.key, judgement.scores.generation


def begun(key: Hashable) -> Future[Any] | None:
    with _lock:
        return _asked.get(key)


def begin(key: Hashable, work: Callable[[], Any]) -> Future[Any]:
    """Do the work in the background, once for each key; one after the other, in the order in which they were asked."""
    with _lock:
        if key not in _asked:
            _asked[key] = _executor.submit(work)
            for done in [each for each, future in _asked.items() if future.done()][: max(len(_asked) - MAX_HELD, 0)]:
                del _asked[done]
        return _asked[key]


def methods(judgement: Judgement) -> list[Compared]:
    """What `compare` says of the answers of a judgement. Raises BadInput as it does."""
    part = judgement.part
    return compare(np.asarray(judgement.space.vectors[part.rows], np.float32), part.y, part.groups)


def worth_it(one: Compared) -> bool:
    """Ahead of ridge by more than chance explains."""
    return one.method != "ridge" and one.lead_low > 0

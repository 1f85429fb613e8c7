"""Other methods compared with the present one, in the background: it takes seconds, and nobody waits for it."""

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

import numpy as np

from explorer.learning.judgement import Judgement
from explorer.learning.methods import Compared, compare

MAX_HELD = 16
_executor = ThreadPoolExecutor(1, thread_name_prefix="compare")
_lock = Lock()
_asked: OrderedDict[tuple[str, str, int, int], Future[list[Compared]]] = OrderedDict()


def key_of(judgement: Judgement, question_id: str, attribute: str) -> tuple[str, str, int, int]:
    """What a comparison holds for: the same answers over the same space."""
    return question_id, attribute, judgement.scores.seq, judgement.scores.generation


def begun(key: tuple[str, str, int, int]) -> Future[list[Compared]] | None:
    with _lock:
        return _asked.get(key)


def begin(key: tuple[str, str, int, int], judgement: Judgement) -> Future[list[Compared]]:
    """Compare in the background, once for each key."""
    with _lock:
        if key not in _asked:
            part = judgement.part
            vectors = np.asarray(judgement.space.vectors[part.rows], np.float32)
            _asked[key] = _executor.submit(compare, vectors, part.y, part.groups)
            while len(_asked) > MAX_HELD:
                _asked.popitem(last=False)
        return _asked[key]


def worth_it(one: Compared) -> bool:
    """Ahead of ridge by more than chance explains."""
    return one.method != "ridge" and one.lead_low > 0

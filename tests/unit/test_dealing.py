"""Pictures chosen once are dealt out: nobody gets what another has, and each hand has its share drawn by lot."""

import time

import numpy as np
import pytest

from explorer.learning import dealing
from explorer.learning.dealing import Pick, Pool, Suggested

ROWS = {f"p{row}": row for row in range(40)}


def _pool(among: np.ndarray) -> Pool:
    picks = [Pick(f"p{row}", 1.0, "useful") for row in range(8)]
    picks += [Pick(f"p{row}", 0.5, "random") for row in range(8, 24)]
    return Pool(Suggested("useful", "why", tuple(picks), 7), among)


def test_hands_differ_and_have_the_same_share_by_lot() -> None:
    everything = np.ones(40, bool)
    pool = _pool(everything)
    hands = [pool.deal(6, everything, ROWS) for _ in range(5)]
    assert [len(hand) for hand in hands] == [6, 6, 6, 6, 0]
    assert len({pick.uid for hand in hands for pick in hand}) == 24
    for hand in hands[:4]:
        drawn = [pick.policy == "random" for pick in hand]
        assert drawn == [False, False, True, True, True, True]
        # 4 of the 16 that were drawn, each of which was drawn with .5
        assert {pick.probability for pick in hand[2:]} == {0.5 * 4 / 16}
        assert {pick.probability for pick in hand[:2]} == {1.0}


def test_what_is_not_free_is_dealt_to_nobody() -> None:
    everything = np.ones(40, bool)
    pool, free = _pool(everything), everything.copy()
    free[::2] = False
    assert {ROWS[pick.uid] % 2 for pick in pool.deal(40, free, ROWS)} == {1}
    assert not pool.deal(40, everything, ROWS), "what was held when somebody asked is not kept for later"


def test_a_choice_is_over_after_a_while_and_for_other_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = np.ones(40, bool)
    pool = _pool(everything)
    assert not pool.over(everything)
    assert pool.over(everything.copy())
    later = time.monotonic() + dealing.SECONDS + 1
    monkeypatch.setattr(dealing.time, "monotonic", lambda: later)
    assert pool.over(everything)

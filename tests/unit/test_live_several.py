"""Several people answer one question: fits and choices are shared, and nobody waits for what somebody else needs."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.learning import live as live_module
from explorer.learning import training
from tests.unit.live_case import Case


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    made = Case(tmp_path)
    yield made
    made.live.executor.shutdown()
    made.catalog.close()


def test_while_several_answer_one_fits_and_nobody_waits(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.answer(list(range(10)))
    case.answer(list(range(10, 20)), by="bob")
    old = case.scores()
    assert case.order().scores is old
    monkeypatch.setattr(live_module, "MOST_LAG_SECONDS", 0)
    case.live._slot(("photos", case.question.id, "looks")).young_until = 0
    entered, go, fit = threading.Event(), threading.Event(), training.fit_classifier

    def slow(*args: Any, **more: Any) -> Any:
        entered.set()
        assert go.wait(10)
        return fit(*args, **more)

    monkeypatch.setattr(training, "fit_classifier", slow)
    after = case.answer([30], by="bob")
    fitting = threading.Thread(target=case.order)
    fitting.start()
    assert entered.wait(10)
    assert case.order(after_seq=after).scores is old, "who comes while it is fitted takes what there is"
    go.set()
    fitting.join()
    assert case.order().scores.seq == after


def test_several_are_dealt_different_pictures_from_one_choice(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.answer(list(range(10)))
    case.answer(list(range(10, 20)), by="bob")
    case.scores()
    chosen, suggest = [], live_module.suggest
    monkeypatch.setattr(live_module, "suggest", lambda *args: chosen.append(1) or suggest(*args))
    shown = np.ones(120, bool)

    def deal() -> set[str]:
        asked = ("photos", case.question.id, "looks", "useful", 8)
        return {pick.uid for pick in case.live.deal(*asked, shown, shown, False, lambda: shown).items}

    hands = [deal() for _ in range(4)]
    assert len(chosen) == 1
    assert len(set.union(*hands)) == 32
    assert not set.union(*hands) & {case.space.uids[row] for row in range(20)}

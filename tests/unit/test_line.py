"""Requests of several threads written together: each gets its own, and nobody bears another's mistake."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from explorer.catalog.line import Line
from explorer.errors import Unavailable


def test_those_who_wait_are_written_together_and_each_hears_of_its_own() -> None:
    first, go, written = threading.Event(), threading.Event(), []

    def write(events: Sequence[int]) -> list[str]:
        written.append(list(events))
        first.set()
        assert go.wait(10)
        if 13 in events:
            raise ValueError("13 is refused")
        return [f"<{each}>" for each in events]

    line = Line(write)
    with ThreadPoolExecutor(8) as pool:
        alone = pool.submit(line.put, [1])
        assert first.wait(10)
        others = [pool.submit(line.put, events) for events in ([2, 3], [], [4])]
        while len(line._line) < 3:
            threading.Event().wait(0.01)
        go.set()
        assert alone.result() == ["<1>"]
        assert [each.result() for each in others] == [["<2>", "<3>"], [], ["<4>"]]
        assert len(written) == 2
        assert sorted(written[1]) == [2, 3, 4]

        first.clear()
        go.clear()
        alone = pool.submit(line.put, [5])
        assert first.wait(10)
        good, bad = pool.submit(line.put, [6]), pool.submit(line.put, [13])
        while len(line._line) < 2:
            threading.Event().wait(0.01)
        go.set()
        assert good.result() == ["<6>"]
        with pytest.raises(ValueError, match="refused"):
            bad.result()
        assert line.put([7]) == ["<7>"]


def test_a_database_that_is_away_is_waited_for_once_for_all_who_wait() -> None:
    first, go, tried = threading.Event(), threading.Event(), []

    def write(events: Sequence[int]) -> list[int]:
        tried.append(list(events))
        first.set()
        assert go.wait(10)
        raise Unavailable("The database is away.")

    line = Line(write)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(line.put, [0])]
        assert first.wait(10)
        waiting += [pool.submit(line.put, [number]) for number in range(1, 6)]
        while len(line._line) < 5:
            threading.Event().wait(0.01)
        go.set()
        for each in waiting:
            with pytest.raises(Unavailable):
                each.result()
    assert len(tried) == 2

"""The benchmark of search on a small collection: every figure is there, and its table says it."""

from pathlib import Path

import pytest

from benchmarks import search
from explorer.space import append


def test_search_and_append_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"N": 3_000, "SIZE": "3k", "D": 64, "WIDE": 96, "ADDED": 50, "TIMED": 2, "ASKED": 10}.items():
        monkeypatch.setattr(search, name, value)
    monkeypatch.setattr(append, "FEWEST", 1_000)
    monkeypatch.setenv("EXPLORER_BENCH_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("EXPLORER_BENCH_PARTS", "search,wide,hnswlib,usearch,append")
    result = search.run()
    figures = result["figures"]
    names = [f"{figure}.{size}" for figure in ("ratio_to_flat", "recall10", "p50_ms") for size in ("3k", "3k.96")]
    assert set(figures) == {*names, "append_1000_s.3k", "hnswlib_break_even_queries"}
    assert figures["recall10.3k"] == figures["recall10.3k.96"] == 1
    assert result["detail"]["append"]["recall15_of_new"] > 0.9
    table = search.markdown(result)
    assert "| 3,000 × 64 | codes |" in table
    assert "hnswlib, 3,000:" in table
    assert "pictures added to 3,000" in table
    again = search.run()
    assert again["figures"].keys() == figures.keys(), "the collection is as it was"

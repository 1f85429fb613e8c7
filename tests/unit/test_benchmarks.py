"""`python -m benchmarks`: what it prints and writes, on a benchmark made here."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import layers
from benchmarks.machine import commit, machine

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A benchmark called tiny_example, and results in a folder of this test's own."""
    import types

    module = types.ModuleType("benchmarks.tiny_example")
    module.TARGETS = {"fast_per_s": ">= 60", "slow_s": "<= 4", "left": "= 0", "never": "<= 1"}
    module.run = lambda: {"figures": {"fast_per_s": 90, "slow_s": 5, "left": 0, "free": 7}, "detail": {"why": "so"}}
    monkeypatch.setitem(sys.modules, "benchmarks.tiny_example", module)
    monkeypatch.setattr(command, "benchmarks", lambda: {"tiny_example": "an example"})
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_json_is_the_last_line_and_whole(tiny, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "tiny_example", "--json"])
    assert command.main() == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found) == {"name", "machine", "commit", "figures", "detail"}
    assert found["figures"] == {"fast_per_s": 90, "slow_s": 5, "left": 0, "free": 7}
    assert found["detail"]["why"] == "so"
    assert not tiny.exists()


def test_the_table_says_what_was_kept_and_a_plot_is_written(tiny, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "tiny_example"])
    with ThreadPoolExecutor(1) as thread:  # Playwright is one a thread, and this one may drive another test's browser
        assert thread.submit(command.main).result() == 1  # slow_s misses its target
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert lines["fast_per_s"].endswith("kept")
    assert lines["slow_s"].endswith("MISSED")
    assert lines["left"].endswith("kept")
    assert "not measured" in lines["never"]
    assert "fast_per_s" in (tiny / "tiny_example.html").read_text()
    assert (tiny / "plotly.min.js").exists()  # beside it: nothing is fetched when it is opened


def test_a_table_is_put_into_the_readme_and_nothing_else_is_touched(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- layers -->\nold\n<!-- end layers -->\nafter\n", encoding="utf-8")
    figures = {f"probe_10.{layer}.{name}": 0.5 for layer in ("block0", "pooled") for name in layers.COLLECTIONS}
    command.quote("layers", layers.markdown({"figures": figures}), readme)
    text = readme.read_text(encoding="utf-8")
    assert "old" not in text
    assert "| block0 | .50 | .50 | .50 |\n| the end | .50 | .50 | .50 |\n<!-- end layers -->\nafter\n" in text
    assert text.startswith("before\n")
    with pytest.raises(ValueError, match="extractors"):
        command.quote("extractors", "anything", readme)


def test_the_machine_and_the_commit_are_named():
    found = machine()
    assert found["cores"] >= 1
    assert found["memory_gb"] > 0
    assert found["libraries"]["numpy"]
    assert commit()


def test_an_unknown_benchmark_names_those_there_are():
    done = subprocess.run([sys.executable, "-m", "benchmarks", "nope"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "There is no benchmark 'nope'" in done.stderr

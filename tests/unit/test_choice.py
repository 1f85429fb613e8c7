"""Where a network runs: the fastest by a trial that still says what PyTorch says, and from then on always there."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from explorer.collection.costs import runs_here
from explorer.collection.dataset import Dataset
from explorer.durable import write_json
from explorer.extractors import backends
from explorer.extractors.backends import processor
from explorer.extractors.choice import Trial, best_network, choose, least_cosine, trials_of
from explorer.processing import process
from explorer.status import library
from explorer.workspace import Workspace
from tests.unit.block_means import BlockMeans, put

FAST, EXACT, PLAIN = (
    Trial("openvino", "bf16", 300.0, 0.996),
    Trial("openvino", "fp32", 100.0, 1.0),
    Trial("torch-cpu", "fp32", 30.0, 1.0),
)


def test_the_fastest_that_is_near_enough_is_chosen() -> None:
    assert choose([FAST, EXACT, PLAIN]) == FAST
    assert choose([FAST, EXACT, PLAIN], exact=True) == EXACT
    assert choose([Trial("openvino", "bf16", 300.0, 0.9899), EXACT, PLAIN]) == EXACT
    assert choose([Trial("openvino", "bf16", 300.0, -1.0), Trial("openvino", "fp32", 99.0, 0.5), PLAIN]) == PLAIN
    assert choose([FAST, EXACT, Trial("torch-cuda", "fp32", 2_000.0, 0.9999)]).backend == "torch-cuda"
    near = Trial("torch-cpu", "fp32", 320.0, 1.0)
    assert choose([FAST, EXACT, near]) == FAST, "not for less than what a busy machine makes of a trial"


def test_no_direction_is_like_no_other_and_what_is_not_finite_like_nothing() -> None:
    rows = np.array([[1.0, 2.0], [0.0, 0.0]])
    assert least_cosine(rows, 2 * rows) == pytest.approx(1)
    assert least_cosine(rows, np.array([[1.0, 2.0], [1.0, 0.0]])) == 0
    assert least_cosine(rows, np.array([[1.0, np.nan], [0.0, 0.0]])) == -1


class Square(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(12, 12, generator=torch.Generator().manual_seed(0)))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return (batch @ self.weight).relu()


@pytest.mark.skipif(not backends.has_openvino(), reason="needs OpenVINO")
def test_it_is_tried_once_for_a_processor_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def build() -> torch.nn.Module:
        built.append(1)
        return Square()

    example = np.random.default_rng(0).normal(size=(8, 12)).astype(np.float32)
    first = best_network("square-pooled-b8", "w" * 32, build, example, tmp_path, exact=False)
    trials = trials_of(tmp_path, "square")
    assert (first.backend, first.precision) == (choose(trials).backend, choose(trials).precision)
    assert [each.precision for each in trials][-2:] == ["fp32", "fp32"]
    assert all(each.per_second > 0 and each.cosine >= 0.99 for each in trials)
    (file,) = tmp_path.glob("*.json")
    (tried,) = json.loads(file.read_text()).values()
    slow = [{**each, "per_second": 1.0 if each["backend"] == "openvino" else 9.0} for each in tried]
    file.write_text(json.dumps({processor(): slow}))
    again = best_network("square-pooled-b8", "w" * 32, build, example, tmp_path, exact=True)
    assert again.backend.startswith("torch"), "what was measured decides, not what is tried again"
    assert len(built) == 2
    np.testing.assert_allclose(again(example), Square()(torch.from_numpy(example)).numpy(), atol=1e-5)
    monkeypatch.setattr("explorer.extractors.choice.processor", lambda: "another")
    assert trials_of(tmp_path, "square") == []
    best_network("square-pooled-b8", "w" * 32, build, example, tmp_path, exact=True)
    assert len(built) == 3
    assert set(json.loads(file.read_text())) == {processor(), "another"}
    file.write_text("{")
    assert trials_of(tmp_path, "square") == []


def test_the_library_says_what_it_runs_with_here(workspace: Workspace) -> None:
    assert runs_here("lite0", workspace) == ""
    trials = [asdict(each) for each in (FAST, EXACT, PLAIN)]
    write_json(workspace.models / "lite0-pooled-b8-0123-ov1.json", {processor(): trials})
    told = "half precision (OpenVINO bf16), 10 times as fast as PyTorch, .996 alike"
    assert runs_here("lite0", workspace) == runs_here("lite0@block2", workspace) == told
    assert {each["name"]: each["runs_here"] for each in library(workspace)}["lite0"] == told


def test_what_was_computed_exactly_stays_so(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(name: str, models_dir: Path, exact: bool = False) -> BlockMeans:
        extractor = BlockMeans()
        extractor.spec = replace(extractor.spec, precision="fp32" if exact else "bf16")
        return extractor

    monkeypatch.setattr("explorer.processing.load", loaded)
    put(tmp_path / "pictures", range(3))
    source = {"kind": "folder", "path": str(tmp_path / "pictures")}
    dataset = Dataset.create(workspace, "Photos", source, "photos")
    for number, args in enumerate([{"exact": True}, {}]):
        put(tmp_path / "pictures", range(3 + number))
        process(workspace, "photos", {"extractors": ["blocks"], "build": False, **args}, lambda _: None, lambda: False)
    (spec,) = dataset.feature_specs()
    assert (spec.precision, len(dataset.features(spec))) == ("fp32", 4)

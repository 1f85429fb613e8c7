"""Embedding on several machines: two nodes of a Ray cluster on this one, and one of them is killed."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from explorer.collection.dataset import Dataset
from explorer.collection.embedding import embed
from explorer.engine_ray import embed_with_ray
from explorer.errors import Missing
from explorer.extractors import load
from tests.unit.block_means import made, put

COUNT, BATCH = 300, 20
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Two nodes of one processor each."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    import ray
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    started.second = started.add_node(num_cpus=1)
    monkeypatch.setenv("RAY_ADDRESS", started.address)
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.mark.skipif(sys.platform == "win32", reason="clusters of several nodes are tried on Linux")
def test_a_node_that_is_killed_loses_nothing(tmp_path: Path, cluster: object) -> None:
    place = tmp_path / "pictures"
    put(place, range(COUNT))
    (place / "00100.jpg").write_bytes(b"text")
    alone, dataset = made(tmp_path, place, "alone"), made(tmp_path, place, "cluster")
    extractors = {name: load(name) for name in ("phash", "pixels")}
    embed(alone, list(extractors.values()))
    killed = threading.Event()

    def progress(told: object) -> None:
        if getattr(told, "done", 0) >= BATCH and not killed.is_set():
            killed.set()
            threading.Thread(
                target=lambda: cluster.remove_node(cluster.second, allow_graceful=False)  # type: ignore[attr-defined]
            ).start()

    report = embed_with_ray(dataset, extractors, tmp_path / "models", progress, rows=BATCH)
    assert killed.is_set()
    assert (report.embedded, report.problems) == (COUNT - 1, 1)
    _same(alone, dataset)
    assert not (dataset.root / "ray").exists()
    for each in extractors.values():
        assert dataset.features(each.spec).verify() == []
    # what one machine adds later stands behind it
    put(place, range(1000, 1010), "new")
    for each in (alone, dataset):
        each.rescan()
        assert embed(each, list(extractors.values())).embedded == 10
    _same(alone, dataset)


def _same(alone: Dataset, dataset: Dataset) -> None:
    names = alone.present()["content_hash"].tolist()
    assert dataset.present()["content_hash"].tolist() == names
    for spec in alone.feature_specs():
        assert np.array_equal(alone.features(spec).get(names), dataset.features(spec).get(names))
    assert all(alone.pictures.get(name) == dataset.pictures.get(name) for name in names)
    assert dataset.pictures.damaged() == []
    assert set(dataset.pictures.problems()) == set(alone.pictures.problems())


def test_without_ray_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "pictures", range(1))
    dataset = made(tmp_path, tmp_path / "pictures")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Missing, match=r"pip install \"ray\[data\]\""):
        embed_with_ray(dataset, {"phash": load("phash")}, tmp_path / "models")

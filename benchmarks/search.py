"""One search among a million pictures beside FAISS, hnswlib and usearch, and what adding a thousand pictures costs.

All vectors are of length one and in memory (page cache), compiled loops were run before, and the arms take turns query
by query. FAISS's IndexFlatIP is the exact comparison with everything that a query is measured against; recall counts
the ten that it finds. The peers get the same vectors, as many threads as there are cores to build, and the least effort
at a query that finds as many as ours.
"""

import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.collections import ROOT

N = int(os.environ.get("EXPLORER_BENCH_ROWS", 1_000_000))
"""Can be lowered for trying out."""
SIZE = f"{N // 1_000_000}m" if N % 1_000_000 == 0 else f"{N // 1_000}k"
D, WIDE = 512, 1_280
TARGETS = {
    "ratio_to_flat.1m": ">= 10",
    "recall10.1m": ">= 0.98",
    "append_1000_s.1m": "<= 5",
    "hnswlib_break_even_queries": ">= 50000",
}
K, ASKED, TIMED, ADDED = 10, 100, 30, 1_000
EFFORTS = (20, 50, 100, 200, 400, 800)

Ask = Callable[[np.ndarray], np.ndarray]


def run() -> dict[str, Any]:
    """EXPLORER_BENCH_WORKSPACE keeps the collection (4 GB; the wide vectors, 6 GB, are made anew each time);
    EXPLORER_BENCH_PARTS names what is measured, of "search", "wide", "fashion", "hnswlib", "usearch" and
    "append"; each of the two peers builds for a quarter of an hour and more."""
    from benchmarks.growing import collection
    from explorer.space.codes import warm
    from explorer.workspace import Workspace

    parts = os.environ.get("EXPLORER_BENCH_PARTS", "search,wide,fashion,hnswlib,usearch,append").split(",")
    peers = [name for name in ("hnswlib", "usearch") if name in parts]
    root = Path(os.environ.get("EXPLORER_BENCH_WORKSPACE") or ROOT / "build" / "benchmarks") / "search"
    root.mkdir(parents=True, exist_ok=True)
    warm()
    dataset, recipe, more = collection(Workspace(root), N, D, ADDED)
    figures: dict[str, float] = {}
    detail: dict[str, Any] = {}
    folder = dataset.root / "spaces" / recipe.key / "g000001"
    if "append" in parts:
        figures[f"append_1000_s.{SIZE}"], detail["append"] = _append(root, dataset.root, more)
    if "search" in parts or peers:
        vectors = np.load(folder / "vectors.f32.npy", mmap_mode="r")[:N]
        found = _measured(vectors, folder, SIZE, peers)
        figures |= found["figures"]
        detail[SIZE] = found["detail"]
    if "fashion" in parts:
        from benchmarks.vectors import fashion

        found = _measured(np.asarray(fashion()), None, "70k_fashion", [])
        figures |= found["figures"]
        detail["70k_fashion"] = found["detail"]
    if "wide" in parts:
        with tempfile.TemporaryDirectory(dir=root, prefix="wide-") as place:
            found = _measured(_wide(Path(place) / "wide.npy"), None, f"{SIZE}.{WIDE}", [])
        figures |= found["figures"]
        detail[f"{SIZE}.{WIDE}"] = found["detail"]
    return {"figures": figures, "detail": detail}


def _wide(path: Path) -> np.ndarray:
    """(N, WIDE) float32, mapped: a hundredth at a time, so that they need not all be in memory."""
    from benchmarks.synthetic import vectors_of

    vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(N, WIDE))
    step = -(-N // 20)
    for number, start in enumerate(range(0, N, step)):
        vectors[start : start + step] = vectors_of(min(step, N - start), WIDE, seed=number)
    return np.load(path, mmap_mode="r")


def _queries(vectors: np.ndarray) -> np.ndarray:
    """(ASKED, d): half of them rows, half between two rows that are near each other."""
    rng = np.random.default_rng(5)
    rows = np.sort(rng.choice(len(vectors), ASKED, replace=False))
    asked = np.array(vectors[rows])
    asked[1::2] += 0.5 / np.sqrt(vectors.shape[1]) * rng.standard_normal(asked[1::2].shape, dtype=np.float32)
    return np.asarray(asked / np.linalg.norm(asked, axis=1, keepdims=True), np.float32)


def _measured(vectors: np.ndarray, folder: Path | None, name: str, peers: list[str]) -> dict[str, Any]:
    import faiss

    from explorer.extractors.backends import usable_cores
    from explorer.space import index
    from explorer.space.codes import Codes

    start = time.perf_counter()
    n, d = vectors.shape
    codes = (Codes.open(folder, d, n) if folder else None) or Codes.of(vectors)
    made = time.perf_counter() - start
    if folder:
        start = time.perf_counter()
        Codes.of(vectors)
        made = time.perf_counter() - start
    start = time.perf_counter()
    codes.signs  # noqa: B018
    made += time.perf_counter() - start
    queries = _queries(vectors)
    flat = np.ascontiguousarray(vectors) if vectors.nbytes < 3e9 else vectors

    def everything(query: np.ndarray) -> np.ndarray:
        return faiss.knn(query[None], flat, K, metric=faiss.METRIC_INNER_PRODUCT)[1][0]

    arms: dict[str, Ask] = {
        "own": lambda query: index.search(codes, vectors, query, K)[0],
        "flat": everything,
        "codes": lambda query: codes.top(query, K, vectors),
        "signs": lambda query: _signs(codes, vectors, query),
    }
    seconds = _in_turn(arms, queries)
    _, truth = faiss.knn(queries, flat, K, metric=faiss.METRIC_INNER_PRODUCT)
    recall = {arm: _recall(ask, queries, truth) for arm, ask in arms.items() if arm != "flat"}
    p50 = {arm: float(np.median(times)) for arm, times in seconds.items()}
    figures = {
        f"ratio_to_flat.{name}": p50["flat"] / p50["own"],
        f"recall10.{name}": recall["own"],
        f"p50_ms.{name}": 1_000 * p50["own"],
    }
    detail: dict[str, Any] = {
        "rows": n,
        "numbers": d,
        "picked": "codes" if n * d <= index.EXACT else "signs",
        "p50_ms": {arm: round(1_000 * value, 2) for arm, value in p50.items()},
        "p95_ms": {arm: round(1_000 * float(np.percentile(times, 95)), 2) for arm, times in seconds.items()},
        "recall10": {arm: round(value, 4) for arm, value in recall.items()},
        "index_built_s": round(made, 2),
    }
    if peers:
        found = _peers(peers, flat, queries, truth, recall["own"])
        detail["peers"] = found
    if "hnswlib" in peers:
        other = found["hnswlib"]
        saved = p50["own"] - other["p50_ms"] / 1_000
        built = other["built_cpu_s"] / usable_cores()  # seconds of the processor: a busy machine is not held against it
        figures["hnswlib_break_even_queries"] = (built - made) / saved if saved > 0 else np.inf
    return {"figures": figures, "detail": detail}


def _signs(codes: Any, vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    from explorer.space import index

    before = index.EXACT
    index.EXACT = 0
    try:
        return index.search(codes, vectors, query, K)[0]
    finally:
        index.EXACT = before


def _in_turn(arms: dict[str, Ask], queries: np.ndarray) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {arm: [] for arm in arms}
    for ask in arms.values():
        ask(queries[-1])
    for query in queries[:TIMED]:
        for arm, ask in arms.items():
            start = time.perf_counter()
            ask(query)
            times[arm].append(time.perf_counter() - start)
    return times


def _recall(ask: Ask, queries: np.ndarray, truth: np.ndarray) -> float:
    return float(
        np.mean(
            [
                len(set(ask(query).tolist()) & set(right.tolist())) / K
                for query, right in zip(queries, truth, strict=True)
            ]
        )
    )


def _peers(
    names: list[str], vectors: np.ndarray, queries: np.ndarray, truth: np.ndarray, wanted: float
) -> dict[str, Any]:
    """hnswlib and usearch, at their own defaults of 16 links; the least effort at a query that finds as many as
    `wanted`, or the most there is."""
    import hnswlib
    from usearch.index import Index

    n, d = vectors.shape
    from explorer.extractors.backends import usable_cores

    cores = usable_cores()
    asked = (n, cores, vectors, queries, truth, wanted)
    found = {}
    if "hnswlib" in names:
        found["hnswlib"] = _hnswlib(hnswlib.Index("ip", d), *asked)
    if "usearch" in names:
        found["usearch"] = _usearch(Index(ndim=d, metric="ip", dtype="f32"), *asked)
    return found


def _hnswlib(graph: Any, n: int, cores: int, vectors: np.ndarray, *asked: Any) -> dict[str, Any]:
    graph.init_index(n)  # M=16, ef_construction=200
    graph.set_num_threads(cores)

    def ask(query: np.ndarray) -> np.ndarray:
        return np.asarray(graph.knn_query(query[None], K, num_threads=1)[0][0])

    return _peer(lambda: graph.add_items(vectors), graph.set_ef, ask, *asked)


def _usearch(graph: Any, n: int, cores: int, vectors: np.ndarray, *asked: Any) -> dict[str, Any]:
    def effort(value: int) -> None:
        graph.expansion_search = value

    def ask(query: np.ndarray) -> np.ndarray:
        return np.asarray(graph.search(query, K).keys)

    return _peer(lambda: graph.add(np.arange(n), vectors, threads=cores), effort, ask, *asked)


def _peer(
    build: Callable[[], Any],
    effort: Callable[[int], None],
    ask: Ask,
    queries: np.ndarray,
    truth: np.ndarray,
    wanted: float,
) -> dict[str, Any]:
    start, before = time.perf_counter(), _processor_seconds()
    build()
    built, spent = time.perf_counter() - start, _processor_seconds() - before
    for value in EFFORTS:
        effort(value)
        recall = _recall(ask, queries, truth)
        if recall >= wanted:
            break
    p50 = float(np.median(_in_turn({"it": ask}, queries)["it"]))
    return {
        "built_s": round(built, 1),
        "built_cpu_s": round(spent, 1),
        "effort": value,
        "recall10": round(recall, 4),
        "p50_ms": round(1_000 * p50, 3),
    }


def _append(root: Path, source: Path, more: np.ndarray) -> tuple[float, dict[str, Any]]:
    """Seconds from the call that builds the next generation until the last of the new pictures is found in it. Their
    features are there: seeing them is `embed`'s figure. On a linked copy of the collection, which is thrown away."""
    from benchmarks.growing import grow
    from benchmarks.synthetic import RECIPE
    from explorer.collection.dataset import Dataset
    from explorer.space.build import build_space
    from explorer.workspace import Workspace

    with tempfile.TemporaryDirectory(dir=root, prefix="append-") as place:
        shutil.copytree(source, Path(place) / source.name, copy_function=os.link)
        workspace = Workspace(Path(place))
        grow(Dataset.open(workspace, source.name), more)
        dataset = Dataset.open(workspace, source.name)
        stages: list[tuple[str, float]] = []
        before = _processor_seconds()
        start = time.perf_counter()
        space = build_space(
            dataset, RECIPE, lambda progress: stages.append((progress.stage, time.perf_counter() - start))
        )
        built = time.perf_counter() - start
        rows, _ = space.search(len(space) - 1, K)
        seconds, spent = time.perf_counter() - start, _processor_seconds() - before
        assert len(space) == N + ADDED
        assert rows[0] == N + ADDED - 1
        graph = _graph_recall(space)
    return seconds, {
        "built_s": round(built, 2),
        "cpu_s": round(spent, 2),
        "stages_at_s": {stage: round(at, 2) for stage, at in stages},
        "recall15_of_new": graph,
    }


def _graph_recall(space: Any) -> float:
    """Of 50 of the new pictures' neighbours, how many of the true 15 are there."""
    import faiss

    rows = np.arange(N, N + ADDED, ADDED // 50)
    _, truth = faiss.knn(np.array(space.vectors[rows]), space.vectors, 16, metric=faiss.METRIC_INNER_PRODUCT)
    right = [set(some.tolist()) - {row} for some, row in zip(truth, rows.tolist(), strict=True)]
    found = [set(some.tolist()) for some in np.asarray(space.neighbours[rows])]
    return float(np.mean([len(a & b) / len(a) for a, b in zip(right, found, strict=True)]))


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def markdown(result: dict[str, Any]) -> str:
    """A row for each collection, and sentences on the peers and on adding."""
    figures = result["figures"]
    detail = {key: one for key, one in result["detail"].items() if isinstance(one, dict)}
    lines = [
        "| pictures × numbers | looked at | ms a search | FAISS IndexFlatIP | times as fast | recall@10 |",
        "|---|---|---|---|---|---|",
    ]
    for key, one in detail.items():
        if "p50_ms" in one:
            lines.append(
                f"| {one['rows']:,} × {one['numbers']:,} | {one['picked']} | {one['p50_ms']['own']:.1f} "
                f"| {one['p50_ms']['flat']:.0f} | {figures[f'ratio_to_flat.{key}']:.0f} "
                f"| {figures[f'recall10.{key}']:.3f} |"
            )
    for one in detail.values():
        for peer, told in one.get("peers", {}).items():
            lines.append(
                f"\n{peer}, {one['rows']:,}: {told['built_cpu_s']:,.0f} processor seconds to build, "
                f"{told['p50_ms']:.2f} ms a search at recall {told['recall10']:.3f}."
            )
    if "hnswlib_break_even_queries" in figures:
        lines.append(
            f"\nhnswlib would have cost less after {figures['hnswlib_break_even_queries']:,.0f} searches, if nothing "
            "is added meanwhile."
        )
    if f"append_1000_s.{SIZE}" in figures:
        lines.append(
            f"\n{ADDED:,} pictures added to {N:,}: {figures[f'append_1000_s.{SIZE}']:.1f} s until they are found, "
            f"{detail['append']['recall15_of_new']:.0%} of their 15 neighbours right."
        )
    return "\n".join(lines)

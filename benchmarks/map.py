"""The map beside umap-learn and PaCMAP: how long from vectors to places, what stays near, and a million in one go.

Every arm runs in a process of its own and is timed from its start to its end: the interpreter, the imports and the
reading of the vectors count. Cold: nothing compiled is on the disk (NUMBA_CACHE_DIR is an empty folder). Warm: the same
once more. The vectors are in the page cache. The peers are left at their defaults (umap-learn without a seed, which is
how it uses all cores; its metric is set to cosine); PaCMAP knows no cosine and gets the same vectors, of length one, on
which its Euclidean distance orders alike.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.collections import ROOT, kept_workspace

if TYPE_CHECKING:
    import plotly.graph_objects as go

TARGETS = {
    "ratio_to_umap.70k": ">= 4",
    "ratio_to_umap.70k_cold": ">= 4",
    "trust_loss.70k": "<= 0.01",
    "knn_kept_loss.70k": "<= 0.01",
    "trust_loss.10k": "<= 0.01",
    "knn_kept_loss.10k": "<= 0.01",
    "full_1m_s": "<= 900",
}
ROWS, MILLION, D = (int(n) for n in os.environ.get("EXPLORER_BENCH_MAP", "70000,1000000,512").split(","))
"""Sizes can be lowered for trying out: pictures of Fashion-MNIST, and made vectors and how long those are."""
K, ASKED = 15, 1_500
ARMS = ("own", "umap", "pacmap")
SMALL = ("10k", "clipart")


def run() -> dict[str, Any]:
    """Quality on three collections, time on the largest of them, then everything at a million."""
    from benchmarks.vectors import clipart, fashion, fashion_classes

    figures: dict[str, float] = {}
    detail: dict[str, Any] = {"quality": {}, "wall_seconds": {}, "cpu_seconds": {}}
    everything = fashion()
    with tempfile.TemporaryDirectory(prefix="explorer-map-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        sizes = {"70k": _some(everything, ROWS), "10k": _some(everything, ROWS // 7), "clipart": np.asarray(clipart())}
        for name, vectors in sizes.items():
            np.save(folder / f"{name}.npy", vectors)
            for arm in ARMS:
                caches = folder / f"compiled-{arm}"
                taken = {"cold": _timed(arm, folder, name, caches)} if name == "70k" else {}
                taken["warm"] = _timed(arm, folder, name, caches)
                detail["wall_seconds"][f"{arm}.{name}"] = {state: wall for state, (wall, _) in taken.items()}
                detail["cpu_seconds"][f"{arm}.{name}"] = {state: cpu for state, (_, cpu) in taken.items()}
                kept, trust = quality(vectors, np.load(folder / f"{name}-{arm}.npy"))
                detail["quality"][f"{arm}.{name}"] = {"knn_kept": kept, "trust": trust}
            found = {arm: detail["quality"][f"{arm}.{name}"] for arm in ARMS}
            figures[f"trust_loss.{name}"] = found["umap"]["trust"] - found["own"]["trust"]
            figures[f"knn_kept_loss.{name}"] = found["umap"]["knn_kept"] - found["own"]["knn_kept"]
            figures[f"knn_kept.{name}"] = found["own"]["knn_kept"]
        times = {arm: detail["wall_seconds"][f"{arm}.70k"] for arm in ARMS}
        for arm in ARMS[1:]:
            figures[f"ratio_to_{arm}.70k"] = times[arm]["warm"] / times["own"]["warm"]
            figures[f"ratio_to_{arm}.70k_cold"] = times[arm]["cold"] / times["own"]["cold"]
        figures["map_70k_s"] = times["own"]["warm"]
        detail["maps"] = {arm: _drawn(np.load(folder / f"70k-{arm}.npy")).round(3).tolist() for arm in ARMS}
        detail["classes"] = _drawn(_some(fashion_classes(), ROWS)).tolist()
    steps = million()
    figures["full_1m_s"] = sum(steps["seconds"].values())
    figures["recall15.1m"] = steps["recall15"]
    detail["million"] = steps
    return {"figures": figures, "detail": detail}


def _some(vectors: np.ndarray, n: int) -> np.ndarray:
    """n rows drawn from all, in order."""
    rows = np.random.default_rng(0).permutation(len(vectors))[:n]
    return np.ascontiguousarray(vectors[np.sort(rows)])


def _timed(arm: str, folder: Path, name: str, caches: Path) -> tuple[float, float]:
    """Seconds, and seconds of processor, of a process of its own from FOLDER/NAME.npy to FOLDER/NAME-ARM.npy."""
    start, before = time.perf_counter(), os.times()
    _process(f"lay_out({arm!r}, {str(folder / name)!r})", caches)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, used


def _process(call: str, caches: Path | None = None) -> str:
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": str(caches)} if caches else {})}
    command = [sys.executable, "-W", "ignore", "-c", f"from benchmarks.map import *; {call}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{call} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def lay_out(arm: str, path: str) -> None:
    """The work of one arm: PATH.npy (n, d) to PATH-ARM.npy (n, 2)."""
    vectors = np.load(f"{path}.npy")
    if arm == "own":
        from explorer.space.graph import neighbour_graph
        from explorer.space.projection import project

        xy = project(vectors, *neighbour_graph(vectors))
    elif arm == "umap":
        import umap

        xy = umap.UMAP(metric="cosine").fit_transform(vectors)
    else:
        import pacmap

        xy = pacmap.PaCMAP().fit_transform(vectors)
    np.save(f"{path}-{arm}.npy", np.asarray(xy, np.float32))


def quality(vectors: np.ndarray, xy: np.ndarray) -> tuple[float, float]:
    """The share of the K nearest in (n, d) that are among the K nearest in (n, 2), and trustworthiness (Venna & Kaski,
    2001), both over ASKED rows drawn from all and compared with all."""
    from scipy.spatial import cKDTree

    n = len(vectors)
    rows = np.sort(np.random.default_rng(1).choice(n, min(n, ASKED), replace=False))
    around = cKDTree(xy).query(xy[rows], K + 1)[1]
    kept, beyond = 0, 0
    for start in range(0, len(rows), 100):
        some = rows[start : start + 100]
        scores = vectors[some] @ vectors.T
        scores[np.arange(len(some)), some] = -2
        for row, score, found in zip(some.tolist(), scores, around[start : start + 100], strict=True):
            others = found[found != row][:K]
            ranks = 1 + (score[None] > score[others][:, None]).sum(axis=1)
            kept += int((ranks <= K).sum())
            beyond += int(np.maximum(ranks - K, 0).sum())
    asked = len(rows) * K
    return kept / asked, 1 - 2 * beyond / (asked * (2 * n - 3 * K - 1))


def million() -> dict[str, Any]:
    """Seconds of each step from MILLION vectors to the map, both groupings and the odd ones out, in a process of its
    own with warm caches; and the graph's recall@15."""
    made(MILLION, D)
    _process("every_step(2_000, 64)")
    found: dict[str, Any] = json.loads(_process(f"every_step({MILLION}, {D})").splitlines()[-1])
    return found


def made(n: int, d: int) -> np.ndarray:
    """(n, d) vectors of the generator, memory-mapped; made once."""
    from benchmarks.synthetic import vectors_of

    path = kept_workspace().root / f"made-{n}-{d}.npy"
    if not path.exists():
        np.save(path.with_suffix(".part.npy"), vectors_of(n, d))
        path.with_suffix(".part.npy").rename(path)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def every_step(n: int, d: int) -> None:
    """Print, as JSON, what `steps` finds for n made vectors, and the recall@15 of the graph."""
    import resource

    vectors = made(n, d)
    seconds, cpu, near = steps(vectors)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"n": n, "d": d, "seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak}
    print(json.dumps(found | {"recall15": recall(vectors, near)}))


def steps(vectors: np.ndarray) -> tuple[dict[str, float], dict[str, float], np.ndarray]:
    """Seconds and seconds of processor of each step of a build that looks at vectors only, as a build does them, and
    the (n, 15) graph."""
    from explorer.space import clusters, graph, outliers, projection

    seconds, cpu, last = {}, {}, (time.perf_counter(), time.process_time())

    def note(step: str) -> None:
        nonlocal last
        now = time.perf_counter(), time.process_time()
        seconds[step], cpu[step] = now[0] - last[0], now[1] - last[1]
        last = now

    rows, distances = graph.neighbour_graph(vectors, outliers.REACH)
    note("graph")
    near = np.ascontiguousarray(rows[:, : graph.NEIGHBOURS])
    xy = projection.project(vectors, near, np.ascontiguousarray(distances[:, : graph.NEIGHBOURS]))
    note("map")
    clusters.kmeans(vectors)
    note("even groups")
    clusters.dense_groups(xy)
    note("dense groups")
    outliers.outlier_table(vectors, distances)
    note("odd ones")
    return seconds, cpu, near


def recall(vectors: np.ndarray, near: np.ndarray, asked: int = 500) -> float:
    """The share of the true nearest that are in (n, k) `near`, over rows drawn from all."""
    n, k = near.shape
    right = 0
    for row in np.random.default_rng(2).choice(n, min(n, asked), replace=False):
        scores = vectors @ vectors[row]
        scores[row] = -2
        right += int((scores[near[row]] >= np.partition(scores, n - k)[n - k] - 1e-6).sum())
    return right / (min(n, asked) * k)


def _drawn(rows: np.ndarray) -> np.ndarray:
    """What the picture shows of all rows."""
    return rows[np.random.default_rng(3).choice(len(rows), min(len(rows), 12_000), replace=False)]


def plot(result: dict[str, Any]) -> "go.Figure":
    """The same pictures on the maps of all three, side by side."""
    from plotly.colors import qualitative
    from plotly.subplots import make_subplots

    names = {"own": "UMAP-like", "umap": "umap-learn", "pacmap": "PaCMAP"}
    detail = result["detail"]
    titles = [
        f"{names[arm]}: {detail['wall_seconds'][f'{arm}.70k']['warm']:.0f} s, "
        f"{detail['quality'][f'{arm}.70k']['knn_kept']:.3f} kept"
        for arm in ARMS
    ]
    chart = make_subplots(1, len(ARMS), subplot_titles=titles, horizontal_spacing=0.02)
    classes = np.array(detail["classes"])
    for column, arm in enumerate(ARMS, 1):
        places = np.array(detail["maps"][arm])
        for name, colour in zip(np.unique(classes), qualitative.T10, strict=True):
            x, y = places[classes == name].T
            marker = {"size": 2, "color": colour}
            told = {"name": name, "showlegend": column == 1}
            chart.add_scattergl(x=x, y=y, mode="markers", marker=marker, row=1, col=column, **told)
    chart.update_xaxes(visible=False).update_yaxes(visible=False)
    return chart.update_layout(
        template="plotly_white",
        width=900,
        height=400,
        legend={"orientation": "h", "y": 0, "itemsizing": "constant"},
        margin={"l": 10, "r": 10, "t": 50, "b": 10},
    )


def markdown(result: dict[str, Any]) -> str:
    """The table of README."""
    figures, detail, machine = result["figures"], result["detail"], result["machine"]
    lines = [
        f"**{figures['ratio_to_umap.70k']:.1f} times umap-learn's speed** (cold, with everything compiled anew, "
        f"{figures['ratio_to_umap.70k_cold']:.1f} times) and {figures['ratio_to_pacmap.70k']:.1f} times PaCMAP's, for "
        f"{ROWS:,} pictures of Fashion-MNIST seen by `lite0`, from vectors to places in a fresh process on "
        f"{machine['cores']} cores of {machine['cpu']}. Vectors in the page cache, compiled code on the disk.",
        "",
        "| | seconds | of 15 nearest kept | trustworthiness | the same at 10,000 | clipart, 1,470 |",
        "|---|---|---|---|---|---|",
    ]
    for arm, name in (("own", "**this map, UMAP-like**"), ("umap", "umap-learn"), ("pacmap", "PaCMAP")):
        seconds, there = detail["wall_seconds"][f"{arm}.70k"], detail["quality"]
        cells = [f"{there[f'{arm}.{size}']['knn_kept']:.3f} / {there[f'{arm}.{size}']['trust']:.3f}" for size in SMALL]
        best = there[f"{arm}.70k"]
        cells = [
            f"{seconds['warm']:.0f}",
            f"{best['knn_kept']:.3f}",
            f"{best['trust']:.3f}",
            *cells,
        ]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    steps = ", ".join(f"{step} {took:.0f} s" for step, took in detail["million"]["seconds"].items())
    lines += [
        "",
        f"A million made vectors of {detail['million']['d']} numbers: {figures['full_1m_s']:.0f} s ({steps}; "
        f"{figures['recall15.1m']:.3f} of the 15 nearest found).",
    ]
    return "\n".join(lines)

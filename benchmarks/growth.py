"""How the cost of each step of a build grows with the number of pictures, from a thousand to a million.

The exponent of a step is the slope of log seconds against log pictures (least squares over all sizes). Made vectors,
memory-mapped, in the page cache; each size in a process of its own, after one run on the smallest, so that compiling
and importing do not count; the best of three up to 10,000.

The graph of all is its own figure: each row is compared with about 16 of 2 sqrt(n) lists. The landmark route is what
a map costs without it: the graph of at most 100,000 landmarks and everyone's nearest landmarks.
"""

import json
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.map import _process, made, recall, steps

if TYPE_CHECKING:
    import plotly.graph_objects as go

TARGETS = {"worst_exponent": "<= 1.1", "exponent.full_graph": "<= 1.35", "recall15_least": ">= 0.95"}
SIZES = [int(n) for n in os.environ.get("EXPLORER_BENCH_GROWTH", "1000,10000,100000,1000000").split(",")]
"""Can be lowered for trying out."""
D, OFTEN = 512, 10_000


def run() -> dict[str, Any]:
    """Every size, every step."""
    for n in SIZES:
        made(n, D)
    measured = {
        n: json.loads(_process(f"from benchmarks import growth; growth.cost({n})").splitlines()[-1]) for n in SIZES
    }
    names = list(measured[SIZES[0]]["seconds"])
    slopes = {name: exponent({n: measured[n]["seconds"][name] for n in SIZES}) for name in names}
    worst = max((name for name in names if name != "graph"), key=lambda name: slopes[name])
    figures = {"worst_exponent": slopes[worst], "exponent.full_graph": slopes["graph"]}
    figures["recall15_least"] = min(recall for n in SIZES for recall in measured[n]["recall15"].values())
    return {"figures": figures, "detail": {"exponents": slopes, "worst": worst, "measured": measured}}


def exponent(seconds: dict[int, float]) -> float:
    """The slope of log seconds against log n."""
    return float(np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0])


def cost(n: int) -> None:
    """Print, as JSON, the seconds of each step for n made vectors and the recall@15 of both graphs."""
    both(made(min(SIZES), D))
    vectors = made(n, D)
    runs = [both(vectors) for _ in range(3 if n <= OFTEN else 1)]
    best = {name: min(seconds[name] for seconds, _ in runs) for name in runs[0][0]}
    print(json.dumps({"seconds": best, "recall15": runs[0][1]}))


def both(vectors: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of the steps of a build and of the landmark route, and recall@15 of their graphs."""
    from explorer.space.graph import NEIGHBOURS, Lists
    from explorer.space.projection import LANDMARKS

    seconds, _, near = steps(vectors)
    rng, n = np.random.default_rng(0), len(vectors)
    start = time.perf_counter()
    landmarks = vectors[np.sort(rng.choice(n, min(n, LANDMARKS), replace=False))]
    lists = Lists(landmarks)
    graph, _ = lists.nearest(landmarks, NEIGHBOURS, own=True)
    found = lists.nearest(vectors, NEIGHBOURS)[0] if n > len(landmarks) else graph
    seconds["landmark route"] = time.perf_counter() - start
    shares = {"graph": recall(vectors, near), "landmarks": recall(landmarks, graph)}
    if n > len(landmarks):
        right = 0
        asked = rng.choice(n, 300, replace=False)
        for row in asked:
            scores = landmarks @ vectors[row]
            right += int((scores[found[row]] >= np.sort(scores)[-NEIGHBOURS] - 1e-6).sum())
        shares["nearest landmarks"] = right / (len(asked) * NEIGHBOURS)
    return seconds, shares


def plot(result: dict[str, Any]) -> "go.Figure":
    """Seconds against pictures, both by powers of ten."""
    import plotly.graph_objects as go

    measured, slopes = result["detail"]["measured"], result["detail"]["exponents"]
    sizes = [int(n) for n in measured]
    chart = go.Figure()
    for name, slope in slopes.items():
        taken = [each["seconds"][name] for each in measured.values()]
        chart.add_scatter(x=sizes, y=taken, mode="lines+markers", name=f"{name}: n^{slope:.2f}")
    chart.update_xaxes(type="log", title="pictures").update_yaxes(type="log", title="seconds")
    return chart.update_layout(template="plotly_white", width=900, height=480)


def markdown(result: dict[str, Any]) -> str:
    """The table of README."""
    measured, slopes = result["detail"]["measured"], result["detail"]["exponents"]
    lines = [
        f"Nothing but the graph of all grows faster than n^{result['figures']['worst_exponent']:.2f} "
        f"({result['detail']['worst']}); the graph itself grows as n^{slopes['graph']:.2f}. At least "
        f"{result['figures']['recall15_least']:.3f} of the 15 nearest are found at every size.",
        "",
        "| seconds | " + " | ".join(f"{int(n):,}" for n in measured) + " | exponent |",
        "|---|" + "---|" * (len(measured) + 1),
    ]
    for name, slope in slopes.items():
        taken = [f"{each['seconds'][name]:.3g}" for each in measured.values()]
        lines.append(f"| {name} | " + " | ".join(taken) + f" | {slope:.2f} |")
    return "\n".join(lines)

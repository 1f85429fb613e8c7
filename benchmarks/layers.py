"""Which layer of the network tells the classes apart: ten labels a class, on each block of `lite0` and on its end."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from benchmarks.features import Seen

NETWORK = "lite0"
COLLECTIONS = ("clipart", "emoji_artwork", "emoji_category")
END = "pooled"
DRAWS = 100
"""The same labels for every layer."""


def run() -> dict[str, Any]:
    """`probe_10.LAYER.c`: balanced accuracy of ridge from ten pictures of each class, of as many different things, on
    all pictures of things that were not among them. What is nearly the same counts as one thing."""
    from dataclasses import replace

    from benchmarks.extractors import probes
    from benchmarks.features import seen
    from explorer.extractors import families

    layers = [layer for layer, _ in families()[NETWORK].layers]
    names = {**{layer: f"{NETWORK}@{layer}" for layer in layers}, END: NETWORK}
    figures: dict[str, float] = {}
    intervals: dict[str, list[float]] = {}
    best: dict[str, dict[str, Any]] = {}
    for collection, plain in seen(list(names.values()), COLLECTIONS).items():
        grouped = replace(plain, groups=_things(plain))
        right = {layer: probes(grouped, name, DRAWS) for layer, name in names.items()}
        for layer, found in right.items():
            figures[f"probe_10.{layer}.{collection}"] = float(found.mean())
            intervals[f"probe_10.{layer}.{collection}"] = _interval(found)
        first = max(right, key=lambda layer: right[layer].mean())
        lead = 100 * (right[first] - right[END])
        best[collection] = {
            "layer": first,
            "points_over_the_end": float(lead.mean()),
            "interval_95": _interval(lead),
            "pictures": len(plain.classes),
            "things": len(np.unique(grouped.groups)),
        }
    return {"figures": figures, "detail": {"intervals_95": intervals, "best": best, "draws": DRAWS}}


def _things(collection: "Seen") -> np.ndarray:
    """(n,) groups: the collection's own, joined where two pictures are nearly the same by content."""
    from benchmarks.quality import ALIKE
    from explorer.space.duplicates import joined

    vectors, groups = collection.vectors[NETWORK], collection.groups
    pairs = np.argwhere(np.triu((vectors @ vectors.T >= ALIKE) | (groups[:, None] == groups[None]), 1))
    return joined(len(groups), [(int(a), int(b)) for a, b in pairs])


def _interval(values: np.ndarray) -> list[float]:
    """Of the mean over the draws, 95 %."""
    again = np.random.default_rng(0).choice(values, (2_000, len(values))).mean(axis=1)
    return [round(float(end), 4) for end in np.percentile(again, [2.5, 97.5])]


def markdown(result: dict[str, Any]) -> str:
    """A row for each layer, from the earliest to the end."""
    figures = result["figures"]
    layers = list(dict.fromkeys(key.split(".")[1] for key in figures))
    lines = [
        f"| | {' | '.join(name.replace('_', ' ') for name in COLLECTIONS)} |",
        "|---" * (len(COLLECTIONS) + 1) + "|",
    ]
    for layer in layers:
        cells = [f"{figures[f'probe_10.{layer}.{name}']:.2f}".removeprefix("0") for name in COLLECTIONS]
        lines.append(f"| {'the end' if layer == END else layer} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(result: dict[str, Any]) -> "go.Figure":
    """A line for each collection over the layers, the earliest on the left, as in DeCAF."""
    import plotly.graph_objects as go

    from explorer.extractors import families

    words = {**dict(families()[NETWORK].layers), END: "the end"}
    titles = [text.replace(": ", ":<br>").replace(", layer", "<br>layer") for text in words.values()]
    chart = go.Figure()
    for collection in COLLECTIONS:
        keys = [f"probe_10.{layer}.{collection}" for layer in words]
        values = [result["figures"][key] for key in keys]
        edges = [result["detail"]["intervals_95"][key] for key in keys]
        bars = {
            "type": "data",
            "symmetric": False,
            "array": [edge[1] - value for edge, value in zip(edges, values, strict=True)],
            "arrayminus": [value - edge[0] for edge, value in zip(edges, values, strict=True)],
        }
        chart.add_scatter(name=collection, x=titles, y=values, error_y=bars, mode="lines+markers")
    chart.update_layout(
        title="Right with 10 labels a class, by layer (95 % intervals)",
        template="plotly_white",
        yaxis_title="balanced accuracy on the rest",
        yaxis_range=[0, 1],
        height=520,
        width=900,
    )
    return chart

"""What each extractor is good for: ten labels a class, which one is recommended from thirty, and how fast it runs."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import recommending
from benchmarks.collections import NAMES, fetched, kept_workspace
from benchmarks.features import Seen, offline, seen

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from explorer.collection.dataset import Dataset
    from explorer.extractors import Extractor

ASKED = ("artwork", "category", "clipart", "textile")
TARGETS = {
    "style_minus_content.artwork_10": ">= 5",
    "content_minus_style.category_10": ">= 5",
    **{f"recommended_wrong.{name}": "<= 0.08" for name in ASKED},
    **{f"undecided.{name}": "<= 0.3" for name in ASKED},
    **{f"joined_loss.{name}": "<= 1" for name in NAMES},
    "offline_extractors": ">= 10",
    "offline_aspects": ">= 7",
}
LABELS = 10
DRAWS = 200
"""Paired: every extractor gets the same labels."""
SECONDS, ROUNDS = 3.0, 5
"""About how long each part of a speed takes, and how often; the fastest of each counts, since the machine is shared."""
LEAST, MOST = 24, 1_500
SAME_NETWORK = {"lite1": "lite0", "lite2": "lite0"}
"""Sizes of one network count once."""


def run() -> dict[str, Any]:
    """Every figure; EXPLORER_BENCH_WORKSPACE keeps what was fetched and computed."""
    names, left_out = offline()
    families = sorted({SAME_NETWORK.get(name, name) for name in names})
    figures: dict[str, float] = {"offline_extractors": len(families), "offline_aspects": len(_aspects(families))}
    everything = seen(names)
    low_high: dict[str, list[float]] = {}
    draws: dict[tuple[str, str], np.ndarray] = {}
    for collection in everything.values():
        for name in names:
            right = probes(collection, name)
            draws[name, collection.name] = right
            figures[f"probe_10.{name}.{collection.name}"] = float(right.mean())
    for label, first, second, where in (
        ("style_minus_content.artwork_10", "style", "lite0", "emoji_artwork"),
        ("content_minus_style.category_10", "lite0", "style", "emoji_category"),
    ):
        lead = 100 * (draws[first, where] - draws[second, where])
        figures[label] = float(lead.mean())
        low_high[label] = _interval(lead)
    recommended = recommending.figures({name: each.vectors for name, each in everything.items()}, everything)
    figures |= recommended["figures"]
    speeds, parts = speed(names)
    figures |= speeds
    detail = {
        "left_out": left_out,
        "pictures": {name: len(each.classes) for name, each in everything.items()},
        "classes": {name: each.class_names for name, each in everything.items()},
        "intervals_95": low_high,
        "seconds_a_picture": parts,
        "recommending": recommended["detail"],
    }
    return {"figures": figures, "detail": detail}


def _aspects(names: list[str]) -> set[str]:
    from explorer.extractors import families

    return {families()[name].card.aspect for name in names}


def probes(collection: Seen, name: str, draws: int = DRAWS) -> np.ndarray:
    """(draws,) balanced accuracy of ridge with LABELS pictures of each class, of as many different things, on all
    pictures of things that were not among them. The draws depend on the collection alone."""
    from explorer.learning.classifier import fit_classifier

    rng = np.random.default_rng(7)
    vectors, y, groups = collection.vectors[name], collection.classes, collection.groups
    present = np.flatnonzero(np.bincount(y) >= 3 * LABELS)
    found = []
    for _ in range(draws):
        train = np.concatenate([_of_different_things(rng, np.flatnonzero(y == each), groups) for each in present])
        test = np.isin(y, present) & ~np.isin(groups, groups[train])
        guess = fit_classifier(vectors[train], y[train], y.max() + 1).scores(vectors[test]).argmax(axis=1)
        found.append(np.mean([(guess[y[test] == each] == each).mean() for each in present]))
    return np.array(found)


def _of_different_things(rng: np.random.Generator, rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    shuffled = rng.permutation(rows)
    _, first = np.unique(groups[shuffled], return_index=True)
    return shuffled[np.sort(first)[:LABELS]]


def _interval(values: np.ndarray) -> list[float]:
    rng = np.random.default_rng(0)
    means = rng.choice(values, (2_000, len(values))).mean(axis=1)
    return [float(end) for end in np.percentile(means, [2.5, 97.5])]


def speed(names: list[str]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Pictures a second of each extractor on the demo, files to stored rows, and as a share of what the cores allow:
    cores over (decoding + computing), in core-seconds, each alone in this run."""
    from explorer.extractors import load

    workspace = kept_workspace()
    figures, parts = {}, {}
    with tempfile.TemporaryDirectory(prefix="explorer-", ignore_cleanup_errors=True) as place:
        for name in names:
            extractor = load(name, workspace.models)
            files = fetched("clipart", workspace)
            rounds = [
                _alone_and_together(_copied(files, Path(place) / f"{name}-{number}"), extractor)
                for number in range(ROUNDS)
            ]
            decoding, computing, whole = (min(each) for each in zip(*rounds, strict=True))
            cores = os.cpu_count() or 1
            figures[f"images_per_s.{name}"] = 1 / whole
            figures[f"rate_share.{name}"] = (decoding + computing) / cores / whole
            parts[name] = {"decode_core": decoding, "compute_core": computing, "end_to_end": whole}
    return figures, parts


def _copied(dataset: "Dataset", root: Path) -> "Dataset":
    """The same files, nothing computed."""
    from explorer.collection.dataset import Dataset
    from explorer.workspace import Workspace

    root.mkdir(parents=True)
    copy = Dataset.create(Workspace(root), dataset.name, dataset.source.spec, dataset_id="speed")
    copy.rescan()
    shutil.rmtree(root / "models", ignore_errors=True)
    return copy


def _alone_and_together(dataset: "Dataset", extractor: "Extractor") -> tuple[float, float, float]:
    """Core-seconds a picture of decoding (with the thumbnail and the network's input) and of computing, and seconds a
    picture of both in the app's own pass. Each on all cores, the same pictures, the machine warm."""
    from explorer.collection.embedding import DECODE_SIDE, embed
    from explorer.collection.images import decode, thumbnail
    from explorer.extractors import prepared

    items = dataset.present().drop_duplicates("content_hash")
    paths, uids = items["path"].tolist(), items["uid"].tolist()
    cores = os.cpu_count() or 1

    def inputs_of(path: str) -> np.ndarray:
        data = dataset.source.read(path)
        picture = decode(data, max(DECODE_SIDE, extractor.min_side))
        thumbnail(picture.rgb)
        return prepared(extractor, data, picture.rgb)

    def computed(batch: np.ndarray) -> None:
        extractor.compute(batch)

    size = extractor.batch_size
    trial = [inputs_of(path) for path in paths[: 2 * size]]
    one = _seconds(computed, [np.stack(trial[:size])] * 2, cores) / (2 * size)
    count = int(np.clip(SECONDS / max(one, 1e-6), LEAST, MOST)) // size * size or size
    chosen = paths[: min(count, len(paths))]
    decoding = _seconds(inputs_of, chosen, cores) / len(chosen)
    batch = np.stack((trial * size)[:size])
    computing = _seconds(computed, [batch] * max(count // size, cores), cores) / (max(count // size, cores) * size)
    start = time.perf_counter()
    embed(dataset, [extractor], only=set(uids[: len(chosen)]))
    return decoding * cores, computing * cores, (time.perf_counter() - start) / len(chosen)


def _seconds(work: Callable[[Any], Any], parts: list[Any], cores: int) -> float:
    with ThreadPoolExecutor(cores) as pool:
        start = time.perf_counter()
        list(pool.map(work, parts))
        return time.perf_counter() - start


def markdown(result: dict[str, Any]) -> str:
    """A row for each extractor: ten labels a class in each collection, and its speed."""
    figures = result["figures"]
    names = [key.removeprefix("images_per_s.") for key in figures if key.startswith("images_per_s.")]
    places = [name.replace("_", " ") for name in NAMES]
    lines = [
        f"| | {' | '.join(places)} | pictures a second | of what the cores allow |",
        "|---" * (len(NAMES) + 3) + "|",
    ]
    for name in names:
        found = [figures[f"probe_10.{name}.{collection}"] for collection in NAMES]
        best = [max(figures[f"probe_10.{other}.{collection}"] for other in names) for collection in NAMES]
        cells = [f"**{_plain(one)}**" if one == most else _plain(one) for one, most in zip(found, best, strict=True)]
        speeds = f"{figures[f'images_per_s.{name}']:,.0f} | {_plain(figures[f'rate_share.{name}'])}"
        lines.append(f"| `{name}` | {' | '.join(cells)} | {speeds} |")
    return "\n".join(lines)


def _plain(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def plot(result: dict[str, Any]) -> "go.Figure":
    """Ten labels a class, extractors by collections."""
    import plotly.graph_objects as go

    figures = result["figures"]
    found = {tuple(key.split(".")[1:]): value for key, value in figures.items() if key.startswith("probe_10.")}
    names = sorted({name for name, _ in found})
    chart = go.Figure(
        go.Heatmap(
            z=[[found[name, collection] for collection in NAMES] for name in names],
            x=list(NAMES),
            y=names,
            colorscale="Teal",
            texttemplate="%{z:.2f}",
        )
    )
    chart.update_layout(title="Right with 10 labels a class, things unseen", template="plotly_white", height=520)
    return chart

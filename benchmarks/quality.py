"""How well the vectors tell pictures apart: neighbours, ten labels a class, odd ones out; beside colours and chance."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from explorer.collection.dataset import Dataset
    from explorer.extractors import Extractor
    from explorer.space import Space

TARGETS = {"nn_lead": ">= 0.1", "probe_lead": ">= 0.1", "disjoint_intervals": "= 2"}
DRAWS, LABELS = 20, 10
PLANTED, PLANTINGS = 20, 10
RESAMPLES = 1_000
ALIKE = 0.9
"""Similarity by content from which two pictures count as variants of one: the road signs of one series, the smileys
of one hand. They stand on one side of every comparison, also for the colours."""


@dataclass(frozen=True)
class Collection:
    """The distinct pictures of the demo."""

    classes: np.ndarray
    """(n,) int, the folder of each."""
    names: list[str]
    groups: np.ndarray
    """(n,) int; near-duplicates share one."""


def run() -> dict[str, Any]:
    """Embed the demo with `lite0` and `colour`, build both spaces and measure them alike."""
    from explorer.collection.dataset import Dataset
    from explorer.collection.embedding import embed
    from explorer.demos import prepare
    from explorer.extractors import load
    from explorer.space import SpaceRecipe, build_space
    from explorer.workspace import Workspace

    with tempfile.TemporaryDirectory(prefix="explorer-", ignore_cleanup_errors=True) as place:
        workspace = Workspace(Path(place))
        name, source, _ = prepare("clipart", workspace, lambda line: None)
        dataset = Dataset.create(workspace, name, source)
        dataset.rescan()
        extractors = {"": load("lite0", workspace.models), "_colour": load("colour", workspace.models)}
        embed(dataset, list(extractors.values()))
        spaces = {
            side: build_space(dataset, SpaceRecipe(((extractor.spec.key, 1.0),)))
            for side, extractor in extractors.items()
        }
        return measure(dataset, extractors, spaces)


def measure(dataset: "Dataset", extractors: "dict[str, Extractor]", spaces: "dict[str, Space]") -> dict[str, Any]:
    """Every figure for each side ("" is content), with 95 % bootstrap intervals in the detail."""
    content = spaces[""]
    rows = np.array([row for row, name in enumerate(content.hashes) if content.hashes.index(name) == row])
    collection = describe(dataset, content, rows)
    figures: dict[str, float] = {}
    intervals: dict[str, list[float]] = {}
    planted: dict[str, dict[str, float]] = {}
    for side, space in spaces.items():
        vectors = np.asarray(space.vectors[rows])
        right = nearest_agrees(vectors, collection)
        note(figures, intervals, f"nn_agreement{side}", resample_groups(right[None], collection, balanced=False))
        note(figures, intervals, f"probe_at_10{side}", resample_groups(probe(vectors, collection), collection))
        raw = dataset.features(extractors[side].spec).get([space.hashes[row] for row in rows])
        found = {kinds: odd_ones(raw, extractors[side], kinds) for kinds in (*KINDS, "mixed")}
        note(figures, intervals, f"outlier_ap{side}", resample_draws(found["photographs"]))
        planted[side or "content"] = {kinds: float(np.mean(values)) for kinds, values in found.items()}
    figures["nn_agreement_chance"] = chance_of_agreeing(collection)
    figures["probe_at_10_chance"] = 1 / len(collection.names)
    figures["outlier_ap_chance"] = chance_of_average_precision(len(rows))
    leads = {"nn_lead": "nn_agreement", "probe_lead": "probe_at_10"}
    figures |= {lead: figures[name] - figures[f"{name}_colour"] for lead, name in leads.items()}
    figures["disjoint_intervals"] = sum(intervals[name][0] > intervals[f"{name}_colour"][1] for name in leads.values())
    detail = {
        "intervals_95": intervals,
        "outlier_ap_by_kind": planted,
        "pictures": len(rows),
        "near_duplicate_groups": int(len(rows) - len(np.unique(collection.groups))),
        "folders": dict(zip(collection.names, np.bincount(collection.classes).tolist(), strict=True)),
        "feature": extractors[""].spec.key,
    }
    return {"figures": figures, "detail": detail}


def describe(dataset: "Dataset", content: "Space", rows: np.ndarray) -> Collection:
    from explorer.space.duplicates import joined

    folders = dataset.items.set_index("uid")["meta:folder"].loc[[content.uids[row] for row in rows]]
    names, classes = np.unique(folders.to_numpy(dtype=object).astype(str), return_inverse=True)
    vectors = np.asarray(content.vectors[rows])
    place = {int(row): number for number, row in enumerate(rows)}
    first = {name: int(row) for row, name in zip(rows, [content.hashes[row] for row in rows], strict=True)}
    pairs = [(int(a), int(b)) for a, b in np.argwhere(np.triu(vectors @ vectors.T >= ALIKE, 1))]
    for _, group in content.duplicates.groupby("group"):
        members = sorted({place[first[content.hashes[row]]] for row in group["row"]})
        pairs += [(members[0], other) for other in members[1:]]
    return Collection(classes, names.tolist(), joined(len(rows), pairs))


def nearest_agrees(vectors: np.ndarray, collection: Collection) -> np.ndarray:
    """(n,) 1.0 where the nearest picture that is no near-duplicate comes from the same folder."""
    scores = vectors @ vectors.T
    scores[collection.groups[:, None] == collection.groups[None]] = -np.inf
    return (collection.classes[scores.argmax(axis=1)] == collection.classes).astype(float)


def probe(vectors: np.ndarray, collection: Collection) -> np.ndarray:
    """(DRAWS, n): does the live classifier name the folder from LABELS pictures of each? NaN for those labelled and
    their near-duplicates. The ten are of ten different groups."""
    from explorer.learning.classifier import fit_classifier

    right = np.full((DRAWS, len(vectors)), np.nan)
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        shuffled = rng.permutation(len(vectors))
        _, first = np.unique(collection.groups[shuffled], return_index=True)
        candidates = shuffled[np.sort(first)]
        labelled = np.concatenate(
            [candidates[collection.classes[candidates] == folder][:LABELS] for folder in range(len(collection.names))]
        )
        fitted = fit_classifier(vectors[labelled], collection.classes[labelled], len(collection.names))
        tested = ~np.isin(collection.groups, collection.groups[labelled])
        guess = fitted.scores(vectors[tested]).argmax(axis=1)
        right[draw, tested] = guess == collection.classes[tested]
    return right


KINDS = ("photographs", "digits", "pages", "textures")


def odd_ones(raw: np.ndarray, extractor: "Extractor", kinds: str) -> list[float]:
    """The average precision with which "Odd ones out" ranks PLANTED strangers first, PLANTINGS times."""
    from sklearn.metrics import average_precision_score

    from explorer.space.graph import neighbour_graph
    from explorer.space.outliers import REACH, outlier_table
    from explorer.space.recipe import SpaceRecipe, Transform

    found = []
    for planting in range(PLANTINGS):
        rng = np.random.default_rng(planting)
        chosen = [kinds] * PLANTED if kinds in KINDS else [KINDS[number % len(KINDS)] for number in range(PLANTED)]
        inputs = [extractor.prepare(stranger(kind, rng)) for kind in chosen]
        size = extractor.batch_size
        strange = [extractor.compute(np.stack(inputs[start : start + size])) for start in range(0, PLANTED, size)]
        both = np.concatenate([raw, *strange])
        recipe = SpaceRecipe(((extractor.spec.key, 1.0),))
        vectors = Transform.fit(recipe, [both.sum(axis=0, dtype=np.float64)], len(both))([both])
        table = outlier_table(vectors, neighbour_graph(vectors, REACH)[1])
        is_planted = np.arange(len(both)) >= len(raw)
        found.append(float(average_precision_score(is_planted, -table["rank"].to_numpy())))
    return found


def stranger(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A picture of a kind that the drawings have not: (h, w, 3) uint8. Photographs are cuts of scikit-learn's two,
    digits its handwritten ones, pages this project's licence in print, textures noise of some roughness."""
    import cv2
    from sklearn.datasets import load_digits, load_sample_images

    if kind == "photographs":
        photograph = load_sample_images().images[rng.integers(2)]
        side = int(rng.integers(150, 400))
        top, left = (int(rng.integers(0, length - side)) for length in photograph.shape[:2])
        return np.ascontiguousarray(photograph[top : top + side, left : left + side])
    if kind == "digits":
        ink = load_digits().images[rng.integers(1_797)]
        page = cv2.resize((255 - ink / 16 * 255).astype(np.uint8), (256, 256), interpolation=cv2.INTER_CUBIC)
        return np.repeat(page[..., None], 3, axis=2)
    if kind == "pages":
        words = (Path(__file__).parents[1] / "LICENSE").read_text(encoding="utf-8").split()
        start, size = int(rng.integers(0, len(words) - 100)), float(rng.uniform(0.35, 0.7))
        page = np.full((330, 256, 3), 255, np.uint8)
        for line in range(14):
            text = " ".join(words[start + 6 * line : start + 6 * line + 6])
            cv2.putText(page, text, (10, 24 + 22 * line), cv2.FONT_HERSHEY_COMPLEX, size, (20, 20, 20), 1, cv2.LINE_AA)
        return page
    spectrum = np.fft.rfft2(rng.standard_normal((256, 256, 3)), axes=(0, 1))
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    frequency[0, 0] = 1
    noise = np.fft.irfft2(spectrum / frequency[..., None] ** rng.uniform(0, 2), axes=(0, 1))
    return ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)


def chance_of_agreeing(collection: Collection) -> float:
    """What a random picture that is no near-duplicate would agree with."""
    other = collection.groups[:, None] != collection.groups[None]
    same = collection.classes[:, None] == collection.classes[None]
    return float(((same & other).sum(axis=1) / other.sum(axis=1)).mean())


def chance_of_average_precision(pictures: int) -> float:
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    is_planted = np.arange(pictures + PLANTED) >= pictures
    return float(np.mean([average_precision_score(is_planted, rng.random(len(is_planted))) for _ in range(500)]))


def resample_groups(right: np.ndarray, collection: Collection, balanced: bool = True) -> np.ndarray:
    """(1 + RESAMPLES,) accuracy of (draws, n) outcomes as measured, then with draws and whole groups drawn anew.

    Pictures of one group are not independent witnesses. `balanced`: every folder counts alike.
    """
    rng = np.random.default_rng(0)
    _, group = np.unique(collection.groups, return_inverse=True)
    members = np.eye(len(collection.names))[collection.classes] if balanced else np.ones((len(group), 1))
    tested = ~np.isnan(right)
    hit = np.where(tested, right, 0)
    found = []
    for number in range(1 + RESAMPLES):
        weight, draws = np.ones(len(group)), np.arange(len(right))
        if number:
            count = group.max() + 1
            weight = np.bincount(rng.integers(0, count, count), minlength=count)[group].astype(float)
            draws = rng.integers(0, len(right), len(right))
        hits = hit[draws].sum(axis=0) * weight @ members
        all_tested = tested[draws].sum(axis=0) * weight @ members
        found.append(float((hits[all_tested > 0] / all_tested[all_tested > 0]).mean()))
    return np.array(found)


def resample_draws(values: list[float]) -> np.ndarray:
    """(1 + RESAMPLES,) mean as measured, then with the draws drawn anew."""
    rng = np.random.default_rng(0)
    again = rng.choice(values, (RESAMPLES, len(values))).mean(axis=1)
    return np.concatenate([[np.mean(values)], again])


def note(figures: dict[str, float], intervals: dict[str, list[float]], name: str, found: np.ndarray) -> None:
    figures[name] = float(found[0])
    intervals[name] = [round(float(edge), 4) for edge in np.percentile(found[1:], [2.5, 97.5])]


def plot(result: dict[str, Any]) -> "go.Figure":
    """Content, colour and chance side by side, with their intervals."""
    import plotly.graph_objects as go

    figures, intervals = result["figures"], result["detail"]["intervals_95"]
    measures = {"nn_agreement": "nearest in the same folder", "probe_at_10": "folder from 10 labels each",
                "outlier_ap": "20 photographs found"}  # fmt: skip
    chart = go.Figure()
    for side, title in {"": "content (lite0)", "_colour": "colour", "_chance": "chance"}.items():
        names = [f"{measure}{side}" for measure in measures]
        values = [figures[name] for name in names]
        edges = [intervals.get(name, [value, value]) for name, value in zip(names, values, strict=True)]
        above = [edge[1] - value for edge, value in zip(edges, values, strict=True)]
        below = [value - edge[0] for edge, value in zip(edges, values, strict=True)]
        bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
        chart.add_bar(name=title, x=list(measures.values()), y=values, error_y=bars)
    chart.update_layout(title="What the vectors tell (95 % intervals)", template="plotly_white", yaxis_range=[0, 1])
    return chart

"""How far a few answers reach: the app's suggestions and classifier beside random answers and a random forest.

A question is either "is it X or Y?" about the pictures of two classes, or "is it X?" about all of them, in turn. Half
of the things pictured, drawn by lot, are held out and never offered. Every arm starts from the same two answers, one of
each class, which whoever asks a question has in mind; they count. Right means balanced accuracy on the held-out half.
The app sees all pictures of the question, as it does in life, and the answers it was given.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.collections import Collection, collections

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from explorer.learning.scoring import Scored

TARGETS = {
    "labels_ratio": "<= 0.5",
    "gap_closed_20": ">= 0.5",
    "gap_closed_20_low": ">= 0.45",
    "worst_vs_random": ">= -1",
    "ece_50": "<= 0.08",
    "coverage_accuracy": ">= 0.92",
    "coverage_prevalence": ">= 0.92",
    "coverage_forecast": ">= 0.92",
    "coverage_recall": ">= 0.92",
    "stopped_too_early": "<= 0.05",
}
RUNS_TWO, RUNS_MANY = 60, 8
"""Of each of the five collections: 300 paired runs of two classes in all, 40 of all a collection's classes."""
LEAST = 40
"""Pictures of a class that questions are asked about."""
AT = (20, 50, 100)
MOST = 1_500
"""Pictures of a question; a larger collection is sampled for each run."""
RIVAL_AT, RIVAL_START, RIVAL_EACH = 60, 20, 10
BINS, RESAMPLES = 10, 2_000
ARMS = ("suggested", "random", "forest", "rival")


@dataclass
class Question:
    """One run: some pictures, what is true of them, and which may be asked about."""

    name: str
    kind: str
    vectors: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    offered: np.ndarray
    """(n,) bool"""
    start: list[int]
    order: np.ndarray
    """The offered rows in the order in which random answers come, the starting ones first."""
    seed: int

    @property
    def classes(self) -> int:
        return int(self.y.max()) + 1

    @cached_property
    def space(self) -> "BenchSpace":
        return BenchSpace(self.vectors)

    def right(self, guess: np.ndarray) -> float:
        """Balanced accuracy of (n,) guesses on the held-out pictures."""
        held = ~self.offered
        present = np.unique(self.y[held])
        return float(np.mean([(guess[held & (self.y == each)] == each).mean() for each in present]))


class BenchSpace:
    """As much of a space as scoring and suggestions look at, over the pictures of one question."""

    def __init__(self, vectors: np.ndarray) -> None:
        from explorer.space.graph import neighbour_graph
        from explorer.space.spread import Spread

        self.vectors = vectors
        self.uids = [str(row) for row in range(len(vectors))]
        self.neighbours, self.distances = neighbour_graph(vectors)
        self.graph = Spread(self.neighbours, self.distances)


def ask(collection: Collection, run: int, kind: str) -> Question:
    """The `run`-th question about a collection; the same for every arm."""
    rng = np.random.default_rng([run, sum(map(ord, collection.name))])
    counts = np.bincount(collection.classes)
    large = np.flatnonzero(counts >= LEAST)
    rows = np.arange(len(collection.classes))
    y = collection.classes
    if kind == "either":
        first, second = rng.choice(large, 2, replace=False)
        rows = np.flatnonzero((y == first) | (y == second))
        y = (y[rows] == second).astype(int)
    elif kind == "whether":
        y = (y == rng.choice(large)).astype(int)
    if len(rows) > MOST:
        some = np.sort(rng.choice(len(rows), MOST, replace=False))
        rows, y = rows[some], y[some]
    vectors, groups = collection.vectors[rows], collection.groups[rows]
    things = np.unique(groups)
    offered = np.isin(groups, rng.permutation(things)[: len(things) // 2])
    order = rng.permutation(np.flatnonzero(offered))
    start = [int(order[y[order] == each][0]) for each in np.unique(y[order])]
    if kind == "many":
        start = start[:2] if len(start) > AT[0] else start
    rest = order[~np.isin(order, start)]
    return Question(collection.name, kind, vectors, y, groups, offered, start, np.concatenate([start, rest]), run)


def learnt(question: Question, rows: list[int]) -> "Scored":
    """What the app makes of these answers."""
    from explorer.learning.classifier import fit_classifier
    from explorer.learning.scoring import Scored
    from explorer.learning.spreading import spread_answers

    at = np.sort(np.array(rows))
    y = question.y[at]
    spreading = spread_answers(question.space.graph, at, y, question.classes)
    fitted = fit_classifier(question.vectors[at], y, question.classes, left_out_shares=spreading.left_out)
    return Scored(question.space, fitted, spreading)  # type: ignore[arg-type]


def suggested(question: Question, count: int, policy: str = "useful") -> list[int]:
    """The rows that a person answers who takes what the app suggests, batch by batch."""
    from explorer.learning.suggestions import Situation, batch_size, suggest

    n = len(question.y)
    rows = list(question.start)
    while len(rows) < min(count, int(question.offered.sum())):
        scored = learnt(question, rows)
        answered = np.zeros(n, bool)
        answered[rows] = True
        situation = Situation(
            vectors=question.vectors,
            copies=np.arange(n),
            strangeness=question.space.distances.mean(axis=1),
            answered=answered,
            excluded=~question.offered,
            class_ids=tuple(map(str, range(question.classes))),
            class_names=tuple(map(str, range(question.classes))),
            doubt=scored.doubt,
            likeliest=scored.top,
            graph=question.space.graph,
        )
        rows += suggest(policy, batch_size(len(rows)), situation, question.seed).rows.tolist()
    return rows[:count]


def forest(question: Question, rows: list[int]) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(100, class_weight="balanced", random_state=question.seed)
    return model.fit(question.vectors[rows], question.y[rows])


def rival(question: Question) -> float:
    """The nearest rival's loop: 20 random answers, then 10 drawn from above one half and 10 from below, refitted."""
    rng = np.random.default_rng(question.seed)
    rows = question.order[:RIVAL_START].tolist()
    while len(rows) < min(RIVAL_AT, int(question.offered.sum())):
        model = forest(question, rows)
        open_rows = np.setdiff1d(np.flatnonzero(question.offered), rows)
        above = model.predict_proba(question.vectors[open_rows])[:, 1] > 0.5
        for side in (open_rows[above], open_rows[~above]):
            rows += rng.choice(side, min(RIVAL_EACH, len(side)), replace=False).tolist()
    rows = rows[:RIVAL_AT]
    return question.right(forest(question, rows).predict(question.vectors))


def run_one(name: str, run: int, kind: str) -> dict[str, Any]:
    """Every arm of one question: balanced accuracies, and what the calibration needs."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        question = ask(_COLLECTIONS[name], run, kind)
        found: dict[str, Any] = {"name": name, "kind": kind, "run": run, "held_out": int((~question.offered).sum())}
        whole = learnt(question, np.flatnonzero(question.offered).tolist())
        found["whole"] = question.right(whole.probabilities.argmax(axis=1))
        mine = suggested(question, max(AT))
        arms = {"suggested": mine, "random": question.order[: max(AT)].tolist()}
        for arm, rows in arms.items():
            for n in AT:
                shares = learnt(question, rows[:n]).probabilities
                found[f"{arm}.{n}"] = question.right(shares.argmax(axis=1))
                if n == 50 and kind != "many":
                    found[f"{arm}.calibration"] = _binned(question, shares)
        for n in AT:
            rows = question.order[:n].tolist()
            found[f"forest.{n}"] = question.right(forest(question, rows).predict(question.vectors))
        if kind != "many":
            found["rival"] = rival(question)
            found["curve"] = [
                question.right(learnt(question, mine[:n]).probabilities.argmax(axis=1))
                for n in range(4, RIVAL_AT + 1, 2)
            ]
    return found


def _binned(question: Question, shares: np.ndarray) -> list[list[float]]:
    """(confidence, right, weight) of each held-out picture; classes count alike, as they do in the probabilities."""
    held = np.flatnonzero(~question.offered)
    y = question.y[held]
    weight = 1 / np.bincount(y, minlength=question.classes)[y]
    best = shares[held].argmax(axis=1)
    sure = shares[held, best]
    return [sure.round(4).tolist(), (best == y).astype(float).tolist(), (weight / weight.sum()).round(8).tolist()]


def ece(parts: list[list[list[float]]]) -> float:
    """Expected calibration error of the top label over 10 bins of equal mass, all runs weighing the same."""
    sure, right, weight = (np.concatenate([part[place] for part in parts]) for place in range(3))
    order = np.argsort(sure, kind="stable")
    sure, right, weight = sure[order], right[order], weight[order] / weight.sum()
    edge = np.minimum((np.cumsum(weight) * BINS).astype(int), BINS - 1)
    return float(sum(abs(((sure - right) * weight)[edge == each].sum()) for each in range(BINS)))


def run() -> dict[str, Any]:
    """All runs on all cores, then the figures."""
    found = measure(RUNS_TWO, RUNS_MANY)
    figures, detail = figures_of(found)
    from benchmarks.coverage import coverage

    promised = coverage()
    detail["coverage"] = promised.pop("detail", {})
    return {"figures": figures | promised, "detail": detail}


def measure(two: int, many: int, names: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
    everything = collections() if names is None else collections(names)
    tasks = [(name, number, ("either", "whether")[number % 2]) for name in everything for number in range(two)]
    tasks += [(name, number, "many") for name in everything for number in range(many)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ProcessPoolExecutor(cores, initializer=_begin, initargs=(everything,)) as pool:
        return list(pool.map(run_one, *zip(*tasks, strict=True), chunksize=4))


_COLLECTIONS: dict[str, Collection] = {}


def _begin(everything: dict[str, Collection]) -> None:
    _COLLECTIONS.update(everything)


def figures_of(found: list[dict[str, Any]]) -> tuple[dict[str, float], dict[str, Any]]:
    """The figures of the issue's names, and by kind of question in the detail."""
    rng = np.random.default_rng(0)
    two = [each for each in found if each["kind"] != "many"]
    names = sorted({each["name"] for each in found})
    figures: dict[str, float] = {}
    for name in names:
        for kind, label in (("two", name), ("many", f"{name}.many")):
            own = [each for each in found if each["name"] == name and (each["kind"] == "many") == (kind == "many")]
            for arm in ("suggested", "random", "forest"):
                figures |= {f"{label}.{arm}.{n}": float(np.mean([each[f"{arm}.{n}"] for each in own])) for n in AT}

    ratios = [_labels_needed([each for each in two if each["name"] == name]) / RIVAL_AT for name in names]
    figures["labels_ratio"] = float(np.mean(ratios))
    closed = _resampled(two, names, _gap_closed, rng)
    figures["gap_closed_20"], figures["gap_closed_20_low"] = closed[0], float(np.percentile(closed[1:], 2.5))
    lows = {}
    for name in names:
        own = [each for each in two if each["name"] == name]
        for n in AT:
            lead = np.array([each[f"suggested.{n}"] - each[f"random.{n}"] for each in own])
            means = rng.choice(lead, (RESAMPLES, len(lead))).mean(axis=1)
            lows[f"{name}.{n}"] = float(100 * np.percentile(means, 2.5))
    figures["worst_vs_random"] = min(lows.values())
    figures["ece_50"] = ece([each["suggested.calibration"] for each in two])
    detail = {
        "runs": {"two": len(two), "many": len(found) - len(two)},
        "labels_needed": {name: ratio * RIVAL_AT for name, ratio in zip(names, ratios, strict=True)},
        "rival_60": {name: float(np.mean([e["rival"] for e in two if e["name"] == name])) for name in names},
        "whole_half": {name: float(np.mean([e["whole"] for e in two if e["name"] == name])) for name in names},
        "suggested_less_random_low_points": lows,
        "ece_50_random": ece([each["random.calibration"] for each in two]),
        "by_kind": {kind: _by_kind([each for each in two if each["kind"] == kind]) for kind in ("either", "whether")},
    }
    return figures, detail


def _by_kind(found: list[dict[str, Any]]) -> dict[str, float]:
    mean = {f"{arm}.{n}": float(np.mean([e[f"{arm}.{n}"] for e in found])) for arm in ARMS[:3] for n in AT}
    calibration = ece([each["suggested.calibration"] for each in found])
    needed = float(_labels_needed(found))
    names = sorted({each["name"] for each in found})
    return {**mean, "labels_needed": needed, "gap_closed_20": _gap_closed(found, names), "ece_50": calibration}


def _labels_needed(found: list[dict[str, Any]]) -> float:
    """Our answers until the mean over runs reaches the rival's at 60; between two counts by a straight line."""
    goal = float(np.mean([each["rival"] for each in found]))
    curve = np.mean([each["curve"] for each in found], axis=0)
    counts = np.arange(4, RIVAL_AT + 1, 2)
    reached = np.flatnonzero(curve >= goal)
    if not len(reached):
        return float(2 * RIVAL_AT)
    at = int(reached[0])
    if at == 0:
        return float(counts[0])
    part = (goal - curve[at - 1]) / max(curve[at] - curve[at - 1], 1e-9)
    return float(counts[at - 1] + 2 * part)


def _gap_closed(found: list[dict[str, Any]], names: list[str]) -> float:
    """Mean over collections of the share of the way from the forest to the whole half, at 20 answers."""
    shares = []
    for name in names:
        own = [each for each in found if each["name"] == name]
        if own:
            mine, base, whole = (np.mean([each[key] for each in own]) for key in ("suggested.20", "forest.20", "whole"))
            shares.append((mine - base) / (whole - base))
    return float(np.mean(shares))


def _resampled(found: list[dict[str, Any]], names: list[str], figure: Any, rng: np.random.Generator) -> list[float]:
    """The figure as measured, then with the runs of each collection drawn anew."""
    own = {name: [each for each in found if each["name"] == name] for name in names}
    values = [figure(found, names)]
    for _ in range(RESAMPLES // 2):
        drawn = [own[name][at] for name in names for at in rng.integers(0, len(own[name]), len(own[name]))]
        values.append(figure(drawn, names))
    return values


def plot(result: dict[str, Any]) -> "go.Figure":
    """Balanced accuracy by answers, for each collection's two-class questions."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figures = result["figures"]
    names = sorted({key.split(".")[0] for key in figures if key.endswith(".suggested.20")})
    chart = make_subplots(1, len(names), subplot_titles=names, shared_yaxes=True)
    colours = {"suggested": "#0f766e", "random": "#e07a2f", "forest": "#5f7f8c"}
    for place, name in enumerate(names, 1):
        for arm, colour in colours.items():
            line = [figures[f"{name}.{arm}.{n}"] for n in AT]
            chart.add_trace(
                go.Scatter(x=AT, y=line, name=arm, line_color=colour, legendgroup=arm, showlegend=place == 1), 1, place
            )
    chart.update_layout(title="Right on pictures never offered, two classes", template="plotly_white", height=380)
    return chart

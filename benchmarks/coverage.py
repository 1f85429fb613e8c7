"""Do the stated intervals hold the truth, and does the stopping rule keep its promise? Simulated on real features.

Each run asks one question of pictures of one collection: whether a picture is of a class (also of one that is rarer
than in the collection, down to .5 %), or which of many. A simulated person labels what the app suggests, and random
checks in between; then the app states its intervals, and the truth is looked up. Widths stand in the detail: an
interval that holds everything would cover too.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.collections import Collection, collections

if TYPE_CHECKING:
    from benchmarks.few_labels import Question
    from explorer.learning.estimates import Record
    from explorer.learning.scoring import Scored

RUNS = 500
PICTURES = (500, 1_200)
"""Of one question, drawn by lot."""
ANSWERS = (20, 40, 80, 150)
CHECKS = (0.25, 0.5, 1.0)
"""Share of the batches that are random checks."""
MORE = (10, 20, 50)
TARGETS = (0.8, 0.9, 0.95)
ROUND = 20
"""Pictures that the simulated person reviews or checks between two looks at the verdict."""


@dataclass
class Labelling:
    """One course of labelling: what was answered, in order, and which of it were checks."""

    question: "Question"
    rng: np.random.Generator
    checks_share: float
    rows: list[int] = field(default_factory=list)
    checks: list[bool] = field(default_factory=list)

    def answer(self, rows: "np.ndarray | list[int]", by_lot: bool) -> None:
        self.rows += [int(row) for row in rows]
        self.checks += [by_lot] * len(rows)

    def open(self) -> np.ndarray:
        return np.setdiff1d(np.arange(len(self.question.y)), self.rows)

    def draw(self, n: int) -> None:
        """Random checks, as `suggestions` draws them when no two pictures are the same file."""
        still = self.open()
        self.answer(self.rng.choice(still, min(n, len(still)), replace=False), True)

    def go_on(self, until: int) -> None:
        """Batch after batch, as the app suggests."""
        while len(self.rows) < until:
            n = min(5, until - len(self.rows))
            if self.rng.random() < self.checks_share:
                self.draw(n)
            else:
                self.answer(self._suggested(n), False)

    def learnt(self) -> "Scored":
        from benchmarks.few_labels import learnt

        return learnt(self.question, self.rows)

    def unseen(self, scored: "Scored") -> np.ndarray:
        """(n, C) probabilities, those of the answered pictures left out."""
        shares = np.array(scored.probabilities, np.float32)
        shares[np.sort(self.rows)] = scored.classifier.loo_probabilities()
        return shares

    def record(self) -> "Record":
        from explorer.learning.estimates import Record

        rows = np.array(self.rows, np.int64)
        return Record(rows, self.question.y[rows], np.array(self.checks, bool))

    def _suggested(self, n: int) -> np.ndarray:
        from explorer.learning.suggestions import Situation, suggest

        question, scored = self.question, self.learnt()
        answered = np.zeros(len(question.y), bool)
        answered[self.rows] = True
        names = tuple(map(str, range(question.classes)))
        situation = Situation(
            vectors=question.vectors,
            copies=np.arange(len(answered)),
            strangeness=question.space.distances.mean(axis=1),
            answered=answered,
            excluded=np.zeros(len(answered), bool),
            class_ids=names,
            class_names=names,
            doubt=scored.doubt,
            likeliest=scored.top,
            graph=question.space.graph,
        )
        policy = "useful" if self.rng.random() < 0.7 else f"likely:{self.rng.integers(question.classes)}"
        return suggest(policy, n, situation, int(self.rng.integers(1 << 30))).rows


def begin(collection: Collection, seed: int, kinds: tuple[str, ...] = ("rare", "whether", "many")) -> Labelling:
    """A question and its first two answers, one of each of two classes, which whoever asks has in mind."""
    from benchmarks.few_labels import Question

    rng = np.random.default_rng([seed, 7])
    kind = kinds[seed % len(kinds)]
    rows = rng.permutation(len(collection.classes))[: int(rng.integers(*PICTURES))]
    y = np.unique(collection.classes[rows], return_inverse=True)[1]
    classes = int(y.max()) + 1
    if kind == "rare":
        y = (y == rng.integers(classes)).astype(int)
        own = rng.permutation(np.flatnonzero(y))
        gone = own[int(rng.integers(0.005 * len(y), 0.03 * len(y))) + 2 :]
        rows, y = np.delete(rows, gone), np.delete(y, gone)
    elif kind == "whether":
        y = np.isin(y, rng.choice(classes, rng.integers(1, classes // 2 + 1), replace=False)).astype(int)
    order = rng.permutation(len(rows))
    first = [int(order[y[order] == each][0]) for each in rng.permutation(int(y.max()) + 1)[:2]]
    offered = np.ones(len(rows), bool)
    question = Question(
        collection.name, kind, collection.vectors[rows], y, collection.groups[rows], offered, first, order, seed
    )
    labelling = Labelling(question, rng, float(rng.choice(CHECKS)))
    labelling.answer(first, False)
    return labelling


def estimates(collection: Collection, seed: int) -> dict[str, Any]:
    """One course of labelling; accuracy in the collection, the number of one class, and the gain of more answers."""
    from explorer.learning.curve import learning_curve
    from explorer.learning.estimates import estimate_collection

    labelling = begin(collection, seed)
    question, rng = labelling.question, labelling.rng
    answers, more = int(rng.choice(ANSWERS)), int(rng.choice(MORE))
    labelling.go_on(answers)
    scored, record = labelling.learnt(), labelling.record()
    shares = labelling.unseen(scored)
    names = [str(each) for each in range(question.classes)]
    said = estimate_collection(record, scored.probabilities, shares[record.rows], names)
    place = int(rng.integers(question.classes)) if question.kind == "many" else 1
    count, there = said.counts[place], int((question.y == place).sum())
    accuracy = float((shares.argmax(axis=1) == question.y).mean())
    curve = learning_curve(question.vectors[record.rows], record.y, question.classes, seed=seed)

    before = scored.probabilities.argmax(axis=1) == question.y
    labelling.go_on(answers + more)
    after = labelling.learnt().probabilities.argmax(axis=1) == question.y
    gain, forecast = _balanced(labelling, after) - _balanced(labelling, before), curve.forecast(more)
    n = len(question.y)
    return {
        "kind": question.kind,
        "answers": answers,
        "checks": said.checks,
        "share": there / n,
        "accuracy": _held(said.accuracy, accuracy),
        "prevalence": _held(count, there, 1 / n),
        **({"forecast": _held(forecast, gain)} if not curve.reason else {}),
    }


def _balanced(labelling: Labelling, right: np.ndarray) -> float:
    """Balanced accuracy among the pictures without an answer."""
    still = labelling.open()
    y = labelling.question.y[still]
    return float(np.mean([right[still[y == each]].mean() for each in np.unique(y)]))


def finish(collection: Collection, seed: int) -> dict[str, Any]:
    """One class worked off to the end by the app's plan: the recall stated at one look on the way, and at the end."""
    from explorer.learning.finish import may_stop, plan

    labelling = begin(collection, seed, ("rare", "whether"))
    question, rng = labelling.question, labelling.rng
    n, there, target = len(question.y), int((question.y == 1).sum()), float(rng.choice(TARGETS))
    labelling.go_on(int(rng.choice([30, 60])))
    shares, stands = labelling.unseen(labelling.learnt()), np.ones(n, bool)
    learnt_from, looks = len(labelling.rows), []
    while True:
        record, guessed = labelling.record(), shares.argmax(axis=1) == 1
        verdict = may_stop(record, 1, stands, guessed, "it", target)
        looks.append(_held_between(verdict.low, verdict.high, verdict.found / there))
        if verdict.stop:
            break
        ahead = plan(record, 1, stands, shares[:, 1], guessed, "it", target)
        if ahead.next == "review":
            labelling.answer(ahead.queue[:ROUND], False)
        else:
            labelling.draw(ROUND)
        if len(labelling.rows) >= learnt_from * 1.15:  # what is answered meanwhile keeps its guess from before
            shares, learnt_from = labelling.unseen(labelling.learnt()), len(labelling.rows)
    return {
        "kind": question.kind,
        "target": target,
        "share": there / n,
        "recall": looks[int(rng.integers(len(looks)))],
        "recall_at_end": looks[-1],
        "too_early": verdict.found / there < target,
        "reached": verdict.found / there,
        "answered": len(labelling.rows) / n,
        "everything": verdict.open == 0,
    }


def _held(estimate: Any, truth: float, scale: float = 1.0) -> list[float]:
    return _held_between(estimate.low * scale, estimate.high * scale, truth * scale)


def _held_between(low: float, high: float, truth: float) -> list[float]:
    """[held, width, truth below, truth above]"""
    below, above = truth < low - 1e-9, truth > high + 1e-9
    return [float(not below and not above), float(high - low), float(below), float(above)]


def coverage(runs: int = RUNS, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Shares of runs in which the 95 % intervals hold, and in which the rule said stop too early; `detail` apart."""
    everything = collections() if names is None else collections(names)
    tasks = [(list(everything)[seed % len(everything)], seed) for seed in range(runs)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ProcessPoolExecutor(cores, initializer=_begin, initargs=(everything,)) as pool:
        stated = list(pool.map(_one, ["estimates"] * runs, *zip(*tasks, strict=True), chunksize=4))
        finished = list(pool.map(_one, ["finish"] * runs, *zip(*tasks, strict=True), chunksize=4))
    return figures_of(stated, finished)


def figures_of(stated: list[dict[str, Any]], finished: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of the issue's names, and in `detail` widths and parts."""
    figures: dict[str, Any] = {}
    detail: dict[str, Any] = {"runs": {"stated": len(stated), "finished": len(finished)}}
    for name, found in (("accuracy", stated), ("prevalence", stated), ("forecast", stated), ("recall", finished)):
        own = [each for each in found if name in each]
        figures[f"coverage_{name}"] = float(np.mean([each[name][0] for each in own]))
        parts = {"all": own} | {f"kind {kind}": [e for e in own if e["kind"] == kind] for kind in _kinds(own)}
        if name != "recall":
            parts |= {f"{answers} answers": [e for e in own if e["answers"] == answers] for answers in ANSWERS}
            for low, high in ((0, 15), (15, 40), (40, 1_000)):
                parts[f"{low} to {high - 1} checks"] = [e for e in own if low <= e["checks"] < high]
        detail[name] = {part: _summary([e[name] for e in each]) for part, each in parts.items() if each}
    detail["recall_at_end"] = _summary([each["recall_at_end"] for each in finished])
    figures["stopped_too_early"] = float(np.mean([each["too_early"] for each in finished]))
    detail["finish"] = {
        f"target {target}": {
            key: round(float(np.mean([each[key] for each in finished if each["target"] == target])), 4)
            for key in ("too_early", "reached", "answered", "everything", "share")
        }
        for target in sorted({each["target"] for each in finished})
    }
    return figures | {"detail": detail}


def _kinds(found: list[dict[str, Any]]) -> list[str]:
    return sorted({each["kind"] for each in found})


def _summary(held: list[list[float]]) -> dict[str, float]:
    means = np.mean(held, axis=0).round(4)
    names = ("covered", "width", "truth_below", "truth_above")
    return {"runs": len(held), **dict(zip(names, means.tolist(), strict=True))}


_COLLECTIONS: dict[str, Collection] = {}


def _begin(everything: dict[str, Collection]) -> None:
    _COLLECTIONS.update(everything)


def _one(what: str, name: str, seed: int) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return (estimates if what == "estimates" else finish)(_COLLECTIONS[name], seed)

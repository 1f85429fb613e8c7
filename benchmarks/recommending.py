"""Thirty labels: is the recommended way of looking the right one, and what do several together lose or gain?

Each seed: half of the things pictured are held out; thirty of the others are labelled, drawn by lot with every class in
turn, so that each has nearly as many. Every look learns from the same thirty and is judged by its balanced accuracy on
the held-out half, which the comparison never sees: that is the truth of the seed.

- `recommended_wrong`: share of seeds in which the app recommends a look more than 2 points below the best of the seed.
- `undecided`: of all looks more than 5 points below the best of their seed, the share that the app calls too close to
  call with it. `detail` has the narrower count, of seeds whose best look is more than 5 points ahead of every other
  without being recommended: with three sizes of one network among the candidates they are few, and lucky ones, except
  where a look of another kind is the best.
- `joined_loss`: points by which the looks together fall behind the single look that is best on average in that
  collection, which nobody knows beforehand; negative where they are ahead. `detail` has the loss against the best look
  of each seed, whose luck with its thirty labels counts as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

ASKED = {"artwork": "emoji_artwork", "category": "emoji_category", "clipart": "clipart", "textile": "textile"}
LABELS = 30
JOINED_SEEDS = 50
WRONG, CLEAR = 0.02, 0.05


class Truth(Protocol):
    """What is true of the pictures of a collection."""

    @property
    def classes(self) -> np.ndarray: ...
    @property
    def class_names(self) -> list[str]: ...
    @property
    def groups(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Seed:
    """One course: what the app said and what was true."""

    right: np.ndarray
    """(q,) held-out balanced accuracy of each look"""
    leader: int
    level: np.ndarray
    """(q,) bool: the leader and what is too close to call with it"""
    recommended: bool
    joined: float
    """Held-out balanced accuracy of the joined looks; NaN where it was not asked for."""


def figures(
    features: Mapping[str, Mapping[str, np.ndarray]], truths: Mapping[str, Truth], seeds: int = 200
) -> dict[str, Any]:
    """{"figures": …, "detail": …} from (n, d) unit rows of each look at each collection."""
    found: dict[str, float] = {}
    detail: dict[str, Any] = {}
    for name, looks in features.items():
        asked = next((short for short, whole in ASKED.items() if whole == name), None)
        courses = [
            _course(looks, truths[name], seed, together=seed < JOINED_SEEDS)
            for seed in range(seeds if asked else JOINED_SEEDS)
        ]
        detail[name] = told = _detail(list(looks), courses)
        found[f"joined_loss.{name}"] = told["joined_loss"]
        if asked:
            found[f"recommended_wrong.{asked}"] = told["recommended_wrong"]
            found[f"undecided.{asked}"] = told["undecided_pairs"]
    return {"figures": found, "detail": detail}


def labelled(truth: Truth, seed: int, labels: int = LABELS) -> tuple[np.ndarray, np.ndarray]:
    """(rows to label, held-out rows): things are held out whole, labels go to every class in turn, one of a thing."""
    rng = np.random.default_rng([seed, 41])
    things = np.unique(truth.groups)
    offered = np.isin(truth.groups, rng.permutation(things)[: len(things) // 2])
    order = rng.permutation(np.flatnonzero(offered))
    order = order[np.sort(np.unique(truth.groups[order], return_index=True)[1])]
    turn = np.zeros(len(order), int)
    for each in np.unique(truth.classes):
        own = truth.classes[order] == each
        turn[own] = np.arange(own.sum())
    lot = rng.permutation(int(truth.classes.max()) + 1)[truth.classes[order]]
    return order[np.lexsort((lot, turn))][:labels], np.flatnonzero(~offered)


def _course(looks: Mapping[str, np.ndarray], truth: Truth, seed: int, together: bool) -> Seed:
    from explorer.learning.comparison import judge
    from explorer.learning.joining import chosen_weights
    from explorer.learning.looks import Look

    rows, held = labelled(truth, seed)
    y, groups = truth.classes[rows], truth.groups[rows]
    shown = [Look(name, name, vectors[rows]) for name, vectors in looks.items()]
    verdict = judge(shown, y, groups)
    right = [_held_out({name: 1.0}, looks, rows, held, truth) for name in looks]
    joined = float("nan")
    if together:
        joined = _held_out(dict(chosen_weights(shown, y, groups)), looks, rows, held, truth)
    level = verdict.level.copy()
    level[verdict.best] = True
    return Seed(np.array(right), verdict.best, level, verdict.decided, joined)


def _held_out(
    weights: dict[str, float], looks: Mapping[str, np.ndarray], rows: np.ndarray, held: np.ndarray, truth: Truth
) -> float:
    """Balanced accuracy on the held-out rows of the app's classifier in the joined space of these weights."""
    from explorer.learning.classifier import fit_classifier

    parts = [np.sqrt(np.float32(weight)) * looks[name] for name, weight in weights.items()]
    seen, unseen = (np.concatenate([part[at] for part in parts], axis=1) for at in (rows, held))
    fitted = fit_classifier(seen, truth.classes[rows], len(truth.class_names), truth.groups[rows])
    guess, y = fitted.scores(unseen).argmax(axis=1), truth.classes[held]
    return float(np.mean([(guess[y == each] == each).mean() for each in np.unique(y)]))


def _detail(names: list[str], courses: list[Seed]) -> dict[str, Any]:
    right = np.stack([each.right for each in courses])
    level = np.stack([each.level for each in courses])
    leader = np.array([each.leader for each in courses])
    recommended = np.array([each.recommended for each in courses])
    joined = np.array([each.joined for each in courses])
    best, at = right.max(axis=1), np.arange(len(courses))
    behind = best - right[at, leader]
    clear = best[:, None] - right > CLEAR
    with_best = level & level[at, right.argmax(axis=1)][:, None]
    ahead = best - np.sort(right, axis=1)[:, -2] > CLEAR
    asked = ~np.isnan(joined)
    fixed = int(right.mean(axis=0).argmax())
    return {
        "seeds": len(courses),
        "held_out": {name: float(value) for name, value in zip(names, right.mean(axis=0), strict=True)},
        "recommended": float(recommended.mean()),
        "recommended_wrong": float((recommended & (behind > WRONG)).mean()),
        "leader_behind_mean": float(behind.mean()),
        "level_mean": float(level.sum(axis=1).mean()),
        "undecided_pairs": float(with_best[clear].mean()) if clear.any() else 0.0,
        "pairs": int(clear.sum()),
        "best_called_worse": float((~level[at, right.argmax(axis=1)] & (behind > WRONG)).mean()),
        "undecided_seeds": float((~recommended[ahead]).mean()) if ahead.any() else None,
        "seeds_with_one_ahead": int(ahead.sum()),
        "joined_loss": float(100 * (right[:, fixed] - joined)[asked].mean()),
        "joined_loss_to_best_of_seed": float(100 * (best - joined)[asked].mean()),
        "best_on_average": names[fixed],
    }

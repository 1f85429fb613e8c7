"""What the dots of the map are coloured by, as one byte a dot and a legend."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.collection.facets import Facet
from explorer.errors import BadInput
from explorer.space import Space
from explorer.web.shelf import shelf

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

NO_VALUE = 255
MOST_CLASSES = 40
PALETTE = (
    "#0f766e", "#e07a2f", "#5b6ee1", "#c2417c", "#7a9b1f", "#2f9bd6", "#a3562a", "#8a56c9", "#d6a419", "#3f8f5b",
    "#d64545", "#5f7f8c", "#b58ad6", "#1f5fa8", "#8f8f2f", "#e693a8", "#4fb8a8", "#7f5f4f", "#a8b84f", "#56568f",
)  # fmt: skip
REST = "#9aa5a1"
_YEAR = 365.2425 * 86_400


@dataclass(frozen=True)
class Colouring:
    """`codes` is (n,) uint8: an index into the legend, or 0..254 along a scale; 255 where there is no value."""

    by: str
    title: str
    kind: str
    codes: np.ndarray
    legend: Any = field(default_factory=list)
    version: str = ""

    def for_map(self) -> dict[str, Any]:
        return {"by": self.by, "v": self.version, "kind": self.kind, "title": self.title, "legend": self.legend}


def colouring(rt: "Runtime", dataset: Dataset, space: Space, by: str) -> Colouring:
    """The colouring that `by` names: column:NAME, cluster:METHOD, answer:QID, guess:QID, score:QID:CLASS or none."""
    kind, _, rest = by.partition(":")
    n = len(space.uids)
    if kind == "none" or not by:
        return Colouring("none", "", "none", np.full(n, NO_VALUE, np.uint8))
    if kind == "column":
        return _column(rt, dataset, space, rest)
    if kind == "cluster":
        return _clusters(rt, dataset, space, rest)
    if kind in ("answer", "guess", "score"):
        question_id, _, class_id = rest.partition(":")
        return _question(rt, dataset, space, by, kind, question_id, class_id)
    raise BadInput(f"The map cannot be coloured by '{by}'; choose another colour.")


def options(rt: "Runtime", dataset: Dataset, space: Space) -> dict[str, str]:
    """Everything the map can be coloured by: name for the link, words for the screen."""
    found = {f"column:{name}": name for name in dataset.columns() if _useful(rt, dataset, space, name)}
    found |= {"cluster:kmeans": "groups (even)", "cluster:hdbscan": "groups (dense)"}
    for question in rt.questions.list(dataset.id):
        found[f"guess:{question.id}"] = f"{question.name} — best guess"
        found[f"answer:{question.id}"] = f"{question.name} — your answers"
    return found | {"none": "nothing"}


def _useful(rt: "Runtime", dataset: Dataset, space: Space, name: str) -> bool:
    facet = shelf(rt, dataset, space).facet(f"@column:{name}")[1]
    return facet.kind != "values" or len(facet.values) <= max(MOST_CLASSES, 0.2 * len(facet.codes))


def _column(rt: "Runtime", dataset: Dataset, space: Space, name: str) -> Colouring:
    if name not in dataset.columns():
        raise BadInput(f"This collection has no column '{name}' (any more); choose another colour.")
    facet = shelf(rt, dataset, space).facet(f"@column:{name}")[1]
    by, version = f"column:{name}", _version(dataset, space)
    if facet.numbers is not None:
        codes, low, high = _scaled(facet.numbers)
        if facet.kind == "dates":
            low, high = (1970 + math.floor(end / _YEAR) for end in (low, high))
        return Colouring(by, name, "number", codes, {"min": low, "max": high}, version)
    return _categories(by, name, facet, version)


def _categories(by: str, title: str, facet: Facet, version: str) -> Colouring:
    filled = [value for value in facet.values if value]
    counts = np.bincount(facet.codes, minlength=len(facet.values))
    shown = filled if len(filled) <= MOST_CLASSES else filled[:MOST_CLASSES]
    legend = [_entry(value, int(counts[place]), place) for place, value in enumerate(shown)]
    code_of = np.full(len(facet.values), NO_VALUE, np.uint8)
    code_of[: len(shown)] = np.arange(len(shown))
    if len(filled) > len(shown):
        code_of[len(shown) : len(filled)] = len(shown)
        other = int(counts[len(shown) : len(filled)].sum())
        legend.append({"label": "all others", "count": other, "colour": REST})
    return Colouring(by, title, "category", code_of[facet.codes], legend, version)


def _clusters(rt: "Runtime", dataset: Dataset, space: Space, method: str) -> Colouring:
    if method not in space.clusters:
        raise BadInput(f"There is no grouping '{method}'; choose another colour.")
    labels = space.clusters[method].to_numpy()
    titles = {card.id: card.title for card in rt.cluster_cards(dataset.id, space.key, method)}
    found, counts = np.unique(labels[labels >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")[: NO_VALUE - 1]
    code_of = np.full(int(labels.max(initial=-1)) + 1, NO_VALUE, np.uint8)
    legend = []
    for place, which in enumerate(order):
        code_of[found[which]] = place
        legend.append(_entry(titles.get(int(found[which]), f"group {found[which]}"), int(counts[which]), place))
    codes = np.full(len(labels), NO_VALUE, np.uint8)
    codes[labels >= 0] = code_of[labels[labels >= 0]]
    return Colouring(f"cluster:{method}", "groups", "category", codes, legend, _version(dataset, space))


def _question(
    rt: "Runtime", dataset: Dataset, space: Space, by: str, kind: str, question_id: str, class_id: str
) -> Colouring:
    question = rt.questions.get(question_id)
    if question.dataset_id != dataset.id:
        raise BadInput("That question belongs to another collection.")
    classes = [c.id for c in question.classes]
    n = len(space.uids)
    seq = rt.answers.latest_seq(question_id)
    version = f"{seq}-{_version(dataset, space)}"
    codes = np.full(n, NO_VALUE, np.uint8)
    if kind == "answer":
        for uid, answer in rt.answers.current(question_id).items():
            row = space.rows.get(uid)
            if row is not None and answer.value == "yes" and answer.class_id in classes:
                codes[row] = classes.index(answer.class_id)
    else:
        scores = rt.live.scores(dataset.id, question_id, space.key, seq)
        if scores.ready and kind == "score":
            if class_id not in classes:
                raise BadInput("That answer is not part of the question (any more).")
            codes = np.round(scores.probabilities[:, classes.index(class_id)] * 254).astype(np.uint8)
        elif scores.ready:
            codes = scores.probabilities.argmax(1).astype(np.uint8)
    if kind == "score":
        return Colouring(by, question.name, "number", codes, {"min": 0, "max": 1}, version)
    legend = [_entry(c.name, int((codes == place).sum()), place) for place, c in enumerate(question.classes)]
    return Colouring(by, question.name, "category", codes, legend, version)


def _entry(label: str, count: int, place: int) -> dict[str, Any]:
    return {"label": label, "count": count, "colour": PALETTE[place % len(PALETTE)]}


def _scaled(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    finite = np.isfinite(values)
    if not finite.any():
        return np.full(len(values), NO_VALUE, np.uint8), 0.0, 0.0
    low, high = float(values[finite].min()), float(values[finite].max())
    codes = np.full(len(values), NO_VALUE, np.uint8)
    codes[finite] = np.round((values[finite] - low) / ((high - low) or 1.0) * 254).astype(np.uint8)
    return codes, low, high


def _version(dataset: Dataset, space: Space) -> str:
    return f"{dataset.generation}.{space.generation}"

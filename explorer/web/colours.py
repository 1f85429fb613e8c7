"""What the dots of the map are coloured by, as one byte a dot and a legend."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.space import Space
from explorer.web.filters import column_text

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

NO_VALUE = 255
MOST_CLASSES = 40
PALETTE = (
    "#0f766e", "#e07a2f", "#5b6ee1", "#c2417c", "#7a9b1f", "#2f9bd6", "#a3562a", "#8a56c9", "#d6a419", "#3f8f5b",
    "#d64545", "#5f7f8c", "#b58ad6", "#1f5fa8", "#8f8f2f", "#e693a8", "#4fb8a8", "#7f5f4f", "#a8b84f", "#56568f",
)  # fmt: skip
REST = "#9aa5a1"


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
        return _column(dataset, space, rest)
    if kind == "cluster":
        return _clusters(rt, dataset, space, rest)
    if kind in ("answer", "guess", "score"):
        question_id, _, class_id = rest.partition(":")
        return _question(rt, dataset, space, by, kind, question_id, class_id)
    raise BadInput(f"The map cannot be coloured by '{by}'; choose another colour.")


def options(rt: "Runtime", dataset: Dataset, space: Space) -> dict[str, str]:
    """Everything the map can be coloured by: name for the link, words for the screen."""
    found = {f"column:{name}": name for name in dataset.columns() if _useful(dataset, name)}
    found |= {"cluster:kmeans": "groups (even)", "cluster:hdbscan": "groups (dense)"}
    for question in rt.questions.list(dataset.id):
        found[f"guess:{question.id}"] = f"{question.name} — best guess"
        found[f"answer:{question.id}"] = f"{question.name} — your answers"
    return found | {"none": "nothing"}


def _useful(dataset: Dataset, name: str) -> bool:
    series = dataset.present()[f"meta:{name}"]
    return pd.api.types.is_numeric_dtype(series) or series.nunique() <= max(MOST_CLASSES, 0.2 * len(series))


def _column(dataset: Dataset, space: Space, name: str) -> Colouring:
    if name not in dataset.columns():
        raise BadInput(f"This collection has no column '{name}' (any more); choose another colour.")
    rows = space.items(dataset)
    series = rows[f"meta:{name}"]
    by = f"column:{name}"
    if pd.api.types.is_numeric_dtype(series) and series.nunique() > 12:
        codes, low, high = _scaled(series.to_numpy(float, na_value=np.nan))
        return Colouring(by, name, "number", codes, {"min": low, "max": high}, _version(dataset, space))
    return _categories(by, name, column_text(rows, name), _version(dataset, space))


def _categories(by: str, title: str, values: pd.Series, version: str) -> Colouring:
    counts = values[values != ""].value_counts()
    shown = sorted(counts.index[:MOST_CLASSES], key=lambda value: (-counts[value], str(value)))
    legend = [_entry(str(value), int(counts[value]), place) for place, value in enumerate(shown)]
    place_of = {value: place for place, value in enumerate(shown)}
    rest = len(counts) > len(shown)
    if rest:
        other = int(counts.iloc[MOST_CLASSES:].sum())
        legend.append({"label": "all others", "count": other, "colour": REST})
    fallback = len(shown) if rest else NO_VALUE
    codes = values.map(lambda v: NO_VALUE if v == "" else place_of.get(v, fallback)).to_numpy().astype(np.uint8)
    return Colouring(by, title, "category", codes, legend, version)


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

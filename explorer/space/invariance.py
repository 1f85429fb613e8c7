"""What a way of looking ignores, measured: how far a picture's neighbours move when the picture is changed.

A picture and its changed version are looked up among the same originals. Of its ten nearest, the share that is still
there after the change says how little the change matters: 1, it is ignored; near 0, it decides. What a card claims in
words, this says in figures.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.collection.dataset import Dataset
from explorer.collection.images import decode
from explorer.collection.progress import Meter, ProgressCallback
from explorer.durable import read_json, write_json
from explorer.errors import BadInput, Cancelled, Unreadable
from explorer.extractors.backends import usable_cores
from explorer.extractors.base import Extractor, FeatureSpec, Layered
from explorer.space.changes import CHANGES, Change, with_words
from explorer.space.index import nearest

if TYPE_CHECKING:
    from explorer.space.changes import Alter

__all__ = ["CHANGES", "Change", "Kept", "kept", "measure", "measure_on", "measured_here", "measured_invariance"]

NEAREST = 10
SHIPPED = Path(__file__).with_name("invariance.json")
"""What `python -m benchmarks invariance` measured for the extractors that need no download."""
_SIDE = 256
"""Pictures are decoded to at least this, as when a collection is computed."""
_SHRINK = 16
"""As in a space's centring (`recipe`)."""


@dataclass(frozen=True)
class Kept:
    """What is left of a picture's neighbourhood after a change, on average."""

    neighbours: float
    """Share of its nearest that are still among its nearest."""
    itself: float
    """How often the nearest original is the picture itself."""


def kept(extractor: Extractor, pictures: Sequence[np.ndarray], k: int = NEAREST) -> dict[str, float]:
    """Share of the k nearest that each change of CHANGES leaves, for (h, w, 3) uint8 pictures."""
    return {change: found.neighbours for change, found in measure([extractor], pictures, k)[0].items()}


def measure(
    extractors: Sequence[Extractor],
    pictures: Sequence[np.ndarray],
    k: int = NEAREST,
    changed: int | None = None,
    seed: int = 0,
    step: Callable[[int, int], None] | None = None,
) -> list[dict[str, Kept]]:
    """For each extractor, what every change leaves. Layers of one network are computed together.

    `pictures` (h, w, 3) uint8 are the originals that neighbours are sought among; the first `changed` of them are
    changed (all, if None). Extractors that read words are shown pictures with words throughout: of one without, they
    have nothing to say. `step(done, total)` is called after each change and may raise Cancelled. Raises BadInput for
    too few pictures, or for an extractor that reads no pixels.
    """
    if len(pictures) < 2 * k + 1:
        raise BadInput(f"To see whether {k} neighbours stay, at least {2 * k + 1} pictures are needed.")
    if any(extractor.spec.rows == "item" for extractor in extractors):
        raise BadInput("What is computed from the table's columns does not change with the pictures.")
    changed = len(pictures) if changed is None else min(changed, len(pictures))
    found: list[dict[str, Kept]] = [{} for _ in extractors]
    for group in _together(extractors):
        some = [extractors[number] for number in group]
        reads = some[0].card.aspect.startswith("text")
        originals: dict[Alter | None, list[_Originals]] = {}
        for done, (name, change) in enumerate(CHANGES.items()):
            before = with_words if reads else change.before
            if before not in originals:
                shown = pictures if before is None else _altered(pictures, before, seed)
                originals[before] = [_Originals(rows, k) for rows in _rows(some, shown)]
            # words are put on first, so that a change of the light falls on them, too
            first = pictures if before is None or change.before else _altered(pictures[:changed], before, seed)
            after = _rows(some, _altered(first[:changed], change.apply, seed if change.before else seed + 1))
            for number, there, rows in zip(group, originals[before], after, strict=True):
                found[number][name] = there.kept(rows)
            if step:
                step(done + 1, len(CHANGES))
    return found


def measure_on(
    dataset: Dataset,
    extractor: Extractor,
    n: int = 200,
    progress: ProgressCallback | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, float]:
    """`kept` on up to `n` pictures of the user's own, drawn by lot; kept with the dataset for `measured_here`.

    Raises BadInput if there are too few that can be read, Cancelled.
    """
    meter = Meter("Changing pictures to see what is ignored", len(CHANGES), progress)

    def step(done: int, total: int) -> None:
        meter.update(done)
        if cancelled is not None and cancelled():
            raise Cancelled("The measurement was stopped.")

    pictures = _drawn(dataset, n, max(_SIDE, extractor.min_side))
    found = {change: each.neighbours for change, each in measure([extractor], pictures, step=step)[0].items()}
    write_json(_own_file(dataset, extractor.spec), {"pictures": len(pictures), "kept": found})
    return found


def measured_here(dataset: Dataset, spec: FeatureSpec) -> dict[str, float] | None:
    """What `measure_on` found for this feature on this collection; None if it was not measured."""
    try:
        return dict(read_json(_own_file(dataset, spec))["kept"])
    except FileNotFoundError:
        return None


def measured_invariance(name: str) -> dict[str, float] | None:
    """Change -> share of neighbours kept, for an extractor by its name, on the drawings that come with the program;
    None for one that was not measured."""
    found: dict[str, float] | None = shipped().get("kept", {}).get(name)
    return None if found is None else dict(found)


@functools.cache
def shipped() -> Mapping[str, Any]:
    """The file of SHIPPED: "pictures", "changed" and "kept"; empty where it is missing."""
    try:
        return dict(json.loads(SHIPPED.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


class _Originals:
    """The vectors that neighbours are sought among, centred on their mean and of length one."""

    def __init__(self, rows: np.ndarray, k: int) -> None:
        self._mean = rows.sum(axis=0, dtype=np.float64) / (len(rows) + _SHRINK)
        self._vectors = self._unit(rows)
        self._k = k
        self._near = self._nearest(self._vectors)

    def kept(self, rows: np.ndarray) -> Kept:
        """`rows` (m, d): the first m originals after a change."""
        vectors = self._unit(rows)
        near = self._nearest(vectors)
        shares = [len(np.intersect1d(a, b)) / self._k for a, b in zip(near, self._near, strict=False)]
        scores = vectors @ self._vectors.T
        own = scores[np.arange(len(rows)), np.arange(len(rows))]
        return Kept(float(np.mean(shares)), float((own >= scores.max(axis=1) - 1e-6).mean()))

    def _unit(self, rows: np.ndarray) -> np.ndarray:
        centred = rows - self._mean
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.ascontiguousarray(centred / np.maximum(lengths, 1e-9), np.float32)

    def _nearest(self, vectors: np.ndarray) -> np.ndarray:
        """(m, k) originals nearest to each of (m, d), which are in the order of the originals, without its own."""
        near, _ = nearest(self._vectors, vectors, self._k + 1)
        own = near == np.arange(len(vectors))[:, None]
        own[~own.any(axis=1), -1] = True
        return near[~own].reshape(len(vectors), self._k)


def _together(extractors: Sequence[Extractor]) -> list[list[int]]:
    """Places of the extractors, those of one computation together."""
    groups: dict[str, list[int]] = {}
    for number, extractor in enumerate(extractors):
        shared = extractor.network if isinstance(extractor, Layered) else f"{number}"
        groups.setdefault(shared, []).append(number)
    return list(groups.values())


def _rows(extractors: Sequence[Extractor], pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """(n, dim) float32 of each extractor; several are layers of one network."""
    first = extractors[0]

    def some(start: int) -> list[np.ndarray]:
        batch = np.stack([first.prepare(rgb) for rgb in pictures[start : start + first.batch_size]])
        if len(extractors) > 1 and isinstance(first, Layered):
            layers = first.compute_layers(batch)
            return [layers[extractor.spec.layer] for extractor in extractors]
        return [first.compute(batch)]

    with ThreadPoolExecutor(usable_cores()) as pool:
        blocks = list(pool.map(some, range(0, len(pictures), first.batch_size)))
    return [np.concatenate(each).astype(np.float32) for each in zip(*blocks, strict=True)]


def _altered(pictures: Sequence[np.ndarray], alter: "Alter", seed: int) -> list[np.ndarray]:
    return [alter(rgb, np.random.default_rng([seed, number])) for number, rgb in enumerate(pictures)]


def _drawn(dataset: Dataset, n: int, side: int) -> list[np.ndarray]:
    """Up to `n` pictures of distinct content, decoded; those that cannot be read now are passed over."""
    items = dataset.present().drop_duplicates("content_hash")
    pictures: list[np.ndarray] = []
    for row in np.random.default_rng(0).permutation(len(items)):
        if len(pictures) == n:
            break
        try:
            pictures.append(decode(dataset.source.read(items["path"].iloc[row]), side).rgb)
        except Unreadable:
            continue
    return pictures


def _own_file(dataset: Dataset, spec: FeatureSpec) -> Path:
    return dataset.root / "invariance" / f"{spec.key}.json"

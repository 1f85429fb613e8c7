"""Pictures that are there twice: identical files, and the same picture saved again.

Nearness in a feature proposes pairs, the pixels decide: among 1,502 drawings a picture that was resized or compressed
again has a median similarity of .95 to itself, and so have faces that differ in the mouth alone. Measured on the
thumbnails at 32 x 32 after the best fit of brightness and contrast, a copy differs by less than 20 of 255 wherever
one looks (95 in 100 at JPEG quality 30), the faces by more than 60 at the mouth.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

CANDIDATE = 0.8
"""Least similarity of a pair that is looked at."""
_SIDE = 32
_ALLOWED = 20.0
_SPARED = 5
"""Places of the 32 x 32 that may differ: a mark, a compression artefact."""

Thumb = Callable[[str], bytes | None]


def duplicate_table(
    hashes: list[str], content_rows: np.ndarray, neighbours: np.ndarray, distances: np.ndarray, thumb: Thumb
) -> pd.DataFrame:
    """Groups of equal pictures. `hashes` are the items' contents; `content_rows` (u,) one item row for each point of
    the graph (u, k), in its order; several points may show the same content.

    Columns: group (the largest 0), row, kind ("exact": another file of its group has the same bytes, else "near"),
    similarity (to the nearest other of its group, 1 for exact).
    """
    pairs = same_pictures(neighbours, distances, [hashes[row] for row in content_rows], thumb)
    content = {hashes[row]: number for number, row in enumerate(content_rows)}
    same = [(number, content[hashes[row]]) for number, row in enumerate(content_rows)]
    group_of = joined(len(content_rows), [*((a, b) for a, b, _ in pairs), *same])
    best = np.zeros(len(content_rows))
    for a, b, similarity in pairs:
        best[[a, b]] = np.maximum(best[[a, b]], similarity)
    numbers = np.array([content[name] for name in hashes], np.int64)
    table = pd.DataFrame({"row": np.arange(len(hashes)), "content": numbers, "group": group_of[numbers]})
    copies = table.groupby("content")["row"].transform("size")
    table["kind"] = np.where(copies > 1, "exact", "near")
    table["similarity"] = np.where(copies > 1, 1.0, best[numbers])
    table["size"] = table.groupby("group")["row"].transform("size")
    table = table[table["size"] > 1].sort_values(["size", "group", "row"], ascending=[False, True, True])
    table["group"] = pd.factorize(table["group"])[0]
    return table[["group", "row", "kind", "similarity"]].reset_index(drop=True)


def same_pictures(
    neighbours: np.ndarray, distances: np.ndarray, hashes: list[str], thumb: Thumb
) -> list[tuple[int, int, float]]:
    """Pairs (a < b, similarity) of the graph that show the same pixels."""
    own, place = np.nonzero(distances <= 1 - CANDIDATE)
    other = neighbours[own, place]
    similarity = 1 - distances[own, place]
    found: dict[tuple[int, int], float] = {}
    for a, b, alike in zip(own.tolist(), other.tolist(), similarity.tolist(), strict=True):
        if a != b:
            found[(min(a, b), max(a, b))] = alike
    wanted = {row for pair in found for row in pair}
    small = {row: _small(thumb(hashes[row])) for row in sorted(wanted)}
    return [(a, b, alike) for (a, b), alike in sorted(found.items()) if _same(small[a], small[b])]


def joined(count: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """(count,) the smallest member of each one's group, after joining all pairs."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ends = np.array(list(pairs), np.int64).reshape(-1, 2).T
    label = connected_components(coo_matrix((np.ones(ends.shape[1]), ends), (count, count)), directed=False)[1]
    first = np.full(count, count, np.int64)
    np.minimum.at(first, label, np.arange(count))
    return first[label]


def _small(jpeg: bytes | None) -> np.ndarray | None:
    """A thumbnail as (32, 32, 3) float32; None without one."""
    if jpeg is None:
        return None
    import cv2

    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return None if pixels is None else cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype("f4")


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None:
        return False
    x, y = a - a.mean(), b - b.mean()
    contrast = float(y.std())
    gain = float(np.clip((x * y).mean() / max(float((x * x).mean()), 1e-6), 0.6, 1.6))
    differs = np.sort(np.abs(gain * x - y).max(axis=2), axis=None)[-1 - _SPARED]
    # what is faint differs little from anything: there the difference must be small beside the contrast
    return bool(differs <= min(_ALLOWED, max(contrast, 2.0)))

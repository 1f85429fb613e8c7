"""Collections of any size without pictures: vectors that lie as those of pictures do, written as a built space.

Groups of very unequal sizes (a few are large, most hold dozens), groups of groups, few directions
inside a group, a little noise in all; typical pictures that are near to many (hubs), and some that are there nearly
twice. Rows are in no order. Neighbours are the nearest of up to a thousand rows of the same group: nearly the true.
"""

import datetime
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.collection import items as table_of
from explorer.collection.dataset import Dataset
from explorer.collection.pictures import Picture
from explorer.durable import write_json
from explorer.space.codes import Codes
from explorer.space.graph import NEIGHBOURS
from explorer.space.recipe import SpaceRecipe
from explorer.space.space import FORMAT, stands_for
from explorer.workspace import Workspace

RECIPE = SpaceRecipe((("lite0-000000000000", 1.0),))
_THEMES, _INNER, _BLOCK = 24, 12, 1_000
_HUBS, _TWICE = 0.01, 0.02


def synthetic(workspace: Workspace, n: int, d: int, thumbs: bool = False, seed: int = 0) -> Dataset:
    """A dataset of n pictures with one space of d numbers, made once; `kinds_of` says what they are."""
    dataset_id = f"synthetic-{n}-{d}" + ("-thumbs" if thumbs else "")
    root = workspace.dataset_dir(dataset_id)
    if not (root / "whole").exists():
        shutil.rmtree(root, ignore_errors=True)
        (root / "pictures").mkdir(parents=True)
        source = {"kind": "folder", "path": str(root / "pictures"), "classes": None}
        dataset = Dataset.create(workspace, f"{n:,} of {d}", source, dataset_id)
        dataset._store(items_of(n), scanned_ns=1)
        groups = _write_space(dataset, n, d, np.random.default_rng(seed))
        if thumbs:
            _write_thumbs(dataset, groups)
        (root / "whole").touch()
    return Dataset.open(workspace, dataset_id)


def vectors_of(n: int, d: int, seed: int = 0) -> np.ndarray:
    """(n, d) float32: the vectors of `synthetic` alone, of length one."""
    vectors = np.empty((n, d), np.float32)
    for rows, _, made, _, _ in _groups(n, d, np.random.default_rng(seed)):
        vectors[rows] = made
    return vectors


def kinds_of(dataset: Dataset) -> np.ndarray:
    """(n,) the kind of thing each row is, a group of groups: what a simulated person goes by (kind modulo classes)."""
    table = pd.read_parquet(dataset.root / "spaces" / RECIPE.key / "g000001" / "clusters.parquet")
    return table["kmeans"].to_numpy(np.int64)


def items_of(n: int) -> pd.DataFrame:
    numbers = range(n)
    return pd.DataFrame(
        {
            "uid": pd.Series([f"p{number:07d}" for number in numbers], dtype="str"),
            "path": pd.Series([f"p{number:07d}.jpg" for number in numbers], dtype="str"),
            "content_hash": pd.Series([f"{number:032x}" for number in numbers], dtype="str"),
            "size": np.full(n, 10_000, np.int64),
            "mtime_ns": np.full(n, 1, np.int64),
            "width": np.full(n, 64, np.int32),
            "height": np.full(n, 64, np.int32),
            "status": pd.Series([table_of.OK] * n, dtype="str"),
            "problem": pd.Series([""] * n, dtype="str"),
            "caption": pd.Series([""] * n, dtype="str"),
        }
    )


def _sizes(n: int, rng: np.random.Generator) -> np.ndarray:
    """Sizes of groups that sum to n: Zipf's, each at least 20 where there is room."""
    count = max(n // 250, 4)
    share = 1 / (np.arange(count) + 5)
    sizes = np.maximum((n * share / share.sum()).astype(int), min(20, n // count))
    sizes[0] += n - sizes.sum()
    assert sizes.min() > 0
    return rng.permutation(sizes)


def _groups(
    n: int, d: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, int, np.ndarray, np.ndarray, np.ndarray]]:
    """Group by group: its rows, theme and (size, d) vectors, places on a map, and which are nearly the one before."""
    place = rng.permutation(n)
    themes_at = rng.normal(size=(_THEMES, d)).astype(np.float32)
    map_at = rng.uniform(-0.8, 0.8, (_THEMES, 2))
    done = 0
    for size in _sizes(n, rng):
        theme = int(rng.integers(_THEMES))
        centre = 0.8 * themes_at[theme] + rng.normal(size=d).astype(np.float32)
        axes = rng.normal(size=(_INNER, d)).astype(np.float32) * (0.9 / np.sqrt(1 + np.arange(_INNER)))[:, None]
        inner = rng.normal(size=(size, _INNER)).astype(np.float32)
        inner = inner[np.argsort(inner[:, 0])]
        tight = np.where(rng.random(size) < _HUBS, 0.3, 1).astype(np.float32)[:, None]
        made = centre + tight * (inner @ axes.astype(np.float32))
        made += tight * 0.6 * rng.standard_normal((size, d), dtype=np.float32)
        again = np.flatnonzero(rng.random(size - 1) < _TWICE) + 1
        made[again] = made[again - 1] + 0.05 * rng.standard_normal((len(again), d), dtype=np.float32)
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        spot = map_at[theme] + 0.1 * rng.normal(size=2) + 0.02 * inner[:, :2]
        yield place[done : done + size], theme, made, spot, again
        done += size


def _write_space(dataset: Dataset, n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    import faiss

    folder = dataset.root / "spaces" / RECIPE.key
    work = folder / "g000001"
    work.mkdir(parents=True)
    vectors = np.lib.format.open_memmap(work / "vectors.f32.npy", mode="w+", dtype=np.float32, shape=(n, d))
    m = min(NEIGHBOURS, n - 1)
    neighbours, distances = np.zeros((n, m), np.int32), np.zeros((n, m), np.float32)
    xy, groups, themes = np.zeros((n, 2), np.float32), np.zeros(n, np.int64), np.zeros(n, np.int64)
    twins: list[tuple[int, int]] = []
    for group, (rows, theme, made, spot, again) in enumerate(_groups(n, d, rng)):
        size = len(rows)
        vectors[rows] = made
        groups[rows], themes[rows], xy[rows] = group, theme, spot
        twins += [(int(rows[at - 1]), int(rows[at])) for at in again]
        for start in range(0, size, _BLOCK):
            start = max(0, min(start, size - _BLOCK))  # the last block is as large as the others
            some = made[start : start + _BLOCK]
            scores, found = faiss.knn(some, some, min(m + 1, len(some)), metric=faiss.METRIC_INNER_PRODUCT)
            own = rows[start : start + _BLOCK]
            width = found.shape[1] - 1
            neighbours[own, :width], distances[own, :width] = own[found[:, 1:]], np.maximum(1 - scores[:, 1:], 0)
            if width < m:  # a group smaller than the list: its last one again
                neighbours[own, width:] = neighbours[own, width - 1 : width]
                distances[own, width:] = distances[own, width - 1 : width]
    vectors.flush()
    _write_tables(work, n, d, groups, themes, xy, neighbours, distances, twins)
    Codes.write(work, vectors)
    manifest = {"format": FORMAT, "key": RECIPE.key, "title": RECIPE.title, "recipe": RECIPE.as_json()}
    manifest |= {"generation": 1, "n": n, "seed": 0, "stands_for": stands_for(dataset, RECIPE)}
    manifest["items"] = n
    write_json(folder / "manifest.json", manifest | {"created": datetime.datetime.now(datetime.UTC).isoformat()})
    return groups


def _write_tables(
    work: Path,
    n: int,
    d: int,
    groups: np.ndarray,
    themes: np.ndarray,
    xy: np.ndarray,
    neighbours: np.ndarray,
    distances: np.ndarray,
    twins: list[tuple[int, int]],
) -> None:
    names = items_of(n)[["uid", "content_hash"]]
    names.to_parquet(work / "rows.parquet")
    np.save(work / "map.npy", xy.clip(-1, 1))
    np.save(work / "neighbours.npy", neighbours)
    np.save(work / "distances.npy", distances)
    np.savez(work / "transform.npz", centres=np.zeros((_THEMES, d), np.float32), mean0=np.zeros(d, np.float32))
    pd.DataFrame({"kmeans": themes, "hdbscan": groups}).to_parquet(work / "clusters.parquet")
    far = distances.mean(axis=1)
    rank = np.empty(n, np.int64)
    rank[np.argsort(-far, kind="stable")] = np.arange(1, n + 1)
    odd = {"uid": names["uid"], "row": np.arange(n), "knn_distance": far, "centre_distance": far, "score": far}
    pd.DataFrame(odd | {"rank": rank}).to_parquet(work / "outliers.parquet")
    pairs = np.array(twins, np.int64).reshape(-1, 2)
    twice = {"group": np.repeat(np.arange(len(pairs)), 2), "row": pairs.ravel(), "kind": "near", "similarity": 0.99}
    table = pd.DataFrame(twice)
    table.assign(uid=names["uid"].iloc[table["row"]].to_numpy()).to_parquet(work / "duplicates.parquet")


def _write_thumbs(dataset: Dataset, groups: np.ndarray) -> None:
    """A small JPEG for each picture, in the colours of its group."""
    import simplejpeg

    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (groups.max() + 1, 2, 3), dtype=np.uint8)
    hashes = dataset.items["content_hash"].tolist()
    for start in range(0, len(hashes), 5_000):
        some = []
        for row in range(start, min(start + 5_000, len(hashes))):
            picture = np.empty((64, 64, 3), np.uint8)
            edge = int(rng.integers(8, 56))
            picture[:edge], picture[edge:] = colours[groups[row]]
            some.append(Picture(hashes[row], 64, 64, simplejpeg.encode_jpeg(picture, quality=75)))
        dataset.pictures.add_many(some)

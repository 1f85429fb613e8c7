"""Building a space: features of the present items to vectors, neighbours, map, groups, odd ones out and duplicates.

Everything that compares pictures is computed over distinct contents and then spread over the items, so that a picture
that is there a hundred times is one point of the graph: it neither fills its own neighbourhood nor breaks the map.
"""

import contextlib
import datetime
import functools
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.collection import own
from explorer.collection.dataset import Dataset
from explorer.collection.features import FeatureStore
from explorer.collection.progress import Meter, ProgressCallback
from explorer.durable import reserve, write_json
from explorer.errors import Cancelled, NotFound
from explorer.space import clusters, index, outliers, projection
from explorer.space import graph as graphs
from explorer.space.append import append
from explorer.space.codes import Codes
from explorer.space.duplicates import duplicate_table
from explorer.space.joined import VECTORS, JoinedVectors, link_parts, whole
from explorer.space.recipe import SAMPLE, SpaceRecipe, Transform
from explorer.space.space import (
    FORMAT,
    WIDER,
    Space,
    generation_dir,
    open_space,
    read_manifest,
    spaces_dir,
    stands_for,
)

KEPT = 2
_CHUNK = 16_384
_GROWTH = 0.2
"""Beyond this share of new pictures the old fit no longer speaks for the collection, and everything is made anew."""
_UNSETTLED = 0.03
"""From this share of rows that were added to it or are of pictures that are gone, a full build is worth its time."""


def build_space(
    dataset: Dataset,
    recipe: SpaceRecipe,
    progress: ProgressCallback | None = None,
    cancelled: Callable[[], bool] | None = None,
    refit: bool = False,
    seed: int = 0,
    settle: bool = False,
) -> Space:
    """Build the next generation of a space and give it back; the current one, if nothing has changed.

    Without `refit` the transform, the map's places and the groups' numbers of the last generation are kept and new
    pictures fitted in, unless more than a fifth are new: those of a large space are added to it (`append`), which takes
    seconds, unless `settle` asks for a full build. Pictures that a feature of the recipe lacks are left out.
    A joined space whose features have up-to-date spaces of their own, through the same steps, reads those (`joined`)
    and stores no vectors.

    A build that is cancelled or killed leaves the last generation as it was. Raises NotFound if no picture has the
    features, Busy, Cancelled.
    """
    with dataset.writing(), ThreadPoolExecutor(1, thread_name_prefix="mark") as beside:
        folder = spaces_dir(dataset) / recipe.key
        features = functools.cache(dataset.features)  # opened once: at a million rows that takes a while
        with contextlib.suppress(NotFound):
            for key, _ in recipe.features:
                features(key)
        mark, there = beside.submit(stands_for, dataset, recipe, features), len(dataset.present())
        manifest = read_manifest(folder)
        kept = manifest is not None and not refit and manifest["seed"] == seed
        # with another number of pictures nothing is the same, and the mark is waited for at the end
        same = manifest and kept and manifest.get("items", there) == there and manifest["stands_for"] == mark.result()
        if same and not (settle and unsettled(dataset, recipe.key)):
            return open_space(dataset, recipe.key)
        old = open_space(dataset, recipe.key) if kept else None
        generation = 1 + max([int(path.name[1:]) for path in folder.glob("g*") if _is_generation(path)], default=0)
        work = folder / f".g{generation:06d}.{os.getpid()}"
        for leftover in folder.glob(".g*"):
            shutil.rmtree(leftover, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            stores = [features(key) for key, _ in recipe.features]
            build = _Build(dataset, recipe, work, progress, cancelled, seed, stores)
            added, settled = None, (manifest or {}).get("settled", (manifest or {}).get("n", 0))
            if old is not None and not settle:
                room = int((1 + _GROWTH) * settled) - len(old)
                added = append(dataset, build.stores, old, work, room, build._step)
            n, gone = added or (build.run(old), 0)
            settled = settled if added else n
            simple = (work / VECTORS).exists() and not recipe.axes and "power" not in "".join(recipe.steps)
            _make_durable(work)
            os.replace(work, generation_dir(folder, generation))
        finally:
            shutil.rmtree(work, ignore_errors=True)
        write_json(
            folder / "manifest.json",
            {
                "format": FORMAT if simple else WIDER,
                "key": recipe.key,
                "title": build.title,
                "recipe": recipe.as_json(),
                "generation": generation,
                "n": n,
                "settled": settled,
                "gone": gone,
                "seed": seed,
                "stands_for": mark.result(),
                "items": there,
                "created": (manifest or {}).get("created") or datetime.datetime.now(datetime.UTC).isoformat(),
            },
        )
        for path in folder.glob("g*"):
            if _is_generation(path) and int(path.name[1:]) <= generation - KEPT:
                shutil.rmtree(path, ignore_errors=True)
        return open_space(dataset, recipe.key)


def unsettled(dataset: Dataset, key: str) -> bool:
    """Whether so much was added to a space, or is gone, since it was last built in full that it is time to do so."""
    manifest = read_manifest(spaces_dir(dataset) / key) or {}
    loose = manifest.get("n", 0) - manifest.get("settled", manifest.get("n", 0)) + manifest.get("gone", 0)
    return bool(loose > _UNSETTLED * manifest.get("n", 0))


@dataclass
class _Contents:
    """The items of a build and the distinct contents behind them.

    Where a feature tells of items and not of pixels, a content is the picture with what is said of it: two copies of
    a picture of which the table says different things are two points.
    """

    uids: list[str]
    hashes: list[str]
    names: list[list[str]]
    """For each feature, the name of each item's row."""
    points: list[str]
    """What makes an item's content, as one text."""
    of_item: np.ndarray
    """(n,) which content each item has."""
    first_row: np.ndarray
    """(u,) the first item of each content."""


class _Build:
    def __init__(
        self,
        dataset: Dataset,
        recipe: SpaceRecipe,
        work: Path,
        progress: ProgressCallback | None,
        cancelled: Callable[[], bool] | None,
        seed: int,
        stores: list[FeatureStore],
    ) -> None:
        self.dataset, self.recipe, self.work, self.seed = dataset, recipe, work, seed
        self.progress, self.cancelled = progress, cancelled
        self.stores = stores
        self.view: JoinedVectors | None = None

    def run(self, old: Space | None) -> int:
        """Write every file of the generation; returns the number of pictures."""
        contents = self._contents()
        before = set(self._points(old.uids.tolist(), old.hashes.tolist())) if old else set()
        fresh = {point for point in contents.points if point not in before}
        if old and len(fresh) > _GROWTH * len(contents.first_row):
            old = None
        parts = self._parts(contents)
        joined = Transform.of_parts(self.recipe, [part.fitted for part, _ in parts]) if parts else None
        if joined is not None and (old is None or old.fitted.same_as(joined)):
            transform, distinct = joined, self._joined(contents, parts)
        else:
            transform = old.fitted if old else self._fit(contents)
            distinct = self._vectors(contents, transform)
        graph, wide = self._graph(distinct)
        reach = np.ascontiguousarray(wide[:, : graphs.NEIGHBOURS])
        xy = self._map(contents, distinct, graph, reach, old)
        self._step("Finding groups", 0, 1)
        even, centres = clusters.kmeans(distinct, self.seed, old.centres if old else None)
        dense = clusters.dense_groups(xy)
        self._step("Finding odd ones out", 0, 1)
        odd = outliers.outlier_table(distinct, wide, self.seed)
        self._step("Finding what is there twice", 0, 1)
        twice = duplicate_table(contents.hashes, contents.first_row, graph, reach, self.dataset.pictures.thumb)
        self._write(contents, transform, distinct, graph, reach, xy, even, dense, centres, odd, twice)
        self._step("The map is ready", 1, 1)
        return len(contents.uids)

    def _step(self, stage: str, done: int, total: int) -> None:
        if self.cancelled is not None and self.cancelled():
            raise Cancelled(f"The map of {self.dataset.name} was stopped; the last one stays.")
        Meter(stage, total, self.progress).update(done)

    def _told(self, stage: str, total: int) -> Callable[[int, int], None]:
        """A stage that says how far it is: to be called with (done, out of); stops where the build is cancelled."""
        self._step(stage, 0, total)
        meter = Meter(stage, total, self.progress)

        def told(done: int, of: int) -> None:
            if self.cancelled is not None and self.cancelled():
                self._step(stage, 0, total)
            meter.update(total * done // of)

        return told

    def _contents(self) -> _Contents:
        present = self.dataset.present()
        names = [pd.Series(own.row_names(store.spec, present), dtype="str") for store in self.stores]
        lacks = [name.isin(store.missing(name.tolist())) for store, name in zip(self.stores, names, strict=True)]
        has = ~np.any(np.stack(lacks), axis=0)
        present = present[has]
        if not len(present):
            lacking = ", ".join(key for key, _ in self.recipe.features)
            raise NotFound(
                f"No picture of {self.dataset.name} has the features {lacking} yet; run the extractor first."
            )
        uids, hashes = present["uid"].tolist(), present["content_hash"].tolist()
        points = self._points(uids, hashes)
        codes, _ = pd.factorize(pd.Series(points, dtype="str"))
        _, first = np.unique(codes, return_index=True)
        rows = [list(name[has]) for name in names]
        return _Contents(uids, hashes, rows, points, codes.astype(np.int64), first)

    def _points(self, uids: list[str], hashes: list[str]) -> list[str]:
        if all(store.spec.rows == "content" for store in self.stores):
            return hashes
        return [f"{content}\0{uid}" for uid, content in zip(uids, hashes, strict=True)]

    @property
    def title(self) -> str:
        """The recipe's, with the user's own columns and files by their own names."""
        if len(self.stores) == 1 and own.is_own(self.stores[0].spec.extractor):
            return own.title_of(self.stores[0].spec.extractor)
        return self.recipe.title

    def _raw(self, contents: _Contents, rows: np.ndarray) -> list[np.ndarray]:
        pairs = zip(self.stores, contents.names, strict=True)
        return [store.get([names[row] for row in rows]) for store, names in pairs]

    def _chunks(self, contents: _Contents, stage: str) -> list[np.ndarray]:
        """The first items of the distinct contents, some at a time."""
        first = contents.first_row
        self._step(stage, 0, len(first))
        return [first[start : start + _CHUNK] for start in range(0, len(first), _CHUNK)]

    def _fit(self, contents: _Contents) -> Transform:
        sums = [np.zeros(store.dim) for store in self.stores]
        for rows in self._chunks(contents, "Gathering what was seen"):
            for total, block in zip(sums, self._raw(contents, rows), strict=True):
                total += Transform.ahead(self.recipe, block).sum(axis=0, dtype=np.float64)
        samples: list[np.ndarray] = []
        if self.recipe.axes:
            rng, count = np.random.default_rng(self.seed), len(contents.first_row)
            chosen = np.sort(rng.choice(count, min(count, SAMPLE), replace=False))
            samples = self._raw(contents, contents.first_row[chosen])
        return Transform.fit(self.recipe, sums, len(contents.first_row), samples)

    def _parts(self, contents: _Contents) -> list[tuple[Space, np.ndarray | None]]:
        """The spaces of the features alone, with where their rows are; none unless all of them know all pictures."""
        found: list[tuple[Space, np.ndarray | None]] = []
        for number in range(len(self.recipe.features) if len(self.recipe.features) > 1 else 0):
            try:
                part = open_space(self.dataset, self.recipe.alone(number).key)
            except NotFound:
                return []
            rows = part.rows.of(contents.uids)
            known = (rows >= 0).all() and [part.hashes[row] for row in rows] == contents.hashes
            if not known or not whole(part.folder):
                return []
            found.append((part, None if part.uids == contents.uids else rows))
        return found

    def _joined(self, contents: _Contents, parts: list[tuple[Space, np.ndarray | None]]) -> np.ndarray:
        """(u, d) of the distinct contents; the items' own are a view of the parts'."""
        chunks = self._chunks(contents, "Gathering what was seen")
        weights, rows = [weight for _, weight in self.recipe.features], [rows for _, rows in parts]
        self.view = link_parts(self.work, [part.folder for part, _ in parts], weights, rows, len(contents.uids))
        return np.concatenate([self.view[some] for some in chunks])

    def _vectors(self, contents: _Contents, transform: Transform) -> np.ndarray:
        """(u, d) of the distinct contents; the items' own go to vectors.f32.npy."""
        chunks = self._chunks(contents, "Gathering what was seen")
        distinct = np.concatenate([transform(self._raw(contents, rows)) for rows in chunks])
        stored = np.lib.format.open_memmap(
            self.work / VECTORS, mode="w+", dtype=np.float32, shape=(len(contents.uids), transform.dim)
        )
        reserve(stored)
        for start in range(0, len(contents.uids), _CHUNK):
            stored[start : start + _CHUNK] = distinct[contents.of_item[start : start + _CHUNK]]
        stored.flush()
        del stored
        return distinct

    def _graph(self, distinct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(u, k) nearest others, and the distances of more of them for the odd ones out."""
        told = self._told("Comparing pictures", len(distinct))
        rows, distances = graphs.neighbour_graph(distinct, outliers.REACH, told)
        return np.ascontiguousarray(rows[:, : graphs.NEIGHBOURS]), distances

    def _map(
        self, contents: _Contents, distinct: np.ndarray, graph: np.ndarray, reach: np.ndarray, old: Space | None
    ) -> np.ndarray:
        """(u, 2) places of the distinct contents."""
        told = self._told("Drawing the map", 100)
        if old is None:
            return projection.project(distinct, graph, reach, self.seed, told)
        known = {point: row for row, point in enumerate(self._points(old.uids.tolist(), old.hashes.tolist()))}
        rows = np.array([known.get(contents.points[row], -1) for row in contents.first_row])
        xy = np.where(rows[:, None] >= 0, old.xy[rows], 0).astype(np.float32)
        new = np.flatnonzero(rows < 0)
        if len(new):
            settled = np.flatnonzero(rows >= 0)
            near, scores = index.nearest(distinct[settled], distinct[new], min(5, len(settled)))
            xy[new] = projection.place(xy[settled][near], np.maximum(1 - scores, 0))
        return xy

    def _write(
        self,
        contents: _Contents,
        transform: Transform,
        distinct: np.ndarray,
        graph: np.ndarray,
        reach: np.ndarray,
        xy: np.ndarray,
        even: np.ndarray,
        dense: np.ndarray,
        centres: np.ndarray,
        odd: pd.DataFrame,
        twice: pd.DataFrame,
    ) -> None:
        item = contents.of_item
        rows, distances = spread_graph(graph, reach, item)
        uids = pd.Series(contents.uids, dtype="str")
        np.save(self.work / "map.npy", xy[item], allow_pickle=False)
        np.save(self.work / "neighbours.npy", rows, allow_pickle=False)
        np.save(self.work / "distances.npy", distances, allow_pickle=False)
        with open(self.work / "transform.npz", "wb") as file:
            np.savez(file, allow_pickle=False, centres=centres, **transform.as_arrays())
        pd.DataFrame({"uid": uids, "content_hash": contents.hashes}).to_parquet(self.work / "rows.parquet")
        pd.DataFrame({"kmeans": even[item], "hdbscan": dense[item]}).to_parquet(self.work / "clusters.parquet")
        table = odd.iloc[item].reset_index(drop=True)
        table.insert(0, "uid", uids)
        table.insert(1, "row", np.arange(len(table)))
        table["rank"] = table["rank"].rank(method="first").astype(np.int64)
        table.to_parquet(self.work / "outliers.parquet")
        twice.assign(uid=uids.iloc[twice["row"]].to_numpy()).to_parquet(self.work / "duplicates.parquet")
        self._step("Preparing the search", 0, 1)
        if self.view is not None:
            return  # the parts' codes are scanned
        Codes.write(self.work, np.load(self.work / VECTORS, mmap_mode="r", allow_pickle=False))


def spread_graph(graph: np.ndarray, reach: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The graph of u distinct contents, (u, k), as one of n items of which `item` (n,) says the content.

    An item's neighbours are its own copies first, then the items of the neighbouring contents; never itself.
    Returns (n, m) int32 and float32 with m = min(NEIGHBOURS, n - 1).
    """
    n, m = len(item), min(graphs.NEIGHBOURS, len(item) - 1)
    if len(graph) == n and np.array_equal(item, np.arange(n)):
        return graph, reach
    order = np.argsort(item, kind="stable")
    starts = np.searchsorted(item[order], np.arange(len(graph) + 1))
    rows, distances = np.empty((n, m), np.int32), np.empty((n, m), np.float32)
    for number in range(n):
        content = int(item[number])
        found: list[int] = []
        away: list[float] = []
        for other, distance in [(content, 0.0), *zip(graph[content].tolist(), reach[content].tolist(), strict=True)]:
            if len(found) >= m:
                break
            # one more than is wanted, since the item itself is dropped
            some = [int(row) for row in order[starts[other] : starts[other + 1]][: m + 1] if row != number]
            found += some
            away += [distance] * len(some)
        rows[number], distances[number] = found[:m], away[:m]
    return rows, distances


def _is_generation(path: Path) -> bool:
    return bool(re.fullmatch(r"g\d{6,}", path.name))


def _make_durable(work: Path) -> None:
    for path in work.iterdir():
        with open(path, "rb+") as file:
            os.fsync(file.fileno())

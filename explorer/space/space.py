"""A space that has been built: vectors, neighbours, map, groups, odd ones out; opened from its files, never changed."""

import hashlib
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from explorer.collection.dataset import Dataset
from explorer.collection.features import FeatureStore
from explorer.collection.items import GONE, META
from explorer.collection.names import Names, Places
from explorer.collection.own import row_names
from explorer.durable import read_json
from explorer.errors import BadInput, NotFound
from explorer.space.cards import ClusterCard, make_cards
from explorer.space.codes import Codes
from explorer.space.index import search
from explorer.space.joined import VECTORS, JoinedCodes, open_parts
from explorer.space.recipe import SpaceRecipe, Transform
from explorer.space.spread import Spread

_TABLES = ("clusters", "outliers", "duplicates")
FORMAT, WIDER = 1, 2
"""Of the manifest. The wider one is for what older versions cannot read: vectors in parts, and fitted directions."""


@dataclass(frozen=True)
class SpaceInfo:
    key: str
    title: str
    generation: int
    n: int
    stale: bool
    """The collection or its features have changed since."""


class Space:
    """One generation of one space. Safe to read from several threads, also after a newer one was built."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.key: str = manifest["key"]
        self.title: str = manifest["title"]
        self.generation: int = manifest["generation"]
        self.recipe = SpaceRecipe.from_json(manifest["recipe"])
        self.folder = folder
        rows = pq.read_table(folder / "rows.parquet", columns=["uid", "content_hash"])
        self.uids, self.hashes = Names(rows["uid"]), Names(rows["content_hash"])
        self.rows = Places(self.uids)
        pa.default_memory_pool().release_unused()  # what reading the tables left: 90 MB at a million pictures
        weights = [weight for _, weight in self.recipe.features]
        self._parts = None if (folder / VECTORS).exists() else open_parts(folder, weights, len(self.uids))
        self.vectors = cast(np.ndarray, self._parts) if self._parts else _mapped(folder / VECTORS, len(self.uids))
        """(n, d) float32 rows of length one. Of a joined space they may lie in those of its parts (`JoinedVectors`):
        then picking rows, `@`, `shape` and `numpy.asarray` are what there is."""
        self.neighbours: np.ndarray = np.load(folder / "neighbours.npy", mmap_mode="r", allow_pickle=False)
        self.distances: np.ndarray = np.load(folder / "distances.npy", mmap_mode="r", allow_pickle=False)
        self.xy: np.ndarray = np.load(folder / "map.npy", mmap_mode="r", allow_pickle=False)
        # read when asked for, also after their folder is gone
        self._tables = {name: pa.memory_map(str(folder / f"{name}.parquet")) for name in _TABLES}
        with np.load(folder / "transform.npz", allow_pickle=False) as stored:
            self.fitted = Transform.from_arrays(self.recipe, stored)
            self.centres: np.ndarray = stored["centres"]
        self._cards: dict[tuple[str, str], list[ClusterCard]] = {}
        n, d = self.vectors.shape
        self._codes = Codes.open(folder, d, n) if self._parts is None else JoinedCodes(self._parts)
        self._spread: Spread | None = None
        self._items: tuple[int, pd.DataFrame] | None = None
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._reading = threading.Lock()

    def __len__(self) -> int:
        return len(self.uids)

    def search(
        self, query: int | np.integer | np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k rows nearest to a row number (which finds itself too), a (d,) vector or (m, d) vectors of this space.

        Returns rows int64 and scores float32 (inner products), largest first, equal ones in the order of the rows:
        (k',), or (m, k') for (m, d), with k' = min(k, n). `allowed` (n,) bool keeps only some rows. Exact up to a size,
        see `index.search`.
        """
        vectors = self.vectors[int(query)] if np.ndim(query) == 0 else np.asarray(query, np.float32)
        if vectors.shape[-1] != self.vectors.shape[1]:
            raise BadInput(f"A vector here has {self.vectors.shape[1]} numbers, not {vectors.shape[-1]}.")
        found = [search(self.codes, self.vectors, one, k, allowed) for one in np.atleast_2d(vectors)]
        if vectors.ndim == 1:
            return found[0]
        return np.stack([rows for rows, _ in found]), np.stack([scores for _, scores in found])

    def transform(self, raw: list[np.ndarray]) -> np.ndarray:
        """One (m, dim) array for each feature of the recipe to (m, d) vectors of this space. Raises BadInput."""
        return self.fitted(raw)

    @property
    def codes(self) -> Codes | JoinedCodes:
        """The vectors in a byte a number, for scans. A space built before there were any makes them at first use: two
        seconds at a million pictures."""
        with self._making:
            if self._codes is None:
                self._codes = Codes.of(self.vectors)
            return self._codes

    @property
    def spread(self) -> Spread:
        """How answers spread along the neighbours; made at first use, see `Spread`."""
        with self._making:
            if self._spread is None:
                self._spread = Spread(self.neighbours, self.distances)
            return self._spread

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """Columns "kmeans" and "hdbscan": the group of each row, -1 for none."""
        return self._table("clusters")

    @cached_property
    def members(self) -> dict[str, dict[int, np.ndarray]]:
        """Of "kmeans" and "hdbscan", the rows of each group, ascending; those of none under -1."""
        return {method: dict(self.clusters.groupby(method).indices) for method in self.clusters}

    @cached_property
    def outliers(self) -> pd.DataFrame:
        """Columns uid, row, knn_distance, centre_distance, score and rank; the oddest has rank 1."""
        return self._table("outliers")

    @cached_property
    def duplicates(self) -> pd.DataFrame:
        """What is there twice, see `duplicates.duplicate_table`."""
        return self._table("duplicates")

    def _table(self, name: str) -> pd.DataFrame:
        with self._reading:
            self._tables[name].seek(0)
            return pd.read_parquet(self._tables[name])

    def items(self, dataset: Dataset) -> pd.DataFrame:
        """The dataset's items in the order of the rows, (n, columns). A picture that the dataset does not know (any
        more) has status "gone", no caption, and nothing in the other columns. Kept until the items change."""
        held = self._items
        if held is None or held[0] != dataset.generation:
            held = self._items = dataset.generation, self._aligned(dataset)
        return held[1].copy(deep=False)

    def _aligned(self, dataset: Dataset) -> pd.DataFrame:
        rows = dataset.row_of.of(self.uids)
        items = dataset.items
        if len(items) == len(rows) and (rows == np.arange(len(rows))).all():
            return items
        found = items.reset_index(drop=True).reindex(rows).reset_index(drop=True)
        found["uid"] = pd.Series(self.uids.tolist(), dtype="str")
        return found.fillna({"caption": "", "status": GONE})

    def cluster_cards(self, method: str, items: pd.DataFrame) -> list[ClusterCard]:
        """A card for each group of "kmeans" or "hdbscan", in the order of their numbers. `items` is the dataset's
        table: whatever it says now of the pictures of this space. Raises BadInput for an unknown method."""
        if method not in self.clusters:
            raise BadInput(f"There is no grouping '{method}', only {' and '.join(self.clusters.columns)}.")
        told = [name for name in items.columns if name == "caption" or name.startswith(META)]
        aligned = items[told].set_axis(items["uid"])
        if Names(items["uid"]) != self.uids:
            aligned = aligned.reindex(self.uids.tolist())
        aligned = aligned.reset_index(drop=True)
        mark = f"{told} {_digest(pd.util.hash_pandas_object(aligned, index=False).to_numpy().tobytes())}"
        with self._lock:
            if (method, mark) not in self._cards:
                if len(self._cards) > 8:
                    self._cards.clear()
                labels = self.clusters[method].to_numpy()
                self._cards[(method, mark)] = make_cards(labels, self.vectors, aligned)
            return self._cards[(method, mark)]

    @cached_property
    def order(self) -> np.ndarray:
        """(n,) rows, the oddest first."""
        return self.outliers.sort_values("rank")["row"].to_numpy()


def open_space(dataset: Dataset, key: str) -> Space:
    """The newest generation of a space. Raises NotFound."""
    folder = spaces_dir(dataset) / Path(key).name
    for attempt in range(3):
        manifest = read_manifest(folder)
        if manifest is None:
            raise NotFound(
                f"{dataset.name} has no space '{key}'; build it with python -m explorer rescan {dataset.id}."
            )
        try:
            return Space(generation_dir(folder, manifest["generation"]), manifest)
        except FileNotFoundError:  # two newer generations came between the manifest and the files
            if attempt == 2:
                raise
    raise AssertionError("unreachable")


def list_spaces(dataset: Dataset) -> list[SpaceInfo]:
    """The spaces of a dataset, the first built first."""
    found = []
    for path in spaces_dir(dataset).glob("*/manifest.json"):
        manifest = read_manifest(path.parent)
        if manifest is not None:
            stale = manifest["stands_for"] != stands_for(dataset, SpaceRecipe.from_json(manifest["recipe"]))
            info = SpaceInfo(manifest["key"], manifest["title"], manifest["generation"], manifest["n"], stale)
            found.append((manifest["created"], info))
    return [info for _, info in sorted(found, key=lambda each: (each[0], each[1].key))]


def stands_for(dataset: Dataset, recipe: SpaceRecipe, features: Callable[[str], FeatureStore] | None = None) -> str:
    """A mark of everything that a build would read: the present items with their contents, and how many of them
    each feature still lacks. `features`: in place of `dataset.features`, for who has them open."""
    present = dataset.present()
    texts = [pa.array(present[name], pa.large_string()) for name in ("uid", "content_hash")]
    between, nothing, end = (pa.scalar(text, pa.large_string()) for text in ("\0", "", "\n"))
    pairs = Names(pc.binary_join_element_wise(pc.binary_join_element_wise(*texts, between), nothing, end)).run()
    lacking = []
    for key, _ in recipe.features:
        try:
            store = (features or dataset.features)(key)
            lacking.append(len(store.missing(row_names(store.spec, present))))
        except NotFound:
            lacking.append(len(present))
    return _digest(pairs + f"{lacking}\n".encode())


def spaces_dir(dataset: Dataset) -> Path:
    return dataset.root / "spaces"


def generation_dir(folder: Path, generation: int) -> Path:
    return folder / f"g{generation:06d}"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """None where nothing was built, or by a version whose files this one cannot read."""
    try:
        manifest: dict[str, Any] = read_json(folder / "manifest.json")
    except FileNotFoundError:
        return None
    return manifest if manifest["format"] in (FORMAT, WIDER) else None


def remove_space(dataset: Dataset, key: str) -> None:
    """Forget a space: what lies in it is computed, no answer is. Who has it open goes on reading it."""
    folder = spaces_dir(dataset) / Path(key).name
    (folder / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _mapped(path: Path, n: int) -> np.ndarray:
    """The first n rows: a later generation may have added to the same file."""
    vectors: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)[:n]
    return vectors


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()

"""Adding pictures to a space that is large: what is there stays as it is, and only what is new is computed.

Vectors and codes are files that the generations share: rows are put at their end, and each generation reads as many as
it has. What was drawn for all pictures is kept: new ones take the place, the groups and the share of oddness that the
pictures near them say; they enter the neighbours of the old where they are nearer. Pictures that are gone stay as rows,
which pages skip. The next full build makes all of it anew; `build.unsettled` says when it is time for one.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from explorer.collection import own
from explorer.collection.dataset import Dataset
from explorer.collection.features import FeatureStore
from explorer.collection.names import Names
from explorer.durable import full_disk, no_room
from explorer.space import clusters, outliers, projection
from explorer.space.codes import FILES, Codes
from explorer.space.duplicates import CANDIDATE, joined, same_pictures
from explorer.space.graph import NEIGHBOURS, neighbour_graph
from explorer.space.index import candidates
from explorer.space.joined import VECTORS, link, whole
from explorer.space.signs import SIGN_FILES, Signs
from explorer.space.space import Space

FEWEST = 20_000
"""Below this everything is made anew: it takes a minute, and the groups and the odd ones are then those of all."""
_LOOKED_AT = 3
"""Of a new picture's neighbours, those that are compared with it as pictures."""
_PLACED_BY = 5
_AXES_FROM = 5_000
"""Rows that say along which axes oddness is measured."""

Step = Callable[[str, int, int], None]
"""Called with (stage, done, total); may raise Cancelled."""


def append(
    dataset: Dataset, stores: Sequence[FeatureStore], old: Space, work: Path, room: int, step: Step
) -> tuple[int, int] | None:
    """Write a generation of `old` with the pictures that are new to `work`; gives its number of rows, and how many of
    them are of pictures that are gone.

    None, with nothing written, where that cannot be: too few pictures; a picture that has been changed; vectors that
    lie in parts; or more than `room` rows that are new or gone.
    """
    present = dataset.present()
    if len(old) < FEWEST or not whole(old.folder):
        return None
    step("Looking for new pictures", 0, 1)
    rows = _rows(_texts(present["uid"]), pa.array(old.uids))
    there = rows >= 0
    if Names(present["content_hash"][there]) != Names(old.hashes.picked(rows[there])):
        return None
    fresh = present[~there].reset_index(drop=True)
    names = [pd.Series(own.row_names(store.spec, fresh), dtype="str") for store in stores]
    lacks = [name.isin(store.missing(name.tolist())) for store, name in zip(stores, names, strict=True)]
    has = ~np.any(np.stack(lacks), axis=0) if len(fresh) else np.zeros(0, bool)
    fresh = fresh[has]
    gone = len(old) - int(there.sum())
    if gone + len(fresh) > room:
        return None
    raw = [store.get(name[has].tolist()) for store, name in zip(stores, names, strict=True)]
    return _Appended(dataset, old, work, step, fresh, old.transform(raw)).write(), gone


class _Appended:
    def __init__(
        self, dataset: Dataset, old: Space, work: Path, step: Step, fresh: pd.DataFrame, vectors: np.ndarray
    ) -> None:
        self.dataset, self.old, self.work, self.step = dataset, old, work, step
        self.fresh, self.vectors = fresh, np.asarray(vectors, np.float32)
        self.first, self.n = len(old), len(old) + len(fresh)
        self.beside = ThreadPoolExecutor(2, thread_name_prefix="beside")
        self.written: list[Future[None]] = []
        self.new = np.arange(self.first, self.n)
        self.uids = pa.concat_arrays([pa.array(old.uids), _texts(fresh["uid"])])
        self.hashes = pa.concat_arrays([pa.array(old.hashes), _texts(fresh["content_hash"])])

    def write(self) -> int:
        """Every file of the generation, except for its transform. Nothing is still being written when it ends, also by
        an error: the folder may be removed then."""
        with self.beside:
            return self._write()

    def _write(self) -> int:
        old = self.old
        near, away, back = self._near()
        odd = self.beside.submit(self._odd, away)
        self.step("Putting new pictures on the map", 0, 1)
        self._neighbours(near, away, back)
        # by those that were there: a new one has no place yet
        settled = np.where(near < self.first, away, np.inf)
        order = np.argsort(settled, axis=1, kind="stable")[:, :_PLACED_BY]
        by, how_far = np.take_along_axis(near, order, 1), np.take_along_axis(settled, order, 1)
        by = np.where(np.isfinite(how_far), by, by[:, :1])
        xy = projection.place(old.xy[by], how_far) if len(by) else np.zeros((0, 2), np.float32)
        copies = how_far[:, :1] < 1e-6
        xy = np.where(copies, old.xy[by[:, 0]], xy)
        np.save(self.work / "map.npy", np.concatenate([old.xy, xy.astype(np.float32)]), allow_pickle=False)
        groups = {
            "kmeans": clusters.nearest_centre(self.vectors, old.centres) if len(by) else np.zeros(0, np.int32),
            "hdbscan": old.clusters["hdbscan"].to_numpy()[by[:, 0]],
        }
        columns = {name: np.concatenate([old.clusters[name].to_numpy(), new]) for name, new in groups.items()}
        self._table("clusters", columns)
        self._twice(near, away)
        self._table("rows", {"uid": self.uids, "content_hash": self.hashes})
        link(old.folder / "transform.npz", self.work / "transform.npz")
        self.step("Preparing the search", 0, 1)
        codes = Codes.of(self.vectors)
        for name, rows in zip((VECTORS, *FILES), (self.vectors, codes.codes, codes.scale, codes.error), strict=True):
            link(old.folder / name, self.work / name)
            extend(self.work / name, rows, self.first)
        self._signs(codes)
        odd.result()
        for each in self.written:
            each.result()
        return self.n

    def _signs(self, codes: Codes) -> None:
        """Those of the new rows, in blocks of which the first may hold the last of the old."""
        from explorer.space.sign_kernels import ROWS

        old = self.old
        if not all((old.folder / name).exists() for name in SIGN_FILES):
            return  # a space of an older version: made when they are asked for
        block = self.first // ROWS
        last = Codes.of(np.asarray(old.vectors[block * ROWS : self.first]))
        pairs = ((last.codes, codes.codes), (last.scale, codes.scale), (last.error, codes.error))
        both, scale, error = (np.concatenate(pair) for pair in pairs)
        signs = Signs.of(Codes(both, scale, error, codes.d))
        for name, rows, n in zip(SIGN_FILES, (signs.bits, signs.factor), (block, block * ROWS), strict=True):
            link(old.folder / name, self.work / name)
            extend(self.work / name, rows, n)

    def _near(self) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(m, k) rows near the new ones, nearest first, and their cosine distances; and pairs of an old row and a new
        one that is nearer to it than its last neighbour, with their distances."""
        m, k = len(self.vectors), min(outliers.REACH, self.first)
        near, away = np.empty((m, k), np.int64), np.empty((m, k), np.float32)
        backs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        others, apart = neighbour_graph(self.vectors, k) if m > 1 else (np.empty((m, 0), np.int32),) * 2
        farthest = np.array(self.old.distances[:, -1])
        found = candidates(self.old.codes, self.old.vectors, self.vectors, NEIGHBOURS, k)
        for done, (rows, scores) in enumerate(found):
            distances = np.maximum(1 - scores, 0)
            nearer = distances < farthest[rows]
            backs.append((rows[nearer], np.full(nearer.sum(), self.first + done), distances[nearer]))
            rows = np.concatenate([rows, self.first + others[done].astype(np.int64)])
            distances = np.concatenate([distances, apart[done].astype(np.float32)])
            order = np.lexsort((rows, distances))[:k]
            near[done], away[done] = rows[order], distances[order]
            if done % 256 == 255:
                self.step("Comparing pictures", done, m)
        if not backs:
            return near, away, (near[:, 0], near[:, 0], away[:, 0])
        own, other, distance = (np.concatenate(some) for some in zip(*backs, strict=True))
        return near, away, (own, other, distance)

    def _neighbours(self, near: np.ndarray, away: np.ndarray, back: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """The graph: the new rows' lists, and the old ones' with the new that are nearer."""
        graph, reach = np.array(self.old.neighbours), np.array(self.old.distances)
        order = np.lexsort((back[1], back[2], back[0]))
        own, other, distance = (some[order] for some in back)
        starts = np.flatnonzero(np.diff(own, prepend=-1))
        place = np.arange(len(own)) - np.repeat(starts, np.diff(np.append(starts, len(own))))
        kept = place < NEIGHBOURS
        changed, which = np.unique(own[kept], return_inverse=True)
        rows = np.zeros((len(changed), 2 * NEIGHBOURS), np.int32)
        far = np.full(rows.shape, np.inf, np.float32)
        rows[:, :NEIGHBOURS], far[:, :NEIGHBOURS] = graph[changed], reach[changed]
        rows[which, NEIGHBOURS + place[kept]], far[which, NEIGHBOURS + place[kept]] = other[kept], distance[kept]
        best = np.argsort(far, axis=1, kind="stable")[:, :NEIGHBOURS]
        graph[changed], reach[changed] = np.take_along_axis(rows, best, 1), np.take_along_axis(far, best, 1)
        graph = np.concatenate([graph, near[:, :NEIGHBOURS].astype(np.int32)])
        np.save(self.work / "neighbours.npy", graph, allow_pickle=False)
        np.save(self.work / "distances.npy", np.concatenate([reach, away[:, :NEIGHBOURS]]), allow_pickle=False)

    def _odd(self, away: np.ndarray) -> None:
        """How odd the new ones are beside those that were there, whose measures stay."""
        old, m = self.old, len(self.vectors)
        table = old.outliers
        if not np.array_equal(table["row"], np.arange(self.first)):
            table = table.sort_values("row")
        # the axes of a sample of the old, and what is new laid on them
        rng = np.random.default_rng(0)
        sample = np.sort(rng.choice(self.first, min(self.first, _AXES_FROM), replace=False))
        with threadpool_limits(1, "blas"):  # so small a task takes longer where threads wait for each other
            beside = outliers.central_distance(np.concatenate([self.vectors, old.vectors[sample]]))
        measured = {"knn_distance": outliers.lonely(away), "centre_distance": beside[:m].astype(np.float32)}
        shares = []
        columns: dict[str, np.ndarray | pa.Array] = {"uid": self.uids, "row": np.arange(self.n)}
        for name, values in measured.items():
            before = table[name].to_numpy()
            shares.append(np.searchsorted(np.sort(before), values) / max(len(before), 1))
            columns[name] = np.concatenate([before, values.astype(np.float32)])
        score = np.concatenate([table["score"].to_numpy(), np.mean(shares, axis=0).astype(np.float32)])
        rank = np.empty(self.n, np.int64)
        rank[np.argsort(-score, kind="stable")] = np.arange(1, self.n + 1)
        self._table("outliers", {**columns, "score": score, "rank": rank})

    def _twice(self, near: np.ndarray, away: np.ndarray) -> None:
        """The groups of what is there twice, with the new."""
        self.step("Finding what is there twice", 0, 1)
        before = self.old.duplicates
        heads = before.groupby("group")["row"].transform("min")
        edges = list(zip(before["row"].tolist(), heads.tolist(), strict=True))
        alike = dict(zip(before["row"].tolist(), before["similarity"].tolist(), strict=True))
        exact = set(before["row"][before["kind"] == "exact"].tolist())
        for a, b in self._same_files():
            edges.append((a, b))
            exact |= {a, b}
        some, distances = near[:, :_LOOKED_AT], away[:, :_LOOKED_AT]
        wanted = distances <= 1 - CANDIDATE
        local, where = np.unique(np.concatenate([some.ravel(), self.new]), return_inverse=True)
        m, width = some.shape
        own = where[m * width :]
        around = np.zeros((len(local), width), np.int64)
        far = np.full((len(local), width), np.inf)
        around[own], far[own] = where[: m * width].reshape(m, width), np.where(wanted, distances, np.inf)
        names = self.hashes.take(pa.array(local)).to_pylist()
        for a, b, similarity in same_pictures(around, far, names, self.dataset.pictures.thumb):
            one, other = int(local[a]), int(local[b])
            edges.append((one, other))
            for row in (one, other):
                alike[row] = max(alike.get(row, 0.0), similarity)
        members = np.unique(np.array(edges, np.int64))
        pairs = np.searchsorted(members, np.array(edges, np.int64).reshape(-1, 2)).tolist()
        table = pd.DataFrame({"row": members, "group": joined(len(members), [(a, b) for a, b in pairs])})
        sure = table["row"].isin(exact)
        table["kind"] = np.where(sure, "exact", "near")
        table["similarity"] = np.where(sure, 1.0, [alike.get(row, 1.0) for row in members.tolist()])
        table["size"] = table.groupby("group")["row"].transform("size")
        table = table.sort_values(["size", "group", "row"], ascending=[False, True, True])
        table["group"] = pd.factorize(table["group"])[0]
        uids = self.uids.take(pa.array(table["row"].to_numpy()))
        columns = {name: table[name].to_numpy() for name in ("group", "row", "kind", "similarity")}
        self._table("duplicates", {**columns, "uid": uids})

    def _same_files(self) -> list[tuple[int, int]]:
        """Pairs of a new row and another of the same bytes."""
        known, new = self.hashes.slice(0, self.first), self.hashes.slice(self.first)
        twice = np.flatnonzero(pc.is_in(known, value_set=new))  # few of them are looked for among many
        found = pc.index_in(new, value_set=known.take(pa.array(twice))).to_pylist()
        pairs = [(int(row), int(twice[at])) for row, at in zip(self.new, found, strict=True) if at is not None]
        first = self.fresh.assign(row=self.new).groupby("content_hash")["row"].transform("min")
        return pairs + [(int(row), int(other)) for row, other in zip(self.new, first, strict=True) if row != other]

    def _table(self, name: str, columns: dict[str, "np.ndarray | pa.Array"]) -> None:
        # short texts that are all different and floats: a dictionary of them costs a second at a million
        table = pa.table({key: pa.array(values) for key, values in columns.items()})
        write = partial(pq.write_table, table, self.work / f"{name}.parquet", use_dictionary=False, compression="lz4")
        self.written.append(self.beside.submit(write))


def _rows(texts: pa.Array, known: pa.Array) -> np.ndarray:
    """(m,) where each text stands among the known ones, -1 for nowhere. Mostly what is new stands at the end."""
    n = len(known)
    if texts.slice(0, n).equals(known):
        rest = np.asarray(pc.fill_null(pc.index_in(known, value_set=texts.slice(n)), -1))
        rows = np.concatenate([np.arange(n), np.full(len(texts) - n, -1)])
        rows[n + rest[rest >= 0]] = np.flatnonzero(rest >= 0)
        return rows
    return np.asarray(pc.fill_null(pc.index_in(texts, value_set=known), -1))


def extend(path: Path, rows: np.ndarray, n: int) -> None:
    """Put `rows` behind the first n of a .npy file, in place: whoever has it open goes on reading those. What a killed
    build has left behind them is overwritten. Raises Unavailable where the disk is full."""
    rows = np.ascontiguousarray(rows)
    with open(path, "rb+") as file:
        assert np.lib.format.read_magic(file) == (1, 0)
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
        assert (kind, shape[1:]) == (rows.dtype, rows.shape[1:])
        assert shape[0] >= n, (shape, n)
        told = {"descr": kind.str, "fortran_order": False, "shape": (n + len(rows), *shape[1:])}
        header = "".join(["{", *[f"'{key}': {value!r}, " for key, value in told.items()], "}"])
        try:
            file.seek(start + n * int(np.prod(shape[1:])) * kind.itemsize)
            file.write(rows.tobytes())
            file.flush()
            os.fsync(file.fileno())  # the rows before the word that they are there
            file.seek(10)
            file.write(f"{header:<{start - 11}}\n".encode("latin1"))  # numpy leaves room for longer numbers
        except OSError as error:
            if no_room(error):
                raise full_disk(path) from error
            raise


def _texts(column: pd.Series) -> pa.Array:
    return pa.array(Names(column))

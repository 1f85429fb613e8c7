"""A dataset: the items of one source, generation after generation, and what was found out about them."""

import contextlib
import dataclasses
import datetime
import re
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from explorer.collection import items as table_of
from explorer.collection.features import FeatureStore
from explorer.collection.hashing import hash_entries, settled
from explorer.collection.items import GONE, META, OK, PROBLEM
from explorer.collection.matching import Known, Match, Seen, match
from explorer.collection.names import Names, Places
from explorer.collection.pictures import PictureStore
from explorer.collection.progress import Meter, ProgressCallback
from explorer.collection.sources import Entry, RootedSource, Source, open_source, words
from explorer.durable import lock, read_json, write_json
from explorer.errors import BadInput, Busy, Cancelled, NotFound
from explorer.extractors.base import FeatureSpec
from explorer.workspace import RESERVED, Workspace, refuse_on_replica, replica

_FORMAT = 1


@dataclass(frozen=True)
class ScanReport:
    """What a rescan found, in items."""

    added: int = 0
    removed: int = 0
    renamed: int = 0
    """The same content at another path, counted also for items that come back at another path."""
    edited: int = 0
    unchanged: int = 0
    returned: int = 0
    """Were gone before."""
    problems: int = 0
    """Of all items that are there now, those that cannot be used."""
    ignored: int = 0
    """Files that are no pictures by their names."""


class Dataset:
    """One dataset in a workspace, as of the generation that it was opened at; `refresh` moves on.

    Any number of processes read; `rescan`, `record_problems` and embedding write and take turns (Busy).
    """

    def __init__(self, root: Path, manifest: dict[str, Any]) -> None:
        self.root = root
        self.id: str = manifest["id"]
        self.pictures = PictureStore(root / "thumbs" / "pictures.db")
        self._source: Source | None = None
        self._row_of: Places | None = None
        self._present: pd.DataFrame | None = None
        self._load(manifest)

    @classmethod
    def create(
        cls, workspace: Workspace, name: str, source_spec: dict[str, Any], dataset_id: str | None = None
    ) -> Self:
        """A new dataset without items; `rescan` fills it. Raises BadInput for a name, id or source that cannot be, and
        Refused on a replica."""
        refuse_on_replica()
        name = " ".join(name.split())
        if not name:
            raise BadInput("A dataset needs a name.")
        dataset_id = dataset_id or _free_id(workspace, name)
        root = workspace.dataset_dir(dataset_id)
        source = open_source(source_spec)
        if not Path(source.spec["path"]).is_absolute():
            raise BadInput(f"The place of a source must be a full path, not '{source.spec['path']}'.")
        if (root / "dataset.json").exists():
            raise BadInput(f"There is a dataset '{dataset_id}' already; choose another name.")
        manifest = {
            "id": dataset_id,
            "name": name,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "format_version": _FORMAT,
            "source": source.spec,
            "generation": 0,
            "scanned_ns": 0,
        }
        write_json(root / "dataset.json", manifest)
        return cls(root, manifest)

    @classmethod
    def open(cls, workspace: Workspace, dataset_id: str) -> Self:
        """Raises NotFound."""
        try:
            root = workspace.dataset_dir(dataset_id)
            return cls(root, read_json(root / "dataset.json"))
        except (FileNotFoundError, BadInput):
            there = ", ".join(workspace.dataset_ids()) or "none yet"
            raise NotFound(f"There is no dataset '{dataset_id}' (there are: {there}).") from None

    def refresh(self) -> bool:
        """Move on to the newest generation; tells whether there was a newer one."""
        manifest = read_json(self.root / "dataset.json")
        if manifest == self._manifest:
            return False
        newer = manifest["generation"] != self.generation
        self._load(manifest)
        return newer

    # what is in it

    @property
    def items(self) -> pd.DataFrame:
        """All items of this generation, tombstones included, one row each; changing the frame changes nothing here.

        Columns: uid, path, content_hash (32 hex digits; "" if never read; on a problem row, the last that was read),
        size, mtime_ns, width, height (0 unknown), status ("ok", "problem", "gone"), problem, caption, and the user's
        own as `meta:<name>`.
        """
        return self._items.copy(deep=False)

    @property
    def source(self) -> Source:
        if self._source is None:
            source = open_source(self._manifest["source"])
            self._source = RootedSource(source) if replica() else source
        return self._source

    def text(self, name: str, row: int) -> str:
        """One cell of a column of texts, without a copy of the table."""
        return str(self._items[name].iat[row])

    def present(self) -> pd.DataFrame:
        """The items that can be looked at."""
        if self._present is None:
            there = (self._items["status"] == OK).to_numpy(bool)
            self._present = self._items if there.all() else self._items[there].reset_index(drop=True)
        return self._present.copy(deep=False)

    def item(self, uid: str) -> dict[str, Any]:
        """One row as a dict of plain values, None where the user's column has none. Raises NotFound."""
        row = self.row_of.get(uid)
        if row is None:
            raise NotFound(f"There is no picture '{uid}' in {self.name}.")
        return {name: table_of.plain(self._items[name].iloc[row : row + 1])[0] for name in self._items.columns}

    @property
    def row_of(self) -> Places:
        """uid to row number in `items` of this generation."""
        if self._row_of is None:
            self._row_of = Places(Names(self._items["uid"]))
        return self._row_of

    def columns(self) -> list[str]:
        """The user's own columns, without the prefix that they have in `items`."""
        return [name.removeprefix(META) for name in self._items.columns if name.startswith(META)]

    def feature_specs(self) -> list[FeatureSpec]:
        """The features that have been computed, wholly or in part, by their keys."""
        paths = sorted((self.root / "features").glob("*/manifest.json"))
        return [FeatureSpec(**read_json(path)["spec"]) for path in paths]

    def features(self, spec_or_key: FeatureSpec | str) -> FeatureStore:
        """The rows of one feature as of now. A spec may be one that has no rows yet; a key raises NotFound then."""
        if isinstance(spec_or_key, FeatureSpec):
            return FeatureStore(self.root / "features" / spec_or_key.key, spec_or_key)
        if not re.fullmatch(r"[\w-]+", spec_or_key):  # letters of any script: a column may be called Größe
            raise NotFound(f"There is no feature '{spec_or_key}'.")
        return FeatureStore(self.root / "features" / spec_or_key)

    # what changes it

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the right to write: one process at a time, given back also by a killed one. Raises Busy, and
        Refused on a replica."""
        refuse_on_replica()
        with open(self.root / ".writing", "a+b") as file:
            try:
                lock(file.fileno())
            except OSError:
                raise Busy(f"{self.name} is being worked on already; wait until that has finished.") from None
            self.refresh()
            yield

    def rescan(
        self, progress: ProgressCallback | None = None, cancelled: Callable[[], bool] | None = None
    ) -> ScanReport:
        """List the source anew and match it with the known items (see `matching`). A generation is written only if
        something changed. Raises NotFound or BadInput if the source cannot be listed, Busy, Cancelled."""
        with self.writing():
            looked_ns = time.time_ns()
            self._source = source = open_source(self._manifest["source"])
            entries = list(source.entries())
            seen = self._hashed(source, entries, progress, cancelled)
            matches = match(self._known(), seen, source.keyed)
            rows, meta, report = self._next_rows(matches)
            table = table_of.build(rows, meta)
            table = self._apply_pictures(table)
            problems = int((table["status"] == PROBLEM).sum())
            report = dataclasses.replace(report, problems=problems, ignored=source.ignored)
            self._store(table, source=source.spec, scanned_ns=looked_ns)
            self._journal.unlink(missing_ok=True)
            return report

    def restore_items(self, table: pd.DataFrame) -> None:
        """Take over the items of a backup, for a caller that is `writing` already."""
        self._store(table)

    def record_problems(self, problems: Mapping[str, str], dims: Mapping[str, tuple[int, int]] | None = None) -> None:
        """Write down that items (by uid) cannot be used until the next scan says otherwise, and all that decoding
        has found out meanwhile: sizes, and contents that cannot be decoded. `dims` adds sizes by content hash."""
        with self.writing():
            self.absorb(problems, dims)

    def absorb(self, problems: Mapping[str, str], dims: Mapping[str, tuple[int, int]] | None = None) -> None:
        """`record_problems` for a caller that is `writing` already."""
        table = self._apply_pictures(self._items.copy(), dims)
        if problems:
            reasons = table["uid"].map(dict(problems)).astype("str")
            hit = reasons.notna() & (table["status"] == OK)
            table.loc[hit, "problem"] = reasons[hit]
            table.loc[hit, "status"] = PROBLEM
        self._store(table)

    # how

    @property
    def _journal(self) -> Path:
        return self.root / "items" / "scan.jsonl"

    def _load(self, manifest: dict[str, Any]) -> None:
        if manifest["format_version"] != _FORMAT:
            raise BadInput(f"{manifest['name']} was written by a newer version of this program; update it.")
        for attempt in range(5):
            try:
                self._items = table_of.read(self.root / "items", manifest["generation"])
                break
            except FileNotFoundError:  # switched and tidied since the manifest was read
                if attempt == 4:
                    raise
                manifest = read_json(self.root / "dataset.json")
        self._manifest = manifest
        self.name: str = manifest["name"]
        self.generation: int = manifest["generation"]
        self._row_of = self._present = None
        if self._source is not None and self._source.spec != manifest["source"]:
            self._source = None

    def _store(self, table: pd.DataFrame, **changes: Any) -> None:
        """Make a table the current generation, unless it is the current one already."""
        manifest = {**self._manifest, **changes}
        if self.generation == 0 or not table.equals(self._items):
            manifest["generation"] = self.generation + 1
            table_of.write(self.root / "items", manifest["generation"], table)
        if manifest != self._manifest:
            write_json(self.root / "dataset.json", manifest)
            self._load(manifest)
            table_of.forget_old(self.root / "items", self.generation)

    def _known(self) -> list[Known]:
        columns = (self._items[name].tolist() for name in ("uid", "path", "content_hash", "status"))
        meta = table_of.meta_rows(self._items)
        meta = [{name: value for name, value in said.items() if not name.startswith(table_of.GROUND)} for said in meta]
        return [Known(uid, path, content, status == GONE, said)
                for uid, path, content, status, said in zip(*columns, meta, strict=True)]  # fmt: skip

    def _hashed(
        self,
        source: Source,
        entries: list[Entry],
        progress: ProgressCallback | None,
        cancelled: Callable[[], bool] | None,
    ) -> list[Seen]:
        """Every entry with the hash of its content: reused where size and time stayed, else read."""
        last_ns = self._manifest["scanned_ns"]
        reusable: dict[str, tuple[int, int, str]] = {}
        columns = (self._items[name].tolist() for name in ("path", "size", "mtime_ns", "content_hash", "status"))
        for path, size, mtime_ns, content, status in zip(*columns, strict=True):
            if status != GONE and content and settled(mtime_ns, last_ns):
                reusable[path] = (size, mtime_ns, content)
        seen, unread = [], []
        for entry in entries:
            stored = reusable.get(entry.path)
            if entry.problem is not None:
                seen.append(Seen(entry, ""))
            elif stored is not None and stored[:2] == (entry.size, entry.mtime_ns):
                seen.append(Seen(entry, stored[2]))
            else:
                unread.append(entry)
        meter = Meter("Reading new pictures", len(unread), progress)

        def each(done: int) -> None:
            meter.update(done)
            if cancelled is not None and cancelled():
                raise Cancelled(f"The scan of {self.name} was stopped; nothing was changed.")

        for entry, content, problem in hash_entries(source, unread, self._journal, each):
            seen.append(Seen(dataclasses.replace(entry, problem=problem) if problem else entry, content))
        return seen

    def _next_rows(self, matches: list[Match]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], ScanReport]:
        """The rows of the next generation in the old order, new ones after them; tombstones for what is missing."""
        count = dict.fromkeys(("added", "removed", "renamed", "edited", "unchanged", "returned"), 0)
        by_uid = {each.uid: each for each in matches}
        rows: list[dict[str, Any]] = []
        meta: list[dict[str, Any]] = []
        base = self._items[[name for name in self._items.columns if not name.startswith(META)]]
        for old, said in zip(base.to_dict("records"), table_of.meta_rows(self._items), strict=True):
            found = by_uid.get(old["uid"])
            if found is None:
                count["removed"] += old["status"] != GONE
                rows.append({**old, "status": GONE, "problem": ""})
                meta.append(said)
                continue
            row = _row(found, old)
            count["returned"] += (was_gone := old["status"] == GONE)
            count["renamed"] += (moved := old["path"] != row["path"])
            count["edited"] += (edited := row["content_hash"] != old["content_hash"])
            count["unchanged"] += not (was_gone or moved or edited)
            rows.append(row)
            meta.append(found.seen.entry.columns)
        for new in matches:
            if new.known is None:
                count["added"] += 1
                rows.append(_row(new, None))
                meta.append(new.seen.entry.columns)
        return rows, meta, ScanReport(**count)

    def _apply_pictures(self, table: pd.DataFrame, dims: Mapping[str, tuple[int, int]] | None = None) -> pd.DataFrame:
        """The table with what decoding has found out about its contents."""
        sizes = {**self.pictures.sizes(table["content_hash"].tolist()), **(dims or {})}
        hashes = table["content_hash"].tolist()
        for position, name in enumerate(("width", "height")):
            current = table[name].tolist()
            table[name] = pd.Series(
                [
                    sizes[content][position] if content in sizes else value
                    for content, value in zip(hashes, current, strict=True)
                ],
                dtype="int32",
            )
        problems = self.pictures.problems()
        if problems:
            reasons = table["content_hash"].map(problems).astype("str")
            hit = reasons.notna() & (table["status"] == OK)
            table.loc[hit, "problem"] = reasons[hit]
            table.loc[hit, "status"] = PROBLEM
        return table_of.with_grounds(table, self.pictures.grounds())


def _row(found: Match, old: dict[str, Any] | None) -> dict[str, Any]:
    """The row of an item that is there."""
    entry, content = found.seen.entry, found.seen.content_hash
    problem = entry.problem or ""
    if found.repeats_key and not problem:
        problem = f"another row has the key {entry.key} already; keys must differ"
    unread = not content
    same = old is not None and old["content_hash"] == content
    return {
        "uid": found.uid,
        "path": entry.path,
        "content_hash": old["content_hash"] if unread and old else content,
        "size": entry.size,
        "mtime_ns": -1 if unread else entry.mtime_ns,
        "width": old["width"] if old and same else 0,
        "height": old["height"] if old and same else 0,
        "status": PROBLEM if problem else OK,
        "problem": problem,
        "caption": entry.caption or words(entry.path),
    }


def _free_id(workspace: Workspace, name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "dataset"
    if stem in RESERVED:
        stem = f"{stem}-1"
    taken, number, candidate = set(workspace.dataset_ids()), 2, stem
    while candidate in taken:
        candidate, number = f"{stem}-{number}", number + 1
    return candidate

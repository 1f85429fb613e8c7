"""Sending a dataset to the storage: what the current generation names, cut in blocks, of which only new ones travel."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from explorer.collection.dataset import Dataset
from explorer.collection.progress import Meter, ProgressCallback
from explorer.durable import read_json
from explorer.errors import BadInput, Cancelled, ExplorerError, NotFound, Refused, Unavailable
from explorer.space.space import generation_dir, spaces_dir
from explorer.storage import listing as listings
from explorer.storage.listing import DATASET, FOLDER, PICTURES, File, Held, Listing, digest, stamp_of
from explorer.storage.remote import MARK, Remote
from explorer.workspace import Workspace, refuse_on_replica

_MB = 10**6
_KEPT = 2


@dataclass(frozen=True)
class Published:
    """What a publication came to."""

    dataset: str
    bytes: int
    """Of all files."""
    sent_blocks: int
    sent_bytes: int
    new: bool
    """Whether there was anything new to say."""

    @property
    def words(self) -> str:
        if not self.new and not self.sent_blocks:
            return f"{self.dataset}: the storage has it already, {self.bytes / _MB:,.1f} MB"
        return f"{self.dataset}: {self.sent_bytes / _MB:,.1f} of {self.bytes / _MB:,.1f} MB were sent to the storage"


def publish(
    workspace: Workspace,
    dataset_id: str,
    remote: Remote,
    progress: ProgressCallback | None = None,
    cancelled: Callable[[], bool] | None = None,
    again: bool = False,
) -> Published:
    """Bring the storage up to date with a dataset; nobody writes the dataset meanwhile.

    Stopped or killed at any moment it leaves what the storage had before; blocks that were sent are not sent again,
    unless `again` is asked for, which mends a storage that was damaged. What no listing of the last two generations
    names is deleted from the storage. Raises NotFound, Busy, Cancelled, Unavailable; Refused on a replica, and where
    another collection has the id in the storage.
    """
    refuse_on_replica()
    dataset = Dataset.open(workspace, dataset_id)
    with dataset.writing(), listings.alone(dataset.root / FOLDER):
        return _Publication(dataset, remote, progress, cancelled).run(again)


def publish_after(
    workspace: Workspace, dataset_id: str, progress: ProgressCallback, cancelled: Callable[[], bool]
) -> str:
    """Publish what a job has just finished, where EXPLORER_STORAGE names a storage. Returns words to add to the job's;
    whatever goes wrong is told in them, for the work itself is done and kept."""
    if not os.environ.get("EXPLORER_STORAGE", "").strip():
        return ""
    try:
        done = publish(workspace, dataset_id, Remote.needed(), progress, cancelled)
        return f" Published: {done.sent_bytes / _MB:,.1f} MB were sent to the storage."
    except ExplorerError as error:
        why = "it was stopped" if isinstance(error, Cancelled) else str(error)
    except OSError as error:
        why = f"{type(error).__name__}: {error}"
    return f" Not published: {why} Nothing is lost; when that is mended: python -m explorer publish {dataset_id}"


def withdraw(workspace: Workspace, dataset_id: str, remote: Remote) -> None:
    """Take a dataset off the storage, and so off all replicas; what lies here stays. Raises NotFound, Unavailable."""
    refuse_on_replica()
    workspace.dataset_dir(dataset_id)
    if dataset_id not in remote.sizes(""):
        raise NotFound(f"There is no '{dataset_id}' in {remote.name}.")
    remote.remove(f"{dataset_id}/current.json")
    for folder in (f"{dataset_id}/listings", f"{dataset_id}/blocks", dataset_id):
        remote.remove_folder(folder)


class _Publication:
    def __init__(
        self,
        dataset: Dataset,
        remote: Remote,
        progress: ProgressCallback | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.dataset, self.remote, self.root = dataset, remote, dataset.root
        self.progress, self.cancelled = progress, cancelled
        self.block = listings.BLOCK
        self.held = Held(self.root / FOLDER / "published.json", self.block)
        self.snapshot = self.root / FOLDER / "pictures.db"
        self.places: dict[str, tuple[Path, int]] = {}
        """Where each block can be read here."""

    def run(self, again: bool) -> Published:
        where = self.dataset.id
        created = str(read_json(self.root / DATASET)["created"])
        kept = self._kept(created)
        self.snapshot.unlink(missing_ok=True)
        try:
            listing = self._listing(created)
            name = digest(listing.as_bytes())
            blocks, size = self._send(listing, again)
        finally:
            self.snapshot.unlink(missing_ok=True)
        new = [*kept[:1]] != [name]
        if new or again:
            self.remote.write(f"{where}/listings/{name}.json", listing.as_bytes())
            if MARK not in self.remote.sizes(""):
                self.remote.switch(MARK, b'{"format": 1}')
            kept = [name, *[each for each in kept if each != name]][:_KEPT]
            said = {"created": created, "listing": name, "before": kept[1:], "published": time.time()}
            self.remote.switch(f"{where}/current.json", json.dumps(said).encode())
        self._tidy(kept, listing)
        self.held.listing = name
        self.held.keep(file.path for file in listing.files)
        self.held.save()
        return Published(where, sum(file.size for file in listing.files if not file.like), blocks, size, new)

    def _kept(self, created: str) -> list[str]:
        """The listings that count in the storage, newest first. Raises Refused if they are of another collection."""
        try:
            said = json.loads(self.remote.read(f"{self.dataset.id}/current.json"))
            names = [str(said["listing"]), *map(str, said["before"])]
        except (NotFound, ValueError, KeyError, TypeError):
            return []
        if said.get("created") != created:
            raise Refused(
                f"{self.remote.name} has a collection '{self.dataset.id}' that was made elsewhere. Publish to another "
                f"folder, or take that one off first: python -m explorer publish {self.dataset.id} --withdraw"
            )
        return names

    def _listing(self, created: str) -> Listing:
        files: list[File] = []
        by_inode: dict[int, str] = {}
        paths = sorted(self._paths(), key=lambda path: (listings.rank(path) or 0, path))
        for path in paths:
            self._go_on()
            local, stamp = self.root / path, stamp_of(self.root / path)
            if listings.rank(path) is None or not stamp:
                raise BadInput(
                    f"{local} is missing, or is no file of a collection: nothing was published. `python -m explorer "
                    "check --repair` drops what is damaged and computes it again."
                )
            if path != PICTURES and (same := by_inode.get(stamp[0])):
                files.append(File(path, stamp[1], (), same))
                continue
            by_inode[stamp[0]] = path
            files.append(self._pictures() if path == PICTURES else self._read(path, local, stamp))
        return Listing(self.dataset.id, created, self.block, tuple(files))

    def _paths(self) -> Iterator[str]:
        """Of what the current generation names, and of nothing else that lies around."""
        yield DATASET
        if self.dataset.generation:
            yield f"items/{self.dataset.generation:06d}.parquet"
        if (self.root / PICTURES).exists():
            yield PICTURES
        yield from (path.relative_to(self.root).as_posix() for path in self.root.glob("invariance/[!.]*.json"))
        for manifest in self.root.glob("features/*/manifest.json"):
            folder = manifest.parent
            names = [name for segment in read_json(manifest)["segments"] for name in segment["checksums"]]
            found = [manifest, *(folder / name for name in names), *folder.glob("parts/[0-9]*.npz")]
            yield from (path.relative_to(self.root).as_posix() for path in found)
        for manifest in spaces_dir(self.dataset).glob("*/manifest.json"):
            folder = generation_dir(manifest.parent, read_json(manifest)["generation"])
            yield from (path.relative_to(self.root).as_posix() for path in (manifest, *sorted(folder.iterdir())))

    def _read(self, path: str, local: Path, stamp: list[int]) -> File:
        known = self.held.known(path, stamp)
        blocks = known[1] if known else []
        if known is None:
            for name in listings.blocks_of(local, self.block):
                blocks.append(name)
                self._go_on()
            self.held.note(path, stamp, stamp[1], blocks)
        for number, name in enumerate(blocks):
            self.places.setdefault(name, (local, number))
        return File(path, stamp[1], tuple(blocks))

    def _pictures(self) -> File:
        """The thumbnails as a file of their own, made anew only if something was written since the last time."""
        database = self.root / PICTURES
        log = stamp_of(database.with_name(f"{database.name}-wal"))  # what was written last may still be there
        stamp = [*stamp_of(database), *(log if log and log[1] else [])]
        known = self.held.known(PICTURES, stamp)
        if known is None:
            self._copy()
            known = self.snapshot.stat().st_size, list(self._copied_blocks())
            self.held.note(PICTURES, stamp, *known)
        return File(PICTURES, known[0], tuple(known[1]))

    def _copy(self) -> None:
        if self.progress is not None:
            Meter("Copying the small pictures", 0, self.progress)
        self.dataset.pictures.copy_to(self.snapshot)

    def _copied_blocks(self) -> Iterator[str]:
        for number, name in enumerate(listings.blocks_of(self.snapshot, self.block)):
            self.places.setdefault(name, (self.snapshot, number))
            yield name

    def _send(self, listing: Listing, again: bool) -> tuple[int, int]:
        """The blocks that the storage lacks; returns how many, and their bytes."""
        there = {} if again else self.remote.sizes(f"{self.dataset.id}/blocks")
        sizes = {
            name: listing.length(file, number)
            for file in listing.files
            for number, name in enumerate(file.blocks)
        }  # fmt: skip
        lacking = {name: size for name, size in sizes.items() if there.get(name) != size}
        if any(name not in self.places for name in lacking):
            self._copy()  # of thumbnails that have not changed since the last time
            for _ in self._copied_blocks():
                self._go_on()
        total, sent = sum(lacking.values()), 0
        meter = Meter("Sending to the storage, MB", total // _MB, self.progress)
        for name, size in lacking.items():
            self._go_on()
            local, number = self.places[name]
            with open(local, "rb") as file:
                file.seek(number * self.block)
                content = file.read(size)
            if digest(content) != name:
                raise Unavailable(f"{local} changed while it was being sent; publish {self.dataset.id} once more.")
            self.remote.write(f"{self.dataset.id}/blocks/{name}", content)
            sent += size
            meter.update(sent // _MB)
        return len(lacking), sent

    def _tidy(self, kept: list[str], current: Listing) -> None:
        """Delete what neither the current generation nor the one before it names."""
        where, used = self.dataset.id, current.names()
        for name in kept[1:]:
            try:
                used |= Listing.parse(self.remote.read(f"{where}/listings/{name}.json"), where).names()
            except (NotFound, BadInput):  # then nobody can fetch it either
                continue
        old = [f"listings/{name}" for name in self.remote.sizes(f"{where}/listings") if name[:-5] not in kept]
        old += [f"blocks/{name}" for name in self.remote.sizes(f"{where}/blocks") if name not in used]
        for name in old:
            self.remote.remove(f"{where}/{name}")

    def _go_on(self) -> None:
        if self.cancelled is not None and self.cancelled():
            raise Cancelled(f"Publishing {self.dataset.id} was stopped; the storage has what it had before.")

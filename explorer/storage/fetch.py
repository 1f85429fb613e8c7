"""Filling the workspace of a replica from the storage, generation by generation, beside those who read it."""

import errno
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from explorer.collection.progress import Meter, ProgressCallback
from explorer.durable import full_disk, no_room, read_json, replacing
from explorer.errors import BadInput, Busy, ExplorerError, NotFound, Refused, Unavailable
from explorer.storage import listing as listings
from explorer.storage.listing import DATASET, FOLDER, PICTURES, File, Held, Listing, digest, rank, stamp_of
from explorer.storage.remote import MARK, Remote
from explorer.workspace import Workspace, replica

LOOK_SECONDS = 3.0
_MB = 10**6
_LARGEST_MANIFEST = 64 * 2**20


@dataclass
class Fetched:
    """What a look at the storage came to."""

    words: list[str] = field(default_factory=list)
    """What is new, a sentence for each dataset."""
    failed: dict[str, ExplorerError] = field(default_factory=dict)
    """By dataset; the others were fetched."""
    bytes: int = 0
    """That travelled."""


def fetch(
    workspace: Workspace, remote: Remote, only: Iterable[str] = (), progress: ProgressCallback | None = None
) -> Fetched:
    """Bring the workspace in line with the storage; what is there already does not travel.

    Stopped or killed at any moment it goes on from there. Readers see the old generation until the new one is whole,
    and datasets that are gone from the storage go here too (unless `only` some are asked for). Raises Unavailable where
    the storage is none or is away, Refused where this is no replica.
    """
    if not replica():
        raise Refused(
            "Only a replica takes its collections from the storage, and changes none itself: set EXPLORER_REPLICA=1. "
            "To get back what a lost machine had built, fetch so into an empty workspace, then go on without it."
        )
    found, wanted = Fetched(), list(only)
    there = remote.sizes("")
    if MARK not in there:
        raise Unavailable(f"Nothing was published to {remote.name} yet; what is here stays as it is.")
    for dataset_id in wanted or sorted(there):
        try:
            root = workspace.dataset_dir(dataset_id)
        except BadInput:
            continue  # something else that lies there
        try:
            filling = _Filling(dataset_id, root, remote, progress)
            found.words += filling.run()
            found.bytes += filling.travelled
        except NotFound as error:
            if remote.sizes(dataset_id).get("current.json") is not None:
                found.failed[dataset_id] = Unavailable(
                    f"{error} Either a newer generation has just come, which the next look finds, or it was lost: "
                    f"python -m explorer publish {dataset_id} where it is built sends what lacks."
                )
            elif wanted:
                found.failed[dataset_id] = error
            else:
                there.pop(dataset_id)
        except Busy:
            continue  # another process of this machine fetches it
        except ExplorerError as error:
            found.failed[dataset_id] = error
        except OSError as error:
            found.failed[dataset_id] = ExplorerError(f"{dataset_id} cannot be filled: {error}.")
    if not wanted:
        found.words += _vanish(workspace, there)
    return found


def _vanish(workspace: Workspace, there: Iterable[str]) -> list[str]:
    words, known = [], set(there)
    for mark in workspace.root.glob(f"*/{FOLDER}/fetched.json"):
        root = mark.parent.parent
        if root.name not in known:
            (root / DATASET).unlink(missing_ok=True)  # from here on it is not there
            shutil.rmtree(root, ignore_errors=True)
            words.append(f"{root.name}: is not in the storage any more, and was removed here")
    return words


class Follower:
    """Looks at the storage every few seconds, in a thread of its own, and fetches what is new."""

    def __init__(self, workspace: Workspace, remote: Remote, say: Callable[[str], None]) -> None:
        self.workspace, self.remote, self._say = workspace, remote, say
        self.ready = threading.Event()
        """Set once there is something to show: at once where an earlier run fetched it, else after the first look."""
        if workspace.dataset_ids():
            self.ready.set()
        self._told: dict[str, str] = {}

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True, name="storage").start()

    def look(self) -> None:
        """One look; what goes wrong is said, once for as long as it is the same."""
        failed: dict[str, str] = {}
        try:
            found = fetch(self.workspace, self.remote)
            for words in found.words:
                self._say(f"  {words}")
            failed = {name: str(error) for name, error in found.failed.items()}
        except ExplorerError as error:
            failed[""] = str(error)
        except Exception as error:  # the thread must go on looking
            failed[""] = f"The storage cannot be read: {type(error).__name__}: {error}"
        for name, words in failed.items():
            if self._told.get(name) != words:
                self._say(f"  {words}")
        self._told = failed
        self.ready.set()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self.look()
            pause.wait(LOOK_SECONDS)


class _Filling:
    """One dataset, from the storage's current listing to its folder here."""

    def __init__(self, dataset_id: str, root: Path, remote: Remote, progress: ProgressCallback | None) -> None:
        self.id, self.root, self.remote, self.progress = dataset_id, root, remote, progress
        self.own = root / FOLDER
        self.travelled = 0

    def run(self) -> list[str]:
        """Words about what is new; none where nothing is."""
        mark = self.own / "fetched.json"
        name = self._current()
        if Held(mark, 0).listing == name and (self.root / DATASET).exists():
            return []
        content = self.remote.read(f"{self.id}/listings/{name}.json")
        if digest(content) != name:
            raise self._damaged("The list of the newest generation")
        listing = Listing.parse(content, self.id)
        if (self.root / DATASET).exists() and not mark.exists():
            raise Refused(
                f"{self.root} was made here and did not come from {self.remote.name}: it stays as it is. A replica "
                "needs a workspace of its own."
            )
        with listings.alone(self.own):
            self.held = Held(mark, listing.block)
            self.held.save()  # from now on it is known where the folder comes from
            self._fill(listing)
            self._tidy({file.path for file in listing.files}, set(self.held.before))
            self.held.before = [file.path for file in listing.files]
            self.held.keep(self.held.before)
            self.held.listing = name
            self.held.save()
        return [f"{self.id}: a new generation was fetched, {self.travelled / _MB:,.1f} MB"]

    def _current(self) -> str:
        said = self.remote.read(f"{self.id}/current.json")
        try:
            return str(json.loads(said)["listing"])
        except (ValueError, KeyError, TypeError):
            raise Unavailable(f"What is current of {self.id} in {self.remote.name} is being written.") from None

    def _fill(self, listing: Listing) -> None:
        self.listing = listing
        self._local: dict[str, list[tuple[Path, int]]] = {}
        partial = self.own / "partial"
        partial.mkdir(exist_ok=True)
        files = listing.in_order()
        wanted = {_staged(file) for file in files}
        for path in partial.iterdir():  # of a generation that was given up
            if path.name not in wanted:
                path.unlink()
        lacking = [file for file in files if not self._is_there(file)]
        self.meter = Meter("Fetching, MB", sum(file.size for file in lacking if not file.like) // _MB, self.progress)
        self.filled = 0
        for path, blocks in self.held.unchanged(self.root) if lacking else ():
            self._can_be_read(path, blocks)
        for file in lacking:
            self._place(file)
        shutil.rmtree(partial, ignore_errors=True)

    def _is_there(self, file: File) -> bool:
        """Whether the file here is the one that is wanted; read only where it may have changed since it was filled."""
        stamp = stamp_of(self.root / file.path)
        if not stamp or stamp[1] != file.size:
            return False
        known = self.held.known(file.path, stamp)
        blocks = known[1] if known else list(listings.blocks_of(self.root / file.path, self.listing.block))
        self.held.note(file.path, stamp, file.size, blocks)
        return blocks == list(file.blocks)

    def _place(self, file: File) -> None:
        target = self.root / file.path
        if not target.parent.resolve().is_relative_to(self.root.resolve()):
            raise Refused(f"{target.parent} leads out of {self.root}; nothing is written there.")
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = None if file.like else self._stage(file)
        if file.path == DATASET and staged is not None:
            self._check_dataset(staged)
        manifest = listings.manifest_of(file.path) if rank(file.path) == 0 else ""
        if manifest and os.path.lexists(target):
            # another file under a name that counts, as after a space was deleted and made again: nobody may mix them
            (self.root / manifest).unlink(missing_ok=True)
        with replacing(target) as beside:
            if staged is None:
                _linked(self.root / file.like, beside)
            else:
                os.replace(staged, beside)
            if file.path == PICTURES:  # what a builder left beside its database would be taken for a part of this one
                for more in ("-wal", "-shm"):
                    target.with_name(target.name + more).unlink(missing_ok=True)
        self.held.note(file.path, stamp_of(target), file.size, file.blocks)
        self._can_be_read(target, file.blocks)

    def _check_dataset(self, staged: Path) -> None:
        try:
            said = read_json(staged) if staged.stat().st_size < _LARGEST_MANIFEST else {}
            if said["id"] == self.id and type(said["generation"]) is int:
                return
        except (ValueError, KeyError, TypeError):
            pass
        staged.unlink()
        raise BadInput(f"What the storage has as {self.id} says that it is another collection; it was not taken.")

    def _stage(self, file: File) -> Path:
        """The file, whole, under a name of its own beside the collection; what a killed run has left is gone on with
        after its last good block."""
        path = self.own / "partial" / _staged(file)
        try:
            with open(path, "r+b" if path.exists() else "w+b") as out:
                done = 0
                while done < len(file.blocks):
                    found = out.read(self.listing.length(file, done))
                    if digest(found) != file.blocks[done]:
                        break
                    self._told(len(found))
                    done += 1
                out.seek(done * self.listing.block if done < len(file.blocks) else file.size)
                out.truncate()
                for number in range(done, len(file.blocks)):
                    out.write(self._block(file, number))
                    out.flush()
                    self._local.setdefault(file.blocks[number], []).append((path, number * self.listing.block))
                    self._told(self.listing.length(file, number))
        except OSError as error:
            if no_room(error):
                raise full_disk(self.root) from error
            raise
        return path

    def _can_be_read(self, path: Path, blocks: Iterable[str]) -> None:
        """Note where blocks lie here."""
        for number, name in enumerate(blocks):
            self._local.setdefault(name, []).append((path, number * self.listing.block))

    def _told(self, more: int) -> None:
        self.filled += more
        self.meter.update(self.filled // _MB)

    def _block(self, file: File, number: int) -> bytes:
        """From a file that is here where one has it, else from the storage; never what is not what its name says."""
        name, length = file.blocks[number], self.listing.length(file, number)
        for path, start in self._local.get(name, ()):
            try:
                with open(path, "rb") as here:
                    here.seek(start)
                    content = here.read(length)
            except FileNotFoundError:
                continue
            if digest(content) == name:
                return content
        for _ in range(2):
            content = self.remote.read(f"{self.id}/blocks/{name}")
            self.travelled += len(content)
            if len(content) == length and digest(content) == name:
                return content
        raise self._damaged(f"A part of {file.path}")

    def _damaged(self, what: str) -> ExplorerError:
        return ExplorerError(
            f"{what} is damaged in {self.remote.name}; {self.id} stays as it was here. Send it anew from where it is "
            f"built: python -m explorer publish {self.id} --again"
        )

    def _tidy(self, named: set[str], before: set[str]) -> None:
        """Remove what neither the listing nor the one before it names: somebody may be opening those of before. What
        is no part of a collection's files (jobs, locks) is not looked at."""
        found = sorted(self._files(), key=lambda path: not path.endswith("/manifest.json"))
        for path in found:
            counts = path.endswith("/manifest.json")
            if path not in named and (counts or path not in before):
                (self.root / path).unlink(missing_ok=True)
        for top in ("features", "spaces"):
            for folder, _, _ in os.walk(self.root / top, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                        raise

    def _files(self) -> Iterator[str]:
        for top in ("items", "thumbs", "invariance", "features", "spaces"):
            for folder, _, names in os.walk(self.root / top):
                yield from ((Path(folder) / name).relative_to(self.root).as_posix() for name in names)


def _staged(file: File) -> str:
    return digest("".join(file.blocks).encode())[:32] + f"-{digest(file.path.encode())[:8]}"


def _linked(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a disk without links
        shutil.copyfile(source, target)

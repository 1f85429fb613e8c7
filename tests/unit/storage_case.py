"""A storage behind a socket (an FTP server of the test's own), and a replica that is filled from a storage."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from benchmarks.growing import collection
from explorer.collection.dataset import Dataset
from explorer.collection.pictures import Picture
from explorer.space import append
from explorer.space.recipe import SpaceRecipe
from explorer.storage import Remote, fetch, listing
from explorer.workspace import Workspace

N, D, BLOCK = 1_500, 64, 2**13
Built = tuple[Workspace, Dataset, SpaceRecipe, np.ndarray]


def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that the files of a small collection have many, and growth as of a large one."""
    monkeypatch.setattr(listing, "BLOCK", BLOCK)
    monkeypatch.setattr(append, "FEWEST", 1_000)
    for name in ("EXPLORER_REPLICA", "EXPLORER_STORAGE"):
        monkeypatch.delenv(name, raising=False)


def build(root: Path) -> Built:
    """A builder's workspace with a collection that has thumbnails, features and a space, and vectors to grow by."""
    workspace = Workspace(root)
    dataset, recipe, more = collection(workspace, N, D, 40)
    rng = np.random.default_rng(0)
    dataset.pictures.add_many(Picture(f"{row:032x}", 8, 8, rng.bytes(400)) for row in range(N))
    dataset._store(dataset.items)
    return workspace, dataset, recipe, more


def same_files(one: Path, two: Path) -> None:
    """Every file of the second folder has the same bytes in the first, except for the database of thumbnails."""
    files = [path for path in two.rglob("*") if path.is_file() and ".storage" not in path.parts]
    assert len(files) > 15
    for path in files:
        if path.name != "pictures.db":
            assert path.read_bytes() == (one / path.relative_to(two)).read_bytes(), path


@contextmanager
def ftp_server(folder: Path) -> Iterator[str]:
    """The URL of a storage below `folder`, behind a socket."""
    users = DummyAuthorizer()
    users.add_user("explorer", "secret", str(folder), perm="elradfmwMT")

    class Handler(FTPHandler):
        authorizer = users
        use_sendfile = False

    server = FTPServer(("127.0.0.1", 0), Handler)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            server.serve_forever(timeout=0.05, blocking=False)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"ftp://explorer:secret@127.0.0.1:{server.socket.getsockname()[1]}/store"
    finally:
        over.set()
        thread.join(5)
        server.close_all()


class Replica:
    """Another workspace, filled from a storage."""

    def __init__(self, root: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.workspace, self.remote, self._patch = Workspace(root), Remote(url), monkeypatch
        root.mkdir()

    def fetch(self, **more: Any) -> Any:
        with self._patch.context() as patch:
            patch.setenv("EXPLORER_REPLICA", "1")
            return fetch(self.workspace, self.remote, **more)

    def dataset(self, name: str) -> Dataset:
        with self._patch.context() as patch:
            patch.setenv("EXPLORER_REPLICA", "1")
            return Dataset.open(self.workspace, name)

"""A storage behind a socket (an FTP server of the test's own), and a replica that is filled from a storage."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from explorer.collection.dataset import Dataset
from explorer.storage import Remote, fetch
from explorer.workspace import Workspace


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

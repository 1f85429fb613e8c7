"""A storage behind a socket: an FTP server of the test's own, which counts what travels."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer


class Served:
    """`url`: of the storage; `received`, `sent`: names of files in the order in which they were whole."""

    def __init__(self, server: FTPServer) -> None:
        self.url = f"ftp://explorer:secret@127.0.0.1:{server.socket.getsockname()[1]}/store"
        self.received: list[str] = []
        self.sent: list[str] = []


@contextmanager
def ftp_server(folder: Path) -> Iterator[Served]:
    users = DummyAuthorizer()
    users.add_user("explorer", "secret", str(folder), perm="elradfmwMT")

    class Handler(FTPHandler):
        authorizer = users
        use_sendfile = False

        def on_file_received(self, file: str) -> None:
            served.received.append(Path(file).name)

        def on_file_sent(self, file: str) -> None:
            served.sent.append(Path(file).name)

    server = FTPServer(("127.0.0.1", 0), Handler)
    served = Served(server)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            server.serve_forever(timeout=0.05, blocking=False)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        over.set()
        thread.join(5)
        server.close_all()

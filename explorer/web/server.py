"""The ASGI app: Streamlit with our routes and the door in front of both; and starting it from the command line."""

import os
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.middleware import Middleware
from streamlit import config
from streamlit.runtime.pages_manager import PagesManager

from explorer.errors import BadInput, ExplorerError
from explorer.learning import kernels
from explorer.sharing.access import LaunchToken
from explorer.space import codes
from explorer.web import index, join, routes
from explorer.web.gate import Gate
from explorer.web.runtime import Runtime, runtime

APP = Path(__file__).resolve().parents[2] / "app.py"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def around() -> dict[str, Any]:
    """What goes around the Streamlit app: our routes, the door, and what happens at the start.

    Refuses to listen beyond this computer.
    """
    rt = runtime()
    # Until a first session has called st.navigation, Streamlit makes pages of the files in pages/ by itself: whoever
    # opens a link right after the start would get another app than everybody after them.
    PagesManager.uses_pages_directory = False
    address = str(config.get_option("server.address") or "")
    if address not in LOOPBACK:
        raise SystemExit(
            f"This version serves this computer only, and server.address is '{address or 'every address'}': start it "
            "with --server.address 127.0.0.1, and reach it from elsewhere through an SSH tunnel."
        )

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
        threading.Thread(target=_warm, args=(rt,), daemon=True, name="warm").start()
        port = config.get_option("server.port")
        print(f"\n  Open the collection with this link:\n\n    {entering(rt.token, int(port))}\n", flush=True)
        yield {}

    return {
        "routes": [*index.ROUTES, *join.ROUTES, *routes.ROUTES],
        "middleware": [Middleware(Gate, visitors=rt.visitors)],
        "lifespan": lifespan,
    }


def entering(token: LaunchToken, port: int, page: str = "/") -> str:
    """The link that lets a browser in. It is a secret: whoever holds it owns the collections until the next start."""
    target = f"&next={quote(page, safe='/')}" if page != "/" else ""
    return f"http://127.0.0.1:{port}/enter?token={token.secret}{target}"


def _warm(rt: Runtime) -> None:
    """Open what the first visitor would otherwise wait for: the newest space of each dataset, and its groups."""
    for dataset_id in rt.workspace.dataset_ids():
        try:
            for info in rt.space_keys(dataset_id)[:1]:
                space = rt.space(dataset_id, info.key)
                space.search(0, 1)
                rt.cluster_cards(dataset_id, info.key, "kmeans")
                rt.live.prepared(dataset_id, space)
        except ExplorerError as error:
            print(f"  {dataset_id}: {error}", file=sys.stderr, flush=True)
    codes.warm()
    kernels.warm()


def serve(port: int, page: str = "/", open_browser: bool = False) -> int:
    """Run the server until it is stopped; returns its exit code. Raises BadInput when the port is taken."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BadInput(f"Port {port} is in use; name another one with --port.") from error
    token = LaunchToken.from_environment()
    environment = {**os.environ, "EXPLORER_TOKEN": token.secret}
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1"]
    process = subprocess.Popen(command, env=environment, cwd=APP.parent)
    try:
        if open_browser and _answers(port, process):
            webbrowser.open(entering(token, port, page))
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        return process.wait(10)


def _answers(port: int, process: "subprocess.Popen[bytes]") -> bool:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
                return True
        except OSError:
            if process.poll() is not None:
                return False
            time.sleep(0.2)
    return False

"""The ASGI app: Streamlit with our routes and the door in front of both; and starting it from the command line."""

import errno
import os
import secrets
import signal
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
from starlette.routing import Router
from streamlit import config
from streamlit.runtime.pages_manager import PagesManager
from threadpoolctl import threadpool_limits

from explorer.catalog import Catalog
from explorer.errors import BadInput, ExplorerError, Refused
from explorer.learning import kernels
from explorer.sharing.access import LOOPBACK as LOOPBACK_NAMES
from explorer.sharing.access import LaunchToken, Scope, named_hosts
from explorer.sharing.accounts import AccountStore
from explorer.sharing.links import LinkStore
from explorer.space import codes
from explorer.storage import Follower, Remote
from explorer.web import health, identities, index, join, logs, routes, sockets
from explorer.web.gate import Gate
from explorer.web.proxies import Proxied, Proxies
from explorer.web.runtime import Runtime, runtime
from explorer.workspace import Workspace, replica

SWITCH_SECONDS = 0.001
"""After which a thread that computes lets others go on: with many people at once most threads want it for a moment."""
APP = Path(__file__).resolve().parents[2] / "app.py"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
NOBODY = "-"
"""For FORWARDED_ALLOW_IPS: the server program believes no proxy; `proxies` does, those that are named."""


def around() -> dict[str, Any]:
    """What goes around the Streamlit app: our routes, the door, and what happens at the start.

    Refuses to listen beyond this computer where nobody could come in but by a secret of this launch.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    import scipy.linalg  # noqa: F401  # brings a BLAS of its own, which must be loaded to be found

    threadpool_limits(1, user_api="blas")  # a core that computes is a core that nobody is answered by
    try:
        rt = runtime()
        json_lines = logs.as_json()
        rt.follower = follower = Follower(rt.workspace, Remote.needed(), logs.say) if replica() else None
        identities.login()
        address = str(config.get_option("server.address") or "")
        why = believed(rt.visitors.proxies) or refused(address, rt.links, rt.accounts, rt.visitors.proxies)
    except ExplorerError as error:
        raise SystemExit(f"explorer: {error}") from error
    if why:
        raise SystemExit(why)
    # Until a first session has called st.navigation, Streamlit makes pages of the files in pages/ by itself: whoever
    # opens a link right after the start would get another app than everybody after them.
    PagesManager.uses_pages_directory = False
    local = only_here(address, rt.visitors.proxies)
    if not local:
        # Behind a proxy on this machine everybody comes from this computer, so where from cannot tell who owns it:
        # the launch's secret is forgotten, and its owner comes by a link or an account as everybody else.
        rt.token = rt.visitors.token = LaunchToken(secrets.token_urlsafe(32))
    if json_lines:
        logs.install()

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
        sockets.answer_at_once()
        if follower is not None:
            follower.start()
        threading.Thread(target=_warm, args=(rt,), daemon=True, name="warm").start()
        logs.say(_greeting(rt, local, json_lines))
        if follower is not None:
            logs.say(_replicated(rt, follower))
        yield {}

    noted = [Middleware(logs.Requests)] if json_lines else []
    return {
        "routes": [*index.ROUTES, *join.ROUTES, *identities.ROUTES, *health.ROUTES, *routes.ROUTES],
        "middleware": [
            Middleware(Proxied, proxies=rt.visitors.proxies),
            *noted,
            Middleware(Gate, visitors=rt.visitors, own=Router(routes.ROUTES)),
        ],
        "lifespan": lifespan,
    }


def only_here(address: str, proxies: Proxies) -> bool:
    """Whether the server is for this computer alone: nobody else reaches it, not by way of a proxy on it either."""
    return address in LOOPBACK and not proxies.networks


def believed(proxies: Proxies) -> str:
    """Why the proxies that are named would not be the only ones believed; "" if they are."""
    if not proxies.networks or os.environ.get("FORWARDED_ALLOW_IPS") == NOBODY:
        return ""
    return (
        "EXPLORER_PROXIES says which proxies are believed, and the server program believes others by itself: start "
        f"with `python -m explorer serve`, or set FORWARDED_ALLOW_IPS={NOBODY} as well."
    )


def refused(address: str, links: LinkStore, accounts: AccountStore, proxies: Proxies) -> str:
    """Why the server does not start at this address, and what would let it; "" if it does."""
    if only_here(address, proxies):
        return ""
    where = f"on {address}" if address else "on every address of this computer"
    if address in LOOPBACK:
        where = f"behind {', '.join(str(network) for network in proxies.networks)} (EXPLORER_PROXIES)"
    if not (named_hosts() - LOOPBACK_NAMES):
        return (
            f"To listen {where}, the app must know under which name it is reached, or any name could be made to point "
            "at it: set EXPLORER_HOSTS=explore.museum.org."
        )
    owning = [each for each in links.all() if each.role == "own" and each.scope == Scope()]
    by_link = any(not each.closed(time.time()) for each in owning)
    by_account = (identities.login() is not None or bool(proxies.header)) and accounts.owned()
    if by_link or by_account:
        return ""
    return (
        f"Nobody could come in if the app listened {where}: the link of a launch is for this computer only. Make one "
        "for yourself with `python -m explorer link --role own --root https://explore.museum.org`, or configure "
        "accounts (deploy.md) and say in EXPLORER_OWNERS whose address owns everything; or start it for this "
        "computer only (--address 127.0.0.1, no EXPLORER_PROXIES) and reach it through an SSH tunnel."
    )


def _greeting(rt: Runtime, local: bool, json_lines: bool) -> str:
    """How to come in; a log is read by more people than a terminal, so it holds no secret."""
    port = int(config.get_option("server.port"))
    if not local:
        names = ", ".join(sorted(named_hosts() - LOOPBACK_NAMES))
        return f"\n  Serving {names} on port {port}; it opens with links and accounts, not with a launch token.\n"
    if json_lines:
        return f"Serving this computer on port {port}; python -m explorer link --role own prints a link that opens it."
    return f"\n  Open the collection with this link:\n\n    {entering(rt.token, port)}\n"


def _replicated(rt: Runtime, follower: Follower) -> str:
    """That it is a replica, of what, and whether what people make here is for here alone."""
    said = f"  This is a replica: its collections come from {follower.remote.name}.\n"
    if rt.catalog.url.startswith("sqlite"):
        said += (
            "  Its questions, answers and links are in a database of its own, which no other copy sees: to share them, "
            "set the same EXPLORER_DATABASE_URL=postgresql+psycopg://… for all copies.\n"
        )
    return said


def entering(token: LaunchToken, port: int, page: str = "/") -> str:
    """The link that lets a browser in. It is a secret: whoever holds it owns the collections until the next start."""
    target = f"&next={quote(page, safe='/')}" if page != "/" else ""
    return f"http://127.0.0.1:{port}/enter?token={token.secret}{target}"


def _warm(rt: Runtime) -> None:
    """Open what the first visitor would otherwise wait for: the newest space of each dataset, and its groups."""
    if rt.follower is not None:
        rt.follower.ready.wait()
    for dataset_id in rt.workspace.dataset_ids():
        try:
            for info in rt.space_keys(dataset_id)[:1]:
                space = rt.space(dataset_id, info.key)
                space.search(0, 1)
                rt.cluster_cards(dataset_id, info.key, "kmeans")
                rt.live.prepared(dataset_id, space)
        except ExplorerError as error:
            logs.say(f"  {dataset_id}: {error}")
    codes.warm()
    kernels.warm()


def serve(port: int, page: str = "/", open_browser: bool = False, address: str = "127.0.0.1") -> int:
    """Run the server until it is stopped; returns its exit code. Raises BadInput when the port is taken, Refused when
    nobody could come in at this address."""
    import socket

    try:
        kind, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except socket.gaierror as error:
        raise BadInput(f"'{address}' is no address of this computer; 127.0.0.1 serves it alone.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BadInput(f"Port {port} is in use; name another one with --port.") from error
        raise BadInput(f"The app cannot listen on {address}, port {port}: {error.strerror}.") from error
    proxies = Proxies.from_environment()
    if not only_here(address, proxies):  # the server asks again; here it is said at once
        catalog = Catalog.open(Workspace.default().catalog_url)
        try:
            why = refused(address, LinkStore(catalog), AccountStore(catalog), proxies)
        finally:
            catalog.close()
        if why:
            raise Refused(why)
    token = LaunchToken.from_environment()
    environment = {**os.environ, "EXPLORER_TOKEN": token.secret, "FORWARDED_ALLOW_IPS": NOBODY}
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    command += ["--server.address", address]
    process = subprocess.Popen(command, env=environment, cwd=APP.parent)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # how a container or a service manager ends it
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

"""`/healthz`: the server runs. `/readyz`: it can work, that is, its catalogue answers and its workspace can be written.

Both are open to whoever asks, for a proxy or an orchestrator has no link, and tell nothing else.
"""

import asyncio
import os
import tempfile
import threading
import time

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from explorer.web.runtime import Runtime, runtime

WAIT_SECONDS = 5.0
_KEPT_SECONDS = 1.0
_FRESH = {"cache-control": "no-store"}
OPEN_PATHS = frozenset({"/healthz", "/readyz"})


class Readiness:
    """Looks after one runtime. However many ask, one looks at a time, and what it saw counts for a second."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._lock = threading.Lock()
        self._seen: tuple[float, str] = (float("-inf"), "")
        self._since: float | None = None

    def trouble(self) -> str:
        """Why the server cannot work just now, in a few words that give nothing away; "" when it can.

        Never takes longer than WAIT_SECONDS: a disk or a database that does not come back is a reason, too.
        """
        with self._lock:
            if time.monotonic() - self._seen[0] < _KEPT_SECONDS:
                return self._seen[1]
            if self._since is None:
                self._since = time.monotonic()
                threading.Thread(target=self._look, daemon=True, name="readiness").start()
            began = self._since
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            with self._lock:
                if self._seen[0] >= began:
                    return self._seen[1]
            time.sleep(0.02)
        return "the catalogue or the workspace does not answer"

    def _look(self) -> None:
        try:
            found = _catalogue(self._rt) or _workspace(self._rt) or _storage(self._rt)
        except Exception:  # whatever it was, the server is not ready, and may be asked again
            found = "the server cannot tell"
        with self._lock:
            self._seen = (time.monotonic(), found)
            self._since = None


def _catalogue(rt: Runtime) -> str:
    try:
        with rt.catalog.reading() as connection:
            connection.execute(sa.text("select 1"))
    except Exception:  # every driver has errors of its own
        return "the catalogue does not answer"
    return ""


def _workspace(rt: Runtime) -> str:
    try:
        handle, name = tempfile.mkstemp(prefix=".ready-", dir=rt.workspace.root)
        try:
            os.write(handle, b"ready\n" * 1000)  # a full disk takes a name, but not what goes into it
        finally:
            os.close(handle)
            os.unlink(name)
    except OSError:
        return "the workspace cannot be written"
    return ""


def _storage(rt: Runtime) -> str:
    """A storage that went away later is no reason: what was fetched is shown meanwhile."""
    waiting = rt.follower is not None and not rt.follower.ready.is_set()
    return "the collections are still being fetched" if waiting else ""


async def _healthz(_: Request) -> Response:
    return JSONResponse({"alive": True}, headers=_FRESH)


_readiness: dict[int, Readiness] = {}


async def _readyz(_: Request) -> Response:
    rt = runtime()
    if id(rt) not in _readiness:
        _readiness.clear()
        _readiness[id(rt)] = Readiness(rt)
    trouble = await asyncio.to_thread(_readiness[id(rt)].trouble)
    said = {"ready": False, "why": trouble} if trouble else {"ready": True}
    return JSONResponse(said, 503 if trouble else 200, headers=_FRESH)


ROUTES = [Route("/healthz", _healthz, methods=["GET"]), Route("/readyz", _readyz, methods=["GET"])]

"""The HTML that carries the app: Streamlit's own, told where its server is.

Left to itself, Streamlit's front end looks for its server below the address of the page first (`/map/_stcore/health`),
which costs two requests that fail, a wait, and two errors on the console of every page but the first.
"""

import functools
from pathlib import Path

import streamlit
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

PAGES = ("datasets", "map", "similar", "groups", "odd", "looks", "label", "results", "compare", "share", "you")
_MARK = '<script type="module"'
_TOLD = '<script>window.__streamlit = { BACKEND_BASE_URL: window.location.origin + "/" }</script>\n    '


@functools.cache
def html() -> str:
    """Streamlit's index.html with the address of the server and our title in it."""
    source = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    if source.count(_MARK) != 1:
        return source  # another Streamlit than those it was written for: the app works, with two errors on the console
    return source.replace(_MARK, _TOLD + _MARK).replace("<title>Streamlit</title>", "<title>Dataset Explorer</title>")


def index(_: Request) -> Response:
    return HTMLResponse(html(), headers={"cache-control": "no-cache"})


ROUTES = [Route(f"/{page}", index, methods=["GET"]) for page in ("", *PAGES)]

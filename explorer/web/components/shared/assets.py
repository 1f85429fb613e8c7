"""The script and the style of a component, put together from files of readable size."""

import json
from pathlib import Path

COMPONENTS = Path(__file__).resolve().parents[1]
SHARED_SCRIPTS = ("shared/dom.js", "shared/api.js", "shared/picture.js", "shared/lightbox.js")
THEME = "shared/theme.css"


def script(*files: str, shared: tuple[str, ...] = SHARED_SCRIPTS) -> str:
    """One JavaScript module: the shared parts, then `files` (below components/) in this order.

    Streamlit takes a component's script as one string and sends it again when the component's data change, so
    indentation and comment lines are left out. One of `files` holds `export default function`.
    """
    lightbox_css = json.dumps(_read(THEME) + _read("shared/lightbox.css"))
    parts = [f"const LIGHTBOX_CSS = {lightbox_css};"]
    parts += [_lean(_read(name)) for name in (*shared, *files)]
    return "\n".join(parts)


def style(*files: str) -> str:
    """The theme, then `files` (below components/)."""
    return "\n".join(_read(name) for name in (THEME, *files))


def _read(name: str) -> str:
    return (COMPONENTS / name).read_text(encoding="utf-8")


def _lean(source: str) -> str:
    """Without indentation, empty lines and lines that are comments. Our scripts hold no text where these matter."""
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/**", "* ", "*/")))

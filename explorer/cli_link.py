"""`python -m explorer link`: a link that lets somebody in, made where the server runs."""

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from explorer.errors import BadInput, NotFound
from explorer.workspace import Workspace

if TYPE_CHECKING:
    from explorer.catalog import Catalog
    from explorer.sharing.access import Scope


def add_commands(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the subcommand to the parser of `python -m explorer`."""
    link = commands.add_parser("link", help="make a link that lets somebody in, and print it once")
    link.add_argument(
        "--role", default="look", choices=("look", "label", "edit", "own"), help="what it allows (default: look)"
    )
    link.add_argument("--dataset", default="", help="only this collection, by its id (see `status`)")
    link.add_argument("--question", default="", help="only this question of it, by its id or its name")
    link.add_argument("--name", default="", help="whom it greets")
    link.add_argument("--days", type=float, help="it ends after so many days (default: when it is taken back)")
    link.add_argument("--people", type=int, help="how many may come in by it (default: any number)")
    link.add_argument("--start", help="the page that it opens, such as /map?d=demo")
    link.add_argument("--root", default="http://127.0.0.1:8501", help="where the app is reached (default: %(default)s)")
    link.set_defaults(run=_link)


def _link(parsed: argparse.Namespace) -> int:
    from explorer.catalog import Catalog
    from explorer.sharing.links import LinkStore

    root = _root(parsed.root)
    if parsed.days is not None and not 0 < parsed.days <= 36_500:
        raise BadInput("--days is a number above 0, such as 14.")
    workspace = Workspace.default()
    catalog = Catalog.open(workspace.catalog_url)
    try:
        scope = _scope(workspace, catalog, parsed.dataset, parsed.question)
        made, secret = LinkStore(catalog).create(
            parsed.role,
            scope,
            name=parsed.name,
            ends=None if parsed.days is None else time.time() + parsed.days * 86_400,
            seats=parsed.people,
            start=parsed.start or _start(parsed.role, scope),
            created_by="the command line",
        )
    finally:
        catalog.close()
    print(f"{root}/join#{secret}")
    print(f"It is not shown again; send it to nobody but those whom it is for. Its id is {made.id}.", file=sys.stderr)
    return 0


def _root(text: str) -> str:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        whole = False
    if not whole or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise BadInput(f"--root is where the app is reached, such as https://explore.museum.org, not '{text[:80]}'.")
    return f"{parts.scheme}://{parts.netloc}"


def _scope(workspace: Workspace, catalog: "Catalog", dataset: str, question: str) -> "Scope":
    from explorer.learning.questions import QuestionStore
    from explorer.sharing.access import Scope

    if dataset and dataset not in workspace.dataset_ids():
        there = ", ".join(workspace.dataset_ids()) or "none yet"
        raise NotFound(f"There is no collection '{dataset}'; those here: {there}.")
    if not question:
        return Scope(dataset)
    if not dataset:
        raise BadInput("--question needs --dataset as well: the collection that it is asked about.")
    asked = QuestionStore(catalog).list(dataset)
    found = [each for each in asked if each.id == question] or [each for each in asked if each.name == question]
    if len(found) != 1:
        there = ", ".join(f"{each.id} ({each.name})" for each in asked) or "none yet"
        many = "More than one question is" if found else "No question of this collection is"
        raise NotFound(f"{many} called '{question}'; name one by its id: {there}.")
    return Scope(dataset, found[0].id)


def _start(role: str, scope: "Scope") -> str:
    if scope.question:
        return f"/label?{urlencode({'d': scope.dataset, 'q': scope.question})}"
    if scope.dataset:
        return f"/{'label' if role == 'label' else 'map'}?{urlencode({'d': scope.dataset})}"
    return "/"

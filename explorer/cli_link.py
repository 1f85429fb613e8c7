"""`python -m explorer link` and `accounts`: who may come in, said where the server runs."""

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
    """Add the subcommands to the parser of `python -m explorer`."""
    link = commands.add_parser("link", help="make a link that lets somebody in, and print it once")
    link.add_argument(
        "--role", default="look", choices=("look", "label", "edit", "own"), help="what it allows (default: look)"
    )
    _scoped(link)
    link.add_argument("--name", default="", help="whom it greets")
    link.add_argument("--days", type=float, help="it ends after so many days (default: when it is taken back)")
    link.add_argument("--people", type=int, help="how many may come in by it (default: any number)")
    link.add_argument("--start", help="the page that it opens, such as /map?d=demo")
    link.add_argument("--root", default="http://127.0.0.1:8501", help="where the app is reached (default: %(default)s)")
    link.set_defaults(run=_link)

    accounts = commands.add_parser("accounts", help="what those may do who log in: list it, add to it, take it back")
    accounts.add_argument("--add", metavar="ADDRESS", help="ada@museum.org, @museum.org, or * for all who can log in")
    accounts.add_argument("--role", default="look", choices=("look", "label", "edit", "own"), help="(default: look)")
    _scoped(accounts)
    accounts.add_argument("--take-back", metavar="ID", help="the id of a line of the list")
    accounts.set_defaults(run=_accounts)


def _scoped(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", default="", help="only this collection, by its id (see `status`)")
    parser.add_argument("--question", default="", help="only this question of it, by its id or its name")


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


def _accounts(parsed: argparse.Namespace) -> int:
    from explorer.catalog import Catalog
    from explorer.sharing.accounts import AccountStore, named_owners

    workspace = Workspace.default()
    catalog = Catalog.open(workspace.catalog_url)
    try:
        store = AccountStore(catalog)
        if parsed.add:
            store.add(parsed.add, parsed.role, _scope(workspace, catalog, parsed.dataset, parsed.question))
        if parsed.take_back:
            store.revoke(parsed.take_back)
        for address in sorted(named_owners()):
            print(f"{'EXPLORER_OWNERS':<15}  {address:<32}  own    everything")
        for each in store.all():
            where = " ".join(part for part in (each.scope.dataset, each.scope.question) if part) or "everything"
            print(f"{each.id:<15}  {each.pattern:<32}  {each.role:<5}  {where}")
    finally:
        catalog.close()
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

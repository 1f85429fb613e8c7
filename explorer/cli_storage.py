"""`python -m explorer publish, fetch`: a storage between the machine that builds and those that show."""

import argparse
import sys
from typing import Any

from explorer.errors import ExplorerError
from explorer.workspace import Workspace


def add_commands(commands: Any) -> None:
    """Hang the commands on the parser's others."""
    publish = commands.add_parser("publish", help="send what is new in collections to EXPLORER_STORAGE, for replicas")
    publish.add_argument("dataset", nargs="*", help="default: all")
    publish.add_argument("--again", action="store_true", help="send everything, to mend a storage that was damaged")
    publish.add_argument("--withdraw", action="store_true", help="take these collections off the storage instead")
    publish.set_defaults(run=_publish)

    fetch = commands.add_parser("fetch", help="on a replica: fill the workspace from EXPLORER_STORAGE, once and now")
    fetch.add_argument("dataset", nargs="*", help="default: all, and those that are gone there go here")
    fetch.set_defaults(run=_fetch)


def _publish(parsed: argparse.Namespace) -> int:
    from explorer.cli import Terminal
    from explorer.errors import BadInput
    from explorer.storage import Remote, publish, withdraw

    workspace, remote, failed = Workspace.default(), Remote.needed(), 0
    if parsed.withdraw and not parsed.dataset:
        raise BadInput("Name the collections to take off the storage.")
    for dataset_id in parsed.dataset or workspace.dataset_ids():
        try:
            if parsed.withdraw:
                withdraw(workspace, dataset_id, remote)
                print(f"{dataset_id}: is not in the storage any more")
            else:
                print(publish(workspace, dataset_id, remote, Terminal(), again=parsed.again).words)
        except ExplorerError as error:
            print(f"explorer: {error}", file=sys.stderr)
            failed = 2
    return failed


def _fetch(parsed: argparse.Namespace) -> int:
    from explorer.cli import Terminal
    from explorer.storage import Remote, fetch

    found = fetch(Workspace.default(), Remote.needed(), parsed.dataset, Terminal())
    print("\n".join(found.words) or "nothing new")
    for error in found.failed.values():
        print(f"explorer: {error}", file=sys.stderr)
    return 2 if found.failed else 0

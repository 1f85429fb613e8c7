"""`python -m explorer export-site`: a collection as a folder of plain files."""

import argparse
import sys
from pathlib import Path
from typing import Any

from explorer.workspace import Workspace


def add_commands(commands: Any) -> None:
    """Hang the command on the parser's others."""
    site = commands.add_parser(
        "export-site", help="write a collection as a folder of plain files, to be looked at without a server"
    )
    site.add_argument("dataset")
    site.add_argument("folder", type=Path, help="where to; empty, or not there yet")
    site.add_argument("--space", default="", help="the key of what pictures are compared by (default: the first one)")
    site.add_argument(
        "--question", action="append", metavar="ID", help="whose answers and guesses to show (default: all); repeatable"
    )
    site.add_argument(
        "--large",
        type=int,
        default=0,
        metavar="PIXELS",
        help="make large views from the originals, longest side so long",
    )
    site.set_defaults(run=_export)


def _export(parsed: argparse.Namespace) -> int:
    from explorer.web.runtime import Runtime
    from explorer.web.site import export_site

    def progress(done: int, of: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{done:,} of {of:,} pictures", end="" if done < of else "\n", file=sys.stderr, flush=True)

    rt = Runtime(Workspace.default())
    told = export_site(
        rt,
        parsed.dataset,
        parsed.folder.expanduser().absolute(),
        space_key=parsed.space,
        question_ids=parsed.question,
        large=parsed.large,
        progress=progress,
    )
    rt.catalog.close()
    print(f"{told['pictures']:,} pictures, {told['bytes'] / 1e6:,.1f} MB: open {parsed.folder / 'index.html'}")
    if told["without"]:
        print(
            f"{told['without']:,} of them have no small picture; python -m explorer rescan {parsed.dataset} makes them"
        )
    if told["left_out"]:
        print(f"left out because they tell where files lie: {', '.join(told['left_out'])}")
    return 0

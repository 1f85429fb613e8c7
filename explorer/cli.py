"""`python -m explorer …`: adding, looking again, status, serving; also what a worker process runs."""

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from explorer import __version__
from explorer.errors import Cancelled, ExplorerError
from explorer.workspace import Workspace

DEFAULT_EXTRACTORS = "lite0,colour"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code. An error of ours is one sentence on stderr and code 2."""
    parsed = _parser().parse_args(arguments)
    try:
        result: int | None = parsed.run(parsed)
        return result or 0
    except Cancelled as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 3
    except ExplorerError as error:
        print(f"explorer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; what was done is kept, and the same command goes on from there", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m explorer", description="Explore an image collection.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    add = commands.add_parser(
        "add", help="add a folder, a table (CSV, Parquet) or a zip, and look at every picture once"
    )
    add.add_argument("path", type=Path)
    add.add_argument("--name", help="what it is called (default: the folder's name)")
    add.add_argument("--image-column", help="for a table: the column with the pictures' paths")
    add.add_argument("--key-column", help="for a table: the column with the pictures' own keys")
    _extractors(add)
    add.set_defaults(run=_add)

    rescan = commands.add_parser("rescan", help="take over what was added, changed or removed in a collection")
    rescan.add_argument("dataset")
    _extractors(rescan, default=None)
    rescan.set_defaults(run=_rescan)

    demo = commands.add_parser("demo", help="make a demo collection: clipart (in the package), emoji, textile, fashion")
    demo.add_argument("name", nargs="?", default="clipart")
    demo.add_argument("--open", action="store_true", help="then serve it and open the browser")
    demo.add_argument("--port", type=int, default=8501)
    demo.set_defaults(run=_demo)

    looks = commands.add_parser("looks", help="the ways of looking that there are, and what each needs")
    looks.add_argument("--json", action="store_true")
    looks.set_defaults(run=_looks)

    status = commands.add_parser("status", help="what a collection holds, what is computed, what is out of date")
    status.add_argument("dataset", nargs="?")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=_status)

    serve = commands.add_parser("serve", help="start the app, for this computer or with --address for others")
    serve.add_argument("--port", type=int, default=8501)
    serve.add_argument(
        "--address", default="127.0.0.1", help="where to listen (default: this computer only; 0.0.0.0: everywhere)"
    )
    serve.add_argument("--open", action="store_true", help="open the browser too")
    serve.set_defaults(run=_serve)

    from explorer import cli_data, cli_link, cli_site, cli_storage

    cli_data.add_commands(commands)
    cli_link.add_commands(commands)
    cli_site.add_commands(commands)
    cli_storage.add_commands(commands)

    work = commands.add_parser("work", help="run one queued job (the app starts this by itself)")
    work.add_argument("job")
    work.set_defaults(run=_work)
    return parser


def _extractors(parser: argparse.ArgumentParser, default: str | None = DEFAULT_EXTRACTORS) -> None:
    text = (
        "what to compare pictures by, separated by commas, or by semicolons where a name has commas; "
        "`python -m explorer looks` lists them"
    )
    parser.add_argument("--extractors", default=default, help=f"{text} (default: {default or 'as before'})")
    parser.add_argument("--exact", action="store_true", help="compute in single precision (slower; it stays so)")
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="ray: on the cluster of RAY_ADDRESS (scaling.md)"
    )


def _add(parsed: argparse.Namespace) -> int:
    from explorer.collection.dataset import Dataset
    from explorer.collection.sources import detect

    workspace = Workspace.default()
    spec = detect(parsed.path.expanduser().absolute())
    for option in ("image_column", "key_column"):
        if getattr(parsed, option):
            spec[option] = getattr(parsed, option)
    name = parsed.name or parsed.path.absolute().stem
    dataset = Dataset.create(workspace, name, spec)
    print(f"added as '{dataset.id}'")
    return _process(workspace, dataset.id, _names(parsed.extractors), parsed.exact, parsed.engine)


def _names(text: str) -> list[str]:
    """The names in a list; "columns:price,date" is one, and may stand among others."""
    if ";" in text:
        return [name.strip() for name in text.split(";") if name.strip()]
    from explorer.collection import own
    from explorer.extractors.registry import families

    names: list[str] = []
    for part in (part.strip() for part in text.split(",") if part.strip()):
        known = re.split("[:@]", part)[0] in families() or own.is_own(part)
        if not known and names and names[-1].startswith("columns:"):
            names[-1] += f",{part}"
        else:
            names.append(part)
    return names


def _rescan(parsed: argparse.Namespace) -> int:
    from explorer.catalog import Catalog
    from explorer.collection.dataset import Dataset
    from explorer.jobs import Jobs
    from explorer.status import in_use

    workspace = Workspace.default()
    dataset = Dataset.open(workspace, parsed.dataset)
    jobs = Jobs(Catalog.open(workspace.catalog_url)).list(dataset.id)
    names = _names(parsed.extractors) if parsed.extractors else in_use(dataset, jobs)
    return _process(workspace, dataset.id, names or _names(DEFAULT_EXTRACTORS), parsed.exact, parsed.engine)


def _demo(parsed: argparse.Namespace) -> int:
    from explorer.collection.dataset import Dataset
    from explorer.demos import DEMOS, prepare

    workspace = Workspace.default()
    dataset_id, spec, extractors = prepare(parsed.name, workspace)
    if dataset_id not in workspace.dataset_ids():
        Dataset.create(workspace, DEMOS[parsed.name].title, spec, dataset_id=dataset_id)
    code = _process(workspace, dataset_id, extractors)
    if code or not parsed.open:
        return code
    from explorer.web.server import serve

    return serve(parsed.port, f"/map?d={dataset_id}", open_browser=True)


def _process(
    workspace: Workspace, dataset_id: str, extractors: list[str], exact: bool = False, engine: str = "local"
) -> int:
    """Run a job in this process, with its progress on the terminal."""
    from explorer.catalog import Catalog
    from explorer.jobs import Jobs, work

    jobs = Jobs(Catalog.open(workspace.catalog_url))
    job_id = jobs.create(dataset_id, "process", {"extractors": extractors, "exact": exact, "engine": engine})
    report = work(job_id, progress=Terminal())
    print(f"\r{report}" if report else "", flush=True)
    return 0


class Terminal:
    """Progress as one line that is written over (or, where output is not a terminal, a line every ten seconds)."""

    def __init__(self) -> None:
        self.stage = ""
        self.last = 0.0

    def __call__(self, progress: Any) -> None:
        live = sys.stderr.isatty()
        now = time.monotonic()
        done = progress.total and progress.done >= progress.total
        if progress.stage == self.stage and not done and now - self.last < (0.2 if live else 10.0):
            return
        words = progress.stage
        if progress.total:
            words += f" {progress.done:,} of {progress.total:,}"
        if progress.per_second:
            words += f", {progress.per_second:,.0f} a second"
        if progress.seconds_left:
            words += f", {progress.seconds_left:,.0f} s left"
        start = "\r\x1b[K" if live and progress.stage == self.stage else ("\n" if live and self.stage else "")
        print(start + words, end="" if live else "\n", file=sys.stderr, flush=True)
        self.stage, self.last = progress.stage, now


def _looks(parsed: argparse.Namespace) -> int:
    from explorer.status import library

    found = library(Workspace.default())
    if parsed.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return 0
    aspect = ""
    for each in found:
        if each["aspect"] != aspect:
            aspect = each["aspect"]
            print(f"{'' if each is found[0] else chr(10)}{aspect}")
        print(f"  {each['name']:<34} {each['title']}\n      {each['state']}; licence: {each['licence']}")
        if each["runs_here"]:
            print(f"      runs here in {each['runs_here']}")
        if each["layers"]:
            print(f"      layers, the earliest first: {', '.join(f'@{layer}' for layer in each['layers'])}")
    return 0


def _status(parsed: argparse.Namespace) -> int:
    from explorer.status import status, summary

    workspace = Workspace.default()
    ids = [parsed.dataset] if parsed.dataset else workspace.dataset_ids()
    found = [status(workspace, dataset_id) for dataset_id in ids]
    if parsed.json:
        print(json.dumps(found[0] if parsed.dataset else found, indent=1, ensure_ascii=False))
    elif not found:
        print(f"no collections in {workspace.root}; python -m explorer add FOLDER makes one")
    else:
        print("\n\n".join(summary(each) for each in found))
    return 0


def _serve(parsed: argparse.Namespace) -> int:
    from explorer.web.server import serve

    return serve(parsed.port, open_browser=parsed.open, address=parsed.address)


def _work(parsed: argparse.Namespace) -> int:
    from explorer.jobs import work

    work(parsed.job)
    return 0

"""`python -m explorer migrate, move-database, backup, restore, check`: looking after what people made."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import BadInput, ExplorerError
from explorer.workspace import Workspace

if TYPE_CHECKING:
    from explorer.catalog.move import Tally
    from explorer.collection.dataset import Dataset

_ITEM = ("uid", "path", "content_hash", "size", "mtime_ns", "width", "height", "caption")
_COLLECTION = {"id": str, "name": str, "source": dict, "extractors": list, "spaces": list, "items": list}


def add_commands(commands: Any) -> None:
    """Add the subcommands to those of `python -m explorer`."""
    migrate = commands.add_parser("migrate", help="bring the database up to date with this version of the program")
    migrate.set_defaults(run=_migrate)

    move = commands.add_parser("move-database", help="copy everything in the database to another one")
    move.add_argument("--to", required=True, metavar="URL", help="sqlite:////folder/catalog.db or postgresql://…")
    move.set_defaults(run=_move)

    backup = commands.add_parser("backup", help="save all that people made (not pictures) to a zip, also while serving")
    backup.add_argument("file", type=Path)
    backup.set_defaults(run=_backup)

    restore = commands.add_parser(
        "restore", help="give a workspace in which nobody made anything yet a backup's content"
    )
    restore.add_argument("file", type=Path)
    restore.add_argument(
        "--links",
        action="store_true",
        help="let those in again whom links and roles let in before; only for a backup that you made yourself",
    )
    restore.set_defaults(run=_restore)

    check = commands.add_parser("check", help="look for damage in what was computed: small pictures and features")
    check.add_argument("dataset", nargs="?")
    check.add_argument("--repair", action="store_true", help="drop what is damaged, and compute it again")
    check.set_defaults(run=_check)


def _migrate(_: argparse.Namespace) -> int:
    from explorer.catalog import Catalog, schema

    catalog = Catalog.open(Workspace.default().catalog_url)
    before, now = catalog.came_from, schema.REVISION
    if before == now:
        print(f"{catalog.name} is up to date (revision {now}).")
    elif before is None:
        print(f"{catalog.name} was made (revision {now}).")
    else:
        kept = f" A copy of it as it was is {catalog.copied}." if catalog.copied else ""
        print(f"{catalog.name} went from revision {before} to {now}.{kept}")
    return 0


def _move(parsed: argparse.Namespace) -> int:
    from explorer.catalog import Catalog
    from explorer.catalog.move import move

    source, target = Catalog.open(Workspace.default().catalog_url), Catalog.open(parsed.to)
    found = move(source, target)
    print(f"Copied to {target.name} and compared, row by row: {_counted(found)}.")
    print(f"Start the app with EXPLORER_DATABASE_URL={target.name} (and its password) from now on.")
    print(f"{source.name} stays as it was; whatever still writes to it is not copied any more.")
    return 0


def _backup(parsed: argparse.Namespace) -> int:
    from explorer.catalog import Catalog
    from explorer.catalog.backup import save
    from explorer.collection.dataset import Dataset

    workspace = Workspace.default()
    collections = [_described(Dataset.open(workspace, dataset_id)) for dataset_id in workspace.dataset_ids()]
    found = save(Catalog.open(workspace.catalog_url), parsed.file.expanduser().absolute(), collections)
    print(f"Saved to {parsed.file}: {_counted(found)}; {len(collections)} collections without their pictures.")
    print("It holds names and answers of people: keep it where only you can read it.")
    return 0


def _described(dataset: "Dataset") -> dict[str, Any]:
    """A collection without what can be computed: where its pictures are, what each is called by answers, how it is
    looked at."""
    from explorer.space import SpaceRecipe, list_spaces
    from explorer.space.space import read_manifest, spaces_dir

    names = {spec.key: spec.extractor for spec in dataset.feature_specs()}
    spaces = []
    for info in list_spaces(dataset):
        recipe = SpaceRecipe.from_json((read_manifest(spaces_dir(dataset) / info.key) or {})["recipe"])
        features = [[names[key], weight] for key, weight in recipe.features if key in names]
        spaces.append({"title": info.title, "features": features, "steps": list(recipe.steps)})
    items = dataset.items[list(_ITEM)]
    return {
        "id": dataset.id,
        "name": dataset.name,
        "source": dataset.source.spec,
        "extractors": list(dict.fromkeys(names.values())),
        "spaces": spaces,
        "items": items.values.tolist(),
    }


def _restore(parsed: argparse.Namespace) -> int:
    from explorer.catalog import Catalog
    from explorer.catalog.backup import restore

    workspace = Workspace.default()
    catalog = Catalog.open(workspace.catalog_url)
    closed: list[str] = []

    def accept(table: str, row: dict[str, Any]) -> dict[str, Any]:
        row = _fitting(workspace, table, row)
        if parsed.links or table not in ("links", "roles") or row["revoked"] is not None:
            return row
        closed.append(table)
        return {**row, "paused": True} if table == "links" else {**row, "revoked": row["created"]}

    found = restore(catalog, parsed.file.expanduser().absolute(), accept)
    print(f"Restored to {catalog.name} and compared, row by row: {_counted(found.tables)}.")
    if closed:
        print(
            f"{len(closed)} links and roles let nobody in for now, since a backup may come from anybody: resume them "
            "on the Share page, or restore with --links."
        )
    for said in found.more if isinstance(found.more, list) else []:
        try:
            print(_collection_back(workspace, catalog, said))
        except ExplorerError as error:
            print(f"  A collection of the backup was left out: {error}")
    return 0


def _fitting(workspace: Workspace, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row, if what it says could be said here. Raises BadInput."""
    from explorer.sharing.access import ROLES

    if table in ("links", "roles"):
        scope = row["scope"]
        told = isinstance(scope, dict) and scope.keys() == {"dataset", "question"}
        if row["role"] not in ROLES or not told or not all(isinstance(part, str) for part in scope.values()):
            raise BadInput(f"The backup holds {table} that let people do what nobody can; use another one.")
        start = row.get("start", "/")
        if not start.startswith("/") or start.startswith(("//", "/\\")) or not start.isprintable():
            raise BadInput("The backup holds a link that leads to another site; use another one.")
    if table == "datasets":
        workspace.dataset_dir(row["id"])
    return row


def _collection_back(workspace: Workspace, catalog: Any, said: Any) -> str:
    """Make a collection of a backup again, its pictures known by name and not looked at; says what to do next."""
    from explorer.collection import items
    from explorer.collection.dataset import Dataset
    from explorer.jobs import Jobs

    if not isinstance(said, dict) or any(not isinstance(said.get(key), kind) for key, kind in _COLLECTION.items()):
        raise BadInput("it is not described as a backup describes one.")
    if said["id"] in workspace.dataset_ids():
        return f"  {said['id']} is here already and stays as it is."
    kinds = [str if name in ("uid", "path", "content_hash", "caption") else int for name in _ITEM]
    rows = []
    for values in said["items"]:
        if not isinstance(values, list) or [type(value) for value in values] != kinds or not values[0]:
            raise BadInput("its pictures are not described as a backup describes them.")
        rows.append({**dict(zip(_ITEM, values, strict=True)), "status": items.GONE, "problem": ""})
    dataset = Dataset.create(workspace, said["name"], said["source"], dataset_id=said["id"])
    with dataset.writing():
        dataset.restore_items(items.build(rows, [{} for _ in rows]))
    args = {"extractors": said["extractors"], "spaces": [_space(each) for each in said["spaces"]]}
    job_id = Jobs(catalog).create(dataset.id, "process", args)
    return (
        f"  {dataset.id}: its pictures lie in {dataset.source.spec['path']}. To look at them again, as before: "
        f"python -m explorer work {job_id}"
    )


def _space(said: Any) -> dict[str, Any]:
    if (
        not isinstance(said, dict)
        or not isinstance(said.get("features"), list)
        or not isinstance(said.get("steps"), list)
    ):
        raise BadInput("its spaces are not described as a backup describes them.")
    return {"features": said["features"], "steps": [str(step) for step in said["steps"]]}


def _check(parsed: argparse.Namespace) -> int:
    from explorer.cli import main
    from explorer.collection.dataset import Dataset

    workspace = Workspace.default()
    hurt = 0
    for dataset_id in [parsed.dataset] if parsed.dataset else workspace.dataset_ids():
        dataset = Dataset.open(workspace, dataset_id)
        found = _damage(dataset, parsed.repair)
        hurt += len(found)
        print("\n".join([f"{dataset_id}: {len(found)} damaged" if found else f"{dataset_id}: no damage", *found]))
        if found and parsed.repair:
            main(["rescan", dataset_id])
    if hurt and not parsed.repair:
        print("python -m explorer check --repair drops what is damaged and computes it again; no answer is touched.")
    return 1 if hurt and not parsed.repair else 0


def _damage(dataset: "Dataset", repair: bool) -> list[str]:
    """What is damaged, in words; with `repair`, it is dropped, so that the next run computes it."""
    from explorer.collection.features import damaged, drop_damaged

    with dataset.writing():
        names = dataset.pictures.damaged()
        found = [f"  the small picture of content {name}" for name in names]
        if names and repair:
            dataset.pictures.forget(names)
        for folder in sorted((dataset.root / "features").glob("*/")):
            bad = damaged(folder)
            found += [f"  {folder.name}/{name}" for name in bad]
            if bad and repair:
                drop_damaged(folder, bad)
    return found


def _counted(found: "dict[str, Tally]") -> str:
    return ", ".join(f"{tally.rows:,} {name}" for name, tally in found.items() if tally.rows) or "nothing yet"

"""Bringing a collection in from the Datasets page: a path on this computer, or files sent by the browser."""

import shutil
import uuid
from pathlib import Path
from typing import Protocol

from explorer.collection.dataset import Dataset
from explorer.collection.sources import detect
from explorer.errors import BadInput
from explorer.extractors.registry import DEFAULT
from explorer.sharing.exports import safe_name
from explorer.status import in_use
from explorer.web.runtime import Runtime

MAX_FILES = 5_000
MAX_BYTES = 4_000_000_000


class Upload(Protocol):
    """What Streamlit hands over for one uploaded file."""

    name: str
    size: int

    def read(self, size: int = -1) -> bytes: ...


def from_path(rt: Runtime, path: Path, name: str = "") -> str:
    """Make a dataset of a folder, table or zip that is already on this computer; returns its id."""
    return _create(rt, detect(path), name or path.stem)


def from_uploads(rt: Runtime, files: list[Upload], name: str) -> str:
    """Keep uploaded files in the workspace and make a dataset of them; returns its id.

    A zip stays a zip: nothing in it is unpacked to disk, so nothing in it can leave its folder.
    """
    if not files:
        raise BadInput("Nothing was uploaded: choose pictures or a zip first.")
    if len(files) > MAX_FILES or sum(file.size for file in files) > MAX_BYTES:
        raise BadInput(
            f"An upload holds at most {MAX_FILES:,} files and {MAX_BYTES // 10**9} GB; add the folder instead."
        )
    zips = [file for file in files if file.name.lower().endswith(".zip")]
    if zips and len(files) > 1:
        raise BadInput("Upload either pictures or one zip, not both at once.")
    folder = rt.workspace.root / "uploads" / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        for file in files:
            _store(file, _free(folder / safe_name(file.name)))
        source = folder / safe_name(zips[0].name) if zips else folder
        return _create(rt, detect(source), name.strip() or (Path(zips[0].name).stem if zips else "Uploaded pictures"))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def extractors_of(rt: Runtime, dataset: Dataset) -> list[str]:
    """The extractors to look for changes with; the default where there are none yet."""
    return in_use(dataset, rt.jobs.list(dataset.id)) or [DEFAULT]


def duration(seconds: float) -> str:
    """A time left in words a person would use."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def _create(rt: Runtime, spec: dict[str, object], name: str) -> str:
    return Dataset.create(rt.workspace, name.strip() or "Pictures", spec).id


def _free(path: Path) -> Path:
    number = 2
    found = path
    while found.exists():
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return found


def _store(file: Upload, path: Path) -> None:
    with open(path, "xb") as out:
        while block := file.read(1 << 20):
            out.write(block)

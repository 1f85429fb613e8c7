"""Where results are kept: one folder for the catalogue, the datasets and the converted networks."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from explorer.errors import BadInput, Refused

DEFAULT_ROOT = Path(__file__).resolve().parent.parent / "data" / "workspace"
RESERVED = frozenset({"models", "uploads", "downloads"})
"""Folders of the workspace that are no datasets."""
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def replica() -> bool:
    """Whether this process shows collections that another machine builds (EXPLORER_REPLICA), and changes none."""
    return os.environ.get("EXPLORER_REPLICA", "") not in ("", "0")


def refuse_on_replica() -> None:
    """For everything that changes a collection. Raises Refused on a replica."""
    if replica():
        raise Refused(
            "This is a replica (EXPLORER_REPLICA): it shows collections and takes answers. Add, look at and change "
            "collections on the machine that builds them; what is new there appears here by itself."
        )


def allowed_roots() -> list[Path]:
    """The folders that may be added from the browser: EXPLORER_ROOTS, else the home folder."""
    named = os.environ.get("EXPLORER_ROOTS", "")
    roots = [Path(part).expanduser() for part in named.split(os.pathsep) if part] or [Path.home()]
    return [root.resolve() for root in roots]


@dataclass(frozen=True)
class Workspace:
    """A folder of results. `EXPLORER_WORKSPACE` names another one, `EXPLORER_DATABASE_URL` another catalogue."""

    root: Path

    @classmethod
    def default(cls) -> "Workspace":
        workspace = cls(Path(os.environ.get("EXPLORER_WORKSPACE") or DEFAULT_ROOT).expanduser().absolute())
        workspace.root.mkdir(parents=True, exist_ok=True)
        return workspace

    @property
    def catalog_url(self) -> str:
        return os.environ.get("EXPLORER_DATABASE_URL") or f"sqlite:///{self.root / 'catalog.db'}"

    @property
    def models(self) -> Path:
        """Networks converted for this machine; safe to delete."""
        return self.root / "models"

    def dataset_dir(self, dataset_id: str) -> Path:
        """The folder of one dataset. Raises BadInput for an id that could leave the workspace."""
        if not _ID.fullmatch(dataset_id) or dataset_id in RESERVED:
            raise BadInput(f"'{dataset_id}' cannot name a dataset: use a-z, 0-9, - and _, at most 64 of them.")
        return self.root / dataset_id

    def dataset_ids(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob("*/dataset.json"))

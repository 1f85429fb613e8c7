"""Saved selections and views, each under a short id made from its content, so that a link stays short."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from explorer.catalog.database import Catalog
from explorer.catalog.schema import views
from explorer.errors import NotFound


@dataclass(frozen=True)
class View:
    """What a link reopens. `state` is JSON; its keys belong to whoever saved it."""

    id: str
    dataset_id: str
    kind: str
    state: Any
    created: float


class ViewStore:
    """The saved views of all datasets."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def save(self, dataset_id: str, kind: str, state: Any) -> str:
        """Keep `state` (anything JSON can hold) for good; returns the id. The same state again is the same view."""
        content = json.dumps([dataset_id, kind, state], sort_keys=True)
        view_id = hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
        with self._catalog.reading() as connection:
            if connection.execute(sa.select(views.c.id).where(views.c.id == view_id)).first() is not None:
                return view_id
        with self._catalog.writing() as connection:
            if connection.execute(sa.select(views.c.id).where(views.c.id == view_id)).first() is not None:
                return view_id
            now = self._catalog.now(connection)
            connection.execute(
                views.insert().values(id=view_id, dataset_id=dataset_id, kind=kind, state=state, created=now)
            )
        return view_id

    def load(self, view_id: str, dataset_id: str) -> View:
        """Raises NotFound, also for a view of another dataset: an id gives no way past a dataset's access."""
        with self._catalog.reading() as connection:
            row = connection.execute(
                sa.select(views).where(views.c.id == view_id, views.c.dataset_id == dataset_id)
            ).one_or_none()
        if row is None:
            raise NotFound(f"There is no saved view '{view_id}' here: the link may be cut short, or the view deleted.")
        return View(**row._mapping)

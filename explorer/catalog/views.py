"""Saved selections and views, each under a short random id, so that a link stays short."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from explorer.catalog.database import Catalog
from explorer.catalog.schema import new_id, views
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
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def save(self, dataset_id: str, kind: str, state: Any) -> str:
        """Keep `state` (anything JSON can hold) for good; returns the id."""
        view_id = new_id()
        with self._catalog.writing() as connection:
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

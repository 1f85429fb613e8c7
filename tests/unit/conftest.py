"""What the unit tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from explorer.catalog import schema
from explorer.catalog.database import Catalog


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database: a file, and one on a private PostgreSQL server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.db'}"
    server: str = request.getfixturevalue("postgres")
    name = f"t{schema.new_id()}"
    with sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    return server.rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture
def either_catalog(database_url: str) -> Iterator[Catalog]:
    """The catalogue on SQLite, then on PostgreSQL."""
    catalog = Catalog.open(database_url)
    yield catalog
    catalog.close()

"""The catalogue opens safely, for several processes at once, on SQLite and on PostgreSQL."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from explorer.catalog import database, schema
from explorer.catalog.database import Catalog, network_mount
from explorer.catalog.views import ViewStore
from explorer.errors import BadInput, Missing, NotFound

ROOT = Path(__file__).resolve().parents[2]


def url_of(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalog.db'}"


def test_a_new_catalogue_is_durable_and_has_every_table(tmp_path: Path) -> None:
    catalog = Catalog.open(url_of(tmp_path))
    with catalog.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
        assert set(sa.inspect(connection).get_table_names()) >= set(schema.metadata.tables)


def test_migrations_and_schema_say_the_same(tmp_path: Path) -> None:
    catalog = Catalog.open(url_of(tmp_path))
    with catalog.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        assert connection.exec_driver_sql("select version_num from alembic_version").scalar() == schema.REVISION


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    catalog = Catalog.open(url_of(tmp_path))
    guest = schema.people.insert().values(id="p", name="P", kind="guest", created=1.0)
    with pytest.raises(sa.exc.IntegrityError), catalog.writing() as connection:  # noqa: PT012
        connection.execute(guest)
        connection.execute(guest)
    with catalog.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.people)).scalar() == 0


def test_writing_takes_the_lock_at_once(tmp_path: Path) -> None:
    catalog = Catalog.open(url_of(tmp_path))
    other = sqlite3.connect(tmp_path / "catalog.db", timeout=0, isolation_level=None)
    with catalog.writing(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    with catalog.reading():  # reading takes none
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")


OPENING = """
import sys
from explorer.catalog.database import Catalog
print("ready", flush=True); sys.stdin.readline()
Catalog.open(sys.argv[1]); print("open")
"""


def test_many_processes_may_open_a_new_catalogue_at_the_same_moment(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, url_of(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        out, err = worker.communicate(timeout=60)
        assert out == "open\n", err


def test_a_newer_catalogue_is_refused_and_left_alone(tmp_path: Path) -> None:
    Catalog.open(url_of(tmp_path)).close()
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.execute("update alembic_version set version_num='9999'")
    with pytest.raises(BadInput, match=r"newer version.*Update the program"):
        Catalog.open(url_of(tmp_path))


def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(BadInput, match=r"catalog\.db"):
        Catalog.open(url_of(tmp_path))
    with pytest.raises(BadInput, match="SQLite or PostgreSQL"):
        Catalog.open("mysql://root@localhost/x")
    with pytest.raises(BadInput, match="file that other processes can open"):
        Catalog.open("sqlite://")
    with pytest.raises(BadInput, match="no database address"):
        Catalog.open("catalog.db")


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(Missing) as caught:
        Catalog.open("postgresql://me:secret@127.0.0.1:1/none")
    assert "127.0.0.1:1" in str(caught.value)
    assert "secret" not in str(caught.value)


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/local\\040disk xfs rw 0 0
//nas/share /mnt/nas cifs rw 0 0
me@host: /mnt/ssh fuse.sshfs rw 0 0
C:\\134 /mnt/c 9p rw,aname=drvfs;path=C:\\ 0 0
rootfs /srv/sandbox 9p rw,trans=fd 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/data", None),
        ("/home/ann/workspace", "nfs4"),
        ("/home/local disk/workspace", None),
        ("/mnt/nas/x", "cifs"),
        ("/mnt/nasty", None),
        ("/mnt/ssh", "fuse.sshfs"),
        ("/mnt/c/Users/ann", "9p"),
        ("/srv/sandbox/x", None),
    ],
)
def test_network_shares_are_told_from_local_disks(path: str, kind: str | None) -> None:
    found = network_mount(Path(path), MOUNTS)
    assert (found[0] if found else None) == kind


def test_a_catalogue_on_a_network_share_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(f"/dev/sda1 / ext4 rw 0 0\nnas:/x {tmp_path / 'share'} nfs rw 0 0\n")
    monkeypatch.setattr(database, "_MOUNTS", tmp_path / "mounts")
    with pytest.raises(BadInput, match=r"network share \(nfs at .*EXPLORER_DATABASE_URL.*PostgreSQL"):
        Catalog.open(f"sqlite:///{tmp_path / 'share' / 'catalog.db'}")
    assert not (tmp_path / "share").exists()
    Catalog.open(f"sqlite:///{tmp_path / 'local' / 'catalog.db'}")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="permissions"):
        Catalog.open(f"sqlite:///{tmp_path / 'file' / 'catalog.db'}")


def test_datasets_are_registered_once_and_renamed(tmp_path: Path) -> None:
    catalog = Catalog.open(url_of(tmp_path))
    catalog.register_dataset("photos", "Photos")
    catalog.register_dataset("photos", "Holiday photos")
    with catalog.reading() as connection:
        assert [row.name for row in connection.execute(sa.select(schema.datasets))] == ["Holiday photos"]


def test_a_view_comes_back_whole_and_only_in_its_dataset(tmp_path: Path) -> None:
    state = {"uids": ["a/ü.jpg", "b\n.png"], "lasso": [[0.5, -0.25]], "filter": None}
    view_id = ViewStore(Catalog.open(url_of(tmp_path))).save("photos", "selection", state)
    assert ViewStore(Catalog.open(url_of(tmp_path))).save("photos", "selection", dict(state)) == view_id
    assert ViewStore(Catalog.open(url_of(tmp_path))).save("other", "selection", state) != view_id
    views = ViewStore(Catalog.open(url_of(tmp_path)))
    assert views.load(view_id, "photos").state == state
    with pytest.raises(NotFound, match="cut short"):
        views.load(view_id, "other")

"""The catalogue opens safely, for several processes at once, on SQLite and on PostgreSQL."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from explorer.catalog import database, schema
from explorer.catalog.database import Catalog, network_mount
from explorer.catalog.views import ViewStore
from explorer.errors import BadInput, Missing, NotFound
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.questions import QuestionStore

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


def as_first_made(url: str, upgraded_to: str = "0001") -> None:
    """A catalogue of revision 0001 with a question, a merged class and four answers, one of them taken back; brought
    up to `upgraded_to` afterwards."""
    parsed = database._with_driver(url)
    if parsed.get_backend_name() == "sqlite":
        database._prepare_file(parsed)
    engine = database._engine(parsed)
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in (
            "insert into questions values ('q', 'photos', 'Room', 'classes', 'a note', 1.5, null)",
            "insert into classes values ('a', 'q', 'kitchen', 0, 'n', 1.5, null), ('b', 'q', 'bath', 1, '', 1.5, null)",
            "insert into classes values ('c', 'q', 'shower', 2, '', 1.5, 'b')",
            "insert into answers values (1, 'e1', 'q', 'photos', '1.jpg', 'h1', null, 'a', 'yes', 'ann', 2.5, 's', "
            "true, 'random', 0.25, 'b1', null)",
            "insert into answers values (2, 'e2', 'q', 'photos', '2.jpg', 'h2', null, 'c', 'yes', 'ann', 3.5, 's', "
            "false, 'useful', null, null, null)",
            "insert into answers values (3, 'e3', 'q', 'photos', '3.jpg', 'h3', null, 'a', 'yes', 'bob', 4.5, 's', "
            "false, '', null, null, null)",
            "insert into answers values (4, 'e4', 'q', 'photos', '3.jpg', 'h3', null, null, 'undo', 'bob', 5.5, '', "
            "false, '', null, null, 'e3')",
        ):
            connection.exec_driver_sql(statement)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("alter sequence answers_seq_seq restart with 5")
        command.upgrade(config, upgraded_to)
    engine.dispose()


def test_a_catalogue_of_the_first_version_is_upgraded_with_every_answer(database_url: str) -> None:
    as_first_made(database_url)
    catalog = Catalog.open(database_url)
    with catalog.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    history = AnswerStore(catalog).history("q")
    assert [(entry.seq, entry.event.client_event_id, entry.at, entry.active) for entry in history] == [
        (1, "e1", 2.5, True),
        (2, "e2", 3.5, True),
        (3, "e3", 4.5, False),
        (4, "e4", 5.5, True),
    ]
    first = history[0].event
    assert (first.uid, first.content_hash, first.class_id, first.person_id) == ("1.jpg", "h1", "a", "ann")
    assert (first.space, first.blind, first.policy, first.probability, first.batch_id) == (
        "s",
        True,
        "random",
        0.25,
        "b1",
    )
    current = AnswerStore(catalog).current("q")
    assert {uid: each.class_id for uid, each in current.items()} == {"1.jpg": "a", "2.jpg": "b"}
    question = QuestionStore(catalog).get("q")
    assert (question.settings, question.none_class) == ({}, None)
    assert [(one.id, one.note, one.examples) for one in question.classes] == [("a", "n", ()), ("b", "", ())]
    assert QuestionStore(catalog).unmerge("q", "c").class_ids == ("a", "b", "c")
    stored = AnswerStore(catalog).record([AnswerEvent("e5", "q", "5.jpg", "yes", "c")])
    assert (stored[0].seq, stored[0].duplicate) == (5, False)
    catalog.close()


def test_a_catalogue_of_the_second_version_gets_room_for_trials(database_url: str) -> None:
    as_first_made(database_url, "0002")
    catalog = Catalog.open(database_url)
    with catalog.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.trials)).scalar() == 0
    current = AnswerStore(catalog).current("q")
    assert {uid: each.class_id for uid, each in current.items()} == {"1.jpg": "a", "2.jpg": "b"}
    catalog.close()
    if catalog.url.startswith("sqlite"):
        (copy,) = Path(str(sa.make_url(catalog.url).database)).parent.glob("*backup*")
        assert copy.name == "catalog.0002.backup.db"


def test_a_copy_named_by_its_revision_stays_beside_an_upgraded_catalogue(tmp_path: Path) -> None:
    as_first_made(url_of(tmp_path))
    keeps_the_log = sqlite3.connect(tmp_path / "catalog.db")  # answers may lie in the write-ahead log alone
    keeps_the_log.execute("update answers set uid = 'one.jpg' where seq = 1")
    keeps_the_log.commit()
    Catalog.open(url_of(tmp_path)).close()
    Catalog.open(url_of(tmp_path)).close()
    keeps_the_log.close()
    copies = sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name)
    assert copies == ["catalog.0001.backup.db"]
    with contextlib.closing(sqlite3.connect(tmp_path / copies[0])) as copy:
        assert copy.execute("select version_num from alembic_version").fetchall() == [("0001",)]
        uids = [row[0] for row in copy.execute("select uid from answers order by seq")]
        assert uids == ["one.jpg", "2.jpg", "3.jpg", "3.jpg"]
    # somebody who goes back to the copy and upgrades again keeps the first copy, too
    for name in ("catalog.db", "catalog.db-wal", "catalog.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "catalog.db").write_bytes((tmp_path / copies[0]).read_bytes())
    Catalog.open(url_of(tmp_path)).close()
    assert (tmp_path / "catalog.0001.backup-2.db").exists()


def test_a_new_catalogue_needs_no_copy(tmp_path: Path) -> None:
    Catalog.open(url_of(tmp_path)).close()
    assert [path for path in tmp_path.iterdir() if "backup" in path.name] == []


def test_without_room_for_a_copy_nothing_is_upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_first_made(url_of(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("explorer.durable.os.fsync", full)
        with pytest.raises(BadInput, match=r"No space left.*Nothing was changed.*Free"):
            Catalog.open(url_of(tmp_path))
    with contextlib.closing(sqlite3.connect(tmp_path / "catalog.db")) as left:
        assert left.execute("select version_num from alembic_version").fetchall() == [("0001",)]
    assert [path for path in tmp_path.iterdir() if "backup" in path.name] == []
    Catalog.open(url_of(tmp_path)).close()

"""What decoding found, by content hash: written at once, read from anywhere."""

import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest

from explorer.collection.pictures import Picture, PictureStore
from explorer.errors import ExplorerError


def picture(number: int) -> Picture:
    return Picture(f"{number:032x}", 640 + number, 480, f"thumb {number}".encode() * 100)


def test_what_was_added_comes_back(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "thumbs" / "pictures.db")
    assert store.thumb(picture(1).hash) is None
    assert store.known([picture(1).hash]) == set()
    assert store.problems() == {}
    assert store.count() == 0
    store.add_many([picture(1), picture(2), Picture("f" * 32, problem="the file is empty")])
    assert store.thumb(picture(1).hash) == picture(1).thumb
    assert store.get(picture(2).hash) == picture(2)
    assert store.thumb("f" * 32) is None
    assert store.thumb("0" * 32) is None
    assert store.known([picture(1).hash, "f" * 32, "e" * 32]) == {picture(1).hash, "f" * 32}
    assert store.sizes([picture(1).hash, "e" * 32]) == {picture(1).hash: (641, 480)}
    assert store.problems() == {"f" * 32: "the file is empty"}
    assert PictureStore(store.path).count() == 3


def test_many_are_asked_for_at_once(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "pictures.db")
    store.add_many(picture(number) for number in range(0, 12_000, 2))
    for asked in (700, 12_000):
        names = [picture(number).hash for number in range(asked)]
        assert store.known(names) == {picture(number).hash for number in range(0, asked, 2)}


def test_a_batch_is_wholly_there_or_not_at_all(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "pictures.db")
    bad = Picture("b" * 32, width=None)  # type: ignore[arg-type]
    with pytest.raises(ExplorerError, match="thumbnails"):
        store.add_many([picture(1), bad])
    assert store.count() == 0
    store.add_many([picture(1)])
    assert store.count() == 1


def test_readers_in_threads_while_one_writes(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "pictures.db")
    store.add_many([picture(0)])
    stop, failures = threading.Event(), []

    def read() -> None:
        try:
            while not stop.is_set():
                assert store.thumb(picture(0).hash) == picture(0).thumb
        except Exception as error:
            failures.append(repr(error))
        finally:
            store.close()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 60):
        store.add_many([picture(number)])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.count() == 60


def _read_elsewhere(path: Path, answers: "multiprocessing.Queue[bytes | None]") -> None:
    answers.put(PictureStore(path).thumb(picture(3).hash))


def test_another_process_reads_what_was_just_written(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "pictures.db")
    store.add_many([picture(3)])
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[bytes | None] = context.Queue()
    process = context.Process(target=_read_elsewhere, args=(store.path, answers))
    process.start()
    assert answers.get(timeout=60) == picture(3).thumb
    process.join()


def test_it_is_on_disk_before_add_many_returns(tmp_path: Path) -> None:
    store = PictureStore(tmp_path / "pictures.db")
    store.add_many([picture(1)])
    connection = store._connection()
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    plan = connection.execute("EXPLAIN QUERY PLAN SELECT hash, width, height FROM pictures").fetchall()
    assert "COVERING INDEX" in str(plan)


def test_a_damaged_file_says_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "pictures.db"
    path.write_bytes(b"this is no database at all, whatever its name says" * 50)
    with pytest.raises(ExplorerError, match="delete it"):
        PictureStore(path).thumb(picture(1).hash)
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT 1 FROM pictures")

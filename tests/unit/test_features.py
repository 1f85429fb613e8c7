"""The feature store: exact to half precision, refuses what is no number, survives kills, same bytes in the end."""

import contextlib
import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from explorer.collection import features
from explorer.collection.features import FeatureStore
from explorer.errors import BadInput, ExplorerError, NotFound
from explorer.extractors.base import FeatureSpec

SPEC = FeatureSpec("test", "none", "all", "none", "numpy", "f32", 12)


def name(number: int) -> str:
    return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()


def row(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    return (rng.normal(size=12) * 10.0 ** rng.integers(-20, 20)).astype(np.float32)


def fill(store: FeatureStore, start: int, stop: int, every: int = 100) -> FeatureStore:
    with store.writer() as writer:
        for number in range(start, stop):
            writer.append(name(number), row(number))
            if number % every == 0:
                writer.flush()
    store.reload()
    return store


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def _short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "SEGMENT_ROWS", 256)
    monkeypatch.setattr(features, "PART_ROWS", 64)


@pytest.mark.usefixtures("_short_segments")
def test_rows_come_back_in_the_order_asked(tmp_path: Path) -> None:
    store = fill(FeatureStore(tmp_path / "f", SPEC), 0, 1000)
    assert len(store) == 1000
    order = np.random.default_rng(1).integers(0, 1000, 3000)
    got = store.get([name(number) for number in order])
    want = np.stack([row(number) for number in order])
    assert got.dtype == np.float32
    largest = np.abs(want).max(axis=1, keepdims=True)
    assert (np.abs(got - want) <= np.maximum(np.abs(want) * 2.0**-11, largest * 2.0**-39)).all()
    assert store.get([]).shape == (0, 12)
    assert [each.decode() for each in store.hashes()[:3]] == [name(0), name(1), name(2)]
    asked = store.get(np.array([name(3)], dtype="S32"))
    assert np.array_equal(asked, store.get([name(3)]))
    assert store.missing([name(5), name(2000), name(6), name(2001), name(2000)]) == [name(2000), name(2001)]
    with pytest.raises(NotFound, match=name(2000)):
        store.get([name(1), name(2000)])


@pytest.mark.parametrize("keys", [lambda hashes: np.zeros(len(hashes), np.uint64), features._keys])
def test_contents_that_share_a_key_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Any) -> None:
    monkeypatch.setattr(features, "_keys", keys)
    names = [f"{number:032x}" for number in range(9)]
    store = FeatureStore(tmp_path / "f", SPEC)
    with store.writer() as writer:
        for number in (3, 1, 7, 5):
            writer.append(names[number], np.full(SPEC.dim, number, np.float32))
    assert store.get([names[5], names[1], names[5], names[3]])[:, 0].tolist() == [5, 1, 5, 3]
    assert store.missing(names) == [names[number] for number in (0, 2, 4, 6, 8)]
    assert FeatureStore(tmp_path / "empty", SPEC).missing(names[:2]) == names[:2]


@pytest.mark.parametrize("value", [0.0, 1e-45, 1e-38, 6e-5, 1.0, 65504.0, 1e6, 3.4e38, -3.4e38])
def test_any_range_fits_half_precision(tmp_path: Path, value: float) -> None:
    values = np.full(12, value, np.float32)
    values[3] /= 1000
    with FeatureStore(tmp_path / "f", SPEC).writer() as writer:
        writer.append(name(0), values)
    got = FeatureStore(tmp_path / "f").get([name(0)])[0]
    np.testing.assert_allclose(got, values, rtol=2.0**-11, atol=1e-44)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(tmp_path: Path, bad: float) -> None:
    writer = FeatureStore(tmp_path / "f", SPEC).writer()
    values = row(0)
    values[5] = bad
    with pytest.raises(BadInput, match="not finite"):
        writer.append(name(0), values)
    with pytest.raises(BadInput, match="shape"):
        writer.append(name(0), row(0)[:5])
    with pytest.raises(BadInput, match="no content hash"):
        writer.append("cat.jpg", row(0))
    writer.append(name(0), row(0))
    with pytest.raises(BadInput, match="already"):
        writer.append(name(0), row(0))
    assert writer.pending == 1


@pytest.mark.usefixtures("_short_segments")
@pytest.mark.parametrize("stop", [0, 1, 63, 64, 65, 255, 256, 257, 600])
def test_broken_off_and_taken_up_again_gives_the_same_bytes(tmp_path: Path, stop: int) -> None:
    fill(FeatureStore(tmp_path / "whole", SPEC), 0, 600)
    writer = FeatureStore(tmp_path / "broken", SPEC).writer()
    for number in range(stop):
        writer.append(name(number), row(number))
        if number % 50 == 49:
            writer.flush()
    finished = stop // 50 * 50  # never closed, never compacted: the process was killed here
    again = FeatureStore(tmp_path / "broken", SPEC)
    assert again.missing([name(number) for number in range(600)]) == [name(number) for number in range(finished, 600)]
    if finished:
        np.testing.assert_allclose(again.get([name(finished - 1)])[0], row(finished - 1), rtol=2.0**-10)
    fill(again, finished, 600)
    assert files(tmp_path / "whole") == files(tmp_path / "broken")
    assert "parts" not in {path.split("/")[0] for path in files(tmp_path / "whole")}


@pytest.mark.usefixtures("_short_segments")
def test_growing_in_runs_gives_the_same_bytes_and_leaves_full_segments_alone(tmp_path: Path) -> None:
    fill(FeatureStore(tmp_path / "whole", SPEC), 0, 700)
    store = FeatureStore(tmp_path / "grown", SPEC)
    for start, stop in ((0, 10), (10, 300), (300, 301), (301, 700)):
        fill(store, start, stop)
        if stop == 300:
            first = (tmp_path / "grown" / "00000.f16.npy").stat()
    assert files(tmp_path / "whole") == files(tmp_path / "grown")
    assert (tmp_path / "grown" / "00000.f16.npy").stat().st_ino == first.st_ino
    assert np.load(tmp_path / "grown" / "00000.f16.npy", mmap_mode="r").dtype == np.float16


@pytest.mark.usefixtures("_short_segments")
def test_killed_while_gathering_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every step of the gathering a fresh reader finds every row once, and a later run ends in the same bytes."""
    fill(FeatureStore(tmp_path / "whole", SPEC), 0, 600)
    steps = ["write_json", "_remove", "replacing"]
    for number, step in enumerate(steps):
        for calls_before in range(3):
            folder = tmp_path / f"killed-{number}-{calls_before}"
            fill(FeatureStore(folder, SPEC), 0, 90)
            writer = FeatureStore(folder, SPEC).writer()
            for index in range(90, 600):
                writer.append(name(index), row(index))
            writer.flush()
            left = [calls_before]
            real = getattr(features, step)

            def dying(*arguments: object, real: object = real, left: list[int] = left) -> object:
                if left[0] == 0:
                    raise KeyboardInterrupt
                left[0] -= 1
                return real(*arguments)  # type: ignore[operator]

            with monkeypatch.context() as patched:
                patched.setattr(features, step, dying)
                with contextlib.suppress(KeyboardInterrupt):
                    writer.compact()
            survivor = FeatureStore(folder, SPEC)
            assert len(survivor) == 600
            np.testing.assert_array_equal(
                survivor.get([name(index) for index in range(600)]),
                FeatureStore(tmp_path / "whole").get([name(index) for index in range(600)]),
            )
            survivor.writer().compact()
            assert files(folder) == files(tmp_path / "whole")


@pytest.mark.usefixtures("_short_segments")
def test_readers_see_every_finished_row_while_a_writer_works(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    fill(FeatureStore(folder, SPEC), 0, 100)
    finished, failures = [100], []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            promised = finished[0]
            try:
                store = FeatureStore(folder)
                if len(store) < promised or store.missing(name(index) for index in range(promised)):
                    failures.append(f"{len(store)} of {promised}")
                store.get([name(promised - 1), name(0)])
            except Exception as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(100, 1000, 90):
        fill(FeatureStore(folder, SPEC), start, start + 90, every=30)
        finished[0] = start + 90
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_what_a_kill_left_half_written_is_tidied_away(tmp_path: Path) -> None:
    store = fill(FeatureStore(tmp_path / "f", SPEC), 0, 50)
    clean = files(tmp_path / "f")
    (tmp_path / "f" / "parts").mkdir()
    for left in (".manifest.json.12.ab", "00000-00040.f16.npy", "parts/.000002.npz.12.ab"):
        (tmp_path / "f" / left).write_bytes(b"half")
    assert len(FeatureStore(tmp_path / "f")) == 50
    store.writer()
    assert files(tmp_path / "f") == clean


def test_an_opened_reader_keeps_what_it_opened(tmp_path: Path) -> None:
    old = fill(FeatureStore(tmp_path / "f", SPEC), 0, 50)
    fill(FeatureStore(tmp_path / "f", SPEC), 50, 120)
    np.testing.assert_allclose(old.get([name(49)])[0], row(49), rtol=2.0**-10)
    assert old.missing([name(60)]) == [name(60)]
    old.reload()
    assert old.missing([name(60)]) == []


def test_features_of_another_kind_are_never_mixed(tmp_path: Path) -> None:
    fill(FeatureStore(tmp_path / "f", SPEC), 0, 5)
    other = FeatureSpec("test", "none", "all", "none", "numpy", "bf16", 12)
    assert other.key != SPEC.key
    with pytest.raises(BadInput, match="bf16"):
        FeatureStore(tmp_path / "f", other)
    with pytest.raises(NotFound):
        FeatureStore(tmp_path / "nothing")


def test_damage_is_noticed(tmp_path: Path) -> None:
    store = fill(FeatureStore(tmp_path / "f", SPEC), 0, 50)
    assert store.verify() == []
    manifest = json.loads((tmp_path / "f" / "manifest.json").read_text())
    assert manifest["segments"][0]["rows"] == 50
    path = next((tmp_path / "f").glob("*.f16.npy"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert store.verify() == [path.name]
    (tmp_path / "f" / "parts").mkdir()
    (tmp_path / "f" / "parts" / "000001.npz").write_bytes(b"cut")
    with pytest.raises(ExplorerError, match="damaged"):
        FeatureStore(tmp_path / "f")

"""Zips are read in place: nothing in them is unpacked, climbs out or swells."""

import struct
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from explorer.collection.sources import (
    OutOfReach,
    Source,
    archive,
    detect,
    open_source,
    original,
)
from explorer.errors import BadInput, NotFound
from tests.unit.test_sources import listing, picture


def zipped(path: Path, members: dict[str, bytes], **options: int) -> Source:
    with zipfile.ZipFile(path, "w", **options) as target:  # type: ignore[call-overload]
        for name, content in members.items():
            target.writestr(name, content)
    return open_source(detect(path))


def test_a_zip_is_read_in_place(tmp_path: Path) -> None:
    members = {
        "a.png": picture(0),
        "deep/grün.jpg": picture(1),
        "notes.txt": b"x",
        "__MACOSX/._a.png": b"y",
        "new\nline.gif": picture(2),
    }
    source = zipped(tmp_path / "t.zip", members)
    found = listing(source)
    assert set(found) == {"a.png", "deep/grün.jpg", "new\\x0aline.gif"}
    assert source.ignored == 2
    assert all(entry.problem is None for entry in found.values())
    for name in found:
        assert source.read(name) == members[original(name)]
    with pytest.raises(OutOfReach):
        source.read("b.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.zip"]
    again = open_source(source.spec)  # reading needs no listing first, and works from several threads
    got: dict[str, bytes] = {}
    threads = [threading.Thread(target=lambda name=name: got.__setitem__(name, again.read(name))) for name in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {name: members[original(name)] for name in found}


def test_the_same_size_and_time_with_other_bytes_is_another_version(tmp_path: Path) -> None:
    stamps = []
    for content in (b"12345", b"12346"):
        info = zipfile.ZipInfo("a.png", (2020, 1, 1, 0, 0, 0))
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as target:
            target.writestr(info, content)
        (entry,) = open_source(detect(tmp_path / "t.zip")).entries()
        stamps.append((entry.size, entry.mtime_ns))
    assert stamps[0][0] == stamps[1][0]
    assert stamps[0][1] != stamps[1][1]


def test_members_that_climb_out_are_problems(tmp_path: Path) -> None:
    names = ["../up.png", "a/../../up.png", "/etc/abs.png", "C:/win.png", "..\\up.png", "\\\\server\\x.png"]
    source = zipped(
        tmp_path / "t.zip", {name: picture() for name in names} | {"fine..png": picture(), "a/..b.png": picture()}
    )
    found = listing(source)
    assert {path for path, entry in found.items() if entry.problem is None} == {"fine..png", "a/..b.png"}
    for entry in found.values():
        if entry.problem is not None:
            assert "climbs out" in entry.problem
            with pytest.raises(OutOfReach, match="climbs out"):
                source.read(entry.path)


def test_members_that_swell_are_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = zipped(
        tmp_path / "t.zip",
        {"bomb.png": bytes(64 << 20), "white.bmp": bytes(8 << 20), "a.png": picture()},
        compression=zipfile.ZIP_DEFLATED,
    )
    found = listing(source)
    assert "swells more than" in str(found["bomb.png"].problem)
    with pytest.raises(OutOfReach, match="swells more than"):
        source.read("bomb.png")
    assert len(source.read("white.bmp")) == 8 << 20
    monkeypatch.setattr(archive, "MIN_TOTAL_BYTES", 10 << 20)
    monkeypatch.setattr(archive, "MAX_TOTAL_RATIO", 1)
    many = zipped(
        tmp_path / "many.zip", {f"{n}.bmp": bytes(3 << 20) for n in range(6)}, compression=zipfile.ZIP_DEFLATED
    )
    said = [entry.problem for entry in many.entries()]
    assert said[:3] == [None] * 3
    assert all("as a whole" in str(problem) for problem in said[3:])


def test_a_member_that_lies_about_its_size_is_stopped_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of members says 1,000 bytes, the packed data holds 64 MiB."""
    zipped(tmp_path / "t.zip", {"bomb.png": bytes(64 << 20)}, compression=zipfile.ZIP_DEFLATED)
    content = bytearray((tmp_path / "t.zip").read_bytes())
    struct.pack_into("<L", content, content.rfind(b"PK\x01\x02") + 24, 1000)
    struct.pack_into("<L", content, content.find(b"PK\x03\x04") + 22, 1000)
    (tmp_path / "t.zip").write_bytes(content)
    source = open_source(detect(tmp_path / "t.zip"))
    (entry,) = source.entries()
    assert entry.problem is None
    with pytest.raises(OutOfReach, match=r"damaged|swells"):
        source.read("bomb.png")
    # and with a reader that would believe the packed data rather than the list
    monkeypatch.setattr(archive, "FREE_BYTES", 1 << 20)
    honest = zipped(tmp_path / "u.zip", {"bomb.png": bytes(8 << 20)}, compression=zipfile.ZIP_DEFLATED)
    list(honest.entries())
    monkeypatch.setattr(archive, "_refusal", lambda info: None)
    with pytest.raises(OutOfReach, match="swells"):
        honest.read("bomb.png")


def test_encrypted_doubled_and_damaged_members(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as target:
        for name, content in (("locked.png", picture()), ("twice.png", picture(1)), ("bad.png", noise)):
            target.writestr(name, content)
        with pytest.warns(UserWarning, match="Duplicate"):
            target.writestr("twice.png", picture(2))
    content = bytearray((tmp_path / "t.zip").read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1
    content[content.find(noise[:50]) + 60] ^= 0xFF
    (tmp_path / "t.zip").write_bytes(content)
    source = open_source(detect(tmp_path / "t.zip"))
    found = listing(source)
    assert "encrypted" in str(found["locked.png"].problem)
    assert found["twice.png"].problem is None
    assert source.read("twice.png") == picture(1)
    assert "more than once" in str(found["twice.png (2)"].problem)
    with pytest.raises(OutOfReach, match="damaged"):
        source.read("bad.png")


def test_what_is_no_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.zip").write_bytes(b"nothing of the kind")
    with pytest.raises(BadInput, match="not a zip"):
        list(open_source(detect(tmp_path / "t.zip")).entries())
    whole = zipped(tmp_path / "u.zip", {"a.png": picture(), "b.png": picture()})
    cut = (tmp_path / "u.zip").read_bytes()[:-60]
    (tmp_path / "v.zip").write_bytes(cut)
    with pytest.raises(BadInput, match="cut short"):
        list(open_source(detect(tmp_path / "v.zip")).entries())
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 60)
    with pytest.raises(BadInput, match="list of members"):
        list(whole.entries())
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 10_000)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    with pytest.raises(BadInput, match="more than 1 files"):
        list(whole.entries())
    (tmp_path / "u.zip").unlink()
    with pytest.raises(NotFound):
        list(open_source({"kind": "zip", "path": str(tmp_path / "u.zip")}).entries())

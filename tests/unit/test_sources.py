"""Sources: what lies in a folder, a table or a zip is listed whole, and what cannot be read says why."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from explorer.collection.sources import (
    Entry,
    OutOfReach,
    Source,
    detect,
    files,
    open_source,
    original,
    storable,
)
from explorer.errors import BadInput, NotFound

posix_only = pytest.mark.skipif(os.name == "nt", reason="needs POSIX file names and links")


def picture(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def put(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(number))


def listing(source: Source) -> dict[str, Entry]:
    entries = list(source.entries())
    assert len({entry.path for entry in entries}) == len(entries)
    for entry in entries:
        json.dumps([entry.path, entry.key, entry.columns], ensure_ascii=False).encode()  # all of it can be stored
    return {entry.path: entry for entry in entries}


def folder(root: Path, classes: bool | None = None) -> Source:
    return open_source({"kind": "folder", "path": str(root), "classes": classes})


def test_a_folder_is_read_to_the_bottom(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "deep/er/still/b.JPG", "c.Tiff", ".hidden/d.webp")
    put(tmp_path, "notes.txt", "film.mp4", "deep/._b.jpg", "noextension", "jpg")
    source = folder(tmp_path)
    found = listing(source)
    assert set(found) == {"a.png", "deep/er/still/b.JPG", "c.Tiff", ".hidden/d.webp"}
    assert source.ignored == 5
    assert not source.keyed
    assert found["a.png"].size == len(picture(0))
    assert found["a.png"].mtime_ns == (tmp_path / "a.png").stat().st_mtime_ns
    assert source.read("deep/er/still/b.JPG") == picture(1)


def test_a_folder_for_each_class_becomes_a_column(tmp_path: Path) -> None:
    put(tmp_path, "cats/1.png", "cats/2.png", "dogs/1.png", "readme.md")
    source = folder(tmp_path)
    assert {path: entry.columns for path, entry in listing(source).items()} == {
        "cats/1.png": {"folder": "cats"},
        "cats/2.png": {"folder": "cats"},
        "dogs/1.png": {"folder": "dogs"},
    }
    put(tmp_path, "stray.png")
    assert all(not entry.columns for entry in listing(folder(tmp_path)).values())
    assert listing(open_source(source.spec))["stray.png"].columns == {"folder": None}  # found once, it stays
    assert listing(open_source(source.spec))["dogs/1.png"].columns == {"folder": "dogs"}
    assert not listing(folder(tmp_path, classes=False))["cats/1.png"].columns


@posix_only
@pytest.mark.parametrize(
    "name",
    [
        b"new\nline.png",
        b"caf\xe9.png",
        b"tab\t\x01.png",
        b"back\\slash\\x41.png",
        "grün 猫.png".encode(),
        b"a%b 'c\".png",
    ],
)
def test_any_name_is_read_and_can_be_stored(tmp_path: Path, name: bytes) -> None:
    place = os.path.join(os.fsencode(tmp_path), b"d", name)
    os.mkdir(os.path.dirname(place))
    with open(place, "wb") as file:
        file.write(picture())
    source = folder(tmp_path)
    (entry,) = listing(source).values()
    assert entry.problem is None
    assert entry.path.isprintable()
    assert os.fsencode(original(entry.path)) == b"d/" + name
    assert source.read(entry.path) == picture()


def test_names_go_there_and_back() -> None:
    for name in (
        "",
        "plain/name.jpg",
        "\\",
        "\\x41",
        "\\\\x0a",
        "\n",
        "a\udcff\udc80b",
        "\ud800",
        "\\u0041",
        "\x7f",
        "\x00",
    ):
        text = storable(name)
        assert original(text) == name
        text.encode()
    assert storable("plain/grün.jpg") == "plain/grün.jpg"


@posix_only
def test_links_stay_inside(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    put(outside, "secret.png", "more/secret.png")
    put(root, "real/a.png", "real/below/b.png")
    (root / "good.png").symlink_to(root / "real" / "a.png")
    (root / "out.png").symlink_to(outside / "secret.png")
    (root / "up.png").symlink_to("../outside/secret.png")
    (root / "outdir").symlink_to(outside)
    (root / "inside").symlink_to(root / "real")
    (root / "real" / "below" / "loop").symlink_to(root / "real")
    (root / "self.png").symlink_to("self.png")
    (root / "gone.png").symlink_to("nowhere.png")
    (root / "note").symlink_to(outside / "secret.png")
    source = folder(root)
    found = listing(source)
    assert {path for path, entry in found.items() if entry.problem is None} == {
        "good.png",
        "real/a.png",
        "real/below/b.png",
    }
    said = {path: entry.problem for path, entry in found.items() if entry.problem}
    assert set(said) == {"out.png", "up.png", "outdir", "real/below/loop", "self.png", "gone.png"}
    assert "out of the source" in said["out.png"] and "out of the source" in said["outdir"]  # noqa: PT018
    assert "lies in" in said["real/below/loop"]
    assert "itself" in said["self.png"]
    assert "nothing" in said["gone.png"]
    for path in (
        "out.png",
        "outdir/secret.png",
        "../outside/secret.png",
        str(outside / "secret.png"),
        "self.png",
        "real",
    ):
        with pytest.raises(OutOfReach):
            source.read(path)
    assert source.read("good.png") == picture(0)


@posix_only
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_folder_is_a_problem_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, "open/a.png", "closed/b.png")
    (tmp_path / "closed").chmod(0)
    try:
        assert "not allow" in str(listing(folder(tmp_path))["closed/"].problem)
    finally:
        (tmp_path / "closed").chmod(0o755)


def test_a_folder_that_cannot_be_opened_is_a_problem_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "open/a.png", "closed/b.png")
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = listing(folder(tmp_path))
    assert "cannot be opened: this computer does not allow" in str(found["closed/"].problem)
    assert found["open/a.png"].problem is None


@posix_only
def test_what_is_no_file_does_not_make_a_reader_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    put(tmp_path, "folder.png/a.png")
    source = folder(tmp_path)
    assert "not a file" in str(listing(source)["pipe.png"].problem)
    with pytest.raises(OutOfReach, match="not a file"):
        source.read("pipe.png")
    assert "folder.png/a.png" in listing(source)


def test_files_that_vanish_or_change_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.png", "b.png")
    source = folder(tmp_path)
    listing(source)
    (tmp_path / "a.png").unlink()
    with pytest.raises(OutOfReach, match="not there"):
        source.read("a.png")
    statuses = iter([os.stat(tmp_path / "b.png")])
    real = os.fstat
    monkeypatch.setattr(files.os, "fstat", lambda handle: next(statuses, None) or real(handle))
    (tmp_path / "b.png").write_bytes(picture(1) + b"more")
    with pytest.raises(OutOfReach, match="changed while"):
        source.read("b.png")
    with pytest.raises(NotFound, match="not there"):
        list(folder(tmp_path / "missing").entries())
    with pytest.raises(BadInput, match="cannot be listed"):
        list(folder(tmp_path / "b.png").entries())


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.png")
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 100)
    with pytest.raises(OutOfReach, match="more than the 100"):
        folder(tmp_path).read("a.png")


def test_a_table_with_keys_and_columns(tmp_path: Path) -> None:
    put(tmp_path, "img/a.png", "img/b.png", "img/c.png")
    (tmp_path / "t.csv").write_text(
        "Accession No,Image,Title,Year,Weight,Code,Note\n"
        "0012,img/a.png,Kanne,1790,1.5,007,\n0013,./img/b.png,,1801,,010,ja\n0x1,img\\c.png,Krug,1650,2,1,nein\n"
    )
    spec = detect(tmp_path / "t.csv")
    assert (spec["key_column"], spec["image_column"], spec["caption_column"]) == ("Accession No", "Image", "Title")
    source = open_source(spec)
    assert source.keyed
    found = {entry.key: entry for entry in source.entries()}
    assert set(found) == {"0012", "0013", "0x1"}
    assert found["0012"].columns == {"Year": 1790, "Weight": 1.5, "Code": "007", "Note": None}
    assert found["0013"].columns["Weight"] is None
    assert found["0012"].caption == "Kanne"
    assert found["0013"].caption == "b"
    assert source.read(found["0x1"].path) == picture(2)
    assert found["0x1"].size == len(picture(2))


def test_rows_that_lead_nowhere_are_problems(tmp_path: Path) -> None:
    root = tmp_path / "root"
    put(tmp_path, "outside.png")
    put(root, "a.png")
    rows = [
        "1,a.png",
        "2,../outside.png",
        f"3,{tmp_path / 'outside.png'}",
        "4,missing.png",
        "5,",
        ",a.png",
        "7,https://example.org/x.png",
        "8,a.png/../../outside.png",
    ]
    (root / "t.csv").write_text("id,path\n" + "\n".join(rows) + "\n")
    source = open_source(detect(root / "t.csv"))
    found = list(source.entries())
    assert [entry.problem is None for entry in found] == [True] + [False] * 7
    said = [str(entry.problem) for entry in found]
    assert "out of the source" in said[1]
    assert "outside the source" in said[2]
    assert "not there" in said[3]
    assert "row 5" in said[4] and "no picture" in said[4]  # noqa: PT018
    assert "no id" in said[5]
    assert "web address" in said[6]
    for entry in found[1:4]:
        with pytest.raises(OutOfReach):
            source.read(entry.path)


def test_a_parquet_table_keeps_its_kinds(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png")
    table = pd.DataFrame(
        {
            "file": ["a.png", "b.png"],
            "id": [7, 8],
            "when": pd.to_datetime(["2020-01-02", None]),
            "n": [1.0, float("nan")],
            "k": [3, 4],
            "tags": [["x", "y"], []],
            "yes": [True, False],
        }
    )
    table.to_parquet(tmp_path / "t.parquet")
    spec = detect(tmp_path / "t.parquet")
    assert (spec["image_column"], spec["key_column"]) == ("file", "id")
    first, second = open_source(spec).entries()
    assert (first.key, second.key) == ("7", "8")
    assert first.columns == {"when": "2020-01-02 00:00:00", "n": 1.0, "k": 3, "tags": '["x", "y"]', "yes": "yes"}
    assert second.columns["n"] is None
    assert second.columns["when"] is None


@pytest.mark.parametrize(
    ("encoding", "separator"), [("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("cp1252", ";")]
)
def test_tables_as_spreadsheets_write_them(tmp_path: Path, encoding: str, separator: str) -> None:
    put(tmp_path, "a.png")
    text = separator.join(["filename", "größe"]) + "\r\n" + separator.join(["a.png", "Füße, alt"]) + "\r\n"
    if separator == ",":
        text = text.replace("Füße, alt", '"Füße, alt"')
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    spec = detect(tmp_path / "t.csv")
    assert spec["key_column"] is None
    (entry,) = open_source(spec).entries()
    assert (entry.path, entry.columns) == ("a.png", {"größe": "Füße, alt"})


def test_guesses_need_a_reason(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,what\ncat,x.jpg\ncat,y.png\n")
    assert detect(tmp_path / "t.csv") == {
        "kind": "table",
        "path": str(tmp_path / "t.csv"),
        "image_column": "what",
        "key_column": None,
        "caption_column": None,
    }
    (tmp_path / "u.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match=r"No column of u\.csv"):
        detect(tmp_path / "u.csv")
    with pytest.raises(NotFound):
        detect(tmp_path / "v.csv")
    (tmp_path / "w.docx").write_text("")
    with pytest.raises(BadInput, match="neither"):
        detect(tmp_path / "w.docx")
    assert detect(tmp_path)["kind"] == "folder"
    with pytest.raises(BadInput, match="no column 'c'"):
        list(open_source({"kind": "table", "path": str(tmp_path / "u.csv"), "image_column": "c"}).entries())
    with pytest.raises(BadInput, match="no kind of source"):
        open_source({"kind": "ftp", "path": "x"})
    with pytest.raises(BadInput, match="image_column"):
        open_source({"kind": "table", "path": "x"})
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(BadInput, match="not a table"):
        detect(tmp_path / "broken.parquet")

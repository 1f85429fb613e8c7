"""What leaves is what was asked for, and can hurt nobody's spreadsheet or disk."""

import csv
import io
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from explorer.collection.dataset import Dataset
from explorer.sharing.exports import attachment, items_csv, safe_name, zip_stream
from explorer.workspace import Workspace

CLIPART = Path(__file__).resolve().parents[2] / "data" / "clipart"


def _rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("text", ["=1+1", "+SUM(A1)", "-2+3", "@cmd", "\t=1", "\r=1", "\n=1"])
def test_a_formula_stays_text(text):
    table = pd.DataFrame({"uid": ["a"], f"meta:{text}": [text]})
    header, row = _rows(items_csv(table))
    assert header[1] == "'" + text
    assert row[1] == "'" + text


def test_numbers_stay_numbers_and_the_inside_stays_inside():
    table = pd.DataFrame(
        {"uid": ["a"], "content_hash": ["f" * 32], "mtime_ns": [1], "meta:n": [-2.5], "meta:t": ["-2.5e3"]}
    )
    assert _rows(items_csv(table)) == [["uid", "n", "t"], ["a", "-2.5", "-2.5e3"]]


def test_commas_quotes_and_newlines_survive():
    table = pd.DataFrame({"uid": ['a,"b"\nc'], "caption": ["<b>é</b>"]})
    assert _rows(items_csv(table))[1] == ['a,"b"\nc', "<b>é</b>"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b.jpg", "b.jpg"), ("../../etc/passwd", "passwd"), ("..\\..\\x.png", "x.png"), ("..", "_"), ("a/", "a"),
        ("con.jpg", "_con.jpg"), ("a\nb:c?.jpg", "a_b_c_.jpg"), (".hidden.jpg", "hidden.jpg"), ("Ä ö.jpg", "Ä ö.jpg"),
    ],
)  # fmt: skip
def test_names_are_safe_on_every_system(path, name):
    assert safe_name(path) == name


def test_a_long_name_keeps_its_ending():
    assert len(safe_name("x" * 500 + ".jpeg")) == 120
    assert safe_name("x" * 500 + ".jpeg").endswith(".jpeg")


def test_a_header_cannot_be_split():
    header = attachment('a"\r\nSet-Cookie: x=1; é.csv')
    assert "\r" not in header
    assert "\n" not in header
    assert header.count('"') == 2
    assert "%C3%A9" in header


def test_a_zip_holds_the_files_under_names_of_their_own(tmp_path: Path):
    source = tmp_path / "pictures"
    real = sorted((CLIPART / "animals").glob("*.jpg"))[:3]
    for place, path in zip(("a/cat.jpg", "b/cat.jpg", "c/gone.jpg"), real, strict=True):
        (source / place).parent.mkdir(parents=True)
        (source / place).write_bytes(path.read_bytes())
    dataset = Dataset.create(
        Workspace(tmp_path / "w"), "cats", {"kind": "folder", "path": str(source), "classes": False}
    )
    dataset.rescan()
    (source / "c/gone.jpg").unlink()
    items = dataset.items.sort_values("path")
    content = b"".join(zip_stream(dataset, items))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["cat-2.jpg", "cat.jpg", "list.csv", "problems.txt"]
        assert archive.read("cat-2.jpg") == real[1].read_bytes()
        assert "c/gone.jpg" in archive.read("problems.txt").decode()
        listed = _rows(archive.read("list.csv").decode("utf-8-sig"))
        assert [row[-1] for row in listed] == ["file", "cat.jpg", "cat-2.jpg", ""]

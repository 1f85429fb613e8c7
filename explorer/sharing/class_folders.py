"""The pictures of a question in a folder for each class, as a zip that is written while it is sent."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, ExplorerError
from explorer.sharing.answer_sheet import PIECE, AnswerSheet, csv_lines
from explorer.sharing.exports import Names, Pipe, safe_folder

MOST_FILES = 200_000
"""A zip keeps a list of its files, about a kilobyte each, in memory until its end."""
ANSWERED, GUESSED = "answered", "guessed"


@dataclass(frozen=True)
class _Placed:
    """One picture in one class's folder."""

    path: str
    place: int
    by: str
    """ANSWERED or GUESSED."""
    cells: list[Any]


def class_folders(dataset: Dataset, sheet: AnswerSheet, guessed_from: float | None = None) -> Iterator[bytes]:
    """CLASS/picture for every picture that was given a class, one in each folder where several are true.

    With `guessed_from` (0 to 1) there are two trees, answered/CLASS and guessed/CLASS: the second holds what nobody has
    answered and whose share of a class is at least that. `list.csv` has a line for every file, with all that the table
    says; `problems.txt` names what could not be read. Raises BadInput, before the first byte, for more than 200,000
    files or a share that is none.
    """
    if guessed_from is not None and not 0 < guessed_from <= 1:
        raise BadInput("A guess is taken along from a share above 0 and at most 1, such as 0.9.")
    parts = (sheet.items.iloc[start : start + PIECE] for start in range(0, len(sheet.items), PIECE))
    count = sum(len(places) for part in parts for places in _places(sheet, part, guessed_from))
    if count > MOST_FILES:
        raise BadInput(
            f"These would be {count:,} files and a zip holds at most {MOST_FILES:,}: take only the answered ones, ask "
            "for surer guesses, or take the table, which names every file."
        )
    return _zip(dataset, sheet, guessed_from)


def _zip(dataset: Dataset, sheet: AnswerSheet, guessed_from: float | None) -> Iterator[bytes]:
    pipe = Pipe()
    folder_names = Names("list.csv", "problems.txt")
    folders = [folder_names.new(safe_folder(one.name)) for one in sheet.question.classes]
    unused: dict[str, Names] = {}
    lines = [csv_lines([[*sheet.columns, "file"]])]
    problems = []
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for one in _placed(sheet, guessed_from):
            folder = folders[one.place] if guessed_from is None else f"{one.by}/{folders[one.place]}"
            try:
                content = dataset.source.read(one.path)
            except ExplorerError as error:
                problems.append(f"{one.path}: {error}")
                lines.append(csv_lines([[*one.cells, ""]]))
                continue
            name = f"{folder}/{unused.setdefault(folder, Names()).new(one.path)}"
            archive.writestr(name, content)
            lines.append(csv_lines([[*one.cells, name]]))
            yield pipe.taken()
        archive.writestr("list.csv", "".join(lines).encode("utf-8-sig"))
        if problems:
            archive.writestr("problems.txt", "\r\n".join(problems).encode("utf-8", "backslashreplace"))
    yield pipe.taken()


def _placed(sheet: AnswerSheet, least: float | None) -> Iterator[_Placed]:
    start = 0
    for piece in sheet.pieces():
        cells = [list(row) for row in zip(*piece.values(), strict=True)]
        items = sheet.items.iloc[start : start + len(cells)]
        start += len(cells)
        for path, row, places in zip(items["path"].tolist(), cells, _places(sheet, items, least), strict=True):
            for place, by in places:
                yield _Placed(path, place, by, row)


def _places(sheet: AnswerSheet, items: pd.DataFrame, least: float | None) -> list[list[tuple[int, str]]]:
    """For each picture its classes, by their places, and who says so."""
    place_of = {class_id: place for place, class_id in enumerate(sheet.question.class_ids)}
    uids = items["uid"].tolist()
    guessed = _guessed(sheet, uids, least)
    found: list[list[tuple[int, str]]] = []
    for at, (uid, status) in enumerate(zip(uids, items["status"].tolist(), strict=True)):
        places: list[tuple[int, str]] = []
        if status == "ok":
            places += [(place_of[class_id], ANSWERED) for class_id in sheet.true_classes(uid)]
            if uid not in sheet.answers or sheet.answers[uid].value == "skip":
                places += [(place, GUESSED) for place in np.flatnonzero(guessed[at]).tolist()]
        found.append(places)
    return found


def _guessed(sheet: AnswerSheet, uids: list[str], least: float | None) -> np.ndarray:
    """(m, C) bool: the classes that each picture is guessed to have; of exclusive ones only the likeliest."""
    shares = np.nan_to_num(sheet.shares(uids), nan=0.0)
    if least is None:
        return np.zeros(shares.shape, bool)
    enough = shares >= least
    if sheet.question.kind != "attributes":
        enough &= np.arange(shares.shape[1]) == shares.argmax(axis=1)[:, None]
    return enough

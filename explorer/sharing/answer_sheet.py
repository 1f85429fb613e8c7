"""The answers and guesses of one question as a table, and that table as CSV, JSON Lines or Parquet, piece by piece.

All formats say the same in the same columns. A piece is 8,192 pictures, so that a million of them are never in memory
as text; what is held anyway (the items, the answers, the scores) is only looked at.
"""

import csv
import datetime
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from explorer.learning.questions import Question
from explorer.learning.standing import CurrentAnswer
from explorer.sharing.exports import Pipe, safe_cell

PIECE = 8_192
SURE = 0.9
"""Share from which a guess counts as sure, where nobody has chosen another."""
_DIGITS = 4

Piece = dict[str, list[Any]]
"""Column name to one value for each picture; None where there is none."""


class How(Protocol):
    """How a picture was chosen to be answered."""

    @property
    def policy(self) -> str: ...
    @property
    def probability(self) -> float | None: ...
    @property
    def blind(self) -> bool: ...


@dataclass(frozen=True)
class AnswerSheet:
    """What there is to say of a question: every picture of `items` is one row.

    Columns: uid, path, caption, status; answer (the class; of several attributes those that are true, joined by "; "),
    answer_value (yes, no, unsure, skip, unusable), answered_by, answered_at (UTC), chosen_by (the policy), chosen_with
    (its probability), blind; guess, sure, "score CLASS". Grades add answer_grade and guess_grade, counted from 1;
    attributes "is CLASS", true or false.
    """

    question: Question
    items: pd.DataFrame
    """Columns uid, path, caption, status."""
    answers: Mapping[str, CurrentAnswer]
    verdicts: Mapping[str, Mapping[str, CurrentAnswer]] = field(default_factory=dict)
    """For attributes: uid -> class id -> answer "yes" or "no"."""
    how: Mapping[str, How] = field(default_factory=dict)
    """By uid, of the answer that holds."""
    probabilities: np.ndarray | None = None
    """(n, C) float32; None while there is no classifier."""
    class_ids: tuple[str, ...] = ()
    """What the columns of `probabilities` stand for."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """uid -> row of `probabilities`."""
    sure_from: float = SURE
    people: Mapping[str, str] = field(default_factory=dict)
    """Person id -> name; who is not in it is called by the id."""

    @property
    def columns(self) -> dict[str, str]:
        """Column name -> "text", "number", "whole" or "flag", in order."""
        kind, names = self.question.kind, [one.name for one in self.question.classes]
        found = dict.fromkeys(("uid", "path", "caption", "status", "answer", "answer_value"), "text")
        if kind == "grades":
            found["answer_grade"] = "whole"
        if kind == "attributes":
            found |= {f"is {name}": "flag" for name in names}
        found |= {"answered_by": "text", "answered_at": "text", "chosen_by": "text", "chosen_with": "number"}
        found["blind"] = "flag"
        if self.probabilities is not None:
            found["guess"] = "text"
            if kind == "grades":
                found["guess_grade"] = "whole"
            found["sure"] = "flag"
            found |= {f"score {name}": "number" for name in names}
        return found

    def pieces(self) -> Iterator[Piece]:
        """The rows in the order of `items`, at most PIECE at a time."""
        for start in range(0, len(self.items), PIECE):
            items = self.items.iloc[start : start + PIECE]
            piece: Piece = {name: _texts(items[name]) for name in ("uid", "path", "caption", "status")}
            uids = items["uid"].tolist()
            self._say_answers(piece, uids)
            if self.probabilities is not None:
                self._say_guesses(piece, uids, self.probabilities)
            yield {name: piece[name] for name in self.columns}

    def true_classes(self, uid: str) -> tuple[str, ...]:
        """The ids of the classes that a person gave this picture."""
        if self.question.kind == "attributes":
            verdict = self.verdicts.get(uid, {})
            return tuple(one for one in self.question.class_ids if one in verdict and verdict[one].value == "yes")
        answer = self.answers.get(uid)
        known = answer is not None and answer.value == "yes" and answer.class_id in self.question.class_ids
        return (str(answer.class_id),) if known and answer is not None else ()

    def shares(self, uids: list[str]) -> np.ndarray:
        """(m, C) float64 in the order of the question's classes; NaN for a picture or a class without a score."""
        out = np.full((len(uids), len(self.question.classes)), np.nan)
        if self.probabilities is None or not len(self.probabilities):
            return out
        rows = np.array([self.rows.get(uid, -1) for uid in uids], np.int64)
        there = np.flatnonzero(rows >= 0)
        for place, class_id in enumerate(self.question.class_ids):
            if class_id in self.class_ids:
                out[there, place] = self.probabilities[rows[there], self.class_ids.index(class_id)]
        return out

    def _say_answers(self, piece: Piece, uids: list[str]) -> None:
        names = {one.id: one.name for one in self.question.classes}
        grade = {class_id: place + 1 for place, class_id in enumerate(self.question.class_ids)}
        answers = [self.answers.get(uid) for uid in uids]
        true = [self.true_classes(uid) for uid in uids]
        how = [self.how.get(uid) for uid in uids]
        piece["answer"] = [
            None if answer is None else "; ".join(names[one] for one in own) if own else _not_a_class(answer.value)
            for answer, own in zip(answers, true, strict=True)
        ]
        piece["answer_value"] = [answer and answer.value for answer in answers]
        piece["answer_grade"] = [grade[own[0]] if own else None for own in true]
        piece["answered_by"] = [
            answer and _text(self.people.get(answer.person_id, answer.person_id)) for answer in answers
        ]
        piece["answered_at"] = [answer and utc(answer.at) for answer in answers]
        piece["chosen_by"] = [each and policy_words(each.policy, names) for each in how]
        piece["chosen_with"] = [each and each.probability for each in how]
        piece["blind"] = [each and each.blind for each in how]
        if self.question.kind == "attributes":
            for one in self.question.classes:
                said = [self.verdicts.get(uid, {}).get(one.id) for uid in uids]
                piece[f"is {one.name}"] = [
                    {"yes": True, "no": False}.get(answer.value) if answer else None for answer in said
                ]

    def _say_guesses(self, piece: Piece, uids: list[str], probabilities: np.ndarray) -> None:
        names = [one.name for one in self.question.classes]
        shares = self.shares(uids)
        known = ~np.isnan(shares).all(axis=1)
        filled = np.nan_to_num(shares, nan=0.0)
        if self.question.kind == "attributes":
            chosen = [[name for name, p in zip(names, row, strict=True) if p >= 0.5] for row in filled]
            sure = (np.maximum(filled, 1 - filled) >= self.sure_from).all(axis=1)
            piece["guess"] = ["; ".join(each) if there else None for each, there in zip(chosen, known, strict=True)]
        else:
            best = filled.argmax(axis=1)
            sure = filled.max(axis=1) >= self.sure_from
            piece["guess"] = [names[place] if there else None for place, there in zip(best, known, strict=True)]
            piece["guess_grade"] = [int(place) + 1 if there else None for place, there in zip(best, known, strict=True)]
        piece["sure"] = [bool(each) if there else None for each, there in zip(sure, known, strict=True)]
        for name, column in zip(names, shares.round(_DIGITS).T, strict=True):
            piece[f"score {name}"] = [None if value != value else value for value in column.tolist()]


def as_csv(sheet: AnswerSheet) -> Iterator[bytes]:
    """Formula-safe, with the mark by which Excel knows UTF-8; true and false in words, empty where nothing is known."""
    yield csv_lines([list(sheet.columns)]).encode("utf-8-sig")
    kinds = sheet.columns
    for piece in sheet.pieces():
        columns = [
            values if kinds[name] in ("number", "whole") else map(_cell, values) for name, values in piece.items()
        ]
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerows(zip(*columns, strict=True))
        yield out.getvalue().encode()


def csv_lines(rows: list[list[Any]]) -> str:
    """A few rows of any values, formula-safe."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def as_jsonl(sheet: AnswerSheet) -> Iterator[bytes]:
    """One JSON object a line; what is not known is null."""
    for piece in sheet.pieces():
        names = list(piece)
        lines = (dict(zip(names, row, strict=True)) for row in zip(*piece.values(), strict=True))
        yield "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines).encode()


def as_parquet(sheet: AnswerSheet) -> Iterator[bytes]:
    """One row group a piece."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"text": pa.string(), "number": pa.float64(), "whole": pa.int32(), "flag": pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in sheet.columns.items()])
    pipe = Pipe()
    with pq.ParquetWriter(pa.PythonFile(pipe, mode="w"), schema) as writer:
        for piece in sheet.pieces():
            writer.write_table(pa.Table.from_pydict(piece, schema=schema))
            yield pipe.taken()
    yield pipe.taken()


def utc(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def policy_words(policy: str, class_names: Mapping[str, str]) -> str:
    """A policy with the class's name for its id: "likely:k3n…" reads "likely: cat"."""
    word, colon, rest = policy.partition(":")
    return _text(f"{word}: {class_names.get(rest, rest)}" if colon else word)


def _not_a_class(value: str) -> str | None:
    """ "yes" to a class that is no more says nothing; unsure, skip, unusable, and "no" to every attribute do."""
    return {"yes": None, "no": ""}.get(value, value)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else safe_cell(value)


def _texts(column: pd.Series) -> list[Any]:
    return [_text(value) if isinstance(value, str) else "" for value in column.tolist()]


def _text(text: str) -> str:
    """Bytes of a file name that are no UTF-8 (lone surrogates) are written as they are escaped in Python."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()

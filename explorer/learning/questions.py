"""Questions: one labelling task each, with its classes. Names may change; answers point at ids and stay."""

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from explorer.catalog.database import Catalog
from explorer.catalog.schema import new_id
from explorer.catalog.schema import questions as questions_table
from explorer.errors import BadInput, NotFound
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.class_changes import ClassChanges, Split, check_none
from explorer.learning.question_rows import (
    KINDS,
    MAX_CLASSES,
    MAX_NAME,
    MergedClass,
    Question,
    QuestionClass,
    class_names,
    classes_of,
    clean_name,
    clean_note,
    get_question,
    insert_classes,
    question_of,
)

__all__ = ["MAX_CLASSES", "MAX_NAME", "MergedClass", "Question", "QuestionClass", "QuestionStore", "Split"]


_FRESH_SECONDS, _MOST_KEPT = 0.25, 1_000


class QuestionStore(ClassChanges):
    """The questions of all datasets. Every change is one transaction. Safe to use from several threads."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog)
        self._kept: dict[str, tuple[int, float, Question]] = {}

    def create(
        self,
        dataset_id: str,
        name: str,
        classes: Sequence[str],
        note: str = "",
        kind: str = "classes",
        none_class: str | None = None,
    ) -> Question:
        """A new question. `none_class` names the class that means "none of these"; it is added if it is not there.

        Raises BadInput for an empty or taken name, an unknown kind, or classes that are empty or alike.
        """
        with self._catalog.writing() as connection:
            return self._create(connection, dataset_id, name, classes, note, kind, none_class)

    def list(self, dataset_id: str, archived: bool = False) -> Sequence[Question]:
        """The questions of a dataset, oldest first; with `archived`, those put away too."""
        table = questions_table
        wanted = sa.select(table).where(table.c.dataset_id == dataset_id).order_by(table.c.created, table.c.id)
        if not archived:
            wanted = wanted.where(table.c.archived.is_(None))
        with self._catalog.reading() as connection:
            rows = connection.execute(wanted).all()
            found = classes_of(connection, [row.id for row in rows])
        return [question_of(row, found.get(row.id, [])) for row in rows]

    def get(self, question_id: str) -> Question:
        """As it is now; what another process has changed is seen a quarter of a second later. Raises NotFound."""
        edition, now = self._catalog.edition, time.monotonic()
        kept = self._kept.get(question_id)
        if kept is not None and kept[0] == edition and now - kept[1] < _FRESH_SECONDS:
            return kept[2]
        with self._catalog.reading() as connection:
            question = get_question(connection, question_id)
        if len(self._kept) >= _MOST_KEPT:
            self._kept = {}
        self._kept[question_id] = edition, now, question
        return question

    def rename(self, question_id: str, name: str) -> Question:
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id)
            new = self._free_name(connection, question.dataset_id, name, besides=question_id)
            table = questions_table
            connection.execute(table.update().where(table.c.id == question_id).values(name=new))
            return get_question(connection, question_id)

    def archive(self, question_id: str, archived: bool = True) -> None:
        """Put a question away, or fetch it back. Its answers stay."""
        table = questions_table
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id)
            if not archived:
                self._free_name(connection, question.dataset_id, question.name, besides=question_id)
            now = self._catalog.now(connection) if archived else None
            connection.execute(table.update().where(table.c.id == question_id).values(archived=now))

    def set_settings(self, question_id: str, **changed: Any) -> Question:
        """Keep these settings (anything JSON can hold) with the question; the others stay, None forgets one."""
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id, lock=True)
            kept = {name: value for name, value in {**question.settings, **changed}.items() if value is not None}
            table = questions_table
            connection.execute(table.update().where(table.c.id == question_id).values(settings=kept))
            return get_question(connection, question_id)

    def create_from_column(self, dataset: Any, column: str, name: str, with_answers: bool = True) -> Question:
        """A question whose classes are the values of a column, most frequent first; empty cells stay unanswered.

        `dataset`: a Dataset (`id`, `present()`). With `with_answers` each present item is answered as the column
        says, in the same transaction. Raises NotFound for an unknown column, BadInput for one with fewer than two
        or more than 200 different values.
        """
        items = dataset.present()
        if f"meta:{column}" not in items.columns:
            raise NotFound(f"This collection has no column '{column}'.")
        values = _one_spelling(items[f"meta:{column}"].map(_as_class))
        counts = values[values != ""].value_counts()
        if not 2 <= len(counts) <= MAX_CLASSES:
            raise BadInput(
                f"The column '{column}' has {len(counts):,} different values; a question needs 2 to {MAX_CLASSES}. "
                "Choose another column, or name the classes yourself."
            )
        ordered = sorted(counts.index, key=lambda value: (-counts[value], value))
        with self._catalog.writing() as connection:
            question = self._create(connection, dataset.id, name, ordered, f"from the column '{column}'")
            if with_answers:
                ids = {one.name: one.id for one in question.classes}
                batch = new_id()
                AnswerStore(self._catalog).record_within(
                    connection,
                    [
                        AnswerEvent(
                            client_event_id=f"{question.id}:{row}",
                            question_id=question.id,
                            uid=str(uid),
                            value="yes",
                            class_id=ids[value],
                            content_hash=str(content_hash),
                            policy=f"column:{column}",
                            batch_id=batch,
                        )
                        for row, (uid, content_hash, value) in enumerate(
                            zip(items["uid"], items["content_hash"], values, strict=True)
                        )
                        if value
                    ],
                )
        return question

    def insert(self, connection: Connection, question: Question) -> None:
        """Write a question that was put together elsewhere, its names checked, within the caller's transaction."""
        columns = ("id", "dataset_id", "name", "kind", "note", "created", "archived", "settings")
        connection.execute(questions_table.insert().values({key: getattr(question, key) for key in columns}))
        insert_classes(connection, question.id, question.classes, question.created)

    def names(self, connection: Connection, dataset_id: str, besides: str = "") -> Sequence[str]:
        """The names of a dataset's questions that are not put away."""
        table = questions_table
        own = sa.select(table.c.name).where(table.c.dataset_id == dataset_id, table.c.archived.is_(None))
        return list(connection.execute(own.where(table.c.id != besides)).scalars())

    def _create(
        self,
        connection: Connection,
        dataset_id: str,
        name: str,
        class_list: Sequence[str],
        note: str,
        kind: str = "classes",
        none_class: str | None = None,
    ) -> Question:
        if kind not in KINDS:
            raise BadInput(f"There is no kind of question '{kind}': use {', '.join(KINDS)}.")
        name = self._free_name(connection, dataset_id, name)
        names = class_names(class_list, [])
        none = ""
        if none_class is not None:
            check_none(kind)
            none = clean_name(none_class, "class").casefold()
            if none not in {one.casefold() for one in names}:
                names = class_names([*names, none_class], [])
        if len(names) > MAX_CLASSES:
            raise BadInput(f"A question can have {MAX_CLASSES} classes; these are {len(names):,}.")
        question = Question(
            id=new_id(),
            dataset_id=dataset_id,
            name=name,
            kind=kind,
            note=clean_note(note),
            classes=tuple(
                QuestionClass(new_id(), one, position, none=one.casefold() == none)
                for position, one in enumerate(names)
            ),
            created=self._catalog.now(connection),
        )
        self.insert(connection, question)
        return question

    def _free_name(self, connection: Connection, dataset_id: str, name: str, besides: str = "") -> str:
        name = clean_name(name, "question")
        if name.casefold() in {one.casefold() for one in self.names(connection, dataset_id, besides)}:
            raise BadInput(f"There is a question '{name}' already: choose another name.")
        return name


def _as_class(value: object) -> str:
    """A cell as a class name: 3.0 reads "3", an empty or missing cell "" (no answer)."""
    if value is None or bool(pd.isna(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).replace("\0", " ").split())[:MAX_NAME]


def _one_spelling(values: pd.Series) -> pd.Series:
    """ "Cat" and "cat" are one class, written as most cells write it."""
    spellings = values.value_counts()
    chosen: dict[str, str] = {}
    for value in sorted(spellings.index, key=lambda one: (-spellings[one], one)):
        chosen.setdefault(value.casefold(), value)
    return values.map(lambda value: chosen[value.casefold()])

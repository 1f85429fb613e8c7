"""Questions: one labelling task each, with its classes. Names may change; answers point at ids and stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from explorer.catalog.database import Catalog
from explorer.catalog.schema import classes as classes_table
from explorer.catalog.schema import new_id
from explorer.catalog.schema import questions as questions_table
from explorer.errors import BadInput, NotFound

MAX_CLASSES = 200
MAX_NAME = 200


@dataclass(frozen=True)
class QuestionClass:
    id: str
    name: str
    position: int
    note: str = ""


@dataclass(frozen=True)
class Question:
    """`kind` is "classes": every picture belongs to one of them."""

    id: str
    dataset_id: str
    name: str
    kind: str
    note: str
    classes: tuple[QuestionClass, ...]
    created: float
    archived: float | None = None

    def class_named(self, name: str) -> QuestionClass:
        """Raises NotFound."""
        for one in self.classes:
            if one.name == name:
                return one
        raise NotFound(f"The question '{self.name}' has no class '{name}'.")

    @property
    def class_ids(self) -> tuple[str, ...]:
        return tuple(one.id for one in self.classes)


class QuestionStore:
    """The questions of all datasets. Every change is one transaction."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def create(self, dataset_id: str, name: str, classes: Sequence[str], note: str = "") -> Question:
        """A new question. Raises BadInput for an empty or taken name, or classes that are empty or alike."""
        with self._catalog.writing() as connection:
            return self._create(connection, dataset_id, name, classes, note)

    def list(self, dataset_id: str, archived: bool = False) -> Sequence[Question]:
        """The questions of a dataset, oldest first; with `archived`, those put away too."""
        table = questions_table
        wanted = sa.select(table).where(table.c.dataset_id == dataset_id).order_by(table.c.created, table.c.id)
        if not archived:
            wanted = wanted.where(table.c.archived.is_(None))
        with self._catalog.reading() as connection:
            rows = connection.execute(wanted).all()
            found = _classes_of(connection, [row.id for row in rows])
        return [_question(row, found.get(row.id, [])) for row in rows]

    def get(self, question_id: str) -> Question:
        """Raises NotFound."""
        with self._catalog.reading() as connection:
            return _get(connection, question_id)

    def rename(self, question_id: str, name: str) -> Question:
        with self._catalog.writing() as connection:
            question = _get(connection, question_id)
            new = self._free_name(connection, question.dataset_id, name, besides=question_id)
            table = questions_table
            connection.execute(table.update().where(table.c.id == question_id).values(name=new))
            return _get(connection, question_id)

    def archive(self, question_id: str, archived: bool = True) -> None:
        """Put a question away, or fetch it back. Its answers stay."""
        table = questions_table
        with self._catalog.writing() as connection:
            question = _get(connection, question_id)
            if not archived:
                self._free_name(connection, question.dataset_id, question.name, besides=question_id)
            now = self._catalog.now(connection) if archived else None
            connection.execute(table.update().where(table.c.id == question_id).values(archived=now))

    def add_class(self, question_id: str, name: str, note: str = "") -> QuestionClass:
        """One more class at the end. Raises BadInput for an empty or taken name."""
        with self._catalog.writing() as connection:
            question = _get(connection, question_id, lock=True)
            (new,) = _class_names([name], [one.name for one in question.classes])
            position = max((one.position for one in question.classes), default=-1) + 1
            added = QuestionClass(new_id(), new, position, note)
            self._insert_classes(connection, question_id, [added])
            return added

    def rename_class(self, question_id: str, class_id: str, name: str) -> QuestionClass:
        """Give a class another name; its answers stay with it. Raises BadInput for an empty or taken name."""
        table = classes_table
        with self._catalog.writing() as connection:
            question = _get(connection, question_id, lock=True)
            old = next((one for one in question.classes if one.id == class_id), None)
            if old is None:
                raise NotFound(f"The question '{question.name}' has no class with the id '{class_id}'.")
            (new,) = _class_names([name], [one.name for one in question.classes if one.id != class_id])
            connection.execute(table.update().where(table.c.id == class_id).values(name=new))
            return QuestionClass(old.id, new, old.position, old.note)

    def create_from_column(self, dataset: Any, column: str, name: str, with_answers: bool = True) -> Question:
        """A question whose classes are the values of a column, most frequent first; empty cells stay unanswered.

        `dataset`: a Dataset (`id`, `present()`). With `with_answers` each present item is answered as the column
        says, in the same transaction. Raises NotFound for an unknown column, BadInput for one with fewer than two
        or more than 200 different values.
        """
        from explorer.learning.answers import AnswerEvent, AnswerStore

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

    def _create(
        self, connection: Connection, dataset_id: str, name: str, class_names: Sequence[str], note: str
    ) -> Question:
        name = self._free_name(connection, dataset_id, name)
        names = _class_names(class_names, [])
        if len(names) > MAX_CLASSES:
            raise BadInput(f"A question can have {MAX_CLASSES} classes; these are {len(names):,}.")
        question = Question(
            id=new_id(),
            dataset_id=dataset_id,
            name=name,
            kind="classes",
            note=note,
            classes=tuple(QuestionClass(new_id(), one, position) for position, one in enumerate(names)),
            created=self._catalog.now(connection),
        )
        columns = ("id", "dataset_id", "name", "kind", "note", "created")
        connection.execute(questions_table.insert().values({key: getattr(question, key) for key in columns}))
        self._insert_classes(connection, question.id, question.classes)
        return question

    def _insert_classes(self, connection: Connection, question_id: str, added: Sequence[QuestionClass]) -> None:
        if not added:
            return
        now = self._catalog.now(connection)
        rows = [
            {"id": c.id, "question_id": question_id, "name": c.name, "position": c.position, "note": c.note}
            for c in added
        ]
        connection.execute(classes_table.insert(), [{**row, "created": now} for row in rows])

    def _free_name(self, connection: Connection, dataset_id: str, name: str, besides: str = "") -> str:
        name = _clean(name, "question")
        table = questions_table
        taken = connection.execute(
            sa.select(table.c.name).where(
                table.c.dataset_id == dataset_id, table.c.archived.is_(None), table.c.id != besides
            )
        ).scalars()
        if name.casefold() in {one.casefold() for one in taken}:
            raise BadInput(f"There is a question '{name}' already: choose another name.")
        return name


def _clean(name: str, what: str) -> str:
    cleaned = " ".join(name.replace("\0", " ").split())
    if not cleaned:
        raise BadInput(f"The {what} needs a name.")
    if len(cleaned) > MAX_NAME:
        raise BadInput(f"The name of the {what} is {len(cleaned)} characters long; {MAX_NAME} are possible.")
    return cleaned


def _class_names(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    seen = {one.casefold() for one in taken}
    cleaned = []
    for name in names:
        one = _clean(name, "class")
        if one.casefold() in seen:
            raise BadInput(f"The class '{one}' is named twice.")
        seen.add(one.casefold())
        cleaned.append(one)
    return cleaned


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


def _get(connection: Connection, question_id: str, lock: bool = False) -> Question:
    wanted = sa.select(questions_table).where(questions_table.c.id == question_id)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise NotFound(f"There is no question '{question_id}': it may belong to another workspace.")
    return _question(row, _classes_of(connection, [question_id]).get(question_id, []))


def _classes_of(connection: Connection, question_ids: list[str]) -> dict[str, list[QuestionClass]]:
    table = classes_table
    rows = connection.execute(
        sa.select(table)
        .where(table.c.question_id.in_(question_ids), table.c.merged_into.is_(None))
        .order_by(table.c.position, table.c.id)
    )
    found: dict[str, list[QuestionClass]] = {}
    for row in rows:
        found.setdefault(row.question_id, []).append(QuestionClass(row.id, row.name, row.position, row.note))
    return found


def _question(row: Row[Any], found: list[QuestionClass]) -> Question:
    return Question(
        id=row.id,
        dataset_id=row.dataset_id,
        name=row.name,
        kind=row.kind,
        note=row.note,
        classes=tuple(found),
        created=row.created,
        archived=row.archived,
    )

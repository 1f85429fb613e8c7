"""What a question and its classes are, what may be called what, and how they are read from the catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from explorer.catalog.schema import classes as classes_table
from explorer.catalog.schema import questions as questions_table
from explorer.errors import BadInput, NotFound

Kind = Literal["classes", "attributes", "grades"]
KINDS: tuple[Kind, ...] = ("classes", "attributes", "grades")
MAX_CLASSES = 200
MAX_NAME = 200
MAX_NOTE = 4_000
MAX_EXAMPLES = 24
MAX_UID = 4_096


@dataclass(frozen=True)
class QuestionClass:
    id: str
    name: str
    position: int
    note: str = ""
    none: bool = False
    """Whether it means "none of these"."""
    examples: tuple[str, ...] = ()
    """Uids of pictures that show what counts."""


@dataclass(frozen=True)
class MergedClass:
    """A class that counts as another one now; `unmerge` brings it back."""

    id: str
    name: str
    into: str
    person_id: str
    at: float


@dataclass(frozen=True)
class Question:
    """`kind`: "classes" (every picture belongs to one of them, which may be "none of these"), "attributes" (several
    may be true of a picture) or "grades" (classes in the order of their positions)."""

    id: str
    dataset_id: str
    name: str
    kind: str
    note: str
    classes: tuple[QuestionClass, ...]
    created: float
    archived: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def class_named(self, name: str) -> QuestionClass:
        """Raises NotFound."""
        for one in self.classes:
            if one.name == name:
                return one
        raise NotFound(f"The question '{self.name}' has no class '{name}'.")

    def class_of(self, class_id: str) -> QuestionClass:
        """Raises NotFound."""
        for one in self.classes:
            if one.id == class_id:
                return one
        raise NotFound(f"The question '{self.name}' has no class with the id '{class_id}' (any more).")

    @property
    def class_ids(self) -> tuple[str, ...]:
        return tuple(one.id for one in self.classes)

    @property
    def none_class(self) -> QuestionClass | None:
        """The class that means "none of these", if there is one."""
        return next((one for one in self.classes if one.none), None)


def clean_name(name: str, what: str) -> str:
    """Without needless spaces. Raises BadInput if nothing is left, or too much."""
    cleaned = " ".join(storable(name, f"name of the {what}").split())
    if not cleaned:
        raise BadInput(f"The {what} needs a name.")
    if len(cleaned) > MAX_NAME:
        raise BadInput(f"The name of the {what} is {len(cleaned)} characters long; {MAX_NAME} are possible.")
    return cleaned


def class_names(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The names, cleaned. Raises BadInput for one that is empty, or there twice but for capitals."""
    seen = {one.casefold() for one in taken}
    cleaned = []
    for name in names:
        one = clean_name(name, "class")
        if one.casefold() in seen:
            raise BadInput(f"The class '{one}' is named twice.")
        seen.add(one.casefold())
        cleaned.append(one)
    return cleaned


def clean_note(note: str) -> str:
    """Raises BadInput for a note that is too long."""
    note = storable(note, "note").strip()
    if len(note) > MAX_NOTE:
        raise BadInput(f"The note is {len(note):,} characters long; {MAX_NOTE:,} are possible.")
    return note


def clean_examples(uids: Sequence[str]) -> tuple[str, ...]:
    """Without doubles. Raises BadInput for too many, or for what cannot be the name of a picture."""
    if any(not isinstance(uid, str) or not 0 < len(uid) <= MAX_UID or "\0" in uid for uid in uids):
        raise BadInput("An example must be the name of a picture.")
    unique = tuple(dict.fromkeys(storable(uid, "example") for uid in uids))
    if len(unique) > MAX_EXAMPLES:
        raise BadInput(f"These are {len(unique):,} examples; {MAX_EXAMPLES} are possible. Keep the clearest.")
    return unique


def storable(text: str, what: str) -> str:
    """NUL becomes a space. Raises BadInput for half of a surrogate pair, which no database takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"The {what} holds a character that cannot be stored ({error.reason}).") from error
    return text.replace("\0", " ")


def get_question(connection: Connection, question_id: str, lock: bool = False) -> Question:
    """With `lock`, nobody else changes it or answers it until the transaction ends. Raises NotFound."""
    wanted = sa.select(questions_table).where(questions_table.c.id == question_id)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise NotFound(f"There is no question '{question_id}': it may belong to another workspace.")
    return question_of(row, classes_of(connection, [question_id]).get(question_id, []))


def classes_of(connection: Connection, question_ids: list[str]) -> dict[str, list[QuestionClass]]:
    """Question id -> its classes in order, without those that were merged into others."""
    table = classes_table
    rows = connection.execute(
        sa.select(table)
        .where(table.c.question_id.in_(question_ids), table.c.merged_into.is_(None))
        .order_by(table.c.position, table.c.id)
    )
    found: dict[str, list[QuestionClass]] = {}
    for row in rows:
        one = QuestionClass(row.id, row.name, row.position, row.note, row.none, tuple(row.examples))
        found.setdefault(row.question_id, []).append(one)
    return found


def question_of(row: Row[Any], found: Sequence[QuestionClass]) -> Question:
    return Question(
        id=row.id,
        dataset_id=row.dataset_id,
        name=row.name,
        kind=row.kind,
        note=row.note,
        classes=tuple(found),
        created=row.created,
        archived=row.archived,
        settings=row.settings,
    )


def insert_classes(connection: Connection, question_id: str, added: Sequence[QuestionClass], now: float) -> None:
    if not added:
        return
    rows = [{**vars(one), "examples": list(one.examples), "question_id": question_id, "created": now} for one in added]
    connection.execute(classes_table.insert(), rows)

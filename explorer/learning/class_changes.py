"""Changes to the classes of a question, none of which loses an answer: events keep the class that was pressed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from explorer.catalog.database import Catalog
from explorer.catalog.schema import answers as answers_table
from explorer.catalog.schema import classes as table
from explorer.catalog.schema import new_id
from explorer.errors import BadInput, NotFound
from explorer.learning.answers import AnswerStore
from explorer.learning.question_rows import (
    MAX_CLASSES,
    MergedClass,
    Question,
    QuestionClass,
    class_names,
    clean_examples,
    clean_note,
    get_question,
    insert_classes,
)


@dataclass(frozen=True)
class Split:
    """The new classes, and the pictures that are of the old class, to be asked again (policy "split")."""

    classes: tuple[QuestionClass, ...]
    uids: tuple[str, ...]


class ClassChanges:
    """The part of a QuestionStore that changes classes. Every change is one transaction.

    All raise NotFound for an unknown question or class, and BadInput, changing nothing, for what cannot be.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def add_class(self, question_id: str, name: str, note: str = "") -> QuestionClass:
        """One more class at the end. Raises BadInput for an empty or taken name."""
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id, lock=True)
            (added,) = self._added(connection, question, [name], len(question.classes))
            return self._set(connection, added, note=clean_note(note)) if note else added

    def rename_class(self, question_id: str, class_id: str, name: str) -> QuestionClass:
        """Give a class another name; its answers stay with it. Raises BadInput for an empty or taken name."""
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id, lock=True)
            old = question.class_of(class_id)
            (new,) = class_names([name], [one.name for one in question.classes if one.id != class_id])
            return self._set(connection, old, name=new)

    def set_class_note(self, question_id: str, class_id: str, note: str) -> QuestionClass:
        """Say what counts as this class and what does not."""
        with self._catalog.writing() as connection:
            old = get_question(connection, question_id, lock=True).class_of(class_id)
            return self._set(connection, old, note=clean_note(note))

    def set_examples(self, question_id: str, class_id: str, uids: Sequence[str]) -> QuestionClass:
        """The pictures that show what counts, at most 24, in this order."""
        with self._catalog.writing() as connection:
            old = get_question(connection, question_id, lock=True).class_of(class_id)
            return self._set(connection, old, examples=clean_examples(uids))

    def set_none_class(self, question_id: str, class_id: str | None) -> Question:
        """Let this class mean "none of these"; None: no class does. Only among classes, not attributes or grades."""
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id, lock=True)
            if class_id is not None:
                check_none(question.kind)
                question.class_of(class_id)
            for one in question.classes:
                if one.none != (one.id == class_id):
                    self._set(connection, one, none=not one.none)
            return get_question(connection, question_id)

    def move_class(self, question_id: str, class_id: str, position: int) -> Question:
        """Put a class at this place, counted from 0; beyond the ends means at the end. The order of grades."""
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id, lock=True)
            moved = question.class_of(class_id)
            order = [one for one in question.classes if one.id != class_id]
            order.insert(max(0, position), moved)
            self._number(connection, order)
            return get_question(connection, question_id)

    def remove_class(self, question_id: str, class_id: str) -> Question:
        """Remove a class that was never answered. Raises BadInput for one with answers: merging keeps them."""
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id, lock=True)
            name = question.class_of(class_id).name
            used = sa.select(sa.func.count()).where(answers_table.c.class_id == class_id)
            answers = connection.execute(used).scalar_one()
            if answers:
                count = "an answer" if answers == 1 else f"{answers:,} answers"
                raise BadInput(
                    f"The class '{name}' has {count} on record (also those taken back count): merge it into another "
                    "class instead. That loses nothing and can be undone."
                )
            parts = connection.execute(sa.select(table.c.name).where(table.c.merged_into == class_id)).scalars().all()
            if parts:
                raise BadInput(f"The class '{parts[0]}' was merged into '{name}': undo that first, then remove it.")
            connection.execute(table.delete().where(table.c.id == class_id))
            return get_question(connection, question_id)

    def merge_classes(self, question_id: str, from_id: str, into_id: str, person_id: str) -> Question:
        """Let all answers of one class, given and to come, count as another one. `unmerge` undoes it.

        Among attributes a picture is then of the class if either was true, until it is answered anew.
        """
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id, lock=True)
            old, into = question.class_of(from_id), question.class_of(into_id)
            if from_id == into_id:
                raise BadInput(f"The class '{old.name}' cannot be merged into itself: choose another one.")
            last = sa.select(sa.func.max(answers_table.c.seq)).where(answers_table.c.question_id == question_id)
            merged = {
                "after": int(connection.execute(last).scalar() or 0),
                "person_id": person_id,
                "at": self._catalog.now(connection),
                "none": old.none,  # so that undoing it brings that back, too
            }
            values = {"merged_into": into.id, "merged": merged, "none": False}
            connection.execute(table.update().where(table.c.id == from_id).values(**values))
            return get_question(connection, question_id)

    def unmerge(self, question_id: str, class_id: str) -> Question:
        """Bring a merged class back with its own answers. Those given to the other class meanwhile stay there."""
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id, lock=True)
            wanted = table.c.id == class_id, table.c.question_id == question_id, table.c.merged_into.is_not(None)
            row = connection.execute(sa.select(table).where(*wanted)).one_or_none()
            if row is None:
                raise NotFound("This class is not merged into another one (any more); reload the page.")
            if row.name.casefold() in {one.name.casefold() for one in question.classes}:
                raise BadInput(f"There is another class '{row.name}' by now: rename that one, then undo the merging.")
            self._room_for(question, 1)
            none = bool((row.merged or {}).get("none")) and question.none_class is None
            connection.execute(
                table.update().where(table.c.id == class_id).values(merged_into=None, merged=None, none=none)
            )
            return get_question(connection, question_id)

    def merged(self, question_id: str) -> Sequence[MergedClass]:
        """The classes that count as others now, the last merged first: what `unmerge` may be asked for."""
        wanted = sa.select(table).where(table.c.question_id == question_id, table.c.merged_into.is_not(None))
        with self._catalog.reading() as connection:
            rows = connection.execute(wanted).all()
        found = [
            MergedClass(row.id, row.name, row.merged_into, merged.get("person_id", ""), float(merged.get("at", 0.0)))
            for row in rows
            for merged in [row.merged or {}]
        ]
        return sorted(found, key=lambda one: (-one.at, one.id))

    def split_class(self, question_id: str, class_id: str, new_names: Sequence[str]) -> Split:
        """Add classes right after this one and say which pictures to ask again. Old answers stand until answered anew.

        Raises BadInput for no names, or empty or taken ones.
        """
        if not new_names:
            raise BadInput("Name the classes to split into; nothing was changed.")
        with self._catalog.writing() as connection:
            question = get_question(connection, question_id, lock=True)
            place = question.classes.index(question.class_of(class_id)) + 1
            added = self._added(connection, question, new_names, place)
        answers = AnswerStore(self._catalog)
        if question.kind == "attributes":
            verdicts, _ = answers.attributes_with_seq(question_id)
            own = {uid: each[class_id] for uid, each in verdicts.items() if class_id in each}
        else:
            current = answers.current(question_id)
            own = {uid: each for uid, each in current.items() if each.class_id == class_id}
        told = sorted((each.seq, uid) for uid, each in own.items() if each.value == "yes")
        return Split(tuple(added), tuple(uid for _, uid in told))

    def _added(
        self, connection: Connection, question: Question, names: Sequence[str], place: int
    ) -> list[QuestionClass]:
        self._room_for(question, len(names))
        cleaned = class_names(names, [one.name for one in question.classes])
        # Merged classes keep their places, to come back to them.
        highest = sa.select(sa.func.max(table.c.position)).where(table.c.question_id == question.id)
        last = connection.execute(highest).scalar()
        last = -1 if last is None else last
        added = [QuestionClass(new_id(), name, last + 1 + number) for number, name in enumerate(cleaned)]
        insert_classes(connection, question.id, added, self._catalog.now(connection))
        if place == len(question.classes):
            return added
        ordered = self._number(connection, [*question.classes[:place], *added, *question.classes[place:]])
        return ordered[place : place + len(added)]

    def _number(self, connection: Connection, ordered: Sequence[QuestionClass]) -> list[QuestionClass]:
        return [
            one if one.position == position else self._set(connection, one, position=position)
            for position, one in enumerate(ordered)
        ]

    @staticmethod
    def _set(connection: Connection, old: QuestionClass, **changed: Any) -> QuestionClass:
        new = replace(old, **changed)
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in changed.items()}
        connection.execute(table.update().where(table.c.id == old.id).values(**values))
        return new

    @staticmethod
    def _room_for(question: Question, more: int) -> None:
        if len(question.classes) + more > MAX_CLASSES:
            raise BadInput(f"A question can have {MAX_CLASSES} classes; this one has {len(question.classes)}.")


def check_none(kind: str) -> None:
    """Raises BadInput where "none of these" has no meaning as a class of its own."""
    if kind == "attributes":
        raise BadInput('A picture with no attribute is simply answered "no" to each: no class is needed for that.')
    if kind == "grades":
        raise BadInput('"None of these" has no place in the order of grades: answer "not usable" instead.')

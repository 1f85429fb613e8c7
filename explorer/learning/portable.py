"""A question as one file, with every answer that was ever given, which another installation imports and retrains."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from explorer.catalog.database import Catalog
from explorer.catalog.schema import answers as answers_table
from explorer.catalog.schema import classes as classes_table
from explorer.catalog.schema import new_id
from explorer.catalog.schema import people as people_table
from explorer.learning.portable_format import (
    FORMAT,
    PortableClassifier,
    PortableQuestion,
    check_document,
    classifier_json,
    read_document,
)
from explorer.learning.portable_scores import portable_classifier, scores_in, scores_of
from explorer.learning.question_rows import MAX_EXAMPLES, MAX_NAME, Question, QuestionClass, clean_name, get_question
from explorer.learning.questions import QuestionStore
from explorer.learning.standing import CHECK

__all__ = [
    "Imported",
    "PortableClassifier",
    "export_question",
    "import_question",
    "portable_classifier",
    "read_document",
    "scores_in",
    "scores_of",
]

_OF_CLASS = ("likely", "top", "finish")
"""Policies that name a class by its id, after a colon."""


@dataclass(frozen=True)
class Imported:
    """What came of a file. Pictures are counted once, however many events speak of them."""

    question: Question
    events: int
    """Written, those that take something back included."""
    by_name: int
    """Pictures found under their own name, with the same content."""
    by_content: int
    """Pictures found under another name by their content."""
    unchecked: tuple[str, ...]
    """Found by name alone, since the file does not say what their content was."""
    gone: tuple[str, ...]
    """Not in this collection; their answers are kept under these names."""
    different: tuple[str, ...]
    """Names that belong to other pictures here; their answers were left out."""
    left_out: int
    """Events left out for that reason."""
    examples_gone: int
    same_collection: bool
    """Whether this is the very collection that the file comes from; only then random checks stay such."""
    classifier: PortableClassifier | None
    """As in the file, for the classes of `question`."""

    @property
    def sentence(self) -> str:
        found = self.by_name + self.by_content + len(self.unchecked)
        said = [f"{_pictures(found)} answered in the file found here, {self.by_content:,} of them under another name."]
        if self.unchecked:
            said.append(f"{_pictures(len(self.unchecked))} could be matched by name only.")
        if self.gone:
            said.append(f"{_pictures(len(self.gone))} not in this collection: the answers are kept apart.")
        if self.different:
            said.append(f"{_pictures(len(self.different))} left out, because that name is another picture here.")
        return " ".join(said)


def export_question(
    catalog: Catalog,
    question_id: str,
    dataset: Any = None,
    classifier: PortableClassifier | None = None,
    people: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The question as a document for `json.dumps`. Ids stay here: classes, people and events are named by place.

    `dataset` (a Dataset), if given, lets the importer see whether it has the very same collection. `people`: names by
    person id, besides those that the catalogue knows. Raises NotFound.
    """
    with catalog.reading() as connection:
        question = get_question(connection, question_id)
        table, rows_of = classes_table, answers_table
        classes = connection.execute(
            sa.select(table).where(table.c.question_id == question_id).order_by(table.c.position, table.c.id)
        ).all()
        events = connection.execute(
            sa.select(rows_of).where(rows_of.c.question_id == question_id).order_by(rows_of.c.seq)
        ).all()
        known = {row.id: row.name for row in connection.execute(sa.select(people_table))} | dict(people or {})
    seqs = [row.seq for row in events]
    class_place = {row.id: place for place, row in enumerate(classes)}
    event_place = {row.client_event_id: place for place, row in enumerate(events)}
    mergers = [str((row.merged or {}).get("person_id", "")) for row in classes if row.merged_into]
    person_place = _places([*(row.person_id for row in events), *mergers])
    batch_place = _places(row.batch_id for row in events if row.batch_id is not None)
    hashes = {row.uid: row.content_hash for row in events if row.content_hash}
    if dataset is not None:
        present = dataset.present()
        hashes |= dict(zip(present["uid"], present["content_hash"], strict=True))

    def class_json(row: Any) -> dict[str, Any]:
        merged = row.merged or {}
        return {
            "name": row.name,
            "note": row.note,
            "none": row.none or bool(merged.get("none")),
            "examples": [{"uid": uid, "content_hash": str(hashes.get(uid, ""))} for uid in row.examples],
            "merged": None
            if row.merged_into is None
            else {
                "into": class_place[row.merged_into],
                "after": bisect_right(seqs, merged.get("after", 0)),
                "person": person_place[str(merged.get("person_id", ""))],
            },
        }

    return {
        "format": FORMAT,
        "version": 1 if classifier is None else classifier.version,
        "question": {"name": question.name, "kind": question.kind, "note": question.note},
        "collection": None if dataset is None else _collection(dataset),
        "classes": [class_json(row) for row in classes],
        "people": [{"name": known.get(person_id, "")} for person_id in person_place],
        "events": [
            {
                "uid": row.uid,
                "content_hash": row.content_hash,
                "value": row.value,
                "class": None if row.class_id is None else class_place[row.class_id],
                "person": person_place[row.person_id],
                "at": row.at,
                "policy": _policy_out(row.policy, class_place),
                "probability": row.probability,
                "blind": row.blind,
                "space": row.space,
                "batch": None if row.batch_id is None else batch_place[row.batch_id],
                "undoes": None if row.undoes is None else event_place[row.undoes],
                "region": row.region,
            }
            for row in events
        ],
        "classifier": None if classifier is None else classifier_json(classifier, class_place),
    }


def import_question(
    catalog: Catalog, dataset: Any, document: bytes | str | dict[str, Any], name: str | None = None
) -> Imported:
    """Make a new question of a document (or the bytes of one), in one transaction, after everything was checked.

    Answers land on the picture of the same name if its content is the same, else on one with the same content. What
    fits no picture is named in the report: answers for unknown names are kept, as for any picture that is gone; where
    the name belongs to a different picture they are left out. Times, policies and probabilities are kept, but a random
    check from another collection becomes "imported:random", since it says nothing of how common things are here. A
    name that is taken gets a number. Raises BadInput, with nothing written.
    """
    portable = check_document(read_document(document) if isinstance(document, bytes | str) else document)
    present = dataset.present()
    here = dict(zip(present["uid"], present["content_hash"], strict=True))
    landing = _land(portable, here)
    same = bool(portable.fingerprint) and portable.fingerprint == _collection(dataset)["fingerprint"]
    store = QuestionStore(catalog)
    with catalog.writing() as connection:
        now = catalog.now(connection)
        classes, examples_gone = _classes(portable, landing, here)
        question = Question(
            id=new_id(),
            dataset_id=dataset.id,
            name=_free(name or portable.name, store.names(connection, dataset.id)),
            kind=portable.kind,
            note=portable.note,
            classes=tuple(classes),
            created=now,
            settings={"imported": {"from": portable.collection, "at": now, "same_collection": same}},
        )
        store.insert(connection, question)
        person_ids = [new_id() for _ in portable.people]
        if person_ids:
            named = zip(person_ids, portable.people, strict=True)
            rows = [{"id": each, "name": name, "kind": "imported", "created": now} for each, name in named]
            connection.execute(people_table.insert(), rows)
        written = _write_events(connection, portable, question, person_ids, landing, same)
        _write_merges(connection, portable, question, person_ids, written, now)
        made = get_question(connection, question.id)
    classifier = portable.classifier
    if classifier is not None:
        ids = tuple(question.classes[int(place)].id for place in classifier.class_ids)
        classifier = replace(classifier, class_ids=ids)
    return Imported(
        question=made,
        events=len(written),
        by_name=len(landing.by_name),
        by_content=len(landing.by_content),
        unchecked=landing.unchecked,
        gone=landing.gone,
        different=landing.different,
        left_out=len(portable.events) - len(written),
        examples_gone=examples_gone,
        same_collection=same,
        classifier=classifier,
    )


@dataclass(frozen=True)
class _Landing:
    """Where each picture of a file lands here. `uid_of` lacks what is left out."""

    uid_of: dict[str, str]
    by_name: tuple[str, ...]
    by_content: tuple[str, ...]
    unchecked: tuple[str, ...]
    gone: tuple[str, ...]
    different: tuple[str, ...]


def _land(portable: PortableQuestion, here: Mapping[str, str]) -> _Landing:
    """`here`: uid -> content hash of the pictures that are there."""
    said: dict[str, list[str]] = {}
    answered = dict.fromkeys(event.uid for event, _ in portable.events)
    for event, _ in portable.events:
        if event.content_hash:
            said.setdefault(event.uid, []).append(event.content_hash)
    for one in portable.classes:
        for uid, content_hash in one.examples:
            if content_hash:
                said.setdefault(uid, []).append(content_hash)
            answered.setdefault(uid)
    # A picture that was edited has several contents; one that agrees shows that it is the same picture.
    uid_of = {uid: uid for uid in answered if uid in here and (uid not in said or here[uid] in said[uid])}
    unchecked = [uid for uid in uid_of if uid not in said]
    by_name = [uid for uid in uid_of if uid in said]
    with_content: dict[str, list[str]] = {}
    for uid in sorted(here):
        with_content.setdefault(here[uid], []).append(uid)
    taken = set(uid_of)
    by_content, gone, different = [], [], []
    for uid in answered:
        if uid in uid_of:
            continue
        places = [place for content in reversed(said.get(uid, [])) for place in with_content.get(content, [])]
        if places:
            uid_of[uid] = next((place for place in places if place not in taken), places[0])
            taken.add(uid_of[uid])
            by_content.append(uid)
        elif uid in here:
            different.append(uid)
        else:
            uid_of[uid] = uid
            gone.append(uid)
    events = {event.uid for event, _ in portable.events}  # examples have been placed; only answers are reported
    kept = [tuple(uid for uid in part if uid in events) for part in (by_name, by_content, unchecked, gone, different)]
    return _Landing(uid_of, *kept)


def _classes(portable: PortableQuestion, landing: _Landing, here: Mapping[str, str]) -> tuple[list[QuestionClass], int]:
    """With new ids; and the number of examples that are not here."""
    found, missing = [], 0
    for place, one in enumerate(portable.classes):
        uids = [landing.uid_of[uid] for uid, _ in one.examples if landing.uid_of.get(uid) in here]
        missing += len(one.examples) - len(uids)
        examples = tuple(dict.fromkeys(uids))[:MAX_EXAMPLES]
        found.append(QuestionClass(new_id(), one.name, place, one.note, one.none, examples))
    return found, missing


def _write_events(
    connection: Connection,
    portable: PortableQuestion,
    question: Question,
    person_ids: list[str],
    landing: _Landing,
    same: bool,
) -> list[tuple[int, int]]:
    """Returns (place in the file, number) of each event written, in order."""
    rows = []
    for place, (event, at) in enumerate(portable.events):
        if event.uid not in landing.uid_of:
            continue
        policy = _policy_in(event.policy, question)
        rows.append(
            {
                **vars(event),
                "client_event_id": f"{question.id}:{place}",
                "question_id": question.id,
                "dataset_id": question.dataset_id,
                "uid": landing.uid_of[event.uid],
                "class_id": None if event.class_id is None else question.classes[int(event.class_id)].id,
                "person_id": person_ids[int(event.person_id)],
                "policy": f"imported:{policy}" if policy == CHECK and not same else policy,
                "batch_id": None if event.batch_id is None else f"{question.id}:b{event.batch_id}",
                "undoes": None if event.undoes is None else f"{question.id}:{event.undoes}",
                "at": at,
            }
        )
    if not rows:
        return []
    connection.execute(answers_table.insert(), rows)
    own = sa.select(answers_table.c.client_event_id, answers_table.c.seq).where(
        answers_table.c.question_id == question.id
    )
    written = connection.execute(own.order_by(answers_table.c.seq))
    return [(int(row.client_event_id.rpartition(":")[2]), row.seq) for row in written]


def _write_merges(
    connection: Connection,
    portable: PortableQuestion,
    question: Question,
    person_ids: list[str],
    written: list[tuple[int, int]],
    now: float,
) -> None:
    places = [place for place, _ in written]
    for one, made in zip(portable.classes, question.classes, strict=True):
        if one.into is None:
            continue
        before = bisect_right(places, one.after - 1)
        merged = {
            "after": written[before - 1][1] if before else 0,
            "person_id": "" if one.person is None else person_ids[one.person],
            "at": now,
            "none": one.none,
        }
        into = question.classes[one.into].id
        values = {"merged_into": into, "merged": merged, "none": False}
        connection.execute(classes_table.update().where(classes_table.c.id == made.id).values(**values))


def _collection(dataset: Any) -> dict[str, Any]:
    hashes = sorted(map(str, dataset.present()["content_hash"]))
    fingerprint = hashlib.blake2b("\n".join(hashes).encode(), digest_size=16).hexdigest()
    return {"name": str(getattr(dataset, "name", "")), "pictures": len(hashes), "fingerprint": fingerprint}


def _places(ids: Iterable[str]) -> dict[str, int]:
    return {one: place for place, one in enumerate(dict.fromkeys(ids))}


def _policy_out(policy: str, class_place: Mapping[str, int]) -> str:
    head, colon, class_id = policy.partition(":")
    return f"{head}:#{class_place[class_id]}" if colon and head in _OF_CLASS and class_id in class_place else policy


def _policy_in(policy: str, question: Question) -> str:
    head, _, place = policy.partition(":#")
    known = head in _OF_CLASS and place.isascii() and place.isdigit() and len(place) < 4
    return f"{head}:{question.classes[int(place)].id}" if known and int(place) < len(question.classes) else policy


def _free(name: str, taken: Iterable[str]) -> str:
    name, number = clean_name(name, "question"), 1
    used = {one.casefold() for one in taken}
    free = name
    while free.casefold() in used:
        number += 1
        free = f"{name[: MAX_NAME - 8].rstrip()} ({number})"
    return free


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"

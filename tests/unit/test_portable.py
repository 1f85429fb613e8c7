"""A question leaves as one file and comes back elsewhere, whole or not at all."""

import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from explorer.catalog import schema
from explorer.catalog.database import Catalog
from explorer.errors import BadInput
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.portable import PortableClassifier, export_question, import_question, read_document
from explorer.learning.questions import Question, QuestionStore


def content(number: int) -> str:
    return f"{number:032x}"


class Photos:
    """A collection: uid -> content hash."""

    def __init__(self, dataset_id: str, pictures: dict[str, str]) -> None:
        self.id = dataset_id
        self.name = dataset_id.title()
        self.pictures = pictures

    def present(self) -> pd.DataFrame:
        return pd.DataFrame({"uid": list(self.pictures), "content_hash": list(self.pictures.values())})


HERE = Photos("photos", {f"{i}.jpg": content(i) for i in range(8)})


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


@pytest.fixture
def question(catalog: Catalog) -> Question:
    """Three classes and "none of these", one merged; seven answers of two people, some taken back and given again."""
    store, answers = QuestionStore(catalog), AnswerStore(catalog)
    made = store.create("photos", "Which room?", ["kitchen", "bath", "shower"], "indoors", none_class="none of these")
    ids = {one.name: one.id for one in made.classes}
    with catalog.writing() as connection:
        connection.execute(schema.people.insert().values(id="p-ann", name="Ann", kind="guest", created=1.0))

    def yes(number: int, name: str, person: str = "p-ann", **more: Any) -> AnswerEvent:
        more = {"policy": "random", "probability": 0.125, "blind": True, "content_hash": content(number), **more}
        return AnswerEvent(f"e{number}{person}", made.id, f"{number}.jpg", "yes", ids[name], person_id=person, **more)

    likely = f"likely:{ids['bath']}"
    answers.record([yes(0, "kitchen"), yes(1, "bath", policy=likely), yes(2, "shower"), yes(3, "none of these")])
    store.merge_classes(made.id, ids["shower"], ids["bath"], "p-ann")
    answers.record([yes(4, "kitchen", batch_id="b"), yes(5, "kitchen", batch_id="b"), yes(0, "bath", "p-bob")])
    answers.undo_batch(made.id, "b", "p-ann", "u1")
    answers.undo_batch(made.id, "u1", "p-ann", "r1")
    answers.record([AnswerEvent("u2", made.id, "5.jpg", "undo", undoes="e5p-ann", person_id="p-ann")])
    store.set_class_note(made.id, ids["bath"], "a tub is enough")
    store.set_examples(made.id, ids["bath"], ["1.jpg", "7.jpg"])
    return store.get(made.id)


def said(catalog: Catalog, question: Question) -> dict[str, str]:
    names = {one.id: one.name for one in question.classes}
    return {uid: names[each.class_id or ""] for uid, each in AnswerStore(catalog).current(question.id).items()}


EXPECTED = {"0.jpg": "bath", "1.jpg": "bath", "2.jpg": "bath", "3.jpg": "none of these", "4.jpg": "kitchen"}


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Catalog]:
    """Another installation."""
    catalog = Catalog.open(f"sqlite:///{tmp_path / 'other.db'}")
    yield catalog
    catalog.close()


def test_another_installation_imports_all_of_it(catalog: Catalog, question: Question, other: Catalog) -> None:
    assert said(catalog, question) == EXPECTED
    text = json.dumps(export_question(catalog, question.id, HERE))
    assert question.id not in text
    assert "p-ann" not in text
    done = import_question(other, Photos("copy", HERE.pictures), text)
    assert (done.by_name, done.by_content, done.gone, done.different, done.left_out) == (6, 0, (), (), 0)
    assert done.same_collection
    made = QuestionStore(other).get(done.question.id)
    assert made == done.question
    assert (made.name, made.kind, made.note, made.dataset_id) == ("Which room?", "classes", "indoors", "copy")
    kept = [(c.name, c.note, c.none, c.examples) for c in question.classes]
    assert [(c.name, c.note, c.none, c.examples) for c in made.classes] == kept
    assert said(other, made) == EXPECTED
    before, after = AnswerStore(catalog).history(question.id), AnswerStore(other).history(made.id)
    assert len(after) == len(before) == done.events == 12
    for old, new in zip(before, after, strict=True):
        assert (new.at, new.active) == (old.at, old.active)
        for field in ("uid", "value", "content_hash", "probability", "blind", "region"):
            assert getattr(new.event, field) == getattr(old.event, field)
    assert after[1].event.policy == f"likely:{made.class_named('bath').id}"
    assert {how.policy for how in AnswerStore(other).random_checks(made.id).values()} == {"random"}
    with other.reading() as connection:
        people = {row.id: row.name for row in connection.execute(sa.select(schema.people))}
    assert [people[entry.event.person_id] for entry in after[:7]] == ["Ann"] * 6 + [""]
    # the merging came along, with its place among the answers, and can be undone there
    (merged,) = QuestionStore(other).merged(made.id)
    assert (merged.name, people[merged.person_id]) == ("shower", "Ann")
    assert said(other, QuestionStore(other).unmerge(made.id, merged.id))["2.jpg"] == "shower"
    # what was undone as one there can be given again as one
    redone = AnswerStore(other).undo_batch(made.id, after[7].event.batch_id or "", after[7].event.person_id, "x")
    assert redone == []  # the undo was taken back already


def test_exporting_what_was_imported_says_the_same(catalog: Catalog, question: Question, other: Catalog) -> None:
    first = export_question(catalog, question.id, HERE)
    made = import_question(other, HERE, first).question
    assert export_question(other, made.id, HERE) == first


def test_attributes_and_their_merged_classes_travel(catalog: Catalog, other: Catalog) -> None:
    store = QuestionStore(catalog)
    made = store.create("photos", "What is on it?", ["people", "crowd", "dog"], kind="attributes")
    people, crowd, dog = made.class_ids
    press = [("yes", crowd), ("no", people), ("yes", dog)]
    events = [AnswerEvent(f"a{v}{c}", made.id, "0.jpg", v, c, batch_id="b1") for v, c in press]  # type: ignore[arg-type]
    AnswerStore(catalog).record(events)
    store.merge_classes(made.id, crowd, people, "ann")
    AnswerStore(catalog).record([AnswerEvent("w", made.id, "1.jpg", "unusable")])
    new = import_question(other, HERE, export_question(catalog, made.id)).question
    verdicts, _ = AnswerStore(other).attributes_with_seq(new.id)
    names = {one.id: one.name for one in new.classes} | {"": ""}
    assert {uid: {names[c]: a.value for c, a in each.items()} for uid, each in verdicts.items()} == {
        "0.jpg": {"people": "yes", "dog": "yes"},
        "1.jpg": {"": "unusable"},
    }


def test_answers_land_by_content_and_what_fits_nothing_is_named(
    catalog: Catalog, question: Question, other: Catalog
) -> None:
    document = export_question(catalog, question.id, HERE)
    there = Photos("there", {"0.jpg": content(0), "b/1.jpg": content(1), "c.jpg": content(1), "2.jpg": "f" * 32})
    done = import_question(other, there, document)
    assert (done.by_name, done.by_content) == (1, 1)
    assert done.different == ("2.jpg",)
    assert done.gone == ("3.jpg", "4.jpg", "5.jpg")
    assert done.left_out == 1
    assert not done.same_collection
    # what has no picture here is kept for the day that it comes; a name that is another picture gets no wrong answer
    assert said(other, done.question) == {
        "0.jpg": "bath",
        "b/1.jpg": "bath",
        "3.jpg": "none of these",
        "4.jpg": "kitchen",
    }
    assert done.question.class_named("bath").examples == ("b/1.jpg",)
    assert done.examples_gone == 1
    assert "2 pictures answered in the file found here, 1 of them under another name" in done.sentence
    # drawn by chance from another collection: no random check of this one
    assert AnswerStore(other).random_checks(done.question.id) == {}
    history = AnswerStore(other).history(done.question.id)
    assert history[0].event.policy == "imported:random"


def test_twice_makes_two_questions(catalog: Catalog, question: Question) -> None:
    document = export_question(catalog, question.id, HERE)
    names = [import_question(catalog, HERE, copy.deepcopy(document)).question.name for _ in range(2)]
    assert names == ["Which room? (2)", "Which room? (3)"]
    assert import_question(catalog, HERE, document, name="Rooms").question.name == "Rooms"
    assert len(QuestionStore(catalog).list("photos")) == 4
    assert said(catalog, question) == EXPECTED


def trained(question: Question) -> PortableClassifier:
    rng = np.random.default_rng(0)
    return PortableClassifier(
        recipe={"features": [["lite0-0123456789ab", 1.0]], "steps": ["centre", "l2"]},
        means=rng.normal(size=5).astype(np.float32),
        weights=rng.normal(size=(5, 3)).astype(np.float32),
        bias=np.array([0.5, -0.25, -np.inf], np.float32),
        class_ids=question.class_ids,
        temperature=3.5,
        threshold=0.8,
    )


def test_a_classifier_goes_along_number_for_number(catalog: Catalog, question: Question, other: Catalog) -> None:
    sent = trained(question)
    text = json.dumps(export_question(catalog, question.id, HERE, sent), allow_nan=False)
    done = import_question(other, HERE, text)
    got = done.classifier
    assert got is not None
    for name in ("means", "weights", "bias"):
        np.testing.assert_array_equal(getattr(got, name), getattr(sent, name))
    assert got.class_ids == done.question.class_ids
    assert (got.recipe, got.temperature, got.threshold) == (sent.recipe, 3.5, 0.8)


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one place changed; a value of KeyError removes it."""
    new = copy.deepcopy(document)
    at: Any = new
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        at = at[step]
    if value is KeyError:
        del at[last]
    else:
        at[last] = value
    return new


DEEP: dict[str, Any] = {}
for _ in range(5_000):
    DEEP = {"x": DEEP}

BAD: list[tuple[str, Any, str]] = [
    ("format", "something else", "'format' is not"),
    ("version", 3, "of version 3.*update"),
    ("version", True, "not a whole number"),
    ("version", 0, "no version 0"),
    ("question", [], "'question' of the file is not an object"),
    ("question.kind", "ranking", "none of classes"),
    ("question.name", KeyError, "the question lacks 'name'"),
    ("question.name", "  ", "needs a name"),
    ("question.note", "x" * 5_000, "note is 5,000 characters"),
    ("classes", KeyError, "lacks 'classes'"),
    ("classes", {"0": 1}, "'classes' of the file is not a list"),
    ("classes.0", "kitchen", "class 0 is not an object"),
    ("classes.0.name", "BATH", "named twice"),
    ("classes.0.name", 5, "not a text"),
    ("classes.0.none", True, "two of its classes"),
    ("classes.0.none", 1, "not true or false"),
    ("classes.1.examples", [{"uid": f"{i}"} for i in range(30)], "30 examples"),
    ("classes.2.merged.into", 2, "merged into itself"),
    ("classes.2.merged.into", 9, "points at nothing"),
    ("people", [{"name": None}], "person 0 lacks"),
    ("people", [], "points at nothing"),
    ("events.0", None, "event 0 is not an object"),
    ("events.0.uid", "", "name a picture"),
    ("events.0.uid", "a\0b", "without NUL"),
    ("events.0.uid", "a\udcff", "cannot be stored"),
    ("events.0.value", "maybe", "is no answer"),
    ("events.0.class", None, "must name a class"),
    ("events.0.class", -1, "points at nothing"),
    ("events.0.class", 1.0, "not a whole number"),
    ("events.0.at", float("nan"), "not a finite number"),
    ("events.0.at", 10**400, "not a finite number"),
    ("events.0.at", -1, "no time"),
    ("events.0.probability", 1.5, r"\(0, 1\]"),
    ("events.0.probability", "1", "not a number"),
    ("events.0.probability", float("inf"), "not a finite number"),
    ("events.0.blind", "yes", "not true or false"),
    ("events.0.region", {"x": float("nan")}, "JSON cannot carry"),
    ("events.0.region", DEEP, "JSON cannot carry|too long"),
    ("events.11.undoes", 11, "points at nothing"),
    ("events.11.undoes", 0, "another picture"),
    ("events.11.undoes", None, "must name the event"),
    ("classifier.weights", "AAAA", "3 bytes of weights; 60"),
    ("classifier.weights", "not base64!", "not base64"),
    ("classifier.weights", "AADAfw==" * 15, "not base64|no numbers"),
    ("classifier.means", "AADAfwAAwH8AAMB/AADAfwAAwH8=", "no numbers"),
    ("classifier.dim", 10**9, "too many"),
    ("classifier.dim", 0, "too many"),
    ("classifier.bias", [1.0], "3 classes and 1 biases"),
    ("classifier.bias", [1.0, 2.0, 1e300], "too large"),
    ("classifier.classes", [0, 0, 1], "twice"),
    ("classifier.classes", [0, 1, 2], "merged"),
    ("classifier.temperature", 0, "out of range"),
    ("classifier.threshold", 2, "out of range"),
    ("classifier.recipe", {"features": 5}, "not a list"),
    ("classifier.recipe", {"features": [[["a"], 1]], "steps": ["l2"]}, "not understood"),
    ("classifier.recipe", {"features": [["a", float("nan")]], "steps": ["l2"]}, "not understood"),
    ("classifier.recipe", {"features": [["a", 1]], "steps": ["import os"]}, "goes through"),
]


def test_nothing_bad_is_written(catalog: Catalog, question: Question) -> None:
    document = export_question(catalog, question.id, HERE, trained(question))
    assert [one["name"] for one in document["classes"]] == ["kitchen", "bath", "shower", "none of these"]

    def rows() -> list[int]:
        with catalog.reading() as connection:
            tables = (schema.questions, schema.classes, schema.answers, schema.people)
            return [connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in tables]

    before = rows()
    for path, value, reason in BAD:
        with pytest.raises(BadInput, match=reason) as caught:
            import_question(catalog, HERE, changed(document, path, value))
        assert "\n" not in str(caught.value), path
        assert str(caught.value).endswith("Nothing was imported."), path
    for whole in (None, [], "text", 5):
        with pytest.raises(BadInput):
            import_question(catalog, HERE, json.dumps(whole))
    assert rows() == before
    import_question(catalog, HERE, document)


def test_broken_json_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, reason in [
        (b'{"format": ', "not whole JSON"),
        (b"\xff\xfe\x00", "not whole JSON"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "no number"),
        (b"[" * 200_000, "too deep"),
        (b"1" * 10_000, "not whole JSON"),
    ]:
        with pytest.raises(BadInput, match=reason):
            read_document(text)
    monkeypatch.setattr("explorer.learning.portable_format.MAX_BYTES", 10)
    with pytest.raises(BadInput, match="11 bytes, 10 are possible"):
        read_document(b" " * 11)


def test_too_many_of_anything_is_refused(catalog: Catalog, question: Question, monkeypatch: pytest.MonkeyPatch) -> None:
    document = export_question(catalog, question.id)
    monkeypatch.setattr("explorer.learning.portable_format.MAX_EVENTS", 11)
    with pytest.raises(BadInput, match="12 under 'events', 11 are possible"):
        import_question(catalog, HERE, document)


def test_an_edited_picture_is_still_the_same_one(catalog: Catalog, other: Catalog) -> None:
    """Answered before and after an edit: both answers land on it, each with the content it was given for."""
    made = QuestionStore(catalog).create("photos", "Q", ["a", "b"])
    first = AnswerEvent("1", made.id, "0.jpg", "yes", made.class_ids[0], content_hash="e" * 32)
    AnswerStore(catalog).record([first, dataclasses.replace(first, client_event_id="2", content_hash=content(0))])
    done = import_question(other, HERE, export_question(catalog, made.id))
    assert done.by_name == 1
    history = AnswerStore(other).history(done.question.id)
    assert [entry.event.content_hash for entry in history] == ["e" * 32, content(0)]


def test_a_file_without_contents_is_matched_by_name_and_says_so(catalog: Catalog, other: Catalog) -> None:
    made = QuestionStore(catalog).create("photos", "Q", ["a"])
    AnswerStore(catalog).record([AnswerEvent("1", made.id, "0.jpg", "yes", made.class_ids[0])])
    done = import_question(other, HERE, export_question(catalog, made.id))
    assert done.unchecked == ("0.jpg",)
    assert "by name only" in done.sentence

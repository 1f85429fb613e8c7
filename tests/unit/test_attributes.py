"""Of several attributes each is true or not, is taken back by itself, and may be merged with another."""

import dataclasses

import pytest

from explorer.catalog.database import Catalog
from explorer.learning.answers import AnswerEvent, AnswerStore, Value
from explorer.learning.questions import Question, QuestionStore
from explorer.learning.standing import WHOLE, count_attributes


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


def event(
    question: Question,
    event_id: str,
    uid: str,
    value: Value = "yes",
    name: str | None = "kitchen",
    undoes: str | None = None,
    person_id: str = "ann",
) -> AnswerEvent:
    class_id = question.class_named(name).id if name and value in ("yes", "no") else None
    return AnswerEvent(event_id, question.id, uid, value, class_id, undoes=undoes, person_id=person_id)


def undo(question: Question, event_id: str, uid: str, undoes: str, person_id: str = "ann") -> AnswerEvent:
    return event(question, event_id, uid, "undo", None, undoes, person_id)


def pressed(question: Question, press: str, uid: str, person_id: str = "ann", **said: Value) -> list[AnswerEvent]:
    """One press of "done" on a question of attributes: an event for each class."""
    return [
        dataclasses.replace(event(question, f"{press}-{name}", uid, value, name, person_id=person_id), batch_id=press)
        for name, value in said.items()
    ]


@pytest.fixture
def attributes(catalog: Catalog) -> Question:
    return QuestionStore(catalog).create("photos", "What is on it?", ["dog", "cat", "wolf"], kind="attributes")


def true_of(catalog: Catalog, question: Question) -> dict[str, dict[str, str]]:
    """uid -> name of the class ("" for the whole picture) -> value, from a store that starts anew."""
    verdicts, seq = AnswerStore(catalog).attributes_with_seq(question.id)
    assert seq == AnswerStore(catalog).latest_seq(question.id)
    named = {one.id: one.name for one in question.classes} | {WHOLE: ""}
    return {uid: {named[each]: answer.value for each, answer in of.items()} for uid, of in verdicts.items()}


def test_several_attributes_hold_at_once_and_each_press_is_taken_back(catalog: Catalog, attributes: Question) -> None:
    store = AnswerStore(catalog)
    store.record(pressed(attributes, "b1", "a.jpg", dog="yes", cat="no", wolf="yes"))
    assert true_of(catalog, attributes) == {"a.jpg": {"dog": "yes", "cat": "no", "wolf": "yes"}}
    store.record(pressed(attributes, "b2", "a.jpg", cat="yes"))
    assert true_of(catalog, attributes) == {"a.jpg": {"dog": "yes", "cat": "yes", "wolf": "yes"}}
    store.record([undo(attributes, "u1", "a.jpg", "b1-wolf")])
    assert true_of(catalog, attributes) == {"a.jpg": {"dog": "yes", "cat": "yes"}}
    store.record([undo(attributes, "r1", "a.jpg", "u1")])
    store.undo_batch(attributes.id, "b2", "ann", "u2")
    assert true_of(catalog, attributes) == {"a.jpg": {"dog": "yes", "cat": "no", "wolf": "yes"}}
    store.undo_batch(attributes.id, "b1", "ann", "u3")
    assert true_of(catalog, attributes) == {}
    assert store.current(attributes.id) == store.provenance(attributes.id) == {}
    assert store.attributes_with_seq(attributes.id)[0] == AnswerStore(catalog).attributes_with_seq(attributes.id)[0]


def test_what_is_said_of_the_whole_picture_takes_the_place_of_attributes(
    catalog: Catalog, attributes: Question
) -> None:
    store = AnswerStore(catalog)
    store.record(pressed(attributes, "b1", "a.jpg", dog="yes", cat="no"))
    store.record([event(attributes, "w", "a.jpg", "unusable", None)])
    assert true_of(catalog, attributes) == {"a.jpg": {"": "unusable"}}
    store.record([undo(attributes, "u", "a.jpg", "w")])
    assert true_of(catalog, attributes) == {"a.jpg": {"dog": "yes", "cat": "no"}}
    store.record([undo(attributes, "r", "a.jpg", "u")])
    store.record(pressed(attributes, "b2", "a.jpg", cat="no"))
    assert true_of(catalog, attributes) == {"a.jpg": {"cat": "no"}}


def test_a_picture_without_any_attribute_counts_as_answered(catalog: Catalog, attributes: Question) -> None:
    store = AnswerStore(catalog)
    store.record(pressed(attributes, "b1", "none.jpg", dog="no", cat="no", wolf="no"))
    store.record(pressed(attributes, "b2", "dog.jpg", dog="yes", cat="no"))
    current = store.current(attributes.id)
    assert {uid: (each.value, each.class_id) for uid, each in current.items()} == {
        "none.jpg": ("no", None),
        "dog.jpg": ("yes", attributes.class_named("dog").id),
    }
    counts = count_attributes(store.attributes_with_seq(attributes.id)[0], {"dog.jpg"})
    assert (counts.answered, counts.gone, counts.by_class) == (1, 1, {attributes.class_named("dog").id: 1})


def test_merged_attributes_are_true_if_one_was_until_answered_anew(catalog: Catalog, attributes: Question) -> None:
    store, questions = AnswerStore(catalog), QuestionStore(catalog)
    dog, _, wolf = attributes.class_ids
    store.record(pressed(attributes, "b1", "a.jpg", wolf="yes", dog="no", cat="no"))
    store.record(pressed(attributes, "b2", "b.jpg", dog="no", wolf="no"))
    store.record(pressed(attributes, "b3", "c.jpg", wolf="yes"))
    store.record(pressed(attributes, "b4", "c.jpg", dog="no"))
    before = true_of(catalog, attributes)
    merged = questions.merge_classes(attributes.id, wolf, dog, "ann")
    held, _ = store.attributes_with_seq(attributes.id)
    assert {uid: of[dog].value for uid, of in held.items()} == {"a.jpg": "yes", "b.jpg": "no", "c.jpg": "yes"}
    assert all(wolf not in of for of in held.values())
    store.record(pressed(merged, "b5", "a.jpg", dog="no"))
    stale = pressed(attributes, "b6", "b.jpg", wolf="yes", dog="no")  # from a page that still shows both
    store.record(stale)
    assert {uid: of["dog"] for uid, of in true_of(catalog, merged).items()} == {
        "a.jpg": "no",
        "b.jpg": "yes",
        "c.jpg": "yes",
    }
    for press in ("b5", "b6"):
        store.undo_batch(attributes.id, press, "ann", f"u-{press}")
    questions.unmerge(attributes.id, wolf)
    assert true_of(catalog, attributes) == before


def test_two_people_may_differ_about_an_attribute(catalog: Catalog, attributes: Question) -> None:
    store = AnswerStore(catalog)
    store.record(pressed(attributes, "b1", "a.jpg", dog="yes", cat="no"))
    store.record(pressed(attributes, "b2", "a.jpg", "bob", dog="no"))
    dog, cat, _ = attributes.class_ids
    assert {
        who: {c: a.value for c, a in of.items()} for who, of in store.attributes_by_person(attributes.id).items()
    } == {
        ("a.jpg", "ann"): {dog: "yes", cat: "no"},
        ("a.jpg", "bob"): {dog: "no"},
    }
    assert true_of(catalog, attributes) == {"a.jpg": {"dog": "no", "cat": "no"}}
    assert store.by_person(attributes.id)["a.jpg", "ann"].class_id == dog

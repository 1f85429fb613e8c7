"""Answers are on the disk before they are acknowledged, never counted twice, and can be taken back.

Everything runs on SQLite and on a private PostgreSQL server.
"""

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from explorer.catalog import schema
from explorer.catalog.database import Catalog
from explorer.errors import BadInput, NotFound
from explorer.learning.answers import AnswerEvent, AnswerStore, Value
from explorer.learning.questions import Question, QuestionStore

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


@pytest.fixture
def elsewhere(catalog: Catalog) -> Iterator[Catalog]:
    """The same catalogue as another process sees it."""
    opened = Catalog.open(catalog.url)
    yield opened
    opened.close()


@pytest.fixture
def question(catalog: Catalog) -> Question:
    return QuestionStore(catalog).create("photos", "Which room?", ["kitchen", "bathroom"])


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


def names(catalog: Catalog, question: Question) -> dict[str, str | None]:
    """uid -> name of the class, or the value where there is none."""
    by_id = {one.id: one.name for one in question.classes}
    current = AnswerStore(catalog).current(question.id)
    return {uid: by_id.get(a.class_id or "", a.value) for uid, a in current.items()}


def test_both_databases_are_built_as_the_schema_says(catalog: Catalog) -> None:
    with catalog.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_every_column_of_an_event_comes_back(catalog: Catalog, elsewhere: Catalog, question: Question) -> None:
    full = AnswerEvent(
        client_event_id="e1",
        question_id=question.id,
        uid="rooms/Küche 1\n.jpg",
        value="yes",
        class_id=question.classes[0].id,
        region={"box": [0.1, 0.2, 0.5, 0.75]},
        content_hash="ab" * 16,
        person_id="ann",
        space="lite0-0123",
        blind=True,
        policy="random",
        probability=0.0125,
        batch_id="b1",
    )
    before = time.time()
    AnswerStore(catalog).record([full])
    (entry,) = AnswerStore(elsewhere).history(question.id)
    assert entry.event == full
    assert entry.dataset_id == "photos"
    assert before - 5 < entry.at < time.time() + 5


def test_a_retry_is_not_a_second_answer_and_the_first_stands(catalog: Catalog, question: Question) -> None:
    store = AnswerStore(catalog)
    (first,) = store.record([event(question, "e1", "a.jpg")])
    (again,) = store.record([event(question, "e1", "a.jpg", name="bathroom")])
    assert not first.duplicate
    assert again == dataclasses.replace(first, duplicate=True)
    twice = store.record([event(question, "e2", "b.jpg"), event(question, "e2", "b.jpg")])
    assert [one.duplicate for one in twice] == [False, True]
    assert twice[0].seq == twice[1].seq > first.seq
    assert len(store.history(question.id)) == 2
    assert names(catalog, question) == {"a.jpg": "kitchen", "b.jpg": "kitchen"}
    assert store.latest_seq(question.id) == twice[0].seq


def test_numbers_follow_the_order_of_the_batch(catalog: Catalog, question: Question) -> None:
    stored = AnswerStore(catalog).record([event(question, f"e{99 - i:02}", f"{i}.jpg") for i in range(50)])
    assert [one.seq for one in stored] == sorted(one.seq for one in stored)
    assert [entry.event.uid for entry in AnswerStore(catalog).history(question.id)] == [f"{i}.jpg" for i in range(50)]


def bad_events(question: Question, other: Question) -> list[tuple[str, AnswerEvent]]:
    good = event(question, "x", "b.jpg")
    change = dataclasses.replace
    return [
        ("no question", change(good, question_id="nothing")),
        ("does not belong", change(good, class_id=other.classes[0].id)),
        ("class 'nothing'", change(good, class_id="nothing")),
        ("must name a picture", change(good, uid="")),
        ("must name a class", change(good, class_id=None)),
        ("told from a retry", change(good, client_event_id="")),
        ("is no answer", change(good, value="perhaps")),  # type: ignore[arg-type]
        ("(0, 1]", change(good, probability=0.0)),
        ("(0, 1]", change(good, probability=float("nan"))),
        ("an undo may", change(good, undoes="e1")),
        ("must name the event", change(good, value="undo", class_id=None)),
        ("no such answer", undo(question, "x", "b.jpg", "nothing")),
        ("about this picture", undo(question, "x", "b.jpg", "e1")),
        ("without NUL", change(good, uid="a\0b")),
        ("cannot be stored", change(good, uid="a\udcff")),
        ("true or false", change(good, blind="yes")),  # type: ignore[arg-type]
    ]


def test_one_bad_event_leaves_the_whole_batch_unwritten(catalog: Catalog, question: Question) -> None:
    store = AnswerStore(catalog)
    other = QuestionStore(catalog).create("photos", "Other", ["p", "q"])
    store.record([event(question, "e1", "a.jpg")])
    for reason, bad in bad_events(question, other):
        with pytest.raises(BadInput) as caught:
            store.record([event(question, "good", "z.jpg"), bad])
        assert reason in str(caught.value)
    assert [entry.event.client_event_id for entry in store.history(question.id)] == ["e1"]


def test_undo_and_redo_walk_back_and_forth(catalog: Catalog, question: Question) -> None:
    store = AnswerStore(catalog)
    store.record([event(question, "e1", "a.jpg"), event(question, "e2", "a.jpg", name="bathroom")])
    assert names(catalog, question) == {"a.jpg": "bathroom"}
    store.record([undo(question, "u1", "a.jpg", "e2")])
    assert names(catalog, question) == {"a.jpg": "kitchen"}
    store.record([undo(question, "u2", "a.jpg", "e1")])
    assert names(catalog, question) == {}
    store.record([undo(question, "r2", "a.jpg", "u2")])
    assert names(catalog, question) == {"a.jpg": "kitchen"}
    store.record([undo(question, "r1", "a.jpg", "u1")])
    assert names(catalog, question) == {"a.jpg": "bathroom"}
    store.record([undo(question, "u3", "a.jpg", "r1")])  # undoing the redo
    assert names(catalog, question) == {"a.jpg": "kitchen"}
    states = {entry.event.client_event_id: entry.active for entry in store.history(question.id)}
    assert states == {"e1": True, "e2": False, "u1": True, "u2": False, "r2": True, "r1": False, "u3": True}


def test_undoing_twice_and_redoing_once_brings_the_answer_back(catalog: Catalog, question: Question) -> None:
    AnswerStore(catalog).record(
        [
            event(question, "e1", "a.jpg"),
            undo(question, "u1", "a.jpg", "e1"),
            undo(question, "u2", "a.jpg", "e1"),  # a second tab
            undo(question, "r1", "a.jpg", "u1"),
        ]
    )
    assert names(catalog, question) == {"a.jpg": "kitchen"}


def test_a_person_takes_back_only_their_own(catalog: Catalog, question: Question) -> None:
    store = AnswerStore(catalog)
    store.record([event(question, "e1", "a.jpg"), event(question, "e2", "a.jpg", name="bathroom", person_id="bob")])
    with pytest.raises(BadInput, match="another person's"):
        store.record([undo(question, "u1", "a.jpg", "e1", person_id="bob")])
    kept = store.by_person(question.id)
    assert {person: a.class_id for (_, person), a in kept.items()} == {
        "ann": question.class_named("kitchen").id,
        "bob": question.class_named("bathroom").id,
    }
    assert names(catalog, question) == {"a.jpg": "bathroom"}
    store.record([undo(question, "u2", "a.jpg", "e2", person_id="bob")])
    assert names(catalog, question) == {"a.jpg": "kitchen"}
    assert set(store.by_person(question.id)) == {("a.jpg", "ann")}


def test_a_no_and_a_region_are_kept_but_do_not_replace_the_answer(catalog: Catalog, question: Question) -> None:
    store = AnswerStore(catalog)
    region = dataclasses.replace(event(question, "e3", "a.jpg", name="bathroom"), region={"box": [0, 0, 1, 1]})
    store.record([event(question, "e1", "a.jpg"), event(question, "e2", "a.jpg", "no", "bathroom"), region])
    assert names(catalog, question) == {"a.jpg": "kitchen"}
    store.record([undo(question, "u1", "a.jpg", "e2"), event(question, "e4", "a.jpg", "unusable")])
    assert names(catalog, question) == {"a.jpg": "unusable"}


def test_a_store_sees_what_other_processes_recorded(catalog: Catalog, elsewhere: Catalog, question: Question) -> None:
    here, there = AnswerStore(catalog), AnswerStore(elsewhere)
    here.record([event(question, "e1", "a.jpg")])
    assert here.current(question.id).keys() == {"a.jpg"}
    there.record([undo(question, "u1", "a.jpg", "e1"), event(question, "e2", "b.jpg")])
    assert here.current(question.id).keys() == {"b.jpg"}


def test_many_threads_may_record_at_once_and_retry_each_other(catalog: Catalog, question: Question) -> None:
    store = AnswerStore(catalog)
    failures: list[BaseException] = []
    seen: list[int] = []

    def press(person: int) -> None:
        try:
            for i in range(15):
                store.record([event(question, f"{person}-{i}", f"{i}.jpg"), event(question, f"all-{i}", "shared")])
        except BaseException as error:
            failures.append(error)

    def watch() -> None:
        while not done.is_set():
            seen.append(len(store.current(question.id)) * 1000 + store.latest_seq(question.id) % 1000)

    done = threading.Event()
    threads = [threading.Thread(target=press, args=(person,)) for person in range(4)]
    watcher = threading.Thread(target=watch)
    for thread in [*threads, watcher]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    watcher.join()
    assert not failures
    history = store.history(question.id)
    assert len(history) == 4 * 15 + 15
    # The watcher's state was built up from what became visible meanwhile; nothing slipped past it.
    assert store.current(question.id) == AnswerStore(catalog).current(question.id)


def test_a_question_from_a_column_is_answered_in_the_same_stroke(catalog: Catalog) -> None:
    items = pd.DataFrame(
        {
            "uid": [f"{i}.jpg" for i in range(6)],
            "content_hash": [f"{i:032x}" for i in range(6)],
            "meta:room": ["bath", "kitchen", "Kitchen", None, "kitchen", " "],
            "meta:stars": [1.0, 2.0, 2.0, float("nan"), 3.5, 3.5],
            "meta:same": ["x"] * 6,
        }
    )

    class Photos:
        id = "photos"

        def present(self) -> pd.DataFrame:
            return items

    store = QuestionStore(catalog)
    made = store.create_from_column(Photos(), "room", "Room")
    assert [one.name for one in made.classes] == ["kitchen", "bath"]
    assert names(catalog, made) == {"0.jpg": "bath", "1.jpg": "kitchen", "2.jpg": "kitchen", "4.jpg": "kitchen"}
    first = AnswerStore(catalog).history(made.id)[0].event
    assert (first.policy, first.content_hash) == ("column:room", f"{0:032x}")
    assert first.batch_id
    stars = store.create_from_column(Photos(), "stars", "Stars", with_answers=False)
    assert [one.name for one in stars.classes] == ["2", "3.5", "1"]
    assert names(catalog, stars) == {}
    with pytest.raises(BadInput, match="1 different values"):
        store.create_from_column(Photos(), "same", "Same")
    assert len(store.list("photos")) == 2


def test_how_a_picture_was_chosen_follows_the_answer_that_stands(catalog: Catalog, question: Question) -> None:
    store = AnswerStore(catalog)
    check = dataclasses.replace(event(question, "e1", "a.jpg"), policy="random", probability=0.25, blind=True)
    better = dataclasses.replace(event(question, "e2", "a.jpg", name="bathroom", person_id="bob"), policy="review")
    (first,) = store.record([check])
    assert store.provenance(question.id)["a.jpg"][:3] == ("random", 0.25, True)
    store.record([better])
    how = store.provenance(question.id)["a.jpg"]
    assert (how.policy, how.probability, how.person_id) == ("review", None, "bob")
    # a check whose answer was corrected is a check still
    assert store.random_checks(question.id)["a.jpg"].seq == first.seq
    store.record([undo(question, "u2", "a.jpg", "e2", "bob")])
    assert store.provenance(question.id)["a.jpg"].seq == first.seq
    store.record([undo(question, "u1", "a.jpg", "e1")])
    assert store.provenance(question.id) == store.random_checks(question.id) == {}


def test_a_snapshot_never_changes_and_is_made_once(catalog: Catalog, question: Question) -> None:
    store = AnswerStore(catalog)
    store.record([event(question, "e1", "a.jpg")])
    before, seq = store.current_with_seq(question.id)
    assert store.current_with_seq(question.id)[0] is before
    with pytest.raises(TypeError):
        before["x"] = before["a.jpg"]  # type: ignore[index]
    store.record([event(question, "e2", "b.jpg")])
    after, later = store.current_with_seq(question.id)
    assert (list(before), list(after)) == (["a.jpg"], ["a.jpg", "b.jpg"])
    assert later > seq


def test_a_batch_is_taken_back_and_given_again_at_once(
    catalog: Catalog, elsewhere: Catalog, question: Question
) -> None:
    store = AnswerStore(catalog)
    bulk = [dataclasses.replace(event(question, f"e{i}", f"{i}.jpg"), batch_id="b1") for i in range(1_200)]
    store.record([event(question, "before", "0.jpg", name="bathroom"), *bulk])
    bobs = dataclasses.replace(event(question, "bob", "bob.jpg", person_id="bob"), batch_id="b1")
    store.record([bobs, undo(question, "single", "5.jpg", "e5")])
    done = store.undo_batch(question.id, "b1", "ann", "u1")
    assert len(done) == 1_199  # one had been taken back already
    assert names(catalog, question) == {"0.jpg": "bathroom", "bob.jpg": "kitchen"}
    again = AnswerStore(elsewhere).undo_batch(question.id, "b1", "ann", "u1")  # a retry, at another process
    assert again == [dataclasses.replace(one, duplicate=True) for one in done]
    assert store.undo_batch(question.id, "b1", "ann", "u2") == []  # nothing stands any more
    redone = store.undo_batch(question.id, "u1", "ann", "r1")
    assert len(redone) == 1_199
    assert store.undo_batch(question.id, "u1", "ann", "r1") == [dataclasses.replace(r, duplicate=True) for r in redone]
    found = names(catalog, question)
    assert len(found) == 1_200  # 0 to 1199 without 5, and bob's
    assert "5.jpg" not in found
    assert found["0.jpg"] == "kitchen"
    assert len(store.history(question.id)) == 1 + 1_200 + 2 + 1_199 + 1_199
    assert len(store.undo_batch(question.id, "b1", "ann", "u3")) == 1_199


def test_a_batch_that_is_not_ones_own_is_left_alone(catalog: Catalog, question: Question) -> None:
    store = AnswerStore(catalog)
    store.record([dataclasses.replace(event(question, "e1", "a.jpg"), batch_id="b1")])
    for batch, person, event_id, reason in [
        ("b1", "bob", "u1", "no answers of yours"),
        ("b2", "ann", "u1", "no answers of yours"),
        ("b1", "ann", "b1", "belongs to other answers"),
        ("b1", "ann", "", "is empty"),
        ("", "ann", "u1", "is empty"),
        ("b1", "ann", "a\0b", "without NUL"),
    ]:
        with pytest.raises(BadInput, match=reason):
            store.undo_batch(question.id, batch, person, event_id)
    with pytest.raises(NotFound):
        store.undo_batch("nothing", "b1", "ann", "u1")
    assert len(store.history(question.id)) == 1
    store.undo_batch(question.id, "b1", "ann", "u1")
    with pytest.raises(BadInput, match="belongs to other answers"):
        store.undo_batch(question.id, "b1", "bob", "u1")

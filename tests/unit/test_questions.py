"""Questions and their classes keep their ids whatever they are called, and no change to them loses an answer."""

import pytest

from explorer.catalog.database import Catalog
from explorer.errors import BadInput, NotFound
from explorer.learning.answers import AnswerEvent, AnswerStore, Value
from explorer.learning.questions import Question, QuestionStore
from explorer.learning.standing import count


@pytest.fixture
def store(either_catalog: Catalog) -> QuestionStore:
    return QuestionStore(either_catalog)


@pytest.fixture
def answers(either_catalog: Catalog) -> AnswerStore:
    return AnswerStore(either_catalog)


def names_of(question: Question) -> list[str]:
    return [one.name for one in question.classes]


def answer(answers: AnswerStore, question: Question, uid: str, name: str, value: Value = "yes") -> int:
    """By the name of the class as `question` has it. Returns the number of the event."""
    event_id = f"{question.id}{uid}{name}{answers.latest_seq(question.id)}"
    event = AnswerEvent(event_id, question.id, uid, value, question.class_named(name).id, person_id="ann")
    return answers.record([event])[0].seq


def said(store: QuestionStore, answers: AnswerStore, question_id: str) -> dict[str, str]:
    names = {one.id: one.name for one in store.get(question_id).classes}
    return {uid: names[each.class_id or ""] for uid, each in answers.current(question_id).items()}


def test_a_question_comes_back_as_it_was_made(store: QuestionStore) -> None:
    made = store.create("photos", "  Which   room? ", ["kitchen", "bathroom"], note="interiors only")
    assert made.name == "Which room?"
    assert [one.name for one in made.classes] == ["kitchen", "bathroom"]
    assert store.get(made.id) == made
    assert list(store.list("photos")) == [made]
    assert list(store.list("other")) == []


def test_names_must_be_there_and_differ(store: QuestionStore) -> None:
    store.create("photos", "Room", ["kitchen", "bathroom"])
    store.create("other", "Room", ["kitchen", "bathroom"])
    for name, classes, reason in [
        ("room", ["a", "b"], "already"),
        ("  ", ["a", "b"], "needs a name"),
        ("x" * 201, ["a", "b"], "201 characters"),
        ("New", ["a", "A"], "named twice"),
        ("New", ["a", ""], "needs a name"),
        ("New", [str(i) for i in range(201)], "200 classes"),
    ]:
        with pytest.raises(BadInput, match=reason):
            store.create("photos", name, classes)
    assert len(store.list("photos")) == 1


def test_classes_are_added_and_renamed_under_the_same_id(store: QuestionStore) -> None:
    made = store.create("photos", "Room", ["kitchen", "bathroom"])
    added = store.add_class(made.id, "cellar", note="below ground")
    renamed = store.rename_class(made.id, made.classes[0].id, "Kitchen")
    assert renamed.id == made.classes[0].id
    found = store.get(made.id)
    assert [one.name for one in found.classes] == ["Kitchen", "bathroom", "cellar"]
    assert found.class_named("cellar") == added
    with pytest.raises(BadInput, match="named twice"):
        store.add_class(made.id, "Cellar")
    with pytest.raises(BadInput, match="named twice"):
        store.rename_class(made.id, added.id, "bathroom")
    with pytest.raises(NotFound):
        store.rename_class(made.id, "nothing", "attic")
    with pytest.raises(NotFound):
        found.class_named("attic")


def test_a_question_is_renamed_put_away_and_fetched_back(store: QuestionStore) -> None:
    made = store.create("photos", "Room", ["kitchen"])
    assert store.rename(made.id, "Which room?").name == "Which room?"
    store.archive(made.id)
    assert list(store.list("photos")) == []
    assert [one.id for one in store.list("photos", archived=True)] == [made.id]
    store.create("photos", "Which room?", ["a", "b"])
    with pytest.raises(BadInput, match="already"):
        store.archive(made.id, archived=False)


def test_an_unknown_question_is_not_found(store: QuestionStore) -> None:
    with pytest.raises(NotFound, match="nothing"):
        store.get("nothing")
    with pytest.raises(NotFound):
        store.add_class("nothing", "x")


def test_none_of_these_is_an_answer_of_its_own(store: QuestionStore) -> None:
    made = store.create("photos", "Room", ["kitchen", "bath"], none_class="None of these")
    assert names_of(made) == ["kitchen", "bath", "None of these"]
    assert made.none_class == made.class_named("None of these")
    assert store.get(made.id) == made
    there = store.create("photos", "Other room", ["Other", "kitchen"], none_class="other")
    assert [(one.name, one.none) for one in there.classes] == [("Other", True), ("kitchen", False)]
    moved = store.set_none_class(there.id, there.class_named("kitchen").id)
    assert [one.none for one in moved.classes] == [False, True]
    assert store.set_none_class(there.id, None).none_class is None
    for kind, reason in [("attributes", "no attribute"), ("grades", "order of grades"), ("ranking", "no kind")]:
        with pytest.raises(BadInput, match=reason):
            store.create("photos", kind, ["a", "b"], kind=kind, none_class="none")


def test_grades_keep_the_order_that_they_are_put_in(store: QuestionStore) -> None:
    made = store.create("photos", "Condition", ["good", "poor", "fair"], kind="grades")
    assert made.kind == "grades"
    good, poor, _ = made.class_ids
    assert names_of(store.move_class(made.id, poor, 2)) == ["good", "fair", "poor"]
    assert names_of(store.move_class(made.id, good, 99)) == ["fair", "poor", "good"]
    found = store.move_class(made.id, good, -1)
    assert [(one.name, one.position) for one in found.classes] == [("good", 0), ("fair", 1), ("poor", 2)]


def test_a_note_and_examples_say_what_counts(store: QuestionStore) -> None:
    made = store.create("photos", "Room", ["kitchen", "bath"])
    kitchen = made.class_ids[0]
    store.set_class_note(made.id, kitchen, " A hob is enough. ")
    store.set_examples(made.id, kitchen, ["a.jpg", "b/ü.jpg", "a.jpg"])
    found = store.get(made.id).classes[0]
    assert (found.note, found.examples) == ("A hob is enough.", ("a.jpg", "b/ü.jpg"))
    for uids, reason in [(["x"] * 2 + [str(i) for i in range(24)], "25 examples"), ([""], "name of a picture")]:
        with pytest.raises(BadInput, match=reason):
            store.set_examples(made.id, kitchen, uids)
    with pytest.raises(BadInput, match="4,001 characters"):
        store.set_class_note(made.id, kitchen, "x" * 4_001)
    assert store.get(made.id).classes[0] == found


def test_settings_are_kept_one_by_one(store: QuestionStore) -> None:
    made = store.create("photos", "Room", ["a"])
    store.set_settings(made.id, threshold=0.8, target={"recall": 0.95})
    assert store.set_settings(made.id, threshold=None, seen=True).settings == {"target": {"recall": 0.95}, "seen": True}


def test_merged_classes_count_as_one_and_come_apart_again(store: QuestionStore, answers: AnswerStore) -> None:
    made = store.create("photos", "Room", ["kitchen", "bath", "shower"])
    _, bath, shower = made.class_ids
    answer(answers, made, "1", "kitchen")
    answer(answers, made, "2", "bath")
    answer(answers, made, "3", "shower")
    assert said(store, answers, made.id) == {"1": "kitchen", "2": "bath", "3": "shower"}
    merged = store.merge_classes(made.id, shower, bath, "ann")
    assert names_of(merged) == ["kitchen", "bath"]
    answer(answers, made, "4", "shower")  # from a page that does not know yet
    answer(answers, merged, "5", "bath")
    assert said(store, answers, made.id) == {"1": "kitchen", "2": "bath", "3": "bath", "4": "bath", "5": "bath"}
    assert answers.by_person(made.id)["3", "ann"].class_id == bath
    assert {entry.event.class_id for entry in answers.history(made.id)} == set(made.class_ids)
    # once more, over two steps
    attic = store.add_class(made.id, "wet rooms").id
    store.merge_classes(made.id, bath, attic, "bob")
    assert said(store, answers, made.id)["3"] == "wet rooms"
    undoable = {(one.name, one.into, one.person_id) for one in store.merged(made.id)}
    assert undoable == {("shower", bath, "ann"), ("bath", attic, "bob")}
    store.unmerge(made.id, bath)
    assert names_of(store.unmerge(made.id, shower)) == ["kitchen", "bath", "shower", "wet rooms"]
    apart = {"1": "kitchen", "2": "bath", "3": "shower", "4": "shower", "5": "bath"}
    assert said(store, answers, made.id) == apart
    assert list(store.merged(made.id)) == []


def test_a_merging_that_makes_no_sense_is_refused(store: QuestionStore) -> None:
    made = store.create("photos", "Room", ["kitchen", "bath", "shower"], none_class="none")
    kitchen, bath, shower, none = made.class_ids
    other = store.create("photos", "Other", ["a"])
    with pytest.raises(BadInput, match="into itself"):
        store.merge_classes(made.id, bath, bath, "ann")
    for one, into in [(bath, other.class_ids[0]), (other.class_ids[0], bath), ("x", bath)]:
        with pytest.raises(NotFound):
            store.merge_classes(made.id, one, into, "ann")
    store.merge_classes(made.id, shower, bath, "ann")
    for one, into in [(bath, shower), (shower, kitchen)]:  # a circle; what was merged already
        with pytest.raises(NotFound, match="any more"):
            store.merge_classes(made.id, one, into, "ann")
    with pytest.raises(NotFound, match="not merged"):
        store.unmerge(made.id, bath)
    # its name is free meanwhile; two classes of one name never stand side by side
    new = store.add_class(made.id, "SHOWER")
    with pytest.raises(BadInput, match="another class 'shower'"):
        store.unmerge(made.id, shower)
    store.rename_class(made.id, new.id, "hose")
    assert "shower" in names_of(store.unmerge(made.id, shower))
    assert store.merge_classes(made.id, none, kitchen, "ann").none_class is None
    restored = store.unmerge(made.id, none).none_class
    assert restored is not None
    assert restored.id == none


def test_splitting_adds_classes_and_says_what_to_ask_again(store: QuestionStore, answers: AnswerStore) -> None:
    made = store.create("photos", "Room", ["kitchen", "bath"])
    answer(answers, made, "1", "kitchen")
    answer(answers, made, "2", "kitchen")
    answer(answers, made, "3", "bath")
    split = store.split_class(made.id, made.class_ids[0], ["galley", "eat-in kitchen"])
    assert split.uids == ("1", "2")
    now = store.get(made.id)
    assert [(one.name, one.position) for one in now.classes] == [
        ("kitchen", 0),
        ("galley", 1),
        ("eat-in kitchen", 2),
        ("bath", 3),
    ]
    assert split.classes == now.classes[1:3]
    answer(answers, now, "1", "galley")
    assert said(store, answers, made.id) == {"1": "galley", "2": "kitchen", "3": "bath"}
    for names, reason in [([], "Name the classes"), (["a", "A"], "twice"), (["BATH"], "twice")]:
        with pytest.raises(BadInput, match=reason):
            store.split_class(made.id, made.class_ids[0], names)
    assert store.get(made.id) == now


def test_splitting_an_attribute_asks_again_where_it_is_true(store: QuestionStore, answers: AnswerStore) -> None:
    made = store.create("photos", "What is on it?", ["animal", "person"], kind="attributes")
    answer(answers, made, "1", "animal")
    answer(answers, made, "2", "animal", "no")
    answer(answers, made, "3", "person")
    assert store.split_class(made.id, made.class_ids[0], ["dog", "cat"]).uids == ("1",)


def test_a_class_with_answers_is_not_removed_but_an_unused_one_is(store: QuestionStore, answers: AnswerStore) -> None:
    made = store.create("photos", "Room", ["kitchen", "bath", "shower", "attic"])
    kitchen, bath, shower, attic = made.class_ids
    answer(answers, made, "1", "bath")
    with pytest.raises(BadInput, match=r"'bath' has an answer on record.*merge it"):
        store.remove_class(made.id, bath)
    store.merge_classes(made.id, shower, attic, "ann")
    with pytest.raises(BadInput, match="'shower' was merged into 'attic'"):
        store.remove_class(made.id, attic)
    assert names_of(store.remove_class(made.id, kitchen)) == ["bath", "attic"]
    with pytest.raises(NotFound):
        store.remove_class(made.id, kitchen)
    with pytest.raises(BadInput, match="does not belong"):
        answer(answers, made, "2", "kitchen")
    assert said(store, answers, made.id) == {"1": "bath"}


def test_a_question_never_has_more_classes_than_it_can_show(store: QuestionStore) -> None:
    made = store.create("photos", "Many", [str(i) for i in range(199)])
    merged = store.add_class(made.id, "last")
    with pytest.raises(BadInput, match="200 classes"):
        store.add_class(made.id, "one more")
    store.merge_classes(made.id, merged.id, made.class_ids[0], "ann")
    store.add_class(made.id, "one more")
    with pytest.raises(BadInput, match="200 classes"):
        store.unmerge(made.id, merged.id)


def test_answers_for_pictures_that_are_gone_are_kept_and_counted_apart(
    store: QuestionStore, answers: AnswerStore
) -> None:
    made = store.create("photos", "Room", ["kitchen", "bath"])
    answer(answers, made, "1", "kitchen")
    answer(answers, made, "2", "kitchen")
    answers.record([AnswerEvent("s", made.id, "3", "skip"), AnswerEvent("u", made.id, "4", "unsure")])
    counts = count(answers.current(made.id), {"1", "3", "9"})
    assert (counts.answered, counts.gone) == (2, 2)
    assert counts.by_class == {made.class_ids[0]: 1}
    assert (counts.skipped, counts.unsure, counts.unusable) == (1, 0, 0)

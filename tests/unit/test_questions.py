"""Questions and their classes keep their ids whatever they are called."""

from pathlib import Path

import pytest

from explorer.catalog.database import Catalog
from explorer.errors import BadInput, NotFound
from explorer.learning.questions import QuestionStore


@pytest.fixture
def store(tmp_path: Path) -> QuestionStore:
    return QuestionStore(Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}"))


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

"""Who is handed what: nobody the same picture at the same time, unless several are wanted; on both databases."""

import threading
from collections import Counter

import pytest

from explorer.catalog.database import Catalog
from explorer.errors import BadInput
from explorer.learning import claims as claims_module
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.claims import ClaimStore, check_overlap, overlap_of
from explorer.learning.questions import Question, QuestionStore
from explorer.learning.together import Bulletin

UIDS = [f"{n}.jpg" for n in range(12)]


@pytest.fixture
def question(either_catalog: Catalog) -> Question:
    return QuestionStore(either_catalog).create("photos", "Which room?", ["kitchen", "bathroom"])


def _clock(monkeypatch: pytest.MonkeyPatch, catalog: Catalog) -> list[float]:
    later = [0.0]
    now = catalog.now
    monkeypatch.setattr(catalog, "now", lambda connection: now(connection) + later[0])
    return later


def test_what_one_holds_nobody_else_is_handed(
    either_catalog: Catalog, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = _clock(monkeypatch, either_catalog)
    store = ClaimStore(either_catalog)
    assert store.take(question.id, "ann", UIDS[:4]) == UIDS[:4]
    assert store.take(question.id, "bob", UIDS[2:6]) == UIDS[4:6]
    assert store.others(question.id, "bob") == {uid: {"ann"} for uid in UIDS[:4]}
    assert Bulletin(either_catalog).stand(question.id).here == {"ann", "bob"}
    # what is still on the screen stays held, what is not is free again
    assert store.take(question.id, "ann", UIDS[6:8], keep=[UIDS[0], UIDS[4]]) == UIDS[6:8]
    assert set(store.others(question.id, "bob")) == {UIDS[0], *UIDS[6:8]}
    later[0] += 40
    store.refresh(question.id, "ann")
    later[0] += 40
    assert set(store.others(question.id, "")) == {UIDS[0], *UIDS[6:8]}, "bob's have lapsed, ann's were refreshed"
    store.refresh(question.id, "bob")
    assert Bulletin(either_catalog).stand(question.id).here == {"ann"}, "what has lapsed is not fetched back"
    later[0] += 61
    assert store.take(question.id, "bob", UIDS) == UIDS
    later[0] -= 3_600
    assert store.take(question.id, "ann", UIDS) == UIDS, "a clock that was set back holds nothing for an hour"


def test_with_overlap_a_picture_goes_to_as_many_people_as_wanted(either_catalog: Catalog, question: Question) -> None:
    store, answers = ClaimStore(either_catalog), AnswerStore(either_catalog)
    kitchen = question.class_ids[0]
    (first,) = answers.record([AnswerEvent("e1", question.id, UIDS[0], "yes", kitchen, person_id="ann")])
    answered = {UIDS[0]: {"ann"}}
    about = {"overlap": 2, "answered": answered, "since": first.seq}
    assert store.take(question.id, "ann", UIDS[:2], **about) == UIDS[1:2], "never twice to one person"
    assert store.take(question.id, "bob", UIDS[:2], **about) == UIDS[:2]
    assert store.take(question.id, "eve", UIDS[:2], **about) == [], "two have or had each of them"
    # an answer that came after the answers were read counts, too
    answers.record([AnswerEvent("e2", question.id, UIDS[5], "yes", kitchen, person_id="bob")])
    assert store.take(question.id, "eve", UIDS[5:7], since=first.seq) == UIDS[6:7]


def test_many_at_once_through_connections_of_their_own(
    database_url: str, either_catalog: Catalog, question: Question
) -> None:
    """Eight people ask for the same twelve pictures at the same time, as from several servers."""
    got: dict[str, list[str]] = {}
    start = threading.Barrier(8)

    def ask(person: str) -> None:
        catalog = Catalog.open(database_url)
        start.wait()
        got[person] = ClaimStore(catalog).take(question.id, person, UIDS, overlap=2)
        catalog.close()

    threads = [threading.Thread(target=ask, args=(f"p{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(uid for uids in got.values() for uid in uids) == dict.fromkeys(UIDS, 2)


def test_the_overlap_is_one_to_three(either_catalog: Catalog, question: Question) -> None:
    questions = QuestionStore(either_catalog)
    assert overlap_of(question) == 1
    assert overlap_of(questions.set_settings(question.id, overlap=3)) == 3
    assert overlap_of(questions.set_settings(question.id, overlap="many")) == 1
    assert check_overlap(claims_module.MOST_OVERLAP) == 3
    for wrong in (0, 4, True):
        with pytest.raises(BadInput, match="1 to 3 people"):
            check_overlap(wrong)

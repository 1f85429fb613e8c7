"""Several people at one question: whose answer holds, what is learnt, what is decided, what each is handed and told."""

import uuid
from typing import Any

import numpy as np
import pytest

from explorer.catalog.database import Catalog
from explorer.errors import BadInput, Refused
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.questions import Question, QuestionStore
from explorer.learning.standing import RESOLVE, WHOLE
from explorer.learning.together import names_of, progress
from explorer.sharing.access import Grant, Person, Scope
from explorer.web import answering, together
from explorer.web.handing import hand_out
from explorer.web.runtime import Runtime, runtime


def guest(name: str, role: str = "label") -> Person:
    return Person(name, name, (Grant(role, Scope("demo")),))


@pytest.fixture
def catalog(tmp_path: Any) -> Any:
    made = Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")
    yield made
    made.close()


class Case:
    def __init__(self, catalog: Catalog, kind: str = "classes") -> None:
        self.answers = AnswerStore(catalog)
        self.question = QuestionStore(catalog).create("photos", "What is it?", ["cat", "dog", "cow"], kind=kind)
        self.ids = {one.name: one.id for one in self.question.classes}
        self.names = {one.id: one.name for one in self.question.classes}

    def says(self, person: str, uid: str, name: str, value: Any = "yes", policy: str = "", undoes: str = "") -> str:
        event = str(uuid.uuid4())
        about = {"person_id": person, "policy": policy, "undoes": undoes or None}
        self.answers.record([AnswerEvent(event, self.question.id, uid, value, self.ids.get(name), **about)])
        return event

    def holds(self, uid: str) -> str:
        return self.names[self.answers.current(self.question.id)[uid].class_id or ""]


def test_what_most_say_holds_and_of_a_tie_nothing_is_learnt(catalog: Catalog) -> None:
    case = Case(catalog)
    case.says("ann", "1", "cat")
    case.says("bob", "1", "dog")
    assert case.answers.apart(case.question.id) == {"1": {WHOLE}}, "one against one: a tie"
    case.says("eve", "1", "cat")
    case.says("bob", "1", "dog")
    assert case.holds("1") == "cat", "two against one, though the one came last"
    assert case.answers.apart(case.question.id) == {"1": frozenset()}, "they differ still, and the most hold"
    case.says("bob", "2", "dog")
    case.says("ann", "2", "", value="unsure")
    assert case.holds("2") == "dog", "who is unsure contradicts nobody"
    assert set(case.answers.apart(case.question.id)) == {"1"}


def test_a_decision_holds_until_it_is_taken_back_and_is_nobodys_own_answer(catalog: Catalog) -> None:
    case = Case(catalog)
    case.says("ann", "1", "cat")
    case.says("bob", "1", "dog")
    skipped = case.says("ann", "1", "", value="skip", policy=RESOLVE)
    case.says("ann", "1", "", value="undo", policy=RESOLVE, undoes=skipped)
    case.says("ann", "1", "", value="skip", policy=RESOLVE)
    assert case.answers.apart(case.question.id) == {"1": {WHOLE}}, "who skips a decision decides nothing"
    event = case.says("ann", "1", "cow", policy=RESOLVE)
    case.says("bob", "1", "dog")
    assert (case.holds("1"), dict(case.answers.apart(case.question.id))) == ("cow", {})
    assert case.answers.decided(case.question.id)["1"].person_id == "ann"
    assert case.answers.provenance(case.question.id)["1"].policy == RESOLVE, "exports say that and by whom"
    own = {who: case.names[a.class_id or ""] for (_, who), a in case.answers.by_person(case.question.id).items()}
    assert own == {"ann": "cat", "bob": "dog"}
    with pytest.raises(BadInput, match="another person's"):
        case.says("eve", "1", "", value="undo", undoes=event)
    case.says("eve", "1", "", value="undo", policy=RESOLVE, undoes=event)
    assert set(case.answers.apart(case.question.id)) == {"1"}
    assert not case.answers.decided(case.question.id)


def test_of_attributes_each_is_voted_on_by_itself(catalog: Catalog) -> None:
    case = Case(catalog, "attributes")
    for person, dog in (("ann", "yes"), ("bob", "no"), ("eve", "no")):
        case.says(person, "1", "cat")
        case.says(person, "1", "dog", value=dog)
    case.says("ann", "1", "cow")
    case.says("bob", "1", "cow", value="no")
    said, _ = case.answers.attributes_with_seq(case.question.id)
    assert {case.names[c]: a.value for c, a in said["1"].items() if case.names[c] != "cow"} == {
        "cat": "yes",
        "dog": "no",
    }
    assert case.answers.apart(case.question.id) == {"1": {case.ids["cow"]}}, "dog is settled by the most, cow is a tie"
    case.says("eve", "1", "cow", policy=RESOLVE)
    assert set(case.answers.apart(case.question.id)) == {"1"}, "about dog they differ still"
    case.says("eve", "1", "dog", policy=RESOLVE)
    said, _ = case.answers.attributes_with_seq(case.question.id)
    assert {case.names[c]: a.value for c, a in said["1"].items()} == {"cat": "yes", "dog": "yes", "cow": "yes"}
    assert not case.answers.apart(case.question.id)


def test_progress_is_by_name_and_for_all(catalog: Catalog) -> None:
    case = Case(catalog)
    for uid in "123":
        case.says("zoe", uid, "cat")
    case.says("ann", "1", "dog")
    case.says("ann", "2", "", value="skip")
    names = {"ann": "Ann", "zoe": "Zoe"}
    said, apart = case.answers.by_person(case.question.id), case.answers.apart(case.question.id)
    found = progress(said, apart, {}, names, overlap=2)
    assert [(each.name, each.answered, each.skipped) for each in found.people] == [("Ann", 2, 1), ("Zoe", 3, 0)]
    assert (found.answered, found.enough, found.apart) == (3, 2, 1)
    two = progress(said, apart, {}, {"ann": "Jo", "zoe": "Jo"})
    assert [each.name for each in two.people] == ["Jo (ann)", "Jo (zoe)"], "two of one name are told apart"
    assert names_of(catalog, "local")["local"] == "you"


@pytest.fixture
def rt(demo_copy: Any, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("EXPLORER_TOKEN", "secret-of-the-test")
    return runtime()


@pytest.fixture
def question(rt: Runtime) -> Question:
    return rt.questions.create("demo", "Is it alive?", ["alive", "not alive"])


def _asks(rt: Runtime, person: Person, question: Question, **more: str) -> dict[str, Any]:
    query = {"question": question.id, "space": rt.space_keys("demo")[0].key} | more
    return answering.batch(rt, person, "demo", query)


def _answers(rt: Runtime, person: Person, question: Question, uids: list[str], place: int = 0, **more: Any) -> int:
    events = [
        {
            "client_event_id": str(uuid.uuid4()),
            "uid": uid,
            "value": "yes",
            "class_id": question.class_ids[place],
            **more,
        }
        for uid in uids
    ]
    told = answering.record(rt, person, "demo", {"question": question.id, "events": events})
    return int(told["latest"])


def _uids(batch: dict[str, Any]) -> list[str]:
    return [item["uid"] for item in batch["items"]]


def test_two_people_are_handed_different_pictures_and_hear_of_each_other(rt: Runtime, question: Question) -> None:
    ann, bob = guest("ann"), guest("bob")
    space = rt.space("demo", rt.space_keys("demo")[0].key)
    for policy in ("useful", "random"):
        first, second = (_uids(_asks(rt, who, question, policy=policy, n="8")) for who in (ann, bob))
        assert len(first) == len(second) == 8
        assert not set(first) & set(second)
    before = rt.answers.latest_seq(question.id)
    _answers(rt, ann, question, first[:3])
    rt.bulletin = type(rt.bulletin)(rt.catalog)  # half a second later
    told = answering.news(rt, bob, "demo", {"question": question.id, "after": str(before)})
    assert (told["here"], told["others"], told["answered"]) == (2, True, 3)
    assert (told["done"], told["counts"][question.class_ids[0]]) == (sorted(first[:3]), 3)
    assert answering.news(rt, bob, "demo", {"question": question.id, "after": str(told["seq"])}) == {
        "seq": told["seq"],
        "here": 2,
    }
    assert not answering.news(rt, ann, "demo", {"question": question.id, "after": str(before)})["done"]
    anns = np.isin(space.uids, first)
    left = hand_out(rt, bob, question, space, "random", 8, anns, ())
    assert (left.picks, left.held) == ((), 5), "what ann holds and has not answered"
    assert len(space.uids) > 96


def test_with_overlap_the_others_pictures_come_until_enough_have_answered(rt: Runtime, question: Question) -> None:
    rt.questions.set_settings(question.id, overlap=2)
    ann, bob, eve = guest("ann"), guest("bob"), guest("eve")
    first = _uids(_asks(rt, ann, question, n="6"))
    _answers(rt, ann, question, first)
    assert not set(first) & set(_uids(_asks(rt, ann, question, n="12"))), "never one's own again"
    batch = _asks(rt, bob, question, n="12")
    second = [item["uid"] for item in batch["items"] if item["policy"] == "overlap"]
    assert second == first, "up to half are such as ann has answered"
    assert len(_uids(batch)) == 12
    after = _answers(rt, bob, question, second)
    assert not set(first) & set(_uids(_asks(rt, eve, question, n="12")))
    rt.bulletin = type(rt.bulletin)(rt.catalog)
    told = answering.news(rt, eve, "demo", {"question": question.id, "after": "0"})
    assert (told["seq"], told["done"]) == (after, sorted(first))


def test_what_people_differ_about_is_decided_by_those_who_may(rt: Runtime, question: Question) -> None:
    ann, bob, chief = guest("ann"), guest("bob"), guest("chief", "edit")
    space = rt.space("demo", rt.space_keys("demo")[0].key)
    uids = list(space.uids[:40])
    _answers(rt, ann, question, uids[:20], 0)
    _answers(rt, ann, question, uids[20:], 1)
    _answers(rt, bob, question, uids[18:22], 0)
    key = rt.space_keys("demo")[0].key
    learnt = rt.live.scores("demo", question.id, key).parts[0].rows
    assert set(learnt) == {row for row, uid in enumerate(space.uids) if uid in set(uids) - set(uids[20:22])}
    with pytest.raises(Refused, match="does not reach"):
        _asks(rt, bob, question, set="resolve:")
    with pytest.raises(Refused, match="does not reach"):
        _answers(rt, bob, question, uids[20:21], 0, policy=RESOLVE)
    queue = _asks(rt, chief, question, set="resolve:")
    assert set(_uids(queue)) == set(uids[20:22])
    assert queue["items"][0]["said"] == ["somebody (ann): not alive", "somebody (bob): alive"]
    bulk = {"bulk": {"of": "resolve", "id": ""}, "question": question.id, "space": key, "client_event_id": "x"}
    with pytest.raises(BadInput, match="picture by picture"):
        answering.record(rt, chief, "demo", bulk | {"class_id": question.class_ids[0]})
    _answers(rt, chief, question, uids[20:21], 0, policy=queue["policy"])
    assert _uids(_asks(rt, chief, question, set="resolve:")) == uids[21:22]
    part = rt.live.scores("demo", question.id, key).parts[0]
    assert part.y[list(part.rows).index(space.rows[uids[20]])] == 0, "it is learnt as it was decided"
    with pytest.raises(Refused):
        together.take_back(rt, ann, question, uids[20])
    together.take_back(rt, guest("deputy", "edit"), question, uids[20])
    assert set(rt.answers.apart(question.id)) == set(uids[20:22])


def test_while_several_answer_a_fit_serves_many_presses(rt: Runtime, question: Question) -> None:
    ann, bob = guest("ann"), guest("bob")
    key = rt.space_keys("demo")[0].key
    uids = list(rt.space("demo", key).uids)
    _answers(rt, ann, question, uids[:10], 0)
    seq = _answers(rt, ann, question, uids[10:20], 1)
    assert rt.live.order("demo", question.id, key, n=5, after_seq=seq).scores.seq == seq
    alone = _answers(rt, ann, question, uids[20:21], 0)
    assert rt.live.order("demo", question.id, key, n=5, after_seq=alone).scores.seq == alone, "alone one never waits"
    both = _answers(rt, bob, question, uids[21:22], 0)
    rt.live.scores("demo", question.id, key, both)
    later = _answers(rt, ann, question, uids[22:23], 0)
    slot = rt.live._slot(("demo", question.id, key))
    slot.young_until += 60
    assert rt.live.order("demo", question.id, key, n=5, after_seq=later).scores.seq == both
    assert not set(_uids(_asks(rt, ann, question, n="40"))) & {uids[22]}, "nor is one asked again what came since"
    assert rt.live.scores("demo", question.id, key, later).seq == later, "who must know is not put off"
    assert np.isfinite(rt.live.scores("demo", question.id, key).probabilities).all()


def test_a_filter_tells_nothing_to_who_may_only_label(rt: Runtime, question: Question) -> None:
    cy = Person("cy", "cy", (Grant("label", Scope("demo", question.id)),))
    nothing = '{"words":"there is no such caption"}'
    assert not _asks(rt, guest("ann", "edit"), question, f=nothing)["items"]
    assert _asks(rt, cy, question, f=nothing)["items"]
    space = rt.space_keys("demo")[0].key
    message = {"question": question.id, "space": space, "filter": nothing, "bulk": {"cluster": 0, "method": "kmeans"}}
    with pytest.raises(Refused):
        answering.record(rt, cy, "demo", {**message, "dry": True})

"""The Results page without a browser: with answers and without, of every kind of question, and its files."""

import json

import numpy as np
import pytest

from explorer.collection.dataset import Dataset
from explorer.learning.answers import AnswerEvent
from explorer.learning.judgement import Judgement
from explorer.learning.questions import Question
from explorer.web.components.threshold import slider_data
from explorer.web.downloads import sheet_of
from explorer.web.listed import around, list_items, listed
from explorer.web.reporting import report_of
from explorer.web.runtime import Runtime, runtime
from explorer.web.settings import of_classes
from tests.app.test_pages import opened, owner, said  # noqa: F401

ALIVE = ("animals", "people", "plants")


def answered(rt: Runtime, kind: str = "classes", count: int = 80, policy: str = "random") -> Question:
    """ "Is it alive?" with answers as the folders say, but for four."""
    space = rt.space("demo", rt.space_keys("demo")[0].key)
    names = ["person", "alive"] if kind == "attributes" else ["not alive", "alive"]
    question = rt.questions.create("demo", "Is it alive?", names, kind=kind)
    rows = np.random.default_rng(0).choice(len(space.uids), count, replace=False)
    events = []
    for at, row in enumerate(rows):
        uid = space.uids[row]
        alive = uid.startswith(ALIVE) != (at < 4)
        given = [("yes", int(alive))]
        if kind == "attributes":
            given = [("yes" if uid.startswith("people") else "no", 0), ("yes" if alive else "no", 1)]
        events += [
            AnswerEvent(
                f"{question.id}:{at}:{place}", question.id, uid, value, class_id=question.class_ids[place],  # type: ignore[arg-type]
                policy=policy if at % 2 else "useful", probability=0.1, person_id="local", batch_id=f"{at}",
            )
            for value, place in given
        ]  # fmt: skip
    rt.answers.record(events)
    return question


def judgement(rt: Runtime, question: Question, attribute: str = "") -> Judgement:
    return rt.live.judgement("demo", question.id, rt.space_keys("demo")[0].key, attribute)


def test_before_anything_was_answered_the_page_says_what_to_do(demo_copy):
    app = opened("results", d="demo")
    assert not app.exception
    assert "Nothing has been asked yet" in said(app)
    assert any(button.label == "Ask a question" for button in app.button)
    runtime().questions.create("demo", "Is it alive?", ["not alive", "alive"])
    app = opened("results", d="demo")
    assert not app.exception
    assert "Too early to say" in said(app)
    assert any(button.label == "Label some pictures" for button in app.button)


@pytest.mark.parametrize("kind", ["classes", "grades", "attributes"])
def test_a_question_of_every_kind_is_judged(demo_copy, kind):
    answered(runtime(), kind)
    app = opened("results", d="demo")
    assert not app.exception
    assert not app.error
    words = said(app)
    for said_of in (
        "right on pictures like",
        "Of all 1,470 pictures",
        "more labels would probably",
        "as it stands after",
    ):
        assert said_of in words.replace("\\", ""), said_of
    assert ("grades off" in words.replace("\\", "")) == (kind == "grades")
    labels = [button.label for button in app.button]
    assert any(label.startswith("Keep “") for label in labels)
    assert "Compare the methods" in labels


def test_few_answers_and_no_checks_are_said_plainly(demo_copy):
    answered(runtime(), count=14, policy="useful")
    app = opened("results", d="demo")
    assert not app.exception
    assert "rests on only 14 answers" in said(app)
    assert "Do 20 random checks" in [button.label for button in app.button]


def test_a_part_that_fails_leaves_the_rest(demo_copy, monkeypatch):
    answered(runtime())
    monkeypatch.setattr(Judgement, "threshold", lambda *_: 1 / 0)
    app = opened("results", d="demo")
    assert not app.exception
    assert [error.value for error in app.error] == [
        "This part could not be worked out; the rest of the page stands. The server's log says why."
    ]
    assert any(button.key in ("finish-check", "finish-review") for button in app.button)


def test_a_second_look_that_is_kept_is_an_answer_of_its_own(demo_copy):
    rt = runtime()
    question = answered(rt)
    app = opened("results", d="demo")
    before = rt.answers.latest_seq(question.id)
    change = next(button for button in app.button if button.label.startswith("Change to “"))
    was = {one: answer.class_id for one, answer in rt.answers.current(question.id).items()}
    app = change.click().run()
    assert not app.exception
    assert rt.answers.latest_seq(question.id) == before + 1
    (changed,) = [one for one, answer in rt.answers.current(question.id).items() if answer.class_id != was[one]]
    assert str(change.key).endswith(changed)
    assert rt.answers.provenance(question.id)[changed].policy == "review"
    assert change.key not in [button.key for button in app.button]


def test_the_slider_is_fed_what_the_curve_says(demo_copy):
    rt = runtime()
    judged = judgement(rt, answered(rt))
    curve = judged.threshold(1)
    fed = json.loads(json.dumps(slider_data(curve, 0.5, "alive")))
    assert len(fed["thresholds"]) == len(fed["above"]) == len(fed["recall"][2]) <= 101
    above, precision, _ = curve.at(0.5)
    assert fed["above"][fed["at"]] == above
    assert abs(fed["precision"][1][fed["at"]] - precision.low) < 1e-3
    assert fed["recall"][0][fed["found"]] >= 0.95
    assert fed["right"] is None or fed["precision"][0][fed["right"]] >= 0.95


def test_the_list_goes_by_the_answers_first(demo_copy):
    rt = runtime()
    question = answered(rt)
    judged = judgement(rt, question)
    found = listed(judged, 1, 0.6)
    told = dict(zip(judged.part.rows.tolist(), judged.part.y.tolist(), strict=True))
    inside = set(found.rows.tolist())
    assert all((row in inside) == (y == 1) for row, y in told.items())
    assert found.taken_out > 0
    assert found.put_in > 0
    above = judged.threshold(1).at(0.6)[0]
    assert abs(len(found.rows) - (above + found.put_in - found.taken_out)) <= 60  # the curve has 101 points
    below, over = around(judged, 1, 0.6)
    shares = judged.scored.probabilities[:, 1]
    assert shares[below].max() < 0.6 <= shares[over].min()
    items = list_items(rt.dataset("demo"), judged, 1, 0.6)
    assert len(items) == len(found.rows)
    assert (items["answered"] == "yes").sum() == sum(told.values())


@pytest.mark.parametrize("kind", ["classes", "attributes"])
def test_the_report_says_what_was_chosen_on_the_page(demo_copy, kind):
    rt = runtime()
    question = answered(rt, kind)
    alive = question.class_ids[1]
    question = rt.questions.set_settings(question.id, thresholds={alive: 0.7, "gone": 1}, targets={alive: 0.9})
    assert of_classes(question, "thresholds") == {alive: 0.7}
    dataset: Dataset = rt.dataset("demo")
    report = report_of(rt, dataset, sheet_of(rt, dataset, question, {}), rt.space_keys("demo")[0].key)
    above = judgement(rt, question, alive if kind == "attributes" else "").threshold(1).at(0.7)[0]
    assert f"The list of “alive” holds {above:,} pictures (at least 70 % sure)" in report.threshold
    assert "are “alive”" in report.finish
    assert report.classes[1].in_collection is not None
    assert report.accuracy is not None
    assert "right on pictures like the ones you answered" in report.quality
    assert ("The weakest first. “" in report.quality) == (kind == "attributes")


def test_a_link_with_nonsense_falls_back_on_what_was_kept(demo_copy):
    rt = runtime()
    question = answered(rt)
    rt.questions.set_settings(
        question.id, thresholds={question.class_ids[0]: 0.8, question.class_ids[1]: "x"}, targets=3
    )
    for t in ("nan", "-1", "1e9", "<b>"):
        app = opened("results", d="demo", q=question.id, t=t, target="12", **{"class": "gone"})
        assert not app.exception
        assert not app.error
        count = len(listed(judgement(rt, question), 0, 0.8).rows)
        assert f"as it stands after your answers: {count:,} pictures" in said(app)
        assert next(box for box in app.get("button_group") if box.label == "How complete must it be?").value == "95"

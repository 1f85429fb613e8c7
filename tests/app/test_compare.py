"""The Compare page without a browser: before anything is answered, after it, and what its buttons do."""

import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from explorer.learning.answers import AnswerEvent
from explorer.learning.trials import TrialStore
from explorer.sharing.access import Person
from explorer.web import comparing, selections
from explorer.web.bulk import answer_many
from explorer.web.runtime import Runtime, runtime
from explorer.web.sets import picture_set
from tests.app.test_pages import opened, owner, said  # noqa: F401
from tests.app.test_results import answered


def settled(app: AppTest, seconds: float = 120) -> AppTest:
    """Run again until nothing is worked out in the background any more."""
    end = time.monotonic() + seconds
    while "hourglass" in said(app):
        assert time.monotonic() < end, said(app)
        time.sleep(0.2)
        app = app.run()
    assert not app.exception
    return app


def labels(app: AppTest) -> list[str]:
    return [str(button.label) for button in app.button]


def keys(rt: Runtime) -> dict[str, str]:
    """Title of a space to its key."""
    return {info.title: info.key for info in rt.space_keys("demo")}


def test_before_anything_is_answered_it_tells_what_each_groups_by(demo_copy):
    app = settled(opened("compare", d="demo"))
    words = said(app)
    assert "“What it shows” and “Colours” see this collection most differently" in words.replace("\\", "") or (
        "“Colours” and “What it shows” see this collection most differently" in words.replace("\\", "")
    )
    assert "puts pictures of the same folder together" in words.replace("\\", "")
    runtime().questions.create("demo", "Is it alive?", ["not alive", "alive"])
    app = settled(opened("compare", d="demo"))
    assert "Label some pictures" in labels(app)


@pytest.mark.parametrize("kind", ["classes", "grades", "attributes"])
def test_a_question_of_every_kind_is_compared(demo_copy, kind):
    rt = runtime()
    question = answered(rt, kind)
    app = settled(opened("compare", d="demo", q=question.id))
    assert not app.error
    words = said(app).replace("\\", "")
    assert "“What it shows”" in app.header[0].value.replace("\\", "")
    assert "Judged on 80 pictures that you answered one by one" in words
    assert "unanswered pictures, A and B name" in words
    assert "separate" in words
    assert len(app.get("plotly_chart")) >= 2
    trials = TrialStore(rt.catalog).list(question.id)
    assert {trial.features[0][0] for trial in trials} >= {"lite0", "colour"}
    assert all(trial.answers == 80 for trial in trials)
    assert {trial.attribute for trial in trials} == ({question.class_ids[0]} if kind == "attributes" else {""})


def test_the_way_that_is_clearly_better_is_recommended_and_taken(demo_copy):
    rt = runtime()
    space = rt.space("demo", keys(rt)["What it shows"])
    question = rt.questions.create("demo", "Which side?", ["left", "right"])
    # classes that a way of looking sees with its eyes shut: the two ends of its main direction
    ends = np.argsort(np.asarray(space.vectors) @ np.linalg.svd(space.vectors[:400], full_matrices=False)[2][0])
    rows = [*ends[:25], *ends[-25:]]
    events = [
        AnswerEvent(
            f"e{at}", question.id, space.uids[row], "yes", class_id=question.class_ids[at // 25], policy="random"
        )
        for at, row in enumerate(rows)
    ]
    rt.answers.record(events)
    app = settled(opened("compare", d="demo", q=question.id, s=keys(rt)["Colours"]))
    assert app.header[0].value.replace("\\", "").startswith("“What it shows” tells these apart better than “Colours”")
    app = settled(next(button for button in app.button if button.label == "Use this one").click().run())
    assert app.query_params["s"] == [keys(rt)["What it shows"]] or app.query_params["s"] == keys(rt)["What it shows"]
    assert "is what you use now" in said(app)


def test_what_is_not_computed_is_tried_on_the_answered_pictures_alone(demo_copy, monkeypatch):
    rt = runtime()
    question = answered(rt, count=40)
    monkeypatch.setattr(rt.jobs, "start_worker", lambda job: None)
    app = settled(opened("compare", d="demo", q=question.id))
    box = next(box for box in app.checkbox if box.label == "How it is made")
    app = settled(box.check().run())
    button = next(
        button for button in app.button if button.label.startswith("Try it on your 40 answered pictures (about")
    )
    button.click().run()
    (job,) = [job for job in rt.jobs.list("demo") if job.state == "queued"]
    assert job.args["extractors"] == ["style"]
    assert sorted(job.args["only"]) == sorted(rt.answers.current(question.id))
    assert job.args["build"] is False


def test_pictures_on_which_two_differ_are_answered_one_by_one(demo_copy):
    rt = runtime()
    question = answered(rt)
    dataset, space = rt.dataset("demo"), rt.space("demo", keys(rt)["What it shows"])
    kept = selections.save(rt.catalog, "demo", space.uids[:5], "two differ")
    named = picture_set(rt, dataset, space, question, f"differ:{kept}")
    assert (named.policy, named.words, named.rows.tolist()) == ("differ", "two differ", [0, 1, 2, 3, 4])
    whole = {"question": question.id, "space": space.key, "client_event_id": "many", "also_answered": True}
    answer_many(
        rt, Person.local_owner(), "demo",
        {**whole, "bulk": {"of": "differ", "id": kept}, "class_id": question.class_ids[0]},
    )  # fmt: skip
    ways = rt.answers.provenance(question.id)
    assert {ways[uid].policy for uid in space.uids[:5]} == {"selection"}, "many at once do not judge"
    app = settled(opened("compare", d="demo", q=question.id))
    app = next(button for button in app.button if button.label == "Answer these").click().run()
    assert not app.exception
    chosen = app.session_state["view"]["set"]
    assert chosen.startswith("differ:")
    rows = picture_set(rt, dataset, space, question, chosen).rows
    answered_rows = {space.rows[uid] for uid in rt.answers.current(question.id)}
    assert len(rows)
    assert not answered_rows & set(rows.tolist())


def test_work_in_the_background_is_done_once_and_its_error_is_told():
    calls = []
    key = ("test", time.monotonic())
    futures = [comparing.begin(key, lambda: calls.append(1) or 1 / 0) for _ in range(3)]
    assert len({id(future) for future in futures}) == 1
    with pytest.raises(ZeroDivisionError):
        futures[0].result(10)
    assert calls == [1]


def test_a_trial_is_taken_up_again(demo_copy):
    rt = runtime()
    question = answered(rt)
    app = settled(opened("compare", d="demo", q=question.id))
    app = settled(next(button for button in app.button if button.label == "On the answers of then").click().run())
    app = settled(next(button for button in app.button if button.key == "log-add").click().run())
    html = " ".join(str(each.proto.body) for each in app.get("html"))
    assert "on the answers of then" in html
    assert "with " in html
    assert any(len(trial.features) == 2 for trial in TrialStore(rt.catalog).list(question.id))

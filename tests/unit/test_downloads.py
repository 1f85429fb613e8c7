"""What a question is taken away as, asked for through the app's routes on the demo."""

import csv
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from explorer.learning.answers import AnswerEvent
from explorer.web import gate, routes
from explorer.web.runtime import Runtime, runtime

HOST = "http://127.0.0.1:8501"
LIVING = ("animals", "people", "plants")


@pytest.fixture
def rt(demo_copy, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("EXPLORER_TOKEN", "secret-of-the-test")
    return runtime()


@pytest.fixture
def client(rt: Runtime) -> TestClient:
    app = Starlette(routes=routes.ROUTES, middleware=[Middleware(gate.Gate, visitors=rt.visitors)])
    client = TestClient(app, base_url=HOST, raise_server_exceptions=False)
    client.get("/enter", params={"token": rt.token.secret}, follow_redirects=False)
    return client


@pytest.fixture
def asked(rt: Runtime) -> dict[str, str]:
    """A question with 12 answers, one of them unsure and one drawn by lot, and the space that sorts the rest."""
    question = rt.questions.create("demo", "Is it alive?", ["=alive()", "not/alive"])
    items = rt.dataset("demo").present()
    living = items["meta:folder"].isin(LIVING).to_numpy()
    rows = [*np.flatnonzero(living)[:240:40], *np.flatnonzero(~living)[:300:50]]
    events = [
        AnswerEvent(
            client_event_id=f"e{row}",
            question_id=question.id,
            uid=items["uid"][row],
            value="unsure" if row == rows[0] else "yes",
            class_id=None if row == rows[0] else question.class_ids[int(not living[row])],
            person_id="ann",
            policy="random" if row == rows[1] else f"likely:{question.class_ids[0]}",
            probability=0.25,
            blind=bool(row == rows[1]),
        )
        for row in rows
    ]
    rt.answers.record(events)
    return {"question": question.id, "space": rt.space_keys("demo")[0].key}


def _csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_three_formats_say_the_same(rt, client, asked):
    answers = {ending: client.get(f"/x/demo/answers.{ending}", params=asked) for ending in ("csv", "jsonl", "parquet")}
    for ending, answer in answers.items():
        assert answer.status_code == 200
        assert f'filename="Is it alive_ answers.{ending}"' in answer.headers["content-disposition"]
    table = pd.read_parquet(io.BytesIO(answers["parquet"].content))
    lines = [json.loads(line) for line in answers["jsonl"].text.splitlines()]
    rows = _csv(answers["csv"].content)
    assert len(table) == len(lines) == len(rows) == len(rt.dataset("demo").items)
    assert list(table) == list(lines[0]) == list(rows[0])

    said = table[table["answer"].notna()]
    assert said["answer"].value_counts().to_dict() == {"not/alive": 6, "=alive()": 5, "unsure": 1}
    assert set(said["answered_by"]) == {"ann"}
    assert sorted(said["chosen_by"].unique()) == ["likely: =alive()", "random"]
    assert said["blind"].sum() == 1
    assert (said["chosen_with"] == 0.25).all()
    assert table["guess"].isin(["=alive()", "not/alive"]).all()
    scores = table[["score =alive()", "score not/alive"]].to_numpy()
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=2e-4)
    assert (table["sure"] == (scores.max(axis=1) >= 0.9)).sum() > len(table) - 5, "but for what is rounded"

    for row, line, (_, whole) in zip(rows, lines, table.iterrows(), strict=True):
        assert line["uid"] == row["uid"] == whole["uid"]
        assert (line["answer"] or "") == row["answer"].removeprefix("'")
        assert line["guess"] == whole["guess"] == row["guess"].removeprefix("'")
        assert str(line["sure"]).lower() == row["sure"]
        assert float(row["score not/alive"]) == line["score not/alive"] == whole["score not/alive"]
    assert {row["guess"] for row in rows} == {"'=alive()", "not/alive"}, "a formula is kept from running"


def test_the_scores_are_those_of_the_live_classifier_and_sure_is_what_was_asked(rt, client, asked):
    text = client.get("/x/demo/answers.csv", params={**asked, "sure": "0.7"}).content
    scores = rt.live.scores("demo", asked["question"], asked["space"])
    for row in _csv(text)[::50]:
        own = scores.probabilities[scores.space.rows[row["uid"]]]
        assert float(row["score not/alive"]) == pytest.approx(own[1], abs=1e-4)
        assert row["sure"] == str(bool(own.max() >= 0.7)).lower()
    assert client.get("/x/demo/answers.csv", params={**asked, "sure": "2"}).status_code == 400


def test_without_a_space_there_are_answers_only(client, asked):
    rows = _csv(client.get("/x/demo/answers.csv", params={"question": asked["question"]}).content)
    assert "guess" not in rows[0]
    assert sum(row["answer"] != "" for row in rows) == 12


def test_a_folder_for_each_class(rt, client, asked):
    content = client.get("/x/demo/classes.zip", params={"question": asked["question"]}).content
    dataset = rt.dataset("demo")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        listed = _csv(archive.read("list.csv"))
        assert len(listed) == 11
        assert set(archive.namelist()) == {"list.csv", *(row["file"].removeprefix("'") for row in listed)}
        for row in listed:
            folder = {"'=alive()": "=alive()", "not/alive": "not_alive"}[row["answer"]]
            file = row["file"].removeprefix("'")
            assert file.split("/")[0] == folder
            assert archive.read(file) == dataset.source.read(row["path"])


def test_guesses_come_in_a_tree_of_their_own(rt, client, asked):
    said = client.get("/x/demo/classes.zip", params={**asked, "guessed": "0.8"})
    scores = rt.live.scores("demo", asked["question"], asked["space"])
    open_rows = scores.probabilities[~scores.answered]
    with zipfile.ZipFile(io.BytesIO(said.content)) as archive:
        names = [name for name in archive.namelist() if name != "list.csv"]
    folders = pd.Series([name.rpartition("/")[0] for name in names]).value_counts().to_dict()
    assert folders["answered/=alive()"] == 5
    assert folders["answered/not_alive"] == 6
    assert folders["guessed/=alive()"] == (open_rows[:, 0] >= 0.8).sum()
    assert folders["guessed/not_alive"] == (open_rows[:, 1] >= 0.8).sum()
    bare = client.get("/x/demo/classes.zip", params={"question": asked["question"], "guessed": "0.8"})
    assert "space" in bare.json()["error"]
    assert client.get("/x/demo/classes.zip", params={**asked, "guessed": "all"}).status_code == 400


def test_the_report_leaves_as_page_and_as_paper(rt, client, asked):
    said = {**asked, "class": rt.questions.get(asked["question"]).class_ids[0]}
    page = client.get("/x/demo/report.html", params=said)
    assert page.status_code == 200
    assert page.headers["content-disposition"].startswith("attachment")
    assert "Is it alive?" in page.text
    assert "This rests on only 11 answers." in page.text
    assert "pictures it names about" in page.text
    assert page.text.count("data:image/jpeg") >= 1
    assert "=alive()" in page.text.split('class="verdict"')[1].split("</p>")[0]
    paper = client.get("/x/demo/report.pdf", params=said)
    assert paper.content.startswith(b"%PDF-")
    assert paper.headers["content-type"] == "application/pdf"
    assert (
        "Nothing has been judged yet." in client.get("/x/demo/report.html", params={"question": said["question"]}).text
    )
    assert client.get("/x/demo/report.html", params={**said, "class": "other"}).status_code == 400


def test_several_attributes_leave_and_are_reported(rt, client):
    question = rt.questions.create("demo", "What is on it?", ["alive", "round"], kind="attributes")
    items = rt.dataset("demo").present()
    events = []
    for number, row in enumerate(range(0, 1500, 40)):
        alive = items["meta:folder"][row] in LIVING
        for place, true in enumerate((alive, number % 2 == 0)):
            event = AnswerEvent(
                client_event_id=f"a{row}-{place}",
                question_id=question.id,
                uid=items["uid"][row],
                value="yes" if true else "no",
                class_id=question.class_ids[place],
                person_id="ann",
                batch_id=f"b{row}",
            )
            events.append(event)
    rt.answers.record(events)
    said = {"question": question.id, "space": rt.space_keys("demo")[0].key}
    table = pd.read_parquet(io.BytesIO(client.get("/x/demo/answers.parquet", params=said).content))
    own = table[table["answer_value"].notna()]
    assert len(own) == 38
    assert own["is round"].sum() == 19
    both = own["is alive"].astype(bool) & own["is round"].astype(bool)
    assert set(own[both]["answer"]) == {"alive; round"}
    assert table["score alive"].between(0, 1).all()
    with zipfile.ZipFile(io.BytesIO(client.get("/x/demo/classes.zip", params=said).content)) as archive:
        names = archive.namelist()
    assert sum(name.startswith("round/") for name in names) == 19
    assert sum(name.startswith("alive/") for name in names) == own["is alive"].sum()
    page = client.get("/x/demo/report.html", params=said).text
    assert "several may be true of one picture" in page
    assert client.get("/x/demo/report.pdf", params=said).content.startswith(b"%PDF-")


def test_a_question_leaves_as_one_file(client, asked):
    said = client.get("/x/demo/question.json", params=asked)
    assert said.status_code == 200
    assert len(said.json()["events"]) == 12
    assert [one["name"] for one in said.json()["classes"]] == ["=alive()", "not/alive"]
    learnt = said.json()["classifier"]
    assert len(learnt["recipe"]["features"]) == 1, "it says which space it was trained in"
    alone = client.get("/x/demo/question.json", params={"question": asked["question"]}).json()
    assert alone["classifier"] is None


def test_what_is_not_there_is_said(client, asked):
    for name in (
        "answers.csv",
        "answers.jsonl",
        "answers.parquet",
        "classes.zip",
        "question.json",
        "report.html",
        "report.pdf",
    ):
        assert client.get(f"/x/demo/{name}").status_code == 400
        assert client.get(f"/x/demo/{name}", params={"question": "nothing"}).status_code == 404

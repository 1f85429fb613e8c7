"""What the demo can be filtered by: counts against pandas, groups, answers and scores, and filters that cannot be."""

import json

import numpy as np
import pandas as pd
import pytest

from explorer.errors import BadInput, NotFound
from explorer.learning.answers import AnswerEvent
from explorer.web import filtering, selections
from explorer.web.filters import Filter
from explorer.web.runtime import Runtime, runtime
from explorer.web.shelf import NOT_ANSWERED, Shelf, shelf

HOSTILE = '"); drop table items; --'


@pytest.fixture
def rt(demo_copy) -> Runtime:
    rt = runtime()
    dataset = rt.dataset("demo")
    table = dataset.items
    rng = np.random.default_rng(2)
    table["meta:year"] = np.where(rng.random(len(table)) < 0.2, np.nan, rng.integers(1800, 2000, len(table)))
    table["meta:@odd"] = pd.Series([HOSTILE if row % 3 else "plain" for row in range(len(table))], dtype="str")
    with dataset.writing():
        dataset.restore_items(table)
    return rt


@pytest.fixture
def here(rt: Runtime) -> Shelf:
    return shelf(rt, rt.dataset("demo"), rt.space("demo", rt.space_keys("demo")[0].key))


def _panel(rt: Runtime, here: Shelf, wanted: Filter, *names: str) -> dict:
    query = {"space": here.space.key, "f": str(wanted), "open": json.dumps(names)}
    said = filtering.panel(rt, "demo", query)
    return said | {each["name"]: each for each in said["facets"]}


def test_each_histogram_shows_what_the_other_filters_leave(rt, here):
    table = here.space.items(here.dataset)
    folder, year = table["meta:folder"].isin(["food", "animals"]), table["meta:year"] >= 1900
    words = table["caption"].str.lower().str.contains("a", regex=False) | table["uid"].str.lower().str.contains("a")
    wanted = Filter({"folder": ("food", "animals")}, "A", {"year": (1900, None)})
    assert np.array_equal(here.shown(wanted), folder & year & words)
    said = _panel(rt, here, wanted, "folder", "year", "@odd", "@column:@odd")
    assert (said["shown"], said["all"]) == (int((folder & year & words).sum()), 1502)
    counted = {value: count for value, _, count, _ in said["folder"]["bars"] if count}
    assert counted == table["meta:folder"][year & words].value_counts().to_dict()
    assert sum(count for _, _, count, _ in said["year"]["bars"]) == int(
        (table["meta:year"].notna() & folder & words).sum()
    )
    assert said["year"]["none"][1] == int(table["meta:year"].isna().sum())
    assert sum(bar[2] for bar in said["@odd"]["bars"]) == said["shown"]
    assert {bar[0] for bar in said["@column:@odd"]["bars"]} == {HOSTILE, "plain"}, "a column that is called so"
    assert [chip[1:] for chip in said["chips"]] == [
        ["folder", "food, animals"],
        ["year", "1900 or more"],
        ["Words", "“A”"],
    ]
    assert here.shown(wanted) is here.shown(wanted), "kept: pages of an order are known by it"


def test_many_different_values_are_found_by_letters(rt, here):
    said = _panel(rt, here, Filter(), "origin")["origin"]
    assert (said["bars"], said["more"]) == ([], 1502), "nothing is frequent where all are different"
    assert "bars" not in _panel(rt, here, Filter(has={"origin": "DOG"}))["origin"], "it is closed"
    said = _panel(rt, here, Filter(has={"origin": "DOG"}), "origin")
    found = here.items["meta:origin"].str.lower().str.contains("dog").sum()
    assert said["shown"] == found == len(said["origin"]["bars"]) > 0


def test_groups_odd_ones_and_copies(rt, here, monkeypatch):
    space = here.space
    groups = f"@kmeans:{space.key}.{space.generation}"
    labels = space.clusters["kmeans"].to_numpy()
    with monkeypatch.context() as without:
        without.delattr(type(rt), "cluster_cards")  # what the groups are called takes long, and is not needed here
        keep = here.shown(Filter({groups: ("0", "3")}))
    titles = [card.title for card in rt.cluster_cards("demo", space.key, "kmeans")]
    assert {label for _, label, _, _ in _panel(rt, here, Filter(), groups)[groups]["bars"]} == set(titles)
    assert np.array_equal(keep, np.isin(labels, [0, 3]))
    other = shelf(rt, here.dataset, rt.space("demo", rt.space_keys("demo")[1].key))
    there = other.shown(Filter({groups: ("0", "3")}))
    chosen = {space.uids[row] for row in np.flatnonzero(keep)}
    assert {other.space.uids[row] for row in np.flatnonzero(there)} == chosen, "a group of one map is shown on another"
    assert _panel(rt, other, Filter({groups: ("0",)}))["chips"][0][1] == "Groups (even) of another map"
    circled = selections.save(rt.catalog, "demo", [space.uids[5], space.uids[9], "gone"], "3 pictures circled")
    only = Filter({f"@selection:{circled}": ("in",)})
    assert np.flatnonzero(here.shown(only)).tolist() == [5, 9]
    assert _panel(rt, here, only)["chips"][0][1:] == ["Only", "3 pictures circled"]
    odd = here.shown(Filter({"@odd": ("the oddest 1 %", "the next 4 %")}))
    assert np.array_equal(odd[space.outliers["row"]], space.outliers["rank"] <= 0.05 * here.n)
    copies = here.shown(Filter({"@copies": ("exact", "near")}))
    assert set(np.flatnonzero(copies)) == set(space.duplicates["row"])


def test_answers_and_scores_follow_what_is_answered(rt, here):
    question = rt.questions.create("demo", "Is it food?", ["food", "other"])
    food = np.array([uid.startswith("food-") for uid in here.space.uids])
    rows = [*np.flatnonzero(food)[::20], *np.flatnonzero(~food)[::60]]
    score, answer = f"@score:{question.id}:{question.class_ids[0]}", f"@answer:{question.id}"
    assert "answer a few pictures" in _panel(rt, here, Filter(), score)[score]["problem"]
    with pytest.raises(BadInput, match="Nothing is sorted"):
        here.shown(Filter(between={score: (0.8, None)}))
    for row in rows:
        uid, which = here.space.uids[row], question.class_ids[0 if food[row] else 1]
        rt.answers.record([AnswerEvent(f"e{row}", question.id, uid, "yes", which)])
    rt.answers.record([AnswerEvent("unsure", question.id, here.space.uids[int(np.flatnonzero(food)[1])], "unsure")])
    counted = {label: count for _, label, count, _ in _panel(rt, here, Filter(), answer)[answer]["bars"]}
    assert counted == {
        "food": food[rows].sum(),
        "other": (~food[rows]).sum(),
        "not sure": 1,
        NOT_ANSWERED: 1501 - len(rows),
    }
    likely = here.shown(Filter({answer: ("none",)}, between={score: (0.8, None)}))
    shares = rt.live.scores("demo", question.id, here.space.key).probabilities[:, 0]
    assert 0 < likely.sum() < 400
    assert not likely[rows].any()
    assert (shares[likely] >= 0.8).all()
    before = int(likely.sum())
    gone = int(np.flatnonzero(likely)[0])
    rt.answers.record([AnswerEvent("one", question.id, here.space.uids[gone], "skip")])
    assert not here.shown(Filter({answer: ("none",)}, between={score: (0.8, None)}))[gone], (
        f"one of {before} is answered"
    )
    several = rt.questions.create("demo", "What is true?", ["red", "round"], kind="attributes")
    rt.answers.record([AnswerEvent("a", several.id, here.space.uids[4], "yes", several.class_ids[1])])
    assert np.flatnonzero(here.shown(Filter({f"@answer:{several.id}:{several.class_ids[1]}": ("yes",)}))).tolist() == [
        4
    ]


def test_what_cannot_be_filtered_by_is_refused_and_a_column_that_is_gone_hides_nothing(rt, here):
    assert here.shown(Filter({"colour": ("x",), HOSTILE: ("1",)}, has={"'": "%"})).all()
    assert _panel(rt, here, Filter({"colour": ("x",)}))["chips"] == [["colour", "colour", "no longer there"]]
    assert here.shown(Filter({"@column:@odd": (HOSTILE,)})).sum() == (here.items["meta:@odd"] == HOSTILE).sum()
    assert not here.shown(Filter(words="% _ .*")).any()
    foreign = rt.questions.create("another", "Elsewhere?", ["a", "b"])
    question = rt.questions.create("demo", "Here?", ["a", "b"])
    for name in (
        f"@kmeans:{here.space.key}.999", "@kmeans:../../x.1", "@kmeans", "@secret", "@score", "@answer:none",
        f"@answer:{foreign.id}", f"@score:{question.id}", f"@score:{question.id}:{foreign.class_ids[0]}",
        f"@guess:{question.id}:x", f"@answer:{question.id}:{question.class_ids[0]}", "@odd2",
        "@selection:none", "@column:nothing",
    ):  # fmt: skip
        with pytest.raises((BadInput, NotFound)):
            here.shown(Filter({name: ("1",)}))
    for wrong in ("{", "3", json.dumps(["x"] * 41)):
        with pytest.raises(BadInput, match="open"):
            filtering.panel(rt, "demo", {"space": here.space.key, "open": wrong})
    said = _panel(rt, here, Filter(), "@secret", "nothing")
    assert said["shown"] == 1502, "an open facet that is not there is left out"

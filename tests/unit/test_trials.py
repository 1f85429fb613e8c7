"""Nothing that was tried is lost: it is on record once, can be had again as it was, and tried elsewhere."""

from pathlib import Path

import numpy as np
import pytest

from explorer.catalog.database import Catalog
from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, NotFound
from explorer.extractors.base import FeatureSpec
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.comparison import compare_looks
from explorer.learning.looks import looks_of
from explorer.learning.questions import Question, QuestionStore
from explorer.learning.trials import (
    Combination,
    Trial,
    TrialStore,
    ablations,
    attempt,
    recipe_of,
    replay,
    transfer,
    with_one_more,
)
from explorer.workspace import Workspace

BOTH = Combination((("lite0", 3.0), ("colour", 1.0)))


def made(question_id: str, combination: Combination = BOTH, **changed: object) -> Trial:
    values: dict[str, object] = {
        "question_id": question_id,
        "dataset_id": "photos",
        "features": combination.features,
        "steps": combination.steps,
        "method": combination.method,
        "space": "space-1",
        "seq": 4,
        "answers": 30,
        "balanced_accuracy": 0.75,
        "low": 0.6,
        "high": 0.85,
    }
    return Trial(**(values | changed))  # type: ignore[arg-type]


def test_a_trial_comes_back_whole_and_only_once(either_catalog: Catalog) -> None:
    question = QuestionStore(either_catalog).create("photos", "Room", ["kitchen", "bath"])
    store = TrialStore(either_catalog)
    first = store.record(made(question.id, person="ann", note="ü – first"))
    assert first.id
    assert first.created > 0
    again = store.record(made(question.id, balanced_accuracy=0.9, person="bob"))
    assert again == first, "the same on the same answers is not a second trial"
    later, other = store.record_all([made(question.id, seq=9), made(question.id, Combination((("colour", 1.0),)))])
    assert len({first.id, later.id, other.id}) == 3
    listed = TrialStore(either_catalog).list(question.id)
    assert {trial.id for trial in listed} == {first.id, later.id, other.id}
    assert listed[-1] == first
    assert store.get(first.id) == first
    assert first.features == (("colour", 0.25), ("lite0", 0.75))
    assert store.list("other") == []
    with pytest.raises(NotFound, match="another workspace"):
        store.get("nothere")


def test_weights_are_kept_as_shares_and_order_says_nothing(either_catalog: Catalog) -> None:
    question = QuestionStore(either_catalog).create("photos", "Room", ["kitchen", "bath"])
    store = TrialStore(either_catalog)
    first = store.record(made(question.id, features=(("lite0", 6.0), ("colour", 2.0))))
    assert store.record(made(question.id, features=(("colour", 0.5), ("lite0", 1.5)))) == first
    for different in ({"attribute": "c"}, {"steps": ("l2",)}, {"method": "forest"}, {"space": "space-2"}):
        assert store.record(made(question.id, **different)).id != first.id


def test_what_cannot_be_recorded_is_refused_and_nothing_is_written(either_catalog: Catalog) -> None:
    question = QuestionStore(either_catalog).create("photos", "Room", ["kitchen", "bath"])
    store = TrialStore(either_catalog)
    for wrong, words in (
        ({"balanced_accuracy": float("nan")}, "must be numbers"),
        ({"answers": 0}, "at least one answer"),
        ({"note": "x" * 501}, "501 characters"),
        ({"method": "magic"}, "no method 'magic'"),
        ({"features": ()}, "at least one way of looking"),
        ({"features": (("lite0", 1.0), ("lite0", 2.0))}, "each of them once"),
        ({"features": (("lite0", -1.0),)}, "above zero"),
        ({"steps": ("l2", "centre")}, "A space goes through"),
        ({"person": "\ud800"}, "cannot be stored"),
    ):
        with pytest.raises(BadInput, match=words):
            store.record_all([made(question.id), made(question.id, **wrong)])
    with pytest.raises(NotFound, match="no question"):
        store.record_all([made(question.id), made("nothere")])
    assert store.list(question.id) == []


def test_answers_can_be_had_as_they_were(either_catalog: Catalog) -> None:
    question = QuestionStore(either_catalog).create("photos", "Room", ["kitchen", "bath", "shower"])
    kitchen, bath, shower = question.class_ids
    store = AnswerStore(either_catalog)
    say = [
        AnswerEvent("e1", question.id, "1.jpg", "yes", kitchen),
        AnswerEvent("e2", question.id, "2.jpg", "yes", bath, policy="random", probability=0.5),
        AnswerEvent("e3", question.id, "1.jpg", "yes", shower),
        AnswerEvent("e4", question.id, "2.jpg", "undo", undoes="e2"),
    ]
    numbers = [store.record([event])[0].seq for event in say]
    states = [{uid: each.class_id for uid, each in store.as_of(question.id, seq).latest.items()} for seq in numbers]
    assert states == [
        {"1.jpg": kitchen},
        {"1.jpg": kitchen, "2.jpg": bath},
        {"1.jpg": shower, "2.jpg": bath},
        {"1.jpg": shower},
    ]
    assert store.as_of(question.id, numbers[1]).provenance["2.jpg"].policy == "random"
    assert store.as_of(question.id, 0).latest == {}
    assert store.as_of(question.id, numbers[-1]).latest == store.current(question.id)
    QuestionStore(either_catalog).merge_classes(question.id, shower, bath, person_id="ann")
    assert store.as_of(question.id, numbers[2]).latest["1.jpg"].class_id == bath, "classes are those of now"
    for unknown in (numbers[-1] + 1, 10_000):
        with pytest.raises(NotFound, match="not among this question's"):
            store.as_of(question.id, unknown)
    with pytest.raises(NotFound):
        store.as_of("nothere", 0)


@pytest.fixture
def catalog(demo_copy: Workspace) -> Catalog:
    return Catalog.open(demo_copy.catalog_url)


@pytest.fixture
def demo(demo_copy: Workspace) -> Dataset:
    return Dataset.open(demo_copy, "demo")


FOLDERS = ("animals", "signs", "food")


def asked(catalog: Catalog, dataset: Dataset, kind: str = "classes", name: str = "What is it?") -> Question:
    return QuestionStore(catalog).create(dataset.id, name, FOLDERS, kind=kind)


def answer(catalog: Catalog, dataset: Dataset, question: Question, start: int, stop: int, policy: str = "") -> int:
    """Answer the `start`th to `stop`th picture of each class as its folder says; the number of the last answer."""
    items = dataset.present()
    events = []
    for folder in FOLDERS:
        own = items[items["meta:folder"] == folder].iloc[start:stop]
        for uid, content in zip(own["uid"], own["content_hash"], strict=True):
            for class_id, named in zip(question.class_ids, FOLDERS, strict=True):
                if question.kind == "attributes" or named == folder:
                    value = "yes" if named == folder else "no"
                    name = f"{uid}:{class_id}:{start}"
                    events.append(
                        AnswerEvent(name, question.id, uid, value, class_id, content_hash=content, policy=policy)  # type: ignore[arg-type]
                    )
    return AnswerStore(catalog).record(events)[-1].seq


def test_a_trial_says_what_the_compare_page_says(catalog: Catalog, demo: Dataset) -> None:
    question = asked(catalog, demo)
    seq = answer(catalog, demo, question, 0, 12)
    store = TrialStore(catalog)
    found = {name: attempt(store, demo, question.id, Combination(((name, 1.0),))) for name in ("lite0", "colour")}
    assert found["lite0"].seq == seq
    assert found["lite0"].answers == 36
    assert found["lite0"].balanced_accuracy > found["colour"].balanced_accuracy + 0.1
    keys = {name: recipe_of(demo, trial.combination).features[0][0] for name, trial in found.items()}
    items = demo.present()
    rows = items["uid"].isin(AnswerStore(catalog).current(question.id))
    uids = items["uid"][rows].tolist()
    y = np.array([FOLDERS.index(folder) for folder in items["meta:folder"][rows]])
    looks = looks_of(demo, uids, list(keys.values()))
    page = {score.key: score for score in compare_looks(looks, y, None, FOLDERS).scores}
    for name, trial in found.items():
        assert trial.balanced_accuracy == pytest.approx(page[keys[name]].balanced_accuracy, abs=1e-6)
        assert (trial.low, trial.high) == pytest.approx((page[keys[name]].low, page[keys[name]].high), abs=0.01)


def test_replayed_then_it_is_what_it_was_and_now_it_knows_more(catalog: Catalog, demo: Dataset) -> None:
    question = asked(catalog, demo)
    store = TrialStore(catalog)
    answer(catalog, demo, question, 0, 6)
    trial = attempt(store, demo, question.id, BOTH, person="ann", note="first look")
    answer(catalog, demo, question, 6, 25)
    then = replay(store, demo, trial, "then")
    assert then == trial
    assert len(store.list(question.id)) == 1
    now = replay(store, demo, trial)
    assert (now.answers, now.seq > trial.seq) == (75, True)
    assert now.high - now.low < trial.high - trial.low
    assert now.fingerprint == trial.fingerprint
    assert {each.id for each in store.list(question.id)} == {trial.id, now.id}


def test_answers_given_to_many_at_once_do_not_judge(catalog: Catalog, demo: Dataset) -> None:
    question = asked(catalog, demo)
    store = TrialStore(catalog)
    answer(catalog, demo, question, 0, 6)
    before = attempt(store, demo, question.id, BOTH)
    answer(catalog, demo, question, 6, 30, policy="cluster:3")
    assert attempt(store, demo, question.id, BOTH).answers == before.answers == 18


def test_other_steps_methods_and_attributes(catalog: Catalog, demo: Dataset) -> None:
    store = TrialStore(catalog)
    question = asked(catalog, demo)
    answer(catalog, demo, question, 0, 12)
    for combination in (
        Combination((("lite0", 1.0),), ("centre", "power", "pca:16", "l2")),
        Combination((("lite0", 1.0),), ("l2",)),
        Combination((("lite0", 1.0),), method="svm"),
    ):
        trial = attempt(store, demo, question.id, combination)
        assert trial.balanced_accuracy > 0.45, combination.words
        assert trial.combination == combination
    few = asked(catalog, demo, name="Of few?")
    answer(catalog, demo, few, 0, 5)
    by_trees = attempt(store, demo, few.id, Combination((("lite0", 1.0),), method="forest"))
    assert by_trees.balanced_accuracy > 0.4
    several = asked(catalog, demo, "attributes", "What is on it?")
    answer(catalog, demo, several, 0, 12)
    signs = attempt(store, demo, several.id, BOTH, attribute=several.class_ids[1])
    assert signs.answers == 36
    assert signs.balanced_accuracy > 0.7
    assert [each.id for each in store.list(several.id, several.class_ids[1])] == [signs.id]
    assert store.list(several.id, several.class_ids[0]) == []
    for attribute, of in (("", several), (signs.attribute, question)):
        with pytest.raises(BadInput, match="attributes"):
            attempt(store, demo, of.id, BOTH, attribute=attribute)


def test_what_cannot_be_tried_is_named(catalog: Catalog, demo: Dataset) -> None:
    store, question = TrialStore(catalog), asked(catalog, demo)
    with pytest.raises(BadInput, match="each of two classes"):
        attempt(store, demo, question.id, BOTH)
    answer(catalog, demo, question, 0, 3)
    with pytest.raises(NotFound, match="has not been looked at by “What it shows, largest network” yet"):
        attempt(store, demo, question.id, Combination((("lite2", 1.0),)))
    with pytest.raises(BadInput, match="at least 5"):
        attempt(store, demo, question.id, Combination((("lite0", 1.0),), method="forest"))
    spec = FeatureSpec("tried", "none", "", "", "numpy", "fp32", 3)
    first = next(iter(AnswerStore(catalog).current(question.id).values())).content_hash
    with demo.features(spec).writer() as writer:
        writer.append(first, np.ones(3))
    with pytest.raises(NotFound, match=r"“tried” has not looked at 8 of the 9 answered pictures"):
        attempt(store, demo, question.id, Combination((("tried", 1.0),)))
    assert store.list(question.id) == []


def test_an_edited_or_removed_picture_no_longer_judges(catalog: Catalog, demo: Dataset) -> None:
    question = asked(catalog, demo)
    answer(catalog, demo, question, 0, 6)
    uid = demo.present()["uid"].iloc[0]
    changed = AnswerEvent("old", question.id, uid, "yes", question.class_ids[0], content_hash="0" * 32)
    gone = AnswerEvent("gone", question.id, "nowhere.jpg", "yes", question.class_ids[0])
    AnswerStore(catalog).record([changed, gone])
    assert attempt(TrialStore(catalog), demo, question.id, BOTH).answers == 17


def test_a_part_less_or_one_more() -> None:
    trial = made(
        "q", Combination((("lite0", 2.0), ("colour", 1.0), ("style", 1.0)), ("centre", "pca:64", "whiten", "l2"))
    )
    found = dict(ablations(trial))
    assert found["without Colours"].features == (
        ("lite0", pytest.approx(2 / 3, abs=1e-5)),
        ("style", pytest.approx(1 / 3, abs=1e-5)),
    )
    assert found["without whiten"].steps == ("centre", "pca:64", "l2")
    assert set(found) == {"without Colours", "without How it is made", "without What it shows", "without whiten"}
    alone = made("q", Combination((("colour", 1.0),), method="svm"))
    assert [(words, each.steps, each.method) for words, each in ablations(alone)] == [
        ("without centre", ("l2",), "svm")
    ]
    more = with_one_more(trial, "layout")
    assert dict(more.features)["layout"] == pytest.approx(0.25)
    assert dict(more.features)["lite0"] == pytest.approx(0.375)
    assert dict(with_one_more(trial, "layout", 1.0).features)["layout"] == pytest.approx(0.5)
    with pytest.raises(BadInput, match="each of them once"):
        with_one_more(trial, "colour")
    assert more.words.startswith("25 % Colours" if dict(more.features)["colour"] > 0.2 else "19 % Colours")


def test_the_same_on_another_collection(demo_copy: Workspace, catalog: Catalog, demo: Dataset, place: Path) -> None:
    store, question = TrialStore(catalog), asked(catalog, demo)
    answer(catalog, demo, question, 0, 6)
    trial = attempt(store, demo, question.id, Combination((("colour", 1.0),)))
    rng = np.random.default_rng(0)
    for folder in FOLDERS:
        for number in range(6):
            picture = demo.present()
            own = picture[picture["meta:folder"] == folder].iloc[30 + number]
            (place / folder).mkdir(exist_ok=True)
            (place / folder / f"{number}.jpg").write_bytes(demo.source.read(own["path"]))
    other = Dataset.create(demo_copy, "other", {"kind": "folder", "path": str(place), "classes": True})
    other.rescan()
    there = QuestionStore(catalog).create(other.id, "There?", FOLDERS)
    answer(catalog, other, there, 0, 6)
    with pytest.raises(NotFound, match="other has not been looked at by “Colours” yet"):
        transfer(store, trial, other, there.id)
    spec = next(spec for spec in demo.feature_specs() if spec.extractor == "colour")
    with other.features(spec).writer() as writer:
        for number, name in enumerate(other.present()["content_hash"]):
            writer.append(name, rng.normal(size=spec.dim) + np.eye(spec.dim)[number // 6] * 20)
    found = transfer(store, trial, other, there.id, person="ann")
    assert (found.dataset_id, found.question_id, found.person) == ("other", there.id, "ann")
    assert found.combination == trial.combination
    assert found.balanced_accuracy > 0.9
    assert found.note == "as tried on 'demo'"
    with pytest.raises(NotFound, match="belongs to another collection"):
        transfer(store, trial, other, question.id)

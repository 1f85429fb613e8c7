"""A classifier that travels: the same scores from raw features, whatever its space, and nothing of another space."""

import copy
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from explorer.catalog.database import Catalog
from explorer.collection import own
from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.learning.answers import AnswerEvent, AnswerStore
from explorer.learning.classifier import LinearClassifier, fit_classifier
from explorer.learning.live import LiveQuestions
from explorer.learning.portable import (
    PortableClassifier,
    export_question,
    import_question,
    portable_classifier,
    scores_in,
    scores_of,
)
from explorer.learning.questions import Question, QuestionStore
from explorer.processing import process
from explorer.space import Space, SpaceRecipe, build_space, list_spaces, open_space
from explorer.workspace import Workspace

CLIPART = Path(__file__).parents[2] / "data" / "clipart"
COLUMNS = "columns:price,kind"
QUIET = (lambda _: None, lambda: False)
STEPS = {
    "plain": ("centre", "l2"),
    "not centred": ("power", "l2"),
    "whitened": ("centre", "power:0.4", "pca:9", "whiten", "l2"),
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Sixty drawings of two kinds in a table that says a price and a kind of each, with all spaces."""
    root = tmp_path_factory.mktemp("portable")
    files = [path for kind in ("animals", "maps") for path in sorted((CLIPART / kind).glob("*.jpg"))[:30]]
    for path in files:
        shutil.copy(path, root / f"{path.parent.name}-{path.name}")
    rows = {"image": [f"{path.parent.name}-{path.name}" for path in files], "price": np.arange(60) ** 2}
    pd.DataFrame({**rows, "kind": np.array(["a", "b", "c"])[np.arange(60) % 3]}).to_csv(root / "t.csv", index=False)
    source = {"kind": "table", "path": str(root / "t.csv"), "image_column": "image", "key_column": None}
    Dataset.create(Workspace(root / "workspace"), "Drawings", source, "drawings")
    asked = [
        {"features": features, "steps": steps}
        for steps in STEPS.values()
        for features in ([["colour", 1]], [["colour", 2], [COLUMNS, 1]])
    ]
    report = process(
        Workspace(root / "workspace"), "drawings", {"extractors": ["colour", COLUMNS], "spaces": asked}, *QUIET
    )
    assert report["failed"] == {}
    return Dataset.open(Workspace(root / "workspace"), "drawings")


def recipe_of(dataset: Dataset, steps: str, joined: bool) -> SpaceRecipe:
    by_name = {spec.extractor: spec.key for spec in dataset.feature_specs()}
    pairs = ((by_name["colour"], 2.0), (by_name[COLUMNS], 1.0)) if joined else ((by_name["colour"], 1.0),)
    return SpaceRecipe(pairs, STEPS[steps])


@pytest.fixture(params=[(steps, joined) for steps in STEPS for joined in (False, True)], ids=str)
def space(request: pytest.FixtureRequest, dataset: Dataset) -> Space:
    return open_space(dataset, recipe_of(dataset, *request.param).key)


def fitted_in(space: Space) -> LinearClassifier:
    y = np.array([uid.startswith("maps") for uid in space.uids], np.int64)
    rows = np.arange(0, 60, 3)
    return fit_classifier(np.asarray(space.vectors[rows]), y[rows], 2)


def features_of(dataset: Dataset, space: Space) -> dict[str, np.ndarray]:
    stores = [dataset.features(key) for key, _ in space.recipe.features]
    return {store.spec.key: store.get(own.row_names(store.spec, dataset.present())) for store in stores}


@pytest.fixture
def question(workspace: Workspace, dataset: Dataset) -> tuple[Catalog, Question]:
    catalog = Catalog.open(workspace.catalog_url)
    made = QuestionStore(catalog).create(dataset.id, "Which?", ["animals", "maps"])
    yield catalog, made
    catalog.close()


def test_scores_elsewhere_are_those_at_home(space: Space, dataset: Dataset, question: tuple[Catalog, Question]) -> None:
    """From a file, through the raw features, in every kind of space: with and without fitted steps, joined, own."""
    catalog, asked = question
    fitted = fitted_in(space)
    sent = portable_classifier(space, fitted, asked.class_ids, threshold=0.8)
    text = json.dumps(export_question(catalog, asked.id, dataset, sent), allow_nan=False)
    assert json.loads(text)["version"] == (1 if space.recipe.steps == STEPS["plain"] else 2)
    got = import_question(catalog, dataset, text).classifier
    assert got is not None
    assert got.dims == tuple(len(mean) for mean in space.fitted.means)
    assert SpaceRecipe.from_json(dict(got.recipe)) == space.recipe
    features = features_of(dataset, space)
    at_home = fitted.logits(np.asarray(space.vectors[:]))
    for found in (scores_of(got, features), scores_in(got, space)):
        assert found.dtype == np.float32
        assert np.allclose(found * np.float32(got.temperature), at_home, atol=2e-4)
    one = {key: rows[7] for key, rows in features.items()}
    assert np.allclose(scores_of(got, one)[0], scores_of(got, features)[7], atol=1e-5)
    for name in ("means", "weights", "bias"):
        np.testing.assert_array_equal(getattr(got, name), getattr(sent, name))
    assert all(np.array_equal(a, b) for a, b in zip(got.axes, sent.axes, strict=True))


def test_vectors_of_another_space_are_refused_by_name(space: Space, dataset: Dataset) -> None:
    mine = portable_classifier(space, fitted_in(space), ("a", "b"))
    for info in list_spaces(dataset):
        other = open_space(dataset, info.key)
        if other.key == space.key:
            continue
        with pytest.raises(BadInput, match="was trained in the space") as caught:
            scores_in(mine, other)
        assert space.title in str(caught.value)
        assert other.key in str(caught.value)
        assert all(key in str(caught.value) for key, _ in space.recipe.features)
        if other.vectors.shape[1] != space.vectors.shape[1]:
            with pytest.raises(BadInput, match="numbers a picture"):
                portable_classifier(other, fitted_in(space), ("a", "b"))
    features = features_of(dataset, space)
    (key, _), *_ = space.recipe.features
    # the same numbers under another name: another network, or this one with other weights
    renamed = {f"{key[:-1]}{'0' if key[-1] != '0' else '1'}": features[key]}
    with pytest.raises(BadInput, match=f"Compute {key}"):
        scores_of(mine, renamed)
    with pytest.raises(BadInput, match="no features"):
        scores_of(mine, {})
    with pytest.raises(BadInput, match="numbers a picture where this classifier was trained"):
        scores_of(mine, {**features, key: features[key][:, 1:]})
    if len(features) > 1:
        with pytest.raises(BadInput, match=r"60 and 59 pictures|59 and 60 pictures"):
            scores_of(mine, {**features, key: features[key][1:]})


def test_the_same_recipe_fitted_to_other_pictures_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    """Centred by another mean the numbers mean something else; from the features it scores as it always did."""
    shutil.copytree(dataset.root.parent, tmp_path / "workspace")
    fewer = Dataset.open(Workspace(tmp_path / "workspace"), dataset.id)
    fewer.record_problems(dict.fromkeys(fewer.present()["uid"].tolist()[:20], "gone for this test"))
    for steps in STEPS:
        home = open_space(dataset, recipe_of(dataset, steps, False).key)
        away = build_space(fewer, recipe_of(fewer, steps, False), refit=True)
        mine = portable_classifier(home, fitted_in(home), ("a", "b"))
        assert away.key == home.key
        if steps != "not centred":
            with pytest.raises(BadInput, match="fitted to other pictures"):
                scores_in(mine, away)
        expected = scores_of(mine, features_of(dataset, home))[20:]
        assert np.allclose(scores_of(mine, features_of(fewer, away)), expected, atol=1e-5)


def document_of(
    question: tuple[Catalog, Question], dataset: Dataset, steps: str, joined: bool = True
) -> dict[str, Any]:
    catalog, asked = question
    space = open_space(dataset, recipe_of(dataset, steps, joined).key)
    return export_question(catalog, asked.id, dataset, portable_classifier(space, fitted_in(space), asked.class_ids))


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("axes", [], "others or none"),
        ("axes", "x", "not a list"),
        ("axes.0", "x", "not an object"),
        ("axes.0.width", 10, "make 14 numbers a picture"),
        ("axes.0.width", 0, "too many"),
        ("axes.0.width", 10**9, "too many"),
        ("axes.0.numbers", "AAAA", "bytes of directions"),
        ("dims", [], "others or none"),
        ("dims", [110], "nothing sensible"),
        ("dims", [110, -1], "nothing sensible"),
        ("dims", [110, "5"], "not a whole number"),
        ("dims", [10**12, 5], "nothing sensible"),
        ("dims", [109, 6], "bytes of"),
        ("recipe.steps", ["centre", "l2"], "others or none"),
        ("recipe.steps", ["centre", "pca:9", "whiten", "rm -r", "l2"], "goes through"),
        ("recipe.steps", [5], "goes through"),
    ],
)
def test_a_file_with_other_directions_is_not_believed(
    question: tuple[Catalog, Question], dataset: Dataset, path: str, value: Any, reason: str
) -> None:
    document = document_of(question, dataset, "whitened")
    changed = copy.deepcopy(document)
    at: Any = changed["classifier"]
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        at = at[step]
    at[last] = value
    with pytest.raises(BadInput, match=reason) as caught:
        import_question(question[0], dataset, changed)
    assert str(caught.value).endswith("Nothing was imported.")


@pytest.mark.parametrize("joined", [False, True])
def test_an_older_file_is_still_read(question: tuple[Catalog, Question], dataset: Dataset, joined: bool) -> None:
    """As the first version wrote it: neither numbers of features nor directions."""
    document = document_of(question, dataset, "plain", joined)
    for name in ("dims", "axes"):
        del document["classifier"][name]
    assert document["version"] == 1
    got = import_question(question[0], dataset, document).classifier
    assert got is not None
    assert got.dims == (() if joined else (110,))
    space = open_space(dataset, recipe_of(dataset, "plain", joined).key)
    sent = portable_classifier(space, fitted_in(space), ("a", "b"))
    features = features_of(dataset, space)
    assert np.array_equal(scores_of(got, features), scores_of(sent, features))
    with pytest.raises(BadInput, match="numbers a picture"):
        scores_of(got, {key: rows[:, 1:] for key, rows in features.items()})


def test_no_answer_depends_on_the_space(dataset: Dataset, question: tuple[Catalog, Question]) -> None:
    """Given in one space they are there in all others, also when the first is gone."""
    catalog, asked = question
    first, *others = list_spaces(dataset)
    present = dataset.present()
    for number, (uid, content) in enumerate(zip(present["uid"], present["content_hash"], strict=True)):
        if number % 4 == 0:
            chosen = asked.class_ids[int(uid.startswith("maps"))]
            event = AnswerEvent(f"e{number}", asked.id, uid, "yes", chosen, content_hash=content, space=first.key)
            AnswerStore(catalog).record([event])
    before = AnswerStore(catalog).current(asked.id)
    assert len(before) == 15
    live = LiveQuestions(catalog, lambda _, key: open_space(dataset, key))
    for info in [*others, first]:
        scores = live.scores(dataset.id, asked.id, info.key)
        assert (scores.ready, scores.trained) == (True, 15)
        assert (scores.space.key, scores.space.title) == (info.key, info.title), "and it says in which"
    assert AnswerStore(catalog).current(asked.id) == before


def test_numbers_that_no_longer_fit_are_noticed_before_they_are_scored(dataset: Dataset) -> None:
    space = open_space(dataset, recipe_of(dataset, "plain", True).key)
    mine = portable_classifier(space, fitted_in(space), ("a", "b"))
    shorter: PortableClassifier = dataclasses.replace(mine, means=mine.means[:-1])
    with pytest.raises(BadInput, match="numbers a picture"):
        scores_of(shorter, features_of(dataset, space))

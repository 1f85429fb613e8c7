"""Before any answer: who sees what differently, and what each groups by; on made-up views and on the demo."""

import time

import numpy as np
import pandas as pd
import pytest

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, NotFound
from explorer.space.differences import NEAREST, View, differences, grouped_by, views
from explorer.workspace import Workspace

N = 400


def clustered(labels: np.ndarray, seed: int, spread: float = 0.3) -> np.ndarray:
    """(n, 24) features in which pictures of one label lie together."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(labels.max() + 1, 24))
    return centres[labels] + spread * rng.normal(size=(len(labels), 24))


@pytest.fixture(scope="module")
def artwork() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 3, N)


@pytest.fixture(scope="module")
def category() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 8, N)


@pytest.fixture(scope="module")
def table(artwork: np.ndarray, category: np.ndarray) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "uid": [str(number) for number in range(N)],
            "caption": [f"a {'cat dog owl fox bee ant elk yak'.split()[each]} and the sky" for each in category],
            "meta:artwork": pd.Series([f"style {each}" for each in artwork]),
            "meta:category": pd.Series([f"kind {each}" for each in category]),
            "meta:price": 100.0 * category + rng.uniform(0, 90, N),
            "meta:lot": rng.integers(0, 4, N),
            "meta:inventory": [f"no. {number}" for number in range(N)],
            "meta:empty": pd.Series([None] * N, dtype="str"),
            "meta:always": "same",
        }
    )


def test_two_that_see_the_same_agree_and_unrelated_ones_do_not(artwork: np.ndarray, category: np.ndarray) -> None:
    style, content = clustered(artwork, 4), clustered(category, 5)
    turned = style @ np.linalg.qr(np.random.default_rng(6).normal(size=(24, 24)))[0]
    found = differences(
        [View.of("s", "Style", style), View.of("c", "Content", content), View.of("t", "Turned", turned)]
    )
    assert found.matrix == pytest.approx(found.matrix.T)
    assert np.diag(found.matrix).tolist() == [0, 0, 0]
    place = {key: number for number, key in enumerate(found.keys)}
    assert found.matrix[place["s"], place["t"]] < 0.01
    assert found.matrix[place["s"], place["c"]] > 0.85
    assert {found.pairs[0].a, found.pairs[0].b} in ({"s", "c"}, {"c", "t"})
    assert {found.pairs[-1].a, found.pairs[-1].b} == {"s", "t"}
    assert "“Style” and “Turned” see it most alike: of the 10 pictures nearest to one, 10.0 are" in found.sentence


def test_views_without_anything_to_see_do_not_agree_by_the_order_of_the_table() -> None:
    nothing = np.ones((N, 4)) + 0.0
    found = differences([View.of("a", "A", nothing), View.of("b", "B", nothing)])
    assert found.matrix[0, 1] > 0.9


def test_each_groups_by_what_it_was_made_of(artwork: np.ndarray, category: np.ndarray, table: pd.DataFrame) -> None:
    style = grouped_by(View.of("s", "Style", clustered(artwork, 4)), table)
    content = grouped_by(View.of("c", "Content", clustered(category, 5)), table)
    assert [each.column for each in style.by] == ["artwork"]
    assert style.by[0].strength > 0.8
    assert style.by[0].chance == pytest.approx(1 / 3, abs=0.02)
    assert {name for name, _ in style.by[0].values} == {"style 0", "style 1", "style 2"}
    assert "of the same artwork together" in style.sentence
    assert {each.column for each in content.by} == {"category", "price", ""}
    words = next(each for each in content.by if not each.column)
    assert {word for word, _ in words.values} <= set("cat dog owl fox bee ant elk yak".split())
    price = next(each for each in content.by if each.column == "price")
    assert 0.3 < price.strength < content.by[0].strength
    assert any(name.startswith("below ") for name, _ in price.values)


def test_nothing_is_read_into_chance(table: pd.DataFrame) -> None:
    spoken = 0
    for seed in range(20):
        view = View.of("n", "Noise", np.random.default_rng(seed).normal(size=(N, 24)))
        spoken += len(grouped_by(view, table, seed).by)
    assert spoken == 0
    assert "do not tell" in grouped_by(view, table).sentence


def test_a_half_filled_column_is_judged_by_the_cells_that_are_filled(artwork: np.ndarray) -> None:
    cells = pd.Series([f"style {each}" for each in artwork])
    cells[np.random.default_rng(0).random(N) < 0.6] = None
    found = grouped_by(View.of("s", "Style", clustered(artwork, 4)), pd.DataFrame({"meta:artwork": cells}))
    assert found.by[0].strength > 0.8


def test_one_view_or_too_few_pictures_are_refused() -> None:
    with pytest.raises(BadInput, match="only one way of looking"):
        differences([View.of("a", "A", np.random.default_rng(0).normal(size=(50, 3)))])
    with pytest.raises(BadInput, match="at least 22 pictures"):
        View.of("a", "A", np.zeros((21, 3)))


def test_the_demo_seen_by_content_and_by_colour(demo_workspace: Workspace) -> None:
    dataset = Dataset.open(demo_workspace, "demo")
    keys = {spec.extractor: spec.key for spec in dataset.feature_specs()}
    items, found = views(dataset, limit=1_000)
    assert len(items) == 1_000
    assert items["content_hash"].is_unique
    assert {view.key for view in found} >= {keys["lite0"], keys["colour"]}
    again, _ = views(dataset, limit=1_000)
    assert again["uid"].tolist() == items["uid"].tolist()
    by_key = {view.key: view for view in found}
    content, colour = by_key[keys["lite0"]], by_key[keys["colour"]]
    assert content.near.shape == (1_000, NEAREST)
    assert (content.near != np.arange(1_000)[:, None]).all()
    assert 0.7 < differences([content, colour]).matrix[0, 1] < 1
    began = time.perf_counter()
    folders = {
        name: next(each for each in grouped_by(view, items).by if each.column == "folder")
        for name, view in (("content", content), ("colour", colour))
    }
    assert time.perf_counter() - began < 20
    assert folders["content"].strength > 0.35 > folders["colour"].strength
    assert folders["content"].values[0][0] == "signs"
    with pytest.raises(NotFound):
        views(dataset, ["style-000000000000"])


def test_a_feature_that_was_only_tried_does_not_shrink_the_sample(demo_copy: Workspace) -> None:
    dataset = Dataset.open(demo_copy, "demo")
    lite0 = next(spec for spec in dataset.feature_specs() if spec.extractor == "lite0")
    tried = type(lite0)(**{**vars(lite0), "extractor": "tried", "dim": 4})
    names = dataset.present()["content_hash"].tolist()[:30]
    with dataset.features(tried).writer() as writer:
        for name, row in zip(names, np.random.default_rng(0).normal(size=(30, 4)), strict=True):
            writer.append(name, row)
    items, found = views(dataset, limit=500)
    assert len(items) == 500
    assert tried.key not in {view.key for view in found}
    items, found = views(dataset, [lite0.key, tried.key])
    assert len(items) == 30
    assert [view.title for view in found] == ["What it shows", "tried"]

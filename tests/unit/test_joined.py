"""Joined spaces as views of their parts: the vectors, the sums of scans and their bounds, and what happens to files."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explorer.collection.dataset import Dataset
from explorer.durable import read_json
from explorer.errors import BadInput
from explorer.learning.classifier import fit_classifier
from explorer.learning.scoring import Scored
from explorer.space import Space, SpaceRecipe, build_space, joined, list_spaces, open_space
from explorer.space.codes import Codes, float32_scores
from explorer.space.joined import VECTORS, JoinedCodes, JoinedVectors, link_parts, open_parts
from explorer.space.space import FORMAT, WIDER
from explorer.workspace import Workspace


@pytest.fixture(scope="module")
def world(demo_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The demo with the spaces of content and of colours, this file's own."""
    root = tmp_path_factory.mktemp("joined")
    shutil.copytree(demo_workspace.root, root / "workspace")
    return Dataset.open(Workspace(root / "workspace"), demo_workspace.dataset_ids()[0])


def recipe_of(dataset: Dataset, *weights: float) -> SpaceRecipe:
    keys = [open_space(dataset, info.key).recipe.features[0][0] for info in list_spaces(dataset)][:2]
    return SpaceRecipe(tuple(zip(keys, weights, strict=True)))


@pytest.fixture(scope="module")
def both(world: Dataset) -> Space:
    return build_space(world, recipe_of(world, 2.0, 1.0))


@pytest.fixture(scope="module")
def copied(world: Dataset, both: Space) -> np.ndarray:
    """The same vectors made from the features, as one array."""
    raw = [world.features(key).get(both.hashes) for key, _ in both.recipe.features]
    return both.transform(raw)


def test_a_joined_space_stores_no_vectors_of_its_own(world: Dataset, both: Space, copied: np.ndarray) -> None:
    assert not (both.folder / VECTORS).exists()
    singles = [open_space(world, both.recipe.alone(number).key) for number in range(2)]
    for number, single in enumerate(singles):
        for name in (VECTORS, "codes.i8.npy"):
            assert os.path.samefile(both.folder / f"part{number}.{name}", single.folder / name)
    own = sum(path.stat().st_size for path in both.folder.iterdir() if path.stat().st_nlink == 1)
    assert own < 0.2 * copied.nbytes
    assert both.title == " + ".join(single.title for single in singles)
    assert read_json(both.folder.parent / "manifest.json")["format"] == WIDER
    assert read_json(singles[0].folder.parent / "manifest.json")["format"] == FORMAT


def test_it_reads_like_an_array(both: Space, copied: np.ndarray) -> None:
    view, n = both.vectors, len(both)
    assert isinstance(view, JoinedVectors)
    assert (len(view), view.shape, view.ndim, view.dtype) == (n, copied.shape, 2, np.float32)
    mask = np.arange(n) % 7 == 0
    picks = [5, -1, np.int64(9), [3, 1, 3], np.array([8, 2]), slice(10, 20), slice(None, None, 3), mask]
    for index in [*picks, np.array([], np.int64), (slice(0, 4), slice(2, 9)), ([4, 6], 3), (7, slice(1, 5))]:
        got = view[index]
        assert type(got) is np.ndarray
        assert got.shape == copied[index].shape
        assert np.allclose(got, copied[index], atol=1e-6)
    assert np.allclose(np.asarray(view), copied, atol=1e-6)
    assert np.asarray(view, np.float64).dtype == np.float64
    assert np.allclose(view @ copied[3], copied @ copied[3], atol=1e-5)
    assert np.allclose(view @ copied[:9].T, copied @ copied[:9].T, atol=1e-5)
    assert np.allclose(np.linalg.norm(view, axis=1), 1, atol=1e-5)
    for index in (n, -n - 1, [0, n]):
        with pytest.raises(IndexError):
            view[index]


def test_products_are_weighted_means_of_the_parts(world: Dataset, both: Space) -> None:
    """The space of a joined recipe says of two pictures what its parts say, two thirds and one third of it."""
    parts = [open_space(world, both.recipe.alone(number).key).vectors[:200] for number in range(2)]
    mean = (2 * (parts[0] @ parts[0].T) + parts[1] @ parts[1].T) / 3
    assert np.allclose(both.vectors[:200] @ both.vectors[:200].T, mean, atol=1e-5)


def test_search_and_neighbours_are_the_nearest(both: Space, copied: np.ndarray) -> None:
    rows, scores = both.search(11, 9)
    assert rows[0] == 11
    truth = copied @ copied[11]
    assert np.allclose(scores, np.sort(truth)[::-1][:9], atol=1e-5)
    many_rows, many = both.search(copied[[11, 40]], 9)
    assert many_rows.shape == many.shape == (2, 9)
    assert np.allclose(many[1], np.sort(copied @ copied[40])[::-1][:9], atol=1e-5)
    products = copied[:50] @ copied.T
    products[np.arange(50), np.arange(50)] = -2
    distinct = [row for row in range(50) if both.hashes.count(both.hashes[row]) == 1]
    assert np.allclose(both.distances[distinct], np.sort(1 - products, axis=1)[distinct, :15], atol=1e-5)
    with pytest.raises(BadInput, match="not 3"):
        both.search(np.zeros(3), 4)


# --- scans ---


def parts_of(rng: np.random.Generator, n: int, folder: Path, mapped: bool) -> JoinedVectors:
    """Three parts of different widths: of unit rows, some near each other by hairs, some zero; rows of one part stand
    elsewhere than in the others."""
    folders, rows = [], []
    for number, d in enumerate((130, 64, 7)):
        made = rng.normal(size=(n + 5, d)) * np.exp(-np.arange(d) / 20)
        made[10:20] = made[:10] + rng.normal(scale=1e-7, size=(10, d))
        made[30:40] = made[29]
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        made[40 + 3 * number : 45 + 3 * number] = 0
        place = folder / f"space{number}"
        place.mkdir(parents=True)
        np.save(place / VECTORS, made.astype(np.float32) if number == 1 and mapped else made[:n].astype(np.float32))
        Codes.write(place, np.load(place / VECTORS))
        folders.append(place)
        rows.append(rng.permutation(n + 5)[:n] if number == 1 and mapped else None)
    (folder / "joined").mkdir()
    return link_parts(folder / "joined", folders, (3.0, 1.0, 0.2), rows, n)


@pytest.fixture(params=["in the same order", "in orders of their own"])
def pieces(request: pytest.FixtureRequest, tmp_path: Path) -> JoinedVectors:
    return parts_of(np.random.default_rng(1), 700, tmp_path, request.param == "in orders of their own")


def test_a_row_of_which_a_part_has_nothing_is_of_length_one_too(pieces: JoinedVectors, tmp_path: Path) -> None:
    lengths = np.linalg.norm(pieces, axis=1)
    assert np.allclose(lengths, 1, atol=1e-5) or (lengths[~np.isclose(lengths, 1, atol=1e-5)] == 0).all()
    assert pieces.lengths is not None
    again = open_parts(tmp_path / "joined", (3.0, 1.0, 0.2), len(pieces))
    assert np.array_equal(np.asarray(again), np.asarray(pieces))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_bound_of_the_sum_holds(pieces: JoinedVectors, count: int) -> None:
    """Against double precision, against float32 in our order of summing, and in numpy's over the copy."""
    rng = np.random.default_rng(count)
    weights = (rng.normal(size=(pieces.shape[1], count)) * rng.uniform(0.2, 1, count)).astype(np.float32)
    bias = rng.normal(size=count).astype(np.float32)
    codes = JoinedCodes(pieces)
    assert len(codes) == len(pieces)
    about, bound = codes.scores(weights, bias)
    assert (about.shape, about.dtype, bound.shape) == ((700, count), np.float32, (700,))
    whole = np.asarray(pieces)
    ours = float32_scores(pieces, np.arange(700), weights, bias)
    for true in (whole.astype(np.float64) @ weights.astype(np.float64) + bias, ours, whole @ weights + bias):
        assert (np.abs(about.astype(np.float64) - true) <= bound[:, None]).all()
    assert np.abs(ours - (whole.astype(np.float64) @ weights.astype(np.float64) + bias)).max() < 1e-5
    assert np.median(bound) < 0.03 * np.linalg.norm(weights, axis=0).max(), "and says something"
    assert np.array_equal(codes.approximate(weights, bias), about)
    assert np.array_equal(codes.bounds(weights, bias), bound)
    some = rng.permutation(700)[:90]
    assert np.array_equal(float32_scores(pieces, some, weights, bias), ours[some]), "whichever others are asked for"


def test_estimates_are_the_sum_of_the_parts(pieces: JoinedVectors) -> None:
    vectors, codes = np.asarray(pieces), JoinedCodes(pieces)
    errors = np.stack([codes.estimates(query) - vectors @ query for query in vectors[:30]])
    assert abs(errors.mean()) < 0.02
    assert errors.std() < 0.12


def test_orders_and_decisions_are_those_of_float32(pieces: JoinedVectors) -> None:
    rng = np.random.default_rng(0)
    rows, codes = np.arange(700), JoinedCodes(pieces)
    allowed, extra = rng.random(700) < 0.4, rng.choice([0, 0.001, 0.3], (700, 4)).astype(np.float32)
    weights = rng.normal(size=(pieces.shape[1], 4)).astype(np.float32)
    weights[:, 3] = weights[:, 2] + rng.normal(scale=1e-6, size=len(weights)).astype(np.float32)
    bias = np.array([0.1, -np.inf, 0, 0], np.float32)
    for column in range(4):
        w = weights[:, column]
        scores = float32_scores(pieces, rows, w[:, None])[:, 0]
        added = extra[:, column]
        for n in (1, 24, 5_000):
            assert np.array_equal(codes.top(w, n, pieces), np.lexsort((rows, -scores))[:n])
            order = np.lexsort((rows, -(scores + added)))
            assert np.array_equal(codes.top(w, n, pieces, extra=added), order[:n])
            assert np.array_equal(codes.top(w, n, pieces, allowed, added), order[allowed[order]][:n])
    scores = float32_scores(pieces, rows, weights, bias)
    assert np.array_equal(codes.decide(weights, bias, pieces), scores.argmax(axis=1))
    assert np.array_equal(codes.decide(weights, bias, pieces, extra), (scores + extra).argmax(axis=1))
    assert not codes.decide(weights[:, :1], None, pieces).any()
    for bad in ((weights[1:], None), (weights, np.zeros(3)), (weights, np.full(4, np.nan)), (weights[:, 0], None)):
        with pytest.raises(BadInput, match="eights"):
            codes.scores(*bad)
    with pytest.raises(IndexError):
        float32_scores(pieces, np.array([700]), weights)


@pytest.mark.parametrize("scanned_from", [0, 10**9])
def test_a_classifier_scores_it_like_a_space_of_one_copy(
    both: Space, copied: np.ndarray, scanned_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer.learning.scoring.SCANNED_FROM", scanned_from)
    folder = np.array([uid.split("-")[0] for uid in both.uids])
    names = ("animals", "food", "people")
    rows = np.concatenate([np.flatnonzero(folder == name)[:20] for name in names])
    fitted = fit_classifier(both.vectors[rows], np.repeat(np.arange(3), 20), 3)
    scored = Scored(both, fitted, None)
    expected = fitted.probabilities(copied)
    assert np.allclose(scored.probabilities_of(np.arange(len(both))), expected, atol=1e-4)
    assert (scored.probabilities.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.999
    assert np.array_equal(scored.top(0, 30), Scored(both, fitted, None).top(0, 60)[:30])
    assert len(set(scored.top(0, 30)) & set(np.argsort(-expected[:, 0])[:30])) >= 29


# --- files ---


@pytest.fixture
def mine(world: Dataset, tmp_path: Path) -> Dataset:
    """A copy that a test may change, with its joined space built there."""
    shutil.copytree(world.root.parent, tmp_path / "workspace")
    dataset = Dataset.open(Workspace(tmp_path / "workspace"), world.id)
    shutil.rmtree(dataset.root / "spaces" / recipe_of(world, 2.0, 1.0).key, ignore_errors=True)
    return dataset


def test_a_part_that_is_built_anew_takes_nothing_away(mine: Dataset) -> None:
    recipe = recipe_of(mine, 2.0, 1.0)
    view = build_space(mine, recipe)
    before = np.array(view.vectors[:50])
    for seed in (1, 2, 3):
        build_space(mine, recipe.alone(0), refit=True, seed=seed)
    folders = [path.name for path in (mine.root / "spaces" / recipe.alone(0).key).glob("g*")]
    assert "g000001" not in folders, "the generation that the view was made of was collected"
    again = open_space(mine, recipe.key)
    assert np.array_equal(again.vectors[:50], before)
    assert np.array_equal(again.search(4, 5)[0], view.search(4, 5)[0])
    shutil.rmtree(mine.root / "spaces" / recipe.alone(1).key)
    assert np.array_equal(open_space(mine, recipe.key).vectors[:50], before)
    alone = build_space(mine, recipe, refit=True)
    assert (alone.folder / VECTORS).exists(), "a part has no space any more: its numbers are stored"
    assert np.allclose(alone.vectors[:50], before, atol=1e-6)


def test_where_the_disk_has_no_links_it_copies(mine: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError("no links on this disk")

    monkeypatch.setattr(joined, "_hard_link", no_links)
    recipe = recipe_of(mine, 2.0, 1.0)
    view = build_space(mine, recipe)
    assert (view.folder / f"part0.{VECTORS}").stat().st_nlink == 1
    assert isinstance(view.vectors, JoinedVectors)
    assert view.search(4, 3)[0][0] == 4


def test_an_older_joined_space_opens_as_it_is(mine: Dataset, both: Space, copied: np.ndarray) -> None:
    """Vectors and codes of its own, a manifest of the first format: as versions before parts wrote it."""
    recipe = recipe_of(mine, 2.0, 1.0)
    for number in range(2):
        shutil.rmtree(mine.root / "spaces" / recipe.alone(number).key)
    older = build_space(mine, recipe)
    assert read_json(older.folder.parent / "manifest.json")["format"] == FORMAT
    assert isinstance(older.vectors, np.memmap)
    assert isinstance(older.codes, Codes)
    assert np.allclose(older.vectors, copied, atol=1e-6)
    for number in range(2):
        build_space(mine, recipe.alone(number))
    kept = build_space(mine, recipe)
    assert kept.generation == older.generation, "nothing has changed, nothing is built"


def test_another_fit_than_its_parts_is_stored(mine: Dataset) -> None:
    """The parts were refitted, the joined space was not to be: its vectors stay what its transform makes."""
    recipe = recipe_of(mine, 1.0, 1.0)
    first = build_space(mine, recipe)
    store = mine.root / "spaces" / recipe.alone(0).key
    part = open_space(mine, recipe.alone(0).key)
    with np.load(part.folder / "transform.npz") as stored:
        arrays = dict(stored)
    np.savez(store / f"g{part.generation:06d}" / "transform.npz", **{**arrays, "mean0": arrays["mean0"] + 1})
    gone = mine.items["uid"].iloc[-1]
    mine.record_problems({gone: "gone for this test"})
    second = build_space(mine, recipe)
    assert second.fitted.same_as(first.fitted)
    assert (second.folder / VECTORS).exists()
    assert gone not in second.rows


def test_pictures_that_a_part_lacks(mine: Dataset) -> None:
    """A part of more pictures than the joined space: its rows are looked up."""
    recipe = recipe_of(mine, 1.0, 2.0)
    lacking = mine.present().drop_duplicates("content_hash")["content_hash"].iloc[[3, 9]].tolist()
    store = mine.features(recipe.features[1][0])
    kept = [name for name in store.hashes().astype(str).tolist() if name not in lacking]
    values = store.get(kept)
    shutil.rmtree(store.folder)
    with mine.features(store.spec).writer() as writer:
        for name, row in zip(kept, values, strict=True):
            writer.append(name, row)
    colours = build_space(mine, recipe.alone(1))
    space = build_space(mine, recipe)
    present = mine.present()
    assert space.uids == colours.uids == present[~present["content_hash"].isin(lacking)]["uid"].tolist()
    assert isinstance(space.vectors, JoinedVectors)
    assert space.vectors.parts[0].rows is not None
    assert space.vectors.parts[1].rows is None
    raw = [mine.features(key).get(space.hashes) for key, _ in recipe.features]
    assert np.allclose(space.vectors[:], space.transform(raw), atol=1e-5)
    assert len(space.cluster_cards("kmeans", mine.items)) > 1


def test_cards_and_groups_speak_of_the_view(both: Space, world: Dataset) -> None:
    cards = both.cluster_cards("kmeans", world.items)
    assert sum(card.size for card in cards) == len(both)
    assert isinstance(both.outliers, pd.DataFrame)
    assert both.codes is both.codes

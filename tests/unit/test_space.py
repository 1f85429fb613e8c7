"""A space built over a real dataset: rows, search, rebuilding, growing, and what a killed build leaves."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from explorer.collection.dataset import Dataset
from explorer.collection.embedding import embed
from explorer.collection.images import decode
from explorer.collection.progress import Progress
from explorer.errors import BadInput, Busy, Cancelled, NotFound
from explorer.extractors import load
from explorer.space import Space, SpaceRecipe, build_space, list_spaces, open_space
from explorer.workspace import Workspace

CLIPART = Path(__file__).parents[2] / "data" / "clipart"
COLOUR = load("colour")
RECIPE = SpaceRecipe(((COLOUR.spec.key, 1.0),))


def fill(folder: Path, names: dict[str, int], skip: int = 0) -> None:
    for kind, count in names.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for path in sorted((CLIPART / kind).glob("*.jpg"))[skip : skip + count]:
            shutil.copy(path, folder / kind)


def refreshed(dataset: Dataset) -> Dataset:
    dataset.rescan()
    embed(dataset, [COLOUR])
    return dataset


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with 90 drawings in three folders, two of them there twice, with colours computed."""
    root = tmp_path_factory.mktemp("space")
    fill(root / "pictures", {"animals": 40, "maps": 30, "food": 20})
    copied = sorted((root / "pictures" / "animals").iterdir())[:2]
    for path in copied:
        shutil.copy(path, root / "pictures" / "food" / f"copy-{path.name}")
    spec = {"kind": "folder", "path": str(root / "pictures"), "classes": True}
    refreshed(Dataset.create(Workspace(root / "workspace"), "Drawings", spec, "drawings"))
    return root


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Dataset:
    """A copy that a test may change."""
    shutil.copytree(made / "workspace", tmp_path / "workspace")
    return Dataset.open(Workspace(tmp_path / "workspace"), "drawings")


@pytest.fixture(scope="module")
def shared(made: Path) -> Dataset:
    """Another copy, for tests that only look at it and at its space."""
    shutil.copytree(made / "workspace", made / "shared")
    return Dataset.open(Workspace(made / "shared"), "drawings")


@pytest.fixture(scope="module")
def space(shared: Dataset) -> Space:
    return build_space(shared, RECIPE)


def test_every_present_item_has_a_row_in_every_part(space: Space, shared: Dataset) -> None:
    present = shared.present()
    assert space.uids == present["uid"].tolist()
    assert space.hashes == present["content_hash"].tolist()
    n = len(present)
    assert n == 92
    assert space.vectors.shape == (n, COLOUR.spec.dim)
    assert np.allclose(np.linalg.norm(space.vectors, axis=1), 1, atol=1e-5)
    assert space.neighbours.shape == space.distances.shape == (n, 15)
    assert space.xy.shape == (n, 2)
    assert space.xy.dtype == np.float32
    assert len(space.clusters) == len(space.outliers) == n
    assert space.outliers["uid"].tolist() == space.uids
    assert sorted(space.outliers["rank"]) == list(range(1, n + 1))
    assert [space.uids[space.rows[uid]] for uid in space.uids[:5]] == space.uids[:5]
    assert space.title == "Colours"
    assert space.clusters["kmeans"].nunique() >= 4


def test_neighbours_are_the_nearest_vectors(space: Space) -> None:
    scores = space.vectors @ space.vectors.T
    np.fill_diagonal(scores, -2)
    assert np.allclose(space.distances, np.sort(1 - scores, axis=1)[:, :15], atol=1e-5)


def test_search_by_row_and_by_vector_agree(space: Space) -> None:
    rows, scores = space.search(11, 7)
    assert rows[0] == 11
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert (np.diff(scores) <= 0).all()
    again, _ = space.search(np.asarray(space.vectors[11]), 7)
    assert np.array_equal(rows, again)
    many, _ = space.search(space.vectors[[11, 12]], 7)
    assert many.shape == (2, 7)
    assert np.array_equal(many[0], rows)
    with pytest.raises(BadInput, match="not 3"):
        space.search(np.zeros(3), 4)


def test_an_uploaded_picture_finds_itself(space: Space, shared: Dataset) -> None:
    path = shared.present()["path"].iloc[30]
    rgb = decode(shared.source.read(path)).rgb
    vector = space.transform([COLOUR.compute(COLOUR.prepare(rgb)[None])])
    rows, scores = space.search(vector[0], 3)
    assert rows[0] == 30
    assert scores[0] == pytest.approx(1, abs=1e-4)
    with pytest.raises(BadInput, match="not of"):
        space.transform([np.zeros((1, 5), np.float32)])


def test_copies_are_found_and_share_a_place(space: Space) -> None:
    table = space.duplicates
    exact = table[table["kind"] == "exact"]
    expected = pd.Series(space.hashes).duplicated(keep=False)
    assert sorted(exact["row"]) == np.flatnonzero(expected).tolist()
    assert expected.sum() >= 4
    for _, pair in exact.groupby("group"):
        first, second = pair["row"].iloc[:2]
        assert space.hashes[first] == space.hashes[second]
        assert np.array_equal(space.xy[first], space.xy[second])
        assert space.neighbours[first][0] == second


def test_cards_speak_of_the_users_columns(space: Space, shared: Dataset) -> None:
    cards = space.cluster_cards("kmeans", shared.items)
    assert sum(card.size for card in cards) == len(space)
    assert "folder" in {column for card in cards for column, *_ in card.differs}
    assert space.cluster_cards("kmeans", shared.items) is cards, "computed once"
    assert space.cluster_cards("kmeans", shared.items.assign(caption="elephant"))[0].words == ["elephant"]
    with pytest.raises(BadInput, match="kmeans and hdbscan"):
        space.cluster_cards("agglomerative", shared.items)


def test_deleted_and_rebuilt_it_is_the_same(dataset: Dataset) -> None:
    first = build_space(dataset, RECIPE)
    kept = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    shutil.rmtree(dataset.root / "spaces")
    with pytest.raises(NotFound, match="drawings"):
        open_space(dataset, RECIPE.key)
    again = build_space(dataset, RECIPE)
    assert {path.name: path.read_bytes() for path in again.folder.iterdir()} == kept


def test_nothing_changed_nothing_built(dataset: Dataset) -> None:
    assert build_space(dataset, RECIPE).generation == 1
    assert build_space(dataset, RECIPE).generation == 1
    assert build_space(dataset, RECIPE, refit=True).generation == 2
    assert [(info.title, info.n, info.generation, info.stale) for info in list_spaces(dataset)] == [
        ("Colours", 92, 2, False)
    ]


def test_a_few_new_pictures_join_the_map_that_is_there(dataset: Dataset, made: Path, tmp_path: Path) -> None:
    before = build_space(dataset, RECIPE)
    pictures = tmp_path / "pictures"
    shutil.copytree(made / "pictures", pictures)
    fill(pictures, {"maps": 6}, skip=30)
    moved = Dataset.create(
        Workspace(tmp_path / "workspace"), "Moved", {"kind": "folder", "path": str(pictures), "classes": True}, "moved"
    )
    shutil.copytree(dataset.root / "features", moved.root / "features")
    shutil.copytree(dataset.root / "spaces", moved.root / "spaces")
    refreshed(moved)
    assert list_spaces(moved)[0].stale
    after = build_space(moved, RECIPE)
    assert after.generation == 2
    assert len(after) == 98
    old = [after.rows[uid] for uid in before.uids]
    assert np.array_equal(after.xy[old], before.xy), "who was there stays where they were"
    assert np.array_equal(after.vectors[old], before.vectors)
    new = sorted(set(range(98)) - set(old))
    assert np.abs(after.xy[new]).max() <= 1
    near = after.neighbours[new][:, :3]
    apart = np.linalg.norm(after.xy[new][:, None] - after.xy[near], axis=2).mean()
    anyone = np.linalg.norm(after.xy[new][:, None] - after.xy[None], axis=2).mean()
    assert apart < 0.6 * anyone
    refitted = build_space(moved, RECIPE, refit=True)
    assert not np.array_equal(refitted.xy[old], before.xy)
    assert sorted(path.name for path in refitted.folder.parent.glob("g*")) == ["g000002", "g000003"]
    assert len(after.vectors[:]) == 98, "a reader keeps the generation that it opened"


def test_pictures_without_features_wait(dataset: Dataset, made: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="lite0-000000000000"):
        build_space(dataset, SpaceRecipe((("lite0-000000000000", 1.0),)))
    pictures = tmp_path / "pictures"
    shutil.copytree(made / "pictures", pictures)
    moved = Dataset.create(
        Workspace(tmp_path / "workspace"), "Moved", {"kind": "folder", "path": str(pictures), "classes": True}, "moved"
    )
    moved.rescan()
    with pytest.raises(NotFound):
        build_space(moved, RECIPE)
    shutil.copytree(dataset.root / "features", moved.root / "features")
    fill(pictures, {"plants": 3})
    moved.rescan()
    assert len(build_space(moved, RECIPE)) == 92
    assert not list_spaces(moved)[0].stale
    embed(moved, [COLOUR])
    assert list_spaces(moved)[0].stale
    assert len(build_space(moved, RECIPE)) == 95


def test_joined_features_are_weighed(dataset: Dataset) -> None:
    raw = dataset.features(COLOUR.spec).get(dataset.present()["content_hash"].tolist())
    twice = build_space(dataset, SpaceRecipe(((COLOUR.spec.key, 3.0), (COLOUR.spec.key, 1.0)), steps=("l2",)))
    alone = build_space(dataset, SpaceRecipe(((COLOUR.spec.key, 1.0),), steps=("l2",)))
    assert twice.vectors.shape[1] == 2 * COLOUR.spec.dim
    assert np.allclose(twice.vectors @ twice.vectors.T, alone.vectors @ alone.vectors.T, atol=1e-5)
    assert np.allclose(np.linalg.norm(twice.vectors[:, : COLOUR.spec.dim], axis=1) ** 2, 0.75, atol=1e-5)
    assert np.allclose(alone.vectors, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-5)
    assert len({info.key for info in list_spaces(dataset)}) == 2


@pytest.mark.parametrize("count", [1, 2, 3, 7, 17, 25])
def test_any_number_of_pictures_makes_a_space(count: int, tmp_path: Path) -> None:
    fill(tmp_path / "few", {"animals": count})
    spec = {"kind": "folder", "path": str(tmp_path / "few"), "classes": False}
    few = refreshed(Dataset.create(Workspace(tmp_path / "workspace"), "Few", spec, "few"))
    space = build_space(few, RECIPE)
    assert len(space) == count
    assert np.isfinite(space.xy).all()
    assert space.neighbours.shape == (count, min(15, count - 1))
    assert space.search(0, 5)[0][0] == 0
    assert sum(card.size for card in space.cluster_cards("kmeans", few.items)) == count


def test_many_copies_of_one_picture_do_not_break_it(tmp_path: Path) -> None:
    for number in range(70):
        rgb = np.full((40, 40, 3), 240 if number < 50 else number, np.uint8)
        rgb[0, 0] = number if number >= 50 else 0
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), rgb)
    spec = {"kind": "folder", "path": str(tmp_path), "classes": False}
    same = refreshed(Dataset.create(Workspace(tmp_path / "workspace"), "Same", spec, "same"))
    space = build_space(same, RECIPE)
    assert len(space) == 70
    assert len(np.unique(space.xy[:50], axis=0)) == 1
    assert (space.distances[:50] == 0).all()
    assert space.duplicates["group"].value_counts().max() >= 50
    assert (space.neighbours != np.arange(70)[:, None]).all()


def test_progress_is_told_in_plain_words_and_a_stopped_build_changes_nothing(dataset: Dataset) -> None:
    told: list[Progress] = []
    build_space(dataset, RECIPE, told.append)
    stages = list(dict.fromkeys(step.stage for step in told))
    assert stages[1:3] == ["Comparing pictures", "Drawing the map"]
    assert told[-1].done == told[-1].total
    steps = iter(range(100))
    with pytest.raises(Cancelled):
        build_space(dataset, RECIPE, cancelled=lambda: next(steps) >= 3, refit=True)
    assert open_space(dataset, RECIPE.key).generation == 1
    assert [path.name for path in (dataset.root / "spaces" / RECIPE.key).iterdir() if path.is_dir()] == ["g000001"]
    with dataset.writing(), pytest.raises(Busy):
        build_space(dataset, RECIPE, refit=True)


def test_a_killed_build_leaves_the_last_generation(dataset: Dataset) -> None:
    before = build_space(dataset, RECIPE)
    code = f"""
        import os, signal
        from explorer.collection.dataset import Dataset
        from explorer.space import SpaceRecipe, build_space
        from explorer.workspace import Workspace
        from pathlib import Path
        def die(step):
            if step.stage == "Finding what is there twice":
                os.kill(os.getpid(), signal.SIGKILL)
        dataset = Dataset.open(Workspace(Path({str(dataset.root.parent)!r})), "drawings")
        build_space(dataset, SpaceRecipe((({COLOUR.spec.key!r}, 1.0),)), die, refit=True)
    """
    environment = {**os.environ, "PYTHONPATH": str(CLIPART.parents[1])}
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    folder = dataset.root / "spaces" / RECIPE.key
    assert any(path.name.startswith(".g") for path in folder.iterdir())
    assert open_space(dataset, RECIPE.key).uids == before.uids
    after = build_space(dataset, RECIPE, refit=True)
    assert after.generation == 2
    assert sorted(path.name for path in folder.iterdir()) == ["g000001", "g000002", "manifest.json"]


def test_above_a_size_search_goes_by_signs(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    space = build_space(dataset, RECIPE)
    plain = space.search(4, 5)
    monkeypatch.setattr("explorer.space.index.EXACT", 0)
    assert all(np.array_equal(*pair) for pair in zip(space.search(4, 5), plain, strict=True))
    assert space.search(np.stack([space.vectors[4]] * 2), 5)[0].shape == (2, 5)


@pytest.mark.parametrize("features", [(), (("a", 0.0),), (("a", -1.0),)])
def test_a_recipe_without_weight_is_refused(features: tuple) -> None:
    with pytest.raises(BadInput):
        SpaceRecipe(features)


def test_a_recipes_key_and_title_say_what_it_is() -> None:
    recipe = SpaceRecipe((("lite0-8c039f62728d", 1.0), ("open-clip-vit-b-32-laion-012345678901", 0.5)))
    assert recipe.key.startswith("lite0-and-open-clip-vit-b-32")
    assert recipe.title == "What it shows + What it shows, and text (vit-b-32-laion)"
    assert SpaceRecipe.from_json(recipe.as_json()) == recipe
    assert recipe.key != SpaceRecipe(recipe.features, ("l2",)).key
    assert pd.Series([recipe.key]).str.fullmatch(r"[a-z0-9-]+").all()

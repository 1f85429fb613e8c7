"""The steps of a space: named, in order, fitted once, kept in its files."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage

from explorer.collection.dataset import Dataset
from explorer.durable import read_json
from explorer.errors import BadInput
from explorer.space import Space, SpaceRecipe, build_space, list_spaces, open_space
from explorer.space.recipe import Transform
from explorer.space.space import FORMAT, WIDER
from explorer.workspace import Workspace
from tests.unit.test_space import COLOUR, fill, refreshed

KEY = COLOUR.spec.key
WHITENED = ("centre", "power", "pca:12", "whiten", "l2")


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("steps")
    fill(root / "pictures", {"animals": 40, "maps": 20})
    spec = {"kind": "folder", "path": str(root / "pictures"), "classes": True}
    return refreshed(Dataset.create(Workspace(root / "workspace"), "Drawings", spec, "drawings"))


@pytest.fixture(scope="module")
def raw(drawings: Dataset) -> np.ndarray:
    return drawings.features(KEY).get(drawings.present()["content_hash"].tolist())


@pytest.fixture(scope="module")
def whitened(drawings: Dataset) -> Space:
    return build_space(drawings, SpaceRecipe(((KEY, 1.0),), WHITENED))


@pytest.mark.parametrize(
    "steps",
    [
        (), ("centre",), ("l2", "centre"), ("l2", "l2"), ("centre", "centre", "l2"), ("pca:8", "l2"),
        ("pca:8", "centre", "l2"), ("centre", "whiten", "l2"), ("centre", "pca:8", "power", "whiten", "l2"),
        ("centre", "pca", "l2"), ("centre", "pca:0", "l2"), ("centre", "pca:9999", "l2"), ("centre", "pca:-3", "l2"),
        ("power:0", "l2"), ("power:.0", "l2"), ("power:2", "l2"), ("power:nan", "l2"), ("zca", "l2"), (5, "l2"),
        ("centre ", "l2"), ("pca:٣", "centre", "l2"),
    ],
)  # fmt: skip
def test_steps_that_make_no_sense_are_refused(steps: tuple) -> None:
    with pytest.raises(BadInput, match=r"goes through|power|pca"):
        SpaceRecipe(((KEY, 1.0),), steps)


def test_steps_are_written_in_one_way_and_older_recipes_keep_their_keys() -> None:
    same = [SpaceRecipe(((KEY, 1.0),), (step, "l2")) for step in ("power", "power:0.5", "power:.5", "power:0.500")]
    assert {recipe.key for recipe in same} == {same[0].key}
    assert SpaceRecipe.from_json(same[2].as_json()) == same[0]
    assert SpaceRecipe((("colour-0123456789ab", 1.0),)).key == "colour-dceae2c1"
    assert SpaceRecipe((("colour-0123456789ab", 2.0), ("lite0-0123456789ab", 0.5)), ("l2",)).key == (
        "colour-and-lite0-6b324521"
    )
    keys = {
        SpaceRecipe(((KEY, 1.0),), steps).key
        for steps in [WHITENED, ("power", "centre", "l2"), ("centre", "power", "l2"), ("centre", "pca:12", "l2")]
    }
    assert len(keys) == 4
    assert SpaceRecipe(((KEY, 1.0),), WHITENED).title == (
        "Colours, large numbers damped, 12 main directions, all directions alike"
    )


def test_each_step_does_what_it_says(drawings: Dataset, raw: np.ndarray) -> None:
    """Against the same written down by hand, in the order given."""

    def vectors(*steps: str) -> np.ndarray:
        return np.asarray(build_space(drawings, SpaceRecipe(((KEY, 1.0),), steps)).vectors)

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    distinct = np.unique(raw, axis=0)
    assert len(distinct) == len(raw), "no copies, so that means are plain"
    shrunk = len(raw) / (len(raw) + 16)
    centred = raw - raw.mean(axis=0) * shrunk
    rooted = np.sign(raw) * np.abs(raw) ** 0.3
    assert np.allclose(vectors("centre", "power", "l2"), unit(np.sign(centred) * np.sqrt(np.abs(centred))), atol=1e-5)
    assert np.allclose(vectors("power:0.3", "l2"), unit(rooted), atol=1e-5)
    late = vectors("power:0.3", "centre", "l2")
    assert np.allclose(late, unit(rooted - rooted.mean(axis=0) * shrunk), atol=1e-4)
    _, spreads, axes = np.linalg.svd(centred, full_matrices=False)
    assert np.allclose(np.abs(vectors("centre", "pca:5", "l2")), np.abs(unit(centred @ axes[:5].T)), atol=2e-4)
    projected = centred @ axes[:5].T
    shrink = ledoit_wolf_shrinkage(projected, assume_centered=True)
    values = spreads[:5] ** 2 / len(raw)
    evened = unit(projected / np.sqrt((1 - shrink) * values + shrink * values.mean()))
    whitened = vectors("centre", "pca:5", "whiten", "l2")
    assert np.allclose(np.abs(whitened), np.abs(evened), atol=1e-3)
    assert not np.allclose(np.abs(whitened), np.abs(unit(projected)), atol=1e-2)
    power_last = vectors("centre", "pca:5", "power", "l2")
    expected = unit(np.sign(projected) * np.sqrt(np.abs(projected)))
    assert np.allclose(np.abs(power_last), np.abs(expected), atol=2e-3)


def test_whitening_makes_directions_alike_and_noise_stays_small() -> None:
    rng = np.random.default_rng(0)
    recipe = SpaceRecipe((("made-0123456789ab", 1.0),), ("centre", "pca:6", "whiten", "l2"))
    sizes = np.array([9.0, 5, 3, 2, 1, 0.5])

    def spreads(m: int) -> np.ndarray:
        rows = (rng.normal(size=(m, 6)) * sizes).astype(np.float32)
        made = Transform.fit(recipe, [rows.sum(axis=0, dtype=np.float64)], m, [rows])
        return ((rows - made.means[0]) @ made.axes[0]).std(axis=0)

    assert np.allclose(spreads(20_000), 1, atol=0.05)
    assert spreads(8).min() < 0.5, "eight rows do not say enough of the smallest directions to blow them up"


def test_what_was_fitted_is_in_the_files_without_pickles(whitened: Space, drawings: Dataset, raw: np.ndarray) -> None:
    assert whitened.vectors.shape[1] == 12
    with np.load(whitened.folder / "transform.npz", allow_pickle=False) as stored:
        assert stored["axes0"].shape == (COLOUR.spec.dim, 12)
        assert stored["axes0"].dtype == np.float32
    again = open_space(drawings, whitened.key)
    assert again.fitted.same_as(whitened.fitted)
    assert np.allclose(again.transform([raw]), whitened.vectors, atol=1e-5)
    assert np.allclose(again.transform([raw[7]])[0], whitened.vectors[7], atol=1e-5)
    assert again.search(again.transform([raw[7]])[0], 1)[0][0] == 7
    manifest = read_json(whitened.folder.parent / "manifest.json")
    assert manifest["format"] == WIDER, "a version that knows no directions must not read it"
    plain = build_space(drawings, SpaceRecipe(((KEY, 1.0),)))
    assert read_json(plain.folder.parent / "manifest.json")["format"] == FORMAT
    assert {info.key for info in list_spaces(drawings)} >= {whitened.key, plain.key}


def test_a_fit_is_the_same_again_and_kept_until_asked(whitened: Space, tmp_path: Path) -> None:
    root = tmp_path
    fill(root / "pictures", {"animals": 40, "maps": 20})
    spec = {"kind": "folder", "path": str(root / "pictures"), "classes": True}
    dataset = refreshed(Dataset.create(Workspace(root / "workspace"), "Drawings", spec, "drawings"))
    recipe = SpaceRecipe(((KEY, 1.0),), WHITENED)
    first = build_space(dataset, recipe)
    assert np.allclose(first.fitted.axes[0], whitened.fitted.axes[0], atol=1e-4)
    fill(root / "pictures", {"maps": 6}, skip=20)
    second = build_space(refreshed(dataset), recipe)
    assert (second.generation, len(second)) == (2, 66)
    assert second.fitted.same_as(first.fitted), "a few new pictures change no fit"
    assert np.allclose(second.vectors[[second.rows[uid] for uid in first.uids]], first.vectors, atol=1e-6)
    assert not build_space(dataset, recipe, refit=True).fitted.same_as(first.fitted)
    refitted = open_space(dataset, recipe.key).fitted
    fill(root / "pictures", {"food": 20})
    grown = build_space(refreshed(dataset), recipe)
    assert not grown.fitted.same_as(refitted), "more than a fifth are new"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_pictures_have_few_directions(count: int, tmp_path: Path) -> None:
    fill(tmp_path / "few", {"animals": count})
    spec = {"kind": "folder", "path": str(tmp_path / "few"), "classes": False}
    few = refreshed(Dataset.create(Workspace(tmp_path / "workspace"), "Few", spec, "few"))
    space = build_space(few, SpaceRecipe(((KEY, 1.0),), WHITENED))
    assert space.vectors.shape == (count, count)
    assert np.isfinite(space.vectors).all()
    assert np.allclose(np.linalg.norm(space.vectors, axis=1), 1, atol=1e-5)


def test_a_sample_is_enough_for_the_directions(
    drawings: Dataset, raw: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer.space.build.SAMPLE", 30)
    recipe = SpaceRecipe(((KEY, 1.0),), ("centre", "pca:40", "l2"))
    space = build_space(drawings, recipe, refit=True)
    assert space.fitted.dim == 30
    assert build_space(drawings, recipe, refit=True).fitted.same_as(space.fitted), "the sample is drawn by the seed"
    assert dataclasses.replace(space.fitted, means=(raw[0],)).same_as(space.fitted) is False

"""What answered pictures look like in every computed feature, in joined spaces and as bare pixels."""

import shutil

import numpy as np
import pytest

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput, NotFound
from explorer.extractors.base import FeatureSpec
from explorer.learning import looks
from explorer.learning.looks import look_of_recipe, looks_of, raw_pixels
from explorer.space import SpaceRecipe, open_space
from explorer.space.space import list_spaces
from explorer.workspace import Workspace


def opened(workspace: Workspace) -> Dataset:
    return Dataset.open(workspace, workspace.dataset_ids()[0])


def test_looks_are_the_spaces_own_vectors(demo_workspace: Workspace) -> None:
    dataset = opened(demo_workspace)
    uids = dataset.present()["uid"].tolist()[5:300:7]
    found = {look.key: look for look in looks_of(dataset, uids)}
    assert set(found) == {spec.key for spec in dataset.feature_specs()}
    assert {look.title for look in found.values()} >= {"What it shows", "Colours"}
    for info in list_spaces(dataset):
        space = open_space(dataset, info.key)
        rows = [space.rows[uid] for uid in uids]
        if len(space.recipe.features) == 1:
            look = found[space.recipe.features[0][0]]
            assert look.vectors.dtype == np.float32
            assert np.einsum("nd,nd->n", look.vectors, space.vectors[rows]).min() > 0.999
        again = look_of_recipe(dataset, space.recipe, uids)
        assert again.title == space.title
        assert np.einsum("nd,nd->n", again.vectors, space.vectors[rows]).min() > 0.999


def test_a_joined_look_is_the_weighted_mean_of_its_parts(demo_workspace: Workspace) -> None:
    dataset = opened(demo_workspace)
    uids = dataset.present()["uid"].tolist()[:40]
    a, b = looks_of(dataset, uids)[:2]
    both = look_of_recipe(dataset, SpaceRecipe(((a.key, 0.75), (b.key, 0.25))), uids)
    wanted = 0.75 * a.vectors @ a.vectors.T + 0.25 * b.vectors @ b.vectors.T
    assert np.allclose(both.vectors @ both.vectors.T, wanted, atol=1e-4)


def test_means_are_taken_once_until_rows_are_added(demo_copy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = opened(demo_copy)
    uids = dataset.present()["uid"].tolist()[:30]
    first = looks_of(dataset, uids)
    fitted: list[int] = []
    fit = looks.Transform.fit
    monkeypatch.setattr(looks.Transform, "fit", lambda *given: fitted.append(1) or fit(*given))
    assert np.array_equal(looks_of(dataset, uids)[0].vectors, first[0].vectors)
    assert not fitted
    spec = next(spec for spec in dataset.feature_specs() if spec.key == first[0].key)
    with dataset.writing(), dataset.features(spec).writer() as writer:
        for number in range(400):
            writer.append(f"{number:032x}", np.full(spec.dim, 9.0, np.float32))
    moved = looks_of(dataset, uids)
    assert fitted == [1]
    assert not np.allclose(moved[0].vectors, first[0].vectors, atol=1e-2)


def test_a_feature_that_lacks_one_of_the_pictures_is_no_look(demo_copy: Workspace) -> None:
    dataset = opened(demo_copy)
    present = dataset.present().drop_duplicates("content_hash")
    spec = FeatureSpec("half", "none", "", "", "numpy", "fp32", 4)
    with dataset.writing(), dataset.features(spec).writer() as writer:
        for number, name in enumerate(present["content_hash"][:20]):
            writer.append(name, np.eye(4, dtype=np.float32)[number % 4])
    uids = present["uid"].tolist()
    assert spec.key in {look.key for look in looks_of(dataset, uids[:20])}
    assert spec.key not in {look.key for look in looks_of(dataset, uids[:21])}
    assert [look.key for look in looks_of(dataset, uids[:20], [spec.key])] == [spec.key]
    with pytest.raises(NotFound):
        look_of_recipe(dataset, SpaceRecipe(((spec.key, 1.0),)), uids[:21])


def test_bare_pixels_tell_dark_from_light(demo_copy: Workspace) -> None:
    dataset = opened(demo_copy)
    uids = dataset.present()["uid"].tolist()[:60]
    look = raw_pixels(dataset, uids)
    assert look.vectors.shape == (60, 32 * 32 * 3)
    assert np.allclose(np.linalg.norm(look.vectors, axis=1), 1, atol=1e-4)
    again = raw_pixels(dataset, uids[::-1])
    assert np.allclose(again.vectors[::-1], look.vectors, atol=1e-5)
    shutil.rmtree(dataset.root / "thumbs")
    with pytest.raises(NotFound, match="small picture"):
        raw_pixels(opened(demo_copy), uids)


def test_what_is_not_there_is_named(demo_workspace: Workspace) -> None:
    dataset = opened(demo_workspace)
    with pytest.raises(NotFound, match="nobody"):
        looks_of(dataset, ["nobody"])
    with pytest.raises(NotFound, match="feature 'nothing-0'"):
        looks_of(dataset, dataset.present()["uid"].tolist()[:3], ["nothing-0"])
    with pytest.raises(BadInput, match="Answer some pictures"):
        looks_of(dataset, [])

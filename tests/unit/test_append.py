"""Adding to a large space: what is new is found as if all had been built anew, and nothing that was there moves."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.growing import collection, grow
from explorer.collection.dataset import Dataset
from explorer.durable import read_json
from explorer.errors import Unavailable
from explorer.space import append, index
from explorer.space.build import build_space
from explorer.space.codes import FILES, Codes
from explorer.space.joined import VECTORS
from explorer.space.signs import SIGN_FILES
from explorer.space.space import Space, open_space
from explorer.workspace import Workspace

N, D = 3_003, 96


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append, "FEWEST", 1_000)


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Dataset, Space, np.ndarray]:
    """A collection of N pictures with a space, to which 60 have come since, ten of them copies of those there."""
    dataset, recipe, more = collection(Workspace(tmp_path), N, D, 60)
    more[:10] = np.load(open_space(dataset, recipe.key).folder / VECTORS)[:10]
    before = open_space(dataset, recipe.key)
    grow(dataset, more)
    return dataset, before, more


def test_new_pictures_are_found_and_old_ones_stay(grown: tuple[Dataset, Space, np.ndarray]) -> None:
    dataset, before, more = grown
    after = build_space(dataset, before.recipe)
    assert (after.generation, len(after)) == (2, N + 60)
    for name in (VECTORS, *FILES, *SIGN_FILES):
        assert os.path.samefile(before.folder / name, after.folder / name), "not copied"
    assert after.uids[:N] == before.uids.tolist()
    assert np.array_equal(after.xy[:N], before.xy)
    assert (after.clusters[:N] == before.clusters).all(axis=None)
    assert before.vectors.shape == (N, D)
    assert len(before.codes) == N
    assert len(open_space(dataset, before.key)) == N + 60
    assert np.allclose(after.vectors[N:], more, atol=2e-3)
    for row in range(N + 10, N + 60):
        assert after.search(row, 3)[0][0] == row
    fresh = Codes.of(np.asarray(after.vectors))
    assert all(np.array_equal(getattr(fresh, name), getattr(after.codes, name)) for name in ("codes", "scale", "error"))
    assert after.codes.kept is not None
    assert np.array_equal(after.codes.signs.bits, fresh.signs.bits)
    assert np.array_equal(after.codes.signs.factor, fresh.signs.factor)
    assert np.array_equal(before.codes.estimates(more[0]), Codes.of(np.asarray(before.vectors)).estimates(more[0]))


def test_the_graph_is_that_of_a_plain_comparison(grown: tuple[Dataset, Space, np.ndarray]) -> None:
    dataset, before, _ = grown
    after = build_space(dataset, before.recipe)
    vectors = np.asarray(after.vectors)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -2)
    expected = np.sort(1 - scores, axis=1)[:, :15]
    assert np.allclose(after.distances[N:], expected[N:], atol=1e-5)
    told = 1 - np.take_along_axis(scores, np.asarray(after.neighbours, np.int64), 1)
    assert np.allclose(np.maximum(told, 0), after.distances, atol=1e-5)
    assert (after.neighbours != np.arange(N + 60)[:, None]).all()
    entered = after.neighbours[:N] >= N
    nearer = (1 - scores[:N, N:] < np.asarray(before.distances)[:, -1:] - 1e-6).sum(axis=1)
    assert entered.sum() > 0.9 * np.minimum(nearer, 15).sum() > 0


def test_copies_share_a_place_and_are_said_to_be(grown: tuple[Dataset, Space, np.ndarray]) -> None:
    dataset, before, _ = grown
    after = build_space(dataset, before.recipe)
    copies = [row for row in range(N, N + 60) if after.distances[row, 0] < 1e-6]
    assert copies
    for row in copies:
        assert np.array_equal(after.xy[row], after.xy[after.neighbours[row, 0]])
    assert sorted(after.outliers["rank"]) == list(range(1, N + 61))
    assert after.outliers["score"][N:].between(0, 1).all()
    assert set(before.duplicates["row"]) <= set(after.duplicates["row"])
    assert (after.duplicates.groupby("group")["row"].count() > 1).all()


def test_same_files_are_grouped(tmp_path: Path) -> None:
    dataset, recipe, more = collection(Workspace(tmp_path), N, D, 20)
    grow(dataset, more, hashes=[f"{7:032x}"] * 2 + [f"{N + row:032x}" for row in range(18)])
    after = build_space(dataset, recipe)
    [group] = after.duplicates[after.duplicates["row"] == 7]["group"]
    together = after.duplicates[after.duplicates["group"] == group]
    assert {7, N, N + 1} <= set(together["row"])
    assert set(together["kind"][together["row"].isin([7, N, N + 1])]) == {"exact"}


def test_what_is_gone_stays_as_a_row_until_all_is_made_anew(grown: tuple[Dataset, Space, np.ndarray]) -> None:
    dataset, before, _ = grown
    items = dataset.items
    items.loc[items["uid"].isin(before.uids[:5]), "status"] = "gone"
    dataset._store(items, scanned_ns=3)
    after = build_space(dataset, before.recipe)
    assert len(after) == N + 60
    assert (after.items(dataset)["status"][:5] == "gone").all()
    manifest = read_json(after.folder.parent / "manifest.json")
    assert (manifest["n"], manifest["settled"]) == (N + 60, N)
    again = build_space(dataset, before.recipe)
    assert again.generation == after.generation, "nothing has changed since"
    anew = build_space(dataset, before.recipe, refit=True)
    assert len(anew) == N + 55


def test_a_changed_picture_or_too_many_make_all_anew(grown: tuple[Dataset, Space, np.ndarray]) -> None:
    dataset, before, _ = grown
    items = dataset.items
    items["content_hash"] = items["content_hash"].where(items["uid"] != before.uids[3], f"{N + 1:032x}")
    dataset._store(items, scanned_ns=3)
    after = build_space(dataset, before.recipe)
    assert not os.path.samefile(before.folder / VECTORS, after.folder / VECTORS)
    assert read_json(after.folder.parent / "manifest.json")["settled"] == N + 60


def test_a_killed_build_leaves_nothing_that_counts(grown: tuple[Dataset, Space, np.ndarray]) -> None:
    dataset, before, more = grown
    code = f"""
    import os, signal
    from pathlib import Path
    from explorer.collection.dataset import Dataset
    from explorer.space import append, build
    from explorer.space.recipe import SpaceRecipe
    from explorer.workspace import Workspace
    append.FEWEST = 1_000
    build._make_durable = lambda work: os.kill(os.getpid(), signal.SIGKILL)
    dataset = Dataset.open(Workspace(Path({str(dataset.root.parent)!r})), {dataset.id!r})
    build.build_space(dataset, SpaceRecipe({before.recipe.features!r}))
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert np.load(before.folder / VECTORS, mmap_mode="r").shape == (N + 60, D)
    still = open_space(dataset, before.key)
    assert (still.generation, still.vectors.shape, len(still.codes)) == (1, (N, D), N)
    after = build_space(dataset, before.recipe)
    assert np.allclose(after.vectors[N:], more, atol=2e-3)


def test_many_at_once_are_looked_for_by_signs(
    grown: tuple[Dataset, Space, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, space, more = grown
    plain = list(index.candidates(space.codes, space.vectors, more, 15, 45))
    monkeypatch.setattr(index, "_GUESSED", 150)
    monkeypatch.setattr(index, "_SURE", 5.0)
    by_signs = list(index.candidates(space.codes, space.vectors, more, 15, 45))
    for (_, scores), (rows, found) in zip(plain, by_signs, strict=True):
        assert len(set(rows.tolist())) == len(rows) >= 45
        assert np.array_equal(np.sort(found)[-15:], np.sort(scores)[-15:])


def test_rows_are_put_behind_others_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(12, dtype=np.float32).reshape(4, 3))
    held = np.load(path, mmap_mode="r")
    append.extend(path, np.full((9_999_996, 3), 7, np.float32)[:96], 4)
    append.extend(path, np.full((1, 3), 8, np.float32), 100)
    append.extend(path, np.empty((0, 3), np.float32), 101)
    found = np.load(path)
    assert found.shape == (101, 3)
    assert np.array_equal(found[:4], held)
    assert (found[4:100] == 7).all()
    assert (found[100] == 8).all()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="no room"):
        append.extend(path, np.ones((1, 3), np.float32), 101)
    assert len(np.load(path)) == 101


def test_names_of_any_kind_are_kept(tmp_path: Path) -> None:
    dataset, recipe, more = collection(Workspace(tmp_path), N, D, 3)
    grow(dataset, more, uids=["schön/1.jpg", "日本", "a'b"])
    after = build_space(dataset, recipe)
    assert after.uids[N:] == ["schön/1.jpg", "日本", "a'b"]
    assert after.rows["日本"] == N + 1
    assert isinstance(after.duplicates, pd.DataFrame)

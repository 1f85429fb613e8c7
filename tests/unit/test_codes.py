"""Scans of the vectors in bytes: bounds that hold, and orders and decisions that are those of float32."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from explorer.collection.dataset import Dataset
from explorer.errors import BadInput
from explorer.learning.classifier import fit_classifier
from explorer.space import Space, codes, list_spaces, open_space, scan_kernels, shares
from explorer.space.codes import FILES, Codes, float32_scores, largest
from explorer.workspace import Workspace


@pytest.fixture(scope="module")
def space(demo_workspace: Workspace) -> Space:
    dataset = Dataset.open(demo_workspace, demo_workspace.dataset_ids()[0])
    return open_space(dataset, list_spaces(dataset)[0].key)


@pytest.fixture(scope="module")
def adversarial(space: Space) -> np.ndarray:
    """Real features, and rows that make trouble: copies, hairs apart, nothing, tiny, huge, one number alone."""
    real = np.asarray(space.vectors)
    rng = np.random.default_rng(3)
    hairs = real[:100] + rng.normal(scale=1e-7, size=(100, real.shape[1])).astype(np.float32)
    zero = np.zeros((7, real.shape[1]), np.float32)
    spikes = np.zeros((20, real.shape[1]), np.float32)
    spikes[np.arange(20), np.arange(20)] = 1
    scaled = [real[200:230] * np.float32(factor) for factor in (1e-30, 1e-12, 1e6, 1e18)]
    made = np.concatenate([real, real[:60], hairs, zero, *scaled, -real[:20], spikes]).astype(np.float32)
    return made[rng.permutation(len(made))]


@pytest.fixture(params=["as this processor does", "plainly"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the processor's own instructions for bytes, and without."""
    if request.param == "plainly":
        monkeypatch.setattr(scan_kernels, "has_vnni", lambda: False)
    return request.param


def taught(space: Space, names: tuple[str, ...], each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The weights and the bias of a real classifier of the demo's folders, from `each` answers a class."""
    folder = np.array([uid.split("-")[0] for uid in space.uids])
    rng = np.random.default_rng(seed)
    rows = [rng.choice(np.flatnonzero(folder == name), each, replace=False) for name in names]
    made = fit_classifier(
        np.asarray(space.vectors)[np.concatenate(rows)], np.repeat(np.arange(len(names)), each), len(names)
    )
    return made.weights, made.bias


TWO = ("animals", "food")
TEN = ("animals", "food", "people", "office", "signs", "maps", "transportation", "tools", "music", "plants")


@pytest.mark.parametrize("names", [TWO, TEN])
@pytest.mark.parametrize("each", [2, 20])
def test_decisions_are_those_of_float32(
    space: Space, adversarial: np.ndarray, names: tuple[str, ...], each: int, way: str
) -> None:
    weights, bias = taught(space, names, each)
    for vectors in (np.asarray(space.vectors), adversarial):
        made = Codes.of(vectors)
        expected = float32_scores(vectors, np.arange(len(vectors)), weights, bias)
        decided = made.decide(weights, bias, vectors)
        assert np.array_equal(decided, expected.argmax(axis=1))
        # numpy sums in another order: it may differ only where the best two are as good as equal
        by_numpy = vectors @ weights + bias
        differs = decided != by_numpy.argmax(axis=1)
        best = np.sort(by_numpy[differs], axis=1)
        assert np.allclose(best[:, -1], best[:, -2], rtol=1e-5, atol=1e-6)
        assert differs[: len(space)].mean() < 0.02 or vectors is adversarial


@pytest.mark.parametrize("names", [TWO, TEN])
def test_orders_are_those_of_float32(space: Space, adversarial: np.ndarray, names: tuple[str, ...], way: str) -> None:
    weights, _ = taught(space, names, 10)
    made = Codes.of(adversarial)
    rows = np.arange(len(adversarial))
    rng = np.random.default_rng(0)
    allowed = rng.random(len(rows)) < 0.4
    extra = rng.choice([0, 0.001, 0.3], len(rows)).astype(np.float32)
    for column in range(len(names)):
        w = np.ascontiguousarray(weights[:, column])
        scores = float32_scores(adversarial, rows, w[:, None])[:, 0]
        for n in (1, 24, 300, 10 * len(rows)):
            assert np.array_equal(made.top(w, n, adversarial), np.lexsort((rows, -scores))[:n])
            order = np.lexsort((rows, -(scores + extra)))
            assert np.array_equal(made.top(w, n, adversarial, extra=extra), order[:n])
            assert np.array_equal(made.top(w, n, adversarial, allowed, extra), order[allowed[order]][:n])
    assert len(made.top(w, 5, adversarial, np.zeros(len(rows), bool))) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 10, 200])
def test_the_bound_holds(adversarial: np.ndarray, count: int, way: str) -> None:
    """Against double precision, against float32 in our order of summing and in numpy's."""
    rng = np.random.default_rng(count)
    weights = (rng.normal(size=(adversarial.shape[1], count)) * rng.uniform(0.2, 1, count)).astype(np.float32)
    weights[:, -1] *= count < 4
    bias = rng.normal(size=count).astype(np.float32)
    made = Codes.of(adversarial)
    about, bound = made.scores(weights, bias)
    assert (about.shape, about.dtype, bound.shape) == ((len(adversarial), count), np.float32, (len(adversarial),))
    exact = adversarial.astype(np.float64) @ weights.astype(np.float64) + bias
    ours = float32_scores(adversarial, np.arange(len(adversarial)), weights, bias)
    for true in (exact, ours, adversarial @ weights + bias):
        assert (np.abs(about.astype(np.float64) - true) <= bound[:, None]).all()
    assert np.abs(ours - exact).max() <= 1e-5 * np.abs(exact).max()
    ordinary = np.abs(np.linalg.norm(adversarial, axis=1) - 1) < 1e-3
    assert np.median(bound[ordinary]) < 0.03 * np.linalg.norm(weights, axis=0).max(), "and says something"


def test_a_class_without_an_answer_is_never_chosen(space: Space, way: str) -> None:
    weights, bias = taught(space, TEN, 5)
    weights, bias = np.insert(weights, 3, 0, axis=1), np.insert(bias, 3, -np.inf)
    about, bound = space.codes.scores(weights, bias)
    assert (about[:, 3] == -np.inf).all()
    assert np.isfinite(bound).all()
    decided = space.codes.decide(weights, bias, space.vectors)
    expected = float32_scores(space.vectors, np.arange(len(space)), weights, bias).argmax(axis=1)
    assert np.array_equal(decided, expected)
    assert not (decided == 3).any()


def test_equal_columns_and_no_weights_at_all(adversarial: np.ndarray) -> None:
    """Everything is within every bound: all rows are scored in float32, the first column and the first rows win."""
    made = Codes.of(adversarial)
    same = np.repeat(np.random.default_rng(0).normal(size=(adversarial.shape[1], 1)), 3, axis=1).astype(np.float32)
    assert not made.decide(same, None, adversarial).any()
    nothing = np.zeros(adversarial.shape[1], np.float32)
    assert made.top(nothing, 5, adversarial).tolist() == [0, 1, 2, 3, 4]


def test_an_addend_changes_the_decision(space: Space) -> None:
    weights, bias = taught(space, TEN, 5)
    extra = np.random.default_rng(0).choice([0, 0.05, 0.5], (len(space), 10)).astype(np.float32)
    scores = float32_scores(space.vectors, np.arange(len(space)), weights, bias)
    decided = space.codes.decide(weights, bias, space.vectors, extra)
    assert np.array_equal(decided, (scores + extra).argmax(axis=1))
    assert (decided != scores.argmax(axis=1)).any()


def test_only_rows_near_the_edge_are_looked_at_again(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, bias = taught(space, TWO, 20)
    assert 0 < space.codes._decide(weights, bias, space.vectors)[1].mean() < 0.15
    looked: list[int] = []
    plain = codes.float32_scores

    def counting(vectors: np.ndarray, rows: np.ndarray, *rest: np.ndarray) -> np.ndarray:
        looked.append(len(rows))
        return plain(vectors, rows, *rest)

    monkeypatch.setattr(codes, "float32_scores", counting)
    space.codes.top(weights[:, 0], 24, space.vectors)
    assert 24 <= looked[0] < 0.05 * len(space)


def test_many_rows_on_many_threads_give_the_same(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several scans at once, each shared among all cores: what one thread alone would find."""
    vectors = np.tile(np.asarray(space.vectors)[:, :100], (12, 1))
    weights = np.random.default_rng(0).normal(size=(100, 10)).astype(np.float32)
    made = Codes.of(vectors)
    expected, _ = made.scores(weights)
    monkeypatch.setattr(shares, "INLINE", 0)
    wrong: list[int] = []

    def scan() -> None:
        for turn in range(6):
            again, _ = made.scores(weights)
            if not np.array_equal(again, expected):
                wrong.append(turn)

    threads = [threading.Thread(target=scan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_largest_are_found_without_sorting_all() -> None:
    rng = np.random.default_rng(0)
    for values in (
        rng.normal(size=200_000),
        rng.integers(0, 5, 200_000),
        np.arange(200_000),
        np.zeros(100_000),
        np.where(np.arange(90_000) % 21 == 0, -1e9, rng.normal(size=90_000)),
        rng.normal(size=7),
    ):
        values = values.astype(np.float32)
        order = np.lexsort((np.arange(len(values)), -values))
        allowed = rng.random(len(values)) < 0.3
        for k in (0, 1, 100, 5_000, len(values) + 3):
            assert np.array_equal(largest(values, k), order[:k])
            assert np.array_equal(largest(values, k, allowed), order[allowed[order]][:k])


def test_codes_are_written_with_the_space_and_made_for_an_older_one(space: Space, tmp_path: Path) -> None:
    fresh = Codes.of(space.vectors)
    Codes.write(tmp_path, space.vectors)
    stored = Codes.open(tmp_path, space.vectors.shape[1])
    assert stored is not None
    for name in ("codes", "scale", "error"):
        assert np.array_equal(getattr(stored, name), getattr(fresh, name))
        assert np.array_equal(getattr(space.codes, name), getattr(fresh, name))
        assert not getattr(stored, name).flags.writeable
    assert space.codes is space.codes
    (tmp_path / FILES[1]).unlink()
    assert Codes.open(tmp_path, space.vectors.shape[1]) is None


def test_an_older_space_opens_and_scans(demo_workspace: Workspace, space: Space, tmp_path: Path) -> None:
    shutil.copytree(demo_workspace.root, tmp_path / "older")
    dataset = Dataset.open(Workspace(tmp_path / "older"), demo_workspace.dataset_ids()[0])
    for name in FILES:
        (open_space(dataset, space.key).folder / name).unlink(missing_ok=True)
    older = open_space(dataset, space.key)
    assert np.array_equal(older.codes.codes, space.codes.codes)


def test_codes_miss_little(space: Space) -> None:
    made = space.codes
    vectors = np.asarray(space.vectors).astype(np.float64)
    turned = codes.turned(vectors)
    assert np.allclose(turned @ turned[:50].T, vectors @ vectors[:50].T, atol=1e-12), "turning changes no product"
    missed = np.linalg.norm(turned - made.codes * made.scale[:, None].astype(np.float64), axis=1)
    assert (missed <= made.error[:, 0]).all()
    assert (made.error[:, 0] <= missed * 1.00001 + 1e-7).all()
    plain = np.abs(vectors).max(axis=1, keepdims=True) / 127
    assert np.median(missed) < 0.55 * np.median(np.linalg.norm(vectors - np.rint(vectors / plain) * plain, axis=1))


def test_the_signs_are_those_that_stored_codes_rest_on() -> None:
    assert codes.flips(12).tolist() == [-1, -1, 1, -1, 1, -1, 1, -1, -1, -1, -1, 1]


def test_what_does_not_fit_is_refused(space: Space) -> None:
    d = space.vectors.shape[1]
    for weights, bias in (
        (np.zeros((d - 1, 2)), None),
        (np.zeros(d), None),
        (np.zeros((d, 0)), None),
        (np.zeros((d, 2)), np.zeros(3)),
        (np.full((d, 2), np.nan), None),
        (np.zeros((d, 2)), np.full(2, np.nan)),
    ):
        with pytest.raises(BadInput, match="eights"):
            space.codes.scores(weights, bias)
    with pytest.raises(BadInput, match="not of"):
        space.codes.decide(np.zeros((d, 2)), None, space.vectors[:-1])
    with pytest.raises(BadInput, match="not of"):
        space.codes.top(np.zeros(d), 3, space.vectors[:, :-1])
    with pytest.raises(IndexError):
        float32_scores(space.vectors, np.array([len(space)]), np.zeros((d, 1)))
    with pytest.raises(BadInput):
        float32_scores(space.vectors, np.array([0]), np.zeros((d - 1, 1)))

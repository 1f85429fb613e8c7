"""Spreading answers along the graph: columns of the inverse matrix, found without looking at everything."""

import threading

import numpy as np
import pytest

from explorer.collection.dataset import Dataset
from explorer.space import Space, list_spaces, open_space
from explorer.space import spread as spreading
from explorer.space.spread import ALPHA, Spread
from explorer.workspace import Workspace


@pytest.fixture(scope="module")
def space(demo_workspace: Workspace) -> Space:
    dataset = Dataset.open(demo_workspace, demo_workspace.dataset_ids()[0])
    return open_space(dataset, list_spaces(dataset)[0].key)


@pytest.fixture(scope="module")
def inverse(space: Space) -> np.ndarray:
    """(n, n) by plain linear algebra, from the definition."""
    n = len(space)
    weights = np.zeros((n, n))
    for row in range(n):
        for other, distance in zip(space.neighbours[row, :10], space.distances[row, :10], strict=True):
            weight = max(1 - float(distance), 0) ** 3
            weights[row, other] = max(weights[row, other], weight)
            weights[other, row] = max(weights[other, row], weight)
    degrees = weights.sum(axis=1)
    scale = 1 / np.sqrt(np.where(degrees > 0, degrees, 1))
    return np.linalg.inv(np.eye(n) - ALPHA * scale[:, None] * weights * scale)


def test_columns_are_those_of_the_inverse(space: Space, inverse: np.ndarray) -> None:
    spread = Spread(space.neighbours, space.distances)
    rng = np.random.default_rng(0)
    for row in rng.choice(len(space), 60, replace=False):
        rows, values = spread.column(int(row))
        true = inverse[:, row]
        assert rows.dtype == np.int64
        assert values.dtype == np.float32
        assert (np.diff(rows) > 0).all()
        assert (values > 0).all()
        sizeable = true[rows] >= 1e-4
        assert np.abs(values / true[rows] - 1)[sizeable].max() < 0.04
        assert np.abs(values - true[rows]).max() < 5e-6
        missing = np.delete(true, rows)
        assert missing.max(initial=0) < 5e-6
        assert values[rows == row] >= 1


def test_a_column_that_is_cut_off_keeps_what_is_near(
    space: Space, inverse: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "MOST", 120)
    spread = Spread(space.neighbours, space.distances)
    for row in range(0, len(space), 97):
        rows, values = spread.column(row)
        true = inverse[:, row]
        assert len(rows) <= 120
        assert (values <= true[rows] * 1.0001 + 1e-9).all(), "never more than there is"
        nearest = np.argsort(-true)[:20]
        assert np.isin(nearest, rows).mean() >= 0.9
        assert values.sum() > 0.5 * np.sort(true)[-120:].sum()


def test_it_is_symmetric(space: Space) -> None:
    spread = Spread(space.neighbours, space.distances)
    rng = np.random.default_rng(1)
    some = rng.choice(len(space), 30, replace=False)
    square = np.zeros((30, 30))
    for at, row in enumerate(some):
        rows, values = spread.column(int(row))
        whole = np.zeros(len(space))
        whole[rows] = values
        square[:, at] = whole[some]
    assert np.abs(square - square.T).max() < 5e-6
    assert (square >= 0).all()


def test_spreading_tells_the_folders_apart(space: Space) -> None:
    """Ten answers of each of two folders, spread alone: most of the other drawings go where they belong."""
    spread = Spread(space.neighbours, space.distances)
    folder = np.array([uid.split("-")[0] for uid in space.uids])
    fields = []
    taught = np.zeros(len(space), bool)
    for name in ("animals", "transportation"):
        rows = np.flatnonzero(folder == name)
        field = np.zeros(len(space))
        for row in np.random.default_rng(2).choice(rows, 10, replace=False):
            reached, values = spread.column(int(row))
            field[reached] += values
            taught[row] = True
        fields.append(field)
    rest = np.isin(folder, ("animals", "transportation")) & ~taught & (fields[0] + fields[1] > 0)
    right = (fields[1] > fields[0]) == (folder == "transportation")
    assert rest.sum() > 40
    assert right[rest].mean() > 0.75


def test_a_picture_without_neighbours_has_itself_alone() -> None:
    neighbours = np.array([[1, 2], [0, 2], [0, 1], [0, 1]], np.int32)
    distances = np.array([[0.2, 0.5], [0.2, 0.4], [0.5, 0.4], [1.0, 1.3]], np.float32)
    spread = Spread(neighbours, distances)
    rows, values = spread.column(3)
    assert (rows.tolist(), values.tolist()) == ([3], [1.0])
    assert 3 not in spread.column(0)[0]
    alone = Spread(np.zeros((2, 0), np.int32), np.zeros((2, 0), np.float32))
    assert alone.column(1)[0].tolist() == [1]
    with pytest.raises(IndexError, match="no row 4"):
        spread.column(4)


def test_doubled_and_own_entries_count_once() -> None:
    """Short lists are filled with their last hit: an edge named twice is one edge."""
    plain = Spread(np.array([[1], [0], [1]], np.int32), np.array([[0.2], [0.2], [0.5]], np.float32))
    filled = Spread(
        np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1]], np.int32),
        np.array([[0.2, 0.2, 0.0], [0.2, 0.2, 0.2], [0.5, 0.5, 0.5]], np.float32),
    )
    for row in range(3):
        assert np.array_equal(plain.column(row)[0], filled.column(row)[0])
        assert np.allclose(plain.column(row)[1], filled.column(row)[1])


def test_many_threads_get_the_same(space: Space) -> None:
    alone = Spread(space.neighbours, space.distances)
    expected = [alone.column(row) for row in range(60)]
    spread = Spread(space.neighbours, space.distances)
    wrong: list[int] = []

    def ask() -> None:
        for row in range(60):
            rows, values = spread.column(row)
            if not (np.array_equal(rows, expected[row][0]) and np.array_equal(values, expected[row][1])):
                wrong.append(row)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert spread.column(5)[0] is spread.column(5)[0], "computed once"

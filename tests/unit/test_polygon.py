"""Which points lie in a lasso."""

import time

import numpy as np
import pytest

from explorer.errors import BadInput
from explorer.web.components.shared.polygon import points_in_polygon


def crossings(point: np.ndarray, polygon: np.ndarray) -> bool:
    """The even-odd rule spelled out for one point: count the edges to its right."""
    count = 0
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if min(y1, y2) <= point[1] < max(y1, y2) and x1 + (point[1] - y1) * (x2 - x1) / (y2 - y1) > point[0]:
            count += 1
    return count % 2 == 1


def test_agrees_with_counting_edges_on_a_star_that_crosses_itself() -> None:
    rng = np.random.default_rng(0)
    xy = rng.uniform(-1, 1, (3000, 2)).astype(np.float32)
    turns = np.arange(5) * 4 * np.pi / 5
    star = np.stack([0.8 * np.cos(turns), 0.8 * np.sin(turns)], axis=1)
    inside = points_in_polygon(xy, star)
    assert inside.tolist() == [crossings(point, star) for point in xy.astype(np.float64)]
    assert not inside[np.linalg.norm(xy, axis=1) < 0.2].any()  # the middle of a star is crossed twice: outside


def test_a_square_holds_what_it_should() -> None:
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    xy = np.array([[0.5, 0.5], [1.5, 0.5], [-0.1, 0.5], [0.5, 1.5], [np.nan, 0.5], [0.999, 0.001]], np.float32)
    assert points_in_polygon(xy, square).tolist() == [True, False, False, False, False, True]
    assert points_in_polygon(xy, square[::-1]).tolist() == [True, False, False, False, False, True]
    assert points_in_polygon(np.zeros((0, 2), np.float32), square).shape == (0,)


@pytest.mark.parametrize("polygon", [[], [[0, 0], [1, 1]], [[0, 0], [1, 1], [float("nan"), 0]], [[0, "a"], [1, 2]], 3])
def test_a_damaged_outline_is_refused(polygon: object) -> None:
    with pytest.raises(BadInput, match="draw it again"):
        points_in_polygon(np.zeros((3, 2), np.float32), polygon)  # type: ignore[arg-type]


def test_a_million_points_take_less_than_a_second() -> None:
    xy = np.random.default_rng(1).uniform(-1, 1, (1_000_000, 2)).astype(np.float32)
    turns = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    began = time.process_time()  # of this process alone: other work on the machine does not count
    inside = points_in_polygon(xy, np.stack([0.7 * np.cos(turns), 0.7 * np.sin(turns)], axis=1))
    assert time.process_time() - began < 1.0
    assert abs(inside.mean() - np.pi * 0.49 / 4) < 0.005

"""Which points lie inside a lasso."""

from collections.abc import Sequence

import numpy as np

from explorer.errors import BadInput


def points_in_polygon(xy: np.ndarray, polygon: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """Even-odd rule for every point at once: (n, 2) float and (m, 2) float -> (n,) bool.

    The same arithmetic in the same precision (float64) as `insideOf` in map/points.js, so that the number the
    browser shows is the number of pictures the server selects. Points that are not a number are outside. Only points
    in the polygon's bounding box are looked at. Raises BadInput for fewer than three corners or corners that are not
    finite numbers.
    """
    try:
        corners = np.asarray(polygon, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"The outline of the selection is damaged ({error}); draw it again.") from error
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise BadInput("The outline of a selection needs at least three corners; draw it again.")
    low, high = corners.min(axis=0), corners.max(axis=0)
    inside = np.zeros(len(xy), dtype=bool)
    near = np.flatnonzero(((xy >= low) & (xy <= high)).all(axis=1))
    near = near[np.argsort(xy[near, 1], kind="stable")]
    x, y = xy[near, 0].astype(np.float64), xy[near, 1].astype(np.float64)
    crossed = np.zeros(len(near), dtype=bool)
    x1, y1 = corners[-1]
    for x2, y2 in corners:
        # in the order of y, the points whose height an edge passes lie side by side
        first, last = np.searchsorted(y, [min(y1, y2), max(y1, y2)], side="left")
        if first < last:
            crossed[first:last] ^= x[first:last] < (x1 - x2) * (y[first:last] - y2) / (y1 - y2) + x2
        x1, y1 = x2, y2
    inside[near] = crossed
    return inside

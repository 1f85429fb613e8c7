"""The slider along a class's list: how long it is, how much of it is right, how much of the class it holds.

It moves in the browser alone: the whole curve is there, at most 101 points.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st

from explorer.learning.thresholds import ThresholdCurve
from explorer.web.components.shared.assets import script, style
from explorer.web.components.shared.triggers import on_trigger

GOAL = 0.95
_WORTH = 0.05
"""A list that holds less of the class than this is no list, however right."""

_component = st.components.v2.component(
    "explorer_threshold",
    html="<div class='ex-root'></div>",
    css=style("threshold/threshold.css"),
    js=script("threshold/threshold.js"),
)


def threshold_slider(
    curve: ThresholdCurve, chosen: float, name: str, colour: str, *, key: str, on_settle: Callable[[float], None]
) -> None:
    """Show the curve of class `name` with the slider at `chosen`; `on_settle(threshold)` is called before the script
    runs, once the slider rests somewhere else."""
    _component(
        key=key,
        data=slider_data(curve, chosen, name) | {"colour": colour},
        on_settle_change=on_trigger(key, "settle", lambda value: on_settle(float(value["threshold"]))),
    )


def slider_data(curve: ThresholdCurve, chosen: float, name: str) -> dict[str, Any]:
    """What the browser needs: the curve, where the slider stands, where 95 % are right and where 95 % are found.

    Empty lists are left out; a place that cannot be reached is None.
    """
    filled = np.flatnonzero(curve.above > 0)
    if not len(filled):
        filled = np.array([0])
    thresholds = curve.thresholds[filled]
    right_from = curve.threshold_for(GOAL)
    right = None if right_from is None else _place(thresholds, right_from)
    if right is not None and curve.recall[0][filled][right] < _WORTH:
        right = None
    complete = np.flatnonzero(curve.recall[0][filled] >= GOAL)
    return {
        "name": name,
        "thresholds": [float(value) for value in thresholds],
        "above": [int(value) for value in curve.above[filled]],
        "precision": _three(curve.precision[:, filled]),
        "recall": _three(curve.recall[:, filled]),
        "at": _place(thresholds, chosen),
        "right": right,
        "found": int(complete[-1]) if len(complete) else None,
    }


def _place(thresholds: np.ndarray, chosen: float) -> int:
    return min(int(np.searchsorted(thresholds, chosen - 1e-9)), len(thresholds) - 1)


def _three(values: np.ndarray) -> list[list[float]]:
    return [[round(float(value), 4) for value in row] for row in values]

"""The pictures of figures on the Results page, as Plotly figures, and its tables."""

import html
from collections.abc import Sequence
from typing import Any

from explorer.learning.closer_look import ClassQuality, Reliability
from explorer.learning.curve import Curve
from explorer.learning.estimates import Estimate
from explorer.web.colours import PALETTE
from explorer.web.views import escaped

MOST_BARS = 20
_TEAL, _QUIET = "#0f766e", "#9aa5a1"
CONFIG = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False}


def rounded(share: float) -> str:
    return f"{100 * share:.0f} %"


def percent(share: Estimate) -> str:
    """A share with its interval: "93 % (86–97)"."""
    return f"{100 * share.value:.0f} % ({100 * share.low:.0f}–{100 * share.high:.0f})"


def counts_chart(names: Sequence[str], counts: Sequence[Estimate]) -> Any:
    """How many pictures of each class there are, the most frequent `MOST_BARS` of them."""
    import plotly.graph_objects as go

    places = sorted(range(len(names)), key=lambda place: -counts[place].value)[:MOST_BARS]
    whisker = {
        "type": "data",
        "symmetric": False,
        "array": [counts[place].high - counts[place].value for place in places],
        "arrayminus": [counts[place].value - counts[place].low for place in places],
        "color": "#1c2423",
        "thickness": 1.4,
    }
    said = [f"{counts[p].value:,.0f} ({counts[p].low:,.0f}–{counts[p].high:,.0f})" for p in places]
    bars = go.Bar(
        x=[counts[place].value for place in places],
        y=[f"{_short(names[place])}  " for place in places],
        orientation="h",
        marker={"color": [PALETTE[place % len(PALETTE)] for place in places], "opacity": 0.8},
        error_x=whisker,
        customdata=said,
        hovertemplate="%{y}: %{customdata}<extra></extra>",
    )
    figure = go.Figure(bars)
    figure.update_yaxes(autorange="reversed", fixedrange=True, automargin=True)
    figure.update_xaxes(title="pictures", rangemode="tozero", fixedrange=True)
    return _plain(figure, 70 + 34 * len(places))


def curve_chart(curve: Curve, ahead: int = 20) -> Any:
    """Share right after so many answers, with its band, and what the next `ahead` would probably bring."""
    import plotly.graph_objects as go

    answers = [point.answers for point in curve.points]
    shares = [point.accuracy for point in curve.points]
    figure = go.Figure()
    band = {"x": [*answers, *answers[::-1]], "y": [*(s.high for s in shares), *(s.low for s in shares[::-1])]}
    look = {"fill": "toself", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure.add_trace(go.Scatter(**band, **look, fillcolor="rgba(15,118,110,.15)"))
    hover = "after %{x} answers about %{y:.0%} right<extra></extra>"
    line = {"color": _TEAL, "width": 2.5}
    figure.add_trace(go.Scatter(x=answers, y=[s.value for s in shares], line=line, hovertemplate=hover, name="so far"))
    last = shares[-1].value
    steps = [int(step) for step in curve.steps if step <= ahead]
    if steps:
        gains = [curve.forecast(step) for step in steps]
        x = [answers[-1], *(answers[-1] + step for step in steps)]
        top = [last, *(min(last + gain.high, 1.0) for gain in gains)]
        low = [last, *(max(last + gain.low, 0.0) for gain in gains)]
        figure.add_trace(go.Scatter(x=[*x, *x[::-1]], y=[*top, *low[::-1]], **look, fillcolor="rgba(154,165,161,.28)"))
        middle = [last, *(min(max(last + gain.value, 0.0), 1.0) for gain in gains)]
        dashed = {"color": _QUIET, "width": 2, "dash": "dot"}
        figure.add_trace(
            go.Scatter(x=x, y=middle, mode="lines", line=dashed, hovertemplate=hover, name="probably, from here on")
        )
    figure.update_yaxes(tickformat=".0%", title="right", fixedrange=True)
    figure.update_xaxes(title="answers", fixedrange=True)
    return _plain(figure, 300)


def reliability_chart(found: Reliability) -> Any:
    """How sure it was against how often it was right."""
    import plotly.graph_objects as go

    sure, right = [one.sure for one in found.bins], [one.right for one in found.bins]
    figure = go.Figure()
    low = min(sure)
    faultless = {"color": _QUIET, "dash": "dot"}
    figure.add_trace(
        go.Scatter(x=[low, 1], y=[low, 1], mode="lines", line=faultless, hoverinfo="skip", name="as it should be")
    )
    whisker = {
        "type": "data", "symmetric": False, "color": _TEAL, "thickness": 1.2,
        "array": [one.high - one.value for one in right], "arrayminus": [one.value - one.low for one in right],
    }  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=sure, y=[one.value for one in right], mode="lines+markers", error_y=whisker, name="as it is",
            line={"color": _TEAL}, marker={"size": 8}, customdata=[one.answers for one in found.bins],
            hovertemplate="when it says %{x:.0%}, it is right in %{y:.0%} (%{customdata} answers)<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(tickformat=".0%", title="how sure it says it is", fixedrange=True)
    figure.update_yaxes(tickformat=".0%", title="how often it is right", fixedrange=True)
    return _plain(figure, 320)


def class_table(classes: Sequence[ClassQuality], macro: Estimate | None) -> str:
    """One line a class: of what it says the share that is right, and of what is there the share that it finds."""
    head = (
        "Answer",
        "Answered",
        "Right when it says so (precision)",
        "Found of those there are (recall)",
        "Both in one figure (F1)",
    )
    rows = [
        [one.name, f"{one.answers:,}", *("–" if share is None else percent(share) for share in _figures(one))]
        for one in classes
    ]
    if macro is not None:
        rows.append(
            ["All answers, each counted alike", f"{sum(one.answers for one in classes):,}", "", "", percent(macro)]
        )
    return table(head, rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as HTML; every text is escaped. It scrolls sideways where it is too wide."""
    cell = "padding:.35rem .8rem .35rem 0;border-bottom:1px solid #dfe3e1;text-align:left;vertical-align:top"
    top = "".join(f'<th style="{cell};font-weight:600">{html.escape(text)}</th>' for text in head)
    lines = [
        "<tr>" + "".join(f'<td style="{cell};white-space:nowrap">{html.escape(text)}</td>' for text in row) + "</tr>"
        for row in rows
    ]
    body = f"<thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody>"
    style = "border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums"
    return f'<div style="overflow-x:auto"><table style="{style}">{body}</table></div>'


def _figures(one: ClassQuality) -> tuple[Estimate | None, ...]:
    return one.precision, one.recall, one.f1


def _short(name: str) -> str:
    return escaped(name if len(name) <= 24 else f"{name[:23]}…")


def _plain(figure: Any, height: int) -> Any:
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 16, "t": 44 if len(figure.data) > 1 else 10, "b": 10},
        dragmode=False,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        bargap=0.35,
    )
    return figure

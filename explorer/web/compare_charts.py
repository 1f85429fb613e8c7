"""The charts of the Compare page, as Plotly figures."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from explorer.web.results_charts import CONFIG
from explorer.web.views import escaped

__all__ = ["CONFIG", "Bar", "bars_chart", "curves_chart", "layers_chart", "matrix_chart"]

BEST, LEVEL, WORSE, BASE = "#0f766e", "#7fb5af", "#c3ccc9", "#d9b48f"
_LINES = ("#0f766e", "#e07a2f", "#5b6ee1", "#c2417c", "#7a9b1f")


class Bar(NamedTuple):
    """One way of looking: shares right between 0 and 1, with the interval."""

    title: str
    value: float
    low: float
    high: float
    colour: str
    remark: str = ""


def bars_chart(bars: Sequence[Bar], guessing: float) -> Any:
    """Shares right with their intervals, in the order given from the top, and the line of guessing. The words stand
    above the bars, so that they have room on a phone."""
    import plotly.graph_objects as go

    figure = go.Figure(
        go.Bar(
            x=[bar.value for bar in bars], y=[place + 0.2 for place in range(len(bars))], orientation="h", width=0.42,
            marker={"color": [bar.colour for bar in bars]},
            error_x={
                "type": "data", "symmetric": False, "color": "#1c2423", "thickness": 1.4,
                "array": [bar.high - bar.value for bar in bars], "arrayminus": [bar.value - bar.low for bar in bars],
            },
            customdata=[[escaped(bar.title), f"{100 * bar.low:.0f}–{100 * bar.high:.0f} %"] for bar in bars],
            hovertemplate="%{customdata[0]}: %{x:.0%} right (%{customdata[1]})<extra></extra>",
        )
    )  # fmt: skip
    for place, bar in enumerate(bars):
        more = f" <span style='color:#6b7573'>· {escaped(bar.remark)}</span>" if bar.remark else ""
        figure.add_annotation(
            x=0, y=place, text=f"<b>{100 * bar.value:.0f} %</b>  {escaped(bar.title)}{more}", showarrow=False,
            xanchor="left", yanchor="bottom", align="left", font={"size": 13, "color": "#1c2423"}, borderpad=0,
        )  # fmt: skip
    figure.add_vline(
        guessing, line={"color": "#6b7573", "dash": "dot", "width": 1.5}, annotation_text="guessing",
        annotation_position="bottom right", annotation_font={"size": 12, "color": "#6b7573"},
    )  # fmt: skip
    figure.update_yaxes(visible=False, range=[len(bars) - 0.2, -0.6], fixedrange=True)
    figure.update_xaxes(tickformat=".0%", range=[0, 1.005], fixedrange=True, title="right, each answer counted alike")
    return _plain(figure, 70 + 52 * len(bars))


def curves_chart(curves: Mapping[str, Sequence[Any]], titles: Mapping[str, str]) -> Any:
    """Share right after so many answers, one line a way of looking; the first one with its band."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, (key, points) in enumerate(curves.items()):
        colour = _LINES[place % len(_LINES)]
        x = [point.answers for point in points]
        if place == 0:
            band = {"x": [*x, *x[::-1]], "y": [*(p.high for p in points), *(p.low for p in points[::-1])]}
            figure.add_trace(
                go.Scatter(
                    **band, fill="toself", mode="lines", line={"width": 0}, hoverinfo="skip", showlegend=False,
                    fillcolor="rgba(15,118,110,.13)",
                )
            )  # fmt: skip
        name = escaped(titles.get(key, key))
        figure.add_trace(
            go.Scatter(
                x=x, y=[point.middle for point in points], mode="lines+markers", name=name,
                line={"color": colour, "width": 2.5}, marker={"size": 6},
                hovertemplate=f"{name}, %{{x}} answers: %{{y:.0%}} right<extra></extra>",
            )
        )  # fmt: skip
    figure.update_yaxes(tickformat=".0%", title="right", fixedrange=True)
    figure.update_xaxes(title="answers", fixedrange=True)
    return _plain(figure, 320)


def layers_chart(networks: Mapping[str, Sequence[tuple[str, float, float, float]]], guessing: float) -> Any:
    """Share right by layer, early to late: for each network (words for the layer, value, low, high)."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, (name, layers) in enumerate(networks.items()):
        colour = _LINES[place % len(_LINES)]
        figure.add_trace(
            go.Scatter(
                x=[escaped(words) for words, *_ in layers], y=[value for _, value, _, _ in layers], name=escaped(name),
                mode="lines+markers", line={"color": colour, "width": 2.5}, marker={"size": 8},
                error_y={
                    "type": "data", "symmetric": False, "color": colour, "thickness": 1.2,
                    "array": [high - value for _, value, _, high in layers],
                    "arrayminus": [value - low for _, value, low, _ in layers],
                },
                hovertemplate=f"{escaped(name)}, %{{x}}: %{{y:.0%}} right<extra></extra>",
            )
        )  # fmt: skip
    figure.add_hline(
        guessing,
        line={"color": "#6b7573", "dash": "dot", "width": 1.5},
        annotation_text="guessing",
        annotation_position="bottom left",
    )
    figure.update_yaxes(tickformat=".0%", title="right", fixedrange=True)
    figure.update_xaxes(fixedrange=True, type="category")
    return _plain(figure, 340)


def matrix_chart(titles: Sequence[str], matrix: np.ndarray) -> Any:
    """How differently each two ways see the collection, between 0 and 1: (m, m)."""
    import plotly.graph_objects as go

    shown = np.where(np.eye(len(titles), dtype=bool), np.nan, matrix)
    words = [["" if np.isnan(value) else f"{100 * value:.0f}" for value in row] for row in shown]
    names = [escaped(title) for title in titles]
    places = list(range(len(titles)))
    figure = go.Figure(
        go.Heatmap(
            z=shown, x=places, y=places, text=words, texttemplate="%{text}",
            textfont={"color": "#1c2423", "size": 13}, xgap=3, ygap=3, colorscale=[[0, "#ffffff"], [1, LEVEL]],
            zmin=0, zmax=1, showscale=False, customdata=[[[a, b] for b in names] for a in names],
            hovertemplate="%{customdata[0]} and %{customdata[1]}: %{z:.0%} of the nearest differ<extra></extra>",
        )
    )  # fmt: skip
    axis = {"tickvals": places, "ticktext": names, "fixedrange": True, "showgrid": False, "automargin": True}
    figure.update_xaxes(**axis, side="top", tickangle=-30)
    figure.update_yaxes(**axis, autorange="reversed")
    return _plain(figure, 130 + 40 * len(titles))


def _plain(figure: Any, height: int) -> Any:
    several = sum(1 for trace in figure.data if trace.type == "scatter" and trace.showlegend is not False) > 1
    figure.update_layout(
        height=height, margin={"l": 10, "r": 16, "t": 44 if several else 10, "b": 10}, dragmode=False,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}, bargap=0.35, showlegend=several,
        plot_bgcolor="#ffffff",
    )  # fmt: skip
    return figure

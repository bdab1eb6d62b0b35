"""Panels on the page: Bokeh's figures, with zoom, hover and nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bokeh.embed
import bokeh.plotting
import bokeh.resources
import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LogTicker, NumeralTickFormatter
from bokeh.models.annotations import BoxAnnotation

from analysis.figures import style
from analysis.figures.panel import Panel

HEIGHT = 330  # CSS pixels of a panel
MARKERS = {
    "*": "star",
    "h": "hex",
    "P": "plus",
    "o": "circle",
    "s": "square",
    "D": "diamond",
    "^": "triangle",
    "v": "inverted_triangle",
    "": "dot",
}
SIZES = {"D": 11, "*": 12, "P": 10}  # CSS pixels of markers that look smaller than others of one size
HOLLOW = "#ffffff"
DASHES = {"-": "solid", "--": "dashed", ":": "dotted"}
TOOLS = "pan,box_zoom,wheel_zoom,reset,save"


@dataclass(frozen=True)
class Embedded:
    """What a page needs: the library's source, the script that draws, and the div of each panel by figure name."""

    library: str
    script: str
    divs: Mapping[str, Sequence[str]]


def embed(figures: Mapping[str, Sequence[Panel]]) -> Embedded:
    """All panels, by the name of their figure, to be drawn by one script."""
    plots = {(name, i): _plot(panel) for name, panels in figures.items() for i, panel in enumerate(panels)}
    if not plots:
        return Embedded("", "", {})
    script, divs = bokeh.embed.components(list(plots.values()), wrap_script=False)
    by_figure: dict[str, list[str]] = {}
    for (name, _), div in zip(plots, divs, strict=True):
        by_figure.setdefault(name, []).append(div)
    library = bokeh.resources.Resources(mode="inline", components=["bokeh"], minified=True)
    return Embedded("\n".join(library.js_raw), script, by_figure)


def _plot(panel: Panel) -> bokeh.plotting.figure:
    options: dict[str, Any] = {"x_range": (-0.6, len(panel.ticks) - 0.4)} if panel.ticks else {}
    if panel.limits:
        options["y_range"] = panel.limits
    plot = bokeh.plotting.figure(
        title=panel.title,
        x_axis_label=panel.x,
        y_axis_label=panel.y,
        x_axis_type="log" if panel.log_x else "linear",
        y_axis_type="log" if panel.log_y else "linear",
        tools=TOOLS,
        sizing_mode="stretch_width",
        height=HEIGHT,
        output_backend="canvas",
        **options,
    )
    plot.toolbar.logo = None
    for low, high in panel.bands:
        plot.add_layout(BoxAnnotation(bottom=low, top=high, fill_color=style.FAINT, fill_alpha=0.15, line_color=None))
    for x, y in panel.guides:
        plot.line(x, y, line_color=style.FAINT, line_width=1)
    hovered: list[Any] = []
    for curve in panel.curves:
        rows: dict[str, Any] = {"x": curve.x, "y": curve.y, "run": np.full(len(curve.x), curve.run)}
        line = plot.line(
            "x", "y", source=ColumnDataSource(rows), line_color=curve.look.colour, line_width=1.8,
            line_dash=DASHES[curve.look.line["linestyle"]], name=curve.look.label,
        )  # fmt: skip
        hovered.append(line)
    for points in panel.points:
        look = points.look
        rows = {
            "x": [panel.ticks[int(i)] for i in points.x] if panel.ticks else points.x,
            "at": points.x + points.shift,
            "y": points.y,
            "run": list(points.runs),
        }
        if points.low is not None and points.high is not None:
            ends = ColumnDataSource(rows | {"low": points.low, "high": points.high})
            plot.segment(
                "at", "low", "at", "high", source=ends, line_color=look.colour, line_width=1.2, name=look.label
            )
        if points.joined:
            dash = DASHES[look.line["linestyle"]]
            plot.line(
                "at", "y", source=ColumnDataSource(rows), line_color=look.colour, line_width=1.2, line_dash=dash,
                name=look.label,
            )  # fmt: skip
        dots = plot.scatter("at", "y", source=ColumnDataSource(rows), marker=MARKERS[look.marker], size=SIZES.get(look.marker, 8),
            line_color=look.colour, fill_color=look.colour if look.filled else HOLLOW, fill_alpha=0.9, name=look.label,
        )  # fmt: skip
        hovered.append(dots)
    tips = [("run", "@run"), (panel.x, "@x" if panel.ticks else "@x{0.[0000]a}"), (panel.y, "@y{0.[0000]}")]
    plot.add_tools(HoverTool(renderers=hovered, tooltips=tips))
    _ticks(plot, panel)
    return plot


def _ticks(plot: bokeh.plotting.figure, panel: Panel) -> None:
    """Where the axes have labels, and how these read: as on paper."""
    if panel.counts:
        plot.xaxis.formatter = NumeralTickFormatter(format="0.[00]a")
    if panel.counts_y:
        plot.yaxis.formatter = NumeralTickFormatter(format="0.[00]a")
    if panel.log_x and (few := panel.few_x) is not None:
        plot.xaxis.ticker = few.tolist()
        plot.xaxis.formatter = NumeralTickFormatter(format="0.[00]a" if panel.counts else "0.[0000]")
    elif panel.log_x and not panel.decades:
        # Bokeh's own ticks of an axis under two decades are too many to stand side by side.
        plot.xaxis.ticker = [first * 10.0**power for power in range(-12, 15) for first in (1, 2, 5)]
    if panel.log_y:
        plot.yaxis.ticker = LogTicker(mantissas=list(panel.mantissas_y))
        if not panel.counts_y:
            plot.yaxis.formatter = NumeralTickFormatter(format="0.[000]")
    if panel.ticks:
        plot.xaxis.ticker = list(range(len(panel.ticks)))
        plot.xaxis.major_label_overrides = dict(enumerate(panel.ticks))
        plot.xaxis.major_label_orientation = 0.7

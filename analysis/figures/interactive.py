"""Panels on the page: Bokeh's figures, with zoom, hover and nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bokeh.embed
import bokeh.plotting
import bokeh.resources
import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter
from bokeh.models.annotations import BoxAnnotation, Legend, LegendItem

from analysis.figures import style
from analysis.figures.panel import Panel, legend

HEIGHT, LEGEND_ROW = 330, 20  # CSS pixels, of a panel and of each line of its legend
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
    options: dict[str, Any] = {"x_range": list(panel.ticks)} if panel.ticks else {}
    if panel.limits:
        options["y_range"] = panel.limits
    plot = bokeh.plotting.figure(
        title=panel.title,
        x_axis_label=panel.x,
        y_axis_label=panel.y,
        x_axis_type="log" if panel.log_x else "auto" if panel.ticks else "linear",
        y_axis_type="log" if panel.log_y else "linear",
        tools=TOOLS,
        sizing_mode="stretch_width",
        height=HEIGHT + LEGEND_ROW * -(-len(legend([panel])) // 2),
        output_backend="canvas",
        **options,
    )
    plot.toolbar.logo = None
    for low, high in panel.bands:
        plot.add_layout(BoxAnnotation(bottom=low, top=high, fill_color=style.FAINT, fill_alpha=0.15, line_color=None))
    for x, y in panel.guides:
        plot.line(x, y, line_color=style.FAINT, line_width=1)
    entries: dict[str, list[Any]] = {}
    hovered: list[Any] = []
    for curve in panel.curves:
        rows: dict[str, Any] = {"x": curve.x, "y": curve.y, "run": np.full(len(curve.x), curve.run)}
        line = plot.line(
            "x", "y", source=ColumnDataSource(rows), line_color=curve.look.colour, line_width=1.8,
            line_dash=DASHES[curve.look.line["linestyle"]],
        )  # fmt: skip
        entries.setdefault(curve.look.label, []).append(line)
        hovered.append(line)
    for points in panel.points:
        look = points.look
        rows = {
            "x": _along(panel, points.x),
            "at": _along(panel, points.x + points.shift),
            "y": points.y,
            "run": list(points.runs),
        }
        drawn: list[Any] = []
        if points.low is not None and points.high is not None:
            ends = ColumnDataSource(rows | {"low": points.low, "high": points.high})
            drawn.append(plot.segment("at", "low", "at", "high", source=ends, line_color=look.colour, line_width=1.2))
        if points.joined:
            dash = DASHES[look.line["linestyle"]]
            drawn.append(
                plot.line(
                    "at", "y", source=ColumnDataSource(rows), line_color=look.colour, line_width=1.2, line_dash=dash
                )
            )
        dots = plot.scatter("at", "y", source=ColumnDataSource(rows), marker=MARKERS[look.marker], size=8, line_color=look.colour,
            fill_color=look.colour if look.filled else "white", fill_alpha=0.9,
        )  # fmt: skip
        entries.setdefault(look.label, []).extend([*drawn, dots])
        hovered.append(dots)
    tips = [("run", "@run"), (panel.x, "@x" if panel.ticks else "@x{0.[0000]a}"), (panel.y, "@y{0.[0000]}")]
    plot.add_tools(HoverTool(renderers=hovered, tooltips=tips))
    plot.add_layout(
        Legend(
            items=[LegendItem(label=label, renderers=drawn) for label, drawn in entries.items()], click_policy="hide", ncols=2, label_text_font_size="11px", label_width=120, label_height=14,
            glyph_height=14, spacing=2, margin=2, border_line_color=None, location="left",
        ),
        "below",
    )  # fmt: skip
    if panel.counts:
        plot.xaxis.formatter = NumeralTickFormatter(format="0.[00]a")
    if panel.log_x and (few := panel.few_x) is not None:
        plot.xaxis.ticker = few.tolist()
        plot.xaxis.formatter = NumeralTickFormatter(format="0.[00]a" if panel.counts else "0.[0000]")
    if panel.ticks:
        plot.xaxis.major_label_orientation = 0.7
    return plot


def _along(panel: Panel, x: Any) -> Any:
    return [panel.ticks[int(i)] for i in x] if panel.ticks else x

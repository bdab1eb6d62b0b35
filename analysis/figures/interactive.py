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
from analysis.figures.style import Look

HEIGHT = 330  # CSS pixels of a panel
HOLLOW = "#ffffff"
DASHES = {"-": "solid", "--": "dashed", ":": "dotted"}
TOOLS = "pan,box_zoom,wheel_zoom,reset,save"

# Of each marker its name in Bokeh, its CSS pixels (more where it looks smaller than others of one size), and its shape in the
# page's keys, around (0, 0) and of about the same area.
MARKERS = {
    "o": ("circle", 8, '<circle r="4.5"/>'),
    "s": ("square", 8, '<path d="M-4 -4h8v8h-8z"/>'),
    "D": ("diamond", 11, '<path d="M0 -5.5L5.5 0 0 5.5 -5.5 0z"/>'),
    "^": ("triangle", 8, '<path d="M0 -5L5 4H-5z"/>'),
    "v": ("inverted_triangle", 8, '<path d="M0 5L5 -4H-5z"/>'),
    "P": ("plus", 10, '<path d="M-2 -5h4v3h3v4h-3v3h-4v-3h-3v-4h3z"/>'),
    "h": ("hex", 8, '<path d="M0 -5L4.4 -2.5V2.5L0 5 -4.4 2.5V-2.5z"/>'),
    "*": ("star", 12, '<path d="M0 -6L1.5 -2 5.7 -1.9 2.4 .8 3.5 4.9 0 2.5 -3.5 4.9 -2.4 .8 -5.7 -1.9 -1.5 -2z"/>'),
    "": ("dot", 8, ""),
}


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
        marker, pixels, _ = MARKERS[look.marker]
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
        dots = plot.scatter("at", "y", source=ColumnDataSource(rows), marker=marker, size=pixels,
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


def swatch(look: Look, line: bool) -> str:
    """A look as a small SVG, for the keys of the page: the mark, over a line where `line`; ink follows the page's, and a hollow mark shows its ground."""
    colour = "currentColor" if look.colour == style.INK else look.colour
    fill = colour if look.filled else "var(--card)"
    dash = "" if look.filled else ' stroke-dasharray="5 3"'
    drawn = f'<path d="M-13 0h26"{dash}/>' if line or not look.marker else ""
    return (
        '<svg class="swatch" width="28" height="14" viewBox="-14 -7 28 14" aria-hidden="true" '
        f'stroke="{colour}" stroke-width="1.5" fill="{fill}">{drawn}{MARKERS[look.marker][2]}</svg>'
    )

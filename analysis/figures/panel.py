"""A panel of points and curves, said once and drawn twice: on paper by matplotlib here, on the page by `interactive`.

Also what the columns of figures' tables are: those of runs as `repro.columns` declares them, the others beside their figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter

from analysis.figures import style
from analysis.figures.style import Look
from analysis.laws.law import Array
from repro.columns import COLUMNS

NATS = "nats/token"
FEW = 6
LONG_TICK = 7  # letters of a tick, 17.152k, beside which others still have room
WIDE = 30.0
MANY_TICKS = 300.0  # the largest over the smallest y, above which powers of ten are ticks enough
FINE_TICKS = (1, 1.5, 2, 3, 4, 5, 6, 8)
MOST_DECADES = 6  # powers of ten whose labels stand side by side


class Meaning(NamedTuple):
    """Unit ("" for none) and meaning of a column."""

    unit: str
    meaning: str


_OF_RUNS = {column.name: Meaning(column.unit, column.meaning) for column in COLUMNS}


def meaning_of(name: str, own: Mapping[str, Meaning]) -> Meaning:
    """What a column of a figure's table is: as the figure says, in `own`, or as the table of runs does.

    Raises:
        KeyError: neither says it.
    """
    return own[name] if name in own else _OF_RUNS[name]


@dataclass(frozen=True)
class Points:
    """Markers of one look, each a run.

    Attributes:
        x, y: (n,). runs: the run id behind each, (n,).
        low, high: ends of an interval of y, (n,); None where there is none.
        joined: a line through them, in the order given.
        shift: added to x when drawn, so that marks of one place stand side by side; a reader is told x.
    """

    look: Look
    x: Array
    y: Array
    runs: Sequence[str]
    low: Array | None = None
    high: Array | None = None
    joined: bool = False
    shift: float = 0.0


def of_each_sparsity(
    rows: Sequence[Mapping[str, Any]], x: str, y: str, *, ends: bool = False, joined: bool = False, apart: float = 0.0
) -> Iterator[Points]:
    """Marks of a figure's rows at two of their columns, of one look a sparsity.

    Args:
        ends: whether rows have the ends of an interval, in `low` and `high`; None in those where there is none.
        joined: see Points. apart: by how much the marks of two neighbouring sparsities are shifted against each other.
    """
    for i, sparsity in enumerate(sorted({row["sparsity"] for row in rows})):
        own = [row for row in rows if row["sparsity"] == sparsity]
        known = ends and own[0]["low"] is not None
        names = (x, y, *(("low", "high") if known else ()))
        at_x, at_y, *bars = (np.array([float(row[name]) for row in own]) for name in names)
        low, high = bars or (None, None)
        runs = [row["run_id"] for row in own]
        yield Points(style.of_run(sparsity), at_x, at_y, runs, low, high, joined, apart * (i - 1.5))


def where_equal(values: Sequence[float] | Array) -> tuple[Array, Array]:
    """A panel's guide on which x and y are equal, from the least to the largest of some values."""
    ends = np.array([min(values), max(values)])
    return ends, ends


@dataclass(frozen=True)
class Curve:
    """A line of one look: one run's way, or what a law says. `run`: whose it is."""

    look: Look
    x: Array
    y: Array
    run: str


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title, x, y: texts.
        points, curves: what is shown, in the order of the legend.
        guides: faint lines (x, y) behind it. bands: faint ranges of y behind it.
        log_x, log_y: logarithmic axes. counts, counts_y: x or y counts parameters or tokens.
        ticks: texts at x = 0, 1, 2 ...; empty for a numeric axis.
        limits: of y; None lets the data decide.
    """

    title: str
    x: str
    y: str
    points: tuple[Points, ...] = ()
    curves: tuple[Curve, ...] = ()
    guides: tuple[tuple[Array, Array], ...] = ()
    bands: tuple[tuple[float, float], ...] = ()
    log_x: bool = False
    log_y: bool = False
    counts: bool = False
    counts_y: bool = False
    ticks: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None

    @property
    def empty(self) -> bool:
        return not (self.points or self.curves)

    @property
    def decades(self) -> bool:
        """Whether x spans so much that powers of ten are ticks enough."""
        places = np.concatenate([*(p.x for p in self.points), *(c.x for c in self.curves)])
        return bool(places.min() > 0 and places.max() / places.min() > WIDE)

    @property
    def mantissas_y(self) -> tuple[float, ...]:
        """First digits of the ticks of a logarithmic y: the fewer, the more powers of ten it spans."""
        places = np.concatenate([self.limits or (), *(p.y for p in self.points), *(c.y for c in self.curves)])
        spread = float(places.max() / places.min())
        return (1,) if spread > MANY_TICKS else (1, 2, 5) if spread > WIDE or self.counts_y else FINE_TICKS

    @property
    def few_x(self) -> Array | None:
        """The places of all marks, where they are few enough to be the axis' own ticks; of counts, which read well, over decades too."""
        if self.decades and not self.counts:
            return None
        places = np.unique(np.concatenate([*(p.x for p in self.points), *(c.x for c in self.curves)]))
        if self.counts and max(len(style.thousands(place, 0)) for place in places) > LONG_TICK:
            return None
        return places if len(places) <= FEW else None


ENTRY, LETTER = 0.5, 0.05  # inches of width that a legend's mark and gaps, and a letter of its text, take
TILTED = 0.045  # inches of height that a letter of a tilted tick takes
SHORT_TICK = 14  # letters that a panel has room for


def figure(panels: Sequence[Panel], *, columns: int = 2, height: float = 2.4) -> Figure:
    """Panels side by side, `columns` a line, each line `height` inches, over one legend."""
    columns = min(columns, len(panels))
    lines = -(-len(panels) // columns)
    looks = legend(panels)
    across = max(2, int(style.FULL_WIDTH / (ENTRY + LETTER * max(len(look.label) for look, _ in looks))))
    longest = max((len(text) for panel in panels for text in panel.ticks), default=0)
    height += max(0.0, TILTED * (longest - SHORT_TICK))
    drawn = style.figure(height * lines + 0.18 * -(-len(looks) // across))
    grid = drawn.subplots(lines, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        paint(axes, panel)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    handles = [_handle(look, with_line) for look, with_line in looks]
    drawn.legend(handles=handles, loc="outside lower center", ncols=min(across, len(handles)))
    return drawn


def legend(panels: Sequence[Panel]) -> list[tuple[Look, bool]]:
    """Each look once, in order of appearance, and whether it is a curve's."""
    found: dict[Look, bool] = {}
    for panel in panels:
        for points in panel.points:
            found[points.look] = points.joined
        for curve in panel.curves:
            found.setdefault(curve.look, True)
    return list(found.items())


def paint(axes: Axes, panel: Panel) -> None:
    """Draws one panel."""
    for low, high in panel.bands:
        axes.axhspan(low, high, color=style.FAINT, alpha=0.2, linewidth=0)
    for x, y in panel.guides:
        axes.plot(x, y, color=style.FAINT, linewidth=0.8, zorder=0)
    for curve in panel.curves:
        axes.plot(curve.x, curve.y, **curve.look.line)
    for points in panel.points:
        if points.low is not None and points.high is not None:
            axes.vlines(points.x + points.shift, points.low, points.high, color=points.look.colour, linewidth=0.8)
        axes.plot(
            points.x + points.shift,
            points.y,
            alpha=0.9,
            **points.look.point,
            linestyle=points.look.line["linestyle"] if points.joined else "none",
            linewidth=0.9,
        )
    axes.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
    if panel.limits:
        axes.set_ylim(panel.limits)
    if panel.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=panel.mantissas_y))
        axes.yaxis.set_major_formatter(style.thousands if panel.counts_y else "{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks, rotation=40, ha="right")
    elif panel.log_x:
        axes.set_xscale("log")
        few = panel.few_x
        marks = LogLocator(subs=(1,), numticks=MOST_DECADES) if panel.decades else LogLocator(subs=(1, 2, 5))
        axes.xaxis.set_major_locator(marks if few is None else FixedLocator(few.tolist()))
        axes.xaxis.set_major_formatter(style.thousands if panel.counts else "{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    elif panel.counts:
        axes.xaxis.set_major_formatter(style.thousands)


def _handle(look: Look, line: bool) -> Line2D:
    shape = look.line if line else {"linestyle": "none"}
    return Line2D([], [], label=look.label, **{**look.point, **shape})

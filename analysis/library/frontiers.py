"""The best size for a budget by any table, in Python."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, overload

from analysis.fits import group_answers, table_frontier
from analysis.fits.exponents import Exponent
from analysis.fits.isoflop import Method
from analysis.fits.table_frontier import Asked, TableFrontier
from analysis.library.answer import Answer, Plot, plotted
from analysis.library.asking import alike, notes_of
from analysis.library.grouped import GroupedAnswers, grouped
from analysis.library.reading import as_table
from analysis.library.words import for_python


@dataclass(frozen=True, repr=False)
class BestSizes(Answer):
    """How the best size depends on compute. `inner`: the full result, with every budget."""

    inner: TableFrontier
    notes: tuple[str, ...]

    @property
    def a_N(self) -> Exponent:
        """Exponent of the best size against training FLOP: `value`, `low`, `high`."""
        return self.inner.found.a_N

    @property
    def a_D(self) -> Exponent:
        """Exponent of the best number of tokens: `value`, `low`, `high`."""
        return self.inner.found.a_D

    def plot(self, path: str | os.PathLike[str] | None = None) -> Plot:
        """The curves and the power of compute through their minima; written to `path`, .png, .pdf or .svg."""
        from analysis.figures import isoflop

        return plotted(isoflop, self.inner.found, path)

    def lines(self) -> list[str]:
        return self.inner.lines()


@overload
def isoflop(
    table: Any,
    *,
    method: Method = "parabola",
    tolerance: float | None = None,
    sigma: float | None = None,
    bootstrap: int = 0,
    by: None = None,
) -> BestSizes: ...


@overload
def isoflop(
    table: Any,
    *,
    method: Method = "parabola",
    tolerance: float | None = None,
    sigma: float | None = None,
    bootstrap: int = 0,
    by: str,
) -> GroupedAnswers[BestSizes]: ...


@for_python
def isoflop(
    table: Any,
    *,
    method: Method = "parabola",
    tolerance: float | None = None,
    sigma: float | None = None,
    bootstrap: int = 0,
    by: str | None = None,
) -> BestSizes | GroupedAnswers[BestSizes]:
    """Exponents of the best size and tokens against training FLOP (Hoffmann et al. 2022, approaches 1 and 2).

    Args:
        table: what `read` gave, or what it takes: N, C and the loss, or N and D.
        method: parabola, free or envelope. tolerance: a budget's largest FLOP over its smallest, less one.
        sigma: the seeds' standard deviation in nats; None measures it.
        bootstrap: resamples of the runs of each budget, from which intervals then come; 0 takes them from the noise.
        by: a column whose equal cells are a group; then one answer for each.

    Raises:
        UserError: everything that the command `isoflop` refuses.
    """
    asked = as_table(table)
    alike(asked)
    clusters = asked.clusters if method == "envelope" else None
    how = Asked(method, tolerance, sigma, clusters, bootstrap)
    columns = {name: held for name, held in asked.columns.items() if name in ("N", "C", "D", "loss")}
    rows = table_frontier.read(asked.raw, columns, asked.exclude, clusters)
    notes = notes_of(asked, rows)
    if by is None:
        return BestSizes(table_frontier.frontier(rows, how), notes)
    inner = group_answers.by_group(
        rows, by, lambda own: table_frontier.frontier(own, how), table_frontier.lines_of_groups
    )
    return grouped(inner, BestSizes, notes)

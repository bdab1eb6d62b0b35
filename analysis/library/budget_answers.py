"""Answers by budget from any table, in Python: the best sizes, learning rates and batches, and recipes against each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack, overload

from analysis.fits import table_frontier
from analysis.fits.exponents import Exponent
from analysis.fits.isoflop import Method
from analysis.fits.table_frontier import Asked, TableFrontier
from analysis.library.answer import Answer, GroupedAnswers, Plot, answered, for_python, plotted
from analysis.library.reading import RunTable, alike, as_table, between, check, notes_of
from analysis.rate_laws import table_rates
from analysis.rate_laws.rate_powers import RatePower
from analysis.rate_laws.rate_surface import AXES, NEAR
from analysis.rate_laws.table_rates import TableRates
from analysis.recipe_laws import comparison
from analysis.recipe_laws.comparison import RecipeComparison
from analysis.recipe_laws.fractions import AgainstReference
from analysis.tables import budgets
from analysis.tables.budgets import RESAMPLES
from analysis.tables.table import Table


class ComparedRecipes(Answer[RecipeComparison]):
    """Recipes beside a reference. `inner`: the comparison itself, with the rankings of small budgets."""

    @property
    def reference(self) -> str:
        """The recipe whose loss the others are to reach."""
        return self.inner.reference

    @property
    def against(self) -> dict[str, AgainstReference]:
        """The share of the reference's compute that each other recipe needs, by its name."""
        return {own.name: own for own in self.inner.against}

    def plot(self, path: str | os.PathLike[str] | None = None) -> Plot:
        """Shares and rankings by compute; written to `path`, .png, .pdf or .svg."""
        from analysis.figures import recipes as figure

        return plotted(figure, self.inner, path)


class FoundRates(Answer[TableRates]):
    """The best learning rate and batch of each budget. `inner`: the answer itself, with every budget."""

    @property
    def laws(self) -> dict[str, RatePower]:
        """The power laws of `lr` and, where batches vary, of `batch`."""
        return {law.axis: law for law in self.inner.laws}

    def plot(self, path: str | os.PathLike[str] | None = None) -> Plot:
        """The best values and their laws by compute; written to `path`, .png, .pdf or .svg."""
        from analysis.figures import rates as figure

        return plotted(figure, (self.inner.found, self.inner.laws), path)


class BestSizes(Answer[TableFrontier]):
    """How the best size depends on compute. `inner`: the full result, with every budget."""

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


@for_python
def recipes(
    table: Any,
    by: str,
    *,
    reference: str | None = None,
    beyond: float | Sequence[float] = 10.0,
    bootstrap: int = RESAMPLES,
    sigma: float | None = None,
) -> ComparedRecipes:
    """At which fraction of compute one recipe reaches another's loss, and how often small runs rank recipes as large ones do.

    Args:
        table: what `read` gave, or what it takes: N and D, or C, and the loss. by: the column that tells recipes apart.
        reference: whose loss the others are to reach; None takes the highest at the largest shared budget.
        beyond: multiples of the reference's largest budget to extrapolate to.
        bootstrap: draws behind intervals. sigma: the seeds' standard deviation in nats; None measures it.

    Raises:
        UserError: everything that the command `recipes` refuses.
    """
    times = list(beyond) if isinstance(beyond, Sequence) else [beyond]
    for one in times:
        between("beyond", one, 1, 1e6)
    asked, rows = _rows(table, bootstrap, sigma)
    inner = comparison.compare(rows, by, reference=reference, times=times, sigma=sigma, resamples=bootstrap)
    return ComparedRecipes(inner, notes_of(asked, rows))


Points = Mapping[str, float] | Sequence[Mapping[str, float]]


class RateOptions(TypedDict, total=False):
    """What `rates` takes beside a table and groups; see there."""

    target: Points
    near: float
    bootstrap: int
    sigma: float | None


@overload
def rates(table: Any, *, by: None = None, **options: Unpack[RateOptions]) -> FoundRates: ...


@overload
def rates(table: Any, *, by: str, **options: Unpack[RateOptions]) -> GroupedAnswers[FoundRates]: ...


@for_python
def rates(
    table: Any,
    *,
    target: Points = (),
    near: float = NEAR,
    bootstrap: int = RESAMPLES,
    sigma: float | None = None,
    by: str | None = None,
) -> FoundRates | GroupedAnswers[FoundRates]:
    """The best learning rate and batch of each size and number of tokens, and their power laws.

    Args:
        table: what `read` gave, or what it takes: lr, batch where there is one, N and D, or C, and the loss.
        target: budgets to say the best of, `{"N": 7e9, "D": 1.4e11}`, one or several.
        near: share of a budget's least loss by which a run may be over it and still take part.
        bootstrap: draws behind intervals. sigma: the seeds' standard deviation in nats; None measures it.
        by: a column whose equal cells are a group; then one answer for each.

    Raises:
        UserError: everything that the command `rates` refuses.
    """
    between("near", near, 0, 1)
    points = [target] if isinstance(target, Mapping) else list(target)
    asked, rows = _rows(table, bootstrap, sigma, AXES)
    words = [{name: str(value) for name, value in point.items()} for point in points]

    def best(own: Table) -> TableRates:
        return table_rates.best_rates(own, sigma=sigma, resamples=bootstrap, near=near, at=words)

    return answered(rows, by, best, FoundRates, notes_of(asked, rows))


class FrontierOptions(TypedDict, total=False):
    """What `isoflop` takes beside a table and groups; see there."""

    method: Method
    tolerance: float | None
    sigma: float | None
    bootstrap: int


@overload
def isoflop(table: Any, *, by: None = None, **options: Unpack[FrontierOptions]) -> BestSizes: ...


@overload
def isoflop(table: Any, *, by: str, **options: Unpack[FrontierOptions]) -> GroupedAnswers[BestSizes]: ...


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

    def best(own: Table) -> TableFrontier:
        return table_frontier.frontier(own, how)

    return answered(rows, by, best, BestSizes, notes_of(asked, rows), table_frontier.lines_of_groups)


def _rows(table: Any, bootstrap: int, sigma: float | None, optional: tuple[str, ...] = ()) -> tuple[RunTable, Table]:
    check(bootstrap, sigma, needed=True)
    asked = as_table(table)
    alike(asked)
    columns = {name: held for name, held in asked.columns.items() if name in ("N", "D", "C", "loss", *optional)}
    return asked, budgets.read(asked.raw, columns, asked.exclude, optional)

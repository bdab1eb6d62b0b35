"""Which further runs narrow a prediction of a table's fit most for their price: what `design` prints and the library returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.fits import next_runs, priced_runs
from analysis.fits.fit import FitResult, fit
from analysis.fits.next_runs import NextRuns, Prospect
from analysis.fits.objective import Objective
from analysis.fits.predicted import of_columns, wanted_of
from analysis.fits.priced_runs import PricedRuns
from analysis.fits.resample import CLUSTERS
from analysis.laws.law import Array, Law
from analysis.tables.cell_table import CellTable
from analysis.tables.row_ranges import RowRanges, beyond
from analysis.tables.table import Table
from repro.errors import UserError

MOST_OF_NOISE = 0.8  # of the squares of residuals, that one row doesn't have by chance
MOST_RUNS = 12  # that are chosen at once
RESAMPLES = 1000


@dataclass(frozen=True)
class DesignTask:
    """The task of further runs: the prediction to narrow, and the budget.

    Attributes:
        target: where the prediction is wanted, NAME=VALUE words of the law's columns.
        budget: price of all further runs together. runs: how many at most.
        largest: parameters that no run of the grid has more of; None is what the budget pays for.
        candidates: a table of runs to choose among, instead of a grid. price: its column of prices; None takes 6 N D.
    """

    target: tuple[str, ...]
    budget: float
    runs: int = 3
    largest: float | None = None
    candidates: CellTable | None = None
    price: str | None = None


@dataclass(frozen=True)
class TableDesign:
    """The next runs by a fit of a table.

    Attributes:
        target: the law's columns there. runs: those to choose from. prospect: what they would do to the prediction.
        plans: the best runs by their number. sigma: of a run's loss, nats. given: whether by the user.
    """

    rows: Table
    result: FitResult
    task: DesignTask
    target: Mapping[str, float]
    runs: PricedRuns
    prospect: Prospect
    plans: tuple[NextRuns, ...]
    sigma: float
    given: bool

    @property
    def best(self) -> NextRuns:
        """Of the plans, the one that leaves the narrowest interval."""
        return min(self.plans, key=lambda plan: plan.share)

    @property
    def warnings(self) -> list[str]:
        law, rows, result = self.result.law, self.rows, self.result
        columns = {name: rows.columns[name] for name in law.columns}
        predicted = result.predict(columns)
        return [
            *rows.warnings,
            *rows.checkpoints(np.log(predicted) - np.log(rows.loss)),
            *_few_clusters(rows),
            *([] if self.given else _one_row(rows, predicted - rows.loss)),
            *result.doubts,
            *beyond(RowRanges.of(law, columns, rows.loss), self.target),
            *([] if self.task.candidates is not None else _at_edges(self.best, self.runs, self.task.largest)),
        ]

    def as_json(self) -> dict[str, Any]:
        law, result, runs, prospect = self.result.law, self.result, self.runs, self.prospect
        there = {name: np.array([value]) for name, value in self.target.items()}
        width = prospect.interval[1] - prospect.interval[0]
        return {
            "law": law.name,
            "parameters": result.parameters,
            "status": result.status,
            "source": self.rows.source,
            "n_rows": result.n_rows,
            "sigma": self.sigma,
            "sigma_from": "--sigma" if self.given else "the residuals",
            "target": _values(self.target, law),
            "loss": float(result.predict(there)[0]),
            "interval": prospect.interval,
            "width": width,
            "budget": self.task.budget,
            "by_price": [_as_json(plan, law, runs, width) for plan in prospect.by_price()],
            "plans": [_as_json(plan, law, runs, width) for plan in self.plans],
            "best": len(self.best.runs),
            "candidates": [
                _run(i, law, runs) | {"width": width * float(share)} for i, share in enumerate(prospect.singles())
            ],
            "warnings": self.warnings,
        }

    def lines(self) -> list[str]:
        shown, unit = self.as_json(), self.result.law.unit
        at = _named(shown["target"]).replace("  ", ", ")
        low, high = shown["interval"]
        found = [
            f"{shown['law']} at {at}: {shown['loss']:.4f}, 95% [{low:.4f}, {high:.4f}], {shown['width']:.4f} {unit} wide",
            f"  {shown['n_rows']} rows of {shown['source']}; σ of a run {shown['sigma']:.4g} {unit} ({shown['sigma_from']})",
            "one more run, by its price:",
            *(f"  {_told(plan, shown['width'], unit)}   {_named(plan['runs'][0])}" for plan in shown["by_price"]),
            f"runs that cost {shown['budget']:.4g} together at most:",
        ]
        for count, plan in enumerate(shown["plans"], start=1):
            mark = "   narrowest" if count == shown["best"] and len(shown["plans"]) > 1 else ""
            found.append(f"  {_told(plan, shown['width'], unit)}   {count} run{'s' if count > 1 else ''}{mark}")
            found += [f"      {run['price']:>10.3g}   {_named(run)}" for run in plan["runs"]]
        return found


def design_on(
    law: Law,
    rows: Table,
    task: DesignTask,
    objective: Objective = Objective(),
    *,
    sigma: float | None = None,
    resamples: int = RESAMPLES,
) -> TableDesign:
    """The next runs by a fit of `law`.

    Args:
        sigma: of a loss over seeds, nats; None takes it from the residuals. resamples: behind the interval.

    Raises:
        UserError: a target that is none of the law's; see `fit`, `priced_runs` and `next_runs`.
    """
    target = wanted_of(task.target, law)
    of_columns(target, law, "--target")
    columns = {name: rows.columns[name] for name in law.columns}
    result = fit(law, columns, rows.loss, objective)
    noise = next_runs.noise_of(result, columns, rows.loss) if sigma is None else sigma
    theta = next_runs.draws(
        result, columns, rows.loss, sigma=noise, resamples=resamples, rng=np.random.default_rng(0), clusters=rows.clusters
    )  # fmt: skip
    runs = _runs(task, result, rows, target)
    prospect = Prospect(law, theta, runs, {name: np.array([value]) for name, value in target.items()}, noise)
    plans = tuple(prospect.best(count, task.budget) for count in range(1, task.runs + 1))
    return TableDesign(rows, result, task, target, runs, prospect, plans, noise, sigma is not None)


def _runs(task: DesignTask, result: FitResult, rows: Table, target: Mapping[str, float]) -> PricedRuns:
    """Those to choose from, each within the budget."""
    if task.candidates is None:
        if task.price is not None:
            raise UserError(
                "a column of prices without a table of runs",
                key="--price",
                found=task.price,
                expected="--candidates, a table with that column",
            )
        size = result.law.size
        if size is None or result.law.levels:
            raise UserError(
                "no grid of runs for this law", key="--law", found=result.law.name,
                expected="a law in one size and D; or --candidates, a table of runs",
            )  # fmt: skip
        return priced_runs.grid(result, rows.columns, rows.loss, size, target, task.budget, task.largest)
    if task.largest is not None:
        raise UserError(
            "a size for the grid of runs, which --candidates replaces",
            key="--largest",
            found=f"{task.largest:g}",
            expected="no --candidates",
        )
    found = priced_runs.read(task.candidates, result.law, rows.names, task.price, result.law.size)
    paid = found.where(found.price <= task.budget * (1 + priced_runs.ROUNDING))
    if not len(paid):
        cheapest = f"{found.price.min():.4g} or more, the cheapest of {task.candidates.source}"
        raise priced_runs.too_dear(task.budget, cheapest)
    return paid


def _few_clusters(rows: Table) -> list[str]:
    if rows.clusters is None or len(np.unique(rows.clusters)) >= CLUSTERS:
        return []
    return [f"fewer than {CLUSTERS} clusters: the noise of rows is taken as independent"]


def _one_row(rows: Table, residual: Array) -> list[str]:
    """Whether one row makes most of the noise that is told from residuals (n,) in nats."""
    largest = int(np.argmax(np.abs(residual)))
    if residual[largest] ** 2 < MOST_OF_NOISE * np.sum(residual**2):
        return []
    return [
        f"σ comes from row {rows.numbers[largest]:.0f} almost alone, which the fit misses by {residual[largest]:+.3g} nats: "
        "give --sigma, or leave the row out by --exclude"
    ]


def _at_edges(best: NextRuns, runs: PricedRuns, largest: float | None) -> list[str]:
    """Where the best runs lie at an edge of the grid, beyond which others may be better."""
    chosen, found = list(best.runs), []
    [size] = runs.columns.keys() - {"D"}
    n, ratio = runs.columns[size], runs.columns["D"] / runs.columns[size]
    for name, edge in (("lowest", ratio.min()), ("highest", ratio.max())):
        if np.isclose(ratio[chosen], edge).any() and not np.isclose(ratio, edge).all():
            found.append(
                f"a run of the {name} D/{size} looked at, {edge:.4g}: the rows and the target have none beyond"
            )
    if largest is not None and np.isclose(n[chosen], largest).any():
        found.append(f"a run of the size of --largest, {largest:.4g}: a larger one may narrow the interval more")
    return found


def _values(point: Mapping[str, float], law: Law) -> dict[str, Any]:
    """Numbers of the law's columns, with labels for the numbers of labels."""
    return {name: law.levels[name][int(value)] if name in law.levels else value for name, value in point.items()}


def _run(i: int, law: Law, runs: PricedRuns) -> dict[str, Any]:
    own = {name: float(values[i]) for name, values in runs.columns.items()}
    return _values(own, law) | {"price": float(runs.price[i])}


def _as_json(plan: NextRuns, law: Law, runs: PricedRuns, width: float) -> dict[str, Any]:
    return {"runs": [_run(i, law, runs) for i in plan.runs], "price": plan.price, "width": width * plan.share}


def _told(plan: Mapping[str, Any], width: float, unit: str) -> str:
    return f"price {plan['price']:>9.3g}: {plan['width']:.4f} {unit} wide, {1 - plan['width'] / width:>4.0%} less"


def _named(run: Mapping[str, Any]) -> str:
    told = {name: value if isinstance(value, str) else f"{value:.3g}" for name, value in run.items() if name != "price"}
    return "  ".join(f"{name} = {value}" for name, value in told.items())

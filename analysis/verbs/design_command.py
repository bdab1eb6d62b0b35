"""python -m analysis design: which further runs narrow a prediction most for their price."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.fits import limits, next_runs, priced_runs
from analysis.fits.fit import FitResult, fit
from analysis.fits.next_runs import NextRuns, Prospect
from analysis.fits.predicted import of_columns, wanted_of
from analysis.fits.priced_runs import PricedRuns
from analysis.fits.resample import CLUSTERS
from analysis.laws.law import Array, Law
from analysis.shown import plain_json, say
from analysis.tables.row_ranges import RowRanges
from analysis.tables.table import Table
from analysis.verbs.table_arguments import objective, read_laws
from repro.errors import UserError

MOST_OF_NOISE = 0.8  # of the squares of residuals, that one row doesn't have by chance


def choose(given: argparse.Namespace) -> int:
    """Prints single runs by price and the best runs by number; returns the exit code."""
    rows, [law] = read_laws(given, [given.law] if given.law else [])
    target = wanted_of(given.target.split(","), law)
    of_columns(target, law, "--target")
    columns = {name: rows.columns[name] for name in law.columns}
    result = fit(law, columns, rows.loss, objective(given))
    sigma = next_runs.noise_of(result, columns, rows.loss) if given.sigma is None else given.sigma
    theta = next_runs.draws(
        result, columns, rows.loss, sigma=sigma, resamples=given.bootstrap, rng=np.random.default_rng(0),
        clusters=rows.clusters,
    )  # fmt: skip
    runs = _runs(given, result, rows, target)
    there = {name: np.array([value]) for name, value in target.items()}
    prospect = Prospect(law, theta, runs, there, sigma)
    plans = [prospect.best(count, given.budget) for count in range(1, given.runs + 1)]
    best = min(plans, key=lambda plan: plan.share)
    width = prospect.interval[1] - prospect.interval[0]
    shown: dict[str, Any] = {
        "law": law.name,
        "parameters": result.parameters,
        "status": result.status,
        "source": rows.source,
        "n_rows": result.n_rows,
        "sigma": sigma,
        "sigma_from": "the residuals" if given.sigma is None else "--sigma",
        "target": _values(target, law),
        "loss": float(result.predict(there)[0]),
        "interval": prospect.interval,
        "width": width,
        "budget": given.budget,
        "by_price": [_as_json(plan, law, runs, width) for plan in prospect.by_price()],
        "plans": [_as_json(plan, law, runs, width) for plan in plans],
        "best": len(best.runs),
        "candidates": [
            _run(i, law, runs) | {"width": width * float(share)} for i, share in enumerate(prospect.singles())
        ],
    }
    residual = np.log(result.predict(columns)) - np.log(rows.loss)
    shown["warnings"] = [
        *rows.warnings,
        *rows.checkpoints(residual),
        *_few_clusters(rows),
        *([] if given.sigma is not None else _one_row(rows, result.predict(columns) - rows.loss)),
        *limits.of_fit(result),
        *limits.of_point(RowRanges.of(law, columns, rows.loss), target),
    ]
    if given.candidates is None:
        shown["warnings"] += _at_edges(best, runs, given.largest)
    if given.json:
        print(json.dumps(plain_json(shown), indent=1))
    else:
        _show(shown)
    say(shown["warnings"])
    return 0


def _runs(given: argparse.Namespace, result: FitResult, rows: Table, target: Mapping[str, float]) -> PricedRuns:
    """Those to choose from, each within the budget."""
    if given.candidates is None:
        if given.price is not None:
            raise UserError(
                "prices of no runs", key="--price", found=given.price, expected="--candidates, a table with that column"
            )
        size = _size(result.law)
        if size is None or result.law.levels:
            raise UserError(
                "no grid of runs for this law", key="--law", found=result.law.name,
                expected="a law in one size and D; or --candidates, a table of runs",
            )  # fmt: skip
        return priced_runs.grid(result, rows.columns, rows.loss, size, target, given.budget, given.largest)
    if given.largest is not None:
        raise UserError("a size for a grid", key="--largest", found=f"{given.largest:g}", expected="no --candidates")
    found = priced_runs.read(given.candidates, result.law, rows.names, given.price, _size(result.law))
    paid = found.where(found.price <= given.budget * (1 + priced_runs.ROUNDING))
    if not len(paid):
        raise UserError(
            "the budget pays for no run", key="--budget", found=f"{given.budget:g}",
            expected=f"{found.price.min():.4g} or more, the cheapest of {given.candidates}",
        )  # fmt: skip
    return paid


def _size(law: Law) -> str | None:
    """The law's one size, where it has no more columns of numbers than that and D."""
    own = [name for name in law.columns if name != "D" and name not in law.levels]
    return own[0] if "D" in law.columns and len(own) == 1 and own[0].startswith("N") else None


def _few_clusters(rows: Table) -> list[str]:
    if rows.clusters is None or len(np.unique(rows.clusters)) >= CLUSTERS:
        return []
    return [f"fewer than {CLUSTERS} clusters: the noise of each row is taken to be its own"]


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


def _show(shown: dict[str, Any]) -> None:
    at = _named(shown["target"]).replace("  ", ", ")
    low, high = shown["interval"]
    print(f"{shown['law']} at {at}: {shown['loss']:.4f}, 95% [{low:.4f}, {high:.4f}], {shown['width']:.4f} nats wide")
    print(
        f"  {shown['n_rows']} rows of {shown['source']}; σ of a run {shown['sigma']:.4g} nats ({shown['sigma_from']})"
    )
    print("one more run, by its price:")
    for plan in shown["by_price"]:
        print(f"  {_told(plan, shown['width'])}   {_named(plan['runs'][0])}")
    print(f"runs that cost {shown['budget']:.4g} together at most:")
    for count, plan in enumerate(shown["plans"], start=1):
        mark = "   narrowest" if count == shown["best"] and len(shown["plans"]) > 1 else ""
        print(f"  {_told(plan, shown['width'])}   {count} run{'s' if count > 1 else ''}{mark}")
        for run in plan["runs"]:
            print(f"      {run['price']:>10.3g}   {_named(run)}")


def _told(plan: dict[str, Any], width: float) -> str:
    return f"price {plan['price']:>9.3g}: {plan['width']:.4f} nats wide, {1 - plan['width'] / width:>4.0%} less"


def _named(run: dict[str, Any]) -> str:
    told = {name: value if isinstance(value, str) else f"{value:.3g}" for name, value in run.items() if name != "price"}
    return "  ".join(f"{name} = {value}" for name, value in told.items())

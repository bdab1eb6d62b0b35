"""python -m analysis fit: one law on any table."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

import numpy as np

from analysis.fits import holdout, limits, out_of_sample, saved_fit
from analysis.fits.bootstrap import bootstrap
from analysis.fits.fit import fit, obstacle
from analysis.fits.information import information
from analysis.fits.profiles import profile
from analysis.laws.formulas.formula_law import FormulaLaw
from analysis.laws.law import Law
from analysis.shown import plain_json, say
from analysis.tables import cells, row_flags
from analysis.tables.row_ranges import RowRanges
from analysis.tables.table import Table
from analysis.verbs import budget_arguments
from analysis.verbs.table_arguments import objective, read_laws, unused_sigma
from repro.errors import UserError

SAVED = 200  # resampled parameters kept in a saved fit, for the bands of its predictions


def fit_table(given: argparse.Namespace) -> int:
    """Prints the fit, or one for each group; returns the exit code."""
    rows, [law] = read_laws(given, [given.law] if given.law else [])
    if given.by:
        return _fit_groups(given, law, rows)
    shown = fitted(given, law, rows)
    if given.json:
        print(json.dumps(plain_json(shown), indent=1))
    else:
        _show_fit(law, shown)
    say(shown["warnings"])
    return 0


def _fit_groups(given: argparse.Namespace, law: Law, rows: Table) -> int:
    """Prints a line for each group of equal cells; a group that the law can't be fitted to is said and left out."""
    labels = np.array([str(cell).strip() for cell in budget_arguments.labels(rows, given.by)], dtype=object)
    found, left = {}, {}
    for label in dict.fromkeys(labels):
        own = rows.where(labels == label)
        reason = obstacle(law, own.columns, own.loss)
        if reason:
            left[label] = reason
            continue
        try:
            found[label] = {"by": given.by, "group": label} | fitted(given, law, own)
        except UserError as error:
            raise error.but(found=f"{error.found} ({given.by} {label})") from None
    out = [f"{given.by} {label} is left out: {reason}" for label, reason in left.items()]
    if not found:
        raise UserError(
            "no group can be fitted", file=rows.source, key=f"--by {given.by}", found="; ".join(out[:5]),
            expected="more rows in a group than parameters",
        )  # fmt: skip
    if given.json:
        print(json.dumps(plain_json(list(found.values())), indent=1))
    else:
        _show_groups(law, given.by, found)
    of_rows = list(rows.warnings)
    say(
        [*of_rows, *out]
        + [
            f"{given.by} {label}: {text}"
            for label, one in found.items()
            for text in one["warnings"]
            if text not in of_rows
        ]
    )
    return 0


def _show_groups(law: Law, by: str, found: dict[str, dict[str, Any]]) -> None:
    print(f"{'log L' if law.logarithmic else 'L'} = {law.formula}   (one fit for each {by}; --json has intervals)")
    wide = max(len(by), *map(len, found))
    print(f"  {by:<{wide}} {'rows':>6} {'relative':>9} {'status':>10} " + " ".join(f"{n:>12}" for n in law.names))
    for label, one in found.items():
        values = " ".join(f"{value:>{max(12, len(n))}.6g}" for n, value in one["parameters"].items())
        print(f"  {label:<{wide}} {one['n_rows']:>6} {one['mean_relative_error']:>9.2%} {one['status']:>10} {values}")


def fitted(given: argparse.Namespace, law: Law, rows: Table) -> dict[str, Any]:
    """All that is said of one fit, as it is saved."""
    columns = {name: rows.columns[name] for name in law.columns}
    result = fit(law, columns, rows.loss, objective(given))
    profiled = profile(result, columns, rows.loss)
    shown: dict[str, Any] = saved_fit.as_json(result) | {
        "source": rows.source,
        **row_flags.as_json(rows.flags),
        **saved_fit.rows_as_json(RowRanges.of(law, columns, rows.loss, _sparsity(rows))),
        "mean_abs_error": float(np.abs(result.predict(columns) - rows.loss).mean()),
        "mean_relative_error": float(np.abs(result.predict(columns) / rows.loss - 1).mean()),
        "sigma": given.sigma,
        "information": dataclasses.asdict(information(result, columns, rows.loss)),
        "profile": profiled.intervals,
        "profile_reason": profiled.reason,
    }
    if given.bootstrap:
        drawn = bootstrap(
            result, columns, rows.loss, resamples=given.bootstrap, rng=np.random.default_rng(0),
            clusters=rows.clusters, sigma=given.sigma,
        )  # fmt: skip
        shown |= {
            "intervals": drawn.interval(),
            "bootstrap": {
                "method": drawn.method,
                "resamples": given.bootstrap,
                "units": drawn.clusters,
                "at_bound": drawn.at_bound,
            },
            "draws": _some(drawn.theta),
        }
    if given.holdout:
        found = out_of_sample.judge([law], rows, holdout.split(rows, given.holdout), result.kind)
        shown["held_out"] = {
            "rule": given.holdout,
            "mean_abs_error": found.judged[0].held_out,
            "mean_relative_error": found.judged[0].relative,
            "best_seen": found.best_seen,
        }
    residual = np.log(result.predict(columns)) - np.log(rows.loss)
    shown["warnings"] = [*rows.warnings, *rows.checkpoints(residual), *limits.of_fit(result)]
    if given.clusters and not given.bootstrap:
        shown["warnings"].append("profile intervals take each row by itself; --bootstrap draws --clusters as wholes")
    shown["warnings"] += unused_sigma(given.sigma, shown.get("bootstrap", {}).get("method"))
    return shown


def _sparsity(rows: Table) -> np.ndarray | None:
    """Of each row, where the table tells it in a column that can be read."""
    name = rows.names.get("S", "S")
    if "S" in rows.columns or rows.raw is None or rows.raw.names.count(name) != 1:
        return rows.columns.get("S")
    try:
        found = np.array([cells.number(cell, "share") for cell in rows.cells(name)])
    except cells.NoNumber:
        return None
    return found if np.all((found >= 0) & (found < 1)) else None


def _some(theta: np.ndarray) -> list[list[float]]:
    """As many of the resampled parameters (R, P) as a file keeps, those that are numbers."""
    known = theta[np.isfinite(theta).all(axis=1)]
    some: list[list[float]] = known[:: max(1, len(known) // SAVED)][:SAVED].tolist()
    return some


def _show_fit(law: Law, shown: dict[str, Any]) -> None:
    own = isinstance(law, FormulaLaw) and not law.written.name
    print(
        f"{'' if own else f'{law.name}: '}{'log L' if law.logarithmic else 'L'} = {law.formula}   "
        f"({shown['n_rows']} rows of {shown['source']}; columns {', '.join(law.columns)})"
    )
    if isinstance(law, FormulaLaw):
        given = {name: f"{value:g}" for name, value in law.written.fixed.items()} | dict(law.written.tied)
        if given:
            print(f"  given: {', '.join(f'{name} = {value}' for name, value in given.items())}")
    print(
        f"  {shown['status']}, objective {shown['objective']:.8g}, {shown['starts_agreeing']} of {shown['starts']} starts "
        f"agree, condition {shown['condition']:.3g}"
    )
    width = max(10, *map(len, shown["parameters"]))
    for name, value in shown["parameters"].items():
        print(f"  {name:>{width}} {value:>14.6g}   {_interval_of(name, shown)}")
    low, high = shown["loss_range"]
    beside = f", the seeds' σ is {shown['sigma']:.4g}" if shown["sigma"] else ""
    print(
        f"  mean |predicted − loss| {shown['mean_abs_error']:.5f} nats, {shown['mean_relative_error']:.2%}; losses run from {low:.4f} to {high:.4f}{beside}"
    )
    if "held_out" in shown:
        held = shown["held_out"]
        print(f"  held out by {held['rule']}: {held['mean_abs_error']:.5f} nats, {held['mean_relative_error']:.2%}")
        print(f"  {out_of_sample.beside(held['best_seen'])}")


def _interval_of(name: str, shown: dict[str, Any]) -> str:
    """A parameter's interval with what it depends on."""
    kind = "bootstrap" if "intervals" in shown else "profile"
    interval = shown.get("intervals", shown["profile"])[name]
    text = f"95% [{interval[0]:.6g}, {interval[1]:.6g}] ({kind})" if interval else "no interval"
    if not interval:
        text += " without --bootstrap" if kind == "profile" else ": too many resamples without a number"
        text += f": {shown['profile_reason']}" if kind == "profile" and shown["profile_reason"] else ""
    bounds = shown["bounds_hit"]
    notes = ["at a bound"] if name in bounds else []
    if others := [other for other in bounds if other != name]:
        notes.append(f"given that {' and '.join(others)} {'stays' if len(others) == 1 else 'stay'} at a bound")
    for other, share in shown.get("bootstrap", {}).get("at_bound", {}).items():
        if other not in bounds:
            notes.append(f"{other} is at a bound in {share:.1%} of the resamples")
    if name in shown["unidentified"]:
        notes.append("not identified")
    return text + "".join(f"   {note}" for note in notes)

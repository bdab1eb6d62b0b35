"""python -m analysis fit | compare | predict: laws on any table, ours or another's."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import re
import sys
from typing import Any

import numpy as np

from analysis import cells, holdout, limits, out_of_sample, row_flags, saved_fit, table
from analysis.bootstrap import bootstrap
from analysis.fit import fit
from analysis.information import information
from analysis.law import Law
from analysis.laws import LAWS
from analysis.outcome import enough_resamples, positive_sigma
from analysis.problem import Objective
from analysis.profiles import profile
from analysis.resample import CLUSTERS
from analysis.shown import plain_json, say
from repro.errors import UserError

SAVED = 200  # resampled parameters kept in a saved fit, for the bands of its predictions


def _read(given: argparse.Namespace, names: list[str]) -> table.Table:
    """The rows that the arguments name. Prints what is odd about single ones."""
    if given.sigma is not None:
        positive_sigma(given.sigma)
    if given.bootstrap:
        enough_resamples(given.bootstrap)
    laws = _laws(names)
    if not names or len(set(names)) < len(names):
        raise UserError("no law, or one twice", key="--laws", found=given.laws, expected="names, each once")
    needed = {name for law in laws for name in law.columns}
    by = (given.holdout or "").split(":")[-1]
    rows = table.read(
        given.table,
        laws,
        columns=_columns(given.columns),
        exclude=given.exclude,
        clusters=given.clusters,
        also=[by] if by and by not in ("clusters", "loss", *needed) else [],
    )
    for line in row_flags.summary(rows.flags):
        print(line, file=sys.stderr)
    return rows


def _laws(names: list[str]) -> list[Law]:
    """Laws of the registry. Raises UserError for a name that isn't one."""
    for name in names:
        if name not in LAWS:
            raise UserError("no such law", key="law", found=name, expected=", ".join(LAWS))
    return [LAWS[name] for name in names]


def _columns(words: list[str]) -> dict[str, str]:
    """Columns by the laws' names. Raises UserError for a pair that is none, and for a name that stands there twice."""
    columns: dict[str, str] = {}
    for text in words:
        for pair in re.findall(r'(?:[^,"]|"[^"]*")+', text):
            name, sign, held = (part.strip() for part in pair.partition("="))
            held = held[1:-1] if len(held) > 1 and held[0] == held[-1] == '"' else held
            if not sign or not held or not name:
                raise UserError("not a column", key="--columns", found=pair, expected="NAME=COLUMN,…")
            if name in columns:
                raise UserError(
                    "a name that stands there twice", key="--columns", found=f"{name}={columns[name]}, {name}={held}",
                    expected="one column",
                )  # fmt: skip
            columns[name] = held
    return columns


def _objective(given: argparse.Namespace) -> Objective:
    """Raises UserError for a threshold that the objective hasn't got, or that is no positive number."""
    if given.delta is None:
        return Objective(given.objective)
    if given.objective in ("lad", "wls"):
        raise UserError(
            "an objective without a threshold", key="--delta", found=given.objective, expected="huber_log, huber"
        )
    if not (math.isfinite(given.delta) and given.delta > 0):
        raise UserError("threshold out of range", key="--delta", found=given.delta, expected="more than 0, and finite")
    return Objective(given.objective, given.delta)


def _sparsity(rows: table.Table) -> np.ndarray | None:
    """Of each row, where the table tells it in a column that can be read."""
    name = rows.names.get("S", "S")
    if "S" in rows.columns or rows.raw is None or rows.raw.names.count(name) != 1:
        return rows.columns.get("S")
    try:
        found = np.array([cells.number(cell, "share") for cell in rows.cells(name)])
    except cells.NoNumber:
        return None
    return found if np.all((found >= 0) & (found < 1)) else None


def fit_table(given: argparse.Namespace) -> int:
    rows, law = _read(given, [given.law]), LAWS[given.law]
    columns = {name: rows.columns[name] for name in law.columns}
    result = fit(law, columns, rows.loss, _objective(given))
    profiled = profile(result, columns, rows.loss)
    shown: dict[str, Any] = saved_fit.as_json(result) | {
        "source": rows.source,
        **row_flags.as_json(rows.flags),
        **saved_fit.rows_as_json(limits.RowRanges.of(law, columns, rows.loss, _sparsity(rows))),
        "mean_abs_error": float(np.abs(result.predict(columns) - rows.loss).mean()),
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
        judged = out_of_sample.judge([law], rows, holdout.split(rows, given.holdout), result.kind).judged[0]
        shown["held_out"] = {"rule": given.holdout, "mean_abs_error": judged.held_out}
    residual = np.log(result.predict(columns)) - np.log(rows.loss)
    shown["warnings"] = [*rows.warnings, *rows.checkpoints(residual), *limits.of_fit(result)]
    if given.clusters and not given.bootstrap:
        shown["warnings"].append("profile intervals take each row by itself; --bootstrap draws --clusters as wholes")
    shown["warnings"] += _unused(given.sigma, shown.get("bootstrap", {}).get("method"))
    if given.json:
        print(json.dumps(plain_json(shown), indent=1))
    else:
        _show_fit(shown)
    say(shown["warnings"])
    return 0


def _unused(sigma: float | None, method: str | None) -> list[str]:
    """What to say of a standard deviation of the seeds that no interval was drawn from."""
    used = sigma is None or method == "parametric"
    return (
        [] if used else [f"no interval uses --sigma: it is for a bootstrap of fewer than {CLUSTERS} rows or clusters"]
    )


def _some(theta: np.ndarray) -> list[list[float]]:
    """As many of the resampled parameters (R, P) as a file keeps, those that are numbers."""
    known = theta[np.isfinite(theta).all(axis=1)]
    some: list[list[float]] = known[:: max(1, len(known) // SAVED)][:SAVED].tolist()
    return some


def _show_fit(shown: dict[str, Any]) -> None:
    print(f"{shown['law']}: L = {shown['formula']}   ({shown['n_rows']} rows of {shown['source']})")
    print(
        f"  {shown['status']}, objective {shown['objective']:.8g}, {shown['starts_agreeing']} of {shown['starts']} starts "
        f"agree, condition {shown['condition']:.3g}"
    )
    for name, value in shown["parameters"].items():
        print(f"  {name:>10} {value:>14.6g}   {_interval_of(name, shown)}")
    low, high = shown["loss_range"]
    beside = f", the seeds' σ is {shown['sigma']:.4g}" if shown["sigma"] else ""
    print(
        f"  mean |predicted − loss| {shown['mean_abs_error']:.5f} nats; losses run from {low:.4f} to {high:.4f}{beside}"
    )
    if "held_out" in shown:
        print(f"  held out by {shown['held_out']['rule']}: {shown['held_out']['mean_abs_error']:.5f} nats")


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


def compare_laws(given: argparse.Namespace) -> int:
    names = [name.strip() for name in given.laws.split(",") if name.strip()]
    rows = _read(given, names)
    rule = given.holdout or f"largest:{LAWS[names[0]].columns[0]}"
    found = out_of_sample.judge(
        [LAWS[name] for name in names], rows, holdout.split(rows, rule), _objective(given),
        resamples=given.bootstrap, rng=np.random.default_rng(0), sigma=given.sigma,
    )  # fmt: skip
    shown = [
        dataclasses.asdict(j) | {"fit": saved_fit.as_json(j.fit), "residuals": j.residuals.tolist()}
        for j in found.judged
    ]
    residual = np.log(found.judged[0].fit.predict(rows.columns)) - np.log(rows.loss)
    warnings = [*rows.warnings, *rows.checkpoints(residual)]
    warnings += [f"{judged.law}: {text}" for judged in found.judged for text in limits.of_fit(judged.fit)]
    drawn = found.resampled
    warnings += _unused(given.sigma, drawn.method if drawn else None)
    if given.json:
        whole = {
            "holdout": rule,
            "rows": found.rows.tolist(),
            "bootstrap": dataclasses.asdict(drawn) if drawn else None,
            "laws": shown,
            "warnings": warnings,
        }
        print(json.dumps(plain_json(whole), indent=1))
        say(warnings)
        return 0
    print(
        f"held out: {', '.join(s.name for s in found.splits)} ({len(found.rows)} of {len(rows)} rows); errors in nats"
    )
    print(f"  {'law':<24} {'in sample':>10} {'held out':>10} {'AICc':>10} {'BIC':>10}   {names[0]} is")
    for j in found.judged:
        less = "" if j.less is None else f"{j.less:+.5f} {_bracket(j.less_interval)} {j.outcome}"
        print(
            f"  {j.law:<24} {j.in_sample:>10.5f} {j.held_out:>10.5f} {j.information.aicc:>10.1f} "
            f"{j.information.bic:>10.1f}   {less}{f': {j.reason}' if j.outcome == 'no interval' else ''}"
        )
    for j in found.judged:
        if j.fit.bounds_hit:
            print(f"  {j.law}: fitted to all rows, {' and '.join(j.fit.bounds_hit)} ends at a bound")
    if drawn and drawn.redrawn:
        print(
            f"  {drawn.redrawn} draws held no row to fit or none to judge on: left out, and drawn again "
            f"({drawn.held_out_units} of {drawn.units} rows or clusters are held out)"
        )
    say(warnings)
    return 0


def _bracket(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:+.5f}, {interval[1]:+.5f}]"

"""python -m analysis fit | compare | predict: laws on any table, ours or another's."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

import numpy as np

from analysis import holdout, table
from analysis.fit import FitResult, fit
from analysis.laws import LAWS
from analysis.problem import Objective
from analysis.shown import plain_json
from analysis.uncertainty import bootstrap, information, profile
from repro.errors import UserError

SAVED = 200  # resampled parameters kept in a saved fit, for the bands of its predictions


def _read(given: argparse.Namespace, names: list[str]) -> table.Table:
    columns = {}
    for pair in filter(None, given.columns.split(",")):
        name, sign, held = pair.partition("=")
        if not sign or not held:
            raise UserError("not a column", key="--columns", found=pair, expected="NAME=COLUMN,…")
        columns[name] = held
    rows = table.read(
        given.table, holdout.by_name(names), columns=columns, exclude=given.exclude, clusters=given.clusters
    )
    for flag in rows.flags:
        print(f"row {flag.row}: {flag.reason}", file=sys.stderr)
    return rows


def fit_table(given: argparse.Namespace) -> int:
    rows, law = _read(given, [given.law]), LAWS[given.law]
    columns = {name: rows.columns[name] for name in law.columns}
    result = fit(law, columns, rows.loss, Objective(given.objective, given.delta))
    shown: dict[str, Any] = _as_json(result) | {
        "source": rows.source,
        "flags": [dataclasses.asdict(flag) for flag in rows.flags],
        "mean_abs_error": float(np.abs(result.predict(columns) - rows.loss).mean()),
        "loss_range": [float(rows.loss.min()), float(rows.loss.max())],
        "sigma": given.sigma,
        "information": dataclasses.asdict(information(result, columns, rows.loss)),
        "profile": {name: profile(result, columns, rows.loss, name) for name in law.names},
    }
    if given.bootstrap:
        drawn = bootstrap(
            result, columns, rows.loss, resamples=given.bootstrap, rng=np.random.default_rng(0),
            clusters=rows.clusters, sigma=given.sigma,
        )  # fmt: skip
        shown |= {
            "intervals": drawn.interval(),
            "bootstrap": {"method": drawn.method, "resamples": given.bootstrap, "units": drawn.clusters},
            "draws": drawn.theta[:: max(1, len(drawn.theta) // SAVED)][:SAVED].tolist(),
        }
    if given.holdout:
        judged = holdout.compare([law], rows, holdout.split(rows, given.holdout), result.kind).judged[0]
        shown["held_out"] = {"rule": given.holdout, "mean_abs_error": judged.held_out}
    if given.json:
        print(json.dumps(plain_json(shown), indent=1))
    else:
        _show_fit(shown)
    return 0


def _as_json(result: FitResult) -> dict[str, Any]:
    return {
        "law": result.law,
        "formula": LAWS[result.law].formula,
        "parameters": result.parameters,
        "objective": result.objective,
        "kind": dataclasses.asdict(result.kind),
        "status": result.status,
        "bounds_hit": result.bounds_hit,
        "unidentified": result.unidentified,
        "condition": result.condition,
        "n_rows": result.n_rows,
        "starts": result.starts,
        "starts_agreeing": result.starts_agreeing,
    }


def _show_fit(shown: dict[str, Any]) -> None:
    print(f"{shown['law']}: L = {shown['formula']}   ({shown['n_rows']} rows of {shown['source']})")
    print(
        f"  {shown['status']}, objective {shown['objective']:.8g}, {shown['starts_agreeing']} of {shown['starts']} starts "
        f"agree, condition {shown['condition']:.3g}"
    )
    for name, value in shown["parameters"].items():
        low, high = shown.get("intervals", shown["profile"])[name]
        kind = "bootstrap" if "intervals" in shown else "profile"
        note = "   not identified" if name in shown["unidentified"] else ""
        print(f"  {name:>10} {value:>14.6g}   95% [{low:.6g}, {high:.6g}] ({kind}){note}")
    low, high = shown["loss_range"]
    beside = f", the seeds' σ is {shown['sigma']:.4g}" if shown["sigma"] else ""
    print(
        f"  mean |predicted − loss| {shown['mean_abs_error']:.5f} nats; losses run from {low:.4f} to {high:.4f}{beside}"
    )
    if "held_out" in shown:
        print(f"  held out by {shown['held_out']['rule']}: {shown['held_out']['mean_abs_error']:.5f} nats")


def compare_laws(given: argparse.Namespace) -> int:
    names = [name.strip() for name in given.laws.split(",")]
    rows = _read(given, names)
    rule = given.holdout or f"largest:{LAWS[names[0]].columns[0]}"
    found = holdout.compare(
        [LAWS[name] for name in names], rows, holdout.split(rows, rule), Objective(given.objective, given.delta),
        resamples=given.bootstrap, rng=np.random.default_rng(0), sigma=given.sigma,
    )  # fmt: skip
    shown = [dataclasses.asdict(j) | {"fit": _as_json(j.fit), "residuals": j.residuals.tolist()} for j in found.judged]
    if given.json:
        print(json.dumps(plain_json({"holdout": rule, "rows": found.rows.tolist(), "laws": shown}), indent=1))
        return 0
    print(
        f"held out: {', '.join(s.name for s in found.splits)} ({len(found.rows)} of {len(rows)} rows); errors in nats"
    )
    print(f"  {'law':<24} {'in sample':>10} {'held out':>10} {'AICc':>10} {'BIC':>10}   {names[0]} is")
    for j in found.judged:
        less = "" if j.less is None else f"{j.less:+.5f} {_bracket(j.less_interval)} {j.outcome}"
        print(
            f"  {j.law:<24} {j.in_sample:>10.5f} {j.held_out:>10.5f} {j.information.aicc:>10.1f} "
            f"{j.information.bic:>10.1f}   {less}"
        )
    return 0


def _bracket(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:+.5f}, {interval[1]:+.5f}]"

"""python -m analysis compare: which law predicts better on held-out rows of any table."""

from __future__ import annotations

import argparse
import dataclasses
import json

import numpy as np

from analysis.fits import holdout, limits, out_of_sample, saved_fit
from analysis.shown import plain_json, say
from analysis.verbs.table_arguments import objective, read_laws, unused_sigma


def compare_laws(given: argparse.Namespace) -> int:
    """Prints the comparison; returns the exit code."""
    rows, laws = read_laws(given, [name.strip() for name in (given.laws or "").split(",") if name.strip()])
    rule = given.holdout or f"largest:{laws[0].columns[0]}"
    found = out_of_sample.judge(
        laws, rows, holdout.split(rows, rule), objective(given),
        resamples=given.bootstrap, rng=np.random.default_rng(0), sigma=given.sigma,
    )  # fmt: skip
    shown = [
        vars(j)
        | {
            "fit": saved_fit.as_json(j.fit),
            "information": dataclasses.asdict(j.information),
            "residuals": j.residuals.tolist(),
        }
        for j in found.judged
    ]
    residual = np.log(found.judged[0].fit.predict(rows.columns)) - np.log(rows.loss)
    warnings = [*rows.warnings, *rows.checkpoints(residual)]
    warnings += [f"{judged.law}: {text}" for judged in found.judged for text in limits.of_fit(judged.fit)]
    drawn = found.resampled
    warnings += unused_sigma(given.sigma, drawn.method if drawn else None)
    if given.json:
        whole = {
            "holdout": rule,
            "rows": found.rows.tolist(),
            "bootstrap": dataclasses.asdict(drawn) if drawn else None,
            "laws": shown,
            "best_seen": found.best_seen,
            "warnings": warnings,
        }
        print(json.dumps(plain_json(whole), indent=1))
        say(warnings)
        return 0
    print(
        f"held out: {', '.join(s.name for s in found.splits)} ({len(found.rows)} of {len(rows)} rows); errors in nats"
    )
    width = max(24, *(len(law.name) for law in laws))
    print(
        f"  {'law':<{width}} {'in sample':>10} {'held out':>10} {'relative':>9} {'AICc':>10} {'BIC':>10}   {laws[0].name} is"
    )
    for j in found.judged:
        less = "" if j.less is None else f"{j.less:+.5f} {_bracket(j.less_interval)} {j.outcome}"
        print(
            f"  {j.law:<{width}} {j.in_sample:>10.5f} {j.held_out:>10.5f} {j.relative:>9.2%} {j.information.aicc:>10.1f} "
            f"{j.information.bic:>10.1f}   {less}{f': {j.reason}' if j.outcome == 'no interval' else ''}"
        )
    print(f"  {out_of_sample.beside(found.best_seen)}")
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

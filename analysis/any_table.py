"""python -m analysis fit | compare | predict: laws on any table, ours or another's."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from analysis import holdout, optimal, table
from analysis.claims import plain_json
from analysis.fit import FitResult, fit
from analysis.laws import LAWS
from analysis.problem import Objective
from analysis.uncertainty import bootstrap, information, profile
from repro.errors import UserError

EXAMPLES = """\
examples:
  python -m analysis fit runs.csv --law chinchilla --columns N=params,D=tokens,loss=val_loss --bootstrap 4000
  python -m analysis fit results/laptop --law N_avg --exclude 'score!=magnitude' --json > FIT.json
  python -m analysis compare results/laptop --laws N_avg,N_final,N_dense --holdout largest:N_avg --bootstrap 1000
  python -m analysis predict FIT.json N=1e9 D=2e10      the loss, with its band when the fit was bootstrapped
  python -m analysis predict FIT.json C=1e21            the best N and D for a training budget
  python -m analysis predict FIT.json loss=2.4 N_final=1e8        the cheapest sparse run that ends there (law N_avg)
  python -m analysis predict FIT.json loss=2.4 T=1e12             the same, serving T tokens counted in
"""
SAVED = 200  # resampled parameters kept in a saved fit, for the bands of its predictions


def add_parsers(verbs: Any) -> None:
    """Adds the verbs fit, compare and predict."""
    described = {"formatter_class": argparse.RawDescriptionHelpFormatter, "epilog": EXAMPLES}
    one = verbs.add_parser("fit", help="fit one law to any table", description="Fit one law to any table.", **described)
    one.add_argument("--law", required=True, choices=LAWS, help="which law of the registry")
    several = verbs.add_parser(
        "compare",
        help="hold laws against each other on held-out rows",
        description="Which law predicts better?",
        **described,
    )
    several.add_argument("--laws", required=True, help="names, comma-separated; the first is held against the others")
    for command in (one, several):
        command.add_argument("table", metavar="TABLE", help=".csv, .jsonl or .parquet, or a results folder")
        command.add_argument(
            "--columns", default="", metavar="N=…,D=…", help="names of the columns in the table, and of loss"
        )
        command.add_argument("--objective", choices=("huber_log", "huber", "lad", "wls"), default="huber_log")
        command.add_argument("--delta", type=float, default=1e-3, help="Huber threshold (default: 1e-3)")
        command.add_argument(
            "--exclude", action="append", default=[], metavar="COND", help="rows to leave out: loss>=4.5"
        )
        command.add_argument("--clusters", metavar="COLUMN", help="rows of equal value are resampled together")
        command.add_argument("--sigma", type=float, help="the seeds' standard deviation in nats, for few clusters")
        command.add_argument(
            "--bootstrap", type=int, default=0, metavar="R", help="resamples behind intervals (0: none)"
        )
        command.add_argument("--holdout", metavar="RULE", help="largest:N, lowest:S, share:0.2:D or each:clusters")
        command.add_argument("--json", action="store_true", help="one JSON object; what fit prints, predict reads")
    guess = verbs.add_parser(
        "predict", help="what a saved fit says of other runs", description="Predict from a saved fit.", **described
    )
    guess.add_argument("fit", metavar="FIT.json", help="what `fit --json` printed")
    guess.add_argument("given", nargs="+", metavar="NAME=VALUE", help="columns; or C; or loss with N_final or T")
    guess.add_argument("--json", action="store_true", help="one JSON object")


def main(given: argparse.Namespace) -> int:
    """Runs the verb. Returns the exit code."""
    return {"fit": _fit, "compare": _compare, "predict": _predict}[given.verb](given)


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


def _fit(given: argparse.Namespace) -> int:
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


def _compare(given: argparse.Namespace) -> int:
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


def _predict(given: argparse.Namespace) -> int:
    saved, wanted = _saved(given.fit), _numbers(given.given)
    result = FitResult(
        law=saved["law"],
        parameters=saved["parameters"],
        objective=saved["objective"],
        status=saved["status"],
        bounds_hit=tuple(saved["bounds_hit"]),
        unidentified=tuple(saved["unidentified"]),
        condition=saved["condition"],
        starts=saved["starts"],
        starts_agreeing=saved["starts_agreeing"],
        n_rows=saved["n_rows"],
        kind=Objective(**saved["kind"]),
    )
    answers: list[Any]
    if set(wanted) == {"C"}:
        answers = [optimal.compute_optimal(result, wanted["C"])]
    elif "loss" in wanted and set(wanted) <= {"loss", "N_final", "T"}:
        size, served = wanted.get("N_final"), wanted.get("T", 0.0)
        answers = [
            optimal.plan_for(result, wanted["loss"], n_final=size, inference_tokens=served, sparsity=sparsity)
            for sparsity in (None, 0.0)
        ]
    else:
        answers = [_loss_at(result, wanted, saved.get("draws"))]
    shown = [a if isinstance(a, dict) else dataclasses.asdict(a) for a in answers]
    if given.json:
        print(json.dumps(plain_json(shown[0] | ({"dense": shown[1]} if len(shown) > 1 else {})), indent=1))
        return 0
    for title, answer in zip(("", "beside it, the dense run:"), shown, strict=False):
        print(title, end="\n" if title else "")
        for name, value in answer.items():
            print(f"  {name:<18} {f'{value:.6g}' if isinstance(value, float) else value}")
    return 0


def _loss_at(result: FitResult, wanted: dict[str, float], draws: list[list[float]] | None) -> dict[str, Any]:
    law = LAWS[result.law]
    if set(wanted) != set(law.columns):
        raise UserError(
            "other columns than the law's", key="predict", found=", ".join(wanted), expected=" ".join(f"{c}=…" for c in law.columns)
        )  # fmt: skip
    columns = {name: np.array([value]) for name, value in wanted.items()}
    answer: dict[str, Any] = {"loss": float(result.predict(columns)[0])}
    if draws:
        low, high = np.quantile(law.predict(np.array(draws), columns)[:, 0], [0.025, 0.975])
        answer["interval"] = [float(low), float(high)]
    return answer


def _saved(file: str) -> dict[str, Any]:
    path = Path(file)
    if not path.is_file():
        raise UserError("no such fit", file=file, expected="what `python -m analysis fit … --json` printed")
    try:
        saved = json.loads(path.read_text())
        if saved["law"] in LAWS and set(saved["parameters"]) == set(LAWS[saved["law"]].names):
            return saved
    except (ValueError, KeyError, TypeError):
        pass
    raise UserError("not a saved fit", file=file, expected="what `python -m analysis fit … --json` printed")


def _numbers(pairs: list[str]) -> dict[str, float]:
    found = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            found[name] = float(text)
        except ValueError:
            raise UserError("not a number", key=name, found=text or "nothing", expected="NAME=NUMBER") from None
    return found

"""python -m analysis predict: what a saved fit says of other runs, and how far it carries."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.fits import budget_optimum, limits, optimal, saved_fit
from analysis.fits.saved_fit import SavedFit
from analysis.laws.compression import PostTrainingPruningLaw
from analysis.laws.law import Law
from analysis.shown import plain_json, say
from analysis.tables import cells, row_ranges
from analysis.tables.cell_table import listed
from repro.errors import UserError

QUANTILES = (0.025, 0.975)


def predict(given: argparse.Namespace) -> int:
    """Prints the answer; returns the exit code."""
    saved = saved_fit.load(given.fit)
    wanted = wanted_of(given.given, saved.result.law)
    warnings = limits.of_fit(saved.result)
    if saved.rows is not None:
        warnings += row_ranges.of_rows(saved.rows.ranges, saved.rows.ratios)
    answers: list[dict[str, Any]]
    if set(wanted) == {"C"}:
        answers, more = _best(saved, wanted["C"])
        warnings += more
    elif "within" in wanted:
        answers, more = _until(saved, wanted)
        warnings += more
    elif "loss" in wanted and set(wanted) <= {"loss", "N_final", "T"}:
        answers, more = _plans(saved, wanted)
        warnings += more
    else:
        answers = [_loss_at(saved, wanted)]
        warnings += limits.of_point(saved.rows, wanted)
    warnings = list(dict.fromkeys(warnings))
    if given.json:
        shown = answers[0] | ({"dense": answers[1]} if len(answers) > 1 else {}) | {"warnings": warnings}
        print(json.dumps(plain_json(shown), indent=1))
        say(warnings)
        return 0
    for title, answer in zip(("", "beside it, the dense run:"), answers, strict=False):
        print(title, end="\n" if title else "")
        for name, value in answer.items():
            if not isinstance(value, (tuple, dict)):  # edges are among the warnings, intervals beside their values
                print(f"  {name:<18} {f'{value:.6g}' if isinstance(value, float) else value}{_beside(name, answer)}")
    say(warnings)
    return 0


def _beside(name: str, answer: Mapping[str, Any]) -> str:
    ends = (answer.get("intervals") or {}).get(name)
    return f"   95% [{ends[0]:.6g}, {ends[1]:.6g}]" if ends else ""


def wanted_of(pairs: list[str], law: Law) -> dict[str, float]:
    """The numbers of NAME=VALUE words.

    Raises:
        UserError: a name that the law hasn't got or that stands there twice, or a value that can't be its own.
    """
    known = [*law.columns, "C", "loss", "T", "N_final", "within"]
    found: dict[str, float] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        name = name.strip()
        if name not in known:
            raise UserError("no such name in this law", key=name, found=pair, expected=listed(known, like=name))
        if name in found:
            raise UserError("a name that stands there twice", key=name, found=" ".join(pairs), expected="one value")
        if name in law.levels:
            found[name] = _level(name, text, law.levels[name])
            continue
        try:
            value = cells.number(text, "count" if name == "T" else cells.kind_of(name))
        except cells.NoNumber:
            value = math.nan
        if math.isnan(value):
            raise UserError("not a number", key=name, found=text or "nothing", expected="NAME=NUMBER")
        free = name in law.free
        if not math.isfinite(value) or not (
            free or (0 <= value < 1 if name == "S" else value >= 0 if name == "T" else value > 0)
        ):
            expected = {"S": "0 or more, under 1", "T": "0 or more"}.get(name, "a positive, finite number")
            raise UserError("value out of range", key=name, found=text, expected=expected)
        found[name] = value
    return found


def _level(name: str, text: str, levels: tuple[str, ...]) -> float:
    """The number of a label. Raises UserError for one that the fit hasn't seen."""
    if text.strip() not in levels:
        raise UserError(
            "a label that the fit hasn't seen", key=name, found=text or "nothing", expected=listed(list(levels))
        )
    return float(levels.index(text.strip()))


def of_columns(wanted: Mapping[str, float], law: Law, key: str) -> None:
    """Raises UserError unless these are numbers of all the law's columns, and of nothing else."""
    if set(wanted) != set(law.columns):
        raise UserError(
            "other columns than the law's", key=key, found=", ".join(wanted), expected=" ".join(f"{c}=…" for c in law.columns)
        )  # fmt: skip


def _best(saved: SavedFit, flops: float) -> tuple[list[dict[str, Any]], list[str]]:
    """The best size and tokens for a budget with their exponents, and what is to be said of them."""
    best = optimal.compute_optimal(saved.result, flops)
    size = optimal.size_of(saved.result)
    power = float(budget_optimum.exponents(saved.result.law, size, saved.result.theta[None], flops)[0])
    known = math.isfinite(power)  # it isn't where the search ended at an edge
    answer = dataclasses.asdict(best) | {"a_N": power if known else None, "a_D": 1 - power if known else None}
    warnings = [*best.outside, *limits.of_point(saved.rows, {size: best.N, "D": best.D})]
    if found := budget_optimum.intervals(saved, flops):
        answer["intervals"] = found
        if lack := [name for name, ends in found.items() if ends is None]:
            warnings.append(
                f"no interval of {', '.join(lack)}: too many resamples without a best size, or too few of them"
            )
    return [answer], warnings


def _plans(saved: SavedFit, wanted: Mapping[str, float]) -> tuple[list[dict[str, Any]], list[str]]:
    """The cheapest run, the dense run beside it, and what is to be said of them."""
    size, served = wanted.get("N_final"), wanted.get("T", 0.0)
    answers, warnings = [], []
    for sparsity, whose in ((None, ""), (0.0, "of the dense run, ")):
        try:
            plan = optimal.plan_for(
                saved.result, wanted["loss"], n_final=size, inference_tokens=served, sparsity=sparsity
            )
        except UserError:
            if sparsity is None:
                raise
            warnings.append("no dense run of this size reaches the loss")
            continue
        point = {"N_avg": plan.N_avg, "D": plan.D, "S": plan.sparsity, "loss": plan.loss}
        warnings += [f"{whose}{text}" for text in (*plan.edges, *limits.of_point(saved.rows, point))]
        answers.append(dataclasses.asdict(plan))
    return answers, warnings


def _until(saved: SavedFit, wanted: Mapping[str, float]) -> tuple[list[dict[str, Any]], list[str]]:
    """Tokens until a pruned model is `within` nats of its parent's loss, and what is to be said of them."""
    law = saved.result.law
    if not isinstance(law, PostTrainingPruningLaw):
        raise UserError(
            "a law that knows no parent's loss", key="within", found=law.name,
            expected="a fit of post_training_pruning or post_training_nested",
        )  # fmt: skip
    if set(wanted) - {"L0"} != {"within", "N0", "rho"}:
        raise UserError(
            "other columns than the law's", key="predict", found=", ".join(wanted), expected="within=… N0=… rho=… (L0=… if wanted)"
        )  # fmt: skip
    within, rho, size = (wanted[name] for name in ("within", "rho", "N0"))
    tokens = float(law.tokens_until(saved.result.theta, within, rho, size))
    answer: dict[str, Any] = {"tokens": tokens if math.isfinite(tokens) else None, "within": within}
    if "L0" in wanted:
        answer["loss"] = wanted["L0"] + within
    warnings = []
    if saved.draws is not None:
        drawn = law.tokens_until(saved.draws, within, rho, size)
        low, high = np.quantile(drawn, QUANTILES, method="weibull")
        answer["interval"] = [float(end) if math.isfinite(end) else None for end in (low, high)]
        if never := float(np.mean(~np.isfinite(drawn))):
            warnings.append(
                f"in {never:.0%} of the resamples it never comes so close; an end of the interval without a number is never"
            )
    else:
        warnings.append("no interval: the fit was saved without --bootstrap")
    point = {name: wanted[name] for name in ("N0", "rho", "L0") if name in wanted}
    if answer["tokens"] is None:
        best = float(law.stays(saved.result.theta, rho, size))
        warnings.append(
            f"it never comes so close: the law says that it stays {best:.3g} nats over L0, however long it trains"
        )
    else:
        point["D"] = tokens
    return [answer], [*warnings, *limits.of_point(saved.rows, point)]


def _loss_at(saved: SavedFit, wanted: Mapping[str, float]) -> dict[str, Any]:
    law = saved.result.law
    of_columns(wanted, law, "predict")
    columns = {name: np.array([value]) for name, value in wanted.items()}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        loss = float(saved.result.predict(columns)[0])
        drawn = None if saved.draws is None else law.predict(saved.draws, columns)[:, 0]
    if not (math.isfinite(loss) and loss > 0):
        raise UserError("the law has no loss there", key="predict", found=f"{loss:g} nats", expected="other values")
    answer: dict[str, Any] = {"loss": loss}
    if drawn is not None and np.isfinite(drawn).all():
        low, high = np.quantile(drawn, QUANTILES)
        answer["interval"] = [float(low), float(high)]
    if saved.rows is not None:
        answer |= {"best_seen": saved.rows.loss[0], "over_best_seen": loss / saved.rows.loss[0] - 1}
    return answer

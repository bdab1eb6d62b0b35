"""python -m analysis predict: what a saved fit says of other runs, and how far it carries."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.fits import optimal, predicted, saved_fit
from analysis.fits.saved_fit import SavedFit
from analysis.laws.compression import PostTrainingPruningLaw
from analysis.laws.law import Law
from analysis.shown import plain_json, say
from analysis.tables import row_ranges
from repro.errors import UserError


def predict(given: argparse.Namespace) -> int:
    """Prints the answer; returns the exit code."""
    saved, words = saved_fit.choose(given.fit, given.given)
    below = saved_fit.load(given.through) if given.through else None
    wanted = predicted.wanted_of(words, (below or saved).result.law)
    warnings = [*predicted.doubts(saved), *(predicted.doubts(below) if below else [])]
    if below is not None:
        answer, more = predicted.predict_through(saved, below, wanted)
    elif set(wanted) == {"C"}:
        answer, more = optimal.answer(saved, wanted["C"])
    elif "within" in wanted:
        answer, more = _until(saved, wanted)
    elif "loss" in wanted and set(wanted) <= {"loss", "N_final", "T"}:
        answer, more = _plans(saved, wanted)
    else:
        answer, more = _loss_at(saved, wanted)
    warnings = list(dict.fromkeys([*warnings, *more]))
    if given.json:
        print(json.dumps(plain_json(answer | {"warnings": warnings}), indent=1))
    else:
        _print(answer)
        if "dense" in answer:
            print("beside it, the dense run:")
            _print(answer["dense"])
    say(warnings)
    return 0


def _print(answer: Mapping[str, Any]) -> None:
    intervals = answer.get("intervals") or {}
    for name, value in answer.items():
        if not isinstance(value, (tuple, dict)):  # edges are among the warnings, intervals beside their values
            ends = f"   95% [{intervals[name][0]:.6g}, {intervals[name][1]:.6g}]" if intervals.get(name) else ""
            print(f"  {name:<18} {f'{value:.6g}' if isinstance(value, float) else value}{ends}")


def _plans(saved: SavedFit, wanted: Mapping[str, float]) -> tuple[dict[str, Any], list[str]]:
    """The cheapest run, beside it the dense run where there is one, and what is to be said of them."""
    size, served = wanted.get("N_final"), wanted.get("T", 0.0)
    answer: dict[str, Any] = {}
    warnings = []
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
        warnings += [f"{whose}{text}" for text in (*plan.edges, *row_ranges.beyond(saved.rows, point))]
        found = dataclasses.asdict(plan)
        answer |= found if sparsity is None else {"dense": found}
    return answer, warnings


def _until(saved: SavedFit, wanted: Mapping[str, float]) -> tuple[dict[str, Any], list[str]]:
    """Tokens until a pruned model is `within` nats of its parent's loss, and what is to be said of them."""
    law = saved.result.law
    if not isinstance(law, PostTrainingPruningLaw):
        raise UserError(
            "a law without a parent's loss", key="within", found=law.name,
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
        with np.errstate(invalid="ignore"):  # between two infinite draws
            low, high = np.quantile(drawn, predicted.QUANTILES, method="weibull")
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
    return answer, [*warnings, *row_ranges.beyond(saved.rows, point)]


def _loss_at(saved: SavedFit, wanted: Mapping[str, float]) -> tuple[dict[str, Any], list[str]]:
    found, unit = predicted.loss_at(saved, wanted), saved.result.law.unit
    answer: dict[str, Any] = {"loss": found.value} if unit == Law.unit else {"predicted": found.value, "unit": unit}
    if found.low is not None:
        answer["interval"] = [found.low, found.high]
    if saved.rows is not None and unit == Law.unit:
        answer |= {"best_seen": saved.rows.loss[0], "over_best_seen": found.value / saved.rows.loss[0] - 1}
    return answer, [*found.beyond, *found.doubts]

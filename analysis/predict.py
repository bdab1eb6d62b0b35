"""python -m analysis predict: what a saved fit says of other runs."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from analysis import optimal
from analysis.fit import FitResult
from analysis.laws import LAWS
from analysis.problem import Objective
from analysis.shown import plain_json
from repro.errors import UserError


def predict(given: argparse.Namespace) -> int:
    """Prints the answer; returns the exit code."""
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

"""`noise.json`: the noise of the seeds by configuration, whether dense runs follow the law, and the time that the sweep took.

A number that can't be computed is null, and `why_null` says why, by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from analysis.noise import configurations as found_in
from analysis.noise import dense_law
from analysis.noise.configurations import APART_RULE, Configuration, pooled, why_no_spread
from analysis.noise.spread import Spread, measure
from analysis.shown import plain, plain_json, with_ends
from analysis.tables.data import Tables
from analysis.tables.schedules import name_of

FILE = "noise.json"


def summarise(tables: Tables) -> dict[str, Any]:
    """The contents of a sweep's noise.json."""
    runs = found_in.base_runs(tables)
    configurations = found_in.find(runs)
    several = [c for c in configurations if c.dof]
    overall, noise = pooled(several), measure(runs)
    law = dense_law.examine(configurations, overall)
    parameters = law.result.parameters if law.result else {}
    training = tables.all_runs["seconds"]
    sweep = tables.sweep
    found = {
        **_measured("pooled_sd", overall),
        **_measured("paired_sd", noise.paired),
        "apart": [_name(c) for c in several if c.apart],
        "apart_rule": APART_RULE,
        "by_group": list(_groups(several)),
        "by_configuration": [_row(c) for c in several],
        "one_seed": len(configurations) - len(several),
        "dense_law_error": law.error,
        "dense_law_error_left_out": law.left_out,
        "E_identified": law.not_identified is None if law.result else None,
        "E_not_identified": law.not_identified,
        "dense_law": {
            "rule": dense_law.RULE,
            "configurations": law.configurations,
            "runs": law.runs,
            "N": law.sizes,
            "tokens_per_param": law.ratios,
            "losses": law.losses,
            "parameters": {n: {"value": v, "interval": (law.intervals or {}).get(n)} for n, v in parameters.items()},
        },
        "minutes": sweep["seconds"] / 60 if sweep.get("seconds") else None,
        "training_minutes": float(np.nansum(training)) / 60 if np.isfinite(training).any() else None,
        "hardware": sweep.get("hardware") or None,
        "commit": sweep.get("commit") or None,
    }
    reasons = {
        "pooled_sd": why_no_spread(several),
        "paired_sd": noise.missing_paired,
        "dense_law_error": law.reason,
        "dense_law_error_left_out": law.reason_left_out or law.reason,
        "E_identified": law.reason,
        "minutes": "sweep.json holds no `seconds`",
        "training_minutes": "no run holds its `seconds`",
        "hardware": "sweep.json holds no `hardware`",
        "commit": "sweep.json holds no `commit`",
    }
    missing = {key: reason or "unknown" for key, reason in reasons.items() if found[key] is None}
    return dict(plain_json(found | {"why_null": missing}))


def _measured(name: str, spread: Spread | None) -> dict[str, Any]:
    found = (spread.sd, (spread.low, spread.high), spread.dof) if spread else (None, None, None)
    return dict(zip((name, f"{name}_interval", f"{name}_dof"), found, strict=True))


def _cells(spread: Spread | None) -> dict[str, float | None]:
    return {name: getattr(spread, name) if spread else None for name in ("sd", "low", "high")}


def _name(configuration: Configuration) -> str:
    row = _row(configuration)
    return f"{row['size']} {row['budget']} {row['kind']}" + (
        f" {row['sparsity']:.0%} {row['schedule']}" if row["kind"] == "sparse" else ""
    )


def _row(configuration: Configuration) -> dict[str, Any]:
    runs = configuration.runs
    return {
        "size": runs["size"][0],
        "budget": runs["budget"][0],
        "sparsity": configuration.sparsity,
        "schedule": name_of(next(runs.rows())),
        **{name: float(runs[name][0]) for name in ("lr", "N_prunable", "N_avg", "D")},
        "tokens_per_param": float(runs["dense_tokens"][0] / runs["N_prunable"][0]),
        "kind": configuration.kind,
        "of": configuration.base,
        "seeds": len(runs),
        "mean": float(configuration.losses.mean()),
        **_cells(configuration.spread),
        "losses": configuration.losses.tolist(),
        "apart": configuration.apart,
    }


def _groups(several: Sequence[Configuration]) -> Iterator[dict[str, Any]]:
    """Pooled sd by size: of all its configurations, of each kind, and of each final sparsity."""
    by_base = {base: [c for c in several if c.base == base] for base in dict.fromkeys(c.base for c in several)}
    for base, own in sorted(by_base.items(), key=lambda item: min(c.runs["N_prunable"][0] for c in item[1])):
        parts: dict[tuple[str, float | None], list[Configuration]] = {("all", None): own}
        for c in sorted(own, key=lambda c: (c.kind, c.sparsity)):
            parts.setdefault((c.kind, c.sparsity if c.kind == "sparse" else None), []).append(c)
        for (kind, sparsity), members in parts.items():
            yield {
                "size": base,
                "kind": kind,
                "sparsity": sparsity,
                "configurations": len(members),
                "dof": sum(c.dof for c in members),
                **_cells(pooled(members)),
            }


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The summary as text."""
    yield f"pooled sd over seeds: {_number(found, 'pooled_sd')} ({plain(found['pooled_sd_dof'])} degrees of freedom)"
    yield f"sd of a difference at one seed: {_number(found, 'paired_sd')}"
    for row in found["by_group"]:
        what = row["kind"] if row["sparsity"] is None else f"sparse {row['sparsity']:.0%}"
        yield f"  {row['size']:>8} {what:<11} {_sd(row)}  {row['dof']} degrees of freedom"
    for row in found["by_configuration"]:
        losses = " ".join(f"{loss:.4f}" for loss in row["losses"])
        mark = f"  APART: {row['apart']}" if row["apart"] else ""
        yield (
            f"  {row['size']:>8} {row['tokens_per_param']:5.1f} tokens per parameter, {row['sparsity']:4.0%} {row['schedule']:<9} "
            f"{row['mean']:.4f} {_sd(row)}  [{losses}]{mark}"
        )
    yield f"stand apart: {', '.join(found['apart']) or 'none'}; {found['one_seed']} more configurations have one seed"
    law = found["dense_law"]
    yield (
        f"dense law on {law['configurations']} configurations ({law['runs']} runs): mean |error| {_number(found, 'dense_law_error')}, "
        f"leaving one out {_number(found, 'dense_law_error_left_out')}"
    )
    if law["N"]:
        spans = ("N", "tokens_per_param", "losses")
        yield "  " + ", ".join(f"{name} {plain(law[name][0])} to {plain(law[name][1])}" for name in spans)
    for name, own in law["parameters"].items():
        yield f"  {name} {with_ends(own['value'], own['interval'])}"
    yield f"E identified: {'yes' if found['E_identified'] else 'no, ' + str(found['E_not_identified'])}"
    yield f"minutes: {_number(found, 'minutes')}; training time, summed: {_number(found, 'training_minutes')}"
    yield f"hardware: {found['hardware'] or found['why_null']['hardware']}; commit: {_number(found, 'commit')}"


def _number(found: dict[str, Any], key: str) -> str:
    if found[key] is None:
        return f"none ({found['why_null'][key]})"
    return with_ends(found[key], found.get(f"{key}_interval"))


def _sd(row: dict[str, Any]) -> str:
    return f"sd {row['sd']:.4f} [{row['low']:.4f}, {row['high']:.4f}]" if row["sd"] is not None else "sd none"

"""What else could explain a result: one thing changed at a time, and what sparse runs have more of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.claims.verdict import Detail, details_of
from analysis.findings.compare import DENSE_TO_SPARSE, IN_SAMPLE
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure, cells
from analysis.laws.registry import N_AVG
from analysis.noise.spread import CONFIDENCE
from analysis.tables.data import Runs
from repro import columns, studies

# What the unchanged run has in common with most others; its shape and window are the paper's.
SETTINGS = columns.names("setting")
# What a control may change.
CHANGEABLE = tuple(name for name in columns.names("size", "setting", "window") if name != "sparsity")
NAMES = {"weight_decay": "weight decay", "do_not_prune": "never pruned", "init": "initialisation", "interval": "events"}


def examine(evidence: Evidence) -> tuple[Detail, ...]:
    """Tables for the page: controls, weight decay, and the law's residual against summed decay. Empty ones are left out."""
    return details_of(
        {
            "Controls: loss less that of the unchanged run of the same seed, nats": controls(evidence),
            "Σ lr·wd over a run, relative to the dense run of its family": decay(evidence),
            "The N_avg law's residual along the log of Σ lr·wd, nats by a doubling": residual_along_decay(evidence),
        }
    )


def controls(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Each run of the controls study beside the run of the base recipe that it changes."""
    tables, spread = evidence.tables, evidence.noise.paired
    runs = tables.selected(lambda r: r.serves(studies.CONTROLS) & r.first_seed)
    if not len(runs):
        return
    settings = [[_value(run, name) for name in SETTINGS] for run in runs.rows()]
    usual = [max(values, key=values.count) for values in zip(*settings, strict=True)]
    is_base = np.array([own == usual for own in settings], dtype=bool)
    is_base &= ~runs.sparse | runs.at_paper_schedule
    is_base &= _as_many_events(runs, is_base)
    base, changed = runs.where(is_base), runs.where(~is_base)
    half = None
    if spread is not None and len(changed):
        half = spread.quantile((1 - CONFIDENCE) / 2 / len(changed)) * spread.sd
    for run in sorted(changed.rows(), key=lambda r: (r["sparsity"], r["run_id"])):
        beside = next((b for b in base.rows() if _same(b, run)), None)
        if beside is None:
            continue
        off = float(run["loss"] - beside["loss"])
        yield {
            "changed": _said(run, beside),
            "sparsity": run["sparsity"],
            "loss": run["loss"],
            "unchanged": beside["loss"],
            **cells(Measure(off) if half is None else Measure(off, off - half, off + half), "difference"),
            "N_avg": run["N_avg"],
            "its N_avg": beside["N_avg"],
            "run": run["run_id"],
        }


def _value(run: dict[str, Any], name: str) -> Any:
    """What a run has in a column; None where it is null, which as a number is nan and would equal nothing."""
    return None if run[name] != run[name] else run[name]


def _as_many_events(runs: Runs, candidates: np.ndarray) -> np.ndarray:
    """Of several that differ in their events alone, the unchanged one is also a run of another study, else the first."""
    kept = np.zeros(len(runs), dtype=bool)
    for sparsity in set(runs["sparsity"]):
        own = np.flatnonzero(candidates & (runs["sparsity"] == sparsity))
        if len(own):
            elsewhere = own[runs.serves(studies.LAW, studies.SCHEDULES, studies.PAIRS)[own]]
            kept[elsewhere[0] if len(elsewhere) else own[0]] = True
    return kept


def _same(base: dict[str, Any], run: dict[str, Any]) -> bool:
    return all(base[name] == run[name] for name in ("size", "budget", "sparsity"))


def _said(run: dict[str, Any], base: dict[str, Any]) -> str:
    """What differs, in words."""
    differing = [name for name in CHANGEABLE if _value(run, name) != _value(base, name)]
    if run["shape"] == "constant":
        return "static sparsity from step 0"
    if "interval" in differing:
        return f"{run['events']:.0f} events instead of {base['events']:.0f}"
    return ", ".join(
        f"{NAMES.get(name, name)} {_word(_value(run, name))} instead of {_word(_value(base, name))}"
        for name in differing
    )


def _word(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return value if isinstance(value, str) else f"{value:g}"


def decay(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """A sparse run takes more steps, and so more weight decay: how much more, by sparsity and family."""
    runs = evidence.tables.law_set
    for family in dict.fromkeys(runs["family"]):
        own = runs.where(runs["family"] == family)
        dense = own.where(~own.sparse)
        if len(dense) and own.sparse.any():
            base = float(dense["lr_wd_sum"][0])
            sparse = sorted(own.where(own.sparse).rows(), key=lambda r: r["sparsity"])
            shares = {f"at {r['sparsity']:.0%}": r["lr_wd_sum"] / base for r in sparse} if base > 0 else {}
            yield {"family": f"{dense['size'][0]} {dense['budget'][0]}", "Σ lr·wd, dense": base, **shares}


def residual_along_decay(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Whether what the law leaves over follows total decay."""
    for name in (IN_SAMPLE, DENSE_TO_SPARSE):
        errors = evidence.comparison.settings[name].errors.get(N_AVG.name)
        if errors is None or not np.all(errors.runs["lr_wd_sum"] > 0):
            continue
        along = np.log2(errors.runs["lr_wd_sum"])
        # Between families Σ lr·wd goes with size and budget; within one it goes with the steps that sparsity adds.
        families = errors.runs["family"]
        within = along - np.array([along[families == family].mean() for family in families])
        for label, direction in (("over all runs", along), ("among runs of one family", within)):
            if np.ptp(direction) > 1e-9:
                yield {"setting": name, "taken": label, **cells(errors.drift(direction), "slope")}

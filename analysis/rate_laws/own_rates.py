"""The sweep with each sparse run at its own best learning rate, from the runs of the study `own_rates`.

The paper gives sparse and dense runs one learning rate. If the best one of a sparse run differs, the cost of a wrong learning
rate looks like a cost of sparsity; on these tables the claims are judged without it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np

from analysis.tables.data import Tables
from repro import studies

# What a run at its own rate has in common with the one that it stands for.
EQUAL = (
    "size", "budget", "sparsity", "start", "end", "shape", "mirror", "pieces", "seed", "N_prunable", "total_steps", "batch_tokens",
)  # fmt: skip


def at_own_rates(tables: Tables) -> Tables:
    """The dense runs, and for each sparse run the one at its own learning rate, with the same studies.

    Sparse runs without one are left out: whole schedules and controls are, which no claim judged on these tables reads.
    """
    runs = tables.runs
    own: dict[tuple[Any, ...], int] = {}
    for i, row in enumerate(runs.rows()):
        if studies.OWN_RATES in row["studies"]:
            own.setdefault(_key(row), i)
    kept: dict[int, tuple[str, ...]] = {}
    for i, row in enumerate(runs.rows()):
        at = i if row["sparsity"] == 0 else own.get(_key(row)) if _replaced(row) else None
        if at is not None:
            kept[at] = (*kept.get(at, ()), *row["studies"])
    found = runs.where(np.array(list(kept), dtype=int))
    served = np.empty(len(found), dtype=object)
    for i, names in enumerate(kept.values()):
        served[i] = names
    return replace(tables, runs=replace(found, columns={**found.columns, "studies": served}))


def multiples(tables: Tables) -> dict[float, tuple[float, float]]:
    """By final sparsity, the least and the most by which the own rates are multiples of the base runs' rates."""
    base = {_key(row): row["lr"] for row in tables.runs.rows() if _replaced(row)}
    found: dict[float, list[float]] = defaultdict(list)
    for row in tables.runs.rows():
        if studies.OWN_RATES in row["studies"] and _key(row) in base:
            found[float(row["sparsity"])].append(float(row["lr"] / base[_key(row)]))
    return {sparsity: (min(own), max(own)) for sparsity, own in sorted(found.items())}


def _replaced(row: dict[str, Any]) -> bool:
    """Whether this is a run of the base recipe for which another may stand."""
    return row["sparsity"] > 0 and bool(set(row["studies"]) & {studies.LAW, studies.PAIRS, studies.SEEDS})


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in EQUAL)

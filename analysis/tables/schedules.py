"""Schedules of runs: the cells of their grid, what each is called, and N_w, the mean of N(t) with a weight in time.

w is proportional to ((t + 1/2)/T)^kappa; kappa = 0 is N_avg.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.tables.data import Runs
from repro.schedule import FALLING, Pieces, PruningSchedule


def grid_cells(grid: Runs) -> tuple[list[Runs], list[str]]:
    """The runs of every cell that holds 25/50/25 and a rival, and why the others were left out."""
    members = defaultdict(list)
    for i, row in enumerate(grid.rows()):
        members[row["dense_tokens"], row["size"], row["budget"], float(row["sparsity"])].append(i)
    chosen, skipped = [], []
    for (_, size, budget, sparsity), rows in sorted(members.items(), key=lambda item: item[0]):
        cell = grid.where(np.array(rows))
        if not cell.at_paper_schedule.any() or len(cell) < 2:
            skipped.append(f"{size} {budget} at {sparsity:.0%}: no 25/50/25 with a rival among its {len(cell)} runs.")
        else:
            chosen.append(cell)
    return chosen, skipped


def name_of(run: Mapping[str, Any]) -> str:
    """What the schedule of a run is called: by its shares of compute where it falls between events, else by its shape."""
    if run["sparsity"] == 0:
        return "dense"
    name = schedule_name(run["start"], run["end"]) if run["shape"] in FALLING else str(run["shape"]).replace("_", " ")
    return f"{name}, mirrored" if run["mirror"] is True else name


def schedule_name(start: float, end: float) -> str:
    """dense / pruning / recovery shares of compute, in percent."""
    return f"{start:.0%}/{end - start:.0%}/{1 - end:.0%}".replace("%", "")


def weighted_counts(runs: Runs, kappas: NDArray[np.float64]) -> NDArray[np.float64]:
    """N_w of each run at each exponent, (n, K), over the run's own steps.

    Args:
        kappas: exponents (K,) above -1; positive ones weigh late steps more.
    """
    found: dict[str, NDArray[np.float64]] = {}
    shares: dict[tuple[int, tuple[int, ...]], NDArray[np.float64]] = {}
    for run in runs.rows():
        if run["recipe"] in found:
            continue
        weights = schedule_of(run).weights(int(run["N_prunable"]))
        key = weights.total_steps, weights.first_steps
        if key not in shares:
            shares[key] = _shares(*key, kappas)
        found[run["recipe"]] = shares[key] @ np.array(weights.weights, dtype=float)
    return np.array([found[recipe] for recipe in runs["recipe"]]).reshape(len(runs), len(kappas))


def _shares(total: int, firsts: tuple[int, ...], kappas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the weight (K, pieces) that the steps of each piece have."""
    steps = np.log((np.arange(total) + 0.5) / total)
    sums = np.array([np.add.reduceat(np.exp(kappa * steps), firsts) for kappa in kappas])
    return np.asarray(sums / sums.sum(axis=1, keepdims=True))


def schedule_of(run: Mapping[str, Any]) -> PruningSchedule:
    """The schedule that a run was trained with, but for a mask that moves at a constant number of weights."""
    total, sparsity = int(run["total_steps"]), float(run["sparsity"])
    if run["shape"] == "dense":
        return PruningSchedule.dense(total)
    interval = int(run["interval"])
    if run["pieces"] is None:
        return PruningSchedule.in_steps(
            sparsity, int(run["start_step"]), int(run["end_step"]), total, interval, run["shape"]
        )
    firsts, densities = zip(*json.loads(run["pieces"]), strict=True)
    return PruningSchedule(Pieces(firsts, densities, total), sparsity, run["shape"], interval, run["mirror"] is True)

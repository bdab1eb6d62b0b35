"""Figure 2: loss against effective compute, and the two slopes of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import NATS, Curve, Meaning, Panel
from analysis.findings.evidence import Evidence
from analysis.laws.law import Array
from analysis.tables.data import Runs

NAME = "fig2_compute"
TITLE = "Loss against effective compute"
NOTHING = "the sweep holds no curve of a dense and a sparse run of one size and budget"
CAPTION = (
    "Training loss (running mean) of the largest size at the largest budget against the effective compute spent so far: dense, and "
    "25/50/25 at each sparsity. The thin line is the dense run's power law in two regimes, L = (A/C)^α."
)
MEANS = {
    "effective_flops": Meaning("FLOP", "effective compute spent so far: 6 * tokens a step * sum of N_t"),
    "loss_train": Meaning(NATS, "training loss, running mean"),
}


def smooth(x: Array, loss: Array) -> tuple[Array, Array]:
    """Running means over 1/25 of a curve's logged steps; steps without a loss are left out."""
    known = np.isfinite(loss)
    x, loss = x[known], loss[known]
    if not len(loss):
        return x, loss
    kernel = np.ones(max(1, len(loss) // 25))
    kernel /= len(kernel)
    return np.convolve(x, kernel, "valid"), np.convolve(loss, kernel, "valid")


def largest(runs: Runs) -> Runs:
    """Those of the largest size at its largest budget."""
    for name in ("N_prunable", "dense_tokens"):
        runs = runs.where(runs[name] == runs[name].max(initial=0.0))
    return runs


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a drawn point of a curve."""
    return [
        {"run_id": curve.run, "effective_flops": float(x), "loss_train": float(y)}
        for panel in panels(evidence)
        for curve in panel.curves
        for x, y in zip(curve.x, curve.y, strict=True)
    ]


def panels(evidence: Evidence) -> list[Panel]:
    """One panel, in logarithms."""
    longest = largest(evidence.tables.law_set)
    curves, guides, lowest, highest = [], [], np.inf, 0.0
    for run in sorted(longest.rows(), key=lambda r: r["sparsity"]):
        flops, loss = smooth(*evidence.tables.curve(run["run_id"], "effective_flops", "loss_train"))
        if not len(loss):
            continue
        chosen = np.unique(np.geomspace(1, len(loss), 160).astype(int)) - 1
        x, y = flops[chosen], loss[chosen]
        curves.append(Curve(style.of_run(run["sparsity"]), x, y, run["run_id"]))
        lowest, highest = min(lowest, y.min()), max(highest, y.max())
        if (regimes := evidence.theory.regimes.get(run["run_id"])) is not None:
            grid = np.geomspace(regimes.first, regimes.last, 100)
            guides.append((grid, regimes.loss(grid)))
    if not curves:
        return []
    return [
        Panel(
            f"{longest['size'][0]} {longest['budget'][0]}", "effective compute, FLOP", "training loss, nats/token",
            curves=tuple(curves), guides=tuple(guides), log_x=True, log_y=True, limits=(lowest * 0.98, highest * 1.02),
        )
    ]  # fmt: skip

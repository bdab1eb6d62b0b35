"""Where the law's residual leaves the noise: over the schedule grid."""

from __future__ import annotations

from typing import Any

from analysis.figures.panel import NATS, Meaning, Panel, of_each_sparsity
from analysis.findings.compare import LAW_TO_GRID
from analysis.findings.evidence import Evidence
from analysis.laws.registry import N_AVG

NAME = "grid_residuals"
TITLE = "The law's residual over the schedule grid"
NOTHING = "no fit on the law set, or no schedule grid beside it"
CAPTION = (
    "Predicted − actual loss of each run of the grid by the law in N_avg fitted at 25/50/25, against the share of compute left after "
    "pruning and against N_avg. The band, where several seeds were run, is twice their σ; a run under it ends worse than the law says."
)
MEANS = {
    "dense_share": Meaning("share of compute", "spent dense before the first pruning event"),
    "pruning_share": Meaning("share of compute", "spent between the first and the last event"),
    "recovery_share": Meaning("share of compute", "left after the last event"),
    "residual": Meaning(NATS, "predicted less actual held-out loss, by the law in N_avg fitted at 25/50/25"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per run of the grid that the fit hasn't seen."""
    errors = evidence.comparison.settings[LAW_TO_GRID].errors.get(N_AVG.name)
    if errors is None:
        return []
    return [
        {
            **{name: run[name] for name in ("run_id", "size", "budget", "sparsity")},
            "dense_share": run["start"],
            "pruning_share": round(run["end"] - run["start"], 6),
            "recovery_share": round(1 - run["end"], 6),
            **{name: run[name] for name in ("N_avg", "D", "loss")},
            "residual": float(residual),
        }
        for run, residual in zip(errors.runs.rows(), errors.residual, strict=True)
    ]


def panels(evidence: Evidence) -> list[Panel]:
    """Against the recovery that is left, and against the average count."""
    found = rows(evidence)
    noise = evidence.noise.overall
    label = "predicted − actual, nats"
    bands = () if noise is None else ((-2 * noise.sd, 2 * noise.sd),)
    in_percent = [row | {"recovery_share": 100 * row["recovery_share"]} for row in found]
    recovery = tuple(of_each_sparsity(in_percent, "recovery_share", "residual", apart=1.2))
    count = tuple(of_each_sparsity(found, "N_avg", "residual"))
    return [
        Panel("by recovery", "compute left after pruning, %", label, recovery, bands=bands),
        Panel("by average count", "average parameters, N_avg", label, count, bands=bands, counts=True),
    ]

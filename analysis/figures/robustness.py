"""Figure 5: the loss of dense and sparse runs over learning rates and batches."""

from __future__ import annotations

from typing import Any

from analysis.figures import style
from analysis.figures.panel import Panel, Points
from analysis.findings.evidence import Evidence
from analysis.findings.setting_lines import NAMES, Line, lines

NAME = "fig5_robustness"
TITLE = "Learning rate and batch"
NOTHING = "the sweep holds no robustness study"
CAPTION = (
    "Held-out loss, less the least of its line, when one of learning rate and batch is changed around the tuned values (one seed; bars "
    "are twice the seeds' σ wide on each side)."
)


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a run of a line."""
    return [
        {
            "factor": line.factor,
            "sparsity": line.sparsity,
            "run_id": run["run_id"],
            "lr": run["lr"],
            "batch_tokens": run["batch_tokens"],
            "loss": run["loss"],
            "over_best": run["loss"] - float(line.runs["loss"].min()),
        }
        for line in lines(evidence.tables)
        for run in line.runs.rows()
    ]


def panels(evidence: Evidence) -> list[Panel]:
    """A panel a factor."""
    found = list(lines(evidence.tables))
    sigma = evidence.noise.overall.sd if evidence.noise.overall else None
    return [
        Panel(
            NAMES[factor],
            {"lr": "peak learning rate", "batch_tokens": "tokens a step"}[factor],
            "over the line's best, nats",
            tuple(_points(line, sigma) for line in found if line.factor == factor),
            log_x=True,
            counts=factor == "batch_tokens",
        )
        for factor in NAMES
        if any(line.factor == factor for line in found)
    ]


def _points(line: Line, sigma: float | None) -> Points:
    loss = line.runs["loss"] - line.runs["loss"].min()
    ends = {} if sigma is None else {"low": loss - 2 * sigma, "high": loss + 2 * sigma}
    return Points(style.of_run(line.sparsity), line.settings, loss, list(line.runs["run_id"]), **ends, joined=True)

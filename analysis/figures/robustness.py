"""Figure 5: the loss of dense and sparse runs over learning rates and batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import NATS, Meaning, Panel, Points
from analysis.findings.evidence import Evidence
from analysis.findings.setting_lines import NAMES, Line, lines

NAME = "fig5_robustness"
TITLE = "Learning rate and batch"
NOTHING = "the sweep holds no robustness study"
CAPTION = (
    "Held-out loss, less the least of its line, when one of learning rate and batch is changed around the tuned values (mean over "
    "seeds; bars are twice σ of such a mean wide on each side)."
)
MEANS = {
    "factor": Meaning("", "setting that is changed around the tuned values: lr or batch_tokens"),
    "run_id": Meaning("", "readable id of one run at this setting"),
    "seeds": Meaning("", "seeds that the loss is a mean over"),
    "loss": Meaning(NATS, "held-out loss, mean over seeds"),
    "over_best": Meaning(NATS, "loss less the lowest of the same factor and sparsity"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a setting of a line."""
    return [
        {
            "factor": line.factor,
            "sparsity": line.sparsity,
            **{name: run[name] for name in ("run_id", "lr", "batch_tokens")},
            "seeds": int(seeds),
            "loss": float(loss),
            "over_best": float(loss - line.losses.min()),
        }
        for line in lines(evidence.tables)
        for run, seeds, loss in zip(line.runs.rows(), line.seeds, line.losses, strict=True)
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
    loss = line.losses - line.losses.min()
    half = None if sigma is None else 2 * sigma / np.sqrt(line.seeds)
    ends = {} if half is None else {"low": loss - half, "high": loss + half}
    return Points(style.of_run(line.sparsity), line.settings, loss, line.names, **ends, joined=True)

"""The Taylor argument beside the runs: what it predicts of a schedule, what N_avg predicts, and what happened."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.meanings import NATS, Meaning
from analysis.figures.panel import Panel, Points
from analysis.findings.evidence import Evidence
from analysis.findings.theory import Prediction
from analysis.laws.registry import N_AVG

NAME = "theory"
TITLE = "The theory beside the runs"
NOTHING = "no dense run's curve with sparse runs of its size and budget"
CAPTION = (
    "The loss of each sparse run less that of the dense run of its family: measured, against what is predicted by ΔL ∝ ΣC^(−α−1)N_k with "
    "C_k the dense run's compute at the same step (α of two regimes, from the dense curve), and by the law in N_avg fitted on the law set. "
    "With C_k the run's own compute the sum is the same for every schedule of one budget: it predicts 0. On the line a prediction is right."
)
MEANS = {
    "measured": Meaning(NATS, "held-out loss less that of the dense run of the family"),
    "dense_step": Meaning(NATS, "the same by ΔL ∝ ΣC^(−α−1)N_k with C_k the dense run's compute at the same step"),
    "own_compute": Meaning(NATS, "the same with C_k the run's own compute"),
    "N_avg_law": Meaning(NATS, "the same by the law in N_avg fitted on the law set"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a sparse run of the law set or the grid."""
    law = evidence.comparison.law_fits.get(N_AVG.name)
    found = []
    for p in evidence.theory.predictions:
        by_law = None if law is None else _by_law(evidence, p)
        found.append(
            {
                "run_id": p.run["run_id"],
                "size": p.run["size"],
                "budget": p.run["budget"],
                "sparsity": p.run["sparsity"],
                "start": p.run["start"],
                "end": p.run["end"],
                "N_avg": p.run["N_avg"],
                "measured": p.measured,
                "dense_step": p.alike,
                "own_compute": p.own,
                "N_avg_law": by_law,
            }
        )
    return found


def _by_law(evidence: Evidence, prediction: Prediction) -> float:
    law = evidence.comparison.law_fits[N_AVG.name]
    runs = evidence.tables.selected(lambda r: np.isin(r["run_id"].astype(str), [prediction.dense]))
    dense = law.predict({name: runs[name] for name in N_AVG.columns})[0]
    own = law.predict({name: np.array([prediction.run[name]]) for name in N_AVG.columns})[0]
    return float(own - dense)


def panels(evidence: Evidence) -> list[Panel]:
    """By the theory, and by the law."""
    found = rows(evidence)
    if not found:
        return []
    drawn = []
    for column, title in (
        ("dense_step", "ΔL ∝ ΣC^(−α−1)N_k"),
        ("N_avg_law", "the law in N_avg"),
    ):
        own = [r for r in found if r[column] is not None]
        if not own:
            continue
        ends = np.array([min(r["measured"] for r in own), max(r["measured"] for r in own)])
        points = []
        for sparsity in sorted({r["sparsity"] for r in own}):
            part = [r for r in own if r["sparsity"] == sparsity]
            x, y = (np.array([r[name] for r in part]) for name in (column, "measured"))
            points.append(Points(style.of_run(sparsity), x, y, [r["run_id"] for r in part]))
        drawn.append(
            Panel(
                title, "predicted less dense, nats", "measured less dense, nats", tuple(points), guides=((ends, ends),)
            )
        )
    return drawn

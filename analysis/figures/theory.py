"""The Taylor argument beside the runs: what it predicts of a schedule, what N_avg predicts, and what happened."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.figures.panel import NATS, Meaning, Panel, of_each_sparsity, where_equal
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
    columns = ("run_id", "size", "budget", "sparsity", "start", "end", "N_avg")
    return [
        {
            **{name: p.run[name] for name in columns},
            "measured": p.measured,
            "dense_step": p.alike,
            "own_compute": p.own,
            "N_avg_law": _by_law(evidence, p),
        }
        for p in evidence.theory.predictions
    ]


def _by_law(evidence: Evidence, prediction: Prediction) -> float | None:
    law = evidence.comparison.law_fits.get(N_AVG.name)
    if law is None:
        return None
    runs = evidence.tables.selected(lambda r: np.isin(r["run_id"].astype(str), [prediction.dense]))
    dense = law.predict({name: runs[name] for name in N_AVG.columns})[0]
    own = law.predict({name: np.array([prediction.run[name]]) for name in N_AVG.columns})[0]
    return float(own - dense)


def panels(evidence: Evidence) -> list[Panel]:
    """By the theory, and by the law."""
    drawn, predicted, measured = [], "predicted less dense, nats", "measured less dense, nats"
    for column, title in (("dense_step", "ΔL ∝ ΣC^(−α−1)N_k"), ("N_avg_law", "the law in N_avg")):
        own = [r for r in rows(evidence) if r[column] is not None]
        if own:
            points = tuple(of_each_sparsity(own, column, "measured"))
            drawn.append(Panel(title, predicted, measured, points, guides=(where_equal([r["measured"] for r in own]),)))
    return drawn

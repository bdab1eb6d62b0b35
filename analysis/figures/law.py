"""Figure 3: the average-parameter law, predicted against actual, and what it says of the size."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.claims.law import PAPER_ERROR
from analysis.figures.panel import NATS, Meaning, Panel, of_each_sparsity, where_equal
from analysis.findings.compare import IN_SAMPLE, INTERVAL
from analysis.findings.evidence import Evidence
from analysis.laws.registry import N_AVG

NAME = "fig3_law"
NOTHING = "no fit on the law set"
TITLE = "One law for sparse and dense runs"
CAPTION = (
    "The law E + A/N_avg^α + B/D^β fitted on the law set: predicted against actual held-out loss with the fit's 95% band of the seeds' "
    "noise; predicted less actual, with the paper's mean error of .016 nats as a band; and the loss less its fitted data term, against "
    "N_avg, on the line E + A/N_avg^α."
)
MEANS = {
    "actual": Meaning(NATS, "held-out loss that was measured"),
    "predicted": Meaning(NATS, "held-out loss by the law in N_avg fitted on these runs"),
    "error": Meaning(NATS, "predicted less actual"),
    "low": Meaning(NATS, "lower end of the prediction's 95% band of the seeds' noise"),
    "high": Meaning(NATS, "upper end of it"),
    "relative_error": Meaning("", "predicted / actual − 1"),
    "less_data_term": Meaning(NATS, "actual less B/D^β, the part of the law that the tokens give"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per run of the law set."""
    errors = evidence.comparison.settings[IN_SAMPLE].errors.get(N_AVG.name)
    if errors is None:
        return []
    fitted = evidence.comparison.law_fits[N_AVG.name].parameters
    rest = errors.runs["loss"] - fitted["B"] * errors.runs["D"] ** -fitted["beta"]
    drawn = evidence.comparison.law_draws.get(N_AVG.name)
    predicted_again = None if drawn is None else N_AVG.predict(drawn, {n: errors.runs[n] for n in N_AVG.columns})
    band = [[None] * len(rest)] * 2 if predicted_again is None else np.quantile(predicted_again, INTERVAL, axis=0)
    return [
        {
            **{name: run[name] for name in ("run_id", "size", "budget", "sparsity", "N_avg", "D")},
            "actual": run["loss"],
            "predicted": predicted,
            "error": predicted - run["loss"],
            "low": low,
            "high": high,
            "relative_error": predicted / run["loss"] - 1,
            "less_data_term": left,
        }
        for run, predicted, left, low, high in zip(errors.runs.rows(), errors.predicted, rest, *band, strict=True)
    ]


def panels(evidence: Evidence) -> list[Panel]:
    """Predicted against actual, the errors, and what is left to the size."""
    found = rows(evidence)
    if not found:
        return []
    equal = where_equal([p[name] for p in found for name in ("actual", "predicted")])
    counts = np.array([p["N_avg"] for p in found])
    grid = np.geomspace(counts.min() * 0.9, counts.max() * 1.1, 200)
    fitted = evidence.comparison.law_fits[N_AVG.name].parameters
    size_term = fitted["E"] + fitted["A"] * grid ** -fitted["alpha"]
    actual, count, off = "actual held-out loss, nats/token", "average parameters, N_avg", "predicted − actual, nats"
    margin = ((-PAPER_ERROR, PAPER_ERROR),)
    predicted = tuple(of_each_sparsity(found, "actual", "predicted", ends=True))
    rest, error, by_size = (
        tuple(of_each_sparsity(found, x, y))
        for x, y in (("N_avg", "less_data_term"), ("actual", "error"), ("N_avg", "error"))
    )
    left, guide = "loss − B/D^β, nats/token", ((grid, size_term),)
    return [
        Panel("predicted against actual", actual, "predicted, nats/token", predicted, guides=(equal,)),
        Panel("what is left to the size", count, left, rest, guides=guide, log_x=True, counts=True),
        Panel("errors", actual, off, error, bands=margin),
        Panel("errors by size", count, off, by_size, bands=margin, log_x=True, counts=True),
    ]

"""Figure 3: the average-parameter law, predicted against actual, and what it says of the size."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.claims.law import PAPER_ERROR
from analysis.compare import IN_SAMPLE
from analysis.evidence import Evidence
from analysis.figures import style
from analysis.fit import FitResult
from analysis.laws import N_AVG, Array

NAME = "fig3_law"
TITLE = "One law for sparse and dense runs"
CAPTION = (
    "The law E + A/N_avg^α + B/D^β fitted on the law set. Left: predicted against actual held-out loss, and predicted less actual; the "
    "band is the paper's mean error of .016 nats. Right: the loss less its fitted data term, against N_avg; the line is E + A/N_avg^α."
)


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a run of the law set."""
    errors = evidence.comparison.settings[IN_SAMPLE].errors.get(N_AVG.name)
    if errors is None:
        return []
    rest = _less_data_term(evidence.comparison.law_fits[N_AVG.name], errors.runs["loss"], errors.runs["D"])
    return [
        {
            "run_id": run["run_id"],
            "size": run["size"],
            "budget": run["budget"],
            "sparsity": run["sparsity"],
            "N_avg": run["N_avg"],
            "D": run["D"],
            "actual": run["loss"],
            "predicted": predicted,
            "error": predicted - run["loss"],
            "relative_error": predicted / run["loss"] - 1,
            "less_data_term": left,
        }
        for run, predicted, left in zip(errors.runs.rows(), errors.predicted, rest, strict=True)
    ]


def draw(evidence: Evidence) -> Figure:
    setting = evidence.comparison.settings[IN_SAMPLE]
    if setting.reason:
        return style.nothing(f"no fit on the law set, {setting.reason}")
    points = rows(evidence)
    figure = style.figure(3.3)
    grid = figure.add_gridspec(2, 2, height_ratios=(2.6, 1))
    _agreement(figure.add_subplot(grid[0, 0]), points)
    _errors(figure.add_subplot(grid[1, 0]), points)
    _size_term(figure.add_subplot(grid[:, 1]), points, evidence.comparison.law_fits[N_AVG.name])
    return figure


def _agreement(axes: Axes, points: list[dict[str, Any]]) -> None:
    ends = np.array(
        [min(min(p["actual"], p["predicted"]) for p in points), max(max(p["actual"], p["predicted"]) for p in points)]
    )
    ends += np.array([-0.04, 0.04]) * np.ptp(ends)
    axes.plot(ends, ends, color=style.FAINT, linewidth=0.8)
    _scatter(axes, points, "actual", "predicted")
    axes.set(ylabel="predicted, nats/token", title="predicted against actual", xlim=ends, ylim=ends)
    axes.legend()


def _errors(axes: Axes, points: list[dict[str, Any]]) -> None:
    axes.axhspan(-PAPER_ERROR, PAPER_ERROR, color=style.FAINT, alpha=0.2, linewidth=0)
    axes.axhline(0, color=style.FAINT, linewidth=0.8)
    _scatter(axes, points, "actual", "error")
    axes.set(xlabel="actual held-out loss, nats/token", ylabel="error, nats")


def _size_term(axes: Axes, points: list[dict[str, Any]], fitted: FitResult) -> None:
    counts = np.array([p["N_avg"] for p in points])
    grid = np.geomspace(counts.min() * 0.9, counts.max() * 1.1, 200)
    p = fitted.parameters
    axes.plot(grid, p["E"] + p["A"] * grid ** -p["alpha"], color=style.FAINT, linewidth=0.8)
    _scatter(axes, points, "N_avg", "less_data_term")
    style.log_counts(axes)
    axes.set(xlabel="average parameters, N_avg", ylabel="loss − B/D^β, nats/token", title="what is left to the size")


def _scatter(axes: Axes, points: list[dict[str, Any]], x: str, y: str) -> None:
    for sparsity in sorted({p["sparsity"] for p in points}):
        look, own = style.of_run(sparsity), [p for p in points if p["sparsity"] == sparsity]
        axes.plot([p[x] for p in own], [p[y] for p in own], linestyle="none", alpha=0.9, label=look.label, **look.point)


def _less_data_term(fitted: FitResult, loss: Array, tokens: Array) -> Array:
    return loss - fitted.parameters["B"] * tokens ** -fitted.parameters["beta"]

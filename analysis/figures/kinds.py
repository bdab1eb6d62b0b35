"""What one law of dense runs leaves over of every kind of run."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.claims.arrow.one_law import MARGIN
from analysis.figures import style
from analysis.figures.direction import ends
from analysis.figures.panel import NATS, Meaning, Panel, Points
from analysis.findings import one_law
from analysis.findings.evidence import Evidence
from analysis.findings.one_law import KindResiduals
from analysis.tables.data import Tables, has_growth, has_mirror

NAME = "kinds"
TITLE = "One law, fitted to dense runs alone, for every kind of run"
NOTHING = "the dense runs don't tell the law, or no run's N(t) changes"
CAPTION = (
    f"Predicted less actual loss by kind of run, N_avg and tokens being those of the whole life: small marks are configurations (means over seeds), large ones a kind's mean with its 95% interval, "
    f"simultaneous over the kinds. Over 0 a kind ends lower than dense runs of its N_avg. Grey: ±{MARGIN} nats, the mean error that the paper reports."
)
COLUMNS = 1
MEANS = {
    "kind": Meaning("", "how N(t) goes"),
    "run_id": Meaning("", "readable id of the first run of the configuration"),
    "residual": Meaning(
        NATS, "predicted less actual loss, mean over seeds, by the law in N_avg fitted to dense runs alone"
    ),
    "mean": Meaning(NATS, "mean residual of the kind"),
    "low": Meaning(NATS, "lower end of its 95% interval, simultaneous over the kinds"),
    "high": Meaning(NATS, "upper end of it"),
}


def applies(tables: Tables) -> bool:
    """Whether the sweep has a study that this figure is of."""
    return has_mirror(tables) or has_growth(tables)


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a configuration."""
    return [
        {"kind": own.kind, "recipe": recipe, "run_id": run_id, "residual": off, "mean": own.mean.value, "low": own.mean.low, "high": own.mean.high}
        for own in one_law.residuals(evidence.arrow)
        for recipe, run_id, off in zip(own.runs["recipe"], own.runs["run_id"], own.residual.tolist(), strict=True)
    ]  # fmt: skip


def panels(evidence: Evidence) -> list[Panel]:
    """One panel."""
    found = one_law.residuals(evidence.arrow)
    if not found:
        return []
    points = tuple(mark for i, own in enumerate(found) for mark in _marks(i, own))
    return [
        Panel(
            "predicted − actual", "", "nats", points, bands=((-MARGIN, MARGIN),), ticks=tuple(own.kind for own in found)
        )
    ]


def _marks(place: int, own: KindResiduals) -> tuple[Points, Points]:
    each = style.Look("a configuration of the kind", style.FAINT, "o", filled=False)
    low, high = ends([own.mean])
    at, value = np.array([float(place)]), np.array([own.mean.value])
    mean = Points(style.of_way(own.kind), at, value, [own.kind], low, high, shift=0.15)
    at = np.full(len(own.residual), float(place))
    return Points(each, at, own.residual, list(own.runs["run_id"]), shift=-0.15), mean

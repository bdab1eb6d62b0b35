"""What each run took against what the plan had promised."""

from __future__ import annotations

from typing import Any

from analysis.figures.panel import Meaning, Panel, of_each_sparsity, where_equal
from analysis.findings.evidence import Evidence

NAME = "promise"
TITLE = "Measured against promised time"
NOTHING = "the sweep has no plan, or nothing of it was trained"
CAPTION = (
    "Seconds of training of each run against those that the plan promised, or, where it promised costs alone, against the run's share of "
    "the time that all took together. On the line a run took what was promised; above it, longer."
)
MEANS = {
    "promised_seconds": Meaning(
        "s", "training time that the plan promised, or the share that planned costs give the run of the time of all"
    ),
    "measured_seconds": Meaning("s", "training time of the run"),
    "ratio": Meaning("", "measured over promised"),
    "promised_workers": Meaning("", "data-parallel processes that the plan gave it"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per run that was planned and trained."""
    return evidence.promise.rows if evidence.promise else []


def panels(evidence: Evidence) -> list[Panel]:
    """One panel, in logarithms."""
    found = rows(evidence)
    if not found:
        return []
    equal = where_equal([r[name] for r in found for name in ("promised_seconds", "measured_seconds")])
    points, every = tuple(of_each_sparsity(found, "promised_seconds", "measured_seconds")), "every run that was planned"
    return [Panel(every, "promised, s", "measured, s", points, guides=(equal,), log_x=True, log_y=True)]

"""What P2 says of points that it hasn't seen beside what was measured: later tokens, the largest size, the highest rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import NATS, Meaning, Panel, Points, where_equal
from analysis.findings.evidence import Evidence
from analysis.findings.post_training import MethodCurves
from analysis.fits.curve_fits import JudgedCurves
from analysis.fits.equally_good import EquallyGood
from analysis.tables.data import Mask, has_post_training

NAME = "extrapolations"
TITLE = "P2 on what it hasn't seen"
applies = has_post_training
NOTHING = "no part of the curves could be held out"
CAPTION = (
    "What P2 predicts, as nats over the parent's loss, against what was measured: the last fifth of each curve's points from the others, the largest size from the smaller "
    "ones, the highest rate from the lower ones. On the line the two are equal. For the largest size a bar spans all fits that are as good as the best one on the "
    "smaller sizes, and the mark is its middle: from two sizes the law's constants aren't identified."
)
COLUMNS = 3
WAYS = ("later tokens", "the largest size", "the highest rate")
MEANS = {
    "way": Meaning("", "what was held out"),
    "method": Meaning("", "how the model was pruned"),
    "N0": Meaning("parameters", "all parameters before pruning"),
    "D": Meaning("tokens", "tokens seen since pruning"),
    "measured": Meaning(NATS, "held-out loss over that before pruning"),
    "predicted": Meaning(NATS, "the same by the P² law fitted to the rest; of several equally good fits the middle"),
    "low": Meaning(NATS, "the lowest prediction of all fits that are as good as the best"),
    "high": Meaning(NATS, "the highest of them"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a held-out point and way to hold it out."""
    return [row for method, own in evidence.post_training.methods.items() for row in _rows(method, own)]


def _rows(method: str, own: MethodCurves) -> Iterator[dict[str, Any]]:
    late, rate, size = own.end_errors, own.by_rate, own.by_size
    if isinstance(late, JudgedCurves):
        yield from _held(method, WAYS[0], own, ~own.early, late.residual[None])
    if isinstance(size, EquallyGood):
        yield from _held(method, WAYS[1], own, ~own.smaller, size.residual)
    if isinstance(rate, JudgedCurves):
        yield from _held(method, WAYS[2], own, ~own.milder, rate.residual[None])


def _held(method: str, way: str, own: MethodCurves, test: Mask, residual: np.ndarray) -> Iterator[dict[str, Any]]:
    """Rows of the held-out points, from residuals (K, n) of every fit that is as good."""
    points = own.points.where(test)
    measured = points["loss"] - points["L0"]
    for i in range(len(points)):
        low, high = float(residual[:, i].min()), float(residual[:, i].max())
        yield {
            "way": way,
            "method": method,
            **{name: points[name][i] for name in ("run_id", "rho", "N0", "D")},
            "measured": measured[i],
            "predicted": measured[i] + (low + high) / 2,
            "low": measured[i] + low,
            "high": measured[i] + high,
        }


def panels(evidence: Evidence) -> list[Panel]:
    """One panel a way to hold out."""
    found = rows(evidence)
    methods = list(evidence.post_training.methods)
    return [_panel(way, [row for row in found if row["way"] == way], methods) for way in WAYS]


def _panel(way: str, found: list[dict[str, Any]], methods: list[str]) -> Panel:
    drawn = []
    for place, method in enumerate(methods):
        own = [row for row in found if row["method"] == method]
        if own:
            x, y, low, high = (
                np.array([float(row[name]) for row in own]) for name in ("measured", "predicted", "low", "high")
            )
            drawn.append(
                Points(style.of_rank("method", place, method), x, y, [row["run_id"] for row in own], low, high)
            )
    equal = where_equal([row["measured"] for row in found] or [0.0, 1.0])
    return Panel(way, "measured, nats over L0", "predicted, nats over L0", tuple(drawn), guides=(equal,))

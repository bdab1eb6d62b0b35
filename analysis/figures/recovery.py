"""The loss of pruned models while they train on, and P2's curve through it: a panel a method and size, a colour a rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import NATS, Curve, Meaning, Panel, Points
from analysis.findings.evidence import Evidence
from analysis.findings.post_training import MethodCurves
from analysis.fits.curve_fits import JudgedCurves
from analysis.laws.registry import P2
from analysis.tables.data import has_post_training
from analysis.tables.post_training import CurvePoints

NAME = "recovery"
TITLE = "How pruned models recover"
applies = has_post_training
NOTHING = "the study holds no curve of a pruned model at a constant learning rate"
CAPTION = (
    "Held-out loss of each pruned model against the tokens that it has trained on since, one panel a method and size (all parameters before pruning), one colour a rate (the "
    "realised share of all parameters); lines are P2 as it is fitted to all curves of the method, the faint line is the loss of the model before pruning. What a "
    "pruned model loses before any training stands in the numbers at D = 0; no law is fitted to it."
)
COLUMNS = 3
FINE = 60  # places along a law's curve
MEANS = {
    "method": Meaning("", "how the model was pruned"),
    "N0": Meaning("parameters", "all parameters before pruning"),
    "L0": Meaning(NATS, "held-out loss before pruning"),
    "D": Meaning("tokens", "tokens seen since pruning"),
    "loss": Meaning(NATS, "held-out loss after these tokens"),
    "predicted": Meaning(NATS, "the same by the P² law fitted to all curves of the method; unknown at D = 0"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a point, the one at D = 0 included; what the law says of the others."""
    found = []
    for own in evidence.post_training.methods.values():
        points, predicted = own.points, _predicted(own)
        for curve in points.curves.values():
            first = {name: points[name][curve[0]] for name in ("run_id", "method", "size", "seed", "rho", "N0", "L0")}
            found.append(first | {"D": 0.0, "loss": points["L_parent"][curve[0]], "predicted": None})
            found += [
                first
                | {
                    "D": points["D"][i],
                    "loss": points["loss"][i],
                    "predicted": None if predicted is None else predicted[i],
                }
                for i in curve
            ]
    return found


def panels(evidence: Evidence) -> list[Panel]:
    """One panel a method and size."""
    found = []
    labels = rate_labels(evidence.post_training.points.of("pruned"))
    for method, own in evidence.post_training.methods.items():
        for size in np.unique(own.points["N0"]):
            found.append(
                _panel(f"{method}, {style.thousands(float(f'{size:.3g}'), 0)}", own, own.points["N0"] == size, labels)
            )
    return found


def rate_labels(points: CurvePoints) -> dict[int, str]:
    """What each place among the rates is called: its realised rates over sizes and methods."""
    found = {}
    for rank in np.unique(points["rank"]):
        rho = points["rho"][points["rank"] == rank]
        low, high = f"{rho.min():.0%}", f"{rho.max():.0%}"
        found[int(rank)] = f"ρ {low}" if low == high else f"ρ {low} to {high}"
    return found


def _panel(title: str, own: MethodCurves, chosen: np.ndarray, labels: dict[int, str]) -> Panel:
    points, judged = own.points.where(chosen), own.in_sample[P2.name]
    drawn, curves, guides = [], [], []
    span = np.geomspace(points["D"].min(), points["D"].max(), FINE)
    for rank in np.unique(points["rank"]):
        look = style.of_rank("rate", int(rank), labels[int(rank)])
        of_rate = points.where(points["rank"] == rank)
        drawn.append(Points(look, of_rate["D"], of_rate["loss"], list(of_rate["run_id"])))
        for curve in of_rate.curves.values():
            if isinstance(judged, JudgedCurves):
                given = {name: np.full(FINE, of_rate[name][curve[0]]) for name in ("L0", "rho", "N0")}
                curves.append(
                    Curve(look, span, judged.fit.predict(given | {"D": span}), f"P2, {of_rate['run_id'][curve[0]]}")
                )
    for base in np.unique(points["L0"]):
        guides.append((span[[0, -1]], np.array([base, base])))
    return Panel(
        title, "tokens since pruning", "held-out loss, nats", tuple(drawn), tuple(curves), tuple(guides), log_x=True, counts=True
    )  # fmt: skip


def _predicted(own: MethodCurves) -> np.ndarray | None:
    judged = own.in_sample[P2.name]
    if isinstance(judged, str):
        return None
    return judged.fit.predict({name: own.points[name] for name in P2.columns})

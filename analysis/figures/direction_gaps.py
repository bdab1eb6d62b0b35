"""By how much the kinds of a mirrored set end above the falling one, by sparsity and tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.claims.arrow.direction import beside_falling
from analysis.figures import style
from analysis.figures.direction import ends
from analysis.figures.panel import NATS, Meaning, Panel, Points
from analysis.findings.evidence import Evidence
from analysis.tables.data import has_mirror
from analysis.tables.mirrored import SAID

NAME = "direction_gaps"
TITLE = "Loss less that of the falling run of equal average"
applies = has_mirror
NOTHING = "no mirrored set has a falling run and another kind"
CAPTION = (
    "Mean over seeds of the loss of each kind less that of the falling run of its set, in nats; bars are 95% intervals, simultaneous over the cells of a kind. Under 0 a kind ends "
    "lower than the falling run, of the same N_avg, tokens and compute. Grey lines: what ten percent of N_avg is worth, by the slope of the dense loss."
)
COLUMNS = 1
APART = 0.12  # of the distance of two cells, between two kinds
MEANS = {
    "cell": Meaning("", "mirrored set: runs of equal N_avg, tokens and compute"),
    "kind": Meaning("", "how N(t) goes"),
    "seeds": Meaning("", "seeds at which this kind and the falling one were trained"),
    "difference": Meaning(NATS, "held-out loss less that of the falling run, mean over seeds"),
    "low": Meaning(NATS, "lower end of its 95% interval, simultaneous over the cells of a kind"),
    "high": Meaning(NATS, "upper end of it"),
    "margin": Meaning(NATS, "what ten percent of N_avg is worth, by the slope of the dense loss"),
    "ratio": Meaning("", "the dense size of equal loss over that of the falling run"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a cell and kind."""
    return [
        {
            "cell": found.own.name, "kind": SAID[kind], "seeds": found.matched.seeds, "difference": found.difference.value,
            "low": found.difference.low, "high": found.difference.high, "margin": found.margin,
            "ratio": found.ratio.value if found.ratio else None,
        }
        for kind, contrasts in beside_falling(evidence.arrow).items()
        for found in contrasts
    ]  # fmt: skip


def panels(evidence: Evidence) -> list[Panel]:
    """One panel."""
    found = {kind: contrasts for kind, contrasts in beside_falling(evidence.arrow).items() if contrasts}
    cells = [own.name for own in evidence.arrow.sets]
    points, guides = [], {}
    for i, (kind, contrasts) in enumerate(found.items()):
        at = np.array([float(cells.index(c.own.name)) for c in contrasts])
        known = [c.difference for c in contrasts]
        low, high = ends(known)
        names = [f"{c.own.name}, {c.matched.seeds} seeds" for c in contrasts]
        shift = APART * (i - (len(found) - 1) / 2)
        values = np.array([d.value for d in known])
        points.append(Points(style.of_way(SAID[kind]), at, values, names, low, high, shift=shift))
        for c, place in zip(contrasts, at, strict=True):
            for side in (-1, 1) if c.margin else ():
                guides[place, side] = np.array([place - 0.4, place + 0.4]), np.full(2, side * (c.margin or 0.0))
    if not points:
        return []
    guides[-1, 0] = np.array([-0.5, len(cells) - 0.5]), np.zeros(2)
    return [
        Panel(
            "loss less that of the falling run", "", "difference, nats", tuple(points), guides=tuple(guides.values()),
            ticks=tuple(cells),
        )
    ]  # fmt: skip

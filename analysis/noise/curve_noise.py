"""The seeds' noise of a curve of training after pruning: a part that all its points share, and a part of each point.

What is measured is the loss less the parent's, L - L0, as that is what a law of training after pruning has to say: seeds of
one configuration (method, rate, size and age) against their mean at equal tokens.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from analysis.fits.slopes import slopes
from analysis.laws.law import Array
from analysis.noise.spread import LEAST_DOF, Spread, known_spread
from analysis.tables.post_training import CurvePoints
from analysis.tables.rows import Rows


@dataclass(frozen=True)
class CurveNoise:
    """By how much two curves differ that differ in their seed alone.

    Attributes:
        level: sd of the mean of L - L0 over a curve's points, nats.
        point: sd of a point around its curve's own level, nats. overall: sd of a point in all, nats.
        slope: mean |s - s'| / sqrt(2) over pairs of seeds, nats a doubling: the average slope difference that a law which
            is exactly true would have from the seeds' noise alone.
    """

    level: Spread
    point: float
    slope: float

    @property
    def overall(self) -> float:
        return float(np.hypot(self.level.sd, self.point))

    def draw(self, points: Rows, rng: np.random.Generator, size: int = 1) -> Array:
        """Noise of points, (size, n) in nats, of rows with a run_id."""
        _, member = np.unique(points["run_id"].astype(str), return_inverse=True)
        count = int(member.max()) + 1 if len(member) else 0
        shared = rng.standard_normal((size, count)) * self.level.sd
        return shared[:, member] + rng.standard_normal((size, len(points))) * self.point

    def scaled(self, factor: float) -> Self:
        """The same with standard deviations `factor` times as large."""
        level = replace(self.level, **{name: factor * getattr(self.level, name) for name in ("sd", "low", "high")})
        return replace(self, level=level, point=factor * self.point, slope=factor * self.slope)

    @property
    def said(self) -> str:
        """In a sentence's part."""
        return f"σ {self.level.sd:.4f} nats of a curve and {self.point:.4f} of each of its points"


def measure(points: CurvePoints) -> CurveNoise | str:
    """The noise of the curves that are judged, or why it isn't known."""
    by_cell: dict[tuple[object, ...], list[CurvePoints]] = defaultdict(list)
    judged = points.of("pruned")
    for own in judged.curves.values():
        curve = judged.where(own)
        key = (curve["method"][0], curve["N0"][0], curve["rank"][0], tuple(np.round(curve["D"])))
        by_cell[key].append(curve)
    levels, rest, rest_dof, dof, groups, steep = 0.0, 0.0, 0, 0, 0, []
    for curves in by_cell.values():
        if len(curves) < 2:
            continue
        over = np.array([curve["loss"] - curve["L0"] for curve in curves])
        off = over - over.mean(axis=0)
        level = off.mean(axis=1)
        levels += float(np.sum(level**2))
        rest += float(np.sum((off - level[:, None]) ** 2))
        dof, groups = dof + len(curves) - 1, groups + 1
        rest_dof += (len(curves) - 1) * (over.shape[1] - 1)
        if over.shape[1] > 1:
            steep += [
                float(np.abs(slopes(curves[0]["D"], over[i] - over[j])).mean())
                for i in range(len(curves))
                for j in range(i)
            ]
    highest = float(np.abs(judged["loss"]).max()) if len(judged) else 0.0
    spread = known_spread(levels, dof, groups, highest)
    if isinstance(spread, str):
        return spread
    if not steep or dof < LEAST_DOF:
        return "curves of several seeds hold a single point"
    return CurveNoise(spread, float(np.sqrt(rest / max(1, rest_dof))), float(np.mean(steep) / np.sqrt(2)))

"""Evidence from training after pruning: its curves with their noise, and every fit and held-out test that claims and figures use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from analysis.findings.method_curves import MethodCurves
from analysis.findings.whole_life import WholeLife, whole_life
from analysis.laws.law import Array
from analysis.noise import curve_noise, spread
from analysis.noise.curve_noise import CurveNoise
from analysis.noise.spread import Spread
from analysis.tables.data import Tables
from analysis.tables.post_training import CurvePoints, curve_points, dense_points
from analysis.tables.rows import Rows

MOST_RESAMPLES = 400  # of curves


@dataclass(frozen=True)
class Recovery:
    """The study's curves and what follows from them.

    Attributes:
        points: of all curves. dense: held-out losses of dense runs at their peak learning rate.
        resamples, seed: of the bootstrap over curves.
        seeds: noise of a run's loss; None where it isn't known.
        start: parameters of P2 by method, from which its fits start: of simulated losses, the truth's.
    """

    points: CurvePoints
    dense: Rows
    resamples: int
    seed: int = 0
    seeds: Spread | None = None
    start: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Tables, resamples: int, seed: int = 0) -> Recovery:
        seeds = spread.measure(tables.runs).overall
        return cls(curve_points(tables), dense_points(tables), min(resamples, MOST_RESAMPLES), seed, seeds)

    @cached_property
    def measured_noise(self) -> CurveNoise | str:
        """The noise of the seeds of the curves, or why it isn't known."""
        return curve_noise.measure(self.points)

    @property
    def noise(self) -> CurveNoise | None:
        found = self.measured_noise
        return None if isinstance(found, str) else found

    @property
    def why_no_noise(self) -> str:
        found = self.measured_noise
        return found if isinstance(found, str) else ""

    @cached_property
    def methods(self) -> dict[str, MethodCurves]:
        """The judged curves of each method, by its name."""
        return {
            method: MethodCurves(
                self.points.of("pruned", method), self.noise, self.resamples, (self.seed, i), self.start.get(method)
            )
            for i, method in enumerate(self.points.methods)
        }

    @cached_property
    def life(self) -> WholeLife:
        """Predictions for the judged curves by the law in N_avg, fitted to dense runs alone."""
        return whole_life(self.points.of("pruned"), self.dense, self.noise, self.seeds, self.resamples, self.seed)

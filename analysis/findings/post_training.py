"""Evidence from training after pruning: its curves with their noise, and every fit and held-out test that claims and figures use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from analysis.findings.law_errors import Measure
from analysis.findings.whole_life import WholeLife, whole_life
from analysis.fits.curve_fits import JudgedCurves, judge, resamples_of, weighted
from analysis.fits.equally_good import EquallyGood, equally_good
from analysis.fits.resample import Resamples
from analysis.laws.law import Array, Law
from analysis.laws.registry import AFTER_PRUNING, P2, P2_NESTED
from analysis.noise import curve_noise, spread
from analysis.noise.curve_noise import CurveNoise
from analysis.noise.spread import Spread
from analysis.tables.data import Mask, Tables
from analysis.tables.post_training import CurvePoints, curve_points, dense_points
from analysis.tables.rows import Rows

FIRST = 0.8  # share of a curve's points that predict the others
LEAST_LAST = 1  # points of a curve that are held out at the least


def mean_abs(found: JudgedCurves | str) -> Measure | None:
    """The mean |error| of a law with its interval, nats; None where it can't be fitted."""
    return None if isinstance(found, str) else Measure.around(found.mean_abs, found.mean_abs_draws(), least=0.0)


def worse_by(one: JudgedCurves, other: JudgedCurves) -> Measure:
    """How much larger the mean |error| of one law is than that of another, nats, curve by curve."""
    draws, others = one.mean_abs_draws(), other.mean_abs_draws()
    return Measure.around(one.mean_abs - other.mean_abs, None if draws is None or others is None else draws - others)


@dataclass(frozen=True)
class MethodCurves:
    """One method's curves.

    Attributes:
        points: of its judged curves. noise: the seeds', None where it isn't known.
        resamples, seed: of the bootstrap over curves.
        start: parameters of P2 from which its fits start, instead of a grid: of simulated losses, the truth's.
    """

    points: CurvePoints
    noise: CurveNoise | None
    resamples: int
    seed: tuple[int, ...]
    start: Array | None = None

    @property
    def loss(self) -> Array:
        return self.points["loss"]

    @cached_property
    def drawn(self) -> Resamples | None:
        """Resamples of the points, by curve; each contains every size and every pruning rate."""
        rng = np.random.default_rng(self.seed)
        noise = None if self.noise is None else self.noise.draw(self.points, rng, self.resamples)
        needed = tuple(self.points[name] == value for name in ("N0", "rank") for value in np.unique(self.points[name]))
        return resamples_of(self.points, self.resamples, rng, noise, needed)

    @property
    def why_no_resamples(self) -> str:
        return f"{len(self.points.curves)} curves are too few to resample and the seeds' noise of them isn't known"

    # ---------------------------------------------------------------- which points predict which

    @cached_property
    def everything(self) -> Mask:
        return np.ones(len(self.points), dtype=bool)

    @cached_property
    def early(self) -> Mask:
        """The first FIRST of each curve's points."""
        chosen = np.zeros(len(self.points), dtype=bool)
        for own in self.points.curves.values():
            chosen[own[: min(round(FIRST * len(own)), len(own) - LEAST_LAST)]] = True
        return chosen

    @cached_property
    def smaller(self) -> Mask:
        """All sizes but the largest."""
        return np.asarray(self.points["N0"] < self.points["N0"].max())

    @cached_property
    def milder(self) -> Mask:
        """All pruning rates of each size but the highest."""
        return np.asarray(self.points["rank"] < self.points["rank"].max())

    # ---------------------------------------------------------------- fits

    @cached_property
    def in_sample(self) -> dict[str, JudgedCurves | str]:
        """Every law on all points, by name."""
        return {law.name: self._judged(law, self.everything, self.everything) for law in AFTER_PRUNING}

    @cached_property
    def by_rate(self) -> JudgedCurves | str:
        """P2, fitted to all pruning rates but the highest and tested on that one."""
        return self._judged(P2, self.milder, ~self.milder)

    @cached_property
    def by_size(self) -> EquallyGood | str:
        """Every fit of P2 to all sizes but the largest that is as good as the best, tested on that size."""
        sizes = len(np.unique(self.points["N0"]))
        if sizes < 3:
            return f"curves of {sizes} sizes; two predict a third"
        if len(np.unique(self.points["rank"])) < 2:
            return "curves of one rate"
        return equally_good(self.points, self.loss, self.smaller, ~self.smaller, self.drawn, start=self.start)

    @cached_property
    def nested_by_size(self) -> JudgedCurves | str:
        """P2 without N_C, whose parameters two sizes identify, on the same."""
        return self._judged(P2_NESTED, self.smaller, ~self.smaller)

    def around(self, baseline: Array) -> JudgedCurves | str:
        """P2 on all points, with other losses of the parents, (n,)."""
        moved = self.points.changed(L0=baseline)
        return judge(P2, moved, self.loss, self.everything, self.everything, self.drawn, self.start)

    def _judged(self, law: Law, train: Mask, test: Mask) -> JudgedCurves | str:
        if not train.any() or not test.any():
            return "no point is left to fit or to judge on"
        start = self.start if law is P2 else None
        return judge(law, self.points, self.loss, train, test, self.drawn, start)

    # ---------------------------------------------------------------- the end of a curve

    @cached_property
    def by_tokens(self) -> JudgedCurves | str:
        """P2, fitted to the first points of each curve and tested on the last, where `late` is true."""
        return self._judged(P2, self.early, self.late)

    @cached_property
    def late(self) -> Mask:
        """The points that aren't fitted, and the last fitted one of each curve, at which the first slope begins."""
        chosen = ~self.early
        for own in self.points.curves.values():
            fitted = own[self.early[own]]
            chosen[fitted[-1:]] = True
        return chosen

    @cached_property
    def end_errors(self) -> JudgedCurves | str:
        """`by_tokens` on the points that aren't fitted."""
        found = self.by_tokens
        return found if isinstance(found, str) else found.where(~self.early[self.late])

    @cached_property
    def end_slopes(self) -> Measure | None:
        """ASD over the steps that end in a point that isn't fitted, nats per doubling."""
        found = self.by_tokens
        if isinstance(found, str):
            return None
        place = {int(row): i for i, row in enumerate(np.flatnonzero(self.late))}
        steps = [
            (place[int(a)], place[int(b)])
            for own in self.points.curves.values()
            for a, b in pairwise(own[self.late[own]])
        ]
        first, second = np.array(steps).T
        doublings = np.diff(np.log2(self.points["D"][self.late][np.array(steps)]), axis=1)[:, 0]

        def difference(residual: Array) -> Array:
            return np.abs((residual[..., second] - residual[..., first]) / doublings)

        draws = None
        if found.draws is not None:
            draws = weighted(difference(found.draws), None if found.counts is None else found.counts[:, second])
        return Measure.around(float(difference(found.residual).mean()), draws, least=0.0)


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

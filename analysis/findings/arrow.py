"""Evidence for the claims on the direction of N(t): the mirrored sets, and the dense runs that give N_eff."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.findings.dense_slope import DensePoints, Slope, local_slope
from analysis.findings.misfit import LawDraws, Misfit
from analysis.findings.seed_resamples import SeedResamples
from analysis.fits.fit import FitResult, fit, obstacle
from analysis.fits.resample import Resamples
from analysis.laws.law import Array
from analysis.laws.registry import N_AVG
from analysis.noise import configurations, dense_law
from analysis.noise.configurations import Configuration
from analysis.noise.spread import Noise
from analysis.tables.data import Runs, Tables
from analysis.tables.mirrored import MirroredSet, mirrored_sets
from repro import studies

SHARE = 1.1  # ten percent of a size: what it is worth in nats is the margin of claims on losses that should be equal


@dataclass(frozen=True)
class Arrow:
    """A sweep's mirrored sets and dense runs.

    Attributes:
        tables, resamples, seed: as in Evidence. noise: of its seeds.
        like: of tables with the same losses of dense runs, whose law is taken over.
        start: where the fit to dense runs starts, instead of a grid.
    """

    tables: Tables
    noise: Noise
    resamples: int
    seed: int = 0
    like: Arrow | None = None
    start: Array | None = None

    @cached_property
    def sets(self) -> tuple[MirroredSet, ...]:
        return mirrored_sets(self.tables)

    @cached_property
    def configurations(self) -> list[Configuration]:
        """Dense ones of the base recipe, each at its best learning rate; without those of an unusual shape, and without parents."""
        odd = {run_id for own in self.sets for run_id in own.equal_width["run_id"]}
        dense = self.tables.dense
        usual = np.array([run_id not in odd for run_id in dense["run_id"]], dtype=bool)
        return dense_law.tuned(configurations.find(dense.where(usual & ~dense.serves(studies.PARENTS))))

    @cached_property
    def points(self) -> DensePoints:
        return DensePoints.of(self.configurations)

    @cached_property
    def law(self) -> FitResult | str:
        """The law in N_avg, fitted to the dense runs alone; or why they don't tell it."""
        if self.like is not None:
            return self.like.law
        columns = {name: self.dense[name] for name in N_AVG.columns}
        if reason := obstacle(N_AVG, columns, self.dense["loss"]):
            return f"the law can't be fitted to the dense runs: {reason}"
        if len(self.configurations) <= (count := len(N_AVG.parameters)):
            return f"too few dense runs to measure the law's lack of fit: {len(self.configurations)} configurations for {count} parameters"
        result = fit(N_AVG, columns, self.dense["loss"], start=self.start)
        if result.bounds_hit:
            return f"the dense law isn't identified: {', '.join(result.bounds_hit)} at a bound"
        return result

    @cached_property
    def misfit(self) -> Misfit | None:
        """What the law lacks on the dense runs; None without a law, or where the noise of the seeds is unknown."""
        if isinstance(self.law, str) or self.noise.overall is None:
            return None
        return Misfit.of(self.points, self.law, self.noise.overall)

    @cached_property
    def law_draws(self) -> LawDraws | None:
        """The law fitted to resamples in which each dense run has noise of its seed and each configuration lies off it; None as `misfit`."""
        if self.like is not None:
            return self.like.law_draws
        if isinstance(self.law, str) or self.misfit is None:
            return None
        rng = np.random.default_rng([self.seed, 7])
        sds = self.misfit.draws(self.resamples, rng)
        names, member = np.unique(self.dense["recipe"].astype(str), return_inverse=True)
        off = sds[:, None] * rng.standard_normal((self.resamples, len(names)))
        around = Resamples.parametric(off[:, member]).losses(self.dense["loss"])
        seeds = SeedResamples(self.tables, self.noise.overall, self.resamples, self.seed)
        theta = seeds.refit(self.dense, self.law, around)
        return None if theta is None else LawDraws(theta, sds)

    @cached_property
    def dense(self) -> Runs:
        """The runs of `configurations`."""
        own = {run_id for c in self.configurations for run_id in c.runs["run_id"]}
        return self.tables.selected(lambda r: np.array([run_id in own for run_id in r["run_id"]], dtype=bool))

    def slope(self, n: float, d: float) -> Slope | str:
        """dL/dlog N of dense runs of n weights on d tokens, or why the dense runs don't tell it."""
        found = local_slope(self.points, n, d, configurations.pooled(self.configurations))
        if isinstance(found, Slope) and found.value >= 0:
            return "the dense loss doesn't fall with size around it"
        return found

    def cost(self, n: float, of: float, d: float) -> float | None:
        """Nats by which the dense law puts n weights above `of` weights on d tokens; None where there is no law."""
        if isinstance(self.law, str):
            return None
        small, large = self.law.predict({"N_avg": np.array([n, of]), "D": np.array([d, d])})
        return float(small - large)

    @property
    def alpha(self) -> float:
        """Exponent of the law in N, 0 where the dense runs don't tell it."""
        return 0.0 if isinstance(self.law, str) else self.law.parameters["alpha"]


def margin(slope: Slope) -> float:
    """What ten percent of a size is worth, nats."""
    return -slope.value * float(np.log(SHARE))

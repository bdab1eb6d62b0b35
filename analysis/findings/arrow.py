"""Evidence for the claims on the direction of N(t): the mirrored sets, and the dense runs that give N_eff."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.findings.dense_slope import DensePoints, Slope, local_slope
from analysis.findings.law_errors import SeedResamples
from analysis.fits.fit import FitResult, fit, obstacle
from analysis.fits.resample import Resamples
from analysis.laws.law import Array, Columns
from analysis.laws.registry import N_AVG
from analysis.noise import configurations, dense_law
from analysis.noise.configurations import Configuration
from analysis.noise.spread import Noise, Spread
from analysis.tables.data import Runs, Tables
from analysis.tables.mirrored import MirroredSet, mirrored_sets
from repro import studies


@dataclass(frozen=True)
class Misfit:
    """The lack of fit of the law in N_avg: the deviations of dense configurations from it beyond the noise of their seeds.

    No further seed averages it out, so for runs that the law wasn't fitted to an interval of the residuals must allow for at
    least as much. Its variance is estimated from the moments of the residuals, as DerSimonian and Laird (1986) do for studies.

    Attributes:
        squares: sum of squared residuals of the means, each times its number of seeds.
        dof: configurations less parameters. reach: what a variance of 1 over configurations adds to `squares`.
        noise: of the seeds.
    """

    squares: float
    dof: int
    reach: float
    noise: Spread

    @classmethod
    def of(cls, points: DensePoints, law: FitResult, noise: Spread) -> Misfit:
        """The misfit of a law that is fitted to the runs of `points`, which are more than its parameters."""
        columns, scale = {"N_avg": points.n, "D": points.d}, np.sqrt(points.seeds)
        slopes = scale[:, None] * N_AVG.gradient(law.theta, columns)
        basis, _ = np.linalg.qr(slopes / np.maximum(np.linalg.norm(slopes, axis=0), np.finfo(float).tiny))
        off = scale * (law.predict(columns) - points.loss)
        off -= basis @ (basis.T @ off)  # what least squares leave over, whatever objective the law was fitted by
        taken_up = np.sum(basis**2, axis=1)  # of a configuration's own deviation
        return cls(
            float(off @ off),
            len(points.n) - len(N_AVG.parameters),
            float(points.seeds @ (1 - taken_up)),
            noise,
        )

    @property
    def sd(self) -> float:
        """Nats; 0 where the noise of the seeds explains the residuals."""
        return float(self._sd(self.squares, self.noise.sd**2))

    def draws(self, count: int, rng: np.random.Generator) -> Array:
        """Draws (count,) of the standard deviation, with the uncertainty that residuals and seeds leave."""
        squares, noise = (
            value * dof / rng.chisquare(dof, size=count)
            for value, dof in ((self.squares, self.dof), (self.noise.sd**2, self.noise.dof))
        )
        return self._sd(squares, noise)

    def _sd(self, squares: float | Array, noise: float | Array) -> Array:
        return np.sqrt(np.maximum(0.0, (squares - self.dof * noise) / self.reach))


@dataclass(frozen=True)
class LawDraws:
    """Resamples of the law: its parameters (R, 5), and the standard deviation of configurations around it, (R,) nats."""

    theta: Array
    misfit: Array

    def predict(self, columns: Columns, count: int, rng: np.random.Generator) -> Array:
        """Mean losses (count, n) of n configurations, each off the law by its own draw of the lack of fit."""
        at = np.arange(count) % len(self.theta)
        predicted = N_AVG.predict(self.theta[at], columns)
        return predicted + self.misfit[at, None] * rng.standard_normal(predicted.shape)


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

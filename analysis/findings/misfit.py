"""The lack of fit of the dense law: the deviations of dense runs from it beyond the noise of their seeds.

The mean of a configuration deviates from a law by the noise of its seeds, and by the law's lack of fit there, which no further
seed averages out. For runs that the law wasn't fitted to, an interval of the residuals must allow for at least as much lack of
fit. Its variance is estimated from the moments of the residuals, as DerSimonian and Laird (1986) do for studies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.findings.dense_slope import DensePoints
from analysis.fits.fit import FitResult
from analysis.laws.law import Array, Columns
from analysis.laws.registry import N_AVG
from analysis.noise.spread import Spread


@dataclass(frozen=True)
class Misfit:
    """The lack of fit of the law in N_avg, over dense configurations.

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

"""Exponents of the best size and tokens against compute: a line through logarithms with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.fits.outcome import LEVEL
from analysis.laws.law import Array

LEAST = 3  # points on a line that has an interval
SCATTERED = 0.01  # share of tables in which points on a line scatter so much by their noise alone


@dataclass(frozen=True)
class Exponent:
    """An exponent with its 95% interval."""

    value: float
    low: float
    high: float

    def moved(self, offset: float, factor: float) -> Exponent:
        """offset + factor times it."""
        ends = sorted((offset + factor * self.low, offset + factor * self.high))
        return Exponent(offset + factor * self.value, *ends)


@dataclass(frozen=True)
class ComputeLine:
    """y = level + slope (x - middle) through points with correlated errors.

    Attributes:
        slope: with its interval. level, middle: where the line passes.
        scatter: how far the points lie from it, in units of their noise, root mean square for each that is left over.
        scattered: whether that is more than noise does, so that the interval is of the scatter.
    """

    slope: Exponent
    level: float
    middle: float
    scatter: float
    scattered: bool

    def at(self, x: Array) -> Array:
        return self.level + self.slope.value * (x - self.middle)


def line(x: Array, y: Array, covariance: Array, noise: float | None, freedom: float) -> ComputeLine:
    """The line by generalised least squares.

    Args:
        x, y: (k,), at least three. covariance: of the errors of y over the noise's variance, (k, k).
        noise: standard deviation; None takes it from the scatter about the line.
        freedom: degrees that the noise was measured with; infinite where it is known.
    """
    middle, left = float(x.mean()), len(x) - 2
    design = np.stack([np.ones(len(x)), x - middle], axis=1)
    weighted = np.linalg.solve(covariance, design)
    inverse = np.linalg.inv(design.T @ weighted)
    level, slope = inverse @ (weighted.T @ y)
    residual = y - design @ np.array([level, slope])
    mean_square = float(residual @ np.linalg.solve(covariance, residual)) / left
    ratio = 1.0 if noise is None else mean_square / noise**2
    by_noise = stats.chi2.sf(ratio * left, left) if np.isinf(freedom) else stats.f.sf(ratio, left, freedom)
    scattered = noise is not None and bool(by_noise < SCATTERED)
    if noise is None or scattered:
        noise, freedom = np.sqrt(mean_square), left
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom) * noise * np.sqrt(inverse[1, 1]))
    slope = float(slope)
    return ComputeLine(
        Exponent(slope, slope - half, slope + half), float(level), middle, float(np.sqrt(ratio)), scattered
    )

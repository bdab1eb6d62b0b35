"""Minima over sizes again and again, on rows drawn with replacement from each budget: a bootstrap over points.

It takes each run's distance from its curve as it is, so that noise that differs from run to run is in it. Where a budget
has few runs, it is wider than the noise's own interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fits import minima
from analysis.fits.exponents import LEAST, Exponent, line
from analysis.fits.outcome import Interval, percentiles
from analysis.fits.size_curves import SizeCurve
from analysis.laws.law import Array
from repro.errors import UserError


@dataclass(frozen=True)
class ResampledMinima:
    """Of R draws and k curves: the slope of the line, (R,), and logarithms of the best sizes, (R, k); nan where there is none."""

    slope: Array
    log_size: Array

    def exponent(self, value: float) -> Exponent:
        """The slope of all rows with its interval. Raises UserError where too many draws have none."""
        ends = percentiles(self.slope)
        if ends is None:
            raise UserError(
                "no interval by a bootstrap over points", key="--bootstrap",
                found=f"fewer than {LEAST} budgets with a minimum in {np.isnan(self.slope).mean():.0%} of the resamples",
                expected="more sizes a budget; without it the interval is of the noise",
            )  # fmt: skip
        return Exponent(value, *ends)

    def sizes(self) -> list[Interval | None]:
        """The interval of each budget's best size; None where too many draws have none."""
        found = [percentiles(own) for own in self.log_size.T]
        return [None if ends is None else (float(np.exp(ends[0])), float(np.exp(ends[1]))) for ends in found]


def resampled(
    curves: Sequence[SizeCurve], around: Array, *, free: bool, sigma: float, resamples: int, rng: np.random.Generator
) -> ResampledMinima:
    """Draws of the minima of k curves that show one, and of the line through them.

    Args:
        around: logarithms of the best sizes by all rows, (k,): sizes are drawn on both sides of them.
        free: see `minima.find`. sigma: standard deviation of a loss, nats, by which a free shape is smooth.
    """
    slope, log_size = np.full(resamples, np.nan), np.full((resamples, len(curves)), np.nan)
    for i in range(resamples):
        drawn = [curve.drawn(rng, at) for curve, at in zip(curves, around, strict=True)]
        kept = np.flatnonzero([curve.obstacle is None for curve in drawn])
        if len(kept) < LEAST:
            continue
        own = [drawn[j] for j in kept]
        found = minima.find(own, free=free, sigma=sigma)
        inside = (found.bend > 0) & [curve.holds(at) for curve, at in zip(own, found.log_size, strict=True)]
        log_size[i, kept[inside]] = found.log_size[inside]
        if inside.sum() >= LEAST:
            budgets = np.log([curve.budget for curve in own])[inside]
            slope[i] = line(
                budgets, found.log_size[inside], found.covariance[np.ix_(inside, inside)], None, 1
            ).slope.value
    return ResampledMinima(slope, log_size)

"""Planes through the minima of loss-against-learning-rate curves (bowls): log lr* as a sum of terms, by least squares.

Bowls are weighted by the inverse variance of their minima. Intervals include the noise of the seeds (from resamples of the
minima), widened by the Birge ratio if the minima lie farther from the plane than that noise explains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fits.outcome import Interval, percentiles
from analysis.laws.law import Array
from analysis.rate_laws.learning_rates import Best


@dataclass(frozen=True)
class Fitted:
    """Coefficients, their 95% intervals, and the Birge ratio: scatter over what noise explains; None without degrees of freedom."""

    values: tuple[float, ...]
    intervals: tuple[Interval | None, ...]
    scatter: float | None


def known(best: Best) -> bool:
    """Whether the minimum lies inside the learning rates tried, in most resamples too."""
    return not best.at_edge and (best.draws is None or percentiles(best.draws) is not None)


def finite(draws: Array | None) -> Array:
    """The draws, with the few at an edge at the farthest finite one on their side."""
    assert draws is not None
    inside = draws[np.isfinite(draws)]
    return np.clip(draws, inside.min(), inside.max())


def fitted(bowls: Sequence[Best], design: Array) -> Fitted:
    """The plane through the bottoms of bowls that are known and have draws.

    Args:
        design: terms (bowls, coefficients).
    """
    draws = np.array([finite(bowl.draws) for bowl in bowls])
    best, weight = np.array([math.log(bowl.lr) for bowl in bowls]), 1 / draws.std(axis=1)
    inverse = np.linalg.pinv(design * weight[:, None]) * weight
    solution = inverse @ best
    dof = len(bowls) - design.shape[1]
    scatter = float(np.sqrt(np.sum((weight * (best - design @ solution)) ** 2) / dof)) if dof else None
    spread = inverse @ (draws - draws.mean(axis=1, keepdims=True))
    drawn = solution[:, None] + max(1.0, scatter or 0.0) * spread
    return Fitted(tuple(map(float, solution)), tuple(percentiles(row) for row in drawn), scatter)


def said(ends: Interval | None) -> str:
    """An interval behind its value."""
    return f" [{ends[0]:.3g}, {ends[1]:.3g}]" if ends else " (no interval)"

"""Intervals, and what they show: used by comparisons, claims, fits and held-out tests.

An interval is two finite numbers in order, and nothing else becomes an outcome. A resample that has no number counts
as lying beyond either end, so that leaving it out never makes an interval narrower: with more of them than a tail
holds there is no interval.
"""

from __future__ import annotations

import numpy as np

from analysis.laws.law import Array
from repro.errors import UserError

Interval = tuple[float, float]

LEVEL = 0.95
LEAST_RESAMPLES = 100  # fewer leave under three of them in each tail of a 95% interval
MOST_RESAMPLES = 1_000_000  # beyond it an interval gains nothing and memory runs out


def enough_resamples(count: int) -> int:
    """Returns `count`. Raises UserError if it is too small for an interval, or too large for memory."""
    if not LEAST_RESAMPLES <= count <= MOST_RESAMPLES:
        raise UserError(
            f"too {'few' if count < LEAST_RESAMPLES else 'many'} resamples for an interval",
            key="--bootstrap",
            found=count,
            expected=f"at least {LEAST_RESAMPLES}, at most {MOST_RESAMPLES:,}",
        )
    return count


def positive_sigma(sigma: float) -> float:
    """Returns `sigma`, the standard deviation of the noise. Raises UserError unless it is positive and finite."""
    if not (np.isfinite(sigma) and sigma > 0):
        raise UserError(
            "the seeds' standard deviation is not a positive number",
            key="--sigma",
            found=sigma,
            expected="nats, more than 0; leave it out where it isn't known",
        )
    return sigma


def interval(low: float | None, high: float | None) -> Interval | None:
    """The interval, if these are two finite numbers in order; otherwise None."""
    if low is None or high is None or not (np.isfinite(low) and np.isfinite(high) and low <= high):
        return None
    return float(low), float(high)


def percentiles(draws: Array | None, level: float = LEVEL) -> Interval | None:
    """The interval of resampled numbers (R,) at `level`: the k-th of R draws stands for k / (R + 1).

    Returns:
        None without draws, with too few of them, and where more than a tail of them are not finite.
    """
    if draws is None or len(draws) < LEAST_RESAMPLES:
        return None
    known, tail = np.isfinite(draws), (1 - level) / 2
    if (len(draws) + 1) * tail < 1:
        return None
    with np.errstate(invalid="ignore"):  # between an infinite draw and a finite one
        low = np.quantile(np.where(known, draws, -np.inf), tail, method="weibull")
        high = np.quantile(np.where(known, draws, np.inf), 1 - tail, method="weibull")
    return interval(float(low), float(high))


def above(found: Interval | None, value: float) -> bool:
    """Whether the interval shows the number to be over `value`. What isn't an interval shows nothing."""
    return found is not None and interval(*found) is not None and found[0] > value


def below(found: Interval | None, value: float) -> bool:
    """Whether the interval shows the number to be under `value`. What isn't an interval shows nothing."""
    return found is not None and interval(*found) is not None and found[1] < value

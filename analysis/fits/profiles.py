"""Profile intervals: how far a parameter can move before the objective, minimised over the others, rises too far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.fits.fit import FitResult
from analysis.fits.objective import Objective, worth
from analysis.fits.outcome import LEVEL, Interval, interval
from analysis.fits.problem import Problem
from analysis.laws.law import Array, Columns

SMOOTH = Objective("huber_log", 1e-5)  # least absolute deviations with a curvature: few rows lie under the threshold
SECANTS = 60  # steps of the search for an end of a profile
CLOSE = 1e-4  # of the rise, or of the distance, within which an end is found
LEAST_LEFT = 3  # rows more than free parameters
ROUNDING = 1e-9  # residuals that floating point explains


@dataclass(frozen=True)
class Profile:
    """Profile intervals by parameter; None where there is none, with the reason."""

    intervals: dict[str, Interval | None]
    reason: str | None


def profile(
    result: FitResult, columns: Columns, loss: Array, *, level: float = LEVEL, weights: Array | None = None
) -> Profile:
    """Profile interval of each parameter: where the objective, minimised over the others, has risen too far.

    A bound of the parameter ends its interval. `allowed` says how far is too far.

    Args:
        columns, loss, weights: what `result` was fitted on.
    """
    law, start = result.law, result.theta
    kind = result.kind if result.kind.kind != "lad" else SMOOTH
    whole = Problem(law, columns, loss[None], kind, None if weights is None else weights[None])
    at, base, _ = whole.descend(start[None])
    rises = allowed(whole, at[0], level)
    if isinstance(rises, str):
        return Profile(dict.fromkeys(law.names), rises)
    low, high = _ends(whole, at[0], float(base[0]), rises)
    return Profile({name: interval(*ends) for name, *ends in zip(law.names, low, high, strict=True)}, None)


def _ends(whole: Problem, at: Array, base: float, rises: Array) -> tuple[Array, Array]:
    """Where the objective, minimised over all parameters but one, has risen by `rises` (P,) on either side; (P,) each.

    All ends are sought together: steps that double until the rise is too large, then regula falsi (Illinois).
    """
    law, count = whole.law, len(at)
    index, sign = np.tile(np.arange(count), 2), np.repeat([-1.0, 1.0], count)
    log = np.array([p.log for p in law.parameters])[index]
    unit = np.where(log, 1.0, np.maximum(np.abs(at[index]), 1e-3))
    bound = np.array([(p.low, p.high) for p in law.parameters]).T.ravel()
    ratio = bound / np.where(log, at[index], 1.0)
    room = np.abs(np.where(log, np.log(np.where(log, ratio, 1.0)), (bound - at[index]) / unit))

    def value(distance: Array, which: NDArray[np.intp]) -> Array:
        move, own = sign[which] * distance, at[index[which]]
        moved = np.where(log[which], own * np.exp(np.where(log[which], move, 0.0)), own + move * unit[which])
        return np.where(distance >= room[which], bound[which], moved)

    def over(distance: Array, which: NDArray[np.intp]) -> tuple[Array, Array]:
        trial = start[which]
        trial[np.arange(len(which)), index[which]] = value(distance, which)
        held = index[which, None] == np.arange(count)
        problem = Problem(law, whole.columns, whole.loss, whole.objective, whole.weight, held)
        theta, values, _ = problem.descend(trial)
        return np.where(np.isfinite(values), values, np.inf) - base - rises[index[which]], theta

    start = np.repeat(at[None], 2 * count, axis=0)
    inner, outer, step = np.zeros(2 * count), np.minimum(0.02, room), 0.02
    below, above = -rises[index], np.full(2 * count, np.nan)
    seeking = np.arange(2 * count)
    while len(seeking):
        above[seeking], theta = over(outer[seeking], seeking)
        inside = (above[seeking] <= 0) & (outer[seeking] < room[seeking])
        seeking, step = seeking[inside], step * 2
        start[seeking], inner[seeking], below[seeking] = theta[inside], outer[seeking], above[seeking]
        outer[seeking] = np.minimum(outer[seeking] + step, room[seeking])
    crossed = np.flatnonzero(above > 0)
    for _ in range(SECANTS):
        if not len(crossed):
            break
        with np.errstate(invalid="ignore"):
            share = -below[crossed] / (above[crossed] - below[crossed])
        share = np.where((share > 0.01) & (share < 0.99), share, 0.5)
        middle = inner[crossed] + share * (outer[crossed] - inner[crossed])
        found, theta = over(middle, crossed)
        up, down = crossed[found > 0], crossed[found <= 0]
        outer[up], above[up] = middle[found > 0], found[found > 0]
        inner[down], below[down], start[down] = middle[found <= 0], found[found <= 0], theta[found <= 0]
        below[up] /= 2  # Illinois: the end that stays counts half
        above[down] /= 2
        near = (np.abs(found) <= CLOSE * rises[index[crossed]]) | (outer[crossed] - inner[crossed] <= CLOSE * middle)
        outer[crossed[near]] = middle[near]
        crossed = crossed[~near]
    ends = value(outer, np.arange(2 * count))
    return ends[:count], ends[count:]


def allowed(problem: Problem, theta: Array, level: float = LEVEL) -> Array | str:
    """Rise of the objective (P,) from its minimum `theta` that ends each parameter's profile interval, or why it can't be computed.

    With psi the slope of the objective in a residual and psi' its curvature, a parameter's estimate has the variance of
    a sandwich, G (sum w^2 psi^2 x x') G with G = (sum w psi' x x')^-1 and w a row's weight, and moving it off by one unit
    raises the objective by 1 / 2G. So twice the rise over the ratio of the two is chi-square of one degree of freedom
    (Huber and Ronchetti 2009, section 6.3), or F, for the ratio is estimated. Rows may be noisier in one place than in
    another. F has as many degrees of freedom as rows of equal weight that say as much would leave.

    psi' is a density of residuals at zero. A row inside the threshold is 1 where that is wide. A fit that holds
    small residuals cheap passes through as many rows as it has free parameters, which say nothing of the density:
    they are left out of its total, and it is taken over the bandwidth of Hall and Sheather (1988), row by row (Powell
    1991), as is done for quantile regression (Koenker 2005, section 3.4). psi^2 is divided by (1 - leverage)^2: the
    sandwich known as HC3, which few rows and few noisy ones don't make too thin.
    """
    residual, slopes = problem.linearised(theta)
    free = ~problem.law.at_bound(theta)
    slopes = slopes[:, free]
    norm = np.linalg.norm(slopes, axis=0)
    slopes = slopes / np.where(norm > 0, norm, 1.0)
    count, weight = slopes.shape[1], np.broadcast_to(problem.weight[0], residual.shape)
    left, threshold, size = worth(weight) - count, problem.objective.threshold, np.abs(residual)
    if left < LEAST_LEFT:
        alike = "" if np.ptp(weight) == 0 else " of equal weight"
        return f"there are {left:.3g} rows{alike} more than free parameters; a profile needs {LEAST_LEFT}"
    if not (np.isfinite(slopes).all() and np.isfinite(size).all()):
        return "the law has no finite slope at some row"
    if size.max() < ROUNDING * max(1.0, float(np.abs(problem.target).max())):
        return "the law passes through every row, so that no noise can be measured"
    curvature = weight * _curvature(size, threshold, count, level, weight)
    weighed = np.sqrt(weight)[:, None] * slopes
    leverage = np.einsum("np,pn->n", weighed, np.linalg.pinv(weighed))
    score = (weight * np.clip(residual, -threshold, threshold) / np.maximum(1 - leverage, 1e-6)) ** 2
    inverse = np.linalg.pinv((slopes * curvature[:, None]).T @ slopes)
    ratio = np.full(len(free), score.mean() / curvature.mean())
    ratio[free] = ((inverse @ slopes.T) ** 2 @ score) / np.diag(inverse)
    return ratio * stats.f.ppf(level, 1, left) / 2


def _curvature(size: Array, threshold: float, count: int, level: float, weight: Array) -> Array:
    """What each row adds to the density of residuals at zero, times twice the threshold; (n,) from |residuals| (n,)."""
    if not np.isfinite(threshold):
        return np.ones_like(size)
    rows = worth(weight)
    share, left = weight * (rows / weight.sum()), rows - count  # so many rows of equal weight say as much
    near = min(left, float(np.ceil(2 * _bandwidth(rows, level) * left)))
    order = np.argsort(size)
    last = np.searchsorted(np.cumsum(share[order]), (count + near) * (1 - ROUNDING))
    width = max(threshold, float(size[order][min(int(last), len(size) - 1)]))
    inside = size <= width
    there = (share * inside).sum()
    return inside * ((there - count) / left * rows / there * threshold / width)


def _bandwidth(rows: float, level: float) -> float:
    """Hall and Sheather's (1988) half width of the shares around the median, from which its density is taken."""
    return float(
        rows ** (-1 / 3) * stats.norm.ppf((1 + level) / 2) ** (2 / 3) * (1.5 * stats.norm.pdf(0) ** 2) ** (1 / 3)
    )

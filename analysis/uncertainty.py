"""How far a fit can be trusted: bootstraps, profile intervals, prediction bands.

Cases are resampled, in whole clusters (runs of one family share a recipe, and their errors), where there are at least
CLUSTERS of them. With fewer a case bootstrap is too narrow, and the seeds' standard deviation is added to the fitted
losses instead. With neither there is no interval, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, stats

from analysis.fit import FitResult, refit
from analysis.law import Array, Columns
from analysis.laws import LAWS
from analysis.outcome import LEVEL, Interval, enough_resamples, interval, percentiles, positive_sigma
from analysis.problem import Objective, Problem
from repro.errors import UserError

CLUSTERS = 12
BATCH = 500  # resamples that descend together: what fits a cache
SMOOTH = Objective("huber_log", 1e-5)  # least absolute deviations with a curvature: few rows lie under the threshold
LEAST_LEFT = 3  # rows more than free parameters
ROUNDING = 1e-9  # residuals that floating point explains
Method = Literal["cases", "clusters", "parametric"]


@dataclass(frozen=True)
class Draws:
    """Resampled parameters of one law.

    Attributes:
        law: its name.
        method: how they were drawn.
        theta: (R, P).
        clusters: how many units were resampled.
        at_bound: share of the resamples in which a parameter sits at one of its bounds, by name, where any does.
    """

    law: str
    method: Method
    theta: Array
    clusters: int

    @property
    def at_bound(self) -> dict[str, float]:
        share = LAWS[self.law].at_bound(self.theta).mean(axis=0)
        return {name: float(own) for name, own in zip(LAWS[self.law].names, share, strict=True) if own}

    def interval(self, level: float = LEVEL) -> dict[str, Interval | None]:
        """Percentile interval of each parameter, by name; None where the draws make none."""
        return {n: percentiles(own, level) for n, own in zip(LAWS[self.law].names, self.theta.T, strict=True)}

    def band(self, columns: Columns, level: float = LEVEL) -> tuple[Array, Array]:
        """Percentile interval of the predicted loss, (n,) and (n,)."""
        predicted = LAWS[self.law].predict(self.theta, columns)
        low, high = np.quantile(predicted, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")
        return low, high


@dataclass(frozen=True)
class Profile:
    """Profile intervals by parameter; None where there is none, with the reason."""

    intervals: dict[str, Interval | None]
    reason: str | None


def bootstrap(
    result: FitResult,
    columns: Columns,
    loss: Array,
    *,
    resamples: int,
    rng: np.random.Generator,
    clusters: Array | None = None,
    sigma: float | None = None,
    weights: Array | None = None,
) -> Draws:
    """Refits `result` on resamples.

    Args:
        columns, loss, weights: what it was fitted on.
        clusters: (n,) labels of what is drawn together; None makes every row its own.
        sigma: the seeds' standard deviation in nats, for a parametric bootstrap where there are too few clusters.

    Raises:
        UserError: too few resamples; too few clusters, and no sigma; a sigma that isn't a positive number.
    """
    enough_resamples(resamples)
    if sigma is not None:
        positive_sigma(sigma)
    law = LAWS[result.law]
    _, member = np.unique(np.arange(len(loss)) if clusters is None else clusters, return_inverse=True)
    units = int(member.max()) + 1
    fixed = np.ones(len(loss)) if weights is None else weights
    if units >= CLUSTERS:
        counts = rng.multinomial(units, np.full(units, 1 / units), size=resamples)
        drawn = counts[:, member] * fixed
        parts = [
            refit(law, columns, loss[None], result, weights=drawn[i : i + BATCH]) for i in range(0, resamples, BATCH)
        ]
        return Draws(result.law, "cases" if clusters is None else "clusters", np.vstack(parts), units)
    if sigma is None:
        raise UserError(
            "too few clusters to resample",
            found=f"{units} of them",
            expected=f"at least {CLUSTERS}, or the seeds' standard deviation in nats for a parametric bootstrap",
        )
    centre = result.predict(columns)
    losses = centre * np.exp(rng.standard_normal((resamples, len(loss))) * sigma / centre)
    parts = [
        refit(law, columns, losses[i : i + BATCH], result, weights=None if weights is None else weights[None])
        for i in range(0, resamples, BATCH)
    ]
    return Draws(result.law, "parametric", np.vstack(parts), units)


def profile(result: FitResult, columns: Columns, loss: Array, *, level: float = LEVEL) -> Profile:
    """Profile interval of each parameter: where the objective, minimised over the others, has risen too far.

    A bound of the parameter ends its interval. `allowed` says how far is too far.

    Args:
        columns, loss: what `result` was fitted on, without weights.
    """
    law, start = LAWS[result.law], result.theta
    kind = result.kind if result.kind.kind != "lad" else SMOOTH
    whole = Problem(law, columns, loss[None], kind)
    at, base, _ = whole.descend(start[None])
    rises = _allowed(whole, at[0], level)
    if isinstance(rises, str):
        return Profile(dict.fromkeys(law.names), rises)
    ends = {
        name: _ends(Problem(law, columns, loss[None], kind, held=(name,)), at[0], float(base[0]) + rises[i], i)
        for i, name in enumerate(law.names)
    }
    return Profile({name: interval(*found) for name, found in ends.items()}, None)


def _ends(problem: Problem, at: Array, most: float, index: int) -> tuple[float, float]:
    """Where the objective, minimised over all parameters but one, reaches `most` on either side."""
    logarithmic = problem.law.parameters[index].log

    def rise(value: float, start: Array) -> tuple[float, Array]:
        trial = start.copy()
        trial[index] = value
        theta, values, _ = problem.descend(trial[None])
        return float(values[0]) - most if np.isfinite(values[0]) else np.inf, theta[0]

    def end(bound: float, sign: float) -> float:
        inner, start, step = at[index], at, 0.02
        while True:
            outer = inner * np.exp(sign * step) if logarithmic else inner + sign * step * max(abs(at[index]), 1e-3)
            outer = min(outer, bound) if sign > 0 else max(outer, bound)
            over, moved = rise(outer, start)
            if over > 0:
                return float(optimize.brentq(_first(rise, start), *sorted((inner, outer)), rtol=1e-6))
            if outer == bound:
                return float(bound)
            inner, start, step = outer, moved, step * 2

    return end(float(problem.low[index]), -1.0), end(float(problem.high[index]), 1.0)


def _first(rise: Callable[[float, Array], tuple[float, Array]], start: Array) -> Callable[[float], float]:
    return lambda value: min(rise(value, start)[0], np.finfo(float).max)


def allowed(result: FitResult, columns: Columns, loss: Array, *, level: float = LEVEL) -> Array | str:
    """How far the objective may rise (P,) inside each parameter's profile interval, or why that can't be known.

    With psi the slope of the objective in a residual and psi' its curvature, a parameter's estimate has the variance of
    a sandwich, G (sum psi^2 x x') G with G = (sum psi' x x')^-1, and moving it off by one unit raises the objective
    by 1 / 2G. So twice the rise over the ratio of the two is chi-square of one degree of freedom (Huber and Ronchetti
    2009, section 6.3), or F, for the ratio is estimated. Rows may be noisier in one place than in another.

    psi' is a density of residuals at zero. A row inside the threshold is 1 where that is wide. A fit that holds
    small residuals cheap passes through as many rows as it has free parameters, which say nothing of the density:
    they are left out of its total, and it is taken over the bandwidth of Hall and Sheather (1988), row by row (Powell
    1991), as is done for quantile regression (Koenker 2005, section 3.4). psi^2 is divided by (1 - leverage)^2: the
    sandwich known as HC3, which few rows and few noisy ones don't make too thin.
    """
    kind = result.kind if result.kind.kind != "lad" else SMOOTH
    problem = Problem(LAWS[result.law], columns, loss[None], kind)
    return _allowed(problem, problem.descend(result.theta[None])[0][0], level)


def _allowed(problem: Problem, theta: Array, level: float) -> Array | str:
    residual, slopes = problem.linearised(theta)
    free = ~problem.law.at_bound(theta)
    slopes = slopes[:, free]
    norm = np.linalg.norm(slopes, axis=0)
    slopes = slopes / np.where(norm > 0, norm, 1.0)
    rows, count = slopes.shape
    left, threshold, size = rows - count, problem.objective.threshold, np.abs(residual)
    if left < LEAST_LEFT:
        return f"there are {left} rows more than free parameters; a profile needs {LEAST_LEFT}"
    if size.max() < ROUNDING * max(1.0, float(np.abs(problem.target).max())):
        return "the law passes through every row, so that no noise can be measured"
    curvature = _curvature(size, threshold, count, level)
    leverage = np.einsum("np,pn->n", slopes, np.linalg.pinv(slopes))
    score = (np.clip(residual, -threshold, threshold) / np.maximum(1 - leverage, 1e-6)) ** 2
    inverse = np.linalg.pinv((slopes * curvature[:, None]).T @ slopes)
    ratio = np.full(len(free), score.mean() / curvature.mean())
    ratio[free] = ((inverse @ slopes.T) ** 2 @ score) / np.diag(inverse)
    return ratio * stats.f.ppf(level, 1, left) / 2


def _curvature(size: Array, threshold: float, count: int, level: float) -> Array:
    """What each row adds to the density of residuals at zero, times twice the threshold; (n,) from |residuals| (n,)."""
    if not np.isfinite(threshold):
        return np.ones_like(size)
    left = len(size) - count
    near = min(left, int(np.ceil(2 * _bandwidth(len(size), level) * left)))
    width = max(threshold, float(np.sort(size)[count + near - 1]))
    inside = size <= width
    share = (inside.sum() - count) / left
    return inside * (share * len(size) / inside.sum() * threshold / width)


def _bandwidth(rows: int, level: float) -> float:
    """Hall and Sheather's (1988) half width of the shares around the median, from which its density is taken."""
    return float(
        rows ** (-1 / 3) * stats.norm.ppf((1 + level) / 2) ** (2 / 3) * (1.5 * stats.norm.pdf(0) ** 2) ** (1 / 3)
    )


@dataclass(frozen=True)
class Information:
    """Akaike's and the Bayesian information criterion of a fit, up to a constant of the data; lower is better."""

    aic: float
    aicc: float
    bic: float


def information(result: FitResult, columns: Columns, loss: Array) -> Information:
    """From the residuals of the logarithm, taken as normal with one variance. Beside a held-out test, never alone."""
    rows, count = len(loss), len(result.theta) + 1
    residual = np.log(result.predict(columns)) - np.log(loss)
    fitted = rows * np.log(np.mean(residual**2))
    aic = float(fitted + 2 * count)
    left = rows - count - 1
    return Information(
        aic, aic + 2 * count * (count + 1) / left if left > 0 else np.inf, float(fitted + count * np.log(rows))
    )

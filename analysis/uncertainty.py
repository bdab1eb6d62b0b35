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
from analysis.problem import Objective, Problem
from repro.errors import UserError

CLUSTERS = 12
LEVEL = 0.95
BATCH = 500  # resamples that descend together: what fits a cache
Method = Literal["cases", "clusters", "parametric"]


@dataclass(frozen=True)
class Draws:
    """Resampled parameters of one law.

    Attributes:
        law: its name.
        method: how they were drawn.
        theta: (R, P).
        clusters: how many units were resampled.
    """

    law: str
    method: Method
    theta: Array
    clusters: int

    def interval(self, level: float = LEVEL) -> dict[str, tuple[float, float]]:
        """Percentile interval of each parameter, by name: the k-th of R draws stands for k / (R + 1)."""
        low, high = np.quantile(self.theta, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")
        return {n: (float(a), float(b)) for n, a, b in zip(LAWS[self.law].names, low, high, strict=True)}

    def band(self, columns: Columns, level: float = LEVEL) -> tuple[Array, Array]:
        """Percentile interval of the predicted loss, (n,) and (n,)."""
        predicted = LAWS[self.law].predict(self.theta, columns)
        low, high = np.quantile(predicted, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")
        return low, high


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
        UserError: too few clusters, and no sigma.
    """
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


def profile(
    result: FitResult, columns: Columns, loss: Array, name: str, *, weights: Array | None = None, level: float = LEVEL
) -> tuple[float, float]:
    """Profile interval of one parameter: where the objective, minimised over the others, has risen too far.

    The rise that counts is that of an F test, in units of the objective's own scale (the variance of the score over
    the mean curvature: for least squares the residual variance). A bound of the parameter ends the interval.
    """
    law = LAWS[result.law]
    kind = result.kind if result.kind.kind != "lad" else Objective("huber_log", 1e-5)
    row = None if weights is None else np.asarray(weights, dtype=float)[None]
    problem = Problem(law, columns, loss[None], kind, row, held=(name,))
    at, index = result.theta, law.names.index(name)
    allowed = _scale(problem, at) * stats.f.ppf(level, 1, len(loss) - len(at)) / 2
    base = float(problem.values(at[None])[0])
    low, high = float(problem.low[index]), float(problem.high[index])
    logarithmic = law.parameters[index].log

    def rise(value: float, start: Array) -> tuple[float, Array]:
        trial = start.copy()
        trial[index] = value
        theta, values, _ = problem.descend(trial[None])
        return float(values[0]) - base - allowed, theta[0]

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

    return end(low, -1.0), end(high, 1.0)


def _first(rise: Callable[[float, Array], tuple[float, Array]], start: Array) -> Callable[[float], float]:
    return lambda value: rise(value, start)[0]


def _scale(problem: Problem, theta: Array) -> float:
    residual = problem._residual(theta[None], slice(None))[0]
    threshold = problem.objective.threshold
    score = np.clip(residual, -threshold, threshold)
    inside = float(np.mean(np.abs(residual) <= threshold))
    free = len(residual) - len(theta)
    return float(np.sum(score**2) / free / max(inside, 1 / len(residual)))


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

"""All fits of P2 that are as good as the best one, and what they predict for a size that they weren't fitted to.

At one rate P2 is f(N0) + g(N0) D^-beta with f = (N_C N0^-alpha + E) N0^-delta. Two sizes give g its two constants and leave
f three constants for two values, so that alpha may be anything from where E is 0 up, and the third size's loss with it:
with h = f N0^delta it lies between h2 (h2/h1)^(log(N3/N2) / log(N2/N1)) and h2. Which of them a solver finds depends on
where it starts. Here alpha is fixed at each value of a grid and everything else is fitted again; every fit counts that
resampling the curves can't distinguish from the best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.fits.curve_fits import OBJECTIVE, refit, residual_draws, weighted
from analysis.fits.outcome import LEVEL, Interval, interval, percentiles
from analysis.fits.problem import Problem
from analysis.fits.resample import Resamples
from analysis.laws.law import Array, Columns
from analysis.laws.registry import P2
from analysis.tables.data import Mask
from analysis.tables.rows import Rows

GRID = 16  # values of alpha, evenly in its logarithm over its bounds
LEAST_PART = 0.05  # of f, that each of its two terms has where a descent starts
EXACTLY = 1e-6  # relative excess of the objective that is the solver's own


@dataclass(frozen=True)
class EquallyGood:
    """The set of fits that are as good as the best.

    Attributes:
        alpha: (K,) of the grid, those in the set. objective: (K,) at each.
        theta: (K, P). residual: (K, n) of the rows judged on, predicted - actual, nats.
        low, high: least and largest mean residual of the set, nats.
        interval: from the lower end of the lowest one's resamples to the upper end of the highest one's; None without resamples.
    """

    alpha: Array
    objective: Array
    theta: Array
    residual: Array
    low: float
    high: float
    interval: Interval | None


def equally_good(
    rows: Rows,
    loss: Array,
    train: Mask,
    test: Mask,
    drawn: Resamples | None,
    *,
    level: float = LEVEL,
    start: Array | None = None,
) -> EquallyGood:
    """The set of equally good fits of P2 to the rows of one mask, and their predictions for those of another.

    Args:
        rows: with P2's columns and run_id. loss: (n,) nats per token. drawn: resamples of `rows`.
        start: parameters (P,) near a minimum, instead of a grid of starts.
    """
    columns, wanted = ({name: rows[name][mask] for name in P2.columns} for mask in (train, test))
    theta, values, sums = _profile(columns, loss[train], rows["run_id"][train].astype(str), start)
    best = int(np.argmin(values))
    excess = sums - sums[best]
    # A fit is told from the best where the sum over curves of what it loses is over its own spread.
    error = np.sqrt(sums.shape[1]) * excess.std(axis=1, ddof=1)
    quantile = float(stats.t.ppf(level, sums.shape[1] - 1))
    same = excess.sum(axis=1) <= np.maximum(quantile * error, EXACTLY * values[best])
    theta, values = theta[same], values[same]
    residual = P2.predict(theta, wanted) - loss[test]
    means = residual.mean(axis=1)
    ends = None
    if drawn is not None:
        outer = [
            percentiles(_mean_draws(theta[i], columns, wanted, drawn, loss, train, test), level)
            for i in (int(np.argmin(means)), int(np.argmax(means)))
        ]
        ends = None if outer[0] is None or outer[1] is None else interval(outer[0][0], outer[1][1])
    at = P2.names.index("alpha")
    return EquallyGood(theta[:, at], values, theta, residual, float(means.min()), float(means.max()), ends)


def _profile(columns: Columns, loss: Array, curves: np.ndarray, start: Array | None) -> tuple[Array, Array, Array]:
    """Fits with alpha held: parameters (K, P), objective (K,), and what each curve adds to it, (K, curves)."""
    at, size, flat = (P2.names.index(name) for name in ("alpha", "N_C", "E"))
    held = np.arange(len(P2.names))[None] == at
    problem = Problem(P2, columns, loss[None], OBJECTIVE, held=held)
    alpha = P2.parameters[at]
    middle, tried = float(np.exp(np.log(columns["N0"]).mean())), np.geomspace(alpha.low, alpha.high, GRID)
    ends: dict[int, Array] = {}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # The best of all starts at the middle of the grid; from there each value starts where its neighbour ended.
        for i in sorted(range(GRID), key=lambda i: abs(i - GRID // 2)):
            if ends:
                theta = ends[min(ends, key=lambda j: abs(j - i))][None].copy()
            else:
                theta = problem.starts() if start is None else start[None].copy()
            # Both parts of f are there at the start: from a bound in the logarithm no descent comes back.
            parts = np.stack([theta[:, flat], theta[:, size] * middle ** -theta[:, at]])
            theta[:, flat], of_size = np.maximum(parts, LEAST_PART * parts.sum(axis=0))
            theta[:, size], theta[:, at] = of_size * middle ** tried[i], tried[i]
            own, values, _ = problem.descend(np.clip(theta, problem.low, problem.high))
            ends[i] = own[int(np.argmin(np.where(np.isfinite(values), values, np.inf)))]
    found = np.array([ends[i] for i in range(GRID)])
    residual = np.log(P2.predict(found, columns)) - np.log(loss)
    rows = OBJECTIVE.rows(residual)
    names, member = np.unique(curves, return_inverse=True)
    sums = np.array([np.bincount(member, weights=own, minlength=len(names)) for own in rows])
    return found, sums.sum(axis=1), sums


def _mean_draws(
    theta: Array, columns: Columns, wanted: Columns, drawn: Resamples, loss: Array, train: Mask, test: Mask
) -> Array:
    own = refit(P2, columns, drawn.where(train), loss[train], theta, held=("alpha",))
    return weighted(*residual_draws(P2, own, wanted, drawn.where(test), loss[test]))

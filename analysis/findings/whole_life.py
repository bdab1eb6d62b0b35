"""Training after pruning as a schedule with one event: predicted by the law in N_avg over the whole life, with no further parameter.

The law is fitted to dense runs alone. A model of N weights that saw D0 tokens, lost some and saw D more has the average
(N D0 + N' D) / (D0 + D) over D0 + D tokens, and the law says its loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.findings.law_errors import Measure
from analysis.fits.curve_fits import OBJECTIVE, refit, resamples_of, weighted
from analysis.fits.fit import FitResult, fit, obstacle
from analysis.fits.resample import Resamples
from analysis.laws.law import Array
from analysis.laws.registry import N_AVG
from analysis.noise.curve_noise import CurveNoise
from analysis.noise.spread import Spread
from analysis.tables.post_training import CurvePoints
from analysis.tables.rows import Rows


@dataclass(frozen=True)
class WholeLife:
    """The dense law's predictions for curves of pruned models.

    Attributes:
        fit: to dense losses; None with `reason`. runs: how many dense runs.
        residual: (n,) of the judged points, predicted - actual, nats.
        error: root mean square of the residuals at the curves' last points, beyond the noise of the seeds; None where that isn't known.
        ratio: N_eff / N_avg at the same points, geometric mean. ratios: by curve.
    """

    fit: FitResult | None
    runs: int
    reason: str | None = None
    residual: Array | None = None
    error: Measure | None = None
    ratio: Measure | None = None
    ratios: dict[str, float] | None = None


def whole_life(
    points: CurvePoints, dense: Rows, noise: CurveNoise | None, seeds: Spread | None, resamples: int, seed: int = 0,
) -> WholeLife:  # fmt: skip
    """Fits the law to the dense runs and predicts every point of `points`.

    Args:
        points: of the judged curves. dense: with run_id, N_avg, D and loss. noise: the seeds', of curves. seeds: of a dense run's loss.
        resamples, seed: of the bootstrap over runs, dense ones and curves each among themselves.
    """
    count = len(set(dense["run_id"]))
    columns = {name: dense[name] for name in N_AVG.columns}
    if not len(points):
        return WholeLife(None, count, "no curve is judged")
    if reason := obstacle(N_AVG, columns, dense["loss"]):
        return WholeLife(None, count, f"the law can't be fitted to the dense runs: {reason}")
    result = fit(N_AVG, columns, dense["loss"], OBJECTIVE)
    if result.bounds_hit:
        return WholeLife(result, count, f"the dense law isn't identified: {', '.join(result.bounds_hit)} at a bound")
    rng = np.random.default_rng([seed, 7])
    own = resamples_of(points, resamples, rng, None if noise is None else noise.draw(points, rng, resamples))
    of_dense = resamples_of(
        dense, resamples, rng, None if seeds is None else seeds.by_run(dense["run_id"], resamples, rng)
    )
    residual = result.predict(_life(points)) - points["loss"]
    last = np.array([curve[-1] for curve in points.curves.values()])
    ends = points.where(last)
    worth = np.log(_size(result.theta, ends["D_life"], ends["loss"]) / ends["N_avg"])
    of_squares = of_ratio = None
    if own is not None and of_dense is not None:
        theta = refit(N_AVG, columns, of_dense, dense["loss"], result.theta)
        of_squares, of_ratio = _draws(theta, ends, own.where(last))
    error = None
    if noise is not None:
        sd = noise.over(ends)
        if of_squares is not None:
            of_squares = of_squares - (sd / noise.level.sd * noise.level.guesses(len(of_squares), rng)) ** 2
        error = beyond(sd, float(np.mean(residual[last] ** 2)), of_squares)
    return WholeLife(
        result,
        count,
        None,
        residual,
        error,
        Measure.around(float(np.exp(np.mean(worth))), of_ratio),
        dict(zip(points.curves, np.exp(worth).tolist(), strict=True)),
    )


def beyond(noise: float, squares: float, draws: Array | None = None) -> Measure:
    """A law's error beyond what noise explains, nats.

    Residuals of a law that is off by b have b² and the noise's variance for their mean square. Less that variance its root
    is b, and 0 where noise alone would have as much. The interval is the square's, its ends' roots.

    Args:
        noise: its root mean square, nats. squares: mean square of the residuals, nats².
        draws: resamples (R,) of that mean square less the noise's own, nats².
    """

    def root(square: float) -> float:
        return float(np.sqrt(np.maximum(0.0, square)))

    found = Measure.around(squares - noise**2, draws)
    return Measure(root(found.value), *map(root, found.interval or ()))


def _draws(theta: Array, ends: CurvePoints, own: Resamples) -> tuple[Array, Array]:
    """Mean square of the residuals and mean ratio at the last points, of each resample, (R,) each."""
    losses = own.losses(ends["loss"])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        squares = weighted((N_AVG.predict(theta, _life(ends)) - losses) ** 2, own.counts)
        worth = weighted(np.log(_size(theta, ends["D_life"], losses) / ends["N_avg"]), own.counts)
    return squares, np.exp(worth)


def _life(points: CurvePoints) -> dict[str, Array]:
    return {"N_avg": points["N_avg"], "D": points["D_life"]}


def _size(theta: Array, tokens: Array, loss: Array) -> Array:
    """Dense size of a loss after so many tokens; cut where the law has none that is finite."""
    e, a, alpha, b, beta = (theta[..., i, None] for i in range(5))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        left = np.maximum(loss - e - b * tokens**-beta, np.finfo(float).tiny)
        return np.asarray(np.exp(np.clip(np.log(a / left) / alpha, 0.0, np.log(1e15))))

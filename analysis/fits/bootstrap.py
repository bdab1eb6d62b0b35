"""The bootstrap of one fit: its parameters on resamples of its rows, with intervals and bands of predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.fits import resample
from analysis.fits.fit import FitResult, refit
from analysis.fits.outcome import LEVEL, Interval, enough_resamples, percentiles, positive_sigma
from analysis.fits.resample import Method
from analysis.laws.law import Array, Columns, Law


@dataclass(frozen=True)
class Draws:
    """Resampled parameters of one law.

    Attributes:
        method: how rows were resampled.
        theta: (R, P).
        clusters: how many units were resampled.
        at_bound: share of the resamples in which a parameter sits at one of its bounds, by name, where any does.
    """

    law: Law
    method: Method
    theta: Array
    clusters: int

    @property
    def at_bound(self) -> dict[str, float]:
        share = self.law.at_bound(self.theta).mean(axis=0)
        return {name: float(own) for name, own in zip(self.law.names, share, strict=True) if own}

    def interval(self, level: float = LEVEL) -> dict[str, Interval | None]:
        """Percentile interval of each parameter, by name; None where the draws make none."""
        return {n: percentiles(own, level) for n, own in zip(self.law.names, self.theta.T, strict=True)}

    def band(self, columns: Columns, level: float = LEVEL) -> tuple[Array, Array]:
        """Percentile interval of the predicted loss, (n,) and (n,)."""
        predicted = self.law.predict(self.theta, columns)
        low, high = np.quantile(predicted, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")
        return low, high


def bootstrap(
    result: FitResult,
    columns: Columns,
    loss: Array,
    *,
    resamples: int,
    rng: np.random.Generator,
    clusters: np.ndarray | None = None,
    sigma: float | None = None,
    weights: Array | None = None,
) -> Draws:
    """Refits `result` on resamples; a parametric bootstrap adds its noise to the fitted losses.

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
    drawn = resample.draw(len(loss), resamples, rng, clusters=clusters, sigma=sigma)
    losses = drawn.losses(result.predict(columns) if drawn.method == "parametric" else loss)
    counts = drawn.counts if weights is None else drawn.counts * weights
    return Draws(result.law, drawn.method, refit(result.law, columns, losses, result, weights=counts), drawn.units)

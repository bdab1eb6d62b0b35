"""Resamples of rows, the one way in which every bootstrap here draws them, and the bootstrap of one fit.

Rows are drawn with replacement, in whole clusters (runs of one family share a recipe, and their errors), where there are
at least CLUSTERS of them. With fewer a bootstrap of rows is too narrow, and noise of the seeds' standard deviation is
added to the losses instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.fits.fit import FitResult, refit
from analysis.fits.outcome import LEVEL, Interval, enough_resamples, percentiles, positive_sigma
from analysis.laws.law import Array, Columns, Law
from repro.errors import UserError

CLUSTERS = 12
LEAST_WEIGHT = 1e-6  # of a row that a resample misses: it may miss all but a few, and then has no minimum without them
Method = Literal["cases", "clusters", "parametric"]


@dataclass(frozen=True)
class Resamples:
    """R resamples of n rows.

    Attributes:
        method: cases (rows), clusters, or parametric (noise of the seeds).
        units: rows or clusters there are.
        counts: how often each row was drawn, (R, n); 1 where noise was added.
        noise: what was added to each loss, nats, (R, n); None where rows were drawn.
        redrawn: resamples that were drawn again because they held no row that is needed.
    """

    method: Method
    units: int
    counts: Array
    noise: Array | None = None
    redrawn: int = 0

    @classmethod
    def parametric(cls, noise: Array, units: int | None = None) -> Resamples:
        """Every row once, with the given noise (R, n)."""
        return cls("parametric", noise.shape[1] if units is None else units, np.ones(noise.shape), noise)

    def where(self, rows: NDArray[Any]) -> Resamples:
        """The same resamples of fewer rows: of a mask, or at the given positions."""
        noise = None if self.noise is None else self.noise[:, rows]
        return replace(self, counts=self.counts[:, rows], noise=noise)

    def losses(self, centre: Array) -> Array:
        """Losses of the resamples around `centre` (n,): (R, n) with noise, and `centre` itself, (1, n), without.

        Noise acts on the logarithm, which keeps a loss positive.
        """
        return centre[None] if self.noise is None else centre * np.exp(self.noise / centre)


def draw(
    rows: int,
    resamples: int,
    rng: np.random.Generator,
    *,
    clusters: NDArray[Any] | None = None,
    sigma: float | None = None,
    needed: Sequence[NDArray[np.bool_]] = (),
) -> Resamples:
    """Draws resamples of `rows` rows.

    Args:
        clusters: (n,) labels of what is drawn together; None makes every row its own.
        sigma: the seeds' standard deviation in nats, used where there are too few clusters to draw from.
        needed: masks of rows (n,); a resample that holds no row of one of them is drawn again.

    Raises:
        UserError: too few clusters, and no sigma.
    """
    member = members(rows, clusters)
    units = int(member.max()) + 1
    if units < CLUSTERS:
        if sigma is None:
            raise UserError(
                "too few clusters to resample",
                found=f"{units} of them",
                expected=f"at least {CLUSTERS}, or --sigma, the seeds' standard deviation in nats",
            )
        return Resamples.parametric(rng.standard_normal((resamples, rows)) * sigma, units)
    drawn = rng.multinomial(units, np.full(units, 1 / units), size=resamples)
    redrawn = 0
    held = [np.unique(member[mask]) for mask in needed]
    # A resample misses one unit of any number with a probability of about 1/e, so this ends.
    while held and len(missed := np.flatnonzero(np.any([drawn[:, own].sum(axis=1) == 0 for own in held], axis=0))):
        redrawn += len(missed)
        drawn[missed] = rng.multinomial(units, np.full(units, 1 / units), size=len(missed))
    return Resamples(
        "cases" if clusters is None else "clusters", units, drawn[:, member].astype(float), redrawn=redrawn
    )


def members(rows: int, clusters: NDArray[Any] | None) -> NDArray[np.intp]:
    """Which cluster each row belongs to, (n,), counted from 0 in the order of their labels."""
    _, member = np.unique(np.arange(rows) if clusters is None else clusters, return_inverse=True)
    return member


def unused_sigma(sigma: float | None, method: Method | None) -> list[str]:
    """A note on a given standard deviation of the seeds that no interval used."""
    used = sigma is None or method == "parametric"
    return (
        [] if used else [f"no interval uses --sigma: it is for a bootstrap of fewer than {CLUSTERS} rows or clusters"]
    )


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
    drawn = draw(len(loss), resamples, rng, clusters=clusters, sigma=sigma)
    losses = drawn.losses(result.predict(columns) if drawn.method == "parametric" else loss)
    counts = drawn.counts if weights is None else drawn.counts * weights
    return Draws(result.law, drawn.method, refit(result.law, columns, losses, result, weights=counts), drawn.units)

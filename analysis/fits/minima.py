"""Minima of the loss over sizes at several budgets, by parabolas or by one shape that is estimated from the rows.

A parabola in log N is what Chinchilla's second approach fits to each budget. Curves of the loss are no parabolas over a wide
range: they rise more steeply on one side. Then a parabola takes its misfit for noise, and its minimum is off by an amount that
depends on where the sizes lie. The other way here adds to the parabolas one smooth departure that all budgets share, as they do
under any law E + f(N) + g(D) of two power laws: at its minimum's distance u the curve of budget b is

    level_b + tilt_b u + bend_b u^2 + size_b w(u),

with the scale size_b in proportion to the curve's curvature at its minimum, which goes as a power of the budget. w is a smoothing
spline whose penalty is the square of its third derivative, so that parabolas are free; how smooth it is follows from all
rows by restricted likelihood (Wahba 1990; one shape for several curves: Lawton, Sylvestre and Maggio 1972). Its part in the error
of a minimum is common to all budgets, and so it hardly moves an exponent: covariances say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from analysis.fits.exponents import LEAST, Exponent, line
from analysis.fits.outcome import Interval, percentiles
from analysis.fits.size_curves import SizeCurve
from analysis.laws.law import Array
from repro.errors import UserError

TURNS = 8  # of the alignment: minima move the shape, and the shape the minima
ROUGHNESS = np.concatenate([[0.0], np.geomspace(1e-4, 1e10, 57)])  # variance of the departure over that of the noise
NO_PARABOLA = 6.63  # twice the gain of log likelihood by which a departure is there: 1 in 200 by noise alone


@dataclass(frozen=True)
class Minima:
    """Of k curves.

    Attributes:
        log_size: of the minima, (k,). loss: there, nats, (k,). bend: second derivative there, nats, (k,).
        covariance: of log_size over the noise's variance, (k, k).
        noise: standard deviation of a loss, nats. freedom: degrees that it was measured with; infinite where it is given.
        misshapen: whether the rows show a departure from parabolas.
        drawn: sizes (m,) and losses (m,) of each curve between its least and its largest size.
    """

    log_size: Array
    loss: Array
    bend: Array
    covariance: Array
    noise: float
    freedom: float
    misshapen: bool
    drawn: tuple[tuple[Array, Array], ...]


def spare(curves: Sequence[SizeCurve]) -> int:
    """Number of rows beyond the three that each parabola uses, from which the noise is measured."""
    return sum(len(curve.loss) - 3 for curve in curves)


def find(curves: Sequence[SizeCurve], *, free: bool, sigma: float | None = None) -> Minima:
    """The minima of curves for which `obstacle` is None.

    Args:
        curves: k of them, at least three, with rows to spare unless there is a `sigma`.
        free: whether the shape is left to the rows; else they are parabolas.
        sigma: standard deviation of a loss over seeds, nats; None measures it from what the curves leave over.
    """
    found = _Shape(curves, sigma)
    for _ in range(TURNS if free else 1):
        minima = found.turn(free)
    return minima


class _Shape:
    """What the turns share: parabolas (their columns), the line of the minima, and the scale of each curve."""

    def __init__(self, curves: Sequence[SizeCurve], sigma: float | None):
        self.curves, self.sigma = curves, sigma
        self.log_budget = np.log([curve.budget for curve in curves])
        self.middle = np.array([curve.log_size.mean() for curve in curves])
        self.loss = np.concatenate([curve.loss for curve in curves])
        self.place = np.concatenate([curve.log_size for curve in curves])
        self.own = np.repeat(np.arange(len(curves)), [len(curve.loss) for curve in curves])
        blocks = [_powers(curve.log_size - middle) for curve, middle in zip(curves, self.middle, strict=True)]
        self.columns = block_diag(*blocks)
        self.contrasts = block_diag(*(np.linalg.qr(block, mode="complete")[0][:, 3:] for block in blocks))
        inverse = [np.linalg.inv(block.T @ block) for block in blocks]
        level_tilt_bend = np.array([
            own @ block.T @ curve.loss for own, block, curve in zip(inverse, blocks, curves, strict=True)
        ])  # fmt: skip
        tilt, bend = level_tilt_bend[:, 1], level_tilt_bend[:, 2]
        self.bend_errors = np.diag([own[2, 2] for own in inverse]) / bend**2
        at = -tilt / (2 * bend)
        slopes = np.stack([np.zeros_like(at), np.ones_like(at), 2 * at], axis=1)
        errors = np.einsum("ki,kij,kj->k", slopes, np.array(inverse), slopes) / (2 * bend) ** 2
        self.first_bend = 2 * bend
        self._align(self.middle + at, np.diag(errors), self.first_bend)

    def _align(self, log_size: Array, covariance: Array, bend: Array) -> None:
        """Puts the shape's middle of every curve on the line of minima, and its scale on that of curvatures.

        Much noise may bend a curve the other way for a turn: what aligns stays within its sizes and ten times the parabola's bend.
        """
        log_size = np.clip(log_size, *np.array([(c.log_size[0], c.log_size[-1]) for c in self.curves]).T)
        bend = np.clip(bend, self.first_bend / 10, 10 * self.first_bend)
        self.centre = line(self.log_budget, log_size, covariance, None, 1).at(self.log_budget)
        curvature = line(self.log_budget, np.log(bend), self.bend_errors, None, 1)
        self.scale = np.exp(curvature.slope.value * (self.log_budget - curvature.middle))

    def turn(self, free: bool) -> Minima:
        """One fit around the present centres, which then move to its minima."""
        scale, apart = self.scale[self.own], self.place - self.centre[self.own]
        common = np.outer(scale, scale) * _kernel(apart[:, None] - apart)
        roughness, noise, freedom, misshapen = self._smoothness(common, free)
        rows, k = len(self.loss), len(self.curves)
        system = np.zeros((rows + 3 * k,) * 2)
        system[:rows, :rows] = roughness * common + np.eye(rows)
        system[:rows, rows:], system[rows:, :rows] = self.columns, self.columns.T
        weights = np.linalg.solve(system, np.append(self.loss, np.zeros(3 * k)))

        def queried(which: NDArray[np.intp], place: Array, order: int) -> Array:
            """Rows (m, rows + 3 k) whose product with the weights is a derivative of the curves `which` at `place`."""
            shape = self.scale[which][:, None] * scale * _kernel((place - self.centre[which])[:, None] - apart, order)
            own = _powers(place - self.middle[which], order)
            columns = np.zeros((len(place), k, 3))
            columns[np.arange(len(place)), which] = own
            return np.concatenate([roughness * shape, columns.reshape(len(place), -1)], axis=1)

        every = np.arange(k)
        slope_rows = queried(every, self.centre, 1)
        bend = queried(every, self.centre, 2) @ weights
        step = -(slope_rows @ weights) / bend
        error = -slope_rows @ np.linalg.solve(system, slope_rows.T) / np.outer(bend, bend)
        log_size, covariance = self.centre + step, (error + error.T) / 2
        loss = queried(every, log_size, 0) @ weights
        drawn = []
        for i, curve in enumerate(self.curves):
            place = np.linspace(curve.log_size[0], curve.log_size[-1], 60)
            drawn.append((np.exp(place), queried(np.full(60, i), place, 0) @ weights))
        self._align(log_size, covariance, bend)
        return Minima(log_size, loss, bend, covariance, noise, freedom, misshapen, tuple(drawn))

    def _smoothness(self, common: Array, free: bool) -> tuple[float, float, float, bool]:
        """Roughness, the noise's standard deviation and its degrees of freedom, and whether there is a departure."""
        rows = self.contrasts.shape[1]
        if not rows:
            return 0.0, float(self.sigma or 0), np.inf, False
        values, vectors = np.linalg.eigh(self.contrasts.T @ common @ self.contrasts)
        squares = (vectors.T @ (self.contrasts.T @ self.loss)) ** 2
        weights = 1 + ROUGHNESS[:, None] * np.maximum(values, 0)
        total = (squares / weights).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            misfit = rows * np.log(total) if self.sigma is None else total / self.sigma**2
        criterion = misfit + np.log(weights).sum(axis=1)
        best = int(np.argmin(criterion))
        misshapen = bool(criterion[0] - criterion[best] > NO_PARABOLA)
        chosen = best if free else 0
        if self.sigma is not None:
            return float(ROUGHNESS[chosen]), self.sigma, np.inf, misshapen
        left = max(1, rows - (chosen > 0))
        freedom = max(1.0, min(left, float((1 / weights[chosen]).sum())))
        return float(ROUGHNESS[chosen]), float(np.sqrt(total[chosen] / left)), freedom, misshapen


def _powers(u: Array, order: int = 0) -> Array:
    """1, u and u^2, or a derivative of them, (n, 3)."""
    zero, one = np.zeros_like(u), np.ones_like(u)
    return np.stack([(one, u, u**2), (zero, one, 2 * u), (zero, zero, 2 * one)][order], axis=-1)


def _kernel(u: Array, order: int = 0) -> Array:
    """The generalised covariance of a spline of the third derivative, at distance u, and its derivatives by the first place."""
    size = np.abs(u)
    return np.asarray((-(size**5) / 240, -np.sign(u) * size**4 / 48, -(size**3) / 12)[order])


def resampled(
    curves: Sequence[SizeCurve],
    around: Array,
    value: float,
    *,
    free: bool,
    sigma: float,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[Exponent, list[Interval | None]]:
    """The slope `value` of the line through the minima of k curves, and each best size, with intervals over resampled points.

    Rows are drawn with replacement from each budget. That takes each run's distance from its curve as it is, so that noise that
    differs from run to run is in it; where a budget has few runs, it is wider than the noise's own interval.

    Args:
        around: logarithms of the best sizes by all rows, (k,): sizes are drawn on both sides of them.
        free: see `find`. sigma: standard deviation of a loss, nats, by which a free shape is smooth.

    Returns:
        The exponent, and intervals of the k sizes; None where too many draws have none.

    Raises:
        UserError: too many draws without a slope.
    """
    slope, log_size = np.full(resamples, np.nan), np.full((resamples, len(curves)), np.nan)
    for i in range(resamples):
        drawn = [curve.drawn(rng, at) for curve, at in zip(curves, around, strict=True)]
        kept = np.flatnonzero([curve.obstacle is None for curve in drawn])
        if len(kept) < LEAST:
            continue
        own = [drawn[j] for j in kept]
        found = find(own, free=free, sigma=sigma)
        inside = (found.bend > 0) & [curve.holds(at) for curve, at in zip(own, found.log_size, strict=True)]
        log_size[i, kept[inside]] = found.log_size[inside]
        if inside.sum() >= LEAST:
            budgets = np.log([curve.budget for curve in own])[inside]
            covariance = found.covariance[np.ix_(inside, inside)]
            slope[i] = line(budgets, found.log_size[inside], covariance, None, 1).slope.value
    ends = percentiles(slope)
    if ends is None:
        raise UserError(
            "no interval by a bootstrap over points", key="--bootstrap",
            found=f"fewer than {LEAST} budgets with a minimum in {np.isnan(slope).mean():.0%} of the resamples",
            expected="more sizes a budget; without it the interval is of the noise",
        )  # fmt: skip
    sizes = [percentiles(own) for own in log_size.T]
    return Exponent(value, *ends), [own and (float(np.exp(own[0])), float(np.exp(own[1]))) for own in sizes]

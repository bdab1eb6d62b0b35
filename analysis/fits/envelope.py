"""How the best size depends on compute, from training curves (Hoffmann et al. 2022, approach 1).

Over the FLOP spent, curves of larger models begin higher and end lower. The best size at a budget is that of the lowest curve.
It goes up in steps, because there are few sizes; a line through the steps themselves depends on where the first and the last
are cut off. So what counts here is where the envelope passes from one size to the next: there both are as good, and the best
size lies between them, at their geometric mean for curves of one shape. Sizes are exact and the FLOP of a passage are not, so
the line is one of FLOP over sizes. A curve that lies too low as a whole moves its two passages in opposite directions, which
the covariance of the passages knows of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from analysis.fits.exponents import LEAST, ComputeLine, Exponent, line
from analysis.fits.isoflop import BestSize, Frontier, TokensOf
from analysis.laws.law import Array
from repro.errors import UserError

PLACES = 600  # budgets, evenly in their logarithms, at which curves are compared
LEAST_POINTS = 4  # of a curve
CUBIC = 3
AROUND = np.log(10)


@dataclass(frozen=True)
class TrainingCurve:
    """Losses (G,) of one size at all budgets, nan where it has none. `rows`: behind it."""

    size: float
    loss: Array
    rows: int


@dataclass(frozen=True)
class Passage:
    """From curve `before` to curve `after`.

    Attributes:
        place: of the grid, where the envelope is on `after` first. log_flops: where the curves cross, by a cubic through the
            difference between them a factor of ten to both sides, in which jitter averages out.
        steepness: nats a log FLOP by which they part there.
    """

    before: int
    after: int
    place: int
    log_flops: float
    steepness: float


def envelope(
    size: Array, flops: Array, tokens: Array, loss: Array, runs: np.ndarray | None, *, sigma: float | None = None
) -> Frontier:
    """The power of compute with which the envelope passes through the sizes.

    Args:
        size, flops, tokens, loss: (n,), positive. runs: which run each row is of, (n,); None takes rows of one size as one.
        sigma: of a whole curve over seeds, nats; None takes the scatter about the line.

    Raises:
        UserError: a run of two sizes or too few points, or fewer than three passages.
    """
    grid = np.linspace(np.log(flops.min()), np.log(flops.max()), PLACES)
    curves = _curves(size, flops, loss, size if runs is None else runs, grid)
    if len(curves) < LEAST + 1:
        raise _too_few(f"{len(curves)} sizes", "")
    found = _passages(curves, grid)
    budget = np.exp(grid)
    of_tokens = TokensOf.rows(size, flops, tokens)
    best, kept = [], []
    for one in found:
        before, after = curves[one.before], curves[one.after]
        rows, reason = before.rows + after.rows, _left_out(one, curves)
        if reason:
            best.append(BestSize(float(budget[one.place]), None, None, None, None, None, rows, reason))
            continue
        n, flop = float(np.sqrt(before.size * after.size)), float(np.exp(one.log_flops))
        both = (before.loss[one.place] + after.loss[one.place]) / 2
        best.append(BestSize(flop, n, None, None, of_tokens.at(n, flop), float(both), rows))
        kept.append(one)
    if len(kept) < LEAST:
        raise _too_few(f"{len(kept)} of them", "; ".join(one.left_out for one in best if one.left_out))
    log_size = np.log([b.N for b in best if b.N is not None])
    log_flops = np.array([one.log_flops for one in kept])
    steps = np.zeros((len(kept), len(curves)))
    for i, (one, steep) in enumerate(zip(kept, _smooth(kept, curves, log_flops), strict=True)):
        steps[i, [one.before, one.after]] = -1 / steep, 1 / steep
    inverse = line(log_size, log_flops, steps @ steps.T, sigma, np.inf)
    through = _turned(inverse)
    warnings = list(of_tokens.warnings)
    if through.scattered:
        warnings.append(
            f"the passages lie {through.scatter:.1f} times as far from a power of C as --sigma explains: the interval is based on that scatter"
        )
    there = [(c.size, ~np.isnan(c.loss), c.loss) for c in curves]
    return Frontier(
        method="envelope",
        a_N=through.slope,
        a_D=of_tokens.exponent(through.slope),
        best=tuple(best),
        line=through,
        noise=sigma,
        given=sigma is not None,
        points=(),
        drawn=tuple((n, budget[known][::5], own[known][::5]) for n, known, own in there),
        warnings=tuple(warnings),
    )


def _curves(size: Array, flops: Array, loss: Array, runs: np.ndarray, grid: Array) -> list[TrainingCurve]:
    """By size; several runs of one size are averaged where all of them are."""
    by_size: dict[float, list[tuple[Array, int]]] = {}
    for run in np.unique(runs):
        own = np.flatnonzero(runs == run)
        if len(sizes := np.unique(size[own])) > 1:
            raise UserError(
                "a run of several sizes", key="--clusters", found=f"{sizes[0]:g} and {sizes[1]:g} in run {run}", expected="one N per run"
            )  # fmt: skip
        spent, where = np.unique(flops[own], return_inverse=True)
        if len(spent) < LEAST_POINTS:
            raise UserError(
                "no training curve", key="--method envelope", found=f"{len(spent)} budgets of run {run} (N = {sizes[0]:g})",
                expected=f"at least {LEAST_POINTS} points along each run",
            )  # fmt: skip
        mean = np.bincount(where, loss[own]) / np.bincount(where)
        along = PchipInterpolator(np.log(spent), mean, extrapolate=False)(grid)
        by_size.setdefault(float(sizes[0]), []).append((along, len(own)))
    return [
        TrainingCurve(n, np.mean([along for along, _ in own], axis=0), sum(count for _, count in own))
        for n, own in sorted(by_size.items())
    ]


def _passages(curves: list[TrainingCurve], grid: Array) -> list[Passage]:
    """Of the sequence of sizes that never falls and has the least loss, summed over the grid.

    That it never falls keeps curves with jitter, which cross several times, from passing to and fro.
    """
    losses = np.stack([curve.loss for curve in curves], axis=1)
    absent = 10 * np.nanmax(losses)  # dearer than any curve: taken where there is none
    cost = np.where(np.isnan(losses), absent, losses)
    total, came = cost[0], np.zeros(cost.shape, dtype=int)
    for i in range(1, len(cost)):
        so_far = np.minimum.accumulate(total)
        came[i] = np.maximum.accumulate(np.where(total == so_far, np.arange(len(total)), 0))
        total = so_far + cost[i]
    chosen = [int(np.argmin(total))]
    for i in range(len(cost) - 1, 0, -1):
        chosen.append(int(came[i, chosen[-1]]))
    chosen.reverse()
    found = []
    for place in range(1, len(grid)):
        before, after = chosen[place - 1], chosen[place]
        if before != after:
            apart = grid - grid[place]
            parted = curves[before].loss - curves[after].loss
            near = (np.abs(apart) < AROUND) & ~np.isnan(parted)
            crossing, steepness = _crossing(apart[near], parted[near])
            found.append(Passage(before, after, place, float(grid[place] + crossing), steepness))
    return found


def _crossing(log_flops: Array, parted: Array) -> tuple[float, float]:
    """Where a difference of curves goes through zero nearest to 0, and its slope there; nan where it doesn't."""
    if len(parted) <= CUBIC:
        return np.nan, np.nan
    fitted = np.polynomial.Polynomial.fit(log_flops, parted, CUBIC).convert()
    roots = fitted.roots()
    real = roots[(roots.imag == 0) & (roots.real >= log_flops[0]) & (roots.real <= log_flops[-1])].real
    if not len(real):
        return np.nan, np.nan
    crossing = float(real[np.argmin(np.abs(real))])
    return crossing, float(fitted.deriv()(crossing))


def _left_out(one: Passage, curves: list[TrainingCurve]) -> str | None:
    """Why a passage says nothing of the best size."""
    before, after = curves[one.before], curves[one.after]
    if np.isnan(before.loss[one.place]):
        return f"the curve of N = {before.size:.3g} ends before a larger one reaches it"
    if np.isnan(after.loss[one.place - 1]):
        return f"the curve of N = {after.size:.3g} begins below that of a smaller one"
    if not one.steepness > 0:
        return f"the curves of N = {before.size:.3g} and {after.size:.3g} don't part where the envelope passes between them"
    return None


def _smooth(kept: list[Passage], curves: list[TrainingCurve], log_flops: Array) -> Array:
    """Steepness of each passage, (k,): a power of the budget times how far its sizes lie from each other."""
    ratio = np.log([curves[one.after].size / curves[one.before].size for one in kept])
    slope, level = np.polyfit(log_flops, np.log([one.steepness for one in kept] / ratio), 1)
    return np.asarray(ratio * np.exp(level + slope * log_flops))


def _turned(inverse: ComputeLine) -> ComputeLine:
    """The line of sizes over FLOP, from that of FLOP over sizes."""
    own = inverse.slope
    if own.low <= 0:
        raise UserError(
            "the best size doesn't grow with compute", key="--method envelope",
            found=f"FLOP as N^{own.value:.3g} [{own.low:.3g}, {own.high:.3g}]", expected="a positive power; more sizes or less noise",
        )  # fmt: skip
    slope = Exponent(1 / own.value, 1 / own.high, 1 / own.low)
    return ComputeLine(slope, inverse.middle, inverse.level, inverse.scatter, inverse.scattered)


def _too_few(found: str, why: str) -> UserError:
    return UserError(
        "too few sizes that the envelope passes between", key="--method envelope", found=found + (f"; {why}" if why else ""),
        expected=f"at least {LEAST}: curves of at least {LEAST + 1} sizes that cross",
    )  # fmt: skip

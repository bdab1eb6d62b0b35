"""The best size for a budget under each of many resampled parameters of one law: the bootstrap of Chinchilla's approach 3."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from analysis.fits import limits, optimal
from analysis.fits.optimal import SIZES
from analysis.fits.outcome import Interval, percentiles
from analysis.fits.saved_fit import SavedFit
from analysis.laws.law import Array, Law

STEP = 0.02  # of log N on the grid; the minimum is that of the parabola through its lowest three points
APART = 0.5  # log FLOP to both sides, over which an exponent is taken


def answer(saved: SavedFit, flops: float) -> tuple[dict[str, Any], list[str]]:
    """The best size and tokens for a budget with their exponents, and notes on them."""
    law, best = saved.result.law, optimal.compute_optimal(saved.result, flops)
    assert law.size is not None
    power = float(exponents(law, saved.result.theta[None], flops)[0])
    known = math.isfinite(power)  # it isn't where the search ended at an edge
    found = dataclasses.asdict(best) | {"a_N": power if known else None, "a_D": 1 - power if known else None}
    warnings = [*best.outside, *limits.of_point(saved.rows, {law.size: best.N, "D": best.D})]
    if ends := intervals(saved, flops):
        found["intervals"] = ends
        if lack := [name for name, own in ends.items() if own is None]:
            warnings.append(
                f"no interval of {', '.join(lack)}: too many resamples without a best size, or too few of them"
            )
    return found, warnings


def exponents(law: Law, theta: Array, flops: float) -> Array:
    """a_N = d log N_opt / d log C at a budget, (R,) of parameters (R, P); that of D_opt = C / (6 N_opt) is 1 - a_N.

    nan where a law has no best size between the ends of the search.
    """
    less, more = (_best(law, theta, flops * np.exp(off))[0] for off in (-APART, APART))
    return (more - less) / (2 * APART)


def intervals(saved: SavedFit, flops: float) -> dict[str, Interval | None] | None:
    """95% intervals of the best size, tokens and exponents, by name; None without draws, or with too few for an interval.

    Draws without a best size count as lying beyond both ends.
    """
    if saved.draws is None:
        return None
    log_size, loss = _best(saved.result.law, saved.draws, flops)
    power = exponents(saved.result.law, saved.draws, flops)
    n = np.exp(log_size)
    of = {
        "N": n,
        "D": flops / (6 * n),
        "loss": loss,
        "tokens_per_param": flops / (6 * n**2),
        "a_N": power,
        "a_D": 1 - power,
    }
    return {name: percentiles(values) for name, values in of.items()}


def _best(law: Law, theta: Array, flops: float) -> tuple[Array, Array]:
    """Logarithm of the best size and the loss there, (R,) each; nan at an edge of the search."""
    assert law.size is not None
    grid = np.arange(np.log(SIZES[0]), np.log(SIZES[1]), STEP)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        losses = law.predict(theta, {law.size: np.exp(grid), "D": flops / (6 * np.exp(grid))})
    losses = np.where(np.isfinite(losses), losses, np.inf)
    lowest = np.argmin(losses, axis=1)
    inside = (lowest > 0) & (lowest < len(grid) - 1)
    at = np.where(inside, lowest, 1)
    left, middle, right = (np.take_along_axis(losses, at[:, None] + side, axis=1)[:, 0] for side in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        bend, tilt = left - 2 * middle + right, (right - left) / 2
        off = np.where(inside & (bend > 0), -tilt / bend, np.nan)
    return grid[at] + off * STEP, middle + off * tilt / 2

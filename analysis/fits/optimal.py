"""Optima under a fitted law: the best size for a budget, the best schedule for a wanted model, the least lifetime cost."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import optimize

from analysis.fits.fit import FitResult
from analysis.fits.outcome import Interval, percentiles
from analysis.fits.saved_fit import SavedFit
from analysis.laws.law import Array, Law
from analysis.tables import row_ranges
from repro.errors import UserError

SPARSEST = 0.95  # as far as a schedule is looked for; the paper's runs end at .8
SIZES = (1e3, 1e14)  # parameters between which an optimum is looked for
WIDEST = 12.0  # logarithm of how many times the least size that reaches a loss is looked at
STEP = 0.02  # of log N on the grid; the minimum is that of the parabola through its lowest three points
APART = 0.5  # log FLOP to both sides, over which an exponent is taken
LARGEST_LOG = 600.0  # logarithm of numbers that can be multiplied a few times


@dataclass(frozen=True)
class ComputeOptimal:
    """The least loss that a training budget buys: parameters, tokens, nats per token; tokens_per_param = D / N.

    `outside`: at which edges the search ended, which is then no optimum.
    """

    N: float
    D: float
    loss: float
    flops: float
    tokens_per_param: float
    outside: tuple[str, ...]


@dataclass(frozen=True)
class CheapestRun:
    """A run that ends at a wanted loss.

    Attributes:
        sparsity: final. N_dense, N_avg, N_final: prunable parameters at first, on average over steps, at the end.
        D: tokens. loss: nats per token.
        training_flops: effective, 6 N_avg D. executed_flops: on dense hardware, 6 N_dense D.
        inference_flops: 2 N_final times the tokens to be served. lifetime_flops: the sum of training and inference.
        edges: at which edges the search ended: what is cheapest may lie beyond.
    """

    sparsity: float
    N_dense: float
    N_avg: float
    N_final: float
    D: float
    loss: float
    training_flops: float
    executed_flops: float
    inference_flops: float
    lifetime_flops: float
    edges: tuple[str, ...] = ()


def compute_optimal(result: FitResult, flops: float) -> ComputeOptimal:
    """The N and D of the least predicted loss with 6 N D = `flops`.

    Raises:
        UserError: a law whose columns are not a size and D, or a budget out of range.
    """
    size = result.law.size
    if size is None or result.law.levels:
        raise UserError("no single size in this law", key="law", found=result.law.name, expected="a law in one N and D")
    if not 0 < flops < math.inf:
        raise UserError("value out of range", key="C", found=flops, expected="a positive number")

    def loss(log_size: float) -> float:
        n = math.exp(log_size)
        with np.errstate(over="ignore"):
            return float(result.predict({size: np.array([n]), "D": np.array([flops / (6 * n)])})[0])

    found = optimize.minimize_scalar(loss, bounds=np.log(SIZES), method="bounded", options={"xatol": 1e-10})
    n = math.exp(found.x)
    if not math.isfinite(found.fun):
        raise UserError("the law has no least loss at this budget", key="C", found=flops, expected="another budget")
    edges: tuple[str, ...] = ()
    if min(abs(found.x - np.log(SIZES))) < 1e-3:
        edges = (f"{size} = {n:.3g} is the edge of the search ({SIZES[0]:g} to {SIZES[1]:g}), and no optimum",)
    return ComputeOptimal(n, flops / (6 * n), float(found.fun), flops, flops / (6 * n * n), edges)


def mean_density(sparsity: float, start: float = 0.25, end: float = 0.75) -> float:
    """Density averaged over the steps of a geometric decline between two fractions of effective compute.

    The limit of many events (PAPER: .8928, .7661, .6099, .3996 at 20 to 80%). With d = 1 - sparsity the steps are,
    in units of the dense run's, start + (end - start) * -ln(d) / (1 - d) + (1 - end) / d.
    """
    if sparsity == 0:
        return 1.0
    d = 1 - sparsity
    return 1 / (start + (end - start) * -math.log(d) / (1 - d) + (1 - end) / d)


def plan_for(
    result: FitResult,
    loss: float,
    *,
    n_final: float | None = None,
    inference_tokens: float = 0.0,
    sparsity: float | None = None,
    start: float = 0.25,
    end: float = 0.75,
) -> CheapestRun:
    """The cheapest run of the average-parameter law that ends at `loss`.

    With `n_final` the model that is left has that size, and sparsity decides how large it begins: more sparsity is
    more average parameters and fewer tokens. Without it, size is free too, and what counts is the cost of training
    and of serving `inference_tokens` with the model that is left: 6 N_avg D + 2 N_final T.

    Args:
        sparsity: fixes it (0 is the dense run beside which the others stand); None looks for the best.

    Raises:
        UserError: a law not in N_avg, or a loss that no such run reaches.
    """
    if result.law.name != "N_avg":
        raise UserError("a plan needs the law in N_avg", key="law", found=result.law.name, expected="a fit of N_avg")
    if n_final is None and inference_tokens <= 0:
        raise UserError(
            "neither a final size nor tokens to serve",
            key="N_final",
            expected="N_final=… or T=…, the tokens to be served",
        )
    p = result.parameters
    if not loss > p["E"]:
        raise UserError("no run reaches this loss", key="loss", found=loss, expected=f"more than E = {p['E']:.4g}")

    def at(s: float, n: float) -> CheapestRun | None:
        try:
            average = n / (1 - s) * mean_density(s, start, end)
            left = loss - p["E"] - p["A"] * average ** -p["alpha"]
            if left <= 0:
                return None
            tokens = (p["B"] / left) ** (1 / p["beta"])
        except OverflowError:
            return None
        training, serving = 6 * average * tokens, 2 * n * inference_tokens
        plan = CheapestRun(
            s, n / (1 - s), average, n, tokens, loss, training, 6 * n / (1 - s) * tokens, serving, training + serving
        )
        return plan if math.isfinite(plan.executed_flops + plan.lifetime_flops) else None

    def cost(s: float, n: float) -> float:
        plan = at(s, n)
        return math.inf if plan is None else math.log(plan.lifetime_flops)

    def bestsize_of(s: float) -> tuple[float, bool]:
        """And whether it is where the search for it ended."""
        if n_final is not None:
            return n_final, False
        # Below this size no number of tokens reaches the loss.
        low = math.log(p["A"] / (loss - p["E"])) / p["alpha"] + math.log((1 - s) / mean_density(s, start, end))
        high = low + WIDEST
        if not -LARGEST_LOG < low < high < LARGEST_LOG:
            return math.inf, False
        found = optimize.minimize_scalar(lambda x: cost(s, math.exp(x)), bounds=(low + 1e-6, high), method="bounded")
        return math.exp(found.x), found.x > high - 1e-3

    options = np.linspace(0, SPARSEST, 96).tolist() if sparsity is None else [sparsity]
    sizes = [bestsize_of(s) for s in options]
    costs = [cost(s, n) for s, (n, _) in zip(options, sizes, strict=True)]
    best = int(np.argmin(costs))
    plan = at(options[best], sizes[best][0]) if math.isfinite(costs[best]) else None
    if plan is None:
        raise UserError(
            "no run reaches this loss at this size", key="loss",
            found=f"{loss}{'' if n_final is None else f' with {n_final:,.0f} left'}",
            expected="a higher loss or a larger model",
        )  # fmt: skip
    edges = []
    if sparsity is None and best == len(options) - 1:
        edges.append(f"sparsity {SPARSEST:g} is the edge of the search: sparser is cheaper by this law, without end")
    if sizes[best][1]:
        edges.append(f"N_final = {plan.N_final:.3g} is the edge of the search: larger is cheaper by this law")
    return replace(plan, edges=tuple(edges))


def answer(saved: SavedFit, flops: float) -> tuple[dict[str, Any], list[str]]:
    """The best size and tokens for a budget with their exponents, and notes on them."""
    law, best = saved.result.law, compute_optimal(saved.result, flops)
    assert law.size is not None
    power = float(exponents(law, saved.result.theta[None], flops)[0])
    known = math.isfinite(power)  # it isn't where the search ended at an edge
    found = asdict(best) | {"a_N": power if known else None, "a_D": 1 - power if known else None}
    warnings = [*best.outside, *row_ranges.beyond(saved.rows, {law.size: best.N, "D": best.D})]
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
    of = {"N": n, "D": flops / (6 * n), "loss": loss, "tokens_per_param": flops / (6 * n**2)}
    of |= {"a_N": power, "a_D": 1 - power}
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

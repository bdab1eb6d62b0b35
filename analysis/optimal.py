"""What a fitted law is for: the best size for a budget, the best schedule for a wanted model, the best life-time cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from analysis.fit import FitResult
from analysis.laws import LAWS, PowerLaw
from repro.errors import UserError

SPARSEST = 0.95  # as far as a schedule is looked for; the paper's runs end at .8
SIZES = (1e3, 1e14)  # parameters between which an optimum is looked for


@dataclass(frozen=True)
class ComputeOptimal:
    """The least loss that a training budget buys: parameters, tokens, nats a token; tokens_per_param = D / N."""

    N: float
    D: float
    loss: float
    flops: float
    tokens_per_param: float
    outside: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A run that ends at a wanted loss.

    Attributes:
        sparsity: final. N_dense, N_avg, N_final: prunable parameters at first, on average over steps, at the end.
        D: tokens. loss: nats a token.
        training_flops: effective, 6 N_avg D. executed_flops: on dense hardware, 6 N_dense D.
        inference_flops: 2 N_final times the tokens to be served. lifetime_flops: the sum of training and inference.
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


def compute_optimal(result: FitResult, flops: float) -> ComputeOptimal:
    """The N and D of the least predicted loss with 6 N D = `flops`.

    Raises:
        UserError: a law whose columns are not a size and D, or a budget out of range.
    """
    size = _size(result)
    _positive("C", flops)
    law = LAWS[result.law]

    def loss(log_size: float) -> float:
        n = math.exp(log_size)
        return float(law.predict(result.theta, {size: np.array([n]), "D": np.array([flops / (6 * n)])})[0])

    found = optimize.minimize_scalar(loss, bounds=np.log(SIZES), method="bounded", options={"xatol": 1e-10})
    n = math.exp(found.x)
    edges = ("N is at the edge of what was searched",) if min(abs(found.x - np.log(SIZES))) < 1e-3 else ()
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
) -> Plan:
    """The cheapest run of the average-parameter law that ends at `loss`.

    With `n_final` the model that is left has that size, and sparsity decides how large it begins: more sparsity is
    more average parameters and fewer tokens. Without it, size is free too, and what counts is the cost of training
    and of serving `inference_tokens` with the model that is left: 6 N_avg D + 2 N_final T.

    Args:
        sparsity: fixes it (0 is the dense run beside which the others stand); None looks for the best.

    Raises:
        UserError: a law not in N_avg, or a loss that no such run reaches.
    """
    if result.law != "N_avg":
        raise UserError("a plan needs the law in N_avg", key="law", found=result.law, expected="a fit of N_avg")
    if n_final is None and inference_tokens <= 0:
        raise UserError("nothing to weigh", key="N_final", expected="N_final=… or T=…, the tokens to be served")
    p = result.parameters
    if not loss > p["E"]:
        raise UserError("no run reaches this loss", key="loss", found=loss, expected=f"more than E = {p['E']:.4g}")

    def at(s: float, n: float) -> Plan | None:
        average = n / (1 - s) * mean_density(s, start, end)
        left = loss - p["E"] - p["A"] * average ** -p["alpha"]
        if left <= 0:
            return None
        tokens = (p["B"] / left) ** (1 / p["beta"])
        training, serving = 6 * average * tokens, 2 * n * inference_tokens
        return Plan(
            s, n / (1 - s), average, n, tokens, loss, training, 6 * n / (1 - s) * tokens, serving, training + serving
        )

    def cost(s: float, n: float) -> float:
        plan = at(s, n)
        return math.inf if plan is None else math.log(plan.lifetime_flops)

    def best_size(s: float) -> float:
        if n_final is not None:
            return n_final
        # Below this size no number of tokens reaches the loss.
        least = (p["A"] / (loss - p["E"])) ** (1 / p["alpha"]) / mean_density(s, start, end) * (1 - s)
        low = math.log(least)
        found = optimize.minimize_scalar(
            lambda x: cost(s, math.exp(x)), bounds=(low + 1e-6, low + 12), method="bounded"
        )
        return math.exp(found.x)

    options = np.linspace(0, SPARSEST, 96) if sparsity is None else np.array([sparsity])
    costs = [cost(s, best_size(s)) for s in options]
    if not np.isfinite(min(costs)):
        raise UserError(
            "no run reaches this loss at this size", key="loss", found=f"{loss} with {n_final:,.0f} left",
            expected="a higher loss or a larger model",
        )  # fmt: skip
    chosen = float(options[int(np.argmin(costs))])
    plan = at(chosen, best_size(chosen))
    assert plan is not None
    return plan


def _size(result: FitResult) -> str:
    law = LAWS[result.law]
    if isinstance(law, PowerLaw):
        return law.count
    if law.columns == ("N", "D"):
        return "N"
    raise UserError("no single size in this law", key="law", found=result.law, expected="a law in one N and D")


def _positive(key: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise UserError("value out of range", key=key, found=value, expected="a positive number")

"""How the best learning rate depends on size, tokens and density: log lr* = a + p log N + t log(D/N) + b log(1 - S).

N: prunable weights. D: tokens of the dense run of equal compute. S: final sparsity. The exponents are those that a sweep
file's `rates` takes. All bottoms weigh the same, since the noise of the seeds differs too much over sizes and tokens to be pooled,
and the intervals are Student's t by their scatter around the law. Bowls with the least loss at an edge stay out and are named.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t

from analysis.fits.outcome import Interval
from analysis.rate_laws.learning_rates import Best, BestRates, said

VARIED = 0.1  # least range of a term's logarithm over the bowls, below which it isn't fitted
FORMULA = "lr* = c · N^params · (D/N)^tokens · (1 − final sparsity)^density"


@dataclass(frozen=True)
class Exponents:
    """The fitted law.

    Attributes:
        values: c, and the exponents by name: those whose terms vary over the bowls. intervals: theirs, 95%.
        ranges: least and largest N and D/N of the bowls used.
        scatter: standard deviation of the bottoms' logarithms around the law; None where no degree of freedom is left.
        used: bowls. left_out: those with the least loss at an edge, by name.
        reason: why there are no values.
    """

    values: dict[str, float]
    intervals: dict[str, Interval | None]
    ranges: dict[str, tuple[float, float]]
    scatter: float | None
    used: int
    left_out: tuple[str, ...]
    reason: str | None = None

    def rate(self, params: float, tokens_per_param: float) -> float:
        """The best learning rate of a dense run."""
        found = self.values
        return float(found["c"] * params ** found.get("params", 0.0) * tokens_per_param ** found.get("tokens", 0.0))


def exponents(rates: BestRates) -> Exponents:
    """Fits the law to all bowls whose least loss lies inside the rates tried."""
    usable = [best for best in rates.best if not best.at_edge]
    left_out = tuple(f"{b.size} {b.budget} {b.sparsity:.0%}" for b in rates.best if b.at_edge)

    def none(reason: str) -> Exponents:
        return Exponents({}, {}, {}, None, 0, left_out, reason)

    terms = {
        "params": [math.log(best.n_prunable) for best in usable],
        "tokens": [math.log(best.tokens_per_param) for best in usable],
        "density": [math.log(1 - best.sparsity) for best in usable],
    }
    terms = {name: values for name, values in terms.items() if values and max(values) - min(values) > VARIED}
    if not {"params", "tokens"} & set(terms):
        return none("no two known best rates differ in size or in tokens per parameter")
    design = np.column_stack([np.ones(len(usable)), *terms.values()])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return none("the bowls don't separate the effects of size, tokens and density")
    logs = np.array([math.log(best.lr) for best in usable])
    solution = np.linalg.lstsq(design, logs)[0]
    dof = len(usable) - design.shape[1]
    scatter = float(np.sqrt(np.sum((logs - design @ solution) ** 2) / dof)) if dof else None
    names = ["c", *terms]
    intervals: dict[str, Interval | None] = dict.fromkeys(names)
    if scatter is not None:
        half = t.ppf(0.975, dof) * scatter * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
        intervals = {name: (float(v - h), float(v + h)) for name, v, h in zip(names, solution, half, strict=True)}
    ends = intervals["c"]
    return Exponents(
        dict(zip(names, map(float, solution), strict=True)) | {"c": math.exp(solution[0])},
        intervals | {"c": (math.exp(ends[0]), math.exp(ends[1])) if ends else None},
        {"N": _range([b.n_prunable for b in usable]), "D/N": _range([b.tokens_per_param for b in usable])},
        scatter,
        len(usable),
        left_out,
    )


def _range(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def as_json(rates: BestRates) -> dict[str, Any]:
    """The law as plain values."""
    return {"formula": FORMULA} | vars(exponents(rates))


def lines(rates: BestRates) -> Iterator[str]:
    """The law as text, and what it says for each bowl; nothing where sizes and budgets don't vary."""
    law = exponents(rates)
    if not law.values:
        if law.reason and len({(b.n_prunable, b.tokens_per_param) for b in rates.best}) > 1:
            yield f"no law of lr* in size and tokens: {law.reason}"
        return
    parts = ", ".join(
        f"{name} {value:.3g}{said(law.intervals[name])}" for name, value in law.values.items() if name != "c"
    )
    scatter = "" if law.scatter is None else f"; bottoms lie off it by a factor of {math.exp(law.scatter):.3g} (sd)"
    (least, most), (few, many) = law.ranges["N"], law.ranges["D/N"]
    yield f"{FORMULA}: {parts}, from {law.used} bowls{scatter}"
    yield f"it holds from N {least:,.0f} to {most:,.0f} and D/N {few:.3g} to {many:.3g}"
    sizes: dict[str, Best] = {best.size: best for best in rates.best if best.sparsity == 0}
    middle = math.sqrt(few * many)
    rates_of = ", ".join(f"{size} {law.rate(best.n_prunable, middle):.2g}" for size, best in sizes.items())
    yield f"of dense runs at {middle:.3g} tokens per parameter: lr {rates_of}"
    if law.left_out:
        yield f"left out of it, their best at an edge: {', '.join(law.left_out)}"

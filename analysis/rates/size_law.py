"""How the best learning rate goes with size, tokens and density: log lr* = a + p log N + t log(D/N) + b log(1 - S).

N: prunable weights. D: tokens of the dense run of equal compute. S: final sparsity. The exponents are those that a sweep
file's `rates` takes. Bowls whose bottom is unknown stay out and are named.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.fits.outcome import Interval
from analysis.rates import bottoms
from analysis.rates.learning_rates import Best, BestRates
from analysis.shown import plain

FORMULA = "lr* = c · N^params · (D/N)^tokens · (1 − final sparsity)^density"


@dataclass(frozen=True)
class Exponents:
    """The fitted law.

    Attributes:
        values: c, and the exponents by name: those whose terms vary over the bowls. intervals: theirs, 95%.
        ranges: least and largest N and D/N of the bowls used.
        scatter: Birge ratio, distance from the law over what noise explains; None where no degree of freedom is left.
        used: bowls. left_out: those whose best isn't known, named by size and budget.
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
    """Fits the law to all bowls whose best is known."""
    usable = [best for best in rates.best if bottoms.known(best)]
    left_out = tuple(f"{b.size} {b.budget} {b.sparsity:.0%}" for b in rates.best if b not in usable)

    def none(reason: str | None) -> Exponents:
        return Exponents({}, {}, {}, None, 0, left_out, reason)

    if rates.noise is None:
        return none(rates.reason)
    terms = {
        "params": [math.log(best.n_prunable) for best in usable],
        "tokens": [math.log(best.tokens_per_param) for best in usable],
        "density": [math.log(1 - best.sparsity) for best in usable],
    }
    terms = {name: values for name, values in terms.items() if values and max(values) - min(values) > 0.1}
    if not {"params", "tokens"} & set(terms):
        return none("no two known best rates differ in size or in tokens per parameter")
    design = np.column_stack([np.ones(len(usable)), *terms.values()])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return none("the bowls don't tell size, tokens and density apart")
    fitted = bottoms.fitted(usable, design)
    names = ["c", *terms]
    values = dict(zip(names, fitted.values, strict=True))
    intervals = dict(zip(names, fitted.intervals, strict=True))
    ends = intervals["c"]
    return Exponents(
        values | {"c": math.exp(values["c"])},
        intervals | {"c": (math.exp(ends[0]), math.exp(ends[1])) if ends else None},
        {"N": _range([b.n_prunable for b in usable]), "D/N": _range([b.tokens_per_param for b in usable])},
        fitted.scatter,
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
        f"{name} {value:.3g}{bottoms.said(law.intervals[name])}" for name, value in law.values.items() if name != "c"
    )
    scatter = (
        "" if law.scatter is None else f"; bottoms lie {plain(law.scatter)} times as far from it as noise explains"
    )
    (least, most), (few, many) = law.ranges["N"], law.ranges["D/N"]
    yield f"{FORMULA}: {parts}, from {law.used} bowls{scatter}"
    yield f"it holds from N {least:,.0f} to {most:,.0f} and D/N {few:.3g} to {many:.3g}"
    sizes: dict[str, Best] = {best.size: best for best in rates.best if best.sparsity == 0}
    middle = math.sqrt(few * many)
    said = ", ".join(f"{size} {law.rate(best.n_prunable, middle):.2g}" for size, best in sizes.items())
    yield f"of dense runs at {middle:.3g} tokens per parameter: lr {said}"
    if law.left_out:
        yield f"left out of it, their best not known: {', '.join(law.left_out)}"

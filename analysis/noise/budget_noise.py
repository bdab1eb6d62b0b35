"""The noise of one run's loss, if it may differ between budgets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.laws.law import Array
from analysis.noise.spread import Spread, known_spread

OWN_DOF = 6  # a budget's own noise needs so many degrees of freedom; else all budgets share one
KNOWN_DOF = 10**6  # of a standard deviation that is given


@dataclass(frozen=True)
class BudgetNoise:
    """Standard deviation of one run's loss at each budget.

    Attributes:
        spreads: of each budget; one object for all of them where they share it.
        source: what it was measured from, for a sentence.
    """

    spreads: tuple[Spread, ...]
    source: str

    @property
    def sd(self) -> Array:
        """Nats, (K,)."""
        return np.array([spread.sd for spread in self.spreads])

    def widened(self, scatter: float) -> BudgetNoise:
        """The same with the standard deviations times `scatter`, if that is larger."""
        shared = {
            id(s): Spread.from_squares(s.sd**2 * s.dof * max(1.0, scatter) ** 2, s.dof, s.groups) for s in self.spreads
        }
        return BudgetNoise(tuple(shared[id(spread)] for spread in self.spreads), self.source)

    def draws(self, resamples: int, rng: np.random.Generator) -> Array:
        """Draws (R, K) of the standard deviations, with their uncertainty."""
        held = {id(s): s.sd * np.sqrt(s.dof / rng.chisquare(s.dof, size=resamples)) for s in self.spreads}
        return np.column_stack([held[id(spread)] for spread in self.spreads])


def measured(squares: Array, dof: np.ndarray, groups: np.ndarray, level: float, source: str) -> BudgetNoise | str:
    """From sums of squared deviations, (K,): one sd per budget if all are known well, else one for all; or why there is none.

    Args:
        dof, groups: degrees of freedom and configurations behind each, (K,).
        level, source: see `known_spread` and BudgetNoise.
    """
    if dof.min() >= OWN_DOF:
        each = [known_spread(float(s), int(d), int(g), level) for s, d, g in zip(squares, dof, groups, strict=True)]
        own = tuple(spread for spread in each if isinstance(spread, Spread))
        if len(own) == len(each):
            return BudgetNoise(own, f"{source}, by budget")
    shared = known_spread(float(squares.sum()), int(dof.sum()), int(groups.sum()), level)
    return (
        shared if isinstance(shared, str) else BudgetNoise((shared,) * len(squares), f"{source}, one for all budgets")
    )


def given(sigma: float, count: int) -> BudgetNoise:
    """From a known standard deviation in nats."""
    return BudgetNoise((Spread.from_squares(sigma**2 * KNOWN_DOF, KNOWN_DOF, 0),) * count, "given")

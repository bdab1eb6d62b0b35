"""Runs that could be trained, each with its price: a grid of sizes and tokens within a budget, or a table's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.laws.law import Array, Columns
from repro.errors import UserError

GRID = 16  # sizes, and tokens a parameter, of a grid of runs
ROUNDING = 1e-9  # relative, by which a price may pass a budget


@dataclass(frozen=True)
class PricedRuns:
    """Runs that could be trained: the law's columns, each (m,), and the price of each, (m,)."""

    columns: Columns
    price: Array

    def __len__(self) -> int:
        return len(self.price)

    def where(self, chosen: NDArray[np.bool_]) -> PricedRuns:
        """The runs of a mask."""
        return PricedRuns({name: values[chosen] for name, values in self.columns.items()}, self.price[chosen])


def grid(
    columns: Columns, size: str, target: Mapping[str, float], budget: float, largest: float | None = None
) -> PricedRuns:
    """Runs of many sizes and ratios of tokens to parameters, each at most as dear as the budget in 6 N D.

    Sizes begin at the least of the rows, and ratios are those between the rows' and the target's: a law is trusted no
    further than that.

    Args:
        columns: of the rows, with D; `size` names the other one.
        largest: parameters that no run has more of; None is what the budget pays for.

    Raises:
        UserError: no such run can be paid.
    """
    ratios = np.append(columns["D"] / columns[size], target["D"] / target[size])
    low, high = float(ratios.min()), float(ratios.max())
    least, most = float(columns[size].min()), np.sqrt(budget / (6 * low))
    if largest is not None:
        if largest < least:
            raise UserError(
                "no run is so small", key="--largest", found=f"{largest:g}", expected=f"{least:g} or more, as the rows"
            )
        most = min(most, largest)
    if most < least:
        raise UserError(
            "the budget pays for no run", key="--budget", found=f"{budget:g}",
            expected=f"{6 * low * least**2:.4g} or more: 6 N D of the smallest size at the lowest ratio",
        )  # fmt: skip
    n, ratio = (a.ravel() for a in np.meshgrid(np.geomspace(least, most, GRID), np.geomspace(low, high, GRID)))
    runs = np.unique(np.stack([n, n * ratio], 1), axis=0)
    found = PricedRuns({size: runs[:, 0], "D": runs[:, 1]}, 6 * runs[:, 0] * runs[:, 1])
    return found.where(found.price <= budget * (1 + ROUNDING))

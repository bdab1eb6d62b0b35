"""Runs that could be trained, each with its price: a grid of sizes and tokens within a budget, or a table's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.fits.fit import FitResult
from analysis.laws.law import Array, Columns, Law
from analysis.tables import cells, derived_columns
from analysis.tables.cell_table import CellTable
from analysis.tables.table import usable
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
    result: FitResult,
    columns: Columns,
    loss: Array,
    size: str,
    target: Mapping[str, float],
    budget: float,
    largest: float | None = None,
) -> PricedRuns:
    """A grid of runs over sizes and ratios of tokens to parameters, each with 6 N D at most the budget.

    Sizes begin at the least of the rows, ratios are those between the rows' and the target's, and no predicted loss is
    over all of the rows': a law is trusted no further than that.

    Args:
        columns, loss: what `result` was fitted on, with D; `size` names the other column.
        largest: parameters that no run has more of; None is what the budget pays for.

    Raises:
        UserError: no such run can be paid; sizes or tokens that are not positive.
    """
    if min(columns["D"].min(), columns[size].min(), target["D"], target[size]) <= 0:
        raise UserError(
            "sizes or tokens that aren't positive, for which there is no grid of runs",
            key="--candidates",
            expected="the option, with a table of runs",
        )
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
        raise too_dear(budget, f"{6 * low * least**2:.4g} or more: 6 N D of the smallest size at the lowest ratio")
    n, ratio = (a.ravel() for a in np.meshgrid(np.geomspace(least, most, GRID), np.geomspace(low, high, GRID)))
    runs = np.unique(np.stack([n, n * ratio], 1), axis=0)
    found = PricedRuns({size: runs[:, 0], "D": runs[:, 1]}, 6 * runs[:, 0] * runs[:, 1])
    trusted = result.predict(found.columns) <= loss.max()
    kept = found.where((found.price <= budget * (1 + ROUNDING)) & trusted)
    if not len(kept):
        cheapest = found.price[trusted].min(initial=np.inf)
        raise too_dear(budget, f"{cheapest:.4g} or more, for a loss of {loss.max():.4g} at most")
    return kept


def read(raw: CellTable, law: Law, names: Mapping[str, str], price: str | None, size: str | None) -> PricedRuns:
    """Runs of a table, a row each.

    Args:
        names: of the law's columns in the table; a name that isn't given stands for itself.
        price: the column of prices; None takes 6 N D, with the law's `size` as N.

    Raises:
        UserError: no such column, or a cell that is no such number.
    """
    raw, names = derived_columns.derive(raw, names)
    held = {name: raw.column(names.get(name, name), f"columns.{name}") for name in law.columns}
    if price is not None:
        held["price"] = raw.column(price, "--price")
    comma = raw.comma_in(cell for own in held.values() for cell in own)
    found = {}
    for name, own in held.items():
        key = price if name == "price" and price is not None else names.get(name, name)
        levels, kind = law.levels.get(name, ()), "count" if name == "price" else cells.kind_of(name)
        values = [_level(cell, levels) if levels else cells.number_or_nan(cell, kind, comma) for cell in own]
        for i, value in enumerate(values):
            fits = np.isfinite(value) if levels or name in law.free else usable(name, value)
            if not fits:
                number = "a number" if name in law.free else "a positive, finite number"
                expected = ", ".join(levels) or ("0 or more, under 1" if name == "S" else number)
                raise UserError(
                    "not a run that the law can price", file=raw.source, key=key, found=f"{cells.shown(own[i])} in row {i + 1}",
                    expected=expected,
                )  # fmt: skip
        found[name] = np.array(values)
    if price is not None:
        return PricedRuns(found, found.pop("price"))
    if size is None:
        raise UserError("what a run costs isn't known", key="--price", expected="a column of prices, in any unit")
    return PricedRuns(found, 6 * found[size] * found["D"])


def too_dear(budget: float, expected: str) -> UserError:
    """No run costs so little."""
    return UserError("the budget pays for no run", key="--budget", found=f"{budget:g}", expected=expected)


def _level(cell: Any, levels: tuple[str, ...]) -> float:
    """The number of a label; nan for one that isn't among them."""
    return float(levels.index(str(cell).strip())) if str(cell).strip() in levels else np.nan

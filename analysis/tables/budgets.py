"""Budgets: which rows of a table were trained at one size and on as many tokens, or at one compute.

Where D/N is one ratio in every row, as on a ladder, size and tokens can't be told apart, and compute is what varies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.laws.law import Array, Columns
from analysis.laws.registry import CHINCHILLA
from analysis.tables import table
from analysis.tables.cell_table import CellTable
from analysis.tables.row_ranges import APART
from analysis.tables.table import Table
from repro.errors import UserError

RESAMPLES = 1000  # draws behind intervals, where nobody says how many
ALIKE = 1.02  # counts are one where the larger is at most so many times the smaller


def read(raw: CellTable, columns: Mapping[str, str], exclude: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """The rows, with N and D, or with C alone where the table has neither; and those of `optional` that it has.

    Raises:
        UserError: as `table.read` does; also for a column that holds a number that isn't positive.
    """

    def there(name: str) -> bool:
        return name in columns or raw.usual.get(name, name) in raw.names

    flops_alone = there("C") and not (there("N") or there("D"))
    also = [name for name in optional if there(name)] + ["C"] * flops_alone
    rows = table.read(raw, [] if flops_alone else [CHINCHILLA], columns=columns, exclude=exclude, also=also)
    return positive(rows, also)


def positive(rows: Table, names: Sequence[str]) -> Table:
    """The same rows. Raises UserError for a number that isn't positive in some of their columns, the loss too."""
    for name in names:
        values = rows.loss if name == "loss" else rows.columns[name]
        for i in np.flatnonzero(values <= 0)[:1]:
            row = int(rows.numbers[i])
            raise UserError(
                "not a positive number", file=rows.source, key=rows.names[name], found=f"{values[i]:g} in row {row}",
                expected=f"more than 0; or --exclude row={row}",
            )  # fmt: skip
    return rows


@dataclass(frozen=True)
class Budgets:
    """The budgets of a table, in rising order of compute.

    Attributes:
        member: which budget each row is of, (n,).
        columns: C, training FLOP, and N and D where the table has them; each (K,), geometric means over rows.
        ladder: whether compute alone tells budgets apart.
    """

    member: np.ndarray
    columns: Mapping[str, Array]
    ladder: bool

    @classmethod
    def of(cls, columns: Columns) -> Budgets:
        """Of the rows of a table that has N and D, or C, each (n,) and positive."""
        own = {name: columns[name] for name in ("N", "D", "C") if name in columns}
        if "N" in own:
            own["C"] = 6 * own["N"] * own["D"]
        names = ("N", "D") if "N" in own else ("C",)
        keys = np.array([_levels(own[name]) for name in names])
        _, first = np.unique(keys, axis=1, return_inverse=True)
        logs = {name: _means(np.log(values), first) for name, values in own.items()}
        order = np.argsort(logs["C"], kind="stable")
        found = {name: np.exp(values[order]) for name, values in logs.items()}
        ratio = found["D"] / found["N"] if "N" in found else np.ones(1)
        return cls(np.argsort(order)[first], found, bool(ratio.max() < APART * ratio.min()))

    def __len__(self) -> int:
        return len(self.columns["C"])

    @property
    def told_by(self) -> dict[str, Array]:
        """The columns (K,) that tell them apart: C, or N and D."""
        return {name: self.columns[name] for name in (("C",) if self.ladder else ("N", "D"))}

    def at(self, budget: int, times: float = 1.0) -> dict[str, float]:
        """One budget's counts, at `times` its compute and its own ratio of tokens to parameters."""
        return {name: float(values[0]) for name, values in scaled(self.point(budget), times).items()}

    def point(self, budget: int) -> dict[str, Array]:
        """One budget's counts, each (1,)."""
        return {name: values[[budget]] for name, values in self.columns.items()}


def scaled(columns: Columns, times: Array | float) -> dict[str, Array]:
    """Counts at `times` their compute; N and D grow alike."""
    grow = np.asarray(times, dtype=float)
    return {name: values * (grow if name == "C" else np.sqrt(grow)) for name, values in columns.items()}


def beyond(value: float, values: Array, what: str = "budget") -> str | None:
    """That a number lies beyond those that were tried, and how far; None where it doesn't."""
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(value) or low / ALIKE <= value <= high * ALIKE:
        return None
    if value > high:
        return f"extrapolated {value / high:.3g} times beyond the largest {what}"
    return f"extrapolated {low / value:.3g} times below the smallest {what}"


def shown(at: Mapping[str, Any]) -> str:
    """A budget for a reader: N and D where they are known, else compute."""
    return " ".join(f"{name} {at[name]:.3g}" for name in (("N", "D") if "N" in at else ("C",)))


def _levels(values: Array) -> np.ndarray:
    """Which level each value is of, (n,): a level holds what is at most ALIKE times its least."""
    level, last, found = -1, -math.inf, {}
    for value in np.unique(values):
        if value > last * ALIKE or level < 0:
            level, last = level + 1, float(value)
        found[value] = level
    return np.array([found[value] for value in values])


def _means(values: Array, member: np.ndarray) -> Array:
    return np.asarray(np.bincount(member, weights=values) / np.bincount(member))

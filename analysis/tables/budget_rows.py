"""Rows of a table whose budgets are N and D, or C: what `recipes` and `rates` take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.laws.registry import CHINCHILLA
from analysis.tables import table
from analysis.tables.cell_table import CellTable
from analysis.tables.table import Table
from repro.errors import UserError

RESAMPLES = 1000  # draws behind intervals, where nobody says how many


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
    for name in also:
        if (bad := rows.columns[name] <= 0).any():
            raise UserError(
                "not a positive number", file=raw.source, key=rows.names[name],
                found=f"{rows.columns[name][bad][0]:g} in row {rows.numbers[bad][0]:.0f}", expected=f"{name} over 0",
            )  # fmt: skip
    return rows

"""Groups of rows: those of equal cells in one column of the file."""

from __future__ import annotations

from typing import Any

from analysis.tables import cells
from analysis.tables.table import Table
from repro.errors import UserError


def labels(rows: Table, column: str) -> list[Any]:
    """The cells (n,) of a column that names groups. Raises UserError for one that holds nothing, or what can't be printed."""
    assert rows.raw is not None
    rows.raw.column(column, "--by")
    found = rows.cells(column)
    for cell, row in zip(found, rows.numbers, strict=True):
        if cells.is_missing(cell):
            raise UserError(
                "a row that is of no group", file=rows.source, key=f"--by {column}", found=f"{cells.shown(cell)} in row {row:.0f}",
                expected=f"a name in every row, or --exclude row={row:.0f}",
            )  # fmt: skip
        if not str(cell).isprintable():
            raise UserError(
                "a name that can't be printed",
                file=rows.source,
                key=f"--by {column}",
                found=cells.shown(cell),
                expected="text of one line",
            )
    return found

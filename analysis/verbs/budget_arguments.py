"""What the arguments of `recipes` and `rates` ask for: rows of a table whose budgets are N and D, or C."""

from __future__ import annotations

import argparse
from typing import Any

from analysis.fits.outcome import enough_resamples, positive_sigma
from analysis.laws.registry import CHINCHILLA
from analysis.tables import cells, readers, table
from analysis.verbs.table_arguments import columns_given, say_rows
from repro.errors import UserError
from repro.store.folder import Folder

RESAMPLES = 1000


def add(command: argparse.ArgumentParser, columns: str) -> None:
    """Adds the arguments that both verbs have."""
    command.add_argument("table", metavar="TABLE", help=".csv, .tsv, .json, .jsonl or .parquet, or a results folder")
    command.add_argument(
        "--columns", action="append", default=[], metavar=columns, help="names of the columns in the table"
    )
    command.add_argument("--exclude", action="append", default=[], metavar="COND", help="rows to leave out: loss>=4.5")
    command.add_argument("--sigma", type=float, help="the seeds' standard deviation in nats, where it is known")
    command.add_argument(
        "--bootstrap", type=int, default=RESAMPLES, metavar="R", help="draws behind intervals (%(default)s)"
    )
    command.add_argument("--out", metavar="DIR", help="where to write the figure, as .pdf, .png and .csv")
    command.add_argument("--json", action="store_true", help="one JSON object")


def read(given: argparse.Namespace, optional: tuple[str, ...] = ()) -> table.Table:
    """The rows, with N and D, or with C alone where the table has neither; and those of `optional` that it has.

    Prints what is odd about single rows.

    Raises:
        UserError: as `table.read` does; also for a column that holds a number that isn't positive.
    """
    if given.sigma is not None:
        positive_sigma(given.sigma)
    enough_resamples(given.bootstrap)
    columns, raw = columns_given(given.columns), readers.read(given.table)

    def there(name: str) -> bool:
        return name in columns or raw.usual.get(name, name) in raw.names

    flops_alone = there("C") and not (there("N") or there("D"))
    also = [name for name in optional if there(name)] + ["C"] * flops_alone
    rows = table.read(
        given.table, [] if flops_alone else [CHINCHILLA], columns=columns, exclude=given.exclude, also=also
    )
    say_rows(rows, given.exclude)
    for name in also:
        if (bad := rows.columns[name] <= 0).any():
            raise UserError(
                "not a positive number", file=given.table, key=rows.names[name],
                found=f"{rows.columns[name][bad][0]:g} in row {rows.numbers[bad][0]:.0f}", expected=f"{name} over 0",
            )  # fmt: skip
    return rows


def place(given: argparse.Namespace) -> Folder | None:
    """Where --out asks for a figure. Raises UserError where nothing can be written."""
    if not given.out:
        return None
    folder = Folder.open(given.out)
    folder.check_writable(key="--out")
    return folder


def labels(rows: table.Table, column: str) -> list[Any]:
    """The cells (n,) of a column that names recipes. Raises UserError for one that holds nothing, or what can't be printed."""
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

"""What the arguments of `recipes` and `rates` ask for: rows of a table whose budgets are N and D, or C."""

from __future__ import annotations

import argparse

from analysis.fits.outcome import enough_resamples, positive_sigma
from analysis.tables import budget_rows, readers
from analysis.tables.table import Table
from analysis.verbs.table_arguments import columns_given, say_rows
from repro.store.folder import Folder


def add(command: argparse.ArgumentParser, columns: str) -> None:
    """Adds the arguments that both verbs have."""
    command.add_argument("table", metavar="TABLE", help=".csv, .tsv, .json, .jsonl or .parquet, or a results folder")
    command.add_argument(
        "--columns", action="append", default=[], metavar=columns, help="names of the columns in the table"
    )
    command.add_argument("--exclude", action="append", default=[], metavar="COND", help="rows to leave out: loss>=4.5")
    command.add_argument("--sigma", type=float, help="the seeds' standard deviation in nats, where it is known")
    command.add_argument(
        "--bootstrap", type=int, default=budget_rows.RESAMPLES, metavar="R", help="draws behind intervals (%(default)s)"
    )
    command.add_argument("--out", metavar="DIR", help="where to write the figure, as .pdf, .png and .csv")
    command.add_argument("--json", action="store_true", help="one JSON object")


def read(given: argparse.Namespace, optional: tuple[str, ...] = ()) -> Table:
    """The rows, see `budget_rows`; prints what is odd about single ones."""
    if given.sigma is not None:
        positive_sigma(given.sigma)
    enough_resamples(given.bootstrap)
    rows = budget_rows.read(readers.read(given.table), columns_given(given.columns), given.exclude, optional)
    say_rows(rows, given.exclude)
    return rows


def place(given: argparse.Namespace) -> Folder | None:
    """Where --out asks for a figure. Raises UserError where nothing can be written."""
    if not given.out:
        return None
    folder = Folder.open(given.out)
    folder.check_writable(key="--out")
    return folder

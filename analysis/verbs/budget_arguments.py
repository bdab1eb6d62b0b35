"""What the arguments of `recipes` and `rates` ask for: rows of a table whose budgets are N and D, or C."""

from __future__ import annotations

import argparse

from analysis.fits.outcome import enough_resamples, positive_sigma
from analysis.tables import budgets, readers
from analysis.tables.table import Table
from analysis.verbs.shared_options import BOOTSTRAP, COLUMNS, EXCLUDE, SAME_NAME, SIGMA, TABLE
from analysis.verbs.table_arguments import columns_given, say_rows
from repro.console.shared_options import JSON, OUT
from repro.store.folder import Folder


def add(command: argparse.ArgumentParser) -> None:
    """Adds the arguments that both verbs have."""
    TABLE.add(command)
    COLUMNS.add(command, default_is=SAME_NAME)
    EXCLUDE.add(command, default_is="none")
    SIGMA.add(command, default_is="measured over seeds, else from what the fits leave over")
    BOOTSTRAP.add(command, default=budgets.RESAMPLES)
    OUT.add(command, "the figure is drawn there, as .pdf, .png and .csv", default_is="none is drawn")
    JSON.add(command)


def read(given: argparse.Namespace, optional: tuple[str, ...] = ()) -> Table:
    """The rows, see `budgets.read`; prints what is odd about single ones."""
    if given.sigma is not None:
        positive_sigma(given.sigma)
    enough_resamples(given.bootstrap)
    rows = budgets.read(readers.read(given.table), columns_given(given.columns), given.exclude, optional)
    say_rows(rows, given.exclude)
    return rows


def place(given: argparse.Namespace) -> Folder | None:
    """Where --out asks for a figure. Raises UserError where nothing can be written."""
    if not given.out:
        return None
    folder = Folder.open(given.out)
    folder.check_writable(key="--out")
    return folder

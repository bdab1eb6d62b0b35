"""What the arguments of verbs on any table ask for: its rows, laws, an objective, a place for a figure."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analysis.fits.objective import Objective
from analysis.fits.outcome import enough_resamples, positive_sigma
from analysis.laws.law import Law
from analysis.shown import plain_json
from analysis.tables import budgets, readers, row_flags
from analysis.tables.table import Table
from analysis.verbs import law_arguments
from analysis.verbs.shared_options import BOOTSTRAP, COLUMNS, EXCLUDE, SAME_NAME, SIGMA, TABLE
from repro.console.options import JSON, OUT
from repro.errors import UserError
from repro.store.folder import Folder

if TYPE_CHECKING:
    from analysis.fits.fit_rows import FitRows
    from analysis.fits.group_answers import GroupAnswers, TableAnswer

_PAIR = re.compile(r"""(?:"[^"]*"|\((?:[^()"]|\([^()"]*\))*\)|[^,"])+""")  # commas in quotes and brackets part nothing


def read_laws(given: argparse.Namespace, names: list[str]) -> tuple[FitRows, list[Law]]:
    """The rows that the arguments name, and the laws: those of `names` in their order, then the formulas.

    Prints what is odd about single rows.
    """
    from analysis.fits import law_rows  # brings scipy, which --help does without

    if given.sigma is not None:
        positive_sigma(given.sigma)
    if given.bootstrap:
        enough_resamples(given.bootstrap)
    rows, fitted = law_rows.read(
        readers.read(given.table),
        law_arguments.laws(given, names),
        columns=columns_given(given.columns),
        exclude=given.exclude,
        clusters=given.clusters,
        rule=given.holdout,
        weights=given.weights,
        last=given.last,
    )
    say_rows(rows, given.exclude)
    return rows, fitted


def add_budgets(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of verbs on rows whose budgets are N and D, or C."""
    TABLE.add(command)
    COLUMNS.add(command, default_is=SAME_NAME)
    EXCLUDE.add(command, default_is="none")
    SIGMA.add(command, default_is="measured over seeds, else from what the fits leave over")
    BOOTSTRAP.add(command, default=budgets.RESAMPLES)
    OUT.add(command, "the figure is drawn there, as .pdf, .png and .csv", default_is="none is drawn")
    JSON.add(command)


def read_budgets(given: argparse.Namespace, optional: tuple[str, ...] = ()) -> Table:
    """Their rows, see `budgets.read`; prints what is odd about single ones."""
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


def say_rows(rows: Table, exclude: Sequence[str]) -> None:
    """Prints how many rows each condition leaves, and what is odd about single ones."""
    assert rows.raw is not None
    for line in row_flags.told(exclude, rows.flags, rows.raw.rows):
        print(line, file=sys.stderr)


def show(found: TableAnswer | GroupAnswers[Any], given: argparse.Namespace) -> None:
    """Prints an answer, for a program where --json asks for it."""
    print(json.dumps(plain_json(found.as_json()), indent=1) if given.json else "\n".join(found.lines()))


def figure_of_one(given: argparse.Namespace) -> None:
    """Raises UserError for a figure of several groups."""
    if given.by and given.out:
        raise UserError("a figure of one answer", key="--out", found=f"--by {given.by}", expected="one of the two")


def objective(given: argparse.Namespace) -> Objective:
    """The objective of a fit. Raises UserError for a threshold that it hasn't got, or that is no positive number."""
    return Objective.of(given.objective, given.delta)


def columns_given(words: list[str]) -> dict[str, str]:
    """What `derived_columns` reads, by the laws' names.

    Raises:
        UserError: a pair that is none, and a name given twice.
    """
    columns: dict[str, str] = {}
    for text in words:
        for pair in _PAIR.findall(text):
            name, sign, held = (part.strip() for part in pair.partition("="))
            if not sign or held in ("", '""') or not name:
                raise UserError(
                    "not a column", key="--columns", found=pair, expected="NAME=COLUMN,…, or a formula, or COLUMN:UNIT"
                )
            if name in columns:
                raise UserError(
                    "a name given twice", key="--columns", found=f"{name}={columns[name]}, {name}={held}",
                    expected="one column",
                )  # fmt: skip
            columns[name] = held
    return columns

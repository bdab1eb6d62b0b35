"""What the arguments of `fit`, `compare` and `design` ask for: rows of a table, laws, an objective."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence

from analysis.fits import holdout
from analysis.fits.objective import Objective
from analysis.fits.outcome import enough_resamples, positive_sigma
from analysis.fits.resample import CLUSTERS
from analysis.laws.formulas import declared, formula
from analysis.laws.formulas.formula import Formula
from analysis.laws.law import Law
from analysis.laws.registry import LAWS
from analysis.tables import column_names, readers, row_flags, table
from analysis.tables.cell_table import CellTable
from analysis.tables.column_names import ReadsColumns
from analysis.verbs import law_arguments
from repro.errors import UserError

_PAIR = re.compile(r"""(?:"[^"]*"|\((?:[^()"]|\([^()"]*\))*\)|[^,"])+""")  # commas in quotes and brackets part nothing


def read_laws(given: argparse.Namespace, names: list[str]) -> tuple[table.Table, list[Law]]:
    """The rows that the arguments name, and the laws: those of the registry, then the formulas."""
    written = law_arguments.written_laws(given)
    if not written:
        return _rows(given, names), _laws(names)
    raw = readers.read(given.table)
    known = column_names.known(raw, columns_given(given.columns))
    formulas = [formula.read(own, known) for own in written]
    rows = _rows(given, names, formulas, raw)
    return rows, [*_laws(names), *(declared.law_of(own, rows.levels) for own in formulas)]


def _rows(
    given: argparse.Namespace, names: list[str], formulas: Sequence[Formula] = (), raw: CellTable | None = None
) -> table.Table:
    """The rows that the arguments name. Prints what is odd about single ones.

    Args:
        names: of laws of the registry. formulas: further laws. raw: the table's cells, where they are read already.
    """
    if given.sigma is not None:
        positive_sigma(given.sigma)
    if given.bootstrap:
        enough_resamples(given.bootstrap)
    laws: list[ReadsColumns] = [*_laws(names), *formulas]
    every = [*names, *(own.name for own in formulas)]
    if not every or len(set(every)) < len(every):
        raise UserError("no law, or one twice", key="law", found=", ".join(every), expected="laws, each once")
    needed = {name for law in laws for name in law.columns}
    by = holdout.column_of(given.holdout)
    rows = table.read(
        given.table if raw is None else raw,
        laws,
        columns=columns_given(given.columns),
        exclude=given.exclude,
        clusters=given.clusters,
        also=[by] if by and by not in ("clusters", "loss", *needed) else [],
        labels=list(dict.fromkeys(name for own in formulas for name in own.labels)),
    )
    say_rows(rows, given.exclude)
    return rows


def say_rows(rows: table.Table, exclude: Sequence[str]) -> None:
    """Prints how many rows each condition leaves, and what is odd about single ones."""
    assert rows.raw is not None
    lines = [*row_flags.filters(exclude, rows.flags, rows.raw.rows), *row_flags.summary(rows.flags, exclude)]
    for line in lines:
        print(line, file=sys.stderr)


def objective(given: argparse.Namespace) -> Objective:
    """The objective of a fit. Raises UserError for a threshold that the objective hasn't got, or that is no positive number."""
    if given.delta is None:
        return Objective(given.objective)
    if given.objective in ("lad", "wls"):
        raise UserError(
            "an objective without a threshold", key="--delta", found=given.objective, expected="huber_log, huber"
        )
    if not (math.isfinite(given.delta) and given.delta > 0):
        raise UserError("threshold out of range", key="--delta", found=given.delta, expected="more than 0, and finite")
    return Objective(given.objective, given.delta)


def unused_sigma(sigma: float | None, method: str | None) -> list[str]:
    """What to say of a standard deviation of the seeds that no interval was drawn from."""
    used = sigma is None or method == "parametric"
    return (
        [] if used else [f"no interval uses --sigma: it is for a bootstrap of fewer than {CLUSTERS} rows or clusters"]
    )


def _laws(names: list[str]) -> list[Law]:
    """Laws of the registry. Raises UserError for a name that isn't one."""
    for name in names:
        if name not in LAWS:
            raise UserError("no such law", key="law", found=name, expected=", ".join(LAWS))
    return [LAWS[name] for name in names]


def columns_given(words: list[str]) -> dict[str, str]:
    """What `derived_columns` reads, by the laws' names.

    Raises:
        UserError: a pair that is none, and a name that stands there twice.
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
                    "a name that stands there twice", key="--columns", found=f"{name}={columns[name]}, {name}={held}",
                    expected="one column",
                )  # fmt: skip
            columns[name] = held
    return columns

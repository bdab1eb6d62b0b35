"""Arguments of the library's calls: laws, the rows that they use, and notes about these rows."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

from analysis.fits import law_rows
from analysis.fits.fit_rows import FitRows
from analysis.fits.outcome import enough_resamples, positive_sigma
from analysis.laws.formulas import written
from analysis.laws.formulas.formula_law import FormulaLaw
from analysis.laws.formulas.written import WrittenLaw
from analysis.laws.law import Law
from analysis.library.reading import RunTable
from analysis.tables import row_flags
from analysis.tables.table import Table
from repro.errors import UserError

AnyLaw = str | os.PathLike[str] | Law | WrittenLaw


def law_of(law: AnyLaw) -> Law | WrittenLaw:
    """A registered name, a formula, a law file, a saved fit of a formula, or a law itself.

    Raises:
        UserError: none of these.
    """
    if isinstance(law, FormulaLaw):
        return law.written  # its labels are those of another table
    if isinstance(law, (Law, WrittenLaw)):
        return law
    if isinstance(law, str) and law.strip().isidentifier():
        return law_rows.named(law.strip())
    if isinstance(law, (str, os.PathLike)):
        return law_rows.written_law(os.fspath(law))
    raise UserError(
        "not a law", key="law", found=type(law).__name__, expected="a name, a formula, a law file, or a Law"
    )


def told(
    law: Law | WrittenLaw,
    fix: Mapping[str, float] | None,
    tie: Mapping[str, str] | None,
    bounds: Mapping[str, tuple[float, float]] | None,
) -> Law | WrittenLaw:
    """A law with further declarations of its parameters.

    Raises:
        UserError: something is said of a law that is no formula, or isn't what a law file could say.
    """
    if not (fix or tie or bounds):
        return law
    if not isinstance(law, WrittenLaw):
        raise UserError("an option for formulas only", key="fix, tie, bounds", found=law.name, expected="a formula")
    of_parameters = {name: {"bounds": list(ends)} for name, ends in (bounds or {}).items()}
    data = {"formula": law.formula, "fixed": fix or {}, "tied": tie or {}, "parameters": of_parameters}
    try:
        more = written.of_data(data)
    except UserError as error:
        raise error.but(message="not what can be said of a parameter") from None
    return law.told({name: own.bounds for name, own in more.parameters.items() if own.bounds}, more.fixed, more.tied)


def rows_of(table: RunTable, laws: Sequence[Law | WrittenLaw], rule: str | None) -> tuple[FitRows, list[Law]]:
    """The rows that the laws are fitted to, and the laws. Raises UserError: see `law_rows.read`."""
    return law_rows.read(
        table.raw, laws, columns=table.columns, exclude=table.exclude, clusters=table.clusters, rule=rule,
        weights=table.weights, last=table.last, spare=True,
    )  # fmt: skip


def notes_of(table: RunTable, rows: Table) -> tuple[str, ...]:
    """Notes on the rows: how many each condition leaves, and flags on single rows."""
    return tuple(row_flags.told(table.exclude, rows.flags, table.raw.rows))


def alike(table: RunTable) -> None:
    """Raises UserError for weights of rows and means of evaluations, in calls that use every row as it is."""
    for key, own in (("weights", table.weights), ("last", table.last)):
        if own is not None:
            raise UserError("this call uses every row as it is", key=key, found=own, expected="a table read without it")


def check(bootstrap: int, sigma: float | None, *, needed: bool = False) -> None:
    """Raises UserError for numbers of resamples or a `sigma` that can't be used; `needed`: 0 resamples are too few."""
    if sigma is not None:
        positive_sigma(sigma)
    if bootstrap or needed:
        enough_resamples(bootstrap)


def between(key: str, value: float, over: float, most: float = math.inf) -> None:
    """Raises UserError unless a number is over `over`, at most `most` and finite."""
    try:
        held = math.isfinite(value) and over < value <= most
    except TypeError:
        held = False
    if not held:
        expected = f"a number over {over:g}" + (f", {most:g} at most" if math.isfinite(most) else "")
        raise UserError("out of range", key=key, found=repr(value)[:100], expected=expected)

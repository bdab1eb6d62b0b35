"""Tables for the library: a file, an Arrow table, a data frame or arrays; and the laws, rows and numbers that its calls take."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.fits import law_rows
from analysis.fits.fit_rows import FitRows, LastEvaluations
from analysis.fits.outcome import enough_resamples, positive_sigma
from analysis.laws.formulas import written
from analysis.laws.formulas.formula import FormulaLaw
from analysis.laws.formulas.written import WrittenLaw
from analysis.laws.law import Law
from analysis.library.answer import for_python
from analysis.tables import arrow_tables, conditions, derived_columns, readers, row_flags
from analysis.tables.cell_table import CellTable
from analysis.tables.table import Table
from repro.errors import UserError

KINDS = "a path, a pyarrow table, a pandas or polars DataFrame, or a dict of arrays"


@dataclass(frozen=True, repr=False)
class RunTable:
    """A table, with its columns and options.

    Attributes:
        raw: its cells. columns: what `derived_columns` reads, by the laws' names.
        exclude: conditions; rows that meet any are left out.
        clusters: a column whose equal values are resampled together.
        weights: a column of what each row weighs.
        last: how many last evaluations of a run make its row.
    """

    raw: CellTable
    columns: Mapping[str, str]
    exclude: tuple[str, ...]
    clusters: str | None
    weights: str | None = None
    last: int | str | None = None

    def __repr__(self) -> str:
        said = [f"{self.raw.rows:,} rows of {self.raw.source}; columns {', '.join(self.raw.names)}"]
        said += [f"{name} is {held}" for name, held in self.columns.items()]
        said += [f"without {text}" for text in self.exclude]
        return "; ".join(said)


@for_python
def read(
    source: Any,
    *,
    exclude: str | Sequence[str] = (),
    clusters: str | None = None,
    weights: str | None = None,
    last: int | str | None = None,
    **columns: str,
) -> RunTable:
    """A table of runs.

    Args:
        source: a path of what the commands read, a pyarrow table, a pandas or polars DataFrame, or a dict of arrays (n,).
        exclude: conditions, `loss>=4.5`; rows that meet any are left out, and are named in every result.
        clusters: a column whose equal values are resampled together.
        weights: a column that says what each row weighs in `fit` and `compare`: positive numbers, of which ratios alone count.
        last: `fit` and `compare` take the mean of each run's last so many evaluations as its row, a run being a value of
            `clusters`; by D, or by another column, `"5:step"`.
        columns: the table's columns by the laws' names and `loss`: `N="params", D="tokens:B"`; formulas of columns, too.

    Raises:
        UserError: no table, no such column, or a condition that is none.
    """
    raw = _cells(source)
    asked = (exclude,) if isinstance(exclude, str) else tuple(exclude)
    for text in asked:
        conditions.parse(text)
    for name, held in columns.items():
        if not isinstance(held, str) or held in ("", '""'):
            raise UserError("not a column", key=name, found=repr(held)[:100], expected="the name of one, or a formula")
    derived, names = derived_columns.derive(raw, columns)
    for name, held in names.items():
        derived.column(held, name)
    for key, own in (("clusters", clusters), ("weights", weights)):
        if own is not None:
            raw.column(own, key)
    if last is not None:
        LastEvaluations.of(last)
    return RunTable(raw, columns, asked, clusters, weights, last)


def as_table(table: Any) -> RunTable:
    """A RunTable unchanged; anything else is read with its own column names."""
    return table if isinstance(table, RunTable) else read(table)


def _cells(source: Any) -> CellTable:
    if isinstance(source, (str, os.PathLike)):
        return readers.read(os.fspath(source))
    if isinstance(source, Mapping):
        return _of_arrays(source)
    if hasattr(source, "iloc") and hasattr(source, "columns"):  # pandas, which nothing here imports
        parts = [source.iloc[:, i] for i in range(len(source.columns))]
        known = [part.astype(object).where(part.notna(), None).tolist() for part in parts]
        return CellTable.of("a DataFrame", tuple(str(name) for name in source.columns), known)
    if hasattr(source, "__arrow_c_stream__"):  # pyarrow and polars
        return arrow_tables.arrow(pa.table(source), f"a {type(source).__name__}", {})
    raise UserError("not a table", key="source", found=type(source).__name__, expected=KINDS)


def _of_arrays(source: Mapping[Any, Any]) -> CellTable:
    columns = {str(name): np.asarray(values) for name, values in source.items()}
    for name, values in columns.items():
        if values.ndim != 1:
            raise UserError("not a column", key=name, found=f"an array of shape {values.shape}", expected="(n,)")
    if len({len(values) for values in columns.values()}) > 1:
        counts = ", ".join(f"{name} {len(values)}" for name, values in list(columns.items())[:6])
        raise UserError("columns of unequal length", key="source", found=counts)
    return CellTable.of("a dict", tuple(columns), [values.tolist() for values in columns.values()])


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

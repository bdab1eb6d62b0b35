"""Any table as columns of numbers and a loss: delimited text, JSON, Parquet, or the results folder of a sweep.

An odd row is reported with its number in the file, and so is a row that is left out because it can't be used; nothing is
dropped in silence. Only the requested columns are converted, and only in rows that no condition leaves out. Where
a table gives training FLOP as C, the missing one of N and D follows from C = 6 N D.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from analysis.laws.law import Array
from analysis.tables import cells, column_names, conditions, derived_columns, doubts, readers, row_ranges
from analysis.tables.cell_table import CellTable
from analysis.tables.column_names import LOSS, ReadsColumns
from analysis.tables.row_flags import RowFlag, copies, counted
from analysis.tables.rows import Rows
from repro.errors import UserError


@dataclass(frozen=True)
class Table(Rows):
    """Rows that can be fitted: the columns are positive and have the law's names.

    Attributes:
        source: file or folder.
        loss: nats per token, (n,).
        numbers: those of the rows in the source, (n,); the first is 1.
        clusters: what belongs together in a bootstrap, (n,); None where nothing says so.
        flags: everything odd, rows left out included.
        warnings: what is odd about the table as a whole, a sentence each.
        raw: what it was read from; names: its columns by the laws' names.
        levels: what stands in columns of labels, by the laws' names; `columns` hold the number of each row's label.
    """

    source: str
    loss: Array
    numbers: Array
    clusters: np.ndarray | None
    flags: tuple[RowFlag, ...]
    warnings: tuple[str, ...] = ()
    raw: CellTable | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def where(self, chosen: np.ndarray) -> Self:
        """The rows of a mask."""
        clusters = None if self.clusters is None else self.clusters[chosen]
        own = {"loss": self.loss[chosen], "numbers": self.numbers[chosen], "clusters": clusters}
        return replace(super().where(chosen), **own)

    def cells(self, name: str) -> list[Any]:
        """The cells (n,) of any column of the file, as they stand there."""
        assert self.raw is not None
        cells_of = self.raw.column(name)
        return [cells_of[int(row) - 1] for row in self.numbers]

    def checkpoints(self, residual: Array | None = None) -> list[str]:
        """Whether rows that no cluster holds together look like checkpoints of one run."""
        if self.raw is None or self.clusters is not None:
            return []
        once = [name for name, count in Counter(self.raw.names).items() if count == 1]
        return doubts.of_checkpoints(self.columns, once, self.cells, self.names, residual)


def read(
    source: str | CellTable,
    laws: Sequence[ReadsColumns],
    *,
    columns: Mapping[str, str] | None = None,
    exclude: Sequence[str] = (),
    clusters: str | None = None,
    also: Sequence[str] = (),
    labels: Sequence[str] = (),
    of_loss: bool = True,
) -> Table:
    """The columns that `laws` need, from a file or a results folder.

    Args:
        source: a file or folder, or the cells of one.
        columns: what `derived_columns` reads, by the laws' names and `loss`; a name that isn't given stands for itself.
        exclude: conditions such as `loss>=4.5`, `size=17k` or `row=12,40`; rows that meet any are left out.
        clusters: a column whose equal values are drawn together in a bootstrap.
        also: further columns of numbers, to hold rows out by.
        labels: columns of labels.
        of_loss: what the laws predict is a loss, and neither an error nor an accuracy.

    Raises:
        UserError: no such file or column, a name that isn't used, text where a number should stand, no rows.
    """
    asked = tuple(conditions.parse(text) for text in exclude)
    raw = readers.read(source) if isinstance(source, str) else source
    source = raw.source
    if not raw.rows:
        raise UserError("an empty table", file=source, found="no rows", expected="at least one more than parameters")
    needed = tuple(dict.fromkeys(name for law in laws for name in law.columns))
    wanted = tuple(dict.fromkeys([*needed, LOSS, *also]))
    raw, given = derived_columns.derive(raw, columns or {})
    names = column_names.resolve(raw, laws, (*wanted, *labels), given)
    if of_loss:
        doubts.refuse_other_losses(names.get(LOSS, LOSS), source)
    flags, warnings = _left_out(raw, asked, names)
    left = np.ones(raw.rows, dtype=bool)
    flags += [flag for name in labels for flag in _without_label(raw, names[name])]
    left[[flag.row - 1 for flag in flags]] = False
    if not left.any():
        raise UserError("no row is left", file=source, found=f"{raw.rows} rows, all left out; row 1: {flags[0].reason}")
    positive = {name for law in laws for name in law.columns if name not in law.free}
    also = [name for name in (*also, *needed) if name not in positive]
    found, odd = _numbers(raw, wanted, names, left, also)
    flags += odd
    flags += copies({name: found[name] for name in wanted}, left, {flag.row for flag in odd})
    kept = left.copy()
    kept[[flag.row - 1 for flag in flags if flag.excluded]] = False
    if not kept.any():
        raise UserError("no row is left", file=source, found=f"{raw.rows} rows, all left out; {counted(flags)}")
    by = clusters or names.get("clusters")
    members = None if by is None else np.array([str(cell) for cell in raw.column(by, "--clusters")], dtype=object)
    numbered = {name: _numbered(raw.column(names[name]), kept) for name in labels}
    table = Table(
        {name: values[kept] for name, values in found.items() if name != LOSS}
        | {name: numbers for name, (numbers, _) in numbered.items()},
        source,
        found[LOSS][kept],
        np.flatnonzero(kept).astype(np.float64) + 1,
        None if members is None else members[kept],
        tuple(sorted(flags, key=lambda flag: flag.row)),
        raw=raw,
        names=names,
        levels={name: levels for name, (_, levels) in numbered.items()},
    )
    warnings += doubts.of_loss(names[LOSS], table.loss, source)
    warnings += doubts.of_started(
        {name: names[name] for name in table.columns if name in names}, table.cells, raw.names
    )
    warnings += row_ranges.of_rows(*row_ranges.spans({n: v for n, v in table.columns.items() if n not in labels}))
    return replace(table, warnings=tuple(warnings))


def _left_out(
    raw: CellTable, asked: Sequence[conditions.Condition], names: Mapping[str, str]
) -> tuple[list[RowFlag], list[str]]:
    """Rows that conditions leave out, and what is odd about the conditions."""
    flags, warnings = [], []
    for condition in asked:
        met, none = conditions.meets(condition, raw, names)
        reason = f"left out: {condition.text}"
        flags += [RowFlag(int(i) + 1, reason, True, reason) for i in np.flatnonzero(met)]
        if none:
            warnings.append(none)
        if condition.column is None and "row" in raw.names:
            warnings.append(f'--exclude {condition.text!r} goes by the number of a row; the column is written "row"')
    return flags, warnings


def _numbers(
    raw: CellTable, wanted: Sequence[str], names: Mapping[str, str], left: np.ndarray, free: Sequence[str]
) -> tuple[dict[str, Array], list[RowFlag]]:
    """The wanted columns as numbers (rows,), nan in rows that are not left; and the rows that can't be used."""
    there = [n for n in dict.fromkeys([*wanted, *(["C"] if "C" in names else [])]) if names[n] in raw.names]
    held = {name: raw.column(names[name]) for name in there}
    chosen = np.flatnonzero(left)
    comma = raw.comma_in(held[name][i] for name in there for i in chosen)
    found = {}
    for name in there:
        values = np.full(raw.rows, np.nan)
        for i in chosen:
            try:
                values[i] = cells.number(held[name][i], cells.kind_of(name), comma)
            except cells.NoNumber as error:
                raise UserError(
                    "text in a column of numbers" if isinstance(held[name][i], str) else "no number in a column of numbers",
                    file=raw.source, key=names[name], found=f"{cells.shown(held[name][i])} in row {i + 1}",
                    expected=f"{error}; or --exclude row={i + 1}",
                ) from None  # fmt: skip
        found[name] = values
    for missing, other in (("D", "N"), ("N", "D")):
        if missing in wanted and missing not in found and "C" in found and other in found:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                found[missing] = found["C"] / (6 * found[other])
    flags = []
    for i in chosen:
        wrong = [
            (name, _said(name, held[name][i] if name in held else found[name][i], float(found[name][i])))
            for name in wanted
            if not (math.isfinite(found[name][i]) if name in free else usable(name, found[name][i]))
        ]
        if wrong:
            kind = f"left out: {', '.join(name for name, _ in wrong)} can't be used"
            flags.append(RowFlag(int(i) + 1, f"left out: {', '.join(f'{n} is {v}' for n, v in wrong)}", True, kind))
    return {name: values for name, values in found.items() if name in wanted}, flags


def _said(name: str, cell: Any, value: float) -> str:
    if isinstance(cell, str) and not math.isfinite(value):
        return cell.strip() or "missing"
    return "missing" if cell is None else f"{value:g}{', no share' if name == 'S' and value >= 1 else ''}"


def usable(name: str, value: float) -> bool:
    """Whether a law can have this value in a column of this name."""
    return math.isfinite(value) and (0 <= value < 1 if name == "S" else value > 0)


def _without_label(raw: CellTable, name: str) -> list[RowFlag]:
    """The rows that have nothing in a column of labels."""
    reason = f"left out: {name} is missing"
    return [RowFlag(i + 1, reason, True, reason) for i, cell in enumerate(raw.column(name)) if cells.is_missing(cell)]


def _numbered(column: Sequence[Any], kept: np.ndarray) -> tuple[Array, tuple[str, ...]]:
    """The number of each kept row's label, and the labels: numbers by size, then text by alphabet."""
    own = [str(cell).strip() for cell, there in zip(column, kept, strict=True) if there]

    def place(label: str) -> tuple[float, str]:
        try:
            return float(label), label
        except ValueError:
            return math.inf, label

    levels = tuple(sorted(set(own), key=place))
    at = {label: float(i) for i, label in enumerate(levels)}
    return np.array([at[label] for label in own]), levels

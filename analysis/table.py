"""Any table as columns of numbers and a loss: CSV, JSON lines, Parquet, or the results folder of a sweep.

What is odd about a row is said, with its number in the file, and a row that can't be used is left out aloud; nothing is
dropped in silence. Where a table gives training FLOP as C, the missing one of N and D follows from C = 6 N D.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from analysis.law import Array, Law
from repro import tables
from repro.errors import UserError
from repro.storage import Folder

LOSS = "loss"
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class RowFlag:
    """Something odd about a row. `row`: its number, the first is 1. `excluded`: no fit uses it."""

    row: int
    reason: str
    excluded: bool


@dataclass(frozen=True)
class Table:
    """Rows that can be fitted.

    Attributes:
        source: file or folder.
        columns: by the law's names, each (n,), positive.
        loss: nats a token, (n,).
        rows: their numbers in the source, (n,); the first is 1.
        clusters: what belongs together in a bootstrap, (n,); None where nothing says so.
        flags: everything odd, rows left out included.
    """

    source: str
    columns: dict[str, Array]
    loss: Array
    rows: Array
    clusters: np.ndarray | None
    flags: tuple[RowFlag, ...]

    def __len__(self) -> int:
        return len(self.loss)

    def where(self, chosen: np.ndarray) -> Table:
        """The rows of a mask."""
        clusters = None if self.clusters is None else self.clusters[chosen]
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Table(self.source, columns, self.loss[chosen], self.rows[chosen], clusters, self.flags)


def read(
    source: str,
    laws: Sequence[Law],
    *,
    columns: Mapping[str, str] | None = None,
    exclude: Sequence[str] = (),
    clusters: str | None = None,
) -> Table:
    """The columns that `laws` need, from a file or a results folder.

    Args:
        columns: names in the file by the laws' names and `loss`; a name that isn't given stands for itself.
        exclude: conditions such as `loss>=4.5`, `size=17k` or `row=12,40`; rows that meet any are left out.
        clusters: a column whose equal values are drawn together in a bootstrap.

    Raises:
        UserError: no such file or column, text where a number should stand, no rows.
    """
    raw, usual = _raw(source)
    if not raw.num_rows:
        raise UserError("an empty table", file=source, found="no rows", expected="at least one more than parameters")
    names = {**usual, **(columns or {})}
    wanted = {name for law in laws for name in law.columns} | {LOSS}
    found: dict[str, Array] = {}
    for name in sorted(wanted | {"C", "N", "D"}):
        held = names.get(name, name)
        if held in raw.column_names:
            found[name] = _numbers(raw.column(held), source, held)
        elif name in (columns or {}):
            raise _missing(source, held, raw)
    _derive(found)
    for name in sorted(wanted - set(found)):
        raise _missing(source, names.get(name, name), raw, name)
    labels = None
    if clusters or "clusters" in names:
        labels = np.array(
            [str(v) for v in _column(raw, clusters or names["clusters"], source).to_pylist()], dtype=object
        )
    flags, left_out = _flags({name: found[name] for name in wanted}), np.zeros(raw.num_rows, dtype=bool)
    for condition in exclude:
        met = _meets(raw, condition, source)
        flags += [RowFlag(int(i) + 1, f"left out: {condition}", True) for i in np.flatnonzero(met)]
    for flag in flags:
        left_out[flag.row - 1] |= flag.excluded
    if left_out.all():
        raise UserError(
            "no row is left", file=source, found=f"{raw.num_rows} rows, all left out; row 1: {flags[0].reason}"
        )
    kept = ~left_out
    return Table(
        source,
        {name: values[kept] for name, values in found.items() if name != LOSS},
        found[LOSS][kept],
        np.flatnonzero(kept).astype(np.float64) + 1,
        None if labels is None else labels[kept],
        tuple(sorted(flags, key=lambda flag: flag.row)),
    )


def _raw(source: str) -> tuple[pa.Table, dict[str, str]]:
    """The table as it stands, and what its columns are usually called."""
    folder = Folder.open(source)
    if folder.exists("runs.parquet"):
        usual = {"N": "N_final", "S": "sparsity", "clusters": "family"}
        return tables.read(folder, "runs.parquet"), usual
    path = Path(source)
    if not path.is_file():
        raise UserError(
            "no such table",
            file=source,
            expected="a .csv, .jsonl or .parquet file, or a results folder with runs.parquet",
        )
    readers: dict[str, Callable[[str], pa.Table]] = {
        ".csv": pa.csv.read_csv,
        ".jsonl": pa.json.read_json,
        ".json": pa.json.read_json,
        ".ndjson": pa.json.read_json,
        ".parquet": pa.parquet.read_table,
    }
    if path.suffix not in readers:
        raise UserError(
            "a table of unknown kind", file=source, found=path.suffix or "no ending", expected=", ".join(readers)
        )
    try:
        return readers[path.suffix](source), {}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
        what = "not a table" if path.read_bytes().strip() else "an empty table"
        raise UserError(what, file=source, found=str(error).splitlines()[0]) from error


def _missing(source: str, column: str, raw: pa.Table, name: str | None = None) -> UserError:
    return UserError(
        "no such column",
        file=source,
        key=f"columns.{name or column}",
        found=", ".join(raw.column_names),
        expected=f"{column}; or say --columns {name or column}=ITS_NAME",
    )


def _column(raw: pa.Table, name: str, source: str) -> pa.ChunkedArray:
    if name not in raw.column_names:
        raise _missing(source, name, raw)
    return raw.column(name)


def _numbers(column: pa.ChunkedArray, source: str, name: str) -> Array:
    """A column as floats, null as nan. Raises UserError at the first text."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_null(column.type):
        return np.array([np.nan if v is None else v for v in column.to_pylist()], dtype=float)
    values = []
    for row, value in enumerate(column.to_pylist(), 1):
        try:
            values.append(np.nan if value is None or value == "" else float(value))
        except (TypeError, ValueError):
            raise UserError(
                "text in a column of numbers",
                file=source,
                key=name,
                found=f"{value!r} in row {row}",
                expected="a number",
            ) from None
    return np.array(values)


def _derive(found: dict[str, Array]) -> None:
    """The missing one of N, D from C = 6 N D."""
    for missing, other in (("D", "N"), ("N", "D")):
        if missing not in found and other in found and "C" in found:
            found[missing] = found["C"] / (6 * found[other])


def _flags(found: Mapping[str, Array]) -> list[RowFlag]:
    flags: list[RowFlag] = []
    seen: dict[tuple[float, ...], int] = {}
    names = sorted(found)
    for i, values in enumerate(zip(*(found[name] for name in names), strict=True)):
        row = i + 1
        wrong = [f"{n} is {v:g}" for n, v in zip(names, values, strict=True) if not _usable(n, v)]
        if wrong:
            flags.append(RowFlag(row, f"left out: {', '.join(wrong)}", True))
        elif values in seen:
            flags.append(RowFlag(row, f"a copy of row {seen[values]}, and counted twice", False))
        seen.setdefault(values, row)
    return flags


def _usable(name: str, value: float) -> bool:
    return bool(np.isfinite(value)) and (0 <= value < 1 if name == "S" else value > 0)


def _meets(raw: pa.Table, condition: str, source: str) -> np.ndarray:
    """Which rows meet `COLUMN OP VALUE`; several values behind = are any of them."""
    found = re.fullmatch(r"\s*(.+?)\s*(<=|>=|!=|=|<|>)\s*(.+?)\s*", condition)
    if not found:
        raise UserError(
            "not a condition", key="exclude", found=condition, expected="COLUMN OP VALUE, for example loss>=4.5"
        )
    name, sign, text = found.groups()
    values = list(range(1, raw.num_rows + 1)) if name == "row" else _column(raw, name, source).to_pylist()
    met = np.zeros(raw.num_rows, dtype=bool)
    for word in text.split(",") if sign == "=" else [text]:
        try:
            wanted: Any = float(word)
            held: list[Any] = [np.nan if v is None else float(v) for v in values]
        except (TypeError, ValueError):
            if sign not in ("=", "!="):
                raise UserError(
                    "not a number", key="exclude", found=condition, expected="a number behind < or >"
                ) from None
            wanted, held = word, list(map(str, values))
        met |= np.array([OPERATORS[sign](v, wanted) for v in held], dtype=bool)
    return met

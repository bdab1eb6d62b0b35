"""Parquet and Arrow as columns of cells: a column that holds others adds those, under dotted names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.tables.cell_table import CellTable
from analysis.tables.json_tables import DEEPEST
from repro.errors import UserError

ROWS = 20_000_000  # of a Parquet file


def parquet(data: bytes, source: str) -> CellTable:
    """The table in a Parquet file, whose columns are read when they are asked for.

    Raises:
        UserError: damaged, or too many rows.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        if file.metadata.num_rows > ROWS:
            raise UserError("too long a table", file=source, found=f"{file.metadata.num_rows:,} rows", expected=ROWS)
        fields = list(_fields(file.schema_arrow))

        def cells(at: int) -> list[Any]:
            top, inner, _ = fields[at]
            try:
                read = file.read(columns=[file.schema_arrow.names[top]])
            except (pa.ArrowException, OSError) as error:
                raise _damaged(source, error) from error
            [column] = [
                read.column(i) for i, name in enumerate(read.column_names) if name == file.schema_arrow.names[top]
            ][:1]
            return _values(column, inner)

        names = tuple(name for _, _, name in fields)
        return CellTable(source, names, file.metadata.num_rows, cells)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(source, error) from error


def arrow(table: pa.Table, source: str, usual: Mapping[str, str]) -> CellTable:
    """An Arrow table; `usual` is what the laws' columns are called in it."""
    return CellTable(source, tuple(table.column_names), table.num_rows, lambda at: _values(table.column(at), ()), usual)


def _fields(schema: pa.Schema, depth: int = DEEPEST) -> Iterator[tuple[int, tuple[str, ...], str]]:
    """Of every column, those inside of others too: the place of the outermost, the names inside, the dotted name."""

    def within(field: pa.Field, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if pa.types.is_struct(field.type) and len(path) < depth:
            for i in range(field.type.num_fields):
                yield from within(field.type.field(i), (*path, field.type.field(i).name))
        else:
            yield path

    for top, field in enumerate(schema):
        for path in within(field, ()):
            yield top, path, ".".join((field.name, *path))


def _values(column: pa.ChunkedArray, inner: tuple[str, ...]) -> list[Any]:
    kind = column.type
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        # The shortest decimal that gives the same float32: 0.8 and not 0.800000011920929.
        short = column.combine_chunks().to_numpy(zero_copy_only=False)
        missing = column.is_null().to_pylist()
        return [None if gone else float(str(value)) for value, gone in zip(short, missing, strict=True)]
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind) or pa.types.is_date(kind):
        return column.cast(pa.string()).to_pylist() if not pa.types.is_duration(kind) else ["a duration"] * len(column)
    values: list[Any] = column.to_pylist()
    for name in inner:
        values = [None if value is None else value.get(name) for value in values]
    return values


def _damaged(source: str, error: Exception) -> UserError:
    return UserError("not a readable Parquet file", file=source, found=" ".join(str(error).split())[:200])

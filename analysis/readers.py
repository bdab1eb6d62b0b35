"""Files of tables as columns of cells: delimited text, JSON and Parquet, by what is in them as much as by their names.

Cells stay as they stand in the file, so that a column that nobody asks for can hold anything.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from analysis import delimited, json_tables
from analysis.cells import Comma
from repro import paths, tables
from repro.errors import UserError
from repro.store.folder import Folder

LARGEST = 1 << 29  # bytes of text, unpacked
ROWS = 20_000_000  # rows of a Parquet file
DELIMITED = (".csv", ".tsv", ".tab", ".txt", ".dat")
JSON = (".json", ".jsonl", ".ndjson")
KINDS = (
    "a .csv, .tsv, .txt, .json, .jsonl or .parquet file (.gz, .bz2 and .xz too), or a results folder with runs.parquet"
)
PACKED: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_PACKED_AS = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ": ".xz"}
# How files begin that are no text, whatever they are called: what they are, and what to do.
_FOREIGN = {
    b"PK\x03\x04": ("a spreadsheet or a zip archive", "the sheet saved as CSV, or the file that is in the archive"),
    b"\xd0\xcf\x11\xe0": ("an old spreadsheet", "the sheet saved as CSV"),
    b"ARROW1": ("an Arrow file", "Parquet or CSV"),
    b"FEA1": ("a Feather file", "Parquet or CSV"),
    b"\x28\xb5\x2f\xfd": ("a zstd file", "the file unpacked, or packed with gzip"),
    b"\x93NUMPY": ("a NumPy array", "CSV with names of columns"),
    b"\x89HDF": ("an HDF5 file", "CSV or Parquet"),
    b"SQLite format 3": ("an SQLite database", "a table of it as CSV"),
    b"version https://git-lfs": ("a Git LFS pointer", "the file itself: git lfs pull"),
    b"<!DOCTYPE": ("a web page", "the raw file"),
    b"<!doctype": ("a web page", "the raw file"),
    b"<html": ("a web page", "the raw file"),
    b"%PDF": ("a PDF", "CSV"),
    b"\x80\x04": ("a pickle, which could run code", "CSV or Parquet"),
    b"\x80\x05": ("a pickle, which could run code", "CSV or Parquet"),
}
_SHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


@dataclass(frozen=True)
class Raw:
    """A table as it stands.

    Attributes:
        source: file or folder.
        names: of the columns, in their order; one may stand there twice.
        rows: how many.
        cells: the cells (rows,) of a column by its position.
        usual: what the laws' columns are called in such a table.
        comma: what a comma in a number means, where the kind of file says so.
    """

    source: str
    names: tuple[str, ...]
    rows: int
    cells: Callable[[int], list[Any]]
    usual: Mapping[str, str]
    comma: Comma | None = None

    def column(self, name: str, key: str | None = None) -> list[Any]:
        """The cells of a column. Raises UserError where there is none of that name, or two."""
        found = [i for i, own in enumerate(self.names) if own == name]
        if len(found) > 1:
            raise UserError(
                "two columns of one name", file=self.source, key=key or name,
                found=f"{name} in columns {' and '.join(str(i + 1) for i in found)}", expected="one, or another name",
            )  # fmt: skip
        if not found:
            raise UserError(
                "no such column", file=self.source, key=key, found=name, expected=listed(self.names, like=name)
            )
        return self.cells(found[0])


def listed(names: tuple[str, ...] | list[str], like: str = "", most: int = 30) -> str:
    """Names for a message: at first those that differ in case alone."""
    near = [name for name in names if name.lower() == like.lower()]
    order = [*near, *(name for name in dict.fromkeys(names) if name not in near)]
    return ", ".join(order[:most]) + (f" and {len(order) - most} more" if len(order) > most else "")


def read(source: str) -> Raw:
    """The table in a file, or the runs of a results folder.

    Raises:
        UserError: no file, or none that is a table.
    """
    folder = Folder.open(source)
    if folder.exists("runs.parquet"):
        return _arrow(
            source, tables.read(folder, "runs.parquet", "runs"), {"N": "N_final", "S": "sparsity", "clusters": "family"}
        )
    data = _bytes(source)
    endings = re.findall(r"\.[^.]+", source.rsplit("/", 1)[-1].lower())
    packed = next((kind for start, kind in _PACKED_AS.items() if data.startswith(start)), None)
    if packed:
        data = _unpacked(data, packed, source)
        endings = endings[:-1] if endings and endings[-1] in PACKED else endings
    ending = endings[-1] if endings else ""
    if data.startswith(b"PAR1"):
        return _parquet(source, data)
    for start, (what, wanted) in _FOREIGN.items():
        if data.startswith(start):
            raise UserError("a table of unknown kind", file=source, found=what, expected=wanted)
    if ending in _SHEETS:
        raise UserError(
            "a table of unknown kind", file=source, found="a spreadsheet", expected="the sheet saved as CSV"
        )
    if ending not in (*DELIMITED, *JSON, ".parquet"):
        raise UserError("a table of unknown kind", file=source, found=ending or "no ending", expected=KINDS)
    if not data.strip():
        raise UserError("an empty table", file=source, found="nothing", expected="names of columns, and rows")
    if ending == ".parquet":
        raise UserError("not a Parquet file", file=source, found=repr(data[:12]), expected="PAR1 at its beginning")
    text = _text(data, source)
    if ending in JSON:
        names, columns = json_tables.read(text, source)
        return Raw(source, names, len(columns[0]) if columns else 0, columns.__getitem__, {})
    found = delimited.read(text, source, "\t" if ending in (".tsv", ".tab") else None, LARGEST)
    return Raw(source, found.names, found.rows, found.cells, {}, found.comma)


def _bytes(source: str) -> bytes:
    if "://" in source:
        where, _, name = source.rpartition("/")
        folder = Folder.open(where)
    else:
        place = paths.expand(source)
        where, _, name = place.rpartition("/")
        folder = Folder.open(where or ("/" if place.startswith("/") else "."))
    info = folder.filesystem.get_file_info(f"{folder}/{name}")
    if info.type != fs.FileType.File or not name:
        found = {fs.FileType.Directory: "a folder without runs.parquet", fs.FileType.Unknown: "no file"}.get(info.type)
        raise UserError("no such table", file=source, found=found, expected=KINDS)
    if info.size > LARGEST:
        raise UserError("too large a table", file=source, found=f"{info.size:,} bytes", expected=f"at most {LARGEST:,}")
    with folder.filesystem.open_input_file(info.path) as file:  # a stream would unpack it, however much that is
        data: bytes = file.read()
    return data


def _unpacked(data: bytes, kind: str, source: str) -> bytes:
    try:
        with PACKED[kind](io.BytesIO(data)) as stream:
            found = stream.read(LARGEST + 1)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise UserError(f"a damaged {kind} file", file=source, found=str(error)) from error
    if len(found) > LARGEST:
        raise UserError("too large a table", file=source, found="more, unpacked", expected=f"at most {LARGEST:,} bytes")
    return found


def _text(data: bytes, source: str) -> str:
    """Decoded: UTF-8, or UTF-16 and UTF-32 as a byte-order mark or their zeros say."""
    encoding = "utf-8-sig"
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        encoding = "utf-32"
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in data[:200]:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(
            f"not {encoding.removesuffix('-sig').upper()} text", file=source,
            found=f"byte {data[error.start]:#04x} in line {line}", expected="UTF-8: a spreadsheet saves as `CSV UTF-8`",
        ) from error  # fmt: skip
    if "\0" in text:
        raise UserError("not text", file=source, found="a NUL character", expected="UTF-8")
    return text


# ---------------------------------------------------------------- Arrow


def _parquet(source: str, data: bytes) -> Raw:
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
        return Raw(source, names, file.metadata.num_rows, cells, {})
    except (pa.ArrowException, OSError) as error:
        raise _damaged(source, error) from error


def _arrow(source: str, table: pa.Table, usual: Mapping[str, str]) -> Raw:
    return Raw(source, tuple(table.column_names), table.num_rows, lambda at: _values(table.column(at), ()), usual)


def _fields(schema: pa.Schema, depth: int = json_tables.DEEPEST) -> Iterator[tuple[int, tuple[str, ...], str]]:
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

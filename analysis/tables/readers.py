"""Which reader a file needs: delimited text, JSON or Parquet, by what is in it as much as by its name."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from pyarrow import fs

from analysis.tables import arrow_tables, json_tables
from analysis.tables.cell_table import CellTable
from analysis.tables.cells import number_or_nan
from repro import paths, tables
from repro.errors import UserError
from repro.store.folder import Folder

LARGEST = 1 << 29  # bytes of text, unpacked
USUAL = {  # what the laws' columns are called in a runs table
    "N": "N_final", "S": "sparsity", "clusters": "family", "N0": "N_total_before", "N1": "N_total", "L0": "L_before",
}  # fmt: skip
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


def read(source: str) -> CellTable:
    """The table in a file, or the runs of a results folder.

    Raises:
        UserError: no file, or none that is a table.
    """
    folder = Folder.open(source)
    if folder.exists("runs.parquet"):
        return arrow_tables.arrow(tables.read(folder, "runs.parquet", "runs"), source, USUAL)
    data = _bytes(source)
    endings = re.findall(r"\.[^.]+", source.rsplit("/", 1)[-1].lower())
    packed = next((kind for start, kind in _PACKED_AS.items() if data.startswith(start)), None)
    if packed:
        data = _unpacked(data, packed, source)
        endings = endings[:-1] if endings and endings[-1] in PACKED else endings
    ending = endings[-1] if endings else ""
    if data.startswith(b"PAR1"):
        return arrow_tables.parquet(data, source)
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
        return json_tables.read(text, source)
    return _delimited(text, source, "\t" if ending in (".tsv", ".tab") else None)


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
    encoding = json.detect_encoding(data)
    if encoding == "utf-8":
        encoding = "utf-16-be" if b"\0" in data[:200] else "utf-8-sig"
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


def _delimited(text: str, source: str, delimiter: str | None) -> CellTable:
    """The cells of a text. Blank lines and comments are passed over, rows that end early are filled up.

    Args:
        delimiter: between cells; None: as the first line that is no comment tells.

    Raises:
        UserError: no line with names, a row of more cells than names, or quotes that don't close.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = 0
    if lines and (told := re.fullmatch(r'"?sep=(.)"?', lines[0].strip(), re.IGNORECASE)):
        delimiter, at = told[1], 1
    while at < len(lines) and (not lines[at].strip() or lines[at].lstrip().startswith("#")):
        at += 1
    if at == len(lines):
        raise UserError("an empty table", file=source, found="comments alone", expected="names of columns, and rows")
    delimiter = delimiter or _delimiter(lines[at])
    csv.field_size_limit(LARGEST)  # a column that nobody asks for may hold whole texts
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO("\n".join(lines[at:])), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            cells_of = [cell for cell in row if cell] if delimiter == " " else row
            comment = bool(rows) and row[:1] and row[0].startswith("#") and len(cells_of) != len(rows[0])
            if any(map(str.strip, row)) and not comment:
                rows.append(cells_of)
    except csv.Error as error:
        raise UserError("not a table", file=source, found=f"{error} in line {at + reader.line_num}") from error
    head = [name.strip() for name in rows[0]]
    if all(math.isfinite(number_or_nan(name)) for name in head):
        raise UserError(
            "a table without names of columns", file=source, found=", ".join(head[:6]),
            expected="a first line that names them",
        )  # fmt: skip
    body = rows[1:]
    for i, row in enumerate(body, 1):
        # A spreadsheet leaves empty cells out at the end of a row, or adds some.
        if len(row) > len(head) and any(cell.strip() for cell in row[len(head) :]):
            raise UserError(
                "a row of more cells than there are columns", file=source, found=f"{len(row)} in row {i}",
                expected=f"{len(head)}; a cell that holds {'a blank' if delimiter == ' ' else delimiter!r} in quotes",
            )  # fmt: skip
    short = next((i for i, row in enumerate(body, 1) if len(row) < len(head)), None)
    if short and delimiter == " ":
        raise UserError("a row of fewer cells than columns", file=source, found=f"row {short}", expected=f"{len(head)}")

    def cells(at: int) -> list[Any]:
        return [row[at].strip() if at < len(row) else None for row in body]

    return CellTable(source, tuple(head), len(body), cells, comma="decimal" if delimiter == ";" else None)


def _delimiter(head: str) -> str:
    bare = re.sub(r'"[^"]*"', "", head)
    counts = Counter({mark: bare.count(mark) for mark in (",", ";", "\t", "|")})
    mark, most = counts.most_common(1)[0]
    if most:
        return mark
    return " " if len(bare.split()) > 1 else ","

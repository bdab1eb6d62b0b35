"""Delimited text as columns of cells: CSV and its relatives, as spreadsheets, trackers and people write them."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from typing import Any

from analysis.tables.cell_table import CellTable
from analysis.tables.cells import number_or_nan
from repro.errors import UserError


def read(text: str, source: str, delimiter: str | None, longest: int) -> CellTable:
    """The cells of a text. Blank lines and comments are passed over, rows that end early are filled up.

    Args:
        delimiter: between cells; None: as the first line that is no comment tells.
        longest: characters that one cell may have.

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
    csv.field_size_limit(longest)  # a column that nobody asks for may hold whole texts
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

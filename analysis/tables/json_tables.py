"""JSON as columns of cells: a row a line, an array of rows, or an object of columns, as pandas writes them."""

from __future__ import annotations

import json
from typing import Any

from analysis.tables.cell_table import CellTable
from repro.errors import UserError
from repro.reading import Twice, once

DEEPEST = 8  # levels of objects in a row that become dotted names; what is deeper stays one cell


def read(text: str, source: str) -> CellTable:
    """Names and cells of the table in `text`. An object in a row adds columns named `outer.inner`.

    Raises:
        UserError: not JSON, nested too deeply, a name twice in one object, or no table.
    """
    try:
        whole = json.loads(text, object_pairs_hook=once)
    except ValueError as error:
        if isinstance(error, Twice):
            raise UserError("one name twice in an object", file=source, found=error.key) from error
        return _rows(_lines(text, source, error), source)
    except RecursionError as error:
        raise _deep(source) from error
    if isinstance(whole, list):
        return _rows(whole, source)
    if isinstance(whole, dict):
        return _object(whole, source)
    raise UserError(
        "not a table", file=source, found=f"a single {type(whole).__name__}", expected="objects, a row each"
    )


def _deep(source: str) -> UserError:
    return UserError("nested too deeply", file=source, found="hundreds of levels", expected="a row a line, or an array")


def _lines(text: str, source: str, fault: ValueError) -> list[Any]:
    rows = []
    for i, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append(json.loads(line, object_pairs_hook=once))
            except Twice as error:
                raise UserError("one name twice in an object", file=source, found=f"{error.key} in line {i}") from error
            except ValueError as error:
                # Of a text in one piece its own fault says more than that of its first line.
                told = f"{error} in line {i}" if rows else str(fault)
                raise UserError("not valid JSON", file=source, found=told) from error
            except RecursionError as error:
                raise _deep(source) from error
    return rows


def _rows(rows: list[Any], source: str) -> CellTable:
    flat: list[dict[str, Any]] = []
    for i, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise UserError(
                "a row that isn't an object", file=source, found=f"{type(row).__name__} in row {i}",
                expected='{"N": 1e9, "D": 2e10, "loss": 2.4}',
            )  # fmt: skip
        cells: dict[str, Any] = {}
        _flatten(row, "", 0, cells, source, i)
        flat.append(cells)
    names = tuple(dict.fromkeys(name for row in flat for name in row))
    return CellTable.of(source, names, [[row.get(name) for row in flat] for name in names])


def _flatten(value: dict[str, Any], before: str, depth: int, cells: dict[str, Any], source: str, row: int) -> None:
    for name, inner in value.items():
        full = f"{before}{name}"
        if isinstance(inner, dict) and depth < DEEPEST:
            _flatten(inner, f"{full}.", depth + 1, cells, source, row)
        elif full in cells:
            raise UserError("two values of one name", file=source, found=f"{full[:100]} in row {row}")
        else:
            cells[full] = inner


def _object(whole: dict[str, Any], source: str) -> CellTable:
    """An object of columns, pandas' `split` and `table` forms, or a single row."""
    if isinstance(whole.get("data"), list) and isinstance(whole.get("columns"), list):
        names = tuple(str(name) for name in whole["columns"])
        if any(not isinstance(row, list) or len(row) != len(names) for row in whole["data"]):
            raise UserError("rows that don't fit the columns", file=source, expected=f"{len(names)} cells in each")
        columns = [list(cells) for cells in zip(*whole["data"], strict=True)] or [[] for _ in names]
        return CellTable.of(source, names, columns)
    if set(whole) == {"schema", "data"} and isinstance(whole["data"], list):
        return _rows(whole["data"], source)
    values = list(whole.values())
    if any(isinstance(value, list) and value and isinstance(value[0], dict) for value in values):
        name = next(key for key, value in whole.items() if isinstance(value, list) and value)
        raise UserError(
            "not a table",
            file=source,
            found=f"rows inside of {name[:100]!r}",
            expected="the array alone, a row an object",
        )
    if values and all(isinstance(value, list) for value in values):
        if len({len(value) for value in values}) > 1:
            counts = ", ".join(f"{name} {len(value)}" for name, value in list(whole.items())[:6])
            raise UserError("columns of unequal length", file=source, found=counts)
        return CellTable.of(source, tuple(whole), values)
    if values and all(isinstance(value, dict) for value in values):
        rows = list(dict.fromkeys(row for value in values for row in value))
        if all(row.isdecimal() for row in rows):  # pandas' own: column -> row number -> cell
            return CellTable.of(source, tuple(whole), [[value.get(row) for row in rows] for value in values])
        raise UserError(
            "not a table", file=source, found=f"objects in {', '.join(list(whole)[:6])}", expected="an array of rows"
        )
    return _rows([whole], source)

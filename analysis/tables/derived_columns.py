"""Columns that a table holds by a formula or in another unit: `params - 50304*width`, `tokens:B`, `(a + b):M`.

A text is a column where the table has one of that name, and in double quotes it is nothing else. Formulas are read into a
tree of known functions (`analysis.laws.formulas`) and worked out cell by cell; nothing is ever run as code.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.laws.formulas import calculus, parser
from analysis.laws.formulas.tape import Tape
from analysis.laws.formulas.tree import Expression, column
from analysis.tables import cells
from analysis.tables.cell_table import CellTable, listed
from repro.errors import UserError

UNITS: Mapping[str, float] = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_UNIT = re.compile(r"(?P<of>.+):\s*(?P<unit>\w+)", re.DOTALL)
_OPERATION = re.compile(r"[-+*/^()·−]")


@dataclass(frozen=True)
class Underived:
    """A cell that has no number, since one that it follows from has none: no reader of cells takes it for anything."""

    text: str

    def __repr__(self) -> str:
        return self.text


def derive(raw: CellTable, given: Mapping[str, str]) -> tuple[CellTable, dict[str, str]]:
    """The table with a further column for each text that isn't one of its own, and the columns' names by those given.

    Args:
        given: a column, a formula of columns or either with a unit, by the laws' names. In double quotes: a column.

    Raises:
        UserError: a unit or a column that there isn't, text that is no formula, a formula without a column, numbers of
            two kinds in what one follows from.
    """
    names, added = {}, {}
    for name, text in given.items():
        quoted = len(text) > 1 and text[0] == text[-1] == '"'
        own = text[1:-1] if quoted else text.strip()
        names[name] = own
        if quoted or own in raw.names or own in added:
            continue
        values = _derived(raw, name, own)
        if values is not None:
            added[own] = values
    if not added:
        return raw, names
    count, further = len(raw.names), list(added.values())

    def cells_of(i: int) -> list[Any]:
        return raw.cells(i) if i < count else further[i - count]

    return dataclasses.replace(raw, names=(*raw.names, *added), cells=cells_of), names


def _derived(raw: CellTable, name: str, text: str) -> list[Any] | None:
    """The cells (rows,) of a text that is no column; None where it is neither a formula nor in a unit."""
    key = f"--columns {name}={text}"
    found = _UNIT.fullmatch(text)
    factor = 1.0
    if found:
        if found["unit"] not in UNITS:
            raise UserError(
                "an unknown unit", file=raw.source, key=key, found=found["unit"],
                expected=f"{', '.join(UNITS)}; or a column of that name",
            )  # fmt: skip
        text, factor = found["of"].strip(), UNITS[found["unit"]]
    elif not _OPERATION.search(text):
        return None
    if text in raw.names:
        tree, read = column(text), [text]
    else:
        tree, read = _formula(raw, text, key)
    held = {own: raw.column(own, key) for own in read}
    kind = "other" if found else cells.kind_of(name)
    return _cells(raw, tree, held, kind, factor)


def _formula(raw: CellTable, text: str, key: str) -> tuple[Expression, list[str]]:
    """The tree of a formula, and the columns that it reads."""
    try:
        tree = parser.expression(text)
    except UserError as error:
        raise UserError(
            "neither a column nor a formula of columns", file=raw.source, key=key, found=error.found or text,
            expected=f"{error.expected}; or a column of that name, of {listed(raw.names, like=text)}",
        ) from None  # fmt: skip
    if groups := [own.value for own in calculus.nodes(tree) if own.kind == "group"]:
        raise UserError(
            "a group in a column", file=raw.source, key=key, found=groups[0], expected="numbers and columns"
        )
    read = calculus.names(tree, "name")
    if not read:
        raise UserError("a formula without a column", file=raw.source, key=key, found=text, expected=listed(raw.names))
    for own in read:
        if own not in raw.names:
            raise UserError(
                "an unknown column", file=raw.source, key=key, found=own, expected=listed(raw.names, like=own)
            )
    resolved = calculus.replaced(tree, lambda own: column(str(own.value)) if own.kind == "name" else None)
    return resolved, read


def _cells(
    raw: CellTable, tree: Expression, held: Mapping[str, Sequence[Any]], kind: cells.Kind, factor: float
) -> list[Any]:
    """What the tree gives for each row: a number, None where a cell is missing, Underived where one is no number."""
    comma, rows = raw.comma_in(cell for own in held.values() for cell in own), raw.rows
    instead: list[Any] = [math.nan] * rows
    numbers = {}
    for name, own in held.items():
        values = np.full(rows, np.nan)
        for i, cell in enumerate(own):
            if cells.is_missing(cell):
                instead[i] = None
                continue
            try:
                values[i] = cells.number(cell, kind, comma)
            except cells.NoNumber:
                instead[i] = Underived(f"{cells.shown(cell)} of {name}")
        numbers[name] = values
    with np.errstate(all="ignore"):
        [found] = Tape([tree]).run({}, numbers)
    known = np.all([~np.isnan(values) for values in numbers.values()], axis=0)
    every = np.broadcast_to(found * factor, rows).tolist()
    return [value if there else other for value, there, other in zip(every, known, instead, strict=True)]

"""Conditions on the rows of a table, `COLUMN OP VALUE`: an ambiguous condition is refused.

A condition is tested on cells as they stand in the file, before any of them has to be a number.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.tables import cells
from analysis.tables.cell_table import CellTable, listed
from repro.errors import UserError

OPERATORS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
SAME = {"==": "=", "<>": "!=", "≠": "!=", "≤": "<=", "≥": ">="}  # other ways to write a sign
NEAR = 1.2e-7  # relative: within it a fraction and its float32 are one number
_ANY = "|".join(re.escape(sign) for sign in sorted((*OPERATORS, "=", "!=", *SAME), key=len, reverse=True))
_NAME = r"""(?:"(?P<q>[^"]+)"|'(?P<a>[^']+)'|`(?P<b>[^`]+)`|(?P<bare>[^"'`<>=!≤≥≠~&|]+?))"""
_CONDITION = re.compile(rf"\s*{_NAME}\s*(?P<sign>{_ANY})(?P<value>.*)", re.DOTALL)
_WORD = re.compile(r"""\s*(?:"(?P<q>[^"]*)"|'(?P<a>[^']*)'|(?P<bare>[^,"']*?))\s*(?:,|$)""")
_SECOND = re.compile(r"[<>=!≤≥≠~&|]|\b(?:and|or|not|in|between)\b", re.IGNORECASE)
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")
EXPECTED = "COLUMN OP VALUE, OP one of = != < <= > >=; text with spaces or signs in quotes; --exclude again for `or`"


@dataclass(frozen=True)
class Word:
    """One value of a condition. `quoted`: it is text, whatever it looks like."""

    text: str
    quoted: bool


@dataclass(frozen=True)
class Condition:
    """`column` is None for the number of a row."""

    text: str
    column: str | None
    sign: str
    words: tuple[Word, ...]


def parse(text: str) -> Condition:
    """A condition as it is written. Raises UserError for what has no meaning, or more than one."""
    found = _CONDITION.fullmatch(text)
    if not found:
        raise _unread(text)
    quoted = found["q"] or found["a"] or found["b"]
    name = quoted or found["bare"].strip()
    value = found["value"]
    if not name or not value.strip():
        raise _unread(text)
    sign = SAME.get(found["sign"], found["sign"])
    by_row = name == "row" and not quoted
    if not by_row and _GROUPED.fullmatch(value.strip()):
        plain, spaced = value.strip().replace(",", ""), value.strip().replace(",", ", ")
        raise _unread(text, f"{name} {sign} {plain}, or {name} {sign} {spaced} for any of them")
    words, at = [], 0
    while at <= len(value):
        word = _WORD.match(value, at)
        if not word or (word["bare"] is not None and _SECOND.search(word["bare"])):
            raise _unread(text)
        told = word["q"] if word["q"] is not None else word["a"]
        if told is None and not word["bare"]:
            raise _unread(text)
        words.append(Word(word["bare"] if told is None else told, told is not None))
        if word.end() == len(value) and not value[at : word.end()].endswith(","):
            break
        at = word.end()
    if len(words) > 1 and sign not in ("=", "!="):
        raise _unread(text)
    return Condition(text, None if by_row else name, sign, tuple(words))


def _unread(text: str, expected: str = EXPECTED) -> UserError:
    return UserError("not a condition", key="--exclude", found=text, expected=expected)


def meets(condition: Condition, raw: CellTable, names: Mapping[str, str]) -> tuple[np.ndarray, str | None]:
    """Which rows (rows,) meet it; and where none does, that, with what comes nearest.

    `=` is met by a cell that is any of the values, `!=` by one that is none of them, an empty cell included; the
    others by numbers alone. A value such as `nan` or `NA` is met by cells that stand for nothing.

    Args:
        names: columns by the names that a law has for them.

    Raises:
        UserError: no such column, or a value that can't be compared with its column.
    """
    values = _held(condition, raw, names)
    if condition.sign in OPERATORS:
        met = _ordered(condition, values, raw)
    else:
        met = np.zeros(len(values), dtype=bool)
        for word in condition.words:
            met |= _equal(condition, word, values, raw)
        met = met if condition.sign == "=" else ~met
    if met.any():
        return met, None
    return met, f"no row meets --exclude {condition.text!r}{_nearest(condition, values)}"


def _held(condition: Condition, raw: CellTable, names: Mapping[str, str]) -> Sequence[Any]:
    if condition.column is None:
        return range(1, raw.rows + 1)
    held = names.get(condition.column, condition.column)
    if held != condition.column and condition.column in raw.names:
        raise UserError(
            "a name with two meanings", key="--exclude", found=condition.text,
            expected=f"{held} (which is {condition.column} here), or {condition.column} without --columns",
        )  # fmt: skip
    return raw.column(held, "--exclude")


def _number(cell: Any, kind: cells.Kind = "count") -> float:
    if isinstance(cell, bool):
        return float(cell)
    return cells.number_or_nan(cell, "share" if isinstance(cell, str) and cell.rstrip().endswith("%") else kind)


def _ordered(condition: Condition, values: Sequence[Any], raw: CellTable) -> np.ndarray:
    [word] = condition.words
    wanted = _number(word.text)
    if math.isnan(wanted):
        raise UserError(
            "not a number", key="--exclude", found=condition.text, expected=f"a number behind {condition.sign}"
        )
    numbers = np.array([_number(value) for value in values])
    if np.isnan(numbers).all():
        raise UserError(
            "no number in this column", file=raw.source, key="--exclude", found=condition.text,
            expected=f"{condition.column} = VALUE; it holds {cells.shown(values[0])}",
        )  # fmt: skip
    with np.errstate(invalid="ignore"):
        compared = OPERATORS[condition.sign]
        # A float32 of the bound itself lies on it.
        on_it = np.array([_same(value, wanted) for value in numbers])
        return np.where(on_it, "=" in condition.sign, compared(numbers, np.float64(wanted)))


def _equal(condition: Condition, word: Word, values: Sequence[Any], raw: CellTable) -> np.ndarray:
    if cells.is_missing(word.text) and not (word.quoted and word.text):
        return np.array([cells.is_missing(value) for value in values], dtype=bool)
    wanted = math.nan if word.quoted and any(isinstance(value, str) for value in values) else _number(word.text)
    if condition.column is None and not wanted.is_integer():
        raise UserError("not the number of a row", key="--exclude", found=condition.text, expected="row=12,40")
    texts = any(math.isnan(_number(value)) and not cells.is_missing(value) for value in values)
    truths = any(isinstance(v, bool) for v in values) and all(
        isinstance(v, bool) or cells.is_missing(v) for v in values
    )
    if truths and word.text.lower() not in ("true", "false", "0", "1"):
        raise UserError("not true or false", file=raw.source, key="--exclude", found=condition.text)
    if math.isnan(wanted) and not texts and not truths and not word.quoted:
        raise UserError(
            "not a number", file=raw.source, key="--exclude", found=condition.text,
            expected=f"a number: {condition.column} holds no text; or quotes around it",
        )  # fmt: skip
    return np.array([_is(value, word.text, wanted, "other" if texts else "count") for value in values], dtype=bool)


def _is(value: Any, text: str, wanted: float, kind: cells.Kind) -> bool:
    if isinstance(value, bool):
        return text.lower() in (str(value).lower(), str(int(value)))
    if isinstance(value, str) and (
        value.strip() == text or {value.strip().lower(), text.lower()} in ({"true"}, {"false"})
    ):
        return True
    if isinstance(value, (list, tuple)):
        return text in map(str, value)
    if math.isnan(wanted):
        return str(value) == text
    return _same(_number(value, kind), wanted)  # among texts 17k is not 17K


def _same(value: float, wanted: float) -> bool:
    """Whether they are one number as it is printed: integers to the last digit, fractions to float32 or six digits."""
    if value == wanted:
        return True
    if not (math.isfinite(value) and math.isfinite(wanted)) or (value.is_integer() and wanted.is_integer()):
        return False
    digits = len(f"{wanted:.15g}".partition("e")[0].replace(".", "").replace("-", "").lstrip("0"))
    rounded = digits >= 6 and float(f"{value:.{digits}g}") == wanted
    return rounded or abs(value - wanted) <= NEAR * abs(wanted)


def _nearest(condition: Condition, values: Sequence[Any]) -> str:
    if condition.column is None:
        return f"; the table has {len(values)} rows"
    wanted = _number(condition.words[0].text)
    numbers = [found for found in map(_number, values) if not math.isnan(found)]
    if not math.isnan(wanted) and numbers:
        if condition.sign in OPERATORS:
            return f"; {condition.column} runs from {min(numbers):.9g} to {max(numbers):.9g}"
        return f"; the nearest {condition.column} is {min(numbers, key=lambda value: abs(value - wanted)):.12g}"
    texts = list(dict.fromkeys(str(value) for value in values if not cells.is_missing(value)))
    return f"; {condition.column} holds {listed(texts, like=condition.words[0].text, most=8)}"

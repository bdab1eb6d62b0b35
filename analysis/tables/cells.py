"""Converts cells to numbers: suffixes, percent signs, thousands separators, decimal commas, and marks of missing values.

A cell that can be read as one number only is converted, and one with two readings is refused. Whether `1,000` is a thousand or one
depends on the other cells of a table, so it is settled once for all of them (`comma_of`).
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterable
from typing import Any, Literal

Kind = Literal["count", "share", "loss", "other"]
Comma = Literal["decimal", "thousands"]

MISSING = frozenset({
    "", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "–", "—", ".", "?", "missing", "<na>",
    "#n/a", "#n/a n/a", "#na", "#div/0!", "#num!", "#value!", "#ref!", "#name?", "#null!",
})  # fmt: skip  # of R, pandas, databases and spreadsheets, in lower case
_POWERS = {"k": 3, "thousand": 3, "m": 6, "mn": 6, "million": 6, "b": 9, "bn": 9, "g": 9, "billion": 9, "t": 12, "trillion": 12}  # fmt: skip
_SUFFIXED = re.compile(
    rf"(.*?[\d.,])\s*({'|'.join(sorted(_POWERS, key=len, reverse=True))})?(?:\s*(?:params?|parameters|tokens?|flops?))?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SPACES = re.compile(r"[+-]?[1-9]\d{0,2}(?:[ '’\u00a0\u2009\u202f]\d{3})+(?:[.,]\d+)?")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # a thousand, or one and a bit
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3}){2,}(?:\.\d*)?|[+-]?[1-9]\d{0,2},\d{3}\.\d*")
_DECIMAL = re.compile(
    r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?|[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d+|[+-]?[1-9]\d{0,2}(?:\.\d{3}){2,}"
)
LONGEST = 100  # characters of a number
_DOT_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")  # where commas are decimal


class NoNumber(ValueError):
    """Text that isn't a number, or may be two. The message says what was expected."""


def is_missing(cell: Any) -> bool:
    """Whether a cell stands for nothing."""
    if isinstance(cell, str):
        return cell.strip().lower() in MISSING
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def shown(cell: Any) -> str:
    """A cell in a message, whatever it holds, in few characters."""
    return f"{cell:g}" if isinstance(cell, (int, float)) and not isinstance(cell, bool) else reprlib.repr(cell)


def kind_of(name: str) -> Kind:
    """What a column of a law holds."""
    if name in ("loss", "L0"):
        return "loss"
    if name in ("S", "rho"):
        return "share"
    return "count" if name in ("D", "C") or name.startswith("N") else "other"


def comma_of(cells: Iterable[Any]) -> Comma | None:
    """What a comma means in these cells; None where none says so.

    Raises:
        NoNumber: one cell says this, another that.
    """
    said: dict[Comma, str] = {}
    for cell in cells:
        if isinstance(cell, str) and ("," in cell or cell.count(".") > 1) and len(cell) <= LONGEST:
            text = _mantissa(cell)
            if _THOUSANDS.fullmatch(text):
                said.setdefault("thousands", cell)
            elif _DECIMAL.fullmatch(text) and not _EITHER.fullmatch(text):
                said.setdefault("decimal", cell)
    if len(said) > 1:
        raise NoNumber(
            f"one kind of number: {said['decimal']!r} has a decimal comma, {said['thousands']!r} commas for thousands"
        )
    return next(iter(said), None)


def number(cell: Any, kind: Kind = "other", comma: Comma | None = None) -> float:
    """A cell as a number; nan where it stands for nothing.

    Args:
        cell: as a reader gives it: text, a number, None or anything else.
        kind: counts may be written 1.2B or 350M, shares 80%.
        comma: what a comma means in this table, where that is known.

    Raises:
        NoNumber: it isn't one, or may be two.
    """
    if is_missing(cell):
        return math.nan
    if isinstance(cell, (bool, bytes)) or not isinstance(cell, str):
        if isinstance(cell, bool) or not hasattr(cell, "__float__"):
            raise NoNumber("a number")
        try:
            return float(cell)
        except (OverflowError, ValueError):
            return math.inf
    text = cell.strip().replace("−", "-")
    if len(text) > LONGEST:
        raise NoNumber("a number")
    if kind == "share" and text.endswith("%"):
        return number(text[:-1], "other", comma) / 100
    power = 0
    if kind == "count" and (found := _SUFFIXED.fullmatch(text)):
        text, power = found[1], _POWERS[found[2].lower()] if found[2] else 0
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        return math.inf
    plain = _plain(text, kind, comma)
    # Of the text, so that 1.2B is 1200000000 and not a bit beside it.
    return float(
        plain if not power else f"{plain}e{power}" if "e" not in plain.lower() else str(float(plain) * 10**power)
    )


def number_or_nan(cell: Any, kind: Kind = "other", comma: Comma | None = None) -> float:
    """As `number`; nan also where the cell isn't one."""
    try:
        return number(cell, kind, comma)
    except NoNumber:
        return math.nan


def _mantissa(cell: str) -> str:
    text = cell.strip().replace("−", "-").rstrip("% ")
    found = _SUFFIXED.fullmatch(text)
    return found[1] if found else text


def _plain(text: str, kind: Kind, comma: Comma | None) -> str:
    """Digits, at most one point and an exponent: what `float` takes."""
    if _SPACES.fullmatch(text):
        text = re.sub(r"[^\d.,+-]", "", text)
        return text.replace(",", ".")
    if "," in text:
        if _EITHER.fullmatch(text) and comma is None and kind != "count":
            raise NoNumber(f"{text.replace(',', '')} or {text.replace(',', '.')}: a comma may mean either here")
        if _THOUSANDS.fullmatch(text) or (_EITHER.fullmatch(text) and comma != "decimal"):
            text = text.replace(",", "")
        elif _DECIMAL.fullmatch(text) and comma != "thousands":
            text = text.replace(".", "").replace(",", ".")
    elif comma == "decimal":
        if _DOT_EITHER.fullmatch(text):
            raise NoNumber(f"{text.replace('.', '')} or {text.replace('.', ',')}: the table has decimal commas")
        if _DECIMAL.fullmatch(text):
            text = text.replace(".", "")
    if not text.isascii() or not _NUMBER.fullmatch(text):
        raise NoNumber("a number")
    return text

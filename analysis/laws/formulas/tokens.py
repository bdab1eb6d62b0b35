"""The tokens of a formula: numbers, names, operators and brackets. Anything else is an error, with its place."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from repro.errors import UserError

LONGEST = 2000  # characters
WordKind = Literal["number", "name", "sign", "end"]
_WORD = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d_]\w*)|(?P<sign>\*\*|[-+*/^()\[\],−·]))"
)
_SAME = {"**": "^", "−": "-", "·": "*"}  # as people and our own laws write them


class FormulaWord(NamedTuple):
    """One token, and its position, counted from 1."""

    kind: WordKind
    text: str
    place: int


def words(text: str) -> list[FormulaWord]:
    """The words of a formula, and an end.

    Raises:
        UserError: a character that no formula has, or too many of them.
    """
    if len(text) > LONGEST:
        raise UserError("a formula that is too long", key="formula", found=f"{len(text):,} characters", expected=f"{LONGEST:,} at most")  # fmt: skip
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _WORD.match(text, at)
        if match is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            raise UserError(
                "a character that no formula has", key="formula", found=f"{text[place]!r} at {place + 1} in {text!r}",
                expected="names, numbers, + - * / ^ ( ) [ ] and commas",
            )  # fmt: skip
        kind: WordKind = "number" if match["number"] else "name" if match["name"] else "sign"
        own = match[kind]
        found.append(FormulaWord(kind, _SAME.get(own, own), match.start(kind) + 1))
        at = match.end()
    return [*found, FormulaWord("end", "the end", len(text) + 1)]

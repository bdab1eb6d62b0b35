"""A formula's text as an expression: sums of products of powers of numbers, names and known functions.

formula: [loss =] sum, or log(loss) = sum           group: name[column], a parameter for each of the column's values
sum: product {+|- product}      product: signed {*|/ signed}      signed: {+|-} power      power: atom [^ signed]
atom: number, name, group, function(sum, …) or (sum)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from analysis.laws.formulas.tree import FUNCTIONS, MINUS, Expression, call, number, power_of, product_of, sum_of
from repro.errors import UserError

DEEPEST = 50  # brackets within brackets
_LEFT = re.compile(r"\s*(?:(?P<log>log|ln)\s*\(\s*)?(?:loss|L)\s*(?(log)\)\s*)=(?P<right>.*)", re.DOTALL)


def law(text: str) -> tuple[Expression, bool]:
    """A law's right side, and whether it is of the logarithm of the loss. Raises UserError: see `expression`."""
    left = _LEFT.fullmatch(text)
    return expression(left["right"] if left else text), bool(left and left["log"])


def expression(text: str) -> Expression:
    """The expression that a text is.

    Raises:
        UserError: a character or a function that no formula has, a word where another should stand, or none at all.
    """
    reader = _FormulaReader(text)
    found = reader.sum()
    reader.take("end")
    return found


class _FormulaReader:
    def __init__(self, text: str):
        self.text, self.words, self.at, self.depth = text, words(text), 0, 0

    @property
    def word(self) -> FormulaWord:
        return self.words[self.at]

    def accept(self, *signs: str) -> str:
        """The next word, taken, if it is one of these signs; else empty."""
        return self.take("sign").text if self.word.kind == "sign" and self.word.text in signs else ""

    def deeper(self, what: str, read: Callable[[], Expression]) -> Expression:
        """What `read` reads within one more bracket or power."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise UserError(
                "a formula that is too deep", key="formula", found=f"over {DEEPEST} {what}", expected="a law"
            )
        found = read()
        self.depth -= 1
        return found

    def take(self, wanted: str) -> FormulaWord:
        """The next word, which is of the wanted kind or the wanted sign."""
        own = self.word
        if wanted not in (own.kind, own.text if own.kind == "sign" else ""):
            told = {"end": "an operator or the end"}.get(wanted, wanted)
            raise UserError(
                "not a formula", key="formula", found=f"{own.text!r} at {own.place} in {self.text!r}", expected=told
            )
        self.at += own.kind != "end"
        return own

    def sum(self) -> Expression:
        return self.deeper("brackets", self.inner_sum)

    def inner_sum(self) -> Expression:
        parts = [self.product()]
        while sign := self.accept("+", "-"):
            part = self.product()
            parts.append(product_of(MINUS, part) if sign == "-" else part)
        return sum_of(*parts)

    def product(self) -> Expression:
        parts = [self.signed()]
        while sign := self.accept("*", "/"):
            part = self.signed()
            parts.append(power_of(part, MINUS) if sign == "/" else part)
        return product_of(*parts)

    def signed(self) -> Expression:
        minus = False
        while sign := self.accept("+", "-"):
            minus ^= sign == "-"
        base = self.atom()
        if self.accept("^"):
            base = power_of(base, self.deeper("powers", self.signed))
        return product_of(MINUS, base) if minus else base

    def atom(self) -> Expression:
        if self.word.kind == "number":
            return number(float(self.take("number").text))
        if self.accept("("):
            inner = self.sum()
            self.take(")")
            return inner
        if self.word.kind != "name":
            self.take("a number, a name or a bracket")
        name = self.take("name")
        if self.accept("["):
            by = self.take("name").text
            self.take("]")
            return Expression("group", (name.text, by))
        return self.function(name) if self.accept("(") else Expression("name", name.text)

    def function(self, name: FormulaWord) -> Expression:
        own = {"ln": "log"}.get(name.text, name.text)
        if own not in FUNCTIONS:
            raise UserError(
                "an unknown function", key="formula", found=f"{name.text!r} at {name.place} in {self.text!r}",
                expected=", ".join(FUNCTIONS),
            )  # fmt: skip
        parts = [self.sum()]
        while self.accept(","):
            parts.append(self.sum())
        self.take(")")
        if len(parts) != FUNCTIONS[own]:
            raise UserError(
                "another number of arguments", key="formula", found=f"{len(parts)} in {name.text}(…) at {name.place}",
                expected=str(FUNCTIONS[own]),
            )  # fmt: skip
        return call(own, *parts)


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

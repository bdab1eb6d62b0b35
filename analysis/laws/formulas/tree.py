"""Expressions as trees, made by functions that simplify them: equal bases are merged, and every power with a parameter in it
is the exponential of a logarithm, so that a term of a law is one exponential, as in the laws of the registry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from repro.errors import UserError

LARGEST = 20_000  # parts of an expression, each counted wherever it stands

Kind = Literal["number", "name", "column", "parameter", "group", "sum", "product", "power", "call", "pick"]


@dataclass(frozen=True, eq=False)
class Expression:
    """One node and all below it.

    Attributes:
        kind: `name` and `group` stand in a tree that was read and not yet told what its names are; a group's parts are none.
        value: the number; the name of a column, parameter or function; of a pick the column that chooses among its parts.
        parts: of a power its base and a number.
    """

    kind: Kind
    value: float | str | tuple[str, str] = ""
    parts: tuple[Expression, ...] = ()
    size: int = field(init=False)
    own_hash: int = field(init=False)

    def __post_init__(self) -> None:
        size = 1 + sum(part.size for part in self.parts)
        if size > LARGEST:
            raise UserError("a formula that is too large", found=f"over {LARGEST:,} parts", expected="a law")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "own_hash", hash((self.kind, self.value, self.parts)))

    def __hash__(self) -> int:
        return self.own_hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Expression) or self.own_hash != other.own_hash:
            return False
        return (self.kind, self.value, self.parts) == (other.kind, other.value, other.parts)


def number(value: float) -> Expression:
    """A constant. Raises UserError for one that isn't finite."""
    if not math.isfinite(value):
        raise UserError("a number that isn't finite", key="formula", found=value, expected="a finite number")
    return Expression("number", float(value))


ZERO, ONE, MINUS = number(0.0), number(1.0), number(-1.0)


def column(name: str) -> Expression:
    return Expression("column", name)


def parameter(name: str) -> Expression:
    return Expression("parameter", name)


def pick(by: str, parts: tuple[Expression, ...]) -> Expression:
    """The part whose number stands in the column `by`."""
    return parts[0] if all(part == parts[0] for part in parts) else Expression("pick", by, parts)


def sum_of(*parts: Expression) -> Expression:
    """The sum, in which numbers are one number."""
    total, kept = 0.0, []
    for part in parts:
        for own in part.parts if part.kind == "sum" else (part,):
            if own.kind == "number":
                total += _number_in(own)
            else:
                kept.append(own)
    if total:
        kept.append(number(total))
    return Expression("sum", "", tuple(kept)) if len(kept) > 1 else kept[0] if kept else ZERO


def product_of(*parts: Expression) -> Expression:
    """The product, in which numbers are one number, powers of one base one power, and exponentials one exponential."""
    factor = 1.0
    exponents: list[Expression] = []
    powers: dict[Expression, float] = {}
    for part in parts:
        for own in part.parts if part.kind == "product" else (part,):
            if own.kind == "number":
                factor *= _number_in(own)
            elif own.kind == "call" and own.value == "exp":
                exponents.append(own.parts[0])
            else:
                base, power = (own.parts[0], _number_in(own.parts[1])) if own.kind == "power" else (own, 1.0)
                powers[base] = powers.get(base, 0.0) + power
    if factor == 0:
        return ZERO
    kept = [one for base, power in powers.items() if (one := _raised(base, power)) != ONE]
    if exponents and (whole := call("exp", sum_of(*exponents))) != ONE:
        kept.append(whole)
    if factor != 1:
        kept.insert(0, number(factor))
    return Expression("product", "", tuple(kept)) if len(kept) > 1 else kept[0] if kept else ONE


def power_of(base: Expression, exponent: Expression) -> Expression:
    """The power. Raises UserError for one of numbers that has no value."""
    if exponent.kind != "number":
        return call("exp", product_of(exponent, call("log", base)))
    power = _number_in(exponent)
    if base.kind == "number":
        try:
            value = _number_in(base) ** power
        except (ZeroDivisionError, OverflowError):
            value = math.inf
        if isinstance(value, complex) or not math.isfinite(value):
            told = "a division by zero" if base == ZERO and power < 0 else "a power that has no value"
            raise UserError(told, key="formula", found=f"{base.value:g}^{power:g}", expected="a finite number")
        return number(value)
    if power == 0:
        return ONE
    if base.kind == "call" and base.value == "exp":
        return call("exp", product_of(exponent, base.parts[0]))
    if base.kind == "product" and power.is_integer():
        return product_of(*(power_of(part, exponent) for part in base.parts))
    if base.kind == "power" and power.is_integer():
        return _raised(base.parts[0], _number_in(base.parts[1]) * power)
    return _raised(base, power)


def call(name: str, *parts: Expression) -> Expression:
    """A function of expressions. Raises UserError for a logarithm of a number that has none."""
    first = parts[0]
    if name == "exp":
        if first.kind == "number":
            return number(_finite(math.exp, _number_in(first), "exp"))
        if first.kind == "call" and first.value == "log":
            return first.parts[0]
    elif name == "log":
        if first.kind == "number":
            return number(_finite(math.log, _number_in(first), "log"))
        if first.kind == "call" and first.value == "exp":
            return first.parts[0]
        if first.kind == "power" and _positive(first.parts[0]):
            return product_of(first.parts[1], call("log", first.parts[0]))
        if first.kind == "product" and all(_positive(part) for part in first.parts):
            return sum_of(*(call("log", part) for part in first.parts))
    elif name in DEFINED:
        return DEFINED[name](first)
    return Expression("call", name, parts)


DEFINED: Mapping[str, Callable[[Expression], Expression]] = MappingProxyType({
    "sqrt": lambda u: power_of(u, number(0.5)),
    "log10": lambda u: product_of(number(1 / math.log(10)), call("log", u)),
    "log2": lambda u: product_of(number(1 / math.log(2)), call("log", u)),
})  # fmt: skip
# What a formula may call, and with how many arguments.
FUNCTIONS: Mapping[str, int] = MappingProxyType(
    {"exp": 1, "log": 1, "tanh": 1, "sigmoid": 1, "min": 2, "max": 2, **dict.fromkeys(DEFINED, 1)}
)


def _raised(base: Expression, power: float) -> Expression:
    return base if power == 1 else ONE if power == 0 else Expression("power", "", (base, number(power)))


def _positive(expression: Expression) -> bool:
    """Whether it is surely positive, columns being so."""
    if expression.kind == "number":
        return _number_in(expression) > 0
    if expression.kind == "power":
        return _positive(expression.parts[0])
    return expression.kind == "column" or (expression.kind == "call" and expression.value == "exp")


def _number_in(expression: Expression) -> float:
    assert isinstance(expression.value, float)
    return expression.value


def _finite(function: Callable[[float], float], value: float, name: str) -> float:
    try:
        return function(value)
    except (ValueError, OverflowError):
        raise UserError("a function without a value there", key="formula", found=f"{name}({value:g})", expected="another number") from None  # fmt: skip

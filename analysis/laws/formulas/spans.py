"""Interval arithmetic: the range of an expression given the bounds of its parameters, such as whether a denominator may be zero."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from analysis.laws.formulas.tree import Expression


@dataclass(frozen=True)
class Span:
    """All numbers from low to high; `low_in` and `high_in`: whether these are among them."""

    low: float
    high: float
    low_in: bool = True
    high_in: bool = True

    @property
    def zero(self) -> bool:
        """Whether zero is among them."""
        return self.low < 0 < self.high or (self.low == 0 and self.low_in) or (self.high == 0 and self.high_in)

    @property
    def positive(self) -> bool:
        return self.low > 0 or (self.low == 0 and not self.low_in)


ALL = Span(-math.inf, math.inf, False, False)
POSITIVE = Span(0.0, math.inf, False, False)
COUNT = Span(1.0, math.inf, False, False)  # of parameters, tokens or FLOP
_OF_COLUMNS = {"S": Span(0.0, 1.0, True, False), "rho": Span(0.0, 1.0, False, True)}
_OF_CALLS = {"exp": POSITIVE, "tanh": Span(-1.0, 1.0, False, False), "sigmoid": Span(0.0, 1.0, False, False)}


def span(own: Expression, parameters: Mapping[str, Span], free: Collection[str]) -> Span:
    """The range of an expression, or a wider one if a name occurs several times.

    Args:
        free: columns that may hold any number.
    """
    if own.kind == "number":
        assert isinstance(own.value, float)
        return Span(own.value, own.value)
    if own.kind == "parameter":
        return parameters[str(own.value)]
    if own.kind == "column":
        name = str(own.value)
        if name in free:
            return ALL
        return _OF_COLUMNS.get(name, COUNT if name in ("D", "C") or name.startswith("N") else POSITIVE)
    parts = [span(part, parameters, free) for part in own.parts]
    if own.kind == "sum":
        found = parts[0]
        for other in parts[1:]:
            found = Span(
                found.low + other.low, found.high + other.high, found.low_in and other.low_in, found.high_in and other.high_in
            )  # fmt: skip
        return found
    if own.kind == "product":
        found = parts[0]
        for other in parts[1:]:
            found = _product(found, other)
        return found
    if own.kind == "pick":
        return _around([end for one in parts for end in ((one.low, one.low_in), (one.high, one.high_in))])
    if own.kind == "power":
        return _power(parts[0], parts[1].low)
    return _call(str(own.value), parts)


def _product(a: Span, b: Span) -> Span:
    ends = [
        (0.0 if 0 in (x, y) else x * y, (x_in and y_in) or (x == 0 and x_in) or (y == 0 and y_in))
        for x, x_in in ((a.low, a.low_in), (a.high, a.high_in))
        for y, y_in in ((b.low, b.low_in), (b.high, b.high_in))
    ]
    return _around(ends)


def _power(base: Span, power: float) -> Span:
    if base.positive or (power > 0 and base.low == 0):
        return _around([(_raise(base.low, power), base.low_in), (_raise(base.high, power), base.high_in)])
    return Span(0.0, math.inf, power > 0, False) if power % 2 == 0 else ALL


def _raise(value: float, power: float) -> float:
    try:
        return float(value**power)
    except (ZeroDivisionError, OverflowError):
        return math.inf


def _call(name: str, parts: list[Span]) -> Span:
    first = parts[0]
    if name == "exp":
        return Span(_exp(first.low), _exp(first.high), first.low_in and first.low > -math.inf, first.high_in)
    if name == "log":
        if not first.positive:
            return ALL
        low = math.log(first.low) if first.low > 0 else -math.inf
        return Span(low, math.log(first.high), first.low_in, first.high_in)
    if name in ("min", "max"):
        second = parts[1]
        choose = min if name == "min" else max
        low, high = choose(first.low, second.low), choose(first.high, second.high)
        return Span(
            low, high,
            any(one.low_in for one in parts if one.low == low), any(one.high_in for one in parts if one.high == high),
        )  # fmt: skip
    return _OF_CALLS.get(name, ALL)


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _around(ends: list[tuple[float, bool]]) -> Span:
    low, high = min(value for value, _ in ends), max(value for value, _ in ends)
    return Span(low, high, any(i for v, i in ends if v == low), any(i for v, i in ends if v == high))

"""Operations on an expression: its names, its derivative, and substitution of its names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from analysis.laws.formulas.tree import (
    MINUS,
    ONE,
    ZERO,
    Expression,
    Kind,
    call,
    number,
    pick,
    power_of,
    product_of,
    sum_of,
)


def nodes(expression: Expression) -> Iterator[Expression]:
    """Every different node, in the order of the text."""
    seen: set[Expression] = set()
    waiting = [expression]
    while waiting:
        own = waiting.pop()
        if own not in seen:
            seen.add(own)
            yield own
            waiting += reversed(own.parts)


def names(expression: Expression, kind: Kind) -> list[str]:
    """Names of one kind, each once, in the order of the text."""
    return [str(own.value) for own in nodes(expression) if own.kind == kind]


def holds(expression: Expression, name: str) -> bool:
    """Whether the expression contains a parameter."""
    return name in names(expression, "parameter")


def columns(expression: Expression) -> list[str]:
    """Columns that it reads, those that choose among levels last."""
    by = [str(own.value) for own in nodes(expression) if own.kind == "pick"]
    return list(dict.fromkeys([*names(expression, "column"), *by]))


def free_columns(expression: Expression) -> tuple[str, ...]:
    """Columns that stand in no logarithm, no denominator and no root: any number will do there; but S is a share."""
    bound: set[str] = set()
    for own in nodes(expression):
        if own.kind == "call" and own.value == "log":
            bound |= set(names(own, "column"))
        if own.kind == "power" and not (isinstance(own.parts[1].value, float) and own.parts[1].value in (2, 3, 4)):
            bound |= set(names(own, "column"))
    return tuple(name for name in names(expression, "column") if name not in bound and name != "S")


def replaced(expression: Expression, how: Callable[[Expression], Expression | None]) -> Expression:
    """The expression with each node replaced by `how(node)`; None keeps the node."""
    known: dict[Expression, Expression] = {}

    def new(own: Expression) -> Expression:
        if own not in known:
            other = how(own)
            known[own] = _made(own, tuple(new(part) for part in own.parts)) if other is None else other
        return known[own]

    return new(expression)


def with_parameters(expression: Expression, values: dict[str, Expression]) -> Expression:
    """The expression with some parameters replaced by expressions."""
    return replaced(expression, lambda own: values.get(str(own.value)) if own.kind == "parameter" else None)


def derivative(expression: Expression, name: str) -> Expression:
    """The derivative by one parameter."""
    known: dict[Expression, Expression] = {}

    def slope(own: Expression) -> Expression:
        if own not in known:
            known[own] = _slope(own, name, slope)
        return known[own]

    return slope(expression)


def _slope(own: Expression, name: str, slope: Callable[[Expression], Expression]) -> Expression:
    if own.kind == "parameter":
        return ONE if own.value == name else ZERO
    inner = tuple(slope(part) for part in own.parts)
    if all(part == ZERO for part in inner):
        return ZERO
    if own.kind == "sum":
        return sum_of(*inner)
    if own.kind == "product":
        return sum_of(
            *(product_of(*own.parts[:i], part, *own.parts[i + 1 :]) for i, part in enumerate(inner) if part != ZERO)
        )
    if own.kind == "power":
        base, power = own.parts
        return product_of(power, power_of(base, sum_of(power, MINUS)), inner[0])
    if own.kind == "pick":
        return pick(str(own.value), inner)
    return _call_slope(own, inner)


def _call_slope(own: Expression, inner: tuple[Expression, ...]) -> Expression:
    first = own.parts[0]
    if own.value == "exp":
        return product_of(own, inner[0])
    if own.value == "log":
        return product_of(power_of(first, MINUS), inner[0])
    if own.value == "tanh":
        return product_of(sum_of(ONE, product_of(MINUS, power_of(own, number(2)))), inner[0])
    if own.value == "sigmoid":
        return product_of(own, sum_of(ONE, product_of(MINUS, own)), inner[0])
    assert own.value in ("min", "max")
    less = call("less", *own.parts)  # 1 where the first part is the smaller one, else 0
    more = sum_of(ONE, product_of(MINUS, less))
    small, large = (less, more) if own.value == "min" else (more, less)
    return sum_of(product_of(small, inner[0]), product_of(large, inner[1]))


_MADE: dict[Kind, Callable[..., Expression]] = {"sum": sum_of, "product": product_of, "power": power_of}


def _made(own: Expression, parts: tuple[Expression, ...]) -> Expression:
    if own.kind in _MADE:
        return _MADE[own.kind](*parts)
    if own.kind == "call":
        return call(str(own.value), *parts)
    if own.kind == "pick":
        return pick(str(own.value), parts)
    return own

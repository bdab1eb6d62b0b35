"""Expressions as a list of array operations, each done once however often it occurs.

Parameters are (..., 1) and columns (n,): what holds either alone is small, and is multiplied or added up first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from analysis.laws.formulas.calculus import columns, names
from analysis.laws.formulas.tree import Expression
from analysis.laws.law import Array, Columns, Values

Operation = tuple[Callable[..., Any], tuple[int, ...]]


def _sigmoid(u: Array) -> Array:
    return np.asarray(np.exp(-np.logaddexp(0.0, -u)))  # to all digits where it is small


def _picked(by: Array, *parts: Array) -> Array:
    found = parts[0]
    for i, part in enumerate(parts[1:], 1):
        found = np.where(by == i, part, found)
    return np.asarray(found)


_CALLS: dict[str, Callable[..., Any]] = {
    "exp": np.exp, "log": np.log, "tanh": np.tanh, "sigmoid": _sigmoid, "min": np.minimum, "max": np.maximum,
    "less": lambda a, b: np.less_equal(a, b).astype(float),
}  # fmt: skip


class Tape:
    """A list of operations that evaluates several expressions together."""

    def __init__(self, wanted: Sequence[Expression]):
        self._places: dict[object, int] = {}
        self._operations: list[tuple[int, Operation]] = []
        self._known: dict[Operation, int] = {}
        self._count = 0
        self._inputs: list[tuple[int, str, Any]] = []
        self._wanted = [self._place(expression) for expression in wanted]

    def run(self, p: Values, x: Columns) -> list[Any]:
        """The expressions at parameters (..., 1) on columns (n,): numbers, or arrays that are broadcast together."""
        held: list[Any] = [None] * self._count
        for at, kind, value in self._inputs:
            held[at] = value if kind == "number" else x[value] if kind == "column" else p[value]
        for at, (function, parts) in self._operations:
            held[at] = function(*(held[i] for i in parts))
        return [held[at] for at in self._wanted]

    def _place(self, own: Expression) -> int:
        if own not in self._places:
            self._places[own] = self._new_place(own)
        return self._places[own]

    def _new_place(self, own: Expression) -> int:
        if own.kind in ("number", "column", "parameter"):
            self._inputs.append((self._count, own.kind, own.value))
            self._count += 1
            return self._count - 1
        if own.kind in ("sum", "product"):
            return self._folded(np.add if own.kind == "sum" else np.multiply, own.parts)
        if own.kind == "power":
            power = own.parts[1].value
            if power == -1:
                return self._done(np.reciprocal, (self._place(own.parts[0]),))
            return self._done(np.power, tuple(self._place(part) for part in own.parts))
        if own.kind == "pick":
            by = Expression("column", own.value)
            return self._done(_picked, tuple(self._place(part) for part in (by, *own.parts)))
        return self._done(_CALLS[str(own.value)], tuple(self._place(part) for part in own.parts))

    def _folded(self, function: Callable[..., Any], parts: Sequence[Expression]) -> int:
        """What holds no column, and what holds no parameter, each by itself; then both; then what holds either."""
        ends: list[int] = []
        for shape, own in itertools.groupby(sorted(parts, key=_shape), _shape):
            places = [self._place(part) for part in own]
            if shape == 2:
                ends += places
            else:
                ends.append(self._fold(function, places))
        return self._fold(function, ends)

    def _fold(self, function: Callable[..., Any], places: Sequence[int]) -> int:
        total = places[0]
        for other in places[1:]:
            total = self._done(function, (total, other))
        return total

    def _done(self, function: Callable[..., Any], parts: tuple[int, ...]) -> int:
        operation = (function, parts)
        if operation not in self._known:
            self._operations.append((self._count, operation))
            self._known[operation] = self._count
            self._count += 1
        return self._known[operation]


def _shape(expression: Expression) -> int:
    if not columns(expression):
        return 0
    return 2 if names(expression, "parameter") else 1

"""A law written as a formula, for the solver: linear in its scales, with derivatives from its tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.laws.formulas import calculus
from analysis.laws.formulas.formula import Formula
from analysis.laws.formulas.tape import Tape
from analysis.laws.formulas.tree import ZERO, Expression, parameter, product_of, sum_of
from analysis.laws.law import Array, Columns, Law, Parameter


class FormulaLaw(Law):
    """L = f_0 + sum_j c_j f_j, or its logarithm, with f of the columns and of the parameters that have starts.

    Args:
        formula: what it is made of.
        tree: the same with columns and parameters, of which those without starts are its scales c_j.
        parameters: all that the tree holds, in the order of every theta.
        levels: labels of the columns that its groups go by.
    """

    def __init__(
        self,
        formula: Formula,
        tree: Expression,
        parameters: tuple[Parameter, ...],
        levels: Mapping[str, Sequence[str]],
    ):
        written = self.written = formula.written
        self.name, self.formula, self.parameters = formula.name, formula.right, parameters
        self.source = written.source or "a formula of its user's"
        self.logarithmic, self.published = formula.logarithmic, written.published
        self.unit = written.unit or self.unit
        self.columns = tuple(calculus.columns(tree))
        self.levels = {name: tuple(levels[name]) for name in self.columns if name in formula.labels}
        self.free = calculus.free_columns(tree)
        self.coarse = self.columns  # which values are enough is for the Jacobian to say
        self._scales = [p.name for p in parameters if not p.starts]
        rest = calculus.with_parameters(tree, dict.fromkeys(self._scales, ZERO))
        basis = {scale: calculus.derivative(tree, scale) for scale in self._scales}
        whole = sum_of(rest, *(product_of(parameter(scale), own) for scale, own in basis.items()))
        slopes = [basis[n] if n in basis else calculus.derivative(whole, n) for n in self.names]
        self._value, self._slopes, self._linear = Tape([whole]), Tape(slopes), Tape([rest, *basis.values()])

    def predict(self, theta: Array, columns: Columns) -> Array:
        [value] = self._value.run(self._values(theta), columns)
        value = np.broadcast_to(value, (*theta.shape[:-1], _rows(columns)))
        return np.exp(value) if self.logarithmic else value

    def gradient(self, theta: Array, columns: Columns) -> Array:
        found = self._stacked(self._slopes.run(self._values(theta), columns), theta, columns)
        if self.logarithmic:
            found *= self.predict(theta, columns)[..., None]
        return found

    def linear(self, theta: Array, columns: Columns) -> tuple[Array | float, Array]:
        rest, *basis = self._linear.run(self._values(theta), columns)
        return rest, self._stacked(basis, theta, columns)

    def as_data(self) -> dict[str, Any]:
        """As plain data, of which `declared.of_data` makes the same law."""
        levels = {name: list(own) for name, own in self.levels.items()}
        return {"law": self.written.as_data(), "columns": list(self.columns), "levels": levels}

    def _stacked(self, found: list[Any], theta: Array, columns: Columns) -> Array:
        """Arrays that are broadcast together, side by side in (..., n, count)."""
        result = np.empty((*theta.shape[:-1], _rows(columns), len(found)))
        for i, own in enumerate(found):
            result[..., i] = own
        return result


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values())))

"""A written law matched with the columns of a table, which are its columns and which its parameters; and as a law for the solver."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.laws.formulas import calculus, parser
from analysis.laws.formulas.tape import Tape
from analysis.laws.formulas.tree import ZERO, Expression, call, column, number, parameter, pick, product_of, sum_of
from analysis.laws.formulas.written import WrittenLaw
from analysis.laws.law import Array, Columns, Law, Parameter
from repro.errors import UserError

LOSS = "loss"  # what every law predicts, and so none reads


@dataclass(frozen=True)
class Formula:
    """A formula whose names are known.

    Attributes:
        written: what it was made of.
        tree: with columns, parameters and groups. logarithmic: it is of the logarithm of the loss.
        columns: of numbers, that it reads. labels: columns of labels that its groups go by.
    """

    written: WrittenLaw
    tree: Expression
    logarithmic: bool
    columns: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def free(self) -> tuple[str, ...]:
        """Columns that may hold any number."""
        return calculus.free_columns(self.tree)

    @property
    def right(self) -> str:
        """The text of its right side."""
        text = self.written.formula.rpartition("=")[2].strip()
        return f"exp({text})" if parser.law(self.written.formula)[1] and not self.logarithmic else text

    @property
    def name(self) -> str:
        return self.written.name or self.written.formula.strip()


def read(written: WrittenLaw, known: Collection[str]) -> Formula:
    """The formula of a written law, given the columns that there are.

    Raises:
        UserError: see `parser`; a parameter with a column's name; a group by what is no column; a loss in its own
            formula; a definition of a name that stands nowhere.
    """
    known = {*known, *written.columns}
    for name in written.declared:
        if name.split("[")[0] in known:
            raise UserError("a parameter with a column's name", key=name, found=name, expected="another name, or none in the table")  # fmt: skip
    tree, logarithmic = parser.law(written.formula)
    places: dict[str, Expression] = {}
    for name, text in written.where.items():
        own = number(text) if not isinstance(text, str) else parser.expression(text)
        places[name] = _resolved(own, places, known)
    used = {str(own.value) for own in calculus.nodes(tree) if own.kind == "name"}
    used |= {n for text in written.where.values() if isinstance(text, str) for n in calculus.names(parser.expression(text), "name")}  # fmt: skip
    for name in written.where:
        if name not in used:
            raise UserError("a definition that nothing uses", key=f"where.{name}", found=name, expected="a name of the formula")  # fmt: skip
    tree = _resolved(tree, places, known)
    if logarithmic and (whole := call("exp", tree)) != Expression("call", "exp", (tree,)):
        tree, logarithmic = whole, False  # log(loss) = log(E + …)
    if LOSS in calculus.names(tree, "column"):
        raise UserError("the loss in its own formula", key="formula", found=LOSS, expected="other columns")
    groups = [_group(own) for own in calculus.nodes(tree) if own.kind == "group"]
    for name, by in groups:
        if by not in known:
            raise UserError("a group by an unknown name", key="formula", found=f"{name}[{by}]", expected=f"a column: {', '.join(sorted(known)[:30])}")  # fmt: skip
        if name in known or name in calculus.names(tree, "parameter") or (name, by) != next(g for g in groups if g[0] == name):  # fmt: skip
            raise UserError("a group's name that has another meaning, too", key="formula", found=f"{name}[{by}]", expected="a name of its own")  # fmt: skip
    labels = tuple(dict.fromkeys(by for _, by in groups))
    columns = tuple(calculus.names(tree, "column"))
    if both := [name for name in columns if name in labels]:
        raise UserError("a column of numbers and of labels", key="formula", found=both[0], expected="one or the other")
    return Formula(written, tree, logarithmic, columns, labels)


def expanded(formula: Formula, levels: Mapping[str, Sequence[str]]) -> Expression:
    """Its tree with a parameter for each level of each group."""

    def new(own: Expression) -> Expression | None:
        if own.kind != "group":
            return None
        name, by = _group(own)
        return pick(by, tuple(parameter(f"{name}[{level}]") for level in levels[by]))

    return calculus.replaced(formula.tree, new)


def _resolved(tree: Expression, places: Mapping[str, Expression], known: Collection[str]) -> Expression:
    def new(own: Expression) -> Expression | None:
        if own.kind != "name":
            return None
        name = str(own.value)
        return places.get(name) or (column(name) if name in known or name == LOSS else parameter(name))

    return calculus.replaced(tree, new)


def _group(own: Expression) -> tuple[str, str]:
    assert isinstance(own.value, tuple)
    return own.value


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

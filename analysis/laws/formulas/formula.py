"""A written law matched with the columns of a table: which names are columns, and which are parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from analysis.laws.formulas import calculus, parser
from analysis.laws.formulas.tree import Expression, call, column, number, parameter, pick
from analysis.laws.formulas.written import WrittenLaw
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

"""The role of each parameter in a formula: a scale, the exponent of a column, or another one, which needs bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analysis.laws.formulas import calculus
from analysis.laws.formulas.tree import Expression
from analysis.laws.formulas.written import SaidParameter
from repro.errors import UserError


class Roles:
    """The roles of the parameters of one tree.

    Attributes:
        scales: parameters in which the tree is linear, all together, with their slopes.
        exponents: parameters that multiply the logarithm of a column in an exponential, and stand nowhere else.
    """

    def __init__(self, tree: Expression, names: Sequence[str], said: Mapping[str, SaidParameter]):
        self.tree, self.names, self.said = tree, names, said
        slopes = {name: calculus.derivative(tree, name) for name in names}
        self._linear = {name for name in names if not calculus.holds(slopes[name], name)}
        self.scales: dict[str, Expression] = {}
        for name in names:
            alone = not any(other in self.scales for other in calculus.names(slopes[name], "parameter"))
            if name in self._linear and alone and not said[name].starts:
                self.scales[name] = slopes[name]
        self.exponents = [name for name in names if name not in self._linear and self._is_exponent(name)]

    def refuse_unknown(self) -> None:
        """Raises UserError for a name that is neither a column nor a parameter that needs no declaration."""
        open_ = [n for n in self.names if n not in self._linear and n not in self.exponents and not self.said[n].bounds]
        for message, wanted, inside in (
            (
                "an unknown name",
                "a column (--columns NAME=ITS_NAME says which), or a parameter with bounds",
                _calls(self.tree, "log"),
            ),
            ("a division by a parameter that may be zero", "bounds on one side of 0", self._denominators()),
            ("an exponent without bound", "bounds", _calls(self.tree, "exp")),
            ("a parameter without bounds", "bounds", [self.tree]),
        ):
            for name in open_:
                if any(calculus.holds(own, name) for own in inside):
                    raise self._wrong(message, name, wanted)

    def refuse_unbounded(self) -> None:
        """Raises UserError for a parameter that isn't a scale and has no finite bounds."""
        for name in self.names:
            if name in self.scales or (name in self.exponents and not self.said[name].bounds):
                continue
            bounds = self.said[name].bounds
            if bounds is None or not (math.isfinite(bounds[0]) and math.isfinite(bounds[1])):
                inside = any(calculus.holds(own, name) for own in _calls(self.tree, "exp"))
                raise self._wrong(
                    "an exponent without bound" if inside else "a parameter without bounds", name, "bounds"
                )

    def _is_exponent(self, name: str) -> bool:
        """Whether it multiplies the logarithm of a column wherever it stands, and no parameter of which nothing is said."""
        found = False
        for own in _calls(self.tree, "exp"):
            if not calculus.holds(own, name):
                continue
            slope = calculus.derivative(own.parts[0], name)
            others = calculus.names(slope, "parameter")
            if name in others or any(self.said[other].bounds is None for other in others):
                return False
            if not any(calculus.names(inner, "column") for inner in _calls(slope, "log")):
                return False
            found = True
        outside = [own.value for own in _outside_exponentials(self.tree) if own.kind == "parameter"]
        return found and name not in outside

    def _denominators(self) -> list[Expression]:
        powers = [own for own in calculus.nodes(self.tree) if own.kind == "power"]
        return [own.parts[0] for own in powers if isinstance(own.parts[1].value, float) and own.parts[1].value < 0]

    def _wrong(self, message: str, name: str, wanted: str) -> UserError:
        columns = ", ".join(calculus.columns(self.tree)) or "none"
        return UserError(
            message, key=f"bounds.{name}", found=f"{name}, which isn't a column (of these it reads {columns})",
            expected=f"{wanted}: --bounds {name}=LOW:HIGH",
        )  # fmt: skip


def _is_call(own: Expression, name: str) -> bool:
    return own.kind == "call" and own.value == name


def _calls(expression: Expression, name: str) -> list[Expression]:
    return [own for own in calculus.nodes(expression) if _is_call(own, name)]


def _outside_exponentials(expression: Expression) -> list[Expression]:
    found, waiting = [], [expression]
    while waiting:
        own = waiting.pop()
        found.append(own)
        if not _is_call(own, "exp"):
            waiting += own.parts
    return found

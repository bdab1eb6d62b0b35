"""The role of each parameter in a formula, a scale, the exponent of a column, or another one, which needs bounds; and whether any rows identify it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from analysis.laws.formulas import calculus
from analysis.laws.formulas.spans import Span
from analysis.laws.formulas.tape import Tape
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


ROWS = 20  # rows a parameter, of columns drawn at random
TRIES = 12  # points at which a formula is tried; one at which all can be told apart is enough
SMALL = (1.5, 200.0)  # between which columns are drawn at every other of them
USUAL = {"D": (1e6, 1e13), "C": (1e15, 1e25)}  # and at the others, where they are tokens, FLOP or, N…, parameters
FLAT = 1e-11  # share of the largest singular value under which a direction changes nothing
WIDE = (0.3, 3.0)  # between which a parameter is drawn where its bounds allow it


def refuse_unidentified(tree: Expression, parameters: Sequence[str], spans: Mapping[str, Span], levels: Mapping[str, int]) -> None:  # fmt: skip
    """Raises UserError for parameters that move together without changing anything.

    Args:
        spans: bounds of the parameters. levels: how many labels each column of labels has.
    """
    tape, rng = Tape([calculus.derivative(tree, name) for name in parameters]), np.random.default_rng(0)
    moved: list[str] = []
    for i in range(TRIES):
        count = ROWS * len(parameters) * max([1, *levels.values()])
        x = {name: _drawn(name, levels, count, rng, small=i % 2 == 0) for name in calculus.columns(tree)}
        p = {name: np.array([_inside(spans[name], rng)]) for name in parameters}
        with np.errstate(all="ignore"):
            slopes = np.stack([np.broadcast_to(own, (count,)) for own in tape.run(p, x)], axis=1)
            slopes = slopes[np.isfinite(slopes).all(axis=1)]
            norm = np.linalg.norm(slopes, axis=0)
        if len(slopes) <= len(parameters) or not np.isfinite(norm).all():
            continue
        _, sizes, directions = np.linalg.svd(slopes / np.where(norm > 0, norm, 1.0), full_matrices=False)
        flat = directions[sizes <= FLAT * sizes[0]]
        along = (np.abs(flat) > 1e-6).any(axis=0)
        if not along.any():
            return
        moved = [name for name, own in zip(parameters, along, strict=True) if own]
    if moved:
        raise UserError(
            "parameters that no rows can tell apart", key="formula", found=", ".join(moved),
            expected=f"one of them fixed (--fix {moved[-1]}=1), or another formula",
        )  # fmt: skip


def _drawn(name: str, levels: Mapping[str, int], count: int, rng: np.random.Generator, *, small: bool) -> np.ndarray:
    if name in levels:
        return rng.integers(0, levels[name], count).astype(float)
    if name in ("S", "rho"):
        return rng.uniform(0.05, 0.9, count)
    usual = (1e5, 1e12) if name.startswith("N") else USUAL.get(name, SMALL)
    low, high = SMALL if small else usual
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


def _inside(own: Span, rng: np.random.Generator) -> float:
    """A number between the bounds, a usual one where they allow it."""
    low, high = max(own.low, WIDE[0]), min(own.high, WIDE[1])
    if low >= high:
        low, high = max(own.low, -1e3), min(own.high, 1e3)
    return float(rng.uniform(low, high)) if low < high else own.low

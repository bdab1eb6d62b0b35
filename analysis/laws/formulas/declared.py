"""A law from a formula: the bounds and starts of its parameters, from their declarations and from their places in the formula.

A scale, in which the loss is linear, and an exponent of a column need no bounds. Every other parameter does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from analysis.laws.formulas import calculus
from analysis.laws.formulas.formula import Formula, FormulaLaw, expanded, read
from analysis.laws.formulas.roles import Roles, refuse_unidentified
from analysis.laws.formulas.spans import ALL, POSITIVE, Span, span
from analysis.laws.formulas.tree import Expression, number, parameter
from analysis.laws.formulas.written import SaidParameter
from analysis.laws.formulas.written import of_data as of_mapping
from analysis.laws.law import Parameter
from analysis.laws.size_and_data import EXPONENTS, FEW_EXPONENTS, IRREDUCIBLE, SIZE_EXPONENT, SIZE_SCALE
from repro.errors import UserError

MOST = 512  # starts where none are said
LARGEST = 20_000  # starts that are said
FEW = 3  # parameters from which each has fewer starts
WIDE = 100.0  # high over low from which the solver works on the logarithm


def law_of(formula: Formula, levels: Mapping[str, Sequence[str]]) -> FormulaLaw:
    """The law of a formula.

    Args:
        levels: labels of the columns that its groups go by, as its rows have them.

    Raises:
        UserError: a name that is said something of and isn't in the law; bounds in the wrong order; an unknown name; an exponent or
            another parameter without bounds; a division by what may be zero; parameters that no rows can tell apart.
    """
    written, tree = formula.written, expanded(formula, levels)
    names = calculus.names(tree, "parameter")
    said = _said_of(formula, names)
    tree = _settled(formula, tree, names, said)
    names = calculus.names(tree, "parameter")
    if not names:
        raise UserError("a formula without a parameter", key="formula", found=written.formula, expected="one to fit")
    roles = Roles(tree, names, said)
    roles.refuse_unknown()
    if not calculus.columns(tree):
        raise UserError("a formula without a column", key="formula", found=written.formula, expected="the column that the loss depends on")  # fmt: skip
    bounds = {name: own.bounds for name, own in said.items() if own.bounds}
    loose = {name: Span(*bounds[name]) if name in bounds else ALL for name in names}
    for name in roles.exponents:
        loose.setdefault(name, POSITIVE)
    refuse_unidentified(tree, names, loose, {by: len(levels[by]) for by in formula.labels})
    roles.refuse_unbounded()
    parameters = _parameters(tree, names, said, roles, formula.logarithmic)
    _refuse_zero(tree, {p.name: Span(p.low, p.high) for p in parameters})
    return FormulaLaw(formula, tree, parameters, levels)


def of_data(data: Any) -> FormulaLaw:
    """The law that `FormulaLaw.as_data` gave. Raises UserError for anything else."""
    if not isinstance(data, Mapping) or set(data) != {"law", "columns", "levels"}:
        raise UserError("not a saved law", found=str(data)[:100], expected="law, columns and levels")
    columns, levels = data["columns"], data["levels"]
    if (
        not _texts(columns)
        or not isinstance(levels, Mapping)
        or not all(_texts(own) and own for own in levels.values())
    ):
        raise UserError("not a saved law", found=str([columns, levels])[:100], expected="names of columns and labels")  # fmt: skip
    if not isinstance(data["law"], Mapping):
        raise UserError("not a saved law", key="law", found=str(data["law"])[:100], expected="a formula's keys")
    formula = read(of_mapping(data["law"]), columns)
    if set(formula.labels) != set(levels):
        raise UserError("not a saved law", key="levels", found=", ".join(levels), expected=", ".join(formula.labels) or "none")  # fmt: skip
    return law_of(formula, levels)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(own, str) for own in value)


def _said_of(formula: Formula, names: Sequence[str]) -> dict[str, SaidParameter]:
    """What is said of each parameter; of a level what is said of its group, unless something is said of itself."""
    groups = {name.split("[")[0] for name in names if "[" in name}
    for name, own in formula.written.parameters.items():
        if name not in names and name not in groups:
            raise _stranger("a parameter", f"parameters.{name}", name, names)
        if own.bounds and not own.bounds[0] < own.bounds[1]:
            raise UserError(
                "bounds in the wrong order", key=f"bounds.{name}", found=f"{own.bounds[0]:g} to {own.bounds[1]:g}", expected="low, then high"
            )  # fmt: skip
    given = formula.written.parameters
    return {name: given.get(name) or given.get(name.split("[")[0]) or SaidParameter() for name in names}


def _settled(formula: Formula, tree: Expression, names: Sequence[str], said: Mapping[str, SaidParameter]) -> Expression:
    written, places = formula.written, {}
    for name, value in written.fixed.items():
        if name not in names:
            raise _stranger("a fixed name", f"fix.{name}", name, names)
        if (bounds := said[name].bounds) and not bounds[0] <= value <= bounds[1]:
            raise UserError(
                "fixed outside its bounds", key=f"fix.{name}", found=value, expected=f"{bounds[0]:g} to {bounds[1]:g}"
            )
        places[name] = number(value)
    for name, other in written.tied.items():
        for own in (name, other):
            if own not in names:
                raise _stranger("a tied name", f"tie.{name}", own, names)
        if name in written.fixed or name == other or other in written.tied:
            raise UserError(
                "a tie of a parameter that is fixed or tied",
                key=f"tie.{name}",
                found=f"{name}={other}",
                expected="a free parameter",
            )
        places[name] = places.get(other, parameter(other))
    return calculus.with_parameters(tree, places)


def _stranger(what: str, key: str, name: str, names: Sequence[str]) -> UserError:
    return UserError(f"{what} that isn't in the law", key=key, found=name, expected=", ".join(names) or "a formula with parameters")  # fmt: skip


def _parameters(
    tree: Expression, names: Sequence[str], said: Mapping[str, SaidParameter], roles: Roles, logarithmic: bool
) -> tuple[Parameter, ...]:
    grid = _starts({name: _bounds_of(said[name]) for name in names if name not in roles.scales}, said)
    spans = {name: Span(*_bounds_of(said[name])) for name in grid}
    signed = _signed(roles, said, spans, calculus.free_columns(tree), logarithmic)
    found = []
    for name in names:
        own = said[name]
        if name in grid:
            low, high = _bounds_of(own)
            wide = own.bounds is not None and low > 0 and high >= WIDE * low and name not in roles.exponents
            found.append(Parameter(name, own.unit, low, high, wide if own.log is None else own.log, grid[name]))
            continue
        usual = SIZE_SCALE if calculus.names(roles.scales[name], "column") else IRREDUCIBLE
        low, high = own.bounds or ((-math.inf, math.inf) if name in signed else (usual.low, usual.high))
        log = usual.log and low > 0 if own.log is None else own.log
        found.append(Parameter(name, own.unit, low, high, log))
    for p in found:
        if p.log and not p.low > 0:
            raise UserError("a logarithm of what may be zero", key=f"parameters.{p.name}.log", found=f"{p.low:g} to {p.high:g}", expected="bounds over 0")  # fmt: skip
    return tuple(found)


def _bounds_of(own: SaidParameter) -> tuple[float, float]:
    return own.bounds or (SIZE_EXPONENT.low, SIZE_EXPONENT.high)


def _signed(
    roles: Roles, said: Mapping[str, SaidParameter], spans: Mapping[str, Span], free: Collection[str], logarithmic: bool
) -> set[str]:
    """Scales that may be negative: all of a law of the logarithm; else those of straight lines, and a floor beside one.

    A loss is a floor and positive terms that fall from there; beside a straight line there is no floor.
    """
    if logarithmic:
        return {name for name in roles.scales if said[name].bounds is None}
    floors = {name for name, own in roles.scales.items() if not calculus.names(own, "column")}
    straight = {
        name
        for name, own in roles.scales.items()
        if name not in floors and not (calculus.names(own, "parameter") and _one_sign(own, spans, free))
    }
    found = straight | floors if straight else straight
    return {name for name in found if said[name].bounds is None}


def _one_sign(own: Expression, spans: Mapping[str, Span], free: Collection[str]) -> bool:
    found = span(own, spans, free)
    return found.low >= 0 or found.high <= 0


def _refuse_zero(tree: Expression, spans: Mapping[str, Span]) -> None:
    free = calculus.free_columns(tree)
    for own in calculus.nodes(tree):
        if own.kind == "power" and span(own.parts[1], spans, free).low < 0:
            inside = calculus.names(own.parts[0], "parameter")
            if inside and span(own.parts[0], spans, free).zero:
                raise UserError(
                    "a division by a parameter that may be zero", key=f"bounds.{inside[0]}",
                    found=f"{spans[inside[0]].low:g} to {spans[inside[0]].high:g}", expected="bounds on one side of 0",
                )  # fmt: skip


def _starts(
    bounds: Mapping[str, tuple[float, float]], said: Mapping[str, SaidParameter]
) -> dict[str, tuple[float, ...]]:
    """Where the solver starts with each parameter: as declared, or a grid between its bounds that is finer the fewer they are."""
    usual = EXPONENTS if len(bounds) < FEW else FEW_EXPONENTS
    found = {name: said[name].starts or _between(*own, usual) for name, own in bounds.items()}
    for name, own in found.items():
        low, high = bounds[name]
        if wrong := [start for start in own if not low <= start <= high]:
            raise UserError(
                "a start outside its bounds", key=f"parameters.{name}.starts", found=wrong[0], expected=f"{low:g} to {high:g}"
            )  # fmt: skip
    while (count := int(np.prod([len(own) for own in found.values()]))) > MOST:
        free = [name for name in found if not said[name].starts and len(found[name]) > 1]
        if not free:
            break
        longest = max(free, key=lambda name: len(found[name]))
        found[longest] = _fewer(found[longest])
    if count > LARGEST:
        raise UserError("too many starts", key="parameters", found=f"{count:,}", expected=f"{LARGEST:,} at most")
    return found


def _fewer(own: tuple[float, ...]) -> tuple[float, ...]:
    """One fewer: without the one in the middle, and of two their mean."""
    return (sum(own) / 2,) if len(own) == 2 else own[: len(own) // 2] + own[len(own) // 2 + 1 :]


def _between(low: float, high: float, usual: tuple[float, ...]) -> tuple[float, ...]:
    """The usual exponents that lie inside, or three numbers that do, evenly in their logarithm where the bounds are wide."""
    inside = tuple(own for own in usual if low < own < high)
    if len(inside) == len(usual):
        return inside
    shares = np.array([1, 3, 5]) / 6
    if low > 0 and high > 10 * low:
        return tuple((low * (high / low) ** shares).tolist())
    return tuple((low + (high - low) * shares).tolist())

"""Where the solver starts with parameters of a formula: a grid that is finer the fewer they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis.laws.formulas.written import SaidParameter
from analysis.laws.size_and_data import EXPONENTS, FEW_EXPONENTS
from repro.errors import UserError

MOST = 512  # starts where none are said
LARGEST = 20_000  # starts that are said
FEW = 3  # parameters from which each has fewer starts


def grid(bounds: Mapping[str, tuple[float, float]], said: Mapping[str, SaidParameter]) -> dict[str, tuple[float, ...]]:
    """Starting values of each parameter: those declared, or some between its bounds.

    Raises:
        UserError: starts out of bounds, or too many of them.
    """
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

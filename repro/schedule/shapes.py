"""How density falls from event to event, what it leaves of N weights, and how far apart events are."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

Shape = Literal["geometric", "linear", "cubic", "constant", "dense"]
SHAPES: tuple[str, ...] = ("geometric", "linear", "cubic", "constant", "dense")


def exact_floor(total: int, density: float) -> int:
    """floor(total * density), where a density meant as a round decimal (.2) is taken as that decimal.

    In binary, 1 - .8 is a little under .2 and floor(50 * (1 - .8)) would be 9; twelve digits are more
    than any schedule states and fewer than the error of a double.
    """
    return math.floor(total * Fraction(repr(round(density, 12))))


def density_after(shape: str, sparsity: float, event: int, events: int) -> float:
    """Density after event `event` (0-based) of `events`."""
    done = (event + 1) / events
    if event == events - 1 or shape == "constant":
        return 1.0 - sparsity
    if shape == "geometric":
        return (1.0 - sparsity) ** done
    if shape == "linear":
        return 1.0 - sparsity * done
    return 1.0 - sparsity * (1.0 - (1.0 - done) ** 3)


def interval_for(dense_steps: int, narrowest: float) -> int:
    """The interval between events that a run of this length takes when its sweep doesn't say.

    The paper's ratio is dense_steps / 268 (100 steps of 26,800). A short run would have its events next to
    each other that way: it keeps them 10 steps apart, and closes up to 4 before its narrowest window has
    fewer than 12.

    Args:
        dense_steps: steps of the dense run.
        narrowest: the smallest span of any schedule in the sweep, as a fraction of compute.
    """
    closest = min(10, max(4, int(narrowest * dense_steps / 12)))
    return max(round(dense_steps / 268), closest)

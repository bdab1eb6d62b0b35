"""How density falls from event to event, how many of N weights it leaves, and the default interval between events."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

Shape = Literal["geometric", "linear", "cubic", "constant", "dense"]
SHAPES: tuple[str, ...] = ("geometric", "linear", "cubic", "constant", "dense")


def exact_floor(total: int, density: float) -> int:
    """floor(total * density) with the density rounded to twelve decimals, so that .2 means exactly .2.

    In binary, 1 - .8 is slightly below .2 and floor(50 * (1 - .8)) would be 9. Twelve digits are more
    than any schedule specifies and few enough to hide a double's rounding error.
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
    """The default interval between events for a run of this length.

    The paper's ratio is dense_steps / 268 (100 steps of 26,800), which would put the events of a short run
    next to each other. The minimum is therefore 10 steps, reduced to as few as 4 where the narrowest window
    would otherwise have fewer than 12 events.

    Args:
        dense_steps: steps of the dense run.
        narrowest: the smallest span of any schedule in the sweep, as a fraction of compute.
    """
    closest = min(10, max(4, int(narrowest * dense_steps / 12)))
    return max(round(dense_steps / 268), closest)

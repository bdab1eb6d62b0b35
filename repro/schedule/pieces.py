"""Pieces: the number of weights over a run's steps, rising or falling, as a piecewise constant function."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Generic, TypeVar

from repro.errors import UserError

Number = TypeVar("Number", int, float)
UNIT = 10**12  # of a density's twelve decimals


def exact_floor(total: int, density: float) -> int:
    """floor(total * density) with the density rounded to twelve decimals, so that .2 means exactly .2.

    In binary, 1 - .8 is slightly below .2 and floor(50 * (1 - .8)) would be 9. Twelve digits are more
    than any schedule specifies and few enough to hide a double's rounding error.

    Args:
        density: at most 100, so that a double tells its twelve decimals.
    """
    return total * round(round(density, 12) * UNIT) // UNIT


@dataclass(frozen=True)
class Pieces(Generic[Number]):
    """Weights at each step t of a run, 0 <= t < T, as (first step, weights) of pieces on which they are constant.

    Weights may fall (pruning), rise (growth) or both. Weight counts are integers, with exact sums; densities, relative
    to a dense run, use the same class, and their sums are compute in dense steps.

    Attributes:
        first_steps: first step of each piece; begins with 0, strictly increasing.
        weights: weights of each piece, 0 or more.
        total_steps: T.

    Raises:
        UserError: the pieces don't cover the steps from 0 to T - 1 in order, or weights are negative.
    """

    first_steps: tuple[int, ...]
    weights: tuple[Number, ...]
    total_steps: int

    def __post_init__(self) -> None:
        firsts: tuple[int, ...] = self.first_steps
        if not firsts or firsts[0] != 0 or len(firsts) != len(self.weights):
            raise UserError(
                "pieces that don't begin at step 0",
                key="first_steps",
                found=f"{firsts[:1]}, and {len(firsts)} first steps for {len(self.weights)} weights",
                expected="0 first, and as many first steps as weights",
            )
        if any(a >= b for a, b in pairwise((*firsts, self.total_steps))):
            raise UserError(
                "pieces out of order",
                key="first_steps",
                found=str((*firsts, self.total_steps))[:200],
                expected="each first step above the one before, and all below the total",
            )
        if not all(weights >= 0 for weights in self.weights):
            raise UserError("negative weights", key="weights", found=min(self.weights), expected="0 or more")

    @cached_property
    def _sums(self) -> tuple[Number, ...]:
        """Sum of the weights over all steps before each piece."""
        found: list[Number] = [0]
        for (first, following), weights in zip(pairwise(self.first_steps), self.weights, strict=False):
            found.append(found[-1] + (following - first) * weights)
        return tuple(found)

    def index(self, step: int) -> int:
        """Index of the piece that contains `step`."""
        return bisect.bisect_right(self.first_steps, step) - 1

    def at(self, step: int) -> Number:
        """Weights in the forward pass of `step`."""
        return self.weights[self.index(step)]

    def before(self, step: int) -> Number:
        """Sum of the weights over all steps before `step`; steps outside the run don't count."""
        step = min(max(step, 0), self.total_steps)
        piece = self.index(step)
        return self._sums[piece] + (step - self.first_steps[piece]) * self.weights[piece]

    @property
    def sum(self) -> Number:
        """Sum of the weights over all T steps."""
        return self.before(self.total_steps)

    @property
    def mean(self) -> float:
        """Sum over T; for weight counts this is N_avg."""
        return self.sum / self.total_steps

    @property
    def final(self) -> Number:
        """Weights at the last step."""
        return self.weights[-1]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Steps of each piece."""
        return tuple(following - first for first, following in pairwise((*self.first_steps, self.total_steps)))

    def mirrored(self) -> Pieces[Number]:
        """The reflection in time: its weights at step t are these at step T - 1 - t."""
        ends = (*self.first_steps[1:], self.total_steps)
        return Pieces(tuple(self.total_steps - end for end in reversed(ends)), self.weights[::-1], self.total_steps)

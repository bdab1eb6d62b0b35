"""Moves: a mask that moves at a constant number of weights, as in SET (arXiv 1707.04780) and RigL (arXiv 1911.11134).

A move removes a share of the kept weights and returns as many others at the same step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from repro.bounds import EVENTS
from repro.errors import UserError


@dataclass(frozen=True)
class Moves:
    """When a mask moves, and how much of it.

    Attributes:
        every: steps between two moves; the first is at step `every`.
        share: share of the kept weights that the first move moves.
        decay: "cosine" falls to 0 at the step `until` as in RigL; "constant" as in SET.
        until: share of the run's compute (of its steps too, as density is constant) before which the moves are.
    """

    every: int
    share: float
    decay: str
    until: float

    def steps(self, total_steps: int) -> range:
        """Steps of the moves of a run of `total_steps`.

        Raises:
            UserError: none, or more than a run may have.
        """
        found = range(self.every, math.ceil(self.until * total_steps), self.every)
        if not 0 < len(found) <= EVENTS:
            raise UserError(
                "no moves" if not found else "too many moves",
                key="moves.every",
                found=f"every {self.every:,} steps until {self.until:g} of {total_steps:,}",
                expected=f"1 to {EVENTS:,} moves",
            )
        return found

    def shares(self, total_steps: int) -> tuple[float, ...]:
        """Share of the kept weights that each move moves."""
        steps = self.steps(total_steps)
        if self.decay == "constant":
            return (self.share,) * len(steps)
        first, end = steps[0], self.until * total_steps
        return tuple(self.share * 0.5 * (1 + math.cos(math.pi * (step - first) / (end - first))) for step in steps)

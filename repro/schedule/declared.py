"""Declared: a schedule as a user declares it, in shares of effective compute, with its bounds; and moves of its mask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from repro.bounds import EVENTS, STEPS
from repro.errors import UserError

Sparse = Literal["geometric", "linear", "cubic", "constant", "static_dense", "saw_tooth", "pieces"]
Shape = Literal[Sparse, "dense"]
SHAPES: tuple[str, ...] = get_args(Shape)
# Their events are `interval` steps apart, between `start` and `end`.
FALLING: tuple[Sparse, ...] = ("geometric", "linear", "cubic")
TEETH = 4  # of a saw-tooth
UNTIMED = ("dense", "constant", "pieces")  # neither `start` nor `end` has a meaning


@dataclass(frozen=True)
class Moves:
    """When a mask moves at a constant number of weights, as in SET (arXiv 1707.04780) and RigL (arXiv 1911.11134).

    A move removes a share of the kept weights and returns as many others at the same step.

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


@dataclass(frozen=True)
class Declared:
    """A schedule as a spec declares it.

    Attributes:
        dense_steps: steps of the dense run, whose compute this run gets.
        sparsity: the largest share of the prunable weights that is removed at any step, in [0, 1); 0 is a dense run.
        shape: how density falls or rises (`shapes.MAKERS`).
        start, end: when N(t) first and last changes, as fractions of effective compute, of the schedule before it is mirrored.
        interval: steps between two events of a falling shape.
        teeth: of the shape "saw_tooth", how often it is sparse and then dense between `start` and `end`.
        mirror: whether N(t) is reflected in time.
        pieces: of the shape "pieces", (begin, density) of each: below 1 a share of compute, from 1 on a step.
        moves: how the mask of a constant shape moves.
    """

    dense_steps: int
    sparsity: float
    shape: Shape = "geometric"
    start: float = 0.25
    end: float = 0.75
    interval: int = 1
    teeth: int = TEETH
    mirror: bool = False
    pieces: tuple[tuple[float, float], ...] = ()
    moves: Moves | None = None

    def check(self) -> None:
        """Raises UserError if sparsity, steps or interval is out of range."""
        check_sparsity(self.sparsity)
        check_counts(self.dense_steps, "dense_steps", self.interval)

    def check_window(self) -> None:
        """Raises UserError if `start` and `end` are no window of the run's compute."""
        if not 0 <= self.start < 1:
            raise UserError(
                "start out of range", key="start", found=self.start, expected="0 <= start < 1, a fraction of compute"
            )
        if not self.start < self.end <= 1 + 1e-9:
            raise UserError(
                "end out of range", key="end", found=self.end, expected="start < end <= 1: start + span may not pass 1"
            )


def check_sparsity(sparsity: float) -> None:
    """Raises UserError if it is no share of weights that leaves some."""
    if not 0 <= sparsity < 1:
        raise UserError("sparsity out of range", key="sparsity", found=sparsity, expected="0 <= sparsity < 1")


def check_counts(steps: int, key: str, interval: int = 1) -> None:
    """Raises UserError if `steps` (given as `key`) or `interval` is out of bounds."""
    if steps < 1:
        raise UserError("no steps", key=key, found=steps, expected="at least 1")
    if steps > STEPS:
        raise UserError("too many steps", key=key, found=f"{steps:,}", expected=f"at most {STEPS:,}")
    if interval < 1:
        raise UserError("interval out of range", key="interval", found=interval, expected="at least 1 step")


def too_many(events: int, interval: int) -> UserError:
    """The error for more events than a run may have."""
    return UserError(
        "too many pruning events",
        key="interval",
        found=f"over {min(events, EVENTS):,}, one every {interval} steps",
        expected=f"at most {EVENTS:,}: a longer interval",
    )

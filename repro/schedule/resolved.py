"""Converts fractions of effective compute to the steps of a pruning schedule; for conventions see `pruning`."""

from __future__ import annotations

import bisect
import math

from repro.bounds import EVENTS, STEPS
from repro.errors import UserError
from repro.schedule.shapes import Shape, density_after


def steps(
    sparsity: float, dense_steps: int, start: float, end: float, interval: int, shape: Shape
) -> tuple[int, int, int]:
    """First event, last event and T; the arguments are those of `PruningSchedule.resolve`.

    Raises:
        UserError: a value out of range, or a window with fewer than two events.
    """
    if not 0 <= sparsity < 1:
        raise UserError("sparsity out of range", key="sparsity", found=sparsity, expected="0 <= sparsity < 1")
    check_counts(dense_steps, "dense_steps", interval)
    if sparsity == 0:
        return 0, 0, dense_steps
    if shape == "dense":
        raise UserError(
            "shape and sparsity disagree",
            key="shape",
            found=f"dense at sparsity {sparsity}",
            expected="geometric, linear, cubic or constant with a sparsity above 0",
        )
    if shape == "constant":
        return 0, 0, round(dense_steps / (1 - sparsity))
    if not 0 <= start < 1:
        raise UserError(
            "start out of range", key="start", found=start, expected="0 <= start < 1, a fraction of compute"
        )
    if not start < end <= 1 + 1e-9:
        raise UserError(
            "end out of range", key="end", found=end, expected="start < end <= 1: start + span may not pass 1"
        )
    start_step = interval * round(start * dense_steps / interval)

    def compute_at_end(events: int) -> float:
        return start_step + interval * sum(density_after(shape, sparsity, k, events) for k in range(events - 1))

    # Compute at the last event grows with the number of events: find the two counts around the requested compute.
    wanted, most = end * dense_steps, 2 + math.ceil(dense_steps / (1 - sparsity) / interval)
    above = bisect.bisect_left(range(min(most, EVENTS + 2)), wanted, key=compute_at_end)
    if above > EVENTS + 1:
        raise too_many(above, interval)
    events = min((above, above - 1), key=lambda n: abs(compute_at_end(n) - wanted))
    while events >= 2:
        end_step = start_step + (events - 1) * interval
        left = (dense_steps - compute_at_end(events)) / (1 - sparsity)
        total = end_step + round(left)
        if total - interval >= end_step:
            return start_step, end_step, total
        events -= 1
    raise UserError(
        "a pruning window with fewer than two events",
        key="interval",
        found=f"{start:.0%} to {end:.0%} of {dense_steps} dense steps, an event every {interval} steps",
        expected="at least two events: a wider window, more steps or a shorter interval",
    )


def check_counts(steps: int, key: str, interval: int) -> None:
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

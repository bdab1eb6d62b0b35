"""The paper's schedules: density falls at equally spaced events between two shares of effective compute.

Conventions (paper, section 2; the rounding is our choice):

* Events happen at `start, start + interval, ..., end`, both included.
* Event k (0-based) of n leaves the density (1 - S)^((k + 1) / n) in the paper's geometric shape.
* start = the nearest multiple of `interval`; end = start plus the multiple of `interval` whose compute is
  nearest the requested one, but at most T - interval, so that at least one interval of training follows
  the last event; T = the number of steps whose compute is nearest the dense run's.
"""

from __future__ import annotations

import bisect
import math

from repro.bounds import EVENTS
from repro.errors import UserError
from repro.schedule.declared import Declared, check_counts, check_sparsity, too_many
from repro.schedule.pieces import Pieces


def density_after(shape: str, sparsity: float, event: int, events: int) -> float:
    """Density after event `event` (0-based) of `events`; after the last it is exactly 1 - sparsity."""
    done = (event + 1) / events
    if event == events - 1:
        return 1.0 - sparsity
    if shape == "geometric":
        return (1.0 - sparsity) ** done
    if shape == "linear":
        return 1.0 - sparsity * done
    return 1.0 - sparsity * (1.0 - (1.0 - done) ** 3)


def from_compute(asked: Declared) -> Pieces[float]:
    """Pieces of a falling shape, from shares of compute.

    Raises:
        UserError: a window out of range, or with fewer than two events.
    """
    asked.check_window()
    return from_steps(asked.shape, asked.sparsity, *_steps(asked), asked.interval)


def _steps(asked: Declared) -> tuple[int, int, int]:
    """Steps of the first and the last event, and T."""
    sparsity, interval, dense_steps = asked.sparsity, asked.interval, asked.dense_steps
    start_step = interval * round(asked.start * dense_steps / interval)

    def compute_at_end(events: int) -> float:
        return start_step + interval * sum(density_after(asked.shape, sparsity, k, events) for k in range(events - 1))

    # Compute at the last event grows with the number of events: find the two counts around the requested compute.
    wanted, most = asked.end * dense_steps, 2 + math.ceil(dense_steps / (1 - sparsity) / interval)
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
        found=f"{asked.start:.0%} to {asked.end:.0%} of {dense_steps} dense steps, an event every {interval} steps",
        expected="at least two events: a wider window, more steps or a shorter interval",
    )


def from_steps(
    shape: str, sparsity: float, start_step: int, end_step: int, total_steps: int, interval: int
) -> Pieces[float]:
    """Pieces of a falling shape, from steps.

    Args:
        start_step, end_step: steps of the first and the last event.
        total_steps: T; steps run from 0 to T - 1.
        interval: steps between two events.

    Raises:
        UserError: a value out of range, or a window with fewer than two events or without training after the last.
    """
    check_sparsity(sparsity)
    check_counts(total_steps, "total_steps", interval)
    events, latest = (end_step - start_step) // interval + 1, total_steps - interval
    window = f"{start_step} to {end_step} every {interval}"

    def refused(what: str, found: str, expected: str) -> UserError:
        return UserError(what, key="end_step", found=found, expected=expected)

    if events > EVENTS:
        raise too_many(events, interval)
    if start_step < 0 or (end_step - start_step) % interval:
        raise refused("end - start is not a multiple of the interval", window, "a whole number of intervals")
    if events < 2:
        raise refused("a pruning window with fewer than two events", f"{window} steps", "at least two events")
    if end_step > latest:
        raise refused("no training after the last event", f"{end_step} of {total_steps}", f"at most {latest}")
    steps = tuple(range(start_step, end_step + 1, interval))
    left = tuple(density_after(shape, sparsity, k, events) for k in range(events))
    return Pieces(steps, left, total_steps) if start_step == 0 else Pieces((0, *steps), (1.0, *left), total_steps)


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

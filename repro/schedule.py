"""PruningSchedule: which step prunes how much, compute <-> steps, and the average density.

Pure arithmetic, no torch. Conventions (paper, section 2; rounding is ours and is stated here once):

* Compute is counted in *dense steps*: a step at density d costs d. A sparse run is given the compute
  of the dense run, so it takes more steps.
* An event happens at `start, start + interval, ..., end`, both included, **before** that step's forward
  pass; so the density of step t already counts the event of step t.
* Event k (0-based) of n leaves exactly floor(N * density_k) of N prunable weights. In the paper's
  geometric shape density_k = (1 - S)^((k + 1) / n).
* start = the nearest multiple of `interval`; end = the multiple whose compute is nearest the wanted one,
  but at most T - interval, so that at least one interval of training follows the last event; T = the
  whole number of steps whose compute is nearest the dense run's.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Literal

from repro.bounds import EVENTS, STEPS
from repro.errors import UserError

Shape = Literal["geometric", "linear", "cubic", "constant", "dense"]
SHAPES: tuple[str, ...] = ("geometric", "linear", "cubic", "constant", "dense")


def exact_floor(total: int, density: float) -> int:
    """floor(total * density), where a density meant as a round decimal (.2) is taken as that decimal.

    In binary, 1 - .8 is a little under .2 and floor(50 * (1 - .8)) would be 9; twelve digits are more
    than any schedule states and fewer than the error of a double.
    """
    return math.floor(total * Fraction(repr(round(density, 12))))


@dataclass(frozen=True)
class PruningSchedule:
    """A resolved schedule, in steps.

    Attributes:
        sparsity: final share of prunable weights removed, in [0, 1).
        start_step, end_step: steps of the first and the last event (both 0 when `shape` is dense).
        total_steps: T; steps run from 0 to T - 1.
        interval: steps between two events.
        shape: how density falls from event to event. `constant` prunes once, at step 0; `dense` never.
    """

    sparsity: float
    start_step: int
    end_step: int
    total_steps: int
    interval: int = 1
    shape: Shape = "geometric"

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise UserError("unknown shape", key="shape", found=self.shape, expected=", ".join(SHAPES))
        if not 0 <= self.sparsity < 1:
            raise UserError("sparsity out of range", key="sparsity", found=self.sparsity, expected="0 <= sparsity < 1")
        _check_counts(self.total_steps, "total_steps", self.interval)
        if (self.shape == "dense") != (self.sparsity == 0):
            raise UserError(
                "shape and sparsity disagree",
                key="shape",
                found=f"{self.shape} at sparsity {self.sparsity}",
                expected="dense exactly when sparsity is 0",
            )
        if self.shape in ("dense", "constant"):
            return
        if self.events > EVENTS:
            raise _too_many(self.events, self.interval)
        if self.start_step < 0 or (self.end_step - self.start_step) % self.interval:
            raise UserError(
                "end - start is not a multiple of the interval",
                key="end_step",
                found=f"{self.start_step} to {self.end_step} every {self.interval}",
                expected="a whole number of intervals",
            )
        if self.end_step - self.start_step < self.interval:
            raise UserError(
                "a pruning window with fewer than two events",
                key="end_step",
                found=f"{self.start_step} to {self.end_step} every {self.interval} steps",
                expected="at least two events",
            )
        if self.end_step > self.total_steps - self.interval:
            raise UserError(
                "no training after the last event",
                key="end_step",
                found=f"{self.end_step} of {self.total_steps}",
                expected=f"at most {self.total_steps - self.interval}",
            )

    # ---------------------------------------------------------------- making one

    @classmethod
    def dense(cls, steps: int) -> PruningSchedule:
        return cls(sparsity=0.0, start_step=0, end_step=0, total_steps=steps, shape="dense")

    @classmethod
    def resolve(
        cls, *, sparsity: float, dense_steps: int, start: float, end: float, interval: int, shape: Shape = "geometric"
    ) -> PruningSchedule:
        """From fractions of effective compute to steps.

        Args:
            sparsity: final sparsity in [0, 1).
            dense_steps: steps of the dense run whose compute this run is given.
            start, end: first and last event, as fractions of effective compute, 0 <= start < end <= 1.
            interval: steps between events.

        Raises:
            UserError: a value out of range, or a window that holds fewer than two events.
        """
        if not 0 <= sparsity < 1:
            raise UserError("sparsity out of range", key="sparsity", found=sparsity, expected="0 <= sparsity < 1")
        _check_counts(dense_steps, "dense_steps", interval)
        if sparsity == 0:
            return cls.dense(dense_steps)
        if shape == "dense":
            raise UserError(
                "shape and sparsity disagree",
                key="shape",
                found=f"dense at sparsity {sparsity}",
                expected="geometric, linear, cubic or constant with a sparsity above 0",
            )
        if shape == "constant":
            return cls(
                sparsity=sparsity,
                start_step=0,
                end_step=0,
                total_steps=round(dense_steps / (1 - sparsity)),
                interval=interval,
                shape="constant",
            )
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
            return start_step + interval * sum(_shape_density(shape, sparsity, k, events) for k in range(events - 1))

        # Compute at the end grows with the number of events: find the count that straddles the wanted one.
        wanted, most = end * dense_steps, 2 + math.ceil(dense_steps / (1 - sparsity) / interval)
        above = bisect.bisect_left(range(min(most, EVENTS + 2)), wanted, key=compute_at_end)
        if above > EVENTS + 1:
            raise _too_many(above, interval)
        events = min((above, above - 1), key=lambda n: abs(compute_at_end(n) - wanted))
        while events >= 2:
            end_step = start_step + (events - 1) * interval
            left = (dense_steps - compute_at_end(events)) / (1 - sparsity)
            total = end_step + round(left)
            if total - interval >= end_step:
                return cls(
                    sparsity=sparsity,
                    start_step=start_step,
                    end_step=end_step,
                    total_steps=total,
                    interval=interval,
                    shape=shape,
                )
            events -= 1
        raise UserError(
            "a pruning window with fewer than two events",
            key="interval",
            found=f"{start:.0%} to {end:.0%} of {dense_steps} dense steps, an event every {interval} steps",
            expected="at least two events: a wider window, more steps or a shorter interval",
        )

    # ---------------------------------------------------------------- reading it

    @property
    def events(self) -> int:
        if self.shape == "dense":
            return 0
        if self.shape == "constant":
            return 1
        return (self.end_step - self.start_step) // self.interval + 1

    @cached_property
    def event_densities(self) -> tuple[float, ...]:
        """Density after each event, as a share of the prunable weights; the last is exactly 1 - sparsity."""
        return tuple(_shape_density(self.shape, self.sparsity, k, self.events) for k in range(self.events))

    def event_at(self, step: int) -> int | None:
        """Index of the event that comes before the forward pass of `step`, or None."""
        if self.shape == "dense":
            return None
        if self.shape == "constant":
            return 0 if step == 0 else None
        past = step - self.start_step
        return past // self.interval if past >= 0 and past % self.interval == 0 and step <= self.end_step else None

    def events_before(self, step: int) -> int:
        """How many events have happened once the forward pass of `step` runs."""
        if self.shape == "dense":
            return 0
        if self.shape == "constant":
            return 1
        return max(0, min((step - self.start_step) // self.interval + 1, self.events))

    def density(self, step: int) -> float:
        """Density in the forward pass of `step`."""
        done = self.events_before(step)
        return self.event_densities[done - 1] if done else 1.0

    def kept(self, event: int, prunable: int) -> int:
        """Weights left after `event`: floor(N * density) exactly."""
        return exact_floor(prunable, self.event_densities[event])

    @property
    def _spans_begin_dense(self) -> bool:
        return not self.events or self.start_step > 0

    def _spans(self) -> list[tuple[int, int]]:
        """(first step, number of events before it) of each stretch of constant density, ending at T."""
        marks = [(0, 0)] if self._spans_begin_dense else []
        marks += [(self.start_step + k * self.interval, k + 1) for k in range(self.events)]
        return marks

    @cached_property
    def _compute_before(self) -> tuple[float, ...]:
        """Compute before the first step of each of `_spans`."""
        found, spans = [0.0], self._spans()
        for (first, done), (following, _) in pairwise(spans):
            found.append(found[-1] + (following - first) * (self.event_densities[done - 1] if done else 1.0))
        return tuple(found)

    def compute_at(self, step: int) -> float:
        """Effective compute spent before `step`, in dense steps. At a cost that doesn't depend on the step."""
        step = min(max(step, 0), self.total_steps)
        if not self.events or step <= self.start_step:
            return float(step)
        done = self.events_before(step)
        first = self.start_step + (done - 1) * self.interval
        span = done if self._spans_begin_dense else done - 1
        return self._compute_before[span] + (step - first) * self.event_densities[done - 1]

    @cached_property
    def compute(self) -> float:
        """Effective compute of the whole run, in dense steps."""
        return self.compute_at(self.total_steps)

    @property
    def density_avg(self) -> float:
        """Mean density over the T steps."""
        return self.compute / self.total_steps

    @property
    def compute_at_start(self) -> float:
        """Share of the run's effective compute spent before the first event."""
        return self.compute_at(self.start_step) / self.compute

    @property
    def compute_at_end(self) -> float:
        """Share of the run's effective compute spent before the last event."""
        return self.compute_at(self.end_step) / self.compute

    def weight_steps(self, prunable: int, until: int | None = None) -> int:
        """Sum over steps, or over those before `until`, of N_t, the non-zero prunable weights in its forward pass. Exact."""
        spans, last = self._spans(), self.total_steps if until is None else until
        ends = [s for s, _ in spans[1:]] + [self.total_steps]
        return sum(
            max(0, min(end, last) - first) * (self.kept(done - 1, prunable) if done else prunable)
            for (first, done), end in zip(spans, ends, strict=True)
        )

    def n_avg(self, prunable: int) -> float:
        """N_avg = (1/T) * sum of N_t."""
        return self.weight_steps(prunable) / self.total_steps

    def n_final(self, prunable: int) -> int:
        return self.kept(self.events - 1, prunable) if self.events else prunable


def _check_counts(steps: int, key: str, interval: int) -> None:
    if steps < 1:
        raise UserError("no steps", key=key, found=steps, expected="at least 1")
    if steps > STEPS:
        raise UserError("too many steps", key=key, found=f"{steps:,}", expected=f"at most {STEPS:,}")
    if interval < 1:
        raise UserError("interval out of range", key="interval", found=interval, expected="at least 1 step")


def _too_many(events: int, interval: int) -> UserError:
    return UserError(
        "too many pruning events",
        key="interval",
        found=f"over {min(events, EVENTS):,}, one every {interval} steps",
        expected=f"at most {EVENTS:,}: a longer interval",
    )


def _shape_density(shape: str, sparsity: float, event: int, events: int) -> float:
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

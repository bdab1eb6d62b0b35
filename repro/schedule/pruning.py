"""PruningSchedule: how much is pruned at which step, compute <-> steps, and the average density.

Pure arithmetic, no torch. Conventions (paper, section 2; the rounding is our choice):

* Compute is counted in *dense steps*: a step at density d costs d. A sparse run gets the compute of the
  dense run, so it takes more steps.
* Events happen at `start, start + interval, ..., end`, both included, **before** that step's forward
  pass; so the density of step t includes the event of step t.
* Event k (0-based) of n leaves exactly floor(N * density_k) of N prunable weights. In the paper's
  geometric shape density_k = (1 - S)^((k + 1) / n).
* start = the nearest multiple of `interval`; end = start plus the multiple of `interval` whose compute is
  nearest the requested one, but at most T - interval, so that at least one interval of training follows
  the last event; T = the number of steps whose compute is nearest the dense run's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from repro.bounds import EVENTS
from repro.errors import UserError
from repro.schedule import resolved
from repro.schedule.pieces import Number, Pieces
from repro.schedule.shapes import SHAPES, Shape, density_after, exact_floor


@dataclass(frozen=True)
class PruningSchedule:
    """A resolved schedule, in steps.

    Attributes:
        sparsity: final share of prunable weights removed, in [0, 1).
        start_step, end_step: steps of the first and the last event (both 0 when `shape` is dense).
        total_steps: T; steps run from 0 to T - 1.
        interval: steps between two events.
        shape: how density falls from event to event. `constant` prunes once, at step 0; `dense` never prunes.
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
        resolved.check_counts(self.total_steps, "total_steps", self.interval)
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
            raise resolved.too_many(self.events, self.interval)
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
        if not self.densities.falls:
            raise ValueError(f"{self.shape} makes the density rise: pruned weights don't come back")

    @classmethod
    def dense(cls, steps: int) -> PruningSchedule:
        """No pruning: density 1 over `steps` steps."""
        return cls(sparsity=0.0, start_step=0, end_step=0, total_steps=steps, shape="dense")

    @classmethod
    def resolve(
        cls, *, sparsity: float, dense_steps: int, start: float, end: float, interval: int, shape: Shape = "geometric"
    ) -> PruningSchedule:
        """Converts fractions of effective compute to steps (`resolved.steps`).

        Args:
            sparsity: final sparsity in [0, 1).
            dense_steps: steps of the dense run, whose compute this run gets.
            start, end: first and last event, as fractions of effective compute, 0 <= start < end <= 1.
            interval: steps between events.

        Raises:
            UserError: a value out of range, or a window with fewer than two events.
        """
        found = resolved.steps(sparsity, dense_steps, start, end, interval, shape)
        return cls(sparsity, *found, interval, shape) if sparsity else cls.dense(dense_steps)

    @property
    def events(self) -> int:
        """Number of pruning events."""
        if self.shape == "dense":
            return 0
        if self.shape == "constant":
            return 1
        return (self.end_step - self.start_step) // self.interval + 1

    @cached_property
    def event_densities(self) -> tuple[float, ...]:
        """Density after each event, as a share of the prunable weights; the last is exactly 1 - sparsity."""
        return tuple(density_after(self.shape, self.sparsity, k, self.events) for k in range(self.events))

    @property
    def event_steps(self) -> range:
        """Steps of the events; each event comes before its step's forward pass."""
        return range(self.start_step, self.start_step + self.events * self.interval, self.interval)

    def event_at(self, step: int) -> int | None:
        """Index of the event that comes before the forward pass of `step`, or None."""
        return self.event_steps.index(step) if step in self.event_steps else None

    @cached_property
    def densities(self) -> Pieces[float]:
        """Density at each step, as a share of the prunable weights; its sums are compute in dense steps."""
        return self._pieces(1.0, self.event_densities)

    def weights(self, prunable: int) -> Pieces[int]:
        """N_t: non-zero weights of `prunable` in the forward pass of each step t."""
        return self._pieces(prunable, tuple(self.kept(event, prunable) for event in range(self.events)))

    def _pieces(self, dense: Number, left: tuple[Number, ...]) -> Pieces[Number]:
        if self.events and self.start_step == 0:
            return Pieces(tuple(self.event_steps), left, self.total_steps)
        weights = (dense,) + left  # noqa: RUF005 (mypy infers one type only for this form)
        return Pieces((0, *self.event_steps), weights, self.total_steps)

    def density(self, step: int) -> float:
        """Density in the forward pass of `step`."""
        return self.densities.at(step)

    def kept(self, event: int, prunable: int) -> int:
        """Weights left after `event`: floor(N * density) exactly."""
        return exact_floor(prunable, self.event_densities[event])

    def compute_at(self, step: int) -> float:
        """Effective compute spent before `step`, in dense steps."""
        return self.densities.before(step)

    @cached_property
    def compute(self) -> float:
        """Effective compute of the whole run, in dense steps."""
        return self.densities.sum

    @property
    def density_avg(self) -> float:
        """Mean density over the T steps."""
        return self.densities.mean

    @property
    def compute_at_start(self) -> float:
        """Share of the run's effective compute spent before the first event."""
        return self.compute_at(self.start_step) / self.compute

    @property
    def compute_at_end(self) -> float:
        """Share of the run's effective compute spent before the last event."""
        return self.compute_at(self.end_step) / self.compute

    def weight_steps(self, prunable: int, until: int | None = None) -> int:
        """Exact sum of N_t over all steps, or over the steps before `until`."""
        weights = self.weights(prunable)
        return weights.sum if until is None else weights.before(until)

    def n_avg(self, prunable: int) -> float:
        """N_avg = (1/T) * sum of N_t."""
        return self.weights(prunable).mean

    def n_final(self, prunable: int) -> int:
        """Non-zero weights of `prunable` at the end."""
        return self.kept(self.events - 1, prunable) if self.events else prunable

"""Members of a mirrored set: schedules of other shapes with the steps, tokens and N_avg of a falling one. No torch.

N_avg is a sum of whole weights over whole steps, so a schedule of one or two densities has it only if its densities and the
steps of each fit together. The steps follow from the shape's timing; the sparse density is then the one whose whole number
of weights comes nearest, which is within half a weight of N_avg.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from repro.errors import UserError
from repro.schedule import PruningSchedule
from repro.spec import PruningSpec
from sweeps.points import Window

SPARSE_STARTS = (0.5, 0.75)  # sparsities from which SPDF goes dense (arXiv 2303.10464)
TRIED = 16  # quarters of a step around the ideal number of dense steps that are tried, in both directions
AGAIN = 4  # times that the density is found from the dense steps that come of it


@dataclass(frozen=True)
class Timed:
    """When and how far a member is sparse; without a window as the sweep's other runs, or all the time."""

    sparsity: float
    window: Window | None = None


@dataclass(frozen=True)
class EqualTo:
    """What a member must be equal to.

    Attributes:
        falling: the schedule of the set's falling member.
        dense_steps: steps of its dense run.
        prunable: weights that it begins with.
    """

    falling: PruningSchedule
    dense_steps: int
    prunable: int

    @property
    def weight_steps(self) -> int:
        """Sum of N_t over the steps."""
        return self.falling.weight_steps(self.prunable)

    @property
    def n_avg(self) -> float:
        return self.weight_steps / self.falling.total_steps

    def met_by(self, schedule: PruningSchedule) -> bool:
        """Whether a schedule has equal steps, and N_avg to the weight."""
        off = abs(schedule.weight_steps(self.prunable) - self.weight_steps)
        return schedule.total_steps == self.falling.total_steps and off < self.falling.total_steps

    def leaving(self, kept: int) -> float:
        """The sparsity that leaves exactly `kept` weights, in the twelve digits of a schedule."""
        return (self.prunable - kept) * 10**12 // self.prunable / 10**12

    def constant(self) -> Timed:
        """N_avg weights at every step."""
        for kept in sorted({math.floor(self.n_avg), math.ceil(self.n_avg)}, key=lambda kept: abs(kept - self.n_avg)):
            sparsity = self.leaving(kept)
            if self.met_by(PruningSpec(sparsity, shape="constant").schedule(self.dense_steps)):
                return Timed(sparsity)
        raise self._none("static")

    def static_dense(self) -> Timed:
        """Sparse at the smallest sparsity of SPDF that can have this average, then dense.

        Raises:
            UserError: none can.
        """
        for sparsity in SPARSE_STARTS:
            if self.n_avg > (1 - sparsity) * self.prunable:
                return self._fitted(
                    PruningSpec(sparsity, 0.0, 1.0, shape="static_dense"),
                    lambda dense, density: (self.falling.total_steps - dense) * density / self.dense_steps,
                )
        raise self._none("static_dense")

    def saw_tooth(self, sparsity: float, start: float) -> Timed:
        """Dense until `start`, then by turns sparse and dense for as long as leaves this average, and sparse to the end.

        Raises:
            UserError: no end does.
        """
        return self._fitted(
            PruningSpec(sparsity, start, 1.0, shape="saw_tooth"),
            # Of the compute of the teeth, the dense halves, of as many steps as the sparse ones, have 1 / (1 + density).
            lambda dense, density: start + (dense / self.dense_steps - start) * (1 + density),
        )

    def _fitted(self, usual: PruningSpec, end_of: Callable[[float, float], float]) -> Timed:
        """The end, and the sparsity nearest to the usual one, at which a schedule that is sparse and dense is as wanted.

        Args:
            end_of: the end, as a share of compute, from the number of dense steps and the density of the others.
        """
        total, start = self.falling.total_steps, usual.start
        ideal = (self.n_avg / self.prunable - (1 - usual.sparsity)) * total / usual.sparsity
        for tried in sorted(range(-TRIED, TRIED + 1), key=abs):
            dense_steps = ideal + tried / 4
            for _ in range(AGAIN):  # until the dense steps, which are whole, and the density fit together
                kept = round((self.weight_steps - self.prunable * round(dense_steps)) / (total - round(dense_steps)))
                sparsity = self.leaving(kept)
                end = round(end_of(ideal + tried / 4, 1 - sparsity), 12)
                if not (0 < kept < self.prunable and start < end < 1):
                    break
                schedule = replace(usual, sparsity=sparsity, end=end).schedule(self.dense_steps)
                if self.met_by(schedule):
                    return Timed(sparsity, Window(start, round(end - start, 12)))
                pieces = zip(schedule.densities.lengths, schedule.densities.weights, strict=True)
                dense_steps = sum(steps for steps, density in pieces if density == 1)
                if dense_steps >= total:
                    break
        raise self._none(usual.shape)

    def _none(self, member: str) -> UserError:
        what = "no such schedule with the steps and the average of the falling one"
        steps = f"{self.falling.total_steps:,} steps"
        found = f"{member}, for {self.n_avg:,.1f} of {self.prunable:,} weights over {steps}"
        expected = "the other members, or other budgets, sparsities or windows"
        return UserError(what, key="members", found=found, expected=expected)

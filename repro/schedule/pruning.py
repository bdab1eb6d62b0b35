"""PruningSchedule: the density at each step of a run, its average, and conversion between compute and steps.

Pure arithmetic, no torch. Conventions (paper, section 2; the rounding is our choice):

* Compute is counted in *dense steps*: a step at density d costs d. A sparse run gets the compute of the
  dense run, so it takes more steps.
* Density is constant on pieces. An event begins each of them, **before** its first step's forward pass; so the density
  of step t includes the event of step t. Only a dense first piece begins without one.
* A piece of density d has exactly floor(N * d) of N prunable weights, whether an event removed the others or
  restored these.
* The mirror image of a schedule has the same pieces in reverse order. Each keeps its length and its count, so T, the
  tokens, the compute and N_avg are the same to the weight. It begins at the final density, which takes an event at step
  0, and an event at step T - t gives back what one at step t had removed.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from repro.errors import UserError
from repro.schedule import falling
from repro.schedule.declared import FALLING, SHAPES, Declared, Moves, Shape, check_counts, check_sparsity
from repro.schedule.pieces import Pieces, exact_floor
from repro.schedule.shapes import pieces_of


@dataclass(frozen=True)
class PruningSchedule:
    """A resolved schedule, in steps.

    Attributes:
        densities: density at each step, as a share of the prunable weights; its sums are compute in dense steps.
        sparsity: the largest share of the prunable weights removed at any step, in [0, 1); 0 exactly of a dense run.
        shape: how its pieces were made. `constant` prunes once, at step 0; `dense` never prunes.
        interval: steps between two events of a falling shape.
        mirror: whether it is the mirror image of such a schedule.
        move_shares: share of the kept weights that each of the last events moves; empty where no mask moves.
    """

    densities: Pieces[float]
    sparsity: float
    shape: Shape = "geometric"
    interval: int = 1
    mirror: bool = False
    move_shares: tuple[float, ...] = ()

    @classmethod
    def dense(cls, steps: int) -> PruningSchedule:
        """No pruning: density 1 over `steps` steps."""
        return cls.resolve(Declared(steps, 0.0))

    @classmethod
    @lru_cache(maxsize=256)
    def resolve(cls, asked: Declared) -> PruningSchedule:
        """Converts fractions of effective compute to steps. Runs that ask for the same share a schedule: it never changes.

        Raises:
            UserError: a value out of range, or changes of N(t) that don't fit into the run.
        """
        shape: Shape = asked.shape if asked.sparsity else "dense"
        made = cls(pieces_of(asked), asked.sparsity, shape, asked.interval if asked.sparsity else 1)
        if asked.moves is not None:
            made = made.moving(asked.moves)
        return made.mirrored() if asked.mirror else made

    @classmethod
    def in_steps(
        cls,
        sparsity: float,
        start_step: int,
        end_step: int,
        total_steps: int,
        interval: int = 1,
        shape: Shape = "geometric",
    ) -> PruningSchedule:
        """A falling, constant or dense schedule from its steps (`falling.from_steps`).

        Raises:
            UserError: a value out of range, events that don't fit into the run, or another shape.
        """
        if shape in FALLING and sparsity:
            pieces = falling.from_steps(shape, sparsity, start_step, end_step, total_steps, interval)
            return cls(pieces, sparsity, shape, interval)
        if shape not in ("constant", "dense") or (shape == "dense") != (sparsity == 0):
            raise UserError(
                "shape and sparsity disagree" if shape in SHAPES else "unknown shape",
                key="shape",
                found=f"{shape} at sparsity {sparsity}, in steps",
                expected=f"{', '.join(FALLING)} or constant with a sparsity above 0, or dense; others follow from compute",
            )
        check_sparsity(sparsity)
        check_counts(total_steps, "total_steps", interval)
        return cls(Pieces((0,), (1 - sparsity,), total_steps), sparsity, shape, interval)

    @property
    def follows_from_steps(self) -> bool:
        """Whether `in_steps` makes it again, from its own steps."""
        return self.shape in (*FALLING, "constant", "dense") and not self.mirror

    def mirrored(self) -> PruningSchedule:
        """The reflection in time: N(T - t)."""
        return dataclasses.replace(self, densities=self.densities.mirrored(), mirror=not self.mirror)

    def moving(self, moves: Moves) -> PruningSchedule:
        """This constant schedule with a mask that moves."""
        if self.shape != "constant":
            raise UserError("only a constant mask moves", key="moves", found=self.shape, expected="shape constant")
        firsts = (0, *moves.steps(self.total_steps))
        densities = Pieces(firsts, (1 - self.sparsity,) * len(firsts), self.total_steps)
        return dataclasses.replace(self, densities=densities, move_shares=moves.shares(self.total_steps))

    # ------------------------------------------------------------------------------------------------ events

    @cached_property
    def event_steps(self) -> tuple[int, ...]:
        """Steps of the events; each event comes before its step's forward pass."""
        return self.densities.first_steps[self._without :]

    @cached_property
    def event_densities(self) -> tuple[float, ...]:
        """Density after each event, as a share of the prunable weights."""
        return self.densities.weights[self._without :]

    @property
    def _without(self) -> int:
        """Number of pieces that begin without an event: 1 if the first is dense."""
        return int(self.densities.weights[0] == 1)

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.event_steps)

    @property
    def start_step(self) -> int:
        """Step of the first event; 0 without one."""
        return self.event_steps[0] if self.events else 0

    @property
    def end_step(self) -> int:
        """Step of the last event; 0 without one."""
        return self.event_steps[-1] if self.events else 0

    def event_at(self, step: int) -> int | None:
        """Index of the event that comes before the forward pass of `step`, or None."""
        return self._event_by_step.get(step)

    @cached_property
    def _event_by_step(self) -> dict[int, int]:
        return {step: event for event, step in enumerate(self.event_steps)}

    def kept(self, event: int, prunable: int) -> int:
        """Weights that are there after `event`: floor(N * density) exactly."""
        return exact_floor(prunable, self.event_densities[event])

    def rises(self, event: int) -> bool:
        """Whether `event` gives weights back and removes none."""
        left = self.event_densities
        return left[event] > (left[event - 1] if event else 1)

    def moved(self, event: int, prunable: int) -> int:
        """Weights that `event` drops, to choose as many of all that are gone then: 0 unless it moves the mask."""
        move = event - (self.events - len(self.move_shares))
        return exact_floor(self.kept(event, prunable), self.move_shares[move]) if move >= 0 else 0

    @cached_property
    def returns(self) -> bool:
        """Whether any event gives weights back."""
        return bool(self.move_shares) or any(map(self.rises, range(self.events)))

    # ------------------------------------------------------------------------------------- weights and compute

    @property
    def total_steps(self) -> int:
        """T; steps run from 0 to T - 1."""
        return self.densities.total_steps

    def density(self, step: int) -> float:
        """Density in the forward pass of `step`."""
        return self.densities.at(step)

    def weights(self, prunable: int) -> Pieces[int]:
        """N_t: non-zero weights of `prunable` in the forward pass of each step t."""
        counts = (prunable,) * self._without + tuple(self.kept(event, prunable) for event in range(self.events))
        return Pieces(self.densities.first_steps, counts, self.total_steps)

    def compute_at(self, step: int) -> float:
        """Effective compute spent before `step`, in dense steps."""
        return self.densities.before(step)

    @cached_property
    def compute(self) -> float:
        """Effective compute of the whole run, in dense steps."""
        return self.densities.sum

    @property
    def density_avg(self) -> float:
        """Mean density over the T steps; to the bit that of the mirror image."""
        densities = self.densities
        return math.fsum(map(operator.mul, densities.lengths, densities.weights)) / self.total_steps

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

    def n_fewest(self, prunable: int) -> int:
        """The smallest number of non-zero weights of `prunable` at any step."""
        return exact_floor(prunable, min(self.densities.weights))

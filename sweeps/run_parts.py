"""The parts of a run that a change may alter: model, optimizer, pruning and therefore steps. No torch, no Ray."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from repro.bounds import STEPS
from repro.errors import UserError
from repro.schedule import FALLING
from repro.spec import DECAY, ModelSpec, OptimizerSpec, PruningSpec
from sweeps.points import Change


@dataclass(frozen=True)
class Parts:
    """Parts of a RunSpec, named as its fields are."""

    model: ModelSpec
    optimizer: OptimizerSpec
    pruning: PruningSpec
    dense_steps: int

    def changed(self, change: Change, tokens_per_param: float) -> Parts:
        """The parts with a change applied, at equal tokens; a changed batch keeps the number of events."""
        optimizer = self.optimizer
        if change.lr_schedule not in (None, "wsd"):  # other schedules don't use `decay`
            optimizer = replace(optimizer, lr_schedule=change.lr_schedule, decay=DECAY)
        optimizer = replace(optimizer, **change.of("optimizer"))
        model = replace(self.model, **change.of("model"))
        dense_steps = steps(tokens_per_param, model, optimizer)
        pruning = self.pruning
        if pruning.sparsity:
            pruning = settled(replace(pruning, **change.of("pruning")))
            if change.events is not None and pruning.shape not in FALLING:
                found = f"{change.events} events of shape {pruning.shape}"
                expected = f"none, or shape {', '.join(FALLING)}"
                what = "a shape without a fixed interval between events"
                raise UserError(what, key="events", found=found, expected=expected)
            if change.events is not None:
                finest = replace(pruning, interval=1, mirror=False).schedule(dense_steps)
                ideal = (finest.end_step - finest.start_step) / (change.events - 1)
                pruning = _with_events(change.events, ideal, pruning, dense_steps)
            elif change.batch is not None and change.interval is None and pruning.shape in (*FALLING, "constant"):
                events = replace(self.pruning, mirror=False).schedule(self.dense_steps).events
                ideal = pruning.interval * self.optimizer.batch / change.batch
                pruning = _with_events(events, ideal, pruning, dense_steps)
        return Parts(model, optimizer, pruning, dense_steps)


def settled(pruning: PruningSpec) -> PruningSpec:
    """Sets what a shape has no use for to one value, so that runs that differ in it alone are one run."""
    if not pruning.timed:
        pruning = replace(pruning, start=0.0, end=0.0)
    if pruning.shape == "constant":
        return replace(pruning, mirror=False)
    if pruning.shape == "static_dense":
        pruning = replace(pruning, start=0.0)
    return pruning if pruning.shape in FALLING else replace(pruning, interval=1)


def steps(tokens_per_param: float, model: ModelSpec, optimizer: OptimizerSpec) -> int:
    """Number of steps of a dense run.

    Raises:
        UserError: there are too many.
    """
    count = tokens_per_param * model.shape.prunable / (optimizer.batch * model.sequence)
    if not count <= STEPS:
        expected = f"at most {STEPS:,}: a smaller budget, or a larger batch"
        raise UserError("too many steps", key="budgets", found=f"{count:,.4g}", expected=expected)
    return round(count)


def _with_events(events: int, ideal: float, pruning: PruningSpec, dense_steps: int) -> PruningSpec:
    """`pruning` with `ideal` rounded up or down, whichever comes nearer to `events`."""
    around = [replace(pruning, interval=interval) for interval in sorted({max(1, math.floor(ideal)), math.ceil(ideal)})]
    return min(around, key=lambda one: abs(replace(one, mirror=False).schedule(dense_steps).events - events))

"""Shared prefixes: which run continues from which, at what step, so that common steps are trained once. No torch.

Two runs have a prefix in common if everything that affects the numbers in it is equal: model, text, data order,
precision, AdamW's settings, each learning rate to the last bit, and each pruning event. A run forks off after its last
common step, before the event or the update that differs. The state there is bit for bit the one that it would have
reached alone, at the same worker count and ZeRO stage.

A driver calls `grow` once for the whole sweep, so that a resumed sweep forks at the same steps, and `Forest.left` for
the runs that are still to be trained: `Forest.forks` names the checkpoint that a run starts from
(`repro.training.fork.ready`, then `repro.training.fork.fork`), `Forest.steps` those that a parent must save
(`repro.training.train.train(forks=)`) and, passed to `repro.training.fork.discard`, those that are still needed. A run
whose parent ended without saving its checkpoint trains alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from repro.spec import HOW, OptimizerSpec, PruningSpec, RunSpec, canonical

WORTH = 0.02  # smallest shared prefix that is worth a checkpoint, as a share of a run's steps,
LEAST = 4  # and in steps
OF_RATES = ("lr", "warmup", "final_lr", "lr_schedule", "decay")  # only affect the learning rates, which are compared


@dataclass(frozen=True)
class Fork:
    """The start of a run: the state of `parent`, a run id, before its update of `step`."""

    parent: str
    step: int


@dataclass(frozen=True)
class Forest:
    """Forks by the id of the child run; a run without one trains from step 0."""

    forks: Mapping[str, Fork]

    def steps(self, parent: str) -> tuple[int, ...]:
        """Steps before which other runs fork off from `parent`."""
        return tuple(sorted({fork.step for fork in self.forks.values() if fork.parent == parent}))

    def left(self, todo: Collection[str], begun: Callable[[str], bool], ready: Callable[[str, int], bool]) -> Forest:
        """The forks that are still needed.

        Args:
            todo: ids of the runs that are not done.
            begun: whether a run has a checkpoint of its own to resume from (`repro.training.fork.begun`).
            ready: whether a run has saved the checkpoint of a step (`repro.training.fork.ready`).
        """
        waiting = {run: fork for run, fork in self.forks.items() if run in todo and not begun(run)}
        left = {run: fork for run, fork in waiting.items() if fork.parent in todo or ready(fork.parent, fork.step)}
        return Forest(left)


def grow(specs: Iterable[RunSpec]) -> Forest:
    """The forest in which each common step is trained once.

    What runs have in common are prefixes, so each continues from the earlier run with the longest common prefix: no
    other choice trains fewer steps. Dense runs come first, then those that prune late; ties go to the first, so that
    runs fork off the dense trunk where possible.
    """
    return Forest(forks_of(groups_of(specs)))


class Compared:
    """A run, and the properties by which it is compared."""

    def __init__(self, spec: RunSpec):
        self.spec, self.total = spec, spec.schedule.total_steps
        self._rates: list[float] = []

    @cached_property
    def setting(self) -> str:
        """Canonical form of everything that must be equal from the first step on."""
        fixed = {name: getattr(_PLAIN, name) for name in OF_RATES}
        optimizer = replace(self.spec.optimizer, **fixed)
        return canonical(replace(self.spec, optimizer=optimizer, pruning=PruningSpec(), dense_steps=1, repeat=False))

    @cached_property
    def events(self) -> list[tuple[Any, ...]]:
        """Each event's step, density, number of weights and of those that it moves, and how they are chosen."""
        schedule, size = self.spec.schedule, self.spec.model.shape.prunable
        chosen = [getattr(self.spec.pruning, name) for name in HOW]
        return [
            (step, density, schedule.kept(i, size), schedule.moved(i, size), *chosen)
            for i, (step, density) in enumerate(zip(schedule.event_steps, schedule.event_densities, strict=True))
        ]

    @property
    def worth(self) -> float:
        """The fewest steps that are worth a checkpoint."""
        return max(LEAST, WORTH * self.total)

    @property
    def dense_until(self) -> float:
        return self.events[0][0] if self.events else float("inf")

    def rate(self, step: int) -> float:
        return self.rates(step + 1)[step]

    def rates(self, count: int) -> list[float]:
        """Learning rates of at least the first `count` steps."""
        of = self.spec.optimizer
        self._rates += [of.lr_at(step, self.spec.schedule) for step in range(len(self._rates), count)]
        return self._rates


_PLAIN = OptimizerSpec(lr=1.0, batch=1)


def groups_of(specs: Iterable[RunSpec]) -> list[list[Compared]]:
    """Groups of runs that may share a prefix, each in the order in which its runs become trunks."""
    groups: dict[str, list[Compared]] = {}
    for spec in specs:
        run = Compared(spec)
        groups.setdefault(run.setting, []).append(run)
    return [sorted(group, key=lambda run: (-run.dense_until, -run.total)) for group in groups.values()]


def forks_of(groups: list[list[Compared]]) -> dict[str, Fork]:
    forks: dict[str, Fork] = {}
    for group in groups:
        for i, child in enumerate(group):
            options = [Fork(parent.spec.run_id, _fork_step(parent, child)) for parent in group[:i]]
            # A parent that is itself forked off later never has the state of an earlier step.
            reached = (o for o in options if o.parent not in forks or forks[o.parent].step <= o.step)
            worth = [o for o in reached if o.step >= child.worth]
            if worth:
                forks[child.spec.run_id] = max(worth, key=lambda fork: fork.step)
    return forks


def _fork_step(parent: Compared, child: Compared) -> int:
    """The last step at which `child` can continue from the state of `parent`."""
    until = min(pruned_alike(parent, child), child.spec.last_percent, parent.total - 1)
    return rates_alike(parent, child, until)


def pruned_alike(a: Compared, b: Compared) -> int:
    """Number of steps from the first with the same events in both."""
    end = min(a.total, b.total)
    for i in range(max(len(a.events), len(b.events))):
        mine, theirs = (run.events[i] if i < len(run.events) else None for run in (a, b))
        if mine != theirs:
            return min(end, *(event[0] for event in (mine, theirs) if event is not None))
    return end


def rates_alike(a: Compared, b: Compared, until: int) -> int:
    """Number of steps from the first, at most `until`, with bit-identical learning rates."""
    for count in (min(until, 100), until):  # most pairs that differ do so in the warm-up
        mine, theirs = (run.rates(count)[:count] for run in (a, b))
        if mine != theirs:
            return next(step for step in range(count) if mine[step] != theirs[step])
    return until

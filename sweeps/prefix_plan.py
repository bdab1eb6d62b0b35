"""Shared prefixes: which run goes on from which, at what step, so that steps that are equal are trained once. No torch.

Two runs are equal before a step when everything that bears on the numbers until then is: model, text, data order,
precision, moments' and weight decay's settings, each learning rate to the last bit, and each pruning event. A run
forks off where its last equal step ends, before the event or the update that differs. The state there is the one that
it would have reached alone, to the bit, at the same worker count and ZeRO stage.

A driver asks `grow` once for the whole sweep, so that a sweep taken up again forks at the same steps, and
`Forest.left` for the runs that are still to be trained: `Forest.forks` says from which checkpoint a run starts
(`repro.training.fork.ready`, then `repro.training.fork.fork`), `Forest.steps` which ones a parent must leave (`repro.training.train.train(forks=)`)
and, given to `repro.training.fork.discard`, which are needed still. A run whose parent has ended without its checkpoint trains
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from repro.spec import OptimizerSpec, PruningSpec, RunSpec, canonical

WORTH = 0.02  # share of its steps that a run must find trained: fewer aren't worth a checkpoint,
LEAST = 4  # nor are fewer than these
OF_RATES = ("lr", "warmup", "final_lr", "lr_schedule", "decay")  # bear on the learning rates, which are compared


@dataclass(frozen=True)
class Fork:
    """Where a run starts: from the state of `parent`, a run id, before its update of `step`."""

    parent: str
    step: int


@dataclass(frozen=True)
class Forest:
    """Forks by the id of the run that starts there; a run that isn't in it trains from its own beginning."""

    forks: Mapping[str, Fork]

    def steps(self, parent: str) -> tuple[int, ...]:
        """Steps before which other runs fork off from `parent`."""
        return tuple(sorted({fork.step for fork in self.forks.values() if fork.parent == parent}))

    def left(self, todo: Collection[str], begun: Callable[[str], bool], ready: Callable[[str, int], bool]) -> Forest:
        """The forks that are still ahead.

        Args:
            todo: ids of the runs that are not done.
            begun: whether a run has a checkpoint of its own, so that it goes on from there (`repro.training.fork.begun`).
            ready: whether a run has left the checkpoint of a step (`repro.training.fork.ready`).
        """
        return Forest(
            {
                run: fork
                for run, fork in self.forks.items()
                if run in todo and not begun(run) and (fork.parent in todo or ready(fork.parent, fork.step))
            }
        )


def grow(specs: Iterable[RunSpec]) -> Forest:
    """The forest in which each step that runs have in common is trained once.

    What runs have in common are beginnings, so each may go on from any run before it with which it has most in
    common: no other choice trains less. Dense runs come first, then those that prune late; of equals the first is
    taken, so that runs fork off the dense trunk where they can.
    """
    return Forest(forks_of(groups_of(specs)))


class Compared:
    """A run, and what it is compared by."""

    def __init__(self, spec: RunSpec):
        self.spec, self.total = spec, spec.schedule.total_steps
        self._rates: list[float] = []

    @cached_property
    def setting(self) -> str:
        """What must be the same from the first step on."""
        fixed = {name: getattr(_PLAIN, name) for name in OF_RATES}
        optimizer = replace(self.spec.optimizer, **fixed)
        return canonical(replace(self.spec, optimizer=optimizer, pruning=PruningSpec(), dense_steps=1, repeat=False))

    @cached_property
    def events(self) -> list[tuple[Any, ...]]:
        """Of each event its step, what it leaves as a share and as a count, and how that is chosen."""
        schedule, how = self.spec.schedule, self.spec.pruning
        size = self.spec.model.shape.prunable
        chosen = (how.score, how.distribution, how.structure, how.do_not_prune)
        return [
            (step, density, schedule.kept(i, size), *chosen)
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
    """Runs that may share, each group in the order in which they become trunks."""
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
            worth = [o for o in options if o.step >= child.worth and _passes(forks.get(o.parent), o.step)]
            if worth:
                forks[child.spec.run_id] = max(worth, key=lambda fork: fork.step)
    return forks


def _passes(start: Fork | None, step: int) -> bool:
    """Whether a run that starts there is ever before `step`."""
    return start is None or start.step <= step


def _fork_step(parent: Compared, child: Compared) -> int:
    """The last step before which `child` can take over the state of `parent`."""
    until = min(pruned_alike(parent, child), child.spec.last_percent, parent.total - 1)
    return rates_alike(parent, child, until)


def pruned_alike(a: Compared, b: Compared) -> int:
    """How many steps from the first have the same events in both."""
    end = min(a.total, b.total)
    for i in range(max(len(a.events), len(b.events))):
        mine, theirs = (run.events[i] if i < len(run.events) else None for run in (a, b))
        if mine != theirs:
            return min(end, *(event[0] for event in (mine, theirs) if event is not None))
    return end


def rates_alike(a: Compared, b: Compared, until: int) -> int:
    """How many steps from the first, at most `until`, have the same learning rate in both, to the last bit."""
    for count in (min(until, 100), until):  # most pairs that differ do so in the warm-up
        mine, theirs = (run.rates(count)[:count] for run in (a, b))
        if mine != theirs:
            return next(step for step in range(count) if mine[step] != theirs[step])
    return until

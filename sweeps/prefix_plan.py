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

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from repro import ladder
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


@dataclass(frozen=True)
class Cost:
    """What steps cost."""

    steps: int
    tokens: int
    effective_flops: float
    executed_flops: float

    @classmethod
    def of(cls, spec: RunSpec, steps: int) -> Cost:
        """Of the first `steps` of a run."""
        tokens, shape = steps * spec.tokens_per_step, spec.model.shape
        effective = ladder.effective_flops(spec.schedule.weight_steps(shape.prunable, steps), spec.tokens_per_step)
        return cls(steps, tokens, effective, ladder.executed_flops(shape, tokens, spec.model.sequence))

    @classmethod
    def sum(cls, costs: Iterable[Cost]) -> Cost:
        columns = zip((0, 0, 0.0, 0.0), *(dataclasses.astuple(cost) for cost in costs), strict=True)
        return cls(*map(sum, columns))


@dataclass(frozen=True)
class Saving:
    """What sharing saves: forks and savings by run, what all runs cost alone and shared, and the difference.

    because: what keeps apart runs that share nothing, the first thing in which two of them differ; null if nothing does.
    """

    forks: Mapping[str, Fork]
    by_run: Mapping[str, Cost]
    alone: Cost
    shared: Cost
    saved: Cost
    because: str | None = None


def grow(specs: Iterable[RunSpec]) -> Forest:
    """The forest in which each step that runs have in common is trained once.

    What runs have in common are beginnings, so each may go on from any run before it with which it has most in
    common: no other choice trains less. Dense runs come first, then those that prune late; of equals the first is
    taken, so that runs fork off the dense trunk where they can.
    """
    return Forest(_grown(_groups(specs)))


def saving(specs: Collection[RunSpec]) -> Saving:
    """What a sweep's runs cost, and what sharing saves of it."""
    groups = _groups(specs)
    forks = _grown(groups)
    by_run = {spec.run_id: Cost.of(spec, forks[spec.run_id].step) for spec in specs if spec.run_id in forks}
    alone, saved = Cost.sum(Cost.of(s, s.schedule.total_steps) for s in specs), Cost.sum(by_run.values())
    shared = Cost(*(a - b for a, b in zip(dataclasses.astuple(alone), dataclasses.astuple(saved), strict=True)))
    return Saving(forks, by_run, alone, shared, saved, _because(groups, forks))


# -------------------------------------------------------------------------------------------------- inside


class _Run:
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


def _groups(specs: Iterable[RunSpec]) -> list[list[_Run]]:
    """Runs that may share, each group in the order in which they become trunks."""
    groups: dict[str, list[_Run]] = {}
    for spec in specs:
        run = _Run(spec)
        groups.setdefault(run.setting, []).append(run)
    return [sorted(group, key=lambda run: (-run.dense_until, -run.total)) for group in groups.values()]


def _grown(groups: list[list[_Run]]) -> dict[str, Fork]:
    forks: dict[str, Fork] = {}
    for group in groups:
        for i, child in enumerate(group):
            options = [Fork(parent.spec.run_id, _fork_step(parent, child)) for parent in group[:i]]
            worth = [o for o in options if o.step >= child.worth and _passes(forks.get(o.parent), o.step)]
            if worth:
                forks[child.spec.run_id] = max(worth, key=lambda fork: fork.step)
    return forks


def _because(groups: list[list[_Run]], forks: Mapping[str, Fork]) -> str | None:
    """Why runs share nothing that only their own number of steps keeps apart, or, where none shares, why."""
    apart = [
        (_pruned_alike(parent, child), parent, child)
        for group in groups
        for i, child in enumerate(group)
        for parent in group[:i]
        if child.spec.run_id not in forks and child.spec.optimizer == parent.spec.optimizer
    ]
    apart = [(until, a, b) for until, a, b in apart if until >= b.worth]
    if apart:
        until, a, b = max(apart, key=lambda found: found[0])
        step, runs = _rates_alike(a, b, until), len({child.spec.run_id for _, _, child in apart})
        return (
            f"{runs} run{'s find' if runs > 1 else ' finds'} none: {a.spec.run_id} and {b.spec.run_id} prune alike until "
            f"step {until:,}, but their learning rates differ from step {step:,}, {a.rate(step):.4g} and {b.rate(step):.4g}, as "
            f"lr_schedule {a.spec.optimizer.lr_schedule} goes over each run's own {a.total:,} and {b.total:,} steps"
        )
    if forks:
        return None
    if len(groups) > 1:
        a, b = groups[0][0], groups[1][0]
        name, mine, theirs = _first_difference(a.spec, b.spec)
        return f"{a.spec.run_id} and {b.spec.run_id} differ in {name}: {mine} and {theirs}"
    return "no two runs prune and learn alike for long enough to be worth a checkpoint"


def _passes(start: Fork | None, step: int) -> bool:
    """Whether a run that starts there is ever before `step`."""
    return start is None or start.step <= step


def _fork_step(parent: _Run, child: _Run) -> int:
    """The last step before which `child` can take over the state of `parent`."""
    until = min(_pruned_alike(parent, child), child.spec.last_percent, parent.total - 1)
    return _rates_alike(parent, child, until)


def _pruned_alike(a: _Run, b: _Run) -> int:
    """How many steps from the first have the same events in both."""
    end = min(a.total, b.total)
    for i in range(max(len(a.events), len(b.events))):
        mine, theirs = (run.events[i] if i < len(run.events) else None for run in (a, b))
        if mine != theirs:
            return min(end, *(event[0] for event in (mine, theirs) if event is not None))
    return end


def _rates_alike(a: _Run, b: _Run, until: int) -> int:
    """How many steps from the first, at most `until`, have the same learning rate in both, to the last bit."""
    for count in (min(until, 100), until):  # most pairs that differ do so in the warm-up
        mine, theirs = (run.rates(count)[:count] for run in (a, b))
        if mine != theirs:
            return next(step for step in range(count) if mine[step] != theirs[step])
    return until


def _first_difference(a: RunSpec, b: RunSpec) -> tuple[str, Any, Any]:
    """(name, value of a, value of b) of the first field by which two settings differ."""
    for part in dataclasses.fields(RunSpec):
        if part.name in ("pruning", "dense_steps", "repeat") or not part.metadata.get("identity", True):
            continue
        mine, theirs = getattr(a, part.name), getattr(b, part.name)
        if not dataclasses.is_dataclass(mine) and mine != theirs:
            return part.name, mine, theirs
        for field in dataclasses.fields(mine) if dataclasses.is_dataclass(mine) else ():
            values = getattr(mine, field.name), getattr(theirs, field.name)
            if values[0] != values[1] and field.metadata.get("identity", True) and field.name not in OF_RATES:
                return f"{part.name}.{field.name}", *values
    raise ValueError(f"{a.run_id} and {b.run_id} have one setting")

"""What a sweep saves by training shared prefixes once, or why it saves nothing. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from repro import ladder
from repro.spec import RunSpec
from sweeps.prefix_plan import OF_RATES, Compared, Fork, forks_of, groups_of, pruned_alike, rates_alike


@dataclass(frozen=True)
class Cost:
    """The cost of some steps."""

    steps: int
    tokens: int
    effective_flops: float
    executed_flops: float

    @classmethod
    def of(cls, spec: RunSpec, steps: int) -> Cost:
        """The cost of the first `steps` of a run."""
        tokens, shape = steps * spec.tokens_per_step, spec.model.shape
        effective = ladder.effective_flops(spec.schedule.weight_steps(shape.prunable, steps), spec.tokens_per_step)
        return cls(steps, tokens, effective, ladder.executed_flops(shape, tokens, spec.model.sequence))

    @classmethod
    def sum(cls, costs: Iterable[Cost]) -> Cost:
        columns = zip((0, 0, 0.0, 0.0), *(dataclasses.astuple(cost) for cost in costs), strict=True)
        return cls(*map(sum, columns))


@dataclass(frozen=True)
class Saving:
    """What sharing saves: forks and savings by run, the total cost without and with sharing, and the difference.

    because: why runs share nothing, by the first difference between two of them; null if none is kept from sharing.
    """

    forks: Mapping[str, Fork]
    by_run: Mapping[str, Cost]
    alone: Cost
    shared: Cost
    saved: Cost
    because: str | None = None


def saving(specs: Collection[RunSpec]) -> Saving:
    """The cost of a sweep's runs, and what sharing saves."""
    groups = groups_of(specs)
    forks = forks_of(groups)
    by_run = {spec.run_id: Cost.of(spec, forks[spec.run_id].step) for spec in specs if spec.run_id in forks}
    alone, saved = Cost.sum(Cost.of(s, s.schedule.total_steps) for s in specs), Cost.sum(by_run.values())
    shared = Cost(*(a - b for a, b in zip(dataclasses.astuple(alone), dataclasses.astuple(saved), strict=True)))
    return Saving(forks, by_run, alone, shared, saved, _because(groups, forks))


def _because(groups: list[list[Compared]], forks: Mapping[str, Fork]) -> str | None:
    """Why runs share nothing although only their number of steps differs; or, if no runs share, why."""
    apart = [
        (pruned_alike(parent, child), parent, child)
        for group in groups
        for i, child in enumerate(group)
        for parent in group[:i]
        if child.spec.run_id not in forks and child.spec.optimizer == parent.spec.optimizer
    ]
    apart = [(until, a, b) for until, a, b in apart if until >= b.worth]
    if apart:
        until, a, b = max(apart, key=lambda found: found[0])
        step, runs = rates_alike(a, b, until), len({child.spec.run_id for _, _, child in apart})
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

"""What a sweep file may change in a run besides its size, budget and sparsity: window and other settings. No torch."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from repro import strict
from repro.bounds import EVENTS
from repro.errors import UserError
from repro.schedule import Sparse
from repro.spec import SHAPE, ModelSpec, OptimizerSpec, PruningSpec, Sparsity
from repro.strict import Between

# Parts of a RunSpec, each with its tagged fields: those that a single run of a sweep may change.
CHANGEABLE: dict[str, tuple[dataclasses.Field[Any], ...]] = {
    part: tuple(field for field in dataclasses.fields(cls) if "tag" in field.metadata)
    for part, cls in (("optimizer", OptimizerSpec), ("model", ModelSpec), ("pruning", PruningSpec))
}
_Changes: Any = strict.optional(
    "_Changes", {field.name: field.type for fields in CHANGEABLE.values() for field in fields}
)


@strict.dataclass
class Window:
    """When a run prunes, in shares of its effective compute: dense for `dense`, then pruned for `prune`."""

    dense: Annotated[float, Between(0, 1, "share of compute", "[)"), "share of compute before the first event"] = 0.25
    prune: Annotated[
        float, Between(0, 1, "share of compute", "(]"), "share of compute from the first event to the last"
    ] = 0.5

    def __post_init__(self) -> None:
        if self.prune > 1 - self.dense + 1e-9:
            raise UserError(
                "the window exceeds the run",
                key="prune",
                found=f"dense {self.dense:g} + prune {self.prune:g} = {self.dense + self.prune:g}",
                expected="dense + prune at most 1",
            )

    @property
    def end(self) -> float:
        return min(1.0, round(self.dense + self.prune, 12))


@strict.dataclass
class Change(_Changes):
    """Differences of a run from its sweep's defaults; null means no difference.

    Its keys are the tagged fields of OptimizerSpec, ModelSpec and PruningSpec, and `events`. A changed batch keeps the
    number of tokens, and the number of events as closely as whole intervals allow.
    """

    shape: Annotated[Sparse | None, SHAPE] = None
    events: Annotated[
        int | None, Between(2, EVENTS, "events"), "number of events; the interval is chosen to come closest to it"
    ] = None

    def __post_init__(self) -> None:
        if self.interval is not None and self.events is not None:
            raise UserError(
                "interval and events are both given",
                key="events",
                found=f"interval {self.interval} and events {self.events}",
                expected="one of them",
            )

    def of(self, part: str) -> dict[str, Any]:
        """The changed values of a part of a run, by field."""
        said = {field.name: getattr(self, field.name) for field in CHANGEABLE[part]}
        return {name: value for name, value in said.items() if value is not None}

    def over(self, usual: Change) -> Change:
        """`usual`, with what this one says in place of what it says."""
        said = {field.name: getattr(self, field.name) for field in dataclasses.fields(Change)}
        return dataclasses.replace(usual, **{name: value for name, value in said.items() if value is not None})


@strict.dataclass
class Variant(Change):
    """A change to try, optionally at its own sparsities."""

    sparsities: Annotated[tuple[Sparsity, ...] | None, "final sparsities; null takes those of the study"] = None

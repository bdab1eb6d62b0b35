"""What a sweep file may say of a run beside its size, budget and sparsity: when it prunes, and what differs. No torch."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from repro import strict
from repro.bounds import EVENTS
from repro.errors import UserError
from repro.spec import ModelSpec, OptimizerSpec, PruningSpec, Sparsity
from repro.strict import Between

Falling = Literal["geometric", "linear", "cubic", "constant"]  # how density falls; a dense run is one of sparsity 0

# Parts of a RunSpec, each with the fields of it that have a tag: those that one run of a sweep may change.
CHANGEABLE: dict[str, tuple[dataclasses.Field[Any], ...]] = {
    part: tuple(field for field in dataclasses.fields(cls) if "tag" in field.metadata)
    for part, cls in (("optimizer", OptimizerSpec), ("model", ModelSpec), ("pruning", PruningSpec))
}
_Changes: Any = strict.optional(
    "_Changes", {field.name: field.type for fields in CHANGEABLE.values() for field in fields}
)


@strict.dataclass
class Window:
    """When a run prunes, in shares of its effective compute: dense for `dense`, then pruning for `prune`."""

    dense: Annotated[float, Between(0, 1, "share of compute", "[)"), "share of compute before the first event"] = 0.25
    prune: Annotated[float, Between(0, 1, "share of compute", "(]"), "share of compute from the first to the last"] = (
        0.5
    )

    def __post_init__(self) -> None:
        if self.prune > 1 - self.dense + 1e-9:
            raise UserError(
                "the window doesn't fit",
                key="prune",
                found=f"dense {self.dense:g} + prune {self.prune:g} = {self.dense + self.prune:g}",
                expected="dense + prune at most 1",
            )

    @property
    def end(self) -> float:
        return min(1.0, round(self.dense + self.prune, 12))


@strict.dataclass
class Change(_Changes):
    """What of a run differs from its sweep's default; null is no difference.

    Its keys are the fields with a tag of OptimizerSpec, ModelSpec and PruningSpec, and `events`. A changed batch keeps
    the tokens, and the number of events as near as whole intervals can.
    """

    shape: Annotated[Falling | None, "how density falls"] = None
    events: Annotated[
        int | None, Between(2, EVENTS, "events"), "the interval is the one that comes nearest to this number of events"
    ] = None

    def __post_init__(self) -> None:
        if self.interval is not None and self.events is not None:
            raise UserError(
                "given twice over",
                key="events",
                found=f"interval {self.interval} and events {self.events}",
                expected="one of them",
            )

    def of(self, part: str) -> dict[str, Any]:
        """What it says of a part of a run, by field."""
        said = {field.name: getattr(self, field.name) for field in CHANGEABLE[part]}
        return {name: value for name, value in said.items() if value is not None}


@strict.dataclass
class Variant(Change):
    """A change to try, at sparsities of its own if it names them."""

    sparsities: Annotated[tuple[Sparsity, ...] | None, "its own; null takes those of the study"] = None

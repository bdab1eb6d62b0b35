"""What studies declare: points of a sweep's grid, windows, and changes of a run's other settings. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from repro import strict
from repro.bounds import EVENTS, SEEDS
from repro.errors import UserError
from repro.schedule import Sparse
from repro.spec import SHAPE, ModelSpec, OptimizerSpec, PruningSpec, Sparsity
from repro.strict import Above, Between

T = TypeVar("T")
Match = Literal["prunable", "total"]
PUBLIC = "public"  # budget of models that somebody else has trained

FinalSparsity = Annotated[Sparsity, "final sparsity; 0 for a dense run"]
Sparsities = Annotated[tuple[Sparsity, ...], "final sparsities; 0 is a dense run"]
Size = Annotated[str, "a label of `sizes`"]
Sizes = Annotated[tuple[str, ...], "labels of `sizes`"]
Budget = Annotated[str, "a label of `budgets`"]
Budgets = Annotated[tuple[str, ...], "labels of `budgets`"]
Seed = Annotated[int, Between(0, SEEDS), "seed of the initialisation and of the data order"]
SeedList = Annotated[tuple[Seed, ...], "seeds, one run for each"]
TokensPerParam = Annotated[float, Above(0, "tokens per prunable parameter")]
Ratio = TokensPerParam | dict[str, TokensPerParam]  # of all sizes, or by size label
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
            found = f"dense {self.dense:g} + prune {self.prune:g} = {self.dense + self.prune:g}"
            raise UserError("the window exceeds the run", key="prune", found=found, expected="dense + prune at most 1")

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
            found = f"interval {self.interval} and events {self.events}"
            raise UserError("interval and events are both given", key="events", found=found, expected="one of them")

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


@strict.dataclass
class Cells:
    """Part of a map: each of its sizes at each of its budgets."""

    sizes: Sizes
    budgets: Budgets
    seeds: Annotated[SeedList | None, "their own seeds; null takes those of the study"] = None


def tokens_per_param(budgets: Mapping[str, Ratio], budget: str, size: str) -> float:
    """Tokens of a size's dense run per prunable parameter.

    Raises:
        UserError: there is no such budget, or it names other sizes only; the key begins with `budgets`.
    """
    ratio = chosen(budgets, budget, "budgets")
    if not isinstance(ratio, dict):
        return ratio
    if size not in ratio:
        expected = f"a number for {size} too, or one number for all sizes"
        what = f"a budget that doesn't name {size}, which is trained with it"
        raise UserError(what, key=f"budgets.{budget}", found=", ".join(ratio) or "no size", expected=expected)
    return ratio[size]


def chosen(options: Mapping[str, T], name: str, block: str) -> T:
    """The entry of a block of the sweep file.

    Raises:
        UserError: there is none of this name.
    """
    if name not in options:
        raise unknown(f"no such entry in {block}", name, options)
    return options[name]


def unknown(what: str, label: str, known: Iterable[str], *, key: str | None = None, shape: str = "") -> UserError:
    """The error for a label that isn't known. shape: what labels are made like, before "one of"."""
    return UserError(what, key=key, found=label, expected=f"{shape}one of: {', '.join(known)}")


@strict.dataclass
class Point:
    """One point of the grid."""

    size: Size
    budget: Budget
    sparsity: FinalSparsity = 0.0
    window: Annotated[Window | None, "when it prunes; null is the sweep's default"] = None
    seeds: Annotated[SeedList | None, "its own seeds; null takes those of the study"] = None


Points = Annotated[tuple[Point, ...], "points of the grid"]

"""What a sweep file may say of a run beside its size, budget and sparsity: when it prunes, and what differs. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repro.bounds import EVENTS, STEPS, within
from repro.errors import UserError
from repro.spec import LearningRates, Score

Falling = Literal["geometric", "linear", "cubic", "constant"]  # how density falls; a dense run is one of sparsity 0


@dataclass(frozen=True)
class Window:
    """When a run prunes, in shares of its effective compute: dense for `dense`, then pruning for `prune`."""

    dense: float = 0.25
    prune: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.dense < 1:
            raise UserError(
                "start out of range", key="dense", found=self.dense, expected="0 <= dense < 1, a share of compute"
            )
        if not 0 < self.prune <= 1 - self.dense + 1e-9:
            raise UserError(
                "the window doesn't fit",
                key="prune",
                found=f"dense {self.dense:g} + prune {self.prune:g} = {self.dense + self.prune:g}",
                expected="prune above 0 and dense + prune at most 1",
            )

    @property
    def end(self) -> float:
        return min(1.0, round(self.dense + self.prune, 12))


@dataclass(frozen=True)
class Change:
    """What of a run differs from its sweep's default; null is no difference.

    A changed batch (sequences) keeps the tokens, and the number of events as near as whole intervals can.
    events: the interval is the one that comes nearest to this number.
    """

    lr: float | None = None
    batch: int | None = None
    weight_decay: float | None = None
    warmup: float | None = None
    lr_schedule: LearningRates | None = None
    init: Literal["fan_in", "transformers"] | None = None
    shape: Falling | None = None
    score: Score | None = None
    distribution: Literal["global", "uniform"] | None = None
    structure: str | None = None
    do_not_prune: tuple[str, ...] | None = None
    interval: int | None = None
    events: int | None = None

    def __post_init__(self) -> None:
        if self.interval is not None and self.events is not None:
            raise UserError(
                "given twice over",
                key="events",
                found=f"interval {self.interval} and events {self.events}",
                expected="one of them",
            )
        within("events", self.events, 2, EVENTS, "events")
        within("interval", self.interval, 1, STEPS, "steps")


@dataclass(frozen=True, kw_only=True)
class Variant(Change):
    """A change to try, at sparsities of its own if it names them."""

    sparsities: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sparsity("sparsities", self.sparsities)


def check_sparsity(key: str, value: float | tuple[float, ...] | None) -> None:
    """Refuses a sparsity, or a list with one, outside [0, 1)."""
    for sparsity in value if isinstance(value, tuple) else (value,):
        if sparsity is not None and not 0 <= sparsity < 1:
            raise UserError("sparsity out of range", key=key, found=sparsity, expected="0 <= sparsity < 1")

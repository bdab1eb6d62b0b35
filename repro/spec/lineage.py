"""Lineage: the properties of a run that follow from the weights it starts from, those of another run or of a model folder.

Masks are not inherited: a zero weight trains again until an event removes it, so a sparse model stays sparse only with
`shape: constant` and its own sparsity, which a run has that begins with surgery of single weights. Moments are not inherited
either: such a run has its own learning rates from its first step.
"""

from __future__ import annotations

import dataclasses
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

from repro import ladder
from repro.errors import UserError
from repro.spec.corpus import CorpusSpec
from repro.spec.identity import LABEL, LATER, SHA256, canonical
from repro.spec.model import ModelSpec
from repro.spec.surgery import SurgerySpec
from repro.strict import dataclass

if TYPE_CHECKING:
    from repro.schedule import PruningSchedule

SurgeryKey = Annotated[SurgerySpec | None, "what is done to the weights before the first step; null: nothing"]
UNREAD = "0" * 64  # in the place of the hash of weights that a plan doesn't read


@dataclasses.dataclass(frozen=True)
class Life:
    """Sums over the training steps of one run or of several consecutive runs.

    Attributes:
        tokens: D, the tokens seen.
        weight_tokens: sum over steps of N_t times the tokens of that step.
        effective_flops: sum over runs of 6 * tokens per step * sum of N_t.
    """

    tokens: int = 0
    weight_tokens: int = 0
    effective_flops: float = 0.0

    def then(self, steps: int, weight_steps: int, tokens_per_step: int) -> Life:
        """This life plus `steps` more, over which N_t sums to `weight_steps`."""
        return Life(
            self.tokens + steps * tokens_per_step,
            self.weight_tokens + weight_steps * tokens_per_step,
            self.effective_flops + ladder.effective_flops(weight_steps, tokens_per_step),
        )

    @property
    def n_avg(self) -> float:
        """N_avg: mean of N_t over tokens, i.e. over steps if all have equally many tokens."""
        return self.weight_tokens / self.tokens


@dataclass
class ModelStart:
    """The weights of a model folder, with the run's own shape."""

    sha256: Annotated[
        str,
        SHA256,
        "hash of the weights (models.tensors.digest), whatever their path; all zeros in a plan made without the weights",
    ]
    model: Annotated[str, "the model folder"] = field(metadata=LABEL)
    surgery: SurgeryKey = field(default=None, metadata=LATER)
    before: Annotated[ModelSpec | None, "dimensions of the model before surgery; null without surgery"] = field(
        default=None, metadata=LABEL
    )

    @property
    def is_read(self) -> bool:
        """Whether the weights are known; a plan may do without."""
        return self.sha256 != UNREAD

    def __post_init__(self) -> None:
        if (self.surgery is None) != (self.before is None):
            found = "surgery" if self.before is None else "before"
            raise UserError("surgery and before belong together", key=found, found=found, expected="both, or neither")


class Lineage:
    """What follows from a run's start; the part of RunSpec that knows of other runs."""

    if TYPE_CHECKING:
        model: ModelSpec
        corpus: CorpusSpec
        start: Any  # ModelStart, RunStart or None

        @property
        def tokens_per_step(self) -> int: ...
        @cached_property
        def schedule(self) -> PruningSchedule: ...

    @property
    def parent(self) -> Self | None:
        """The run whose weights this one starts from."""
        return None if self.start is None or isinstance(self.start, ModelStart) else self.start.parent

    @property
    def parent_step(self) -> int | None:
        """Number of steps of the parent at that point."""
        return None if self.start is None or isinstance(self.start, ModelStart) else self.start.step

    @property
    def surgery(self) -> SurgerySpec | None:
        """What is done to the weights that it starts from, before its first step."""
        return None if self.start is None else self.start.surgery

    @property
    def model_before(self) -> ModelSpec | None:
        """The model before surgery; None without."""
        if self.surgery is None or self.start is None:
            return None
        return self.start.before if isinstance(self.start, ModelStart) else self.start.parent.model

    @property
    def starts_at_the_end(self) -> bool:
        """Whether it starts from the weights that its parent ended with."""
        return self.parent is not None and self.parent_step == self.parent.schedule.total_steps

    @cached_property
    def ancestors(self) -> tuple[Self, ...]:
        """The runs that it descends from, the nearest first."""
        return () if self.parent is None else (self.parent, *self.parent.ancestors)

    @property
    def reads_on(self) -> bool:
        """Whether it has its parent's text, and so continues reading where the parent stopped."""
        parent = self.parent
        return parent is not None and canonical(self.corpus) == canonical(parent.corpus)

    @cached_property
    def life_before(self) -> Life:
        """Sums over its ancestors, each up to the step whose weights were used."""
        parent, step = self.parent, self.parent_step
        if parent is None or step is None:
            return Life()
        weight_steps = parent.schedule.weight_steps(parent.model.shape.prunable, step)
        return parent.life_before.then(step, weight_steps, parent.tokens_per_step)

    @cached_property
    def life(self) -> Life:
        """Sums over its ancestors and itself."""
        weight_steps = self.schedule.weight_steps(self.model.shape.prunable)
        return self.life_before.then(self.schedule.total_steps, weight_steps, self.tokens_per_step)

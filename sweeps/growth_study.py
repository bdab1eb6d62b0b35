"""The study of growth: a small model for a share of the tokens and a larger one for the rest, made by several operators at one N(t)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from repro import strict
from repro.errors import UserError
from repro.spec import ModelSpec, RunSpec, SurgerySpec
from repro.strict import Above, Between
from repro.surgery.catalogue import GROWTHS, growing
from sweeps.ids import percent
from sweeps.points import Budget, SeedList, Size
from sweeps.post_trained import at_rate, label
from sweeps.run_builder import Builder

USUAL = ("grow-inner", "grow-inner-noise", "grow-depth-zero", "grow-depth-stack")  # equal weights by one factor
Multiple = Annotated[float, Above(0, "times the learning rate of the larger model")]


@strict.dataclass
class GrowthStudy:
    """A small model that every operator grows after a share of the tokens, and dense controls trained on all tokens.

    The small model is trained at a constant learning rate until it grows, because a rate that has decayed would have to rise
    again. The larger model continues in the text with the sweep's own schedule, at the learning rate that `rates` gives its
    size, and with moments of zero. All operators lead to the same number of weights, so that N(t) is the same for all.
    """

    sizes: Annotated[tuple[Size, ...], "the small models"]
    budgets: Annotated[
        tuple[Budget, ...],
        "labels of `budgets`: all tokens, before and after growth, per prunable weight of the small model",
    ]
    share: Annotated[
        float, Between(0, 1, "of the tokens", "()"), "share of the tokens that the small model is trained on"
    ] = 0.5
    operators: Annotated[tuple[str, ...], f"methods of growth: some of {', '.join(GROWTHS)}"] = USUAL
    factor: Annotated[int, Between(2, 64, "times"), "how many times as many blocks, or as large widths"] = 2
    seeds: SeedList = (0,)
    ungrown: Annotated[
        bool, "whether the small model is also continued without growth, which shows what the restart costs"
    ] = True
    scratch: Annotated[bool, "whether the small and the larger models are also trained on all tokens from scratch"] = (
        True
    )
    partners: Annotated[bool, "whether a dense model of the average size is also trained on all tokens"] = True
    lr_multiples: Annotated[
        tuple[Multiple, ...], "further learning rates for the grown models, as multiples of their own"
    ] = ()

    def __post_init__(self) -> None:
        for key in ("sizes", "budgets", "operators", "seeds"):
            if not getattr(self, key):
                raise UserError(f"no {key}", key=key, found="none", expected="one or more")
        for method in self.operators:
            try:
                growing(method)
            except UserError as error:
                raise error.but(key="operators") from error

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for size in self.sizes:
            for budget in self.budgets:
                for seed in self.seeds:
                    yield from self._lives(build.run(size, budget, seed=seed), build)

    def _lives(self, small: RunSpec, build: Builder) -> Iterator[RunSpec]:
        """All lives of one seed: `small` is the small model on all tokens."""
        parent = self._parent(small)
        surgeries = [self._surgery(method, small.seed) for method in self.operators]
        models: dict[ModelSpec, SurgerySpec] = {}
        for surgery in surgeries:
            models.setdefault(surgery.model_after(small.model), surgery)
        counts = {model.shape.prunable: surgery.method for model, surgery in models.items()}
        if len(counts) > 1:
            what = "operators that lead to different numbers of weights, so that N(t) differs"
            found = ", ".join(f"{method}: {count:,} weights" for count, method in counts.items())
            expected = f"some of one size, such as {', '.join(USUAL)}"
            raise UserError(what, key="operators", found=found, expected=expected)
        large = [
            build.alike(small, model, f"{label(small.size, surgery)}-scratch") for model, surgery in models.items()
        ]
        yield parent
        for surgery in surgeries:
            child = self._child(parent, small, surgery, large[0].optimizer.lr)
            yield child
            for multiple in self.lr_multiples:
                yield at_rate(child, child.optimizer.lr * multiple)
        if self.ungrown:
            yield self._child(parent, small, SurgerySpec(self.operators[0], factor=1), small.optimizer.lr)
        if self.scratch:
            yield from (small, *large)
        if self.partners:
            yield build.alike(small, child.life.n_avg, f"{small.size}-x{self.factor}-life")

    def _parent(self, small: RunSpec) -> RunSpec:
        total = small.schedule.total_steps
        steps = round(self.share * total)
        if not 0 < steps < total:
            found = f"{self.share:g}: {steps} of {total} steps of {small.run_id}"
            expected = "another share, or a larger budget"
            what = "a share that leaves one of the two models no step"
            raise UserError(what, key="share", found=found, expected=expected)
        budget = f"{small.budget}-first{percent(self.share)}"
        return replace(
            small,
            run_id=f"{small.size}-{budget}-seed{small.seed}",
            budget=budget,
            dense_steps=steps,
            # "wsd" whose last step alone decays, and it is at the peak.
            optimizer=replace(small.optimizer, lr_schedule="wsd", decay=1.0),
        )

    def _child(self, parent: RunSpec, small: RunSpec, surgery: SurgerySpec, lr: float) -> RunSpec:
        steps = parent.schedule.total_steps
        own = replace(small, dense_steps=small.schedule.total_steps - steps, optimizer=replace(small.optimizer, lr=lr))
        size = label(small.size, surgery)
        name = f"{size}-{small.budget}-after{percent(self.share)}-seed{small.seed}"
        return replace(own.starting_from(parent, steps, surgery), run_id=name, size=size)

    def _surgery(self, method: str, seed: int) -> SurgerySpec:
        return SurgerySpec(method, factor=self.factor, seed=seed if growing(method).seeded else None)

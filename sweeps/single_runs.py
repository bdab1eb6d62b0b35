"""Single runs of a sweep file, outside its studies, and the weights that they start from. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal

from repro import strict
from repro.bounds import STEPS
from repro.errors import UserError
from repro.paths import check_name
from repro.spec import RunSpec, SurgeryKey
from repro.strict import Between, ByKey
from repro.studies import StudyName
from sweeps.overrides import Change, Window
from sweeps.points import Budget, FinalSparsity, Seed, Size
from sweeps.run_builder import Builder


@strict.dataclass
class FromRun:
    """The weights of another run of the sweep."""

    run: Annotated[str, "the id of that run; this run's text continues after the parent's"]
    at: Annotated[
        Literal["end"] | Annotated[int, Between(1, STEPS, "steps")],
        "number of steps of that run after which its weights are taken; end: after the last",
    ] = "end"
    surgery: SurgeryKey = None


@strict.dataclass
class FromModel:
    """The weights of a pre-trained model."""

    model: Annotated[str, "a model folder or Hugging Face id; the model has the run's shape, unless surgery changes it"]
    surgery: SurgeryKey = None


@strict.dataclass
class SingleRun(Change):
    """One run outside the studies."""

    size: Size = field(kw_only=True)
    budget: Budget = field(kw_only=True)
    sparsity: FinalSparsity = 0.0
    window: Annotated[Window | None, "when it prunes; null: the sweep's default"] = None
    seed: Annotated[Seed | None, "seed of the run; null: the parent's, or 0"] = None
    start: Annotated[
        FromRun | FromModel | None,
        ByKey(run=FromRun, model=FromModel),
        "the weights that it starts from; null: a random initialisation",
    ] = None
    id: Annotated[str | None, "its run id; null: an id made from its settings"] = None
    studies: Annotated[tuple[StudyName, ...], "studies that it belongs to"] = ("runs",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.id is not None:
            check_name(self.id, key="id")
        if self.start is not None and self.studies != ("runs",):
            # The claims compare runs by their own N_avg and D, which ignore how the initial weights were trained.
            raise UserError(
                "a run that starts from other weights belongs to no study",
                key="studies",
                found=", ".join(self.studies),
                expected="runs, or no `studies`",
            )

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        yield self.made(build, self.seed or 0)

    def made(self, build: Builder, seed: int) -> RunSpec:
        return build.run(self.size, self.budget, self.sparsity, self.window, seed=seed, change=self, run_id=self.id)

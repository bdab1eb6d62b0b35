"""Single runs of a sweep file, beside its studies, and the weights that they start from. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal

from repro import strict
from repro.bounds import STEPS
from repro.errors import UserError
from repro.paths import check_name
from repro.spec import RunSpec
from repro.strict import Between, ByKey
from repro.studies import StudyName
from sweeps.overrides import Change, Window
from sweeps.points import Budget, FinalSparsity, Making, Seed, Size


@strict.dataclass
class FromRun:
    """The weights of another run of the sweep."""

    run: Annotated[str, "the id of that run, after whose text this one reads on"]
    at: Annotated[
        Literal["end"] | Annotated[int, Between(1, STEPS, "steps")], "how many steps of that run; end is all of them"
    ] = "end"


@strict.dataclass
class FromModel:
    """The weights of a model."""

    model: Annotated[str, "a Hugging Face folder, or the id of a model, of the run's own shape"]


@strict.dataclass
class SingleRun(Change):
    """One run beside the studies."""

    size: Size = field(kw_only=True)
    budget: Budget = field(kw_only=True)
    sparsity: FinalSparsity = 0.0
    window: Annotated[Window | None, "when it prunes; null is the sweep's default"] = None
    seed: Annotated[Seed | None, "null is 0, or that of the run that it starts from"] = None
    start: Annotated[
        FromRun | FromModel | None,
        ByKey(run=FromRun, model=FromModel),
        "the weights that it starts from; null is its initialisation",
    ] = None
    id: Annotated[str | None, "its run id; null is the readable one"] = None
    studies: Annotated[tuple[StudyName, ...], "studies it serves"] = ("runs",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.id is not None:
            check_name(self.id, key="id")
        if self.start is not None and self.studies != ("runs",):
            # The claims compare runs by their own N_avg and D, which say nothing of what the weights went through before.
            raise UserError(
                "a run that starts from other weights belongs to no study",
                key="studies",
                found=", ".join(self.studies),
                expected="runs, or nothing",
            )

    def runs(self, build: Making) -> Iterator[RunSpec]:
        yield build.run(
            self.size, self.budget, self.sparsity, self.window, seed=self.seed or 0, change=self, run_id=self.id
        )

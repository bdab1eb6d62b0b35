"""Single runs of a sweep file, outside its studies, and the weights that they start from. No torch.

A run that starts from another is planned before either is trained: the parent's fingerprint and a step identify it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Literal

from repro import strict
from repro.bounds import STEPS
from repro.errors import UserError, located
from repro.paths import check_name
from repro.spec import RunSpec, SurgeryKey
from repro.strict import Between, ByKey
from repro.studies import StudyName
from sweeps.ids import near
from sweeps.points import Budget, Change, FinalSparsity, Seed, Size, Window
from sweeps.post_trained import label
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
            what = "a run that starts from other weights belongs to no study"
            raise UserError(what, key="studies", found=", ".join(self.studies), expected="runs, or no `studies`")

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        yield self.made(build, self.seed or 0)

    def made(self, build: Builder, seed: int) -> RunSpec:
        return build.run(self.size, self.budget, self.sparsity, self.window, seed=seed, change=self, run_id=self.id)


def children(
    singles: Sequence[SingleRun], build: Builder, known: Mapping[str, RunSpec]
) -> Iterator[tuple[str, RunSpec]]:
    """(study, run) for every single run with a `start`, each after the run that it starts from.

    Args:
        known: the runs made so far, by id; a live view that the caller updates with the runs yielded here.

    Raises:
        UserError: there is no such run, or two runs start from each other.
    """
    waiting = {index: (single, single.start) for index, single in enumerate(singles) if single.start is not None}
    while waiting:
        parents = {index: start.run for index, (_, start) in waiting.items() if isinstance(start, FromRun)}
        ready = [index for index in waiting if index not in parents or parents[index] in known]
        if not ready:
            index, wanted = next(iter(parents.items()))
            ids = [single.id for single, _ in waiting.values() if single.id]
            with located(build.file, f"runs[{index}].start"):
                if wanted in ids:
                    expected = "a run without a circular start"
                    raise UserError("runs that start from each other", key="run", found=wanted, expected=expected)
                expected = near(wanted, [*known, *ids])
                raise UserError("no such run in this sweep", key="run", found=wanted, expected=expected)
        for index in ready:
            single, start = waiting.pop(index)
            with located(build.file, f"runs[{index}]"):
                spec = _child(single, start, build, known)
            yield from ((study, spec) for study in single.studies)


def _child(single: SingleRun, start: FromRun | FromModel, build: Builder, known: Mapping[str, RunSpec]) -> RunSpec:
    if isinstance(start, FromModel):
        spec = single.made(build, single.seed or 0)
        weights = build.model_start(start.model)
        name = f"{spec.run_id}-from-{Path(weights.model).name}-{weights.sha256[:6]}"
        spec = spec.starting_at(weights, start.surgery)
    else:
        parent = known[start.run]
        total = parent.schedule.total_steps
        step = total if start.at == "end" else start.at
        if step > total:
            what = f"a step that {parent.run_id} doesn't have"
            raise UserError(what, key="start.at", found=start.at, expected=f"1 to {total:,}, or end")
        spec = single.made(build, parent.seed if single.seed is None else single.seed)
        spec = spec.starting_from(parent, step, start.surgery)
        name = f"{spec.run_id}-from-{parent.run_id}" + ("" if start.at == "end" else f"-at{step}")
    if start.surgery is not None:
        name += f"-{label('', start.surgery).removeprefix('-')}"
    return replace(spec, run_id=single.id or name)

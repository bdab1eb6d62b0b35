"""Single runs that start from other weights: of another run of the sweep, or of a model folder. No torch.

A run that starts from another is planned before either is trained: the parent's fingerprint and a step identify it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from repro.errors import UserError, located
from repro.spec import RunSpec
from sweeps.ids import near
from sweeps.post_trained import label
from sweeps.run_builder import Builder
from sweeps.single_runs import FromModel, FromRun, SingleRun


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
            raise UserError(
                f"a step that {parent.run_id} doesn't have",
                key="start.at",
                found=start.at,
                expected=f"1 to {total:,}, or end",
            )
        spec = single.made(build, parent.seed if single.seed is None else single.seed)
        spec = spec.starting_from(parent, step, start.surgery)
        name = f"{spec.run_id}-from-{parent.run_id}" + ("" if start.at == "end" else f"-at{step}")
    if start.surgery is not None:
        name += f"-{label('', start.surgery).removeprefix('-')}"
    return replace(spec, run_id=single.id or name)

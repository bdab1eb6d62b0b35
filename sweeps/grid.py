"""Expands a sweep file into a flat list of runs, each with the studies it serves. No torch, no Ray."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from repro.bounds import RUNS
from repro.errors import UserError, located
from repro.paths import check_name
from repro.paths import expand as expand_place
from repro.resources import Resources
from repro.spec import RunSpec
from repro.studies import StudyName
from sweeps import sweep_file
from sweeps.run_builder import Builder
from sweeps.run_settings import Storage
from sweeps.single_runs import children
from sweeps.sweep_file import Declaration


@dataclass(frozen=True)
class PlannedRun:
    """A run and the studies it serves, in the file's order."""

    spec: RunSpec
    studies: tuple[str, ...]


@dataclass(frozen=True)
class Sweep:
    """An expanded sweep file. No two runs share a fingerprint or an id."""

    file: Path
    name: str
    runs: tuple[PlannedRun, ...]
    resources: Resources
    storage: Storage
    share_prefix: bool = False

    @property
    def specs(self) -> tuple[RunSpec, ...]:
        return tuple(run.spec for run in self.runs)

    @property
    def studies(self) -> tuple[str, ...]:
        """Names of the studies that have runs, in order of appearance."""
        return tuple(dict.fromkeys(study for run in self.runs for study in run.studies))

    def of(self, study: str) -> tuple[RunSpec, ...]:
        """The runs that serve a study."""
        return tuple(run.spec for run in self.runs if study in run.studies)


def expand(file: str | Path, *, read_models: bool = True) -> Sweep:
    """Expands a sweep file. A run that several studies ask for appears once, under its first id.

    Args:
        read_models: whether models with a Hugging Face id are read, and downloaded first, as identity needs it; a plan does
            without.

    Raises:
        UserError: the file is invalid, two specs share an id, or a run needs more text than the corpus has and isn't
            allowed to repeat it.
    """
    file = Path(expand_place(file))
    declared = sweep_file.read(file)
    planned: dict[str, PlannedRun] = {}
    by_id: dict[str, RunSpec] = {}  # includes the other ids of runs that several studies ask for
    for asked, (study, spec) in enumerate(_asked_for(declared, Builder(declared, file, read_models), by_id)):
        if asked >= RUNS:
            raise UserError(
                "too many runs", file=file, key=f"studies.{study}", found=f"over {RUNS:,}", expected=f"at most {RUNS:,}"
            )
        known = planned.setdefault(spec.fingerprint, PlannedRun(spec, ()))
        if known.spec.family is None and spec.family is not None:  # whichever study asked first
            known = replace(known, spec=replace(known.spec, family=spec.family))
            planned[spec.fingerprint] = known
        if study not in known.studies:
            planned[spec.fingerprint] = replace(known, studies=(*known.studies, study))
        by_id.setdefault(spec.run_id, known.spec)
    runs = tuple(planned.values())
    if not runs:
        raise UserError(
            "a sweep without runs", file=file, key="studies", expected=f"one of: {', '.join(get_args(StudyName))}"
        )
    _refuse_shared_ids(runs, file)
    _refuse_repeated_text(runs, file)
    with located(file, "resources"):
        for run in runs:
            declared.resources.share(run.spec)
    return Sweep(file, declared.name, runs, declared.resources, declared.storage, declared.share_prefix)


def _asked_for(declared: Declaration, build: Builder, known: Mapping[str, RunSpec]) -> Iterator[tuple[str, RunSpec]]:
    """(study, run) for every run that a study asks for, in the order of the file's blocks; then runs with a `start`.

    known: the runs yielded so far, by id.
    """
    for field in dataclasses.fields(declared.studies):
        study = getattr(declared.studies, field.name)
        if study is not None:
            with located(build.file, f"studies.{field.name}"):
                yield from ((field.name, spec) for spec in study.runs(build))
    for index, single in enumerate(declared.runs):
        if single.start is None:
            with located(build.file, f"runs[{index}]"):
                yield from ((name, spec) for spec in single.runs(build) for name in single.studies)
    yield from children(declared.runs, build, known)


def _refuse_shared_ids(runs: tuple[PlannedRun, ...], file: Path) -> None:
    seen: dict[str, PlannedRun] = {}
    for run in runs:
        check_name(run.spec.run_id, file=file, key=f"the id of a run of {run.studies[0]}")  # long labels make a long id
        other = seen.setdefault(run.spec.run_id, run)
        if other is not run:
            both = " and ".join(f"{r.spec.fingerprint} ({', '.join(r.studies)})" for r in (other, run))
            what = "two different specs with one id"
            expected = "an id of its own for each; entries of `runs` accept `id`"
            raise UserError(what, file=file, key=run.spec.run_id, found=both, expected=expected)


def _refuse_repeated_text(runs: tuple[PlannedRun, ...], file: Path) -> None:
    for_all = [run.spec for run in runs if run.spec.corpus.unique_tokens is not None and not run.spec.repeat]
    over = [spec for spec in for_all if spec.text_tokens > (spec.corpus.unique_tokens or math.inf)]
    if over:
        raise UserError(
            f"{len(over)} run{'s need' if len(over) > 1 else ' needs'} more text than the corpus has",
            file=file,
            key="repeat",
            found="; ".join(f"{spec.run_id} needs {spec.text_tokens:.4g} tokens" for spec in over[:5])
            + (f"; and {len(over) - 5} more" if len(over) > 5 else ""),
            expected=f"at most {over[0].corpus.unique_tokens:.5g} tokens (corpus.unique_tokens), or `repeat: true`, or a `repeat` rule for them",
        )

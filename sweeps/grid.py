"""Reads a sweep file and expands it into a flat list of runs, each with the studies it serves. No torch, no Ray."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, get_args

from repro import strict
from repro.bounds import RUNS
from repro.errors import UserError, located
from repro.paths import check_name
from repro.paths import expand as expand_place
from repro.resources import Resources
from repro.spec import RunSpec
from repro.studies import StudyName
from sweeps.points import Ratio, unknown
from sweeps.run_builder import Builder
from sweeps.run_settings import Settings, Storage
from sweeps.single_runs import SingleRun, children
from sweeps.studies import Studies


@strict.dataclass
class Declaration(Settings):
    """One sweep file."""

    studies: Annotated[
        Studies, "groups of runs, each for one question; a run that several studies need is trained once"
    ] = Studies()
    runs: Annotated[tuple[SingleRun, ...], "single runs outside the studies"] = ()

    def __post_init__(self) -> None:
        check_name(self.name, key="name")  # names the results folder
        dense = self.studies.dense.budgets if self.studies.dense else {}
        for block, labels in (("budgets", self.budgets), ("studies.dense.budgets", dense), ("sizes", self.sizes)):
            for label in labels:
                check_name(label, key=f"{block}.{label}")  # part of run ids, which name folders
        self._check_labels(dense)

    def _check_labels(self, dense: dict[str, Ratio]) -> None:
        """Refuses what is said of unknown sizes or budgets, which would silently have no effect."""
        for block, budgets in (("budgets", self.budgets), ("studies.dense.budgets", dense)):
            for label, ratio in budgets.items():
                for size in ratio if isinstance(ratio, dict) else ():
                    if size not in self.sizes:
                        raise unknown("no such size", size, self.sizes, key=f"{block}.{label}.{size}")
        begun = tuple(f"{size}-" for size in self.sizes)
        for label in self.partners.lr:  # SIZE-p80 and the like
            if not label.startswith(begun):
                shape = "SIZE-p80 or SIZE-t80, of "
                raise unknown("no such partner", label, self.sizes, key=f"partners.lr.{label}", shape=shape)
        for label in self.resources.workers_by_size:
            if label not in self.sizes and not label.startswith(begun):
                raise unknown("no such size", label, self.sizes, key=f"resources.workers_by_size.{label}")
        for index, rule in enumerate(self.repeat if isinstance(self.repeat, tuple) else ()):
            for key, label, known in (("size", rule.size, self.sizes), ("budget", rule.budget, self.budgets | dense)):
                if label not in known:
                    raise unknown(f"no such {key}", label, known, key=f"repeat[{index}].{key}")


def read(file: str | Path) -> Declaration:
    """Reads a sweep file.

    Raises:
        UserError: it isn't a sweep file, or is invalid.
    """
    file = Path(expand_place(file))
    expected = "a YAML file such as sweeps/quick.yaml"
    if file.is_dir():
        kept = "a results folder" if (file / "sweep.json").exists() else "a folder"
        raise UserError(f"{kept} instead of a sweep file", file=file, expected=expected)
    if file.suffix.lower() in (".parquet", ".csv", ".gz", ".html", ".safetensors", ".py"):
        raise UserError("not a sweep file", file=file, found=file.suffix, expected=expected)
    return strict.build(Declaration, strict.read_yaml(file), file=file)


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
    declared = read(file)
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
        expected = f"one of: {', '.join(get_args(StudyName))}"
        raise UserError("a sweep without runs", file=file, key="studies", expected=expected)
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
        what = f"{len(over)} run{'s need' if len(over) > 1 else ' needs'} more text than the corpus has"
        found = [f"{spec.run_id} needs {spec.text_tokens:.4g} tokens" for spec in over[:5]]
        found += [f"and {len(over) - 5} more"] if len(over) > 5 else []
        most = f"at most {over[0].corpus.unique_tokens:.5g} tokens (corpus.unique_tokens)"
        expected = f"{most}, or `repeat: true`, or a `repeat` rule for them"
        raise UserError(what, file=file, key="repeat", found="; ".join(found), expected=expected)

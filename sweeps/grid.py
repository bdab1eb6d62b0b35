"""A sweep file -> a flat list of runs, each with the studies it serves. No torch, no Ray."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from repro import ladder
from repro.errors import UserError
from repro.schedule import PruningSchedule, interval_for
from repro.spec import ModelSpec, OptimizerSpec, PruningSpec, Resources, RunSpec
from sweeps import declare
from sweeps.change import Change, Window
from sweeps.declare import Declaration, Storage
from sweeps.ids import differences, percent, window_text
from sweeps.studies import Match, StudyName


@dataclass(frozen=True)
class PlannedRun:
    """A run and the studies it serves, in the order in which they asked for it."""

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

    @property
    def studies(self) -> tuple[str, ...]:
        """Names of the studies that have runs, in order of appearance."""
        return tuple(dict.fromkeys(study for run in self.runs for study in run.studies))

    def of(self, study: str) -> tuple[RunSpec, ...]:
        """The runs that serve a study."""
        return tuple(run.spec for run in self.runs if study in run.studies)


def expand(file: str | Path) -> Sweep:
    """All runs of a sweep file. A run that several studies ask for appears once, under its first id.

    Raises:
        UserError: anything in the file that can't be, two specs with one id, or a run that needs more text
            than the corpus has and may not repeat it.
    """
    file = Path(file)
    declared = declare.read(file)
    planned: dict[str, PlannedRun] = {}
    for study, spec in _asked_for(declared, Builder(declared, file)):
        known = planned.setdefault(spec.fingerprint, PlannedRun(spec, ()))
        if study not in known.studies:
            planned[spec.fingerprint] = replace(known, studies=(*known.studies, study))
    runs = tuple(planned.values())
    if not runs:
        raise UserError("a sweep without a run", file=file, key="studies", expected=f"one of: {', '.join(get_args(StudyName))}")
    _refuse_shared_ids(runs, file)
    _refuse_repeated_text(runs, file)
    return Sweep(file, declared.name, runs, declared.resources, declared.storage)


class Builder:
    """Makes the runs of one sweep from what a study says: size, budget, sparsity, window, seed, change.

    Args:
        declared: the contents of the sweep file.
        file: its path, for error messages.
    """

    def __init__(self, declared: Declaration, file: Path):
        self.declared, self.file = declared, file
        self._sizes = {label: declared.size(label, file=file) for label in declared.sizes}

    def optimizer(self, size: str) -> OptimizerSpec:
        """The optimizer of a size, with its own learning rate and batch."""
        return _chosen(self._sizes, size, "sizes")[1]

    def run(self, size: str, budget: str, sparsity: float = 0.0, window: Window | None = None, *, seed: int = 0,
            change: Change = Change(), tokens_per_param: float | None = None) -> RunSpec:
        """One run.

        Args:
            size, budget: labels of the sweep file.
            sparsity: final sparsity; 0 is a dense run, to which window and pruning mean nothing.
            window: when it prunes; None is the sweep's default.
            change: what differs from the sweep's default.
            tokens_per_param: tokens of the dense run per prunable parameter, for a budget that isn't in the file.
        """
        model, optimizer = _chosen(self._sizes, size, "sizes")
        ratio = tokens_per_param or _chosen(self.declared.budgets, budget, "budgets")
        window = window or self.declared.pruning.window
        dense_steps = _steps(ratio, model, optimizer)
        with self._naming(f"{size}-{budget}-s{percent(sparsity)}{window_text(window)}", change):
            plain = RunSpec(
                run_id="", size=size, budget=budget, model=model, corpus=self.declared.corpus, optimizer=optimizer,
                pruning=self._pruning(sparsity, window, dense_steps), dense_steps=dense_steps, seed=seed,
                precision=self.declared.precision, repeat=self._may_repeat(size, budget, sparsity, window),
                evaluation=self.declared.evaluation)
            spec = _changed(plain, change, ratio) if change != Change() else plain
        _refuse_full_layers(spec)
        timing = window_text(window) if sparsity and spec.pruning.shape != "constant" else ""
        return replace(spec, run_id=f"{size}-{budget}-s{percent(sparsity)}{timing}-seed{seed}{differences(spec, plain)}")

    def partner(self, sparse: RunSpec, match: Match = "prunable", *, lr_multiple: float = 1.0) -> RunSpec:
        """The dense run of the average size of `sparse`, with its steps, tokens, batches and seed.

        Args:
            match: the count in which the two are equal: of prunable weights, or of all parameters.
            lr_multiple: of the partner's own learning rate.
        """
        if sparse.schedule.shape == "dense":
            raise UserError("a dense run has no partner", key="sparsities", found=0, expected="a sparsity above 0")
        shape = sparse.model.shape
        fixed = shape.total - shape.prunable if match == "total" else 0
        try:
            found = ladder.partner(shape, sparse.schedule.n_avg(shape.prunable) + fixed, count=match,
                                   mlp_multiple=self.declared.partners.mlp_multiple)
        except UserError as error:
            raise _with(error, f"in the pair of {sparse.run_id}", self.file, "partners.mlp_multiple") from error
        window = Window(sparse.pruning.start, round(sparse.pruning.end - sparse.pruning.start, 12))
        timing = "" if window == self.declared.pruning.window else window_text(window)
        size = f"{sparse.size}-{match[0]}{percent(sparse.pruning.sparsity)}{timing}"
        own = self.declared.partners.lr.get(size, sparse.optimizer.lr)
        plain = replace(sparse, size=size, pruning=PruningSpec(), dense_steps=sparse.schedule.total_steps,
                        model=replace(sparse.model, d_model=found.d_model, mlp=found.mlp), optimizer=replace(sparse.optimizer, lr=own))
        spec = replace(plain, optimizer=replace(plain.optimizer, lr=own * lr_multiple))
        return replace(spec, run_id=f"{size}-{sparse.budget}-s00-seed{sparse.seed}{differences(spec, plain)}")

    def _pruning(self, sparsity: float, window: Window, dense_steps: int) -> PruningSpec:
        if sparsity == 0:
            return PruningSpec()
        usual = self.declared.pruning
        return _timeless(PruningSpec(
            sparsity=sparsity, start=window.dense, end=window.end, interval=usual.interval or interval_for(dense_steps, usual.narrowest),
            shape=usual.shape, score=usual.score, distribution=usual.distribution, keep=usual.keep))

    def _may_repeat(self, size: str, budget: str, sparsity: float, window: Window) -> bool:
        rules = self.declared.repeat
        if isinstance(rules, bool):
            return rules
        return any(rule.size == size and rule.budget == budget and sparsity in rule.sparsities
                   and (not rule.windows or window in rule.windows) for rule in rules)

    @contextmanager
    def _naming(self, run: str, change: Change) -> Iterator[None]:
        """Adds the run to an error of its schedule, and the key that decides it."""
        try:
            yield
        except UserError as error:
            if error.key == "interval" and change.interval is None and change.events is None:
                raise _with(error, f"in {run}", self.file, "pruning.interval") from error
            raise _with(error, f"in {run}") from error


def _asked_for(declared: Declaration, build: Builder) -> Iterator[tuple[str, RunSpec]]:
    """(study, run) for every run that a study asks for, in the order of the file's blocks."""
    for field in dataclasses.fields(declared.studies):
        study = getattr(declared.studies, field.name)
        if study is not None:
            with _at(build.file, f"studies.{field.name}"):
                yield from ((field.name, spec) for spec in study.runs(build))
    for index, single in enumerate(declared.runs):
        with _at(build.file, f"runs[{index}]"):
            yield from ((name, spec) for spec in single.runs(build) for name in single.studies)


def _changed(plain: RunSpec, change: Change, tokens_per_param: float) -> RunSpec:
    """`plain` with a change applied: equal tokens, and events where the batch alone would alter their number."""
    model, optimizer = _replaced(plain.model, change), _replaced(plain.optimizer, change)
    dense_steps = _steps(tokens_per_param, model, optimizer)
    pruning = plain.pruning
    if pruning.sparsity:
        pruning = _timeless(_replaced(pruning, change))
        if change.events is not None:
            finest = _resolved(replace(pruning, interval=1), dense_steps)
            ideal = (finest.end_step - finest.start_step) / (change.events - 1)
            pruning = _with_events(change.events, ideal, pruning, dense_steps)
        elif change.batch is not None and change.interval is None:
            scaled = pruning.interval * plain.optimizer.batch / change.batch
            pruning = _with_events(plain.schedule.events, scaled, pruning, dense_steps)
    return replace(plain, model=model, optimizer=optimizer, pruning=pruning, dense_steps=dense_steps)


def _timeless(pruning: PruningSpec) -> PruningSpec:
    """Static sparsity has no window: two such runs that differ in it are one."""
    return replace(pruning, start=0.0, end=0.0) if pruning.shape == "constant" else pruning


def _replaced(part: Any, change: Change) -> Any:
    given = {field.name: getattr(change, field.name, None) for field in dataclasses.fields(part)}
    return replace(part, **{name: value for name, value in given.items() if value is not None})


def _with_events(events: int, ideal: float, pruning: PruningSpec, dense_steps: int) -> PruningSpec:
    """`pruning` at the whole interval beside `ideal` whose number of events is nearest to `events`."""
    around = [replace(pruning, interval=interval) for interval in sorted({max(1, math.floor(ideal)), math.ceil(ideal)})]
    return min(around, key=lambda one: abs(_resolved(one, dense_steps).events - events))


def _resolved(pruning: PruningSpec, dense_steps: int) -> PruningSchedule:
    return PruningSchedule.resolve(sparsity=pruning.sparsity, dense_steps=dense_steps, start=pruning.start, end=pruning.end,
                                   interval=pruning.interval, shape=pruning.shape)


def _steps(tokens_per_param: float, model: ModelSpec, optimizer: OptimizerSpec) -> int:
    return round(tokens_per_param * model.shape.prunable / (optimizer.batch * model.sequence))


def _refuse_full_layers(spec: RunSpec) -> None:
    """Refuses to keep layers whole that hold all the weights that are to be left."""
    pruning, shape = spec.pruning, spec.model.shape
    for name in pruning.keep:
        _chosen(shape.linears, name, "keep")
    kept, final = sum(shape.linears[name] for name in pruning.keep), spec.schedule.n_final(shape.prunable)
    if kept >= final:
        raise UserError(f"the layers to keep leave no weight for the others, in {spec.size} at sparsity {pruning.sparsity:g}", key="keep",
                        found=f"{', '.join(pruning.keep)}: {kept:,} weights of {final:,} left", expected="a lower sparsity, or fewer layers")


def _refuse_shared_ids(runs: tuple[PlannedRun, ...], file: Path) -> None:
    seen: dict[str, PlannedRun] = {}
    for run in runs:
        other = seen.setdefault(run.spec.run_id, run)
        if other is not run:
            both = " and ".join(f"{r.spec.fingerprint} ({', '.join(r.studies)})" for r in (other, run))
            raise UserError("two specs with one id", file=file, key=run.spec.run_id, found=both, expected="an id each; `runs` takes an `id`")


def _refuse_repeated_text(runs: tuple[PlannedRun, ...], file: Path) -> None:
    for_all = [run.spec for run in runs if run.spec.corpus.unique_tokens is not None and not run.spec.repeat]
    over = [spec for spec in for_all if spec.tokens > (spec.corpus.unique_tokens or math.inf)]
    if over:
        raise UserError(
            f"{len(over)} run{'s need' if len(over) > 1 else ' needs'} more text than the corpus has", file=file, key="repeat",
            found="; ".join(f"{spec.run_id} needs {spec.tokens:.4g} tokens" for spec in over),
            expected=f"at most {over[0].corpus.unique_tokens:.5g} tokens (corpus.unique_tokens), or `repeat: true`, or a `repeat` rule for them")


def _chosen(options: dict[str, Any], name: str, block: str) -> Any:
    if name not in options:
        raise UserError(f"no such entry in {block}", found=name, expected=f"one of: {', '.join(options)}")
    return options[name]


@contextmanager
def _at(file: Path, key: str) -> Iterator[None]:
    """Gives an error that doesn't say where it stands this file and, before its own key, this one."""
    try:
        yield
    except UserError as error:
        if error.file is not None:
            raise
        raise _with(error, "", file, f"{key}.{error.key}" if error.key else key) from error


def _with(error: UserError, where: str, file: Path | None = None, key: str | None = None) -> UserError:
    message = str(error).split("\n")[0]
    return UserError(f"{message}, {where}" if where else message, file=file or error.file, key=key or error.key,
                     found=error.found, expected=error.expected)

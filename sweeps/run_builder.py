"""Builder: one run from what a study says of it, with its readable id. No torch, no Ray."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from repro import ladder
from repro.bounds import STEPS
from repro.errors import UserError
from repro.schedule import PruningSchedule, interval_for
from repro.spec import DECAY, ModelSpec, OptimizerSpec, PruningSpec, RunSpec
from sweeps.ids import differences, percent, window_text
from sweeps.overrides import Change, Window
from sweeps.studies import Match
from sweeps.sweep_file import Declaration


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

    def run(
        self,
        size: str,
        budget: str,
        sparsity: float = 0.0,
        window: Window | None = None,
        *,
        seed: int = 0,
        change: Change = Change(),
        tokens_per_param: float | None = None,
    ) -> RunSpec:
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
                run_id="",
                size=size,
                budget=budget,
                model=model,
                corpus=self.declared.corpus,
                optimizer=optimizer,
                pruning=self._pruning(sparsity, window, dense_steps),
                dense_steps=dense_steps,
                seed=seed,
                precision=self.declared.precision,
                repeat=self._may_repeat(size, budget, sparsity, window),
                evaluation=self.declared.evaluation,
            )
            spec = _changed(plain, change, ratio) if change != Change() else plain
        timing = window_text(window) if sparsity and spec.pruning.shape != "constant" else ""
        return replace(
            spec, run_id=f"{size}-{budget}-s{percent(sparsity)}{timing}-seed{seed}{differences(spec, plain)}"
        )

    def partner(
        self, sparse: RunSpec, match: Match = "prunable", *, lr_multiple: float = 1.0, budget: str | None = None
    ) -> RunSpec:
        """The dense run of the average size of `sparse`, with its steps, tokens, batches and seed.

        Args:
            match: the count in which the two are equal: of prunable weights, or of all parameters.
            lr_multiple: of the partner's own learning rate.
            budget: gives it the steps of this budget at its own size, instead of those of `sparse`.
        """
        if sparse.schedule.shape == "dense":
            raise UserError("a dense run has no partner", key="sparsities", found=0, expected="a sparsity above 0")
        shape = sparse.model.shape
        fixed = shape.total - shape.prunable if match == "total" else 0
        try:
            found = ladder.partner(
                shape,
                sparse.schedule.n_avg(shape.prunable) + fixed,
                count=match,
                mlp_multiple=self.declared.partners.mlp_multiple,
                head_multiple=8 if sparse.precision == "bf16" else 2,
                tolerance=self.declared.partners.tolerance,
            )
        except UserError as error:
            raise _with(error, f"in the pair of {sparse.run_id}", self.file, "partners.tolerance") from error
        window = Window(sparse.pruning.start, round(sparse.pruning.end - sparse.pruning.start, 12))
        timing = "" if window == self.declared.pruning.window else window_text(window)
        size = f"{sparse.size}-{match[0]}{percent(sparse.pruning.sparsity)}{timing}"
        own = self.declared.partners.lr.get(size, sparse.optimizer.lr)
        model, steps = replace(sparse.model, d_model=found.d_model, mlp=found.mlp), sparse.schedule.total_steps
        if budget is not None:
            steps = _steps(_chosen(self.declared.budgets, budget, "budgets"), model, sparse.optimizer)
        plain = replace(
            sparse,
            size=size,
            budget=budget or sparse.budget,
            pruning=PruningSpec(),
            dense_steps=steps,
            model=model,
            optimizer=replace(sparse.optimizer, lr=own),
        )
        spec = replace(plain, optimizer=replace(plain.optimizer, lr=own * lr_multiple))
        return replace(spec, run_id=f"{size}-{plain.budget}-s00-seed{sparse.seed}{differences(spec, plain)}")

    def _pruning(self, sparsity: float, window: Window, dense_steps: int) -> PruningSpec:
        if sparsity == 0:
            return PruningSpec()
        usual = self.declared.pruning
        return _timeless(
            PruningSpec(
                sparsity=sparsity,
                start=window.dense,
                end=window.end,
                interval=usual.interval or interval_for(dense_steps, usual.narrowest),
                shape=usual.shape,
                score=usual.score,
                distribution=usual.distribution,
                structure=usual.structure,
                do_not_prune=usual.do_not_prune,
            )
        )

    def _may_repeat(self, size: str, budget: str, sparsity: float, window: Window) -> bool:
        rules = self.declared.repeat
        if isinstance(rules, bool):
            return rules
        return any(
            rule.size == size
            and rule.budget == budget
            and sparsity in rule.sparsities
            and (not rule.windows or window in rule.windows)
            for rule in rules
        )

    @contextmanager
    def _naming(self, run: str, change: Change) -> Iterator[None]:
        """Adds the run to an error of its schedule, and the key that decides it."""
        try:
            yield
        except UserError as error:
            if error.key == "interval" and change.interval is None and change.events is None:
                raise _with(error, f"in {run}", self.file, "pruning.interval") from error
            raise _with(error, f"in {run}") from error


def _changed(plain: RunSpec, change: Change, tokens_per_param: float) -> RunSpec:
    """`plain` with a change applied: equal tokens, and events where the batch alone would alter their number."""
    usual = plain.optimizer
    if change.lr_schedule not in (None, "wsd"):  # the others have no decay of their own
        usual = replace(usual, lr_schedule=change.lr_schedule, decay=DECAY)
    model, optimizer = _replaced(plain.model, change), _replaced(usual, change)
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
    return PruningSchedule.resolve(
        sparsity=pruning.sparsity,
        dense_steps=dense_steps,
        start=pruning.start,
        end=pruning.end,
        interval=pruning.interval,
        shape=pruning.shape,
    )


def _steps(tokens_per_param: float, model: ModelSpec, optimizer: OptimizerSpec) -> int:
    steps = tokens_per_param * model.shape.prunable / (optimizer.batch * model.sequence)
    if not steps <= STEPS:
        expected = f"at most {STEPS:,}: a smaller budget, or a larger batch"
        raise UserError("too many steps", key="budgets", found=f"{steps:,.4g}", expected=expected)
    return round(steps)


def _chosen(options: dict[str, Any], name: str, block: str) -> Any:
    if name not in options:
        raise UserError(f"no such entry in {block}", found=name, expected=f"one of: {', '.join(options)}")
    return options[name]


@contextmanager
def located(file: Path, key: str) -> Iterator[None]:
    """Gives an error that doesn't say where it stands this file and, before its own key, this one."""
    try:
        yield
    except UserError as error:
        if error.file is not None:
            raise
        raise _with(error, "", file, f"{key}.{error.key}" if error.key else key) from error


def _with(error: UserError, where: str, file: Path | None = None, key: str | None = None) -> UserError:
    message = str(error).split("\n")[0]
    return UserError(
        f"{message}, {where}" if where else message,
        file=file or error.file,
        key=key or error.key,
        found=error.found,
        expected=error.expected,
    )

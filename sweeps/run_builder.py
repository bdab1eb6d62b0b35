"""Builder: a run, with its readable id, from what a study declares. No torch, no Ray."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

from repro import ladder, paths
from repro.errors import UserError
from repro.models.folder import start_from
from repro.schedule import FALLING, interval_for
from repro.spec import UNREAD, ModelSpec, ModelStart, PruningSpec, RunSpec
from sweeps.ids import differences, percent, short, timing_of, window_text
from sweeps.points import PUBLIC, Change, Match, Point, Window, chosen, tokens_per_param
from sweeps.run_parts import Parts, settled, steps
from sweeps.run_settings import Settings


class Builder:
    """Builds the runs of one sweep from what a study declares: size, budget, sparsity, window, seed, change.

    Args:
        declared: the contents of the sweep file.
        file: its path, for error messages.
        read_models: as of grid.expand.
    """

    def __init__(self, declared: Settings, file: Path, read_models: bool = True):
        self.declared, self.file, self.read_models = declared, file, read_models
        self._sizes = {label: declared.size(label, file=file) for label in declared.sizes}

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
        run_id: str | None = None,
    ) -> RunSpec:
        """Builds one run.

        Args:
            size, budget: labels in the sweep file.
            sparsity: final sparsity; 0 is a dense run, for which window and pruning are ignored.
            window: when it prunes; None is the sweep's default.
            change: differences from the sweep's defaults.
            tokens_per_param: tokens of the dense run per prunable parameter, for a budget that isn't in the file.
            run_id: its id; None for the readable one.
        """
        model, optimizer = chosen(self._sizes, size, "sizes")
        ratio = tokens_per_param or self._ratio(budget, size)
        rates = self.declared.rates
        optimizer = replace(optimizer, lr=rates.at(optimizer.lr, rates.factor(model, model, ratio, sparsity)))
        window = window or self.declared.pruning.window
        with self._naming(f"{size}-{budget}-s{percent(sparsity)}{window_text(window)}", change):
            dense_steps = steps(ratio, model, optimizer)
            usual = Parts(model, optimizer, self._pruning(sparsity, window, dense_steps), dense_steps)
            own = usual if change == Change() else usual.changed(change, ratio)
            timing = timing_of(own.pruning)
            readable = f"{size}-{budget}-s{percent(sparsity)}{timing}-seed{seed}{differences(own, usual)}"
            return RunSpec(
                run_id=run_id or readable,
                size=size,
                budget=budget,
                model=own.model,
                corpus=self.declared.corpus,
                optimizer=own.optimizer,
                pruning=own.pruning,
                dense_steps=own.dense_steps,
                seed=seed,
                precision=self.declared.precision,
                repeat=self._may_repeat(size, budget, sparsity, window),
                evaluation=self.declared.evaluation,
            )

    def partner(
        self,
        sparse: RunSpec,
        match: Match = "prunable",
        *,
        lr_multiple: float = 1.0,
        budget: str | None = None,
        same_width: bool = False,
    ) -> RunSpec:
        """The dense run with the average size of `sparse`, and with its steps, tokens, batches and seed.

        Args:
            match: whether the two match in prunable weights or in all parameters.
            lr_multiple: factor on the partner's own learning rate.
            budget: trains it for this budget of the size of `sparse` at its own count, instead of for the steps of `sparse`.
            same_width: whether it has the width of `sparse` and a narrower mlp alone (size label SIZE-w80).
        """
        if sparse.schedule.shape == "dense":
            raise UserError("a dense run has no partner", key="sparsities", found=0, expected="a sparsity above 0")
        shape = sparse.model.shape
        fixed = shape.total - shape.prunable if match == "total" else 0
        model = self._nearest(sparse, sparse.schedule.n_avg(shape.prunable) + fixed, match, same_width)
        pruning = sparse.pruning
        timing = timing_of(pruning)
        if pruning.shape not in FALLING:
            timing += f"-{short(pruning.pieces or pruning.shape)}"
        elif timing == window_text(self.declared.pruning.window):
            timing = ""
        size = f"{sparse.size}-{'w' if same_width else match[0]}{percent(sparse.pruning.sparsity)}{timing}"
        dense_steps = sparse.schedule.total_steps
        if budget is not None:
            dense_steps = steps(self._ratio(budget, sparse.size), model, sparse.optimizer)
        optimizer = replace(
            sparse.optimizer, lr=self.declared.partners.lr.get(size) or self._partner_rate(sparse, model, dense_steps)
        )
        usual = Parts(model, optimizer, PruningSpec(), dense_steps)
        own = replace(usual, optimizer=replace(optimizer, lr=optimizer.lr * lr_multiple))
        budget = budget or sparse.budget
        return replace(
            sparse,
            run_id=f"{size}-{budget}-s00-seed{sparse.seed}{differences(own, usual)}",
            size=size,
            budget=budget,
            model=own.model,
            optimizer=own.optimizer,
            pruning=own.pruning,
            dense_steps=own.dense_steps,
        )

    def alike(self, run: RunSpec, model: ModelSpec | float, size: str) -> RunSpec:
        """A dense run of another model with the steps, batches, seed and initialisation of a dense one, at its own learning rate.

        Args:
            model: its model; or about how many prunable weights it has, in the proportions of the other.
            size: its label.
        """
        if not isinstance(model, ModelSpec):
            model = self._nearest(run, model, "prunable")
        return replace(
            run,
            run_id=f"{size}-{run.budget}-s00-seed{run.seed}",
            size=size,
            model=model,
            optimizer=replace(run.optimizer, lr=self._partner_rate(run, model, run.schedule.total_steps)),
        )

    def at(self, points: Iterable[Point], seeds: Iterable[int]) -> Iterator[RunSpec]:
        """The run of each point at each of its seeds; `seeds` are those of points without their own."""
        for point in points:
            for seed in seeds if point.seeds is None else point.seeds:
                yield self.run(point.size, point.budget, point.sparsity, point.window, seed=seed)

    def sparse_runs(self) -> Iterator[RunSpec]:
        """The sparse runs of `law`, `pairs` and `seeds.pairs`, all of which have the default window."""
        studies = self.declared.studies
        law = studies.law.runs(self) if studies.law else ()
        pairs = (studies.pairs, *(studies.seeds.pairs if studies.seeds else ()))
        for run in chain(law, *(study.sparse(self) for study in pairs if study)):
            if run.pruning.sparsity:
                yield run

    def _nearest(self, run: RunSpec, target: float, match: Match, same_width: bool = False) -> ModelSpec:
        """The model of about `target` parameters that is most like a run's."""
        try:
            found = ladder.partner(
                run.model.shape,
                target,
                count=match,
                mlp_multiple=self.declared.partners.mlp_multiple,
                head_multiple=8 if run.precision == "bf16" else 2,
                tolerance=self.declared.partners.tolerance,
                same_width=same_width,
            )
        except UserError as error:
            message = f"{error.message}, in the pair of {run.run_id}"
            raise error.but(message=message, file=self.file, key="partners.tolerance") from error
        return replace(run.model, d_model=found.d_model, mlp=found.mlp)

    def _partner_rate(self, sparse: RunSpec, model: ModelSpec, steps: int) -> float:
        """The learning rate of a dense partner: that of its sparse run, but for what the two differ in."""
        rates = self.declared.rates

        def factor(of: ModelSpec, steps: int, sparsity: float) -> float:
            ratio = steps * sparse.tokens_per_step / of.shape.prunable
            return rates.factor(of, sparse.model, ratio, sparsity)

        own = factor(sparse.model, sparse.dense_steps, sparse.pruning.sparsity)
        return rates.at(sparse.optimizer.lr, factor(model, steps, 0.0) / own)

    def parents(self) -> Iterator[RunSpec]:
        """The runs of study `parents`, and its models as runs that are not trained but stand for what they start from."""
        parents = self.declared.studies.parents
        if parents is None:
            raise UserError("no parents", found="no study `parents`", expected="one, whose runs are pruned")
        yield from parents.runs(self)
        for size, model in parents.models.items():
            run = self.run(size, PUBLIC, tokens_per_param=1.0)
            yield replace(run, corpus=replace(run.corpus, tokenizer=model), start=self.model_start(model))

    def model_start(self, model: str) -> ModelStart:
        """The weights of a model folder or of a Hugging Face id.

        Raises:
            UserError: there are none, or they are damaged.
        """
        place = paths.expand(model, key="start.model")
        if not self.read_models and not Path(place).exists():
            return ModelStart(UNREAD, model)
        try:
            return start_from(place)
        except UserError as error:
            what = f"not a model to start from: {error.message}"
            expected = error.expected or "a Hugging Face folder, or the id of a model"
            raise UserError(what, key="start.model", found=model, expected=expected) from error

    def _ratio(self, budget: str, size: str) -> float:
        """Tokens per prunable parameter of a size with a budget of the file."""
        try:
            return tokens_per_param(self.declared.budgets, budget, size)
        except UserError as error:  # `budgets` is at the top of the file, not in the study
            raise error.located(self.file if error.key else None) from error

    def _pruning(self, sparsity: float, window: Window, dense_steps: int) -> PruningSpec:
        if sparsity == 0:
            return PruningSpec()
        usual = self.declared.pruning
        return settled(
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
                scope=usual.scope,
                mirror=usual.mirror,
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
        """Adds the run, and the key responsible, to an error in its schedule."""
        try:
            yield
        except UserError as error:
            told = error.but(message=f"{error.message}, in {run}")
            if error.key == "interval" and change.interval is None and change.events is None:
                told = told.but(file=self.file, key="pruning.interval")
            raise told from error

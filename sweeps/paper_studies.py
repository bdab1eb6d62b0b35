"""The studies of the paper: the keys that each declares in YAML and the runs that it asks for. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated

from repro import strict
from repro.bounds import RUNS, within
from repro.errors import UserError
from repro.spec import BATCH, RunSpec
from sweeps.points import Budget, Budgets, Change, Match, SeedList, Size, Sizes, Sparsities, Window
from sweeps.run_builder import Builder


@strict.dataclass
class Schedules:
    """Every window of `dense` x `prune` that fits into the run, at every sparsity and budget (Fig. 4)."""

    size: Size
    budgets: Budgets
    dense: Annotated[tuple[float, ...], "shares of compute before the first event"]
    prune: Annotated[tuple[float, ...], "shares of compute from the first event to the last"]
    sparsities: Sparsities
    seeds: SeedList = (0,)

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        within("dense", len(self.dense) * len(self.prune), 0, RUNS, "windows")  # before they are made
        windows = [Window(d, p) for d, p in product(self.dense, self.prune) if d + p <= 1 + 1e-9]
        for budget, sparsity, window, seed in product(self.budgets, self.sparsities, windows, self.seeds):
            yield build.run(self.size, budget, sparsity, window, seed=seed)


@strict.dataclass
class LawStudy:
    """Sizes x budgets x sparsities at the default window (Fig. 3)."""

    sizes: Sizes
    budgets: Budgets
    sparsities: Sparsities

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for size, budget, sparsity in product(self.sizes, self.budgets, self.sparsities):
            yield build.run(size, budget, sparsity)


@strict.dataclass
class Pairs:
    """Sparse runs, each with a dense run of equal N_avg, steps, tokens, data order and seed (Fig. 1)."""

    size: Size
    budgets: Budgets
    sparsities: Sparsities
    seeds: SeedList = (0,)
    match: Annotated[
        tuple[Match, ...],
        "count of the partner that equals the sparse run's average: of prunable weights, or of all parameters",
    ] = ("prunable",)

    def sparse(self, build: Builder) -> Iterator[RunSpec]:
        for budget, sparsity, seed in product(self.budgets, self.sparsities, self.seeds):
            yield build.run(self.size, budget, sparsity, seed=seed)

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for sparse in self.sparse(build):
            yield sparse
            for match in self.match:
                yield build.partner(sparse, match)


@strict.dataclass
class Robustness:
    """Learning rate and batch varied one at a time, as multiples of the dense run's (Fig. 5)."""

    size: Size
    budget: Budget
    sparsities: Sparsities
    lr_multiples: Annotated[tuple[float, ...], "multiples of the dense run's learning rate"]
    batch_multiples: Annotated[tuple[float, ...], "multiples of the dense run's batch"]
    seeds: SeedList = (0,)

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        centre = build.run(self.size, self.budget).optimizer
        changes = [Change(lr=centre.lr * multiple) for multiple in self.lr_multiples]
        for multiple in self.batch_multiples:
            batch = centre.batch * multiple
            if not 1 <= batch <= BATCH or batch % 1:
                found = f"{multiple:g} x {centre.batch} sequences"
                expected = "a whole number of sequences"
                raise UserError("not a whole batch", key="batch_multiples", found=found, expected=expected)
            changes.append(Change(batch=int(batch)))
        for sparsity, change, seed in product(self.sparsities, changes, self.seeds):
            yield build.run(self.size, self.budget, sparsity, seed=seed, change=change)

"""The studies of a sweep: the keys that each declares in YAML and the runs that it asks for. No torch.

A study is a strict dataclass whose fields are the keys in the sweep file, with one method, `runs`, that yields its
runs. Two studies may ask for the same run; it is trained once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, product
from typing import Annotated

from repro import strict
from repro.bounds import RUNS, within
from repro.errors import UserError
from repro.spec import BATCH, RunSpec
from sweeps.overrides import Change, Variant, Window
from sweeps.points import (
    Budget,
    Budgets,
    Making,
    Match,
    Points,
    Ratio,
    SeedList,
    Size,
    Sizes,
    Sparsities,
    tokens_per_param,
)


@strict.dataclass
class Schedules:
    """Every window of `dense` x `prune` that fits in the run, at every sparsity and budget (Fig. 4)."""

    size: Size
    budgets: Budgets
    dense: Annotated[tuple[float, ...], "shares of compute before the first event"]
    prune: Annotated[tuple[float, ...], "shares of compute from the first event to the last"]
    sparsities: Sparsities

    def runs(self, build: Making) -> Iterator[RunSpec]:
        within("dense", len(self.dense) * len(self.prune), 0, RUNS, "windows")  # before they are made
        windows = [Window(d, p) for d, p in product(self.dense, self.prune) if d + p <= 1 + 1e-9]
        for budget, sparsity, window in product(self.budgets, self.sparsities, windows):
            yield build.run(self.size, budget, sparsity, window)


@strict.dataclass
class LawStudy:
    """Sizes x budgets x sparsities at the default window (Fig. 3)."""

    sizes: Sizes
    budgets: Budgets
    sparsities: Sparsities

    def runs(self, build: Making) -> Iterator[RunSpec]:
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
        "which count of a partner equals the sparse run's average: prunable weights or all parameters",
    ] = ("prunable",)

    def sparse(self, build: Making) -> Iterator[RunSpec]:
        for budget, sparsity, seed in product(self.budgets, self.sparsities, self.seeds):
            yield build.run(self.size, budget, sparsity, seed=seed)

    def runs(self, build: Making) -> Iterator[RunSpec]:
        for sparse in self.sparse(build):
            yield sparse
            for match in self.match:
                yield build.partner(sparse, match)


@strict.dataclass
class Robustness:
    """Learning rate and batch varied one at a time, as multiples of the size's own (Fig. 5)."""

    size: Size
    budget: Budget
    sparsities: Sparsities
    lr_multiples: Annotated[tuple[float, ...], "multiples of the size's learning rate"]
    batch_multiples: Annotated[tuple[float, ...], "multiples of the size's batch"]

    def runs(self, build: Making) -> Iterator[RunSpec]:
        centre = build.optimizer(self.size)
        changes = [Change(lr=centre.lr * multiple) for multiple in self.lr_multiples]
        for multiple in self.batch_multiples:
            batch = centre.batch * multiple
            if not 1 <= batch <= BATCH or batch % 1:
                raise UserError(
                    "not a whole batch",
                    key="batch_multiples",
                    found=f"{multiple:g} x {centre.batch} sequences",
                    expected="a whole number of sequences",
                )
            changes.append(Change(batch=int(batch)))
        for sparsity, change in product(self.sparsities, changes):
            yield build.run(self.size, self.budget, sparsity, change=change)


@strict.dataclass
class IsoAverage:
    """Runs with nearly equal N_avg but different sparsity and pruning window."""

    points: Points
    seeds: SeedList = (0,)
    partners: Annotated[bool, "whether their dense partners are trained too"] = False

    def runs(self, build: Making) -> Iterator[RunSpec]:
        for point, seed in product(self.points, self.seeds):
            sparse = build.run(point.size, point.budget, point.sparsity, point.window, seed=seed)
            yield sparse
            if self.partners:
                yield build.partner(sparse)


@strict.dataclass
class Dense:
    """Dense runs at further ratios of tokens to prunable parameters."""

    sizes: Sizes
    budgets: Annotated[
        dict[str, Ratio], "tokens of the run per prunable parameter, by label: one number, or one for each size"
    ]

    def runs(self, build: Making) -> Iterator[RunSpec]:
        for size, budget in product(self.sizes, self.budgets):
            yield build.run(size, budget, tokens_per_param=tokens_per_param(self.budgets, budget, size))


@strict.dataclass
class Confirm:
    """Windows to train again with new seeds."""

    size: Size
    seeds: SeedList
    windows: Annotated[dict[str, dict[float, tuple[Window, ...]]], "windows by budget, then by sparsity"]

    def __post_init__(self) -> None:
        for sparsity in chain(*self.windows.values()):
            if not 0 <= sparsity < 1:
                raise UserError("value out of range", key="windows", found=sparsity, expected="0 <= sparsity < 1")

    def runs(self, build: Making) -> Iterator[RunSpec]:
        for budget, cells in self.windows.items():
            for sparsity, windows in cells.items():
                for window, seed in product(windows, self.seeds):
                    yield build.run(self.size, budget, sparsity, window, seed=seed)


@strict.dataclass
class Seeds:
    """Configurations at several seeds, and whole pairs at the seeds that `pairs` names."""

    seeds: SeedList
    configurations: Points = ()
    pairs: Pairs | None = None
    confirm: Confirm | None = None

    def runs(self, build: Making) -> Iterator[RunSpec]:
        for point, seed in product(self.configurations, self.seeds):
            yield build.run(point.size, point.budget, point.sparsity, point.window, seed=seed)
        if self.pairs:
            yield from self.pairs.runs(build)
        if self.confirm:
            yield from self.confirm.runs(build)


@strict.dataclass
class Controls:
    """Settings changed one at a time, along with the unchanged run at each sparsity that occurs."""

    size: Size
    budget: Budget
    sparsities: Sparsities
    variants: Annotated[tuple[Variant, ...], "what to change, one at a time"]

    def runs(self, build: Making) -> Iterator[RunSpec]:
        asked = [
            (self.sparsities if variant.sparsities is None else variant.sparsities, variant)
            for variant in self.variants
        ]
        for sparsity in dict.fromkeys(chain(self.sparsities, *(sparsities for sparsities, _ in asked))):
            yield build.run(self.size, self.budget, sparsity)
        for sparsities, variant in asked:
            for sparsity in sparsities:
                yield build.run(self.size, self.budget, sparsity, change=variant)


@strict.dataclass
class LearningRates:
    """Dense runs of sizes, and of the partners of `pairs` and `points`, at multiples of their learning rates."""

    multiples: Annotated[tuple[float, ...], "multiples of each learning rate"]
    sizes: Sizes = ()
    budgets: Budgets = ()
    pairs: Pairs | None = None
    points: Points = ()
    partner_budget: Annotated[
        str | None, "the budget of the partners, at their own size; null for the steps of their sparse runs"
    ] = None

    def runs(self, build: Making) -> Iterator[RunSpec]:
        for size, budget, multiple in product(self.sizes, self.budgets, self.multiples):
            yield build.run(size, budget, change=Change(lr=build.optimizer(size).lr * multiple))
        for (sparse, match), multiple in product(self._paired(build), self.multiples):
            yield build.partner(sparse, match, lr_multiple=multiple, budget=self.partner_budget)

    def _paired(self, build: Making) -> Iterator[tuple[RunSpec, Match]]:
        """Sparse runs, each with the count in which a partner matches it."""
        if self.pairs:
            yield from product(self.pairs.sparse(build), self.pairs.match)
        for point in self.points:
            yield build.run(point.size, point.budget, point.sparsity, point.window), "prunable"


@strict.dataclass
class Studies:
    """The studies block of a sweep file, each study at most once."""

    schedules: Schedules | None = None
    law: LawStudy | None = None
    pairs: Pairs | None = None
    robustness: Robustness | None = None
    iso_average: IsoAverage | None = None
    dense: Dense | None = None
    seeds: Seeds | None = None
    controls: Controls | None = None
    lr: LearningRates | None = None

"""The studies of a sweep: what each declares in YAML and which runs it asks for. No torch.

A study is a frozen dataclass, its keys the keys in the sweep file, with one method, `runs`, which asks a
`Builder` (sweeps/run_builder.py) for one run after another. Two studies may ask for the same run; it is trained once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import TYPE_CHECKING, Literal

from repro.bounds import RUNS, within
from repro.errors import UserError
from repro.paths import check_name
from repro.spec import BATCH, RunSpec
from sweeps.overrides import Change, Variant, Window, check_sparsity

if TYPE_CHECKING:
    from sweeps.run_builder import Builder

Match = Literal["prunable", "total"]
StudyName = Literal[
    "schedules", "law", "pairs", "robustness", "iso_average", "dense", "seeds", "controls", "lr", "runs"
]


@dataclass(frozen=True)
class _Study:
    """Checks that hold for every study."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.name in ("sparsity", "sparsities"):
                check_sparsity(field.name, getattr(self, field.name))


@dataclass(frozen=True)
class Schedules(_Study):
    """Every window of `dense` x `prune` that fits into the run, at every sparsity and budget (Fig. 4)."""

    size: str
    budgets: tuple[str, ...]
    dense: tuple[float, ...]
    prune: tuple[float, ...]
    sparsities: tuple[float, ...]

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        within("dense", len(self.dense) * len(self.prune), 0, RUNS, "windows")  # before they are made
        windows = [Window(d, p) for d, p in product(self.dense, self.prune) if d + p <= 1 + 1e-9]
        for budget, sparsity, window in product(self.budgets, self.sparsities, windows):
            yield build.run(self.size, budget, sparsity, window)


@dataclass(frozen=True)
class Law(_Study):
    """Sizes x budgets x sparsities at the default window (Fig. 3)."""

    sizes: tuple[str, ...]
    budgets: tuple[str, ...]
    sparsities: tuple[float, ...]

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for size, budget, sparsity in product(self.sizes, self.budgets, self.sparsities):
            yield build.run(size, budget, sparsity)


@dataclass(frozen=True)
class Pairs(_Study):
    """Sparse runs, each with the dense run of its N_avg, steps, tokens, data order and seed (Fig. 1).

    match: the count in which the partner equals the sparse run's average: of prunable weights, or of all.
    """

    size: str
    budgets: tuple[str, ...]
    sparsities: tuple[float, ...]
    seeds: tuple[int, ...] = (0,)
    match: tuple[Match, ...] = ("prunable",)

    def sparse(self, build: Builder) -> Iterator[RunSpec]:
        for budget, sparsity, seed in product(self.budgets, self.sparsities, self.seeds):
            yield build.run(self.size, budget, sparsity, seed=seed)

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for sparse in self.sparse(build):
            yield sparse
            for match in self.match:
                yield build.partner(sparse, match)


@dataclass(frozen=True)
class Robustness(_Study):
    """One factor at a time around a size's own learning rate and batch, in multiples of them (Fig. 5)."""

    size: str
    budget: str
    sparsities: tuple[float, ...]
    lr_multiples: tuple[float, ...]
    batch_multiples: tuple[float, ...]

    def runs(self, build: Builder) -> Iterator[RunSpec]:
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


@dataclass(frozen=True)
class Configuration(_Study):
    """One point of the grid; no window means the default."""

    size: str
    budget: str
    sparsity: float = 0.0
    window: Window | None = None


@dataclass(frozen=True)
class IsoAverage:
    """Runs of nearly equal N_avg but different sparsity and timing; with `partners`, their dense partners too."""

    points: tuple[Configuration, ...]
    seeds: tuple[int, ...] = (0,)
    partners: bool = False

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for point, seed in product(self.points, self.seeds):
            sparse = build.run(point.size, point.budget, point.sparsity, point.window, seed=seed)
            yield sparse
            if self.partners:
                yield build.partner(sparse)


@dataclass(frozen=True)
class Dense:
    """Dense runs at further ratios of tokens to prunable parameters; budgets: by label, that ratio."""

    sizes: tuple[str, ...]
    budgets: dict[str, float]

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for size, (budget, ratio) in product(self.sizes, self.budgets.items()):
            yield build.run(size, budget, tokens_per_param=ratio)


@dataclass(frozen=True)
class Confirm:
    """Windows to train again at fresh seeds: budget -> sparsity -> windows."""

    size: str
    seeds: tuple[int, ...]
    windows: dict[str, dict[float, tuple[Window, ...]]]

    def __post_init__(self) -> None:
        for cells in self.windows.values():
            check_sparsity("windows", tuple(cells))

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for budget, cells in self.windows.items():
            for sparsity, windows in cells.items():
                for window, seed in product(windows, self.seeds):
                    yield build.run(self.size, budget, sparsity, window, seed=seed)


@dataclass(frozen=True)
class Seeds:
    """Configurations at several seeds, and whole pairs at the seeds that `pairs` names."""

    seeds: tuple[int, ...]
    configurations: tuple[Configuration, ...] = ()
    pairs: Pairs | None = None
    confirm: Confirm | None = None

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for point, seed in product(self.configurations, self.seeds):
            yield build.run(point.size, point.budget, point.sparsity, point.window, seed=seed)
        if self.pairs:
            yield from self.pairs.runs(build)
        if self.confirm:
            yield from self.confirm.runs(build)


@dataclass(frozen=True)
class Controls(_Study):
    """One thing changed at a time, beside the unchanged run at each sparsity that occurs."""

    size: str
    budget: str
    sparsities: tuple[float, ...]
    variants: tuple[Variant, ...]

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        asked = [
            (self.sparsities if variant.sparsities is None else variant.sparsities, variant)
            for variant in self.variants
        ]
        for sparsity in dict.fromkeys(chain(self.sparsities, *(sparsities for sparsities, _ in asked))):
            yield build.run(self.size, self.budget, sparsity)
        for sparsities, variant in asked:
            for sparsity in sparsities:
                yield build.run(self.size, self.budget, sparsity, change=variant)


@dataclass(frozen=True)
class LearningRates:
    """Dense runs of sizes, and of the partners of `pairs` and of `points`, at multiples of their learning rate.

    partner_budget: what the partners are trained for, in tokens per prunable parameter of their own; null is as long
    as their sparse runs.
    """

    multiples: tuple[float, ...]
    sizes: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    pairs: Pairs | None = None
    points: tuple[Configuration, ...] = ()
    partner_budget: str | None = None

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for size, budget, multiple in product(self.sizes, self.budgets, self.multiples):
            yield build.run(size, budget, change=Change(lr=build.optimizer(size).lr * multiple))
        for (sparse, match), multiple in product(self._paired(build), self.multiples):
            yield build.partner(sparse, match, lr_multiple=multiple, budget=self.partner_budget)

    def _paired(self, build: Builder) -> Iterator[tuple[RunSpec, Match]]:
        """Sparse runs, each with a count in which a partner matches it."""
        if self.pairs:
            yield from product(self.pairs.sparse(build), self.pairs.match)
        for point in self.points:
            yield build.run(point.size, point.budget, point.sparsity, point.window), "prunable"


@dataclass(frozen=True)
class Studies:
    """The studies block of a sweep file, each study at most once."""

    schedules: Schedules | None = None
    law: Law | None = None
    pairs: Pairs | None = None
    robustness: Robustness | None = None
    iso_average: IsoAverage | None = None
    dense: Dense | None = None
    seeds: Seeds | None = None
    controls: Controls | None = None
    lr: LearningRates | None = None


@dataclass(frozen=True, kw_only=True)
class SingleRun(Change):
    """One run beside the studies. id: its run id, null for the readable one. studies: those it serves."""

    size: str
    budget: str
    sparsity: float = 0.0
    window: Window | None = None
    seed: int = 0
    id: str | None = None
    studies: tuple[StudyName, ...] = ("runs",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sparsity("sparsity", self.sparsity)

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        spec = build.run(self.size, self.budget, self.sparsity, self.window, seed=self.seed, change=self)
        yield spec if self.id is None else replace(spec, run_id=check_name(self.id, key="id"))

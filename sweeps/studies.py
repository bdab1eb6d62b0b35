"""The studies of a sweep: the keys that each declares in YAML and the runs that it asks for. No torch.

A study is a strict dataclass whose fields are the keys in the sweep file, with one method, `runs`, that yields its
runs. Two studies may ask for the same run; it is trained once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, product
from typing import Annotated

from repro import strict
from repro.errors import UserError
from repro.spec import RunSpec
from sweeps.growth_study import GrowthStudy
from sweeps.mirror_study import Mirror
from sweeps.paper_studies import LawStudy, Pairs, Robustness, Schedules
from sweeps.points import (
    Budget,
    Cells,
    Points,
    Ratio,
    SeedList,
    Size,
    Sizes,
    Sparsities,
    Variant,
    Window,
    tokens_per_param,
)
from sweeps.pruning_studies import DenseParents, PostTraining
from sweeps.rate_studies import LearningRates, OwnRates
from sweeps.run_builder import Builder


@strict.dataclass
class IsoAverage:
    """Runs with nearly equal N_avg but different sparsity and pruning window."""

    points: Points
    seeds: SeedList = (0,)
    partners: Annotated[bool, "whether their dense partners are also trained"] = False

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for sparse in build.at(self.points, self.seeds):
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

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for size, budget in product(self.sizes, self.budgets):
            yield build.run(size, budget, tokens_per_param=tokens_per_param(self.budgets, budget, size))


@strict.dataclass
class Confirm:
    """Windows of the schedules to train again with new seeds."""

    size: Size
    seeds: SeedList
    windows: Annotated[dict[str, dict[float, tuple[Window, ...]]], "windows by budget, then by sparsity"]
    default_window: Annotated[
        bool, "whether the sweep's default window is also trained at each budget and sparsity"
    ] = False

    def __post_init__(self) -> None:
        for sparsity in chain(*self.windows.values()):
            if not 0 <= sparsity < 1:
                raise UserError("value out of range", key="windows", found=sparsity, expected="0 <= sparsity < 1")

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        default = (None,) if self.default_window else ()
        for budget, cells in self.windows.items():
            for sparsity, windows in cells.items():
                for window, seed in product((*windows, *default), self.seeds):
                    yield build.run(self.size, budget, sparsity, window, seed=seed)


@strict.dataclass
class Seeds:
    """Configurations at several seeds, and pairs and schedules at the seeds that they name."""

    seeds: SeedList
    configurations: Points = ()
    pairs: Annotated[tuple[Pairs, ...], "pairs, each group at seeds of its own"] = ()
    schedules: Schedules | None = None
    confirm: Confirm | None = None

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        yield from build.at(self.configurations, self.seeds)
        for part in (*self.pairs, self.schedules, self.confirm):
            if part:
                yield from part.runs(build)


@strict.dataclass
class Controls:
    """Settings changed one at a time, along with the unchanged run at each sparsity that occurs."""

    size: Size
    budget: Budget
    sparsities: Sparsities
    variants: Annotated[tuple[Variant, ...], "what to change, one at a time"]

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


@strict.dataclass
class Regime:
    """A map over sizes and budgets: the dense run, and sparse runs at the default window with their dense partners."""

    sparsities: Sparsities
    seeds: SeedList
    cells: Annotated[tuple[Cells, ...], "parts of the map, each with its sizes and budgets"]

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for part in self.cells:
            seeds = self.seeds if part.seeds is None else part.seeds
            for size, budget, seed in product(part.sizes, part.budgets, seeds):
                yield build.run(size, budget, seed=seed)
                for sparsity in self.sparsities:
                    sparse = build.run(size, budget, sparsity, seed=seed)
                    yield sparse
                    yield build.partner(sparse)


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
    regime: Regime | None = None
    own_rates: OwnRates | None = None
    parents: DenseParents | None = None
    post_training: PostTraining | None = None
    growth: GrowthStudy | None = None
    mirror: Mirror | None = None

"""The studies of learning rates: the search for the best ones, and runs that each take their own. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated

from repro import strict
from repro.errors import UserError
from repro.spec import RunSpec, Sparsity
from repro.strict import Above
from sweeps.paper_studies import Pairs
from sweeps.points import Budgets, Cells, Change, Match, Points, Seed, Sizes, Window
from sweeps.run_builder import Builder


@strict.dataclass
class LearningRates:
    """Search for learning rates: runs, and the dense partners of sparse runs, at multiples of their learning rates."""

    multiples: Annotated[tuple[float, ...], "multiples of each learning rate"]
    sizes: Sizes = ()
    budgets: Budgets = ()
    cells: Annotated[tuple[Cells, ...], "further sizes, each at budgets of its own"] = ()
    sparsities: Annotated[
        tuple[Sparsity, ...], "final sparsities of the runs of `sizes` and `cells`; 0 is a dense run"
    ] = (0.0,)
    windows: Annotated[tuple[Window, ...], "windows of their sparse runs; empty: the sweep's default"] = ()
    seeds: Annotated[
        tuple[Seed, ...], "seeds of the runs of `sizes` and `cells`, and of `points` without their own"
    ] = (0,)
    partners: Annotated[bool, "whether the dense partners of these sparse runs are also tried"] = False
    pairs: Annotated[Pairs | None, "further sparse runs whose dense partners are tried"] = None
    points: Annotated[Points, "further sparse runs whose dense partners are tried"] = ()
    partner_budget: Annotated[
        str | None,
        "budget of the partners, in tokens per weight of their own; null: as many steps as their sparse runs",
    ] = None

    def __post_init__(self) -> None:
        for key, given in (("windows", self.windows), ("partners", self.partners)):
            if given and not any(self.sparsities):
                found = f"sparsities {', '.join(f'{sparsity:g}' for sparsity in self.sparsities)}"
                raise UserError("a key that needs a sparse run", key=key, found=found, expected="a sparsity above 0")

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for size, budget, sparsity, window, seed in self._points():
            usual = build.run(size, budget, sparsity, window, seed=seed).optimizer.lr
            for multiple in self.multiples:
                yield build.run(size, budget, sparsity, window, seed=seed, change=Change(lr=usual * multiple))
        for sparse, match in self._paired(build):
            for multiple in self.multiples:
                yield build.partner(sparse, match, lr_multiple=multiple, budget=self.partner_budget)

    def _points(self) -> Iterator[tuple[str, str, float, Window | None, int]]:
        """Size, budget, sparsity, window and seed of the runs of `sizes` and `cells`."""
        windows: tuple[Window | None, ...] = self.windows or (None,)
        for part in (Cells(self.sizes, self.budgets), *self.cells):
            for size, budget, sparsity in product(part.sizes, part.budgets, self.sparsities):
                for window, seed in product(windows if sparsity else (None,), part.seeds or self.seeds):
                    yield size, budget, sparsity, window, seed

    def _paired(self, build: Builder) -> Iterator[tuple[RunSpec, Match]]:
        """Sparse runs, each with the count in which a partner matches it."""
        for size, budget, sparsity, window, seed in self._points():
            if self.partners and sparsity:
                yield build.run(size, budget, sparsity, window, seed=seed), "prunable"
        if self.pairs:
            yield from product(self.pairs.sparse(build), self.pairs.match)
        for sparse in build.at(self.points, self.seeds):
            yield sparse, "prunable"


@strict.dataclass
class OwnRates:
    """The sparse runs of `law`, `pairs` and `seeds.pairs`, again at learning rates of their own, all else equal.

    At a multiple of 1 this is the same run, and it is trained once.
    """

    multiples: Annotated[
        dict[float, Annotated[float, Above(0)]], "multiples of the size's learning rate, by final sparsity"
    ]

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        unused = dict(self.multiples)
        for run in build.sparse_runs():
            sparsity = run.pruning.sparsity
            if sparsity not in self.multiples:
                known = ", ".join(f"{one:g}" for one in self.multiples) or "none"
                what = f"no multiple for {run.run_id}"
                raise UserError(what, key="multiples", found=known, expected=f"{sparsity:g}, too")
            unused.pop(sparsity, None)
            change = Change(lr=run.optimizer.lr * self.multiples[sparsity])
            yield build.run(run.size, run.budget, sparsity, seed=run.seed, change=change)
        for sparsity in unused:
            found = f"{sparsity:g}"
            expected = "a final sparsity of `law`, `pairs` or `seeds.pairs`"
            raise UserError("no run has this sparsity", key=f"multiples.{sparsity:g}", found=found, expected=expected)

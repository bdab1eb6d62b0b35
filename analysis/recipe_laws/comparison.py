"""Compares the recipes of one table: fractions of compute, crossings and ranking."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from analysis.fits.group_answers import labels
from analysis.recipe_laws import fractions, ranking, recipe_curves
from analysis.recipe_laws.fractions import AgainstReference, Crossing, Estimate
from analysis.recipe_laws.ranking import BudgetRanking
from analysis.recipe_laws.recipe_curves import RecipeCurves, RecipeMeans
from analysis.tables.budgets import Budgets, shown
from analysis.tables.cell_table import listed
from analysis.tables.table import Table
from repro.errors import UserError

LINES = 10  # of budgets, in a terminal
FEW = 4  # recipes that are shown with so many; of more, each with its largest budget and the extrapolation
T = TypeVar("T")


@dataclass(frozen=True)
class RecipeComparison:
    """Recipes beside a reference, and the rankings of small budgets.

    Attributes:
        by: the column that tells recipes apart.
        target: the budget whose ranking the others are judged by; None where no two recipes share one.
    """

    source: str
    by: str
    reference: str
    curves: RecipeCurves
    against: tuple[AgainstReference, ...]
    target: dict[str, float] | None
    rankings: tuple[BudgetRanking, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        noise = self.curves.noise
        return {
            "source": self.source,
            "by": self.by,
            "law": self.curves.law.formula,
            "reference": self.reference,
            "noise": None
            if noise is None
            else {"sd": noise.sd.tolist(), "dof": [spread.dof for spread in noise.spreads], "source": noise.source},
            "no_noise": self.curves.reason,
            "scatter": self.curves.scatter,
            "recipes": [
                {
                    "name": curve.name,
                    "runs": int(curve.means.runs.sum()),
                    "budgets": len(curve.means.budgets),
                    "parameters": curve.fit.parameters,
                    "bounds_hit": curve.fit.bounds_hit,
                }
                for curve in self.curves.curves
            ],
            "against_reference": [dataclasses.asdict(own) for own in self.against],
            "target": self.target,
            "rankings": [dataclasses.asdict(own) for own in self.rankings],
            "warnings": list(self.warnings),
        }

    def lines(self) -> Iterator[str]:
        names = self.curves.curves
        runs = sum(int(curve.means.runs.sum()) for curve in names)
        yield f"{len(names)} recipes by {self.by}, {runs} runs of {self.source}; each recipe's law L = {self.curves.law.formula}"
        if (noise := self.curves.noise) is None:
            yield f"no intervals: {self.curves.reason}"
        else:
            widened = self.curves.scatter
            yield f"a run's sd is {noise.sd.min():.3g} to {noise.sd.max():.3g} nats ({noise.source})" + (
                f"; means lie {widened:.3g} times as far from the laws as that explains" if widened is not None else ""
            )
        for own in self.against:
            yield from _beside(own, self.reference, full=len(self.against) <= FEW)
        if self.target is None:
            yield "no ranking: no two recipes share a budget"
            return
        yield f"pairs of recipes ranked as at {shown(self.target)}:"
        for rank in _some(self.rankings):
            yield (
                f"  {shown(rank.at)} ({rank.share:.3g} of its compute): {rank.accuracy.value:.0%}{_ends(rank.accuracy, '.0%')} of "
                f"{rank.pairs}; {rank.kept} shown to keep their order, {rank.switched} to switch it"
            )
        if self.rankings and (repeat := self.rankings[-1].repeat).value is not None:
            yield f"a second run of the largest would rank {repeat.value:.0%}{_ends(repeat, '.0%')} of them alike, by noise alone"


def compare(
    rows: Table,
    by: str,
    *,
    reference: str | None,
    times: Sequence[float],
    sigma: float | None,
    resamples: int,
    seed: int = 0,
) -> RecipeComparison:
    """Compares the recipes of a table.

    Args:
        rows: with N and D, or C. by: the column that tells recipes apart.
        reference: whose loss the others are to reach; None takes the highest loss at the largest shared budget.
        times: multiples of its largest budget to extrapolate to.
        sigma: a run's standard deviation in nats, where it is known.

    Raises:
        UserError: no such column, a row of no recipe, no such reference, fewer than two recipes, or too few budgets of one.
    """
    budgets, rng = Budgets.of(rows.columns), np.random.default_rng(seed)
    recipes = recipe_curves.means(labels(rows, by), budgets, rows.loss)
    if reference is not None and reference not in {own.name for own in recipes}:
        raise UserError(
            "no such recipe", file=rows.source, key="--reference", found=reference,
            expected=listed([own.name for own in recipes], like=reference),
        )  # fmt: skip
    found = recipe_curves.fitted(recipes, budgets, sigma=sigma, resamples=resamples, rng=rng, source=rows.source, by=by)
    target = ranking.largest(recipes)
    chosen = reference or _highest(recipes, target)
    warnings = [*rows.warnings, *rows.checkpoints()]
    warnings += [f"{curve.name}: {text}" for curve in found.curves for text in curve.fit.doubts]
    if target is not None and (lacking := [own.name for own in recipes if target not in own.budgets]):
        warnings.append(f"no runs at the budget that ranks recipes, and so in no pair: {', '.join(lacking)}")
    return RecipeComparison(
        rows.source, by, chosen, found, tuple(fractions.against(found, chosen, times)),
        None if target is None else budgets.at(target), tuple(ranking.rankings(found, rng)), tuple(warnings),
    )  # fmt: skip


def _highest(recipes: Sequence[RecipeMeans], target: int | None) -> str:
    """The recipe of highest loss at a budget; the first where there is none."""
    there = [own for own in recipes if target in own.budgets]
    return max(there, key=lambda own: own.loss[own.budgets == target][0]).name if there else recipes[0].name


def _some(all_of: tuple[T, ...]) -> tuple[T, ...]:
    """As many as are read in a terminal, the first and last among them; --json has all."""
    places = np.unique(np.linspace(0, len(all_of) - 1, min(LINES, len(all_of))).round().astype(int))
    return tuple(all_of[i] for i in places)


def _beside(own: AgainstReference, reference: str, *, full: bool) -> Iterator[str]:
    yield f"{own.name} reaches the loss of {reference} at {_said(own.overall)} of its compute (mean over budgets): {own.order}"
    for part in _some(own.fractions) if full else own.fractions[-2:]:
        never = f", never in {part.never:.1%} of the draws" if part.never else ""
        yield (
            f"  {shown(part.at)} (loss {part.loss:.4f}): {_said(part.fraction)}{never}{f'   {part.extrapolated}' if part.extrapolated else ''}"
        )
    yield f"  largest budget over smallest: {_said(own.change)} times the fraction"
    if own.crossing is not None:
        yield f"  the laws cross at C {_said(own.crossing)}{f', {own.crossing_beyond}' if own.crossing_beyond else ''}"


def _said(estimate: Estimate | Crossing) -> str:
    return ("never" if estimate.value is None else f"{estimate.value:.3g}") + _ends(estimate, ".3g")


def _ends(estimate: Estimate | Crossing, form: str) -> str:
    if estimate.low is None and estimate.high is None:
        return " (no interval)"
    low, high = ("…" if end is None else format(end, form) for end in (estimate.low, estimate.high))
    return f" [{low}, {high}]"

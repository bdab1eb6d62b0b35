"""All that is said of the recipes of one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.fits import limits
from analysis.recipes import fractions, ranking, recipe_curves, recipe_means
from analysis.recipes.fractions import AgainstReference
from analysis.recipes.ranking import BudgetRanking
from analysis.recipes.recipe_curves import RecipeCurves
from analysis.recipes.recipe_means import RecipeMeans
from analysis.tables.budgets import Budgets
from analysis.tables.cell_table import listed
from analysis.tables.table import Table
from repro.errors import UserError


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


def compare(
    rows: Table,
    names: Sequence[Any],
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
        rows: with N and D, or C. names: of the recipe of each row.
        reference: whose loss the others are to reach; None takes the highest loss at the largest shared budget.
        times: multiples of its largest budget to extrapolate to.
        sigma: a run's standard deviation in nats, where it is known.

    Raises:
        UserError: no such reference, fewer than two recipes, or too few budgets of one.
    """
    labels = np.array([str(name) for name in names], dtype=object)
    budgets, rng = Budgets.of(rows.columns), np.random.default_rng(seed)
    recipes = recipe_means.means(labels, budgets, rows.loss)
    if reference is not None and reference not in {own.name for own in recipes}:
        raise UserError(
            "no such recipe", file=rows.source, key="--reference", found=reference,
            expected=listed([own.name for own in recipes], like=reference),
        )  # fmt: skip
    found = recipe_curves.fitted(recipes, budgets, sigma=sigma, resamples=resamples, rng=rng, source=rows.source, by=by)
    target = ranking.largest(recipes)
    chosen = reference or _highest(recipes, target)
    warnings = [*rows.warnings, *rows.checkpoints()]
    warnings += [f"{curve.name}: {text}" for curve in found.curves for text in limits.of_fit(curve.fit)]
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

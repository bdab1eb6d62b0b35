"""Decision accuracy: how often a budget ranks pairs of recipes as the largest budget does (Magnusson et al. 2025, arXiv 2504.11393).

Which of two recipes is better at a budget is shown only where their means differ by more than the noise, at both budgets
and for all pairs at once (Bonferroni). The interval runs from the share of pairs that are shown to keep their order to that
of those not shown to switch it. `repeat` is what noise alone leaves: how often the largest budget, run again, would agree
with itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.fits.outcome import LEVEL
from analysis.laws.law import Array
from analysis.noise.budget_noise import BudgetNoise
from analysis.recipe_laws.fractions import Estimate
from analysis.recipe_laws.recipe_curves import RecipeCurves, RecipeMeans

REPEATS = 2000


@dataclass(frozen=True)
class BudgetRanking:
    """How one budget ranks the recipes that it shares with the largest.

    Attributes:
        at: the budget. share: its compute over the largest one's.
        recipes, pairs: how many.
        accuracy: share of the pairs that it orders as the largest budget does.
        kept, switched: pairs shown to have one order at both, and to have two.
        repeat: accuracy of a second run of the largest budget, by noise alone.
    """

    at: dict[str, float]
    share: float
    recipes: int
    pairs: int
    accuracy: Estimate
    kept: int
    switched: int
    repeat: Estimate


def largest(recipes: tuple[RecipeMeans, ...]) -> int | None:
    """The largest budget at which several recipes have runs; None where each has its own."""
    budgets = [budget for own in recipes for budget in own.budgets]
    return max((int(b) for b in budgets if budgets.count(b) > 1), default=None)


def rankings(found: RecipeCurves, rng: np.random.Generator) -> Iterator[BudgetRanking]:
    """Of every budget below the largest shared one that shares several recipes with it."""
    recipes = tuple(curve.means for curve in found.curves)
    target = largest(recipes)
    if target is None:
        return
    for budget in range(target):
        both = [own for own in recipes if {budget, target} <= set(own.budgets.tolist())]
        if len(both) > 1:
            yield _ranking(found, both, budget, target, rng)


def _ranking(
    found: RecipeCurves, recipes: list[RecipeMeans], budget: int, target: int, rng: np.random.Generator
) -> BudgetRanking:
    pairs = np.array(list(itertools.combinations(range(len(recipes)), 2)))
    (small, few), (large, many) = (_at(recipes, place) for place in (budget, target))
    agree = np.sign(_apart(small, pairs)) == np.sign(_apart(large, pairs))
    kept = switched = 0
    accuracy, repeat = Estimate(float(agree.mean()), None, None), Estimate(None, None, None)
    if found.noise is not None:
        shown = _shown(found.noise, budget, small, few, pairs) & _shown(found.noise, target, large, many, pairs)
        kept, switched = int((shown & agree).sum()), int((shown & ~agree).sum())
        accuracy = Estimate(float(agree.mean()), kept / len(pairs), 1 - switched / len(pairs))
        repeat = _repeat(found.noise, target, large, many, pairs, rng)
    flops = found.budgets.columns["C"]
    return BudgetRanking(
        found.budgets.at(budget), float(flops[budget] / flops[target]), len(recipes), len(pairs), accuracy, kept, switched, repeat
    )  # fmt: skip


def _at(recipes: list[RecipeMeans], budget: int) -> tuple[Array, Array]:
    """Means and runs of recipes at one budget, (M,) each."""
    places = [int(np.flatnonzero(own.budgets == budget)[0]) for own in recipes]
    loss, runs = (
        np.array([getattr(own, name)[i] for own, i in zip(recipes, places, strict=True)]) for name in ("loss", "runs")
    )
    return loss, runs


def _apart(means: Array, pairs: np.ndarray) -> Array:
    """Differences (..., pairs) of means (..., M)."""
    return np.asarray(means[..., pairs[:, 0]] - means[..., pairs[:, 1]])


def _shown(noise: BudgetNoise, budget: int, means: Array, runs: Array, pairs: np.ndarray) -> np.ndarray:
    """Which pairs differ by more than noise, at half of the error that both budgets have together."""
    spread = noise.spreads[budget]
    error = spread.sd * np.sqrt(1 / runs[pairs[:, 0]] + 1 / runs[pairs[:, 1]])
    return np.abs(_apart(means, pairs)) > spread.quantile((1 - LEVEL) / 4 / len(pairs)) * error


def _repeat(
    noise: BudgetNoise, budget: int, means: Array, runs: Array, pairs: np.ndarray, rng: np.random.Generator
) -> Estimate:
    """How often means agree with those of another set of seeds, which differ from them by the noise of both."""
    drawn = means + noise.spreads[budget].draws((REPEATS, len(means)), rng) * np.sqrt(2 / runs)
    agree = (np.sign(_apart(drawn, pairs)) == np.sign(_apart(means, pairs))).mean(axis=1)
    low, high = np.quantile(agree, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(agree.mean()), float(low), float(high))

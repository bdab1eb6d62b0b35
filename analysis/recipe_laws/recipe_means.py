"""The mean loss of each recipe at each budget, and the noise of the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.laws.law import Array
from analysis.noise.budget_noise import BudgetNoise, measured
from analysis.tables.budgets import Budgets


@dataclass(frozen=True)
class RecipeMeans:
    """One recipe's mean losses.

    Attributes:
        name: the cell of the column that tells recipes apart.
        budgets: where it has runs, (K,), rising. loss: means, nats. runs: behind each.
        squares: sums of squared deviations from them.
    """

    name: str
    budgets: np.ndarray
    loss: Array
    runs: Array
    squares: Array


def means(labels: np.ndarray, budgets: Budgets, loss: Array) -> tuple[RecipeMeans, ...]:
    """Of each recipe, in the order of their names; labels and losses are (n,)."""
    found = []
    for name in sorted(set(labels)):
        own = labels == name
        at, member = np.unique(budgets.member[own], return_inverse=True)
        runs = np.bincount(member).astype(float)
        mean = np.bincount(member, weights=loss[own]) / runs
        squares = np.bincount(member, weights=(loss[own] - mean[member]) ** 2).astype(float)
        found.append(RecipeMeans(str(name), at, mean, runs, squares))
    return tuple(found)


def seed_noise(recipes: Sequence[RecipeMeans], count: int) -> BudgetNoise | str:
    """The noise of the seeds at each of `count` budgets, or why it isn't known."""
    squares, dof, groups = np.zeros(count), np.zeros(count, dtype=int), np.zeros(count, dtype=int)
    for own in recipes:
        squares[own.budgets] += own.squares
        dof[own.budgets] += (own.runs - 1).astype(int)
        groups[own.budgets] += own.runs > 1
    return measured(squares, dof, groups, max(float(own.loss.max()) for own in recipes), "seeds")

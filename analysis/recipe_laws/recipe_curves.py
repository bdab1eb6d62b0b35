"""Each recipe's mean loss at each budget, and its law of the loss with draws of its parameters.

The law is fitted to means over seeds, each weighing by its noise. Where the means of all recipes lie off their laws together
at a budget, the law is at fault, and draws add that to all of them alike. Beside it they add the noise of the seeds, widened
where a recipe's means lie farther off than the seeds explain (the Birge ratio, over all recipes). Without several seeds the
noise is what the recipes' distances from their laws don't have in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fits.fit import FitResult, fit, obstacle, refit
from analysis.fits.objective import Objective
from analysis.laws.law import Array, Columns, Law, Parameter, Term, TermLaw, Values, constant, power
from analysis.laws.registry import CHINCHILLA
from analysis.noise import budget_noise
from analysis.noise.budget_noise import BudgetNoise
from analysis.noise.spread import LEAST_DOF, known_spread
from analysis.tables.budgets import Budgets
from repro.errors import UserError


class ComputeLaw(TermLaw):
    """E + A / C^gamma, with C the training FLOP of runs whose size and tokens grow together."""

    name = "compute"
    formula = "E + A/C^γ"
    source = "Kaplan et al. 2020, arXiv 2001.08361, with an irreducible loss"
    columns = ("C",)
    parameters = (
        Parameter("E", "nats/token", 0.0, np.inf),
        Parameter("A", "nats/token * FLOP^gamma", 1e-9, 1e40, log=True),
        Parameter("gamma", "", 0.005, 1.5, starts=(0.03, 0.06, 0.1, 0.17, 0.3, 0.5)),
    )

    def terms(self, p: Values, x: Columns) -> list[Term]:
        return [constant(p), power(p, "A", "gamma", np.log(x["C"]))]


COMPUTE = ComputeLaw()


LEAST_SQUARES = Objective("wls")


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


@dataclass(frozen=True)
class RecipeCurve:
    """One recipe's fitted law. `theta`: draws of its parameters, (R, P); None where no noise is known."""

    means: RecipeMeans
    fit: FitResult
    theta: Array | None

    @property
    def name(self) -> str:
        return self.means.name


@dataclass(frozen=True)
class RecipeCurves:
    """All recipes of a table.

    Attributes:
        law: of every recipe, each with its own parameters.
        noise: of one run at each budget; None with `reason`.
        scatter: distance of the means from the laws over what the noise explains; None where the noise is that distance.
    """

    budgets: Budgets
    law: Law
    curves: tuple[RecipeCurve, ...]
    noise: BudgetNoise | None
    reason: str | None
    scatter: float | None

    def __getitem__(self, name: str) -> RecipeCurve:
        return next(curve for curve in self.curves if curve.name == name)


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


def _seed_noise(recipes: Sequence[RecipeMeans], count: int) -> BudgetNoise | str:
    """The noise of the seeds at each of `count` budgets, or why it isn't known."""
    squares, dof, groups = np.zeros(count), np.zeros(count, dtype=int), np.zeros(count, dtype=int)
    for own in recipes:
        squares[own.budgets] += own.squares
        dof[own.budgets] += (own.runs - 1).astype(int)
        groups[own.budgets] += own.runs > 1
    return budget_noise.measured(squares, dof, groups, max(float(own.loss.max()) for own in recipes), "seeds")


def fitted(
    recipes: Sequence[RecipeMeans],
    budgets: Budgets,
    *,
    sigma: float | None,
    resamples: int,
    rng: np.random.Generator,
    source: str,
    by: str,
) -> RecipeCurves:
    """Fits the law to every recipe.

    Args:
        sigma: a run's standard deviation in nats, where it is known.
        source, by: file and column, for messages.

    Raises:
        UserError: fewer than two recipes, or one with too few budgets for the law.
    """
    if len(recipes) < 2:
        raise UserError(
            "nothing to compare", file=source, key=f"--by {by}", found=f"one recipe, {recipes[0].name}", expected="two or more"
        )  # fmt: skip
    law = COMPUTE if budgets.ladder else CHINCHILLA  # of size and tokens where they vary apart
    for own in recipes:
        if reason := obstacle(law, _columns(law, budgets, own), own.loss):
            raise UserError(
                "too few budgets of a recipe", file=source, key=f"--by {by}",
                found=f"{own.name}: {reason.replace(' runs ', ' budgets ')}",
                expected=f"at least {len(law.parameters) + 1} budgets for {law.formula}, or --exclude '{by}={own.name}'",
            )  # fmt: skip
    seeds = budget_noise.given(sigma, len(budgets)) if sigma else _seed_noise(recipes, len(budgets))
    sd = np.ones(len(budgets)) if isinstance(seeds, str) else seeds.sd
    fits = [
        fit(law, _columns(law, budgets, own), own.loss, LEAST_SQUARES, weights=_weights(own, sd)) for own in recipes
    ]
    off = _apart(law, budgets, recipes, fits, sd)
    if isinstance(seeds, BudgetNoise):
        noise, drawn, scatter = seeds, seeds.widened(off.scatter), off.scatter
    else:
        spread = known_spread(off.squares, int(off.dof), len(recipes), max(float(own.loss.max()) for own in recipes))
        if isinstance(spread, str):
            reason = f"{seeds}, and the means' distance from the laws measures none either: {spread}"
            curves = tuple(RecipeCurve(own, at, None) for own, at in zip(recipes, fits, strict=True))
            return RecipeCurves(budgets, law, curves, None, reason, None)
        noise = drawn = BudgetNoise((spread,) * len(budgets), "distance from the laws")
        scatter = None
    # Its standard deviation is known no better than its degrees of freedom tell.
    known = np.sqrt(off.common_dof / rng.chisquare(off.common_dof, size=(resamples, 1))) if off.common else 0.0
    together = off.common * known * rng.standard_normal((resamples, len(budgets)))
    curves = tuple(
        RecipeCurve(own, at, _draws(budgets, own, at, drawn, together[:, own.budgets], rng))
        for own, at in zip(recipes, fits, strict=True)
    )
    return RecipeCurves(budgets, law, curves, noise, None, scatter)


@dataclass(frozen=True)
class _Distances:
    """How far means lie from the laws.

    Attributes:
        squares: of what recipes don't have in common, over its variance. dof: of these.
        common: standard deviation of what they have in common, nats. common_dof: degrees of freedom behind it.
    """

    squares: float
    dof: float
    common: float
    common_dof: float

    @property
    def scatter(self) -> float:
        return float(np.sqrt(self.squares / self.dof))


def _apart(
    law: Law, budgets: Budgets, recipes: Sequence[RecipeMeans], fits: Sequence[FitResult], sd: Array
) -> _Distances:
    off, variance = np.zeros((2, len(recipes), len(budgets)))
    there = np.zeros(off.shape, dtype=bool)
    for i, (own, at) in enumerate(zip(recipes, fits, strict=True)):
        there[i, own.budgets] = True
        off[i, own.budgets] = law.predict(at.theta, _columns(law, budgets, own)) - own.loss
        variance[i, own.budgets] = sd[own.budgets] ** 2 / own.runs
    count, dof = there.sum(axis=0), float(there.sum() - len(recipes) * len(law.parameters))
    mean = off.sum(axis=0) / np.maximum(count, 1)
    # Of equal designs the means over recipes have as many degrees of freedom as one recipe.
    own_dof = dof * float((count - 1)[count > 0].sum()) / float(count.sum())
    if own_dof < LEAST_DOF:
        return _Distances(float(np.sum(off[there] ** 2 / variance[there])), dof, 0.0, 0.0)
    apart = np.where(there, off - mean, 0.0)
    squares = float(np.sum(apart[there] ** 2 / variance[there]))
    alone = squares / own_dof * float(variance[there].mean())  # variance of one recipe's mean
    common = float(np.sum(mean**2)) / (dof - own_dof) - alone / float(count[count > 0].mean())
    return _Distances(squares, own_dof, math.sqrt(max(0.0, common)), dof - own_dof)


def _columns(law: Law, budgets: Budgets, own: RecipeMeans) -> Columns:
    return {name: budgets.columns[name][own.budgets] for name in law.columns}


def _weights(own: RecipeMeans, sd: Array) -> Array:
    """Inverse variances of the means, 1 on average."""
    weights = own.runs / sd[own.budgets] ** 2
    return np.asarray(weights / weights.mean())


def _draws(
    budgets: Budgets, own: RecipeMeans, at: FitResult, noise: BudgetNoise, together: Array, rng: np.random.Generator
) -> Array:
    """Parameters (R, P) of the law on its own losses with noise; `together` (R, K) is that of all recipes."""
    law, columns = at.law, _columns(at.law, budgets, own)
    sd = noise.draws(len(together), rng)[:, own.budgets] / np.sqrt(own.runs)
    centre = law.predict(at.theta, columns)
    losses = centre * np.exp((sd * rng.standard_normal(sd.shape) + together) / centre)
    return refit(law, columns, losses, at, weights=np.broadcast_to(_weights(own, noise.sd), sd.shape))

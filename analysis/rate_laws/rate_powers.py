"""How the best learning rate and batch depend on size and tokens: log lr* = a + p log N + t log D across cells, and so the batch.

Cells weigh by the inverse variance of their bottoms, drawn halfway to the middle one, where these have draws. The noise of the seeds
differs too much over sizes to be pooled, so that intervals are Student's t by the bottoms' scatter around the law; where few
cells leave too little of that freedom, they hold the variance of the draws. Cells whose best lies at an edge stay out and are
named. On a ladder, where D/N is one ratio, the law is one of compute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.fits.outcome import LEVEL, Interval
from analysis.laws.law import Array
from analysis.rate_laws.learning_rates import finite
from analysis.rate_laws.rate_surface import Optimum, RateSurfaces
from analysis.rate_laws.size_law import VARIED
from analysis.tables.budgets import beyond, shown

LEAST_FREE = 3  # degrees of freedom from which on the scatter alone says how far the law is known


@dataclass(frozen=True)
class RatePower:
    """The power law of one axis.

    Attributes:
        axis: lr or batch. terms: the columns it goes with, those of N, D or C that vary.
        values: the logarithm of c, then an exponent a term; empty with `reason`. covariance: theirs.
        quantile: half of an interval over its standard error.
        scatter: distance of the bottoms from the law over what their draws explain, or its standard deviation in logarithms
            where they have none; None without a degree of freedom.
        used: cells. left_out: those whose best isn't known, named. held: columns (K,) of those used.
        beside: cells used in which the other axis lies at an edge, named: theirs is the best there.
    """

    axis: str
    terms: tuple[str, ...]
    values: Array
    covariance: Array | None
    quantile: float
    scatter: float | None
    used: int
    left_out: tuple[str, ...]
    beside: tuple[str, ...]
    held: Mapping[str, Array]
    reason: str | None = None

    @property
    def formula(self) -> str:
        return f"{self.axis}* = c · " + " · ".join(
            f"{name}^{power}" for name, power in zip(self.terms, "ab", strict=False)
        )

    def exponents(self) -> dict[str, tuple[float, Interval | None]]:
        """Each exponent and its 95% interval, by term."""
        return {
            name: (float(self.values[i + 1]), self._interval(np.eye(len(self.values))[i + 1]))
            for i, name in enumerate(self.terms)
        }

    def at(self, point: Mapping[str, float]) -> tuple[float, Interval | None, str | None]:
        """The best value at a budget, its 95% interval, and what is extrapolated.

        Args:
            point: C, and N and D where the law is of these.
        """
        along = np.array([1.0, *(math.log(point[name]) for name in self.terms)])
        ends = self._interval(along)
        far = [beyond(point["C"], self.held["C"])]
        far += [beyond(point[name], self.held[name], name) for name in self.terms if name != "C"]
        return (
            math.exp(float(along @ self.values)),
            None if ends is None else (math.exp(ends[0]), math.exp(ends[1])),
            "; ".join(filter(None, far)) or None,
        )

    def _interval(self, along: Array) -> Interval | None:
        if self.covariance is None:
            return None
        value, half = float(along @ self.values), self.quantile * math.sqrt(float(along @ self.covariance @ along))
        return value - half, value + half


def law(found: RateSurfaces, axis: str) -> RatePower:
    """The power law of an axis through the cells in which its best is known."""
    budgets = found.budgets
    there = [(cell.budget, cell.optimum[axis]) for cell in found.cells if axis in cell.optimum]
    used = [(budget, best) for budget, best in there if best.known]
    out = tuple(shown(budgets.at(budget)) for budget, best in there if not best.known)
    at_edge = {cell.budget for cell in found.cells if any(own.edge for own in cell.optimum.values())}
    beside = tuple(shown(budgets.at(budget)) for budget, _ in used if budget in at_edge)
    held = {name: values[[budget for budget, _ in used]] for name, values in budgets.columns.items()}

    def none(reason: str) -> RatePower:
        return RatePower(axis, (), np.zeros(0), None, 0.0, None, 0, out, beside, held, reason)

    if not there:
        return none(f"no budget has a quadratic in {axis}")
    if len(used) < 2:
        return none(f"the best {axis} is known of {len(used)} budgets, a law needs two")
    terms = tuple(name for name in budgets.told_by if np.ptp(np.log(held[name])) > VARIED)
    if not terms:
        return none(f"no two budgets whose best {axis} is known differ in size, tokens or compute")
    design = np.column_stack([np.ones(len(used)), *(np.log(held[name]) for name in terms)])
    if (
        len(used) < design.shape[1]
        or np.linalg.matrix_rank(design - design.mean(axis=0) * [0, *[1] * len(terms)]) < design.shape[1]
    ):
        return none(
            f"the {len(used)} budgets whose best {axis} is known don't separate the effects of {' and '.join(terms)}"
        )
    solved = _solved(design, [own for _, own in used])
    return RatePower(axis, terms, *solved, len(used), out, beside, held)


def _solved(design: Array, best: list[Optimum]) -> tuple[Array, Array | None, float, float | None]:
    """Values, their covariance, the quantile of their intervals, and the scatter; see RatePower."""
    logs = np.log([own.value for own in best])
    drawn = [own.draws for own in best if own.draws is not None]
    noisy = len(drawn) == len(best)
    error = np.array([finite(own).std() for own in drawn]) if noisy else np.ones(len(best))
    # Each is known from few runs: halfway to the middle one, no cell decides because its noise seemed small.
    error = np.sqrt((error**2 + np.median(error**2)) / 2)
    scaled = design / error[:, None]
    values = np.asarray(np.linalg.lstsq(scaled, logs / error)[0], dtype=np.float64)
    covariance = np.asarray(np.linalg.pinv(scaled.T @ scaled), dtype=np.float64)
    dof = len(best) - design.shape[1]
    scatter = float(np.sqrt(np.sum(((logs - design @ values) / error) ** 2) / dof)) if dof else None
    known: Array | None = covariance
    quantile = float(stats.norm.ppf((1 + LEVEL) / 2))
    if scatter is None and not noisy:
        known = None
    elif scatter is not None and (not noisy or dof >= LEAST_FREE or scatter > 1):
        known, quantile = covariance * scatter**2, float(stats.t.ppf((1 + LEVEL) / 2, dof))
    return values, known, quantile, scatter

"""The solver: the global minimum of a law's objective, from a grid of starts, to first-order optimality.

`problem` minimises from a batch of starts; this module takes the best result and reports its status.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.fits.objective import Objective
from analysis.fits.problem import EXACT, Problem
from analysis.laws.law import Array, Columns, Law
from repro.errors import UserError

Status = Literal["converged", "max_iter", "bound_hit"]

AGREEMENT = 1e-6  # relative excess over the best objective up to which another start agrees
WORDS = {2: "two", 3: "three"}
BATCH = 500  # resamples that descend together: what fits a cache


@dataclass(frozen=True)
class FitResult:
    """A fitted law.

    Attributes:
        law: what was fitted.
        parameters: by name, in the law's units.
        objective: the sum over rows that was minimised.
        status: `bound_hit` when a parameter ended at one of its bounds, which means the data don't identify it.
        bounds_hit: names of those parameters.
        unidentified: parameters that move along a direction in which predictions don't change, or sit at a bound.
        condition: largest over smallest singular value of the scaled Jacobian at the minimum.
        starts: starts tried. starts_agreeing: those within 1e-6 relative of the best objective.
        n_rows: rows fitted.
        kind: of objective, with its threshold.
    """

    law: Law
    parameters: dict[str, float]
    objective: float
    status: Status
    bounds_hit: tuple[str, ...]
    unidentified: tuple[str, ...]
    condition: float
    starts: int
    starts_agreeing: int
    n_rows: int
    kind: Objective

    @property
    def theta(self) -> Array:
        """Parameters as a vector (P,) in the law's order."""
        return np.array(list(self.parameters.values()))

    def predict(self, columns: Columns) -> Array:
        """Loss in nats per token, (n,)."""
        return self.law.predict(self.theta, columns)

    @property
    def doubts(self) -> list[str]:
        """Warnings about any prediction of the fit."""
        found = []
        if self.bounds_hit:
            found.append(f"at a bound, not at a minimum: {', '.join(self.bounds_hit)}")
        if flat := [name for name in self.unidentified if name not in self.bounds_hit]:
            found.append(f"not identified by the rows: {', '.join(flat)}; other values fit them as well")
        if self.status == "max_iter":
            found.append(f"the fit did not end at a minimum: {self.status}")
        return found


def obstacle(law: Law, columns: Columns, loss: Array) -> str | None:
    """Why `law` can't be fitted to these rows, or None."""
    if len(loss) <= len(law.parameters):
        return f"{len(loss)} runs for {len(law.parameters)} parameters"
    if not np.all(np.isfinite(loss)) or np.any(loss <= 0):
        return "a loss that is not a positive number"
    for name in law.columns:
        values = columns[name]
        if name in law.levels:
            continue
        if not np.all(np.isfinite(values)):
            return f"{name} holds a value that is not a finite number"
        if name in law.free:
            if len(np.unique(values)) < 2:
                return f"{name} doesn't vary"
            continue
        if name == "S":
            if np.any((values < 0) | (values >= 1)):
                return "S holds a value outside [0, 1)"
            values = 1 - values
        elif np.any(values <= 0):
            return f"{name} holds a value that is not a positive number"
        least = 2 if name in law.coarse else 3
        if (found := len(np.unique(np.round(np.log(values), 3)))) < least:
            return f"{name} takes fewer than {WORDS[least]} values" if found > 1 else f"{name} doesn't vary"
    return None


def fit(
    law: Law,
    columns: Columns,
    loss: Array,
    objective: Objective = Objective(),
    *,
    weights: Array | None = None,
    start: Array | None = None,
) -> FitResult:
    """The global minimum of the objective.

    Args:
        law: what to fit.
        columns: the law's columns, each (n,).
        loss: nats per token, (n,).
        objective: what is minimised.
        weights: of the rows, (n,); all 1 when None.
        start: parameters (P,) known to lie near the minimum, instead of a grid of starts.

    Raises:
        UserError: rows that can't identify the law; the message says which column doesn't vary. Values so far from any
            a law can have that no start has a finite objective.
    """
    reason = obstacle(law, columns, loss)
    if reason:
        raise UserError(
            f"{law.name} can't be fitted",
            found=reason,
            expected="positive columns that vary, and more rows than parameters",
        )
    weight = None if weights is None else np.asarray(weights, dtype=float)[None]
    first = Objective("huber_log", 1e-3) if objective.kind == "lad" else objective
    problem = Problem(law, columns, loss[None], first, weight)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        starts = problem.starts() if start is None else start[None]
        theta, values, converged = problem.descend(starts)
    if objective.kind == "lad" and len(starts):
        problem = Problem(law, columns, loss[None], objective, weight)
        theta, values, converged = problem.least_absolute(theta)
    finite = np.isfinite(values)
    if not finite.any():
        absent = [f"{n} {label}" for n, own in law.levels.items() for i, label in enumerate(own) if i not in columns[n]]
        raise UserError(
            f"{law.name} can't be fitted",
            found=f"no row of {', '.join(absent)}" if absent else "no start at which the objective is a finite number",
            expected="rows of every label"
            if absent
            else "parameters, tokens and losses in nats, in their usual ranges",
        )
    best = int(np.argmin(np.where(finite, values, np.inf)))
    agreeing = int(np.sum(values[finite] <= values[best] * (1 + AGREEMENT) + EXACT * len(loss)))
    hit = tuple(name for name, at in zip(law.names, law.at_bound(theta[best]), strict=True) if at)
    condition, flat = problem.identified(theta[best])
    status: Status = "converged"
    if hit:
        status = "bound_hit"
    elif not converged[best]:
        status = "max_iter"
    return FitResult(
        law=law,
        parameters=dict(zip(law.names, theta[best].tolist(), strict=True)),
        objective=float(values[best]),
        status=status,
        bounds_hit=hit,
        unidentified=tuple(name for name in law.names if name in hit or name in flat),
        condition=condition,
        starts=len(values),
        starts_agreeing=agreeing,
        n_rows=len(loss),
        kind=objective,
    )


def refit(law: Law, columns: Columns, losses: Array, start: FitResult, *, weights: Array | None = None) -> Array:
    """Parameters (R, P) of `law` on R resamples, each descending from `start`.

    Args:
        losses: (R, n), or (1, n) when only the weights differ.
        weights: (R, n), how often a row was drawn.
    """
    # Absolute deviations have no Newton step; resamples take a Huber threshold under which few residuals lie.
    objective = Objective("huber_log", 1e-5) if start.kind.kind == "lad" else start.kind
    count = len(losses) if weights is None else len(weights)
    found = []
    for first in range(0, count, BATCH):
        batch = slice(first, first + BATCH)
        weight = None if weights is None else weights[batch]
        problem = Problem(law, columns, losses if len(losses) == 1 else losses[batch], objective, weight)
        theta, _, _ = problem.descend(np.repeat(start.theta[None], min(BATCH, count - first), axis=0))
        found.append(theta)
    return np.vstack(found)


@dataclass(frozen=True)
class Information:
    """Akaike's and the Bayesian information criterion of a fit, up to a constant of the data; lower is better."""

    aic: float
    aicc: float
    bic: float


def information(result: FitResult, columns: Columns, loss: Array, weights: Array | None = None) -> Information:
    """From the residuals of the logarithm, assumed normal with one variance. To be shown with a held-out test, never alone.

    Args:
        weights: of the rows, (n,) with mean 1: the mean of squared residuals is theirs.
    """
    rows, count = len(loss), len(result.theta) + 1
    squares = (np.log(result.predict(columns)) - np.log(loss)) ** 2
    with np.errstate(divide="ignore"):  # of a law that passes through every row
        fitted = rows * np.log(np.mean(squares))
    aic, left = float(fitted + 2 * count), rows - count - 1
    more = 0.0 if weights is None else rows * float(np.log(np.average(squares, weights=weights) / squares.mean()))
    aicc = aic + 2 * count * (count + 1) / left if left > 0 else np.inf
    return Information(aic + more, aicc + more, float(fitted + count * np.log(rows)) + more)

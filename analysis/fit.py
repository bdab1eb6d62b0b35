"""The solver: Huber loss on log residuals, summed, minimised from many starts to first-order optimality.

Starts come from a grid on the exponents; the parameters in which a law is linear follow by weighted least squares
(variable projection). All starts, or all resamples of a bootstrap, then descend together as one batch of damped
Newton steps. A row inside the Huber threshold weighs 1; a row outside it weighs `damping` * delta / |residual|: at
damping 1 that is iteratively reweighted least squares, which never goes up, and as damping falls it becomes Newton.
Steps are measured against the objective itself, so that its tiny scale (1e-3 at delta = 1e-3) can't end the search
early, which is what happened to the published Chinchilla fit (Besiroglu et al. 2024, arXiv 2404.10102).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.laws import LAWS, Array, Columns, Law
from repro.errors import UserError

Status = Literal["converged", "max_iter", "abnormal", "bound_hit"]

DELTA = 1e-3
ITERATIONS = 400
TOLERANCE = 1e-10  # predicted relative decrease of the objective at which a descent has converged
EXACT = 1e-18  # objective a row under which residuals are rounding: 1e-9 of the loss
AGREEMENT = 1e-6  # relative excess over the best objective up to which another start agrees


@dataclass(frozen=True)
class FitResult:
    """A fitted law.

    Attributes:
        law: its name in the registry.
        parameters: by name, in the law's units.
        objective: sum over rows of the Huber loss of log residuals.
        status: `bound_hit` when a parameter ended at one of its bounds, which means the data don't identify it.
        bounds_hit: names of those parameters.
        starts: starts tried. starts_agreeing: those within 1e-6 relative of the best objective.
        n_rows: rows fitted.
        delta: the Huber threshold, in nats of log loss.
    """

    law: str
    parameters: dict[str, float]
    objective: float
    status: Status
    bounds_hit: tuple[str, ...]
    starts: int
    starts_agreeing: int
    n_rows: int
    delta: float

    @property
    def theta(self) -> Array:
        """Parameters as a vector (P,) in the law's order."""
        return np.array(list(self.parameters.values()))

    def predict(self, columns: Columns) -> Array:
        """Loss in nats a token, (n,)."""
        return LAWS[self.law].predict(self.theta, columns)


def huber(residual: Array, delta: float = DELTA) -> Array:
    """r^2 / 2 up to |r| = delta, linear beyond."""
    size = np.abs(residual)
    return np.where(size <= delta, 0.5 * residual**2, delta * (size - 0.5 * delta))


def obstacle(law: Law, columns: Columns, loss: Array) -> str | None:
    """Why `law` can't be fitted to these rows, or None."""
    if len(loss) <= len(law.parameters):
        return f"{len(loss)} runs for {len(law.parameters)} parameters"
    if not np.all(np.isfinite(loss)) or np.any(loss <= 0):
        return "a loss that is not a positive number"
    for name in law.columns:
        if not np.all(np.isfinite(columns[name])) or np.any(columns[name] <= 0):
            return f"{name} holds a value that is not a positive number"
        if len(np.unique(np.round(np.log(columns[name]), 3))) < 3:
            return f"{name} takes fewer than three values"
    return None


def fit(law: Law, columns: Columns, loss: Array, *, delta: float = DELTA) -> FitResult:
    """The global minimum of sum Huber(log predicted - log loss).

    Args:
        law: what to fit.
        columns: the law's columns, each (n,).
        loss: nats a token, (n,).
        delta: Huber threshold on log residuals.

    Raises:
        UserError: rows that can't identify the law; the message says which column doesn't vary.
    """
    reason = obstacle(law, columns, loss)
    if reason:
        raise UserError(
            f"{law.name} can't be fitted",
            found=reason,
            expected="positive columns that vary, and more rows than parameters",
        )
    problem = _Problem(law, columns, loss[None], delta)
    theta, objective, converged = problem.descend(problem.starts())
    finite = np.isfinite(objective)
    best = int(np.argmin(np.where(finite, objective, np.inf)))
    agreeing = int(np.sum(objective[finite] <= objective[best] * (1 + AGREEMENT) + EXACT * len(loss)))
    hit = problem.at_bound(theta[best])
    status: Status = "converged"
    if not finite[best]:
        status = "abnormal"
    elif hit:
        status = "bound_hit"
    elif not converged[best]:
        status = "max_iter"
    names = [p.name for p in law.parameters]
    return FitResult(
        law.name,
        dict(zip(names, theta[best].tolist(), strict=True)),
        float(objective[best]),
        status,
        hit,
        len(objective),
        agreeing,
        len(loss),
        delta,
    )


def refit(law: Law, columns: Columns, losses: Array, start: FitResult) -> Array:
    """Parameters (R, P) of `law` on R resamples of the loss (R, n), all descending together from `start`."""
    problem = _Problem(law, columns, losses, start.delta)
    theta, _, _ = problem.descend(np.repeat(start.theta[None], len(losses), axis=0))
    return theta


class _Problem:
    """One law on fixed columns; the loss is one row (1, n) for all members of a batch, or a row for each (R, n)."""

    def __init__(self, law: Law, columns: Columns, loss: Array, delta: float):
        self.law, self.loss, self.delta = law, loss, delta
        self.columns = {name: np.asarray(columns[name], dtype=float) for name in law.columns}
        self.log = np.array([p.log for p in law.parameters])
        self.low = np.array([p.low for p in law.parameters])
        ceiling = loss.min(axis=1, keepdims=True) * (1 - 1e-9)
        self.high = np.concatenate(
            [ceiling if p.high is None else np.full_like(ceiling, p.high) for p in law.parameters], axis=1
        )

    def starts(self) -> Array:
        """Starts (S, P): a grid on the exponents, and least squares on relative residuals for the linear rest."""
        parameters = self.law.parameters
        grid = np.array(list(itertools.product(*(p.starts for p in parameters if p.starts))))
        linear = [i for i, p in enumerate(parameters) if not p.starts]
        theta = np.ones((len(grid), len(parameters)))
        theta[:, [i for i, p in enumerate(parameters) if p.starts]] = grid
        basis = self.law.gradient(theta, self.columns)[:, :, linear] / self.loss[0][None, :, None]
        scale = np.linalg.norm(basis, axis=1, keepdims=True)
        solution = np.linalg.pinv(basis / scale, rcond=1e-9).sum(axis=2) / scale[:, 0, :]
        least = 0.02 / np.abs(basis).max(axis=1)  # a term that least squares makes negative starts at 2% of the loss
        theta[:, linear] = np.maximum(solution, least)
        return np.clip(theta, self.low, self.high)

    def descend(self, theta: Array) -> tuple[Array, Array, Array]:
        """Minimises every member of the batch. Returns theta (R, P), objective (R,), converged (R,)."""
        low, high = (
            self._inner(np.broadcast_to(self.low, theta.shape)),
            self._inner(np.broadcast_to(self.high, theta.shape)),
        )
        target = np.broadcast_to(np.log(self.loss), (len(theta), self.loss.shape[1]))
        u = self._inner(theta)
        residual = np.log(self.law.predict(theta, self.columns)) - target
        objective = huber(residual, self.delta).sum(axis=1)
        damping = np.ones(len(u))
        converged = np.zeros(len(u), dtype=bool)
        live = np.arange(len(u))
        for _ in range(ITERATIONS):
            step, decrease = self._step(u[live], residual[live], damping[live], low[live], high[live])
            trial = np.clip(u[live] + step, low[live], high[live])
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                trial_residual = np.log(self.law.predict(self._outer(trial), self.columns)) - target[live]
                trial_objective = huber(trial_residual, self.delta).sum(axis=1)
            better = trial_objective <= objective[live]
            done = (decrease <= TOLERANCE * (objective[live] + EXACT * target.shape[1])) & (damping[live] <= 1)
            moved = live[better]
            u[moved], residual[moved], objective[moved] = trial[better], trial_residual[better], trial_objective[better]
            damping[live] = np.where(better, np.maximum(damping[live] / 4, 1e-6), damping[live] * 8)
            converged[live[done]] = True
            live = live[~done & (damping[live] < 1e12)]
            if not len(live):
                break
        return self._outer(u), objective, converged

    def _step(self, u: Array, residual: Array, damping: Array, low: Array, high: Array) -> tuple[Array, Array]:
        """Damped Newton step (R, P) on the free parameters, and the decrease (R,) that its model promises."""
        theta = self._outer(u)
        jacobian = self.law.gradient(theta, self.columns) / self.law.predict(theta, self.columns)[..., None]
        jacobian = jacobian * np.where(self.log, theta, 1.0)[:, None, :]
        size = np.abs(residual)
        inside = size <= self.delta
        outer_weight = self.delta / np.maximum(size, self.delta)
        gradient = np.einsum("rnp,rn->rp", jacobian, residual * outer_weight)
        fixed = ((u <= low) & (gradient > 0)) | ((u >= high) & (gradient < 0))
        jacobian = np.where(fixed[:, None, :], 0.0, jacobian)
        gradient = np.where(fixed, 0.0, gradient)
        scale = np.sqrt(np.einsum("rnp,rnp,rn->rp", jacobian, jacobian, outer_weight))
        scale = np.where(scale > 0, scale, 1.0)
        weight = np.where(inside, 1.0, damping[:, None] * outer_weight)
        scaled = jacobian / scale[:, None, :]
        hessian = np.einsum("rnp,rnq,rn->rpq", scaled, scaled, weight)
        hessian += (1e-4 * damping[:, None, None] + 1e-13) * np.eye(u.shape[1])
        move = -np.linalg.solve(hessian, (gradient / scale)[..., None])[..., 0]
        return move / scale, -0.5 * np.einsum("rp,rp->r", move, gradient / scale)

    def at_bound(self, theta: Array) -> tuple[str, ...]:
        """Names of the parameters that ended at a bound."""
        u, low, high = self._inner(theta), self._inner(self.low), self._inner(self.high[0])
        near = 1e-9 * np.maximum(1.0, np.abs(u))
        return tuple(
            p.name for p, hit in zip(self.law.parameters, (u <= low + near) | (u >= high - near), strict=True) if hit
        )

    def _inner(self, theta: Array) -> Array:
        """The law's parameters as the solver sees them: logarithms where the law says so."""
        return np.where(self.log, np.log(np.where(self.log, theta, 1.0)), theta)

    def _outer(self, u: Array) -> Array:
        return np.where(self.log, np.exp(np.where(self.log, u, 0.0)), u)

"""One law on fixed rows as a problem of minimisation, for many starts or resamples at once.

Starts come from a grid on the exponents; the scales, in which a law is linear, follow by weighted least squares
(variable projection). All starts, or all resamples of a bootstrap, then descend together as one batch of damped
Newton steps. A row inside the Huber threshold weighs 1; a row outside it weighs `damping` * delta / |residual|: at
damping 1 that is iteratively reweighted least squares, which never goes up, and as damping falls it becomes Newton.
Steps are measured against the objective itself, so that its tiny scale (1e-3 at delta = 1e-3) can't end the search
early, which is what happened to the published Chinchilla fit (Besiroglu et al. 2024, arXiv 2404.10102).
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from analysis.fits.objective import Objective
from analysis.laws.law import Array, Columns, Law

ITERATIONS = 400
TOLERANCE = 1e-10  # predicted relative decrease of the objective at which a descent has converged
TRIES = 3  # of the best fits that linear programs start from
EXACT = 1e-18  # objective a row under which residuals are rounding: 1e-9 of the loss
FLAT = 1e-7  # share of the largest singular value of the scaled Jacobian under which a direction is not identified


class Problem:
    """One law on fixed columns; the loss is one row (1, n) for all members of a batch, or a row for each (R, n).

    Args:
        law, columns, loss, objective: see `fit`.
        weight: (1, n) or (R, n); None is 1.
        held: parameters that stay where a start puts them, (1, P) or (R, P); None is none.
    """

    def __init__(
        self,
        law: Law,
        columns: Columns,
        loss: Array,
        objective: Objective,
        weight: Array | None = None,
        held: NDArray[np.bool_] | None = None,
    ):
        self.law, self.loss, self.objective = law, loss, objective
        self.weight = np.ones((1, loss.shape[1])) if weight is None else weight
        self.columns = {name: np.asarray(columns[name], dtype=float) for name in law.columns}
        self.log = np.array([p.log for p in law.parameters])
        self.held = held
        self.low = np.array([p.low for p in law.parameters])
        self.high = np.array([p.high for p in law.parameters])
        self.target = np.log(loss) if objective.logarithmic else loss

    def starts(self) -> Array:
        """Starts (S, P): a grid on the exponents, and least squares on relative residuals for the scales.

        Exponents at which a term is no finite number, or zero in all rows, are left out; that may be all of them.
        """
        parameters = self.law.parameters
        grid = np.array(list(itertools.product(*(p.starts for p in parameters if p.starts))))
        linear = [i for i, p in enumerate(parameters) if not p.starts]
        theta = np.ones((len(grid), len(parameters)))
        theta[:, [i for i, p in enumerate(parameters) if p.starts]] = grid
        offset, basis = self.law.linear(theta, self.columns)
        loss = self.loss[0]
        wanted = np.log(loss) - offset if self.law.logarithmic else 1 - offset / loss
        if not self.law.logarithmic:
            basis = basis / loss[None, :, None]
        scale = np.linalg.norm(basis, axis=1, keepdims=True)
        usable = (np.isfinite(scale) & (scale > 0)).all(axis=(1, 2))  # LAPACK doesn't come back from what isn't finite
        theta, basis, scale = theta[usable], basis[usable], scale[usable]
        wanted = wanted if wanted.ndim == 1 else wanted[usable][..., None]
        solution = (np.linalg.pinv(basis / scale, rcond=1e-9) @ wanted).reshape(len(theta), len(linear)) / scale[
            :, 0, :
        ]
        least = 0.02 / np.abs(basis).max(axis=1)  # a term that least squares makes negative starts at 2% of the loss
        positive = self.low[linear] >= 0
        theta[:, linear] = np.where(positive, np.maximum(solution, least), solution)
        return np.clip(theta, self.low, self.high)

    def values(self, theta: Array) -> Array:
        """The objective (R,) of each member."""
        return self._sum(self._residual(theta, slice(None)), slice(None))

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def descend(self, theta: Array) -> tuple[Array, Array, Array]:
        """Minimises every member of the batch. Returns theta (R, P), objective (R,), converged (R,)."""
        low, high = (self._inner(np.broadcast_to(bound, theta.shape)) for bound in (self.low, self.high))
        u = self._inner(theta)
        residual = self._residual(theta, slice(None))
        value = self._sum(residual, slice(None))
        damping = np.ones(len(u))
        converged = np.zeros(len(u), dtype=bool)
        live = np.arange(len(u))
        for _ in range(ITERATIONS):
            step, decrease = self._step(u[live], residual[live], damping[live], low[live], high[live], live)
            trial = np.clip(u[live] + step, low[live], high[live])
            trial_residual = self._residual(self._outer(trial), live)
            trial_value = self._sum(trial_residual, live)
            better = trial_value <= value[live]
            done = (decrease <= TOLERANCE * (value[live] + EXACT * self.loss.shape[1])) & (damping[live] <= 1)
            moved = live[better]
            u[moved], residual[moved], value[moved] = trial[better], trial_residual[better], trial_value[better]
            damping[live] = np.where(better, np.maximum(damping[live] / 4, 1e-6), damping[live] * 8)
            converged[live[done]] = True
            live = live[~done & (damping[live] < 1e12)]
            if not len(live):
                break
        return self._outer(u), value, converged

    def least_absolute(self, theta: Array) -> tuple[Array, Array, Array]:
        """From fits with a Huber threshold: the best few through falling thresholds, then linear programs.

        At a minimum of absolute deviations about as many residuals are zero as there are parameters; a linear
        program on the linearised law inside a trust region finds which.
        """
        order = np.argsort(self.values(theta))[:TRIES]
        theta = theta[order]
        for delta in (1e-4, 1e-5, 1e-6):
            smooth = Problem(self.law, self.columns, self.loss, Objective("huber_log", delta), self.weight)
            theta, _, _ = smooth.descend(theta)
        polished = [self._linear_programs(one) for one in theta]
        found, values = np.array([p[0] for p in polished]), np.array([p[1] for p in polished])
        return found, values, np.array([p[2] for p in polished])

    def _linear_programs(self, theta: Array) -> tuple[Array, float, bool]:
        u, low, high = self._inner(theta), self._inner(self.low), self._inner(self.high)
        value, radius = float(self.values(theta[None])[0]), 0.1
        rows, weight = self.loss.shape[1], np.broadcast_to(self.weight[0], self.loss[0].shape)
        for _ in range(200):
            theta = self._outer(u)
            jacobian, residual = self._jacobian(theta[None])[0], self._residual(theta[None], slice(None))[0]
            norm = np.linalg.norm(jacobian, axis=0)
            norm = np.where(norm > 0, norm, 1.0) / np.sqrt(rows)
            moves = jacobian / norm
            # min sum w t with -t <= residual + moves d <= t, |d| <= radius, and u within its bounds.
            identity = np.eye(rows)
            inside = np.stack([np.maximum(-radius, (low - u) * norm), np.minimum(radius, (high - u) * norm)], axis=1)
            solved = linprog(
                np.concatenate([np.zeros(len(u)), weight]),
                A_ub=np.block([[moves, -identity], [-moves, -identity]]),
                b_ub=np.concatenate([-residual, residual]),
                bounds=[*map(tuple, inside), *[(0, None)] * rows],
            )
            if solved.x is None:
                break
            trial = np.clip(u + solved.x[: len(u)] / norm, low, high)
            at = float(self.values(self._outer(trial)[None])[0])
            if value - at > 1e-13 * value:
                u, value, radius = trial, at, radius * 2
            else:
                radius /= 4
            if value - solved.fun <= 1e-11 * value or radius < 1e-12:
                return self._outer(u), value, True
        return self._outer(u), value, False

    def identified(self, theta: Array) -> tuple[float, tuple[str, ...]]:
        """Condition of the scaled Jacobian (n, P) at `theta` and the parameters along its flat directions."""
        jacobian = (
            self._jacobian(theta[None])[0] * np.sqrt(np.broadcast_to(self.weight[0], self.loss[0].shape))[:, None]
        )
        norm = np.linalg.norm(jacobian, axis=0)
        if not np.isfinite(norm).all():
            return np.inf, self.law.names
        _, sizes, directions = np.linalg.svd(jacobian / np.where(norm > 0, norm, 1.0), full_matrices=False)
        flat = directions[sizes <= FLAT * sizes[0]]
        moved = (np.abs(flat) > 0.1).any(axis=0) | (norm == 0)
        names = tuple(name for name, along in zip(self.law.names, moved, strict=True) if along)
        return float(sizes[0] / sizes[-1]) if sizes[-1] > 0 else np.inf, names

    def linearised(self, theta: Array) -> tuple[Array, Array]:
        """Residuals (n,) at `theta` and their slopes (n, P) in the solver's parameters."""
        return self._residual(theta[None], slice(None))[0], self._jacobian(theta[None])[0]

    # ---------------------------------------------------------------- inside

    def _rows(self, table: Array, members: slice | NDArray[np.intp]) -> Array:
        return table if len(table) == 1 else table[members]

    def _residual(self, theta: Array, members: slice | NDArray[np.intp]) -> Array:
        predicted = self.law.predict(theta, self.columns)
        return (np.log(predicted) if self.objective.logarithmic else predicted) - self._rows(self.target, members)

    def _sum(self, residual: Array, members: slice | NDArray[np.intp]) -> Array:
        return (self.objective.rows(residual) * self._rows(self.weight, members)).sum(axis=1)

    def _jacobian(self, theta: Array, members: slice | NDArray[np.intp] = slice(None)) -> Array:
        """d residual / d u, (R, n, P)."""
        jacobian = self.law.gradient(theta, self.columns)
        if self.objective.logarithmic:
            jacobian /= self.law.predict(theta, self.columns)[..., None]
        jacobian *= np.where(self.log, theta, 1.0)[:, None, :]
        if self.held is None:
            return jacobian
        held = self.held if len(self.held) == 1 else self.held[members]
        return np.where(held[:, None, :], 0.0, jacobian)

    def _step(
        self, u: Array, residual: Array, damping: Array, low: Array, high: Array, members: NDArray[np.intp]
    ) -> tuple[Array, Array]:
        """Damped Newton step (R, P) on the free parameters, and the decrease (R,) that its model promises."""
        jacobian = self._jacobian(self._outer(u), members)
        threshold, rows = self.objective.threshold, self._rows(self.weight, members)
        size = np.abs(residual)
        outer_weight = (
            threshold / np.maximum(size, threshold) if np.isfinite(threshold) else np.ones_like(size)
        ) * rows
        gradient = (jacobian.swapaxes(1, 2) @ (residual * outer_weight)[..., None])[..., 0]
        fixed = ((u <= low) & (gradient > 0)) | ((u >= high) & (gradient < 0))
        if fixed.any():
            jacobian = np.where(fixed[:, None, :], 0.0, jacobian)
            gradient = np.where(fixed, 0.0, gradient)
        scale = np.sqrt(np.einsum("rnp,rnp,rn->rp", jacobian, jacobian, outer_weight))
        scale = np.where(scale > 0, scale, 1.0)
        weight = np.where(size <= threshold, rows, damping[:, None] * outer_weight)
        jacobian /= scale[:, None, :]
        hessian = (jacobian * weight[..., None]).swapaxes(1, 2) @ jacobian
        hessian += (1e-4 * damping[:, None, None] + 1e-13) * np.eye(u.shape[1])
        move = -np.linalg.solve(hessian, (gradient / scale)[..., None])[..., 0]
        return move / scale, -0.5 * np.einsum("rp,rp->r", move, gradient / scale)

    def _inner(self, theta: Array) -> Array:
        """The law's parameters as the solver sees them: logarithms where the law says so."""
        return np.where(self.log, np.log(np.where(self.log, theta, 1.0)), theta)

    def _outer(self, u: Array) -> Array:
        return np.where(self.log, np.exp(np.where(self.log, u, 0.0)), u)

"""A law fitted to some points of curves and tested on others; whole curves are resampled, with all their points.

There are two ways to resample, as elsewhere: curves are drawn with replacement if there are enough of them; otherwise
the noise of the curves' seeds is added to their losses. A curve's draw is the same for every law and part. And how fast one
curve falls with its tokens, and where it has settled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analysis.fits import resample
from analysis.fits.fit import FitResult, fit, obstacle
from analysis.fits.objective import Objective
from analysis.fits.problem import Problem
from analysis.fits.resample import CLUSTERS, LEAST_WEIGHT, Resamples
from analysis.laws.law import Array, Columns, Law
from analysis.tables.data import Mask
from analysis.tables.rows import Rows

OBJECTIVE = Objective()
SETTLED = 0.01  # nats a doubling of the tokens, under which we call a curve converged


def resamples_of(
    rows: Rows, resamples: int, rng: np.random.Generator, noise: Array | None, needed: tuple[Mask, ...] = ()
) -> Resamples | None:
    """Resamples of points by curve; None where there are too few curves and no noise of theirs is known.

    Args:
        rows: with a column run_id.
        noise: (R, n) of the seeds, nats; used where there are fewer than CLUSTERS curves.
        needed: masks (n,), of each of which every resample holds a point.
    """
    names = rows["run_id"].astype(str)
    if len(np.unique(names)) >= CLUSTERS:
        return resample.draw(len(rows), resamples, rng, clusters=names, needed=needed)
    return None if noise is None else Resamples.parametric(noise, len(np.unique(names)))


@dataclass(frozen=True)
class JudgedCurves:
    """One law, fitted to some rows and tested on others.

    Attributes:
        fit: to the fitted rows.
        residual: predicted - actual of the rows it is judged on, nats, (n,).
        draws: the same of each resample, (R, n); None without resamples. counts: how often each row was drawn, (R, n).
    """

    fit: FitResult
    residual: Array
    draws: Array | None
    counts: Array | None

    def where(self, chosen: Mask) -> JudgedCurves:
        """The same, tested on the rows of a mask only."""
        draws, counts = (None if own is None else own[:, chosen] for own in (self.draws, self.counts))
        return replace(self, residual=self.residual[chosen], draws=draws, counts=counts)

    @property
    def mean_abs(self) -> float:
        """Mean |predicted - actual|, nats."""
        return float(np.abs(self.residual).mean())

    @property
    def mean(self) -> float:
        """Mean predicted - actual, nats."""
        return float(self.residual.mean())

    def mean_abs_draws(self) -> Array | None:
        """`mean_abs` of each resample, (R,)."""
        return None if self.draws is None else weighted(np.abs(self.draws), self.counts)

    def mean_draws(self) -> Array | None:
        """`mean` of each resample, (R,)."""
        return None if self.draws is None else weighted(self.draws, self.counts)


def weighted(values: Array, counts: Array | None) -> Array:
    """Means (R,) of values (R, n), each weighted by how often it was drawn; nan if none was."""
    if counts is None:
        return np.asarray(values.mean(axis=-1))
    with np.errstate(invalid="ignore"):
        return np.asarray((values * counts).sum(axis=-1) / counts.sum(axis=-1))


def judge(
    law: Law, rows: Rows, loss: Array, train: Mask, test: Mask, drawn: Resamples | None, start: Array | None = None
) -> JudgedCurves | str:
    """The law fitted to the rows of one mask and tested on those of another, or why it can't be fitted.

    Args:
        rows: with the law's columns. loss: (n,) nats per token.
        drawn: resamples of `rows`.
        start: parameters (P,) near the minimum, instead of a grid of starts.
    """
    columns = {name: rows[name][train] for name in law.columns}
    if reason := obstacle(law, columns, loss[train]):
        return reason
    result = fit(law, columns, loss[train], OBJECTIVE, start=start)
    wanted = {name: rows[name][test] for name in law.columns}
    residual = result.predict(wanted) - loss[test]
    if drawn is None:
        return JudgedCurves(result, residual, None, None)
    theta = refit(law, columns, drawn.where(train), loss[train], result.theta)
    return JudgedCurves(result, residual, *residual_draws(law, theta, wanted, drawn.where(test), loss[test]))


def refit(law: Law, columns: Columns, drawn: Resamples, loss: Array, start: Array, held: tuple[str, ...] = ()) -> Array:
    """Parameters (R, P) on each resample, descending from `start`; those in `held` stay where they are."""
    losses, counts = drawn.losses(loss), drawn.counts + LEAST_WEIGHT
    fixed = np.array([[name in held for name in law.names]]) if held else None
    problem = Problem(law, columns, losses, OBJECTIVE, counts, held=fixed)
    theta, _, _ = problem.descend(np.repeat(start[None], len(counts), axis=0))
    return theta


def residual_draws(law: Law, theta: Array, columns: Columns, drawn: Resamples, loss: Array) -> tuple[Array, Array]:
    """Predicted - actual (R, n) of resampled parameters on resampled losses, and how often each row was drawn."""
    with np.errstate(over="ignore", invalid="ignore"):
        return law.predict(theta, columns) - drawn.losses(loss), drawn.counts


def slopes(tokens: Array, loss: Array) -> Array:
    """Nats a doubling between successive points of one curve, (..., n - 1).

    Args:
        tokens: (n,), positive and increasing. loss: (..., n) in nats per token.
    """
    return np.asarray(np.diff(loss, axis=-1) / np.diff(np.log2(tokens)))


def settled_at(tokens: Array, loss: Array, least: float = SETTLED) -> float | None:
    """Tokens from which on the loss falls by less than `least` per doubling (the middle of that step); None if it never does.

    Args:
        tokens, loss: (n,) of one curve, tokens increasing.
    """
    steep = np.flatnonzero(-slopes(tokens, loss) >= least)
    first = int(steep[-1]) + 1 if len(steep) else 0
    return float(np.sqrt(tokens[first] * tokens[first + 1])) if first < len(tokens) - 1 else None

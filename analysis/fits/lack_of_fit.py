"""The lack of fit of a law, where rows of a table repeat others, and means over groups of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.fits.problem import FLAT
from analysis.laws.law import Array

LEAST_LEFT = 8  # rows, or clusters, more than parameters
LEAST_REPEATS = 5  # rows beyond the first at their points


@dataclass(frozen=True)
class LackOfFit:
    """How far the means of repeated rows lie off the law.

    Attributes:
        p: of so much lack of fit by noise alone.
        noise, beyond: standard deviations of repeated rows, and of the law's own misfit at a point; of log loss, or in nats.
        points: where rows lie. repeats: rows beyond the first at their points.
    """

    p: float
    noise: float
    beyond: float
    points: int
    repeats: int


class GroupMeans:
    """Weighted means over the rows of each of m groups. `total`: their weights, (m,)."""

    def __init__(self, member: NDArray[np.intp], weights: Array):
        self.member, self.weights = member, weights
        self.total: Array = np.bincount(member, weights).astype(float)

    def __len__(self) -> int:
        return len(self.total)

    def of(self, values: Array) -> Array:
        """(m,) of values (n,), or (m, k) of values (n, k)."""
        if values.ndim == 2:
            return np.stack([self.of(own) for own in values.T], axis=1)
        return np.asarray(np.bincount(self.member, self.weights * values) / self.total)


def basis(slopes: Array) -> Array:
    """An orthonormal basis of columns (m, P)."""
    if not slopes.shape[1]:
        return slopes
    norm = np.linalg.norm(slopes, axis=0)
    basis, size, _ = np.linalg.svd(slopes / np.where(norm > 0, norm, 1.0), full_matrices=False)
    return np.asarray(basis[:, size > FLAT * size[0]])


def lack_of_fit(
    loss: Array, residual: Array, slopes: Array, weights: Array, point: NDArray[np.intp], member: NDArray[np.intp]
) -> LackOfFit | None:
    """The F test of a lack of fit; None where too few rows repeat others, or a cluster has rows that differ.

    Args:
        loss, residual, weights: (n,). slopes: of the law's free parameters, (n, P).
        point: where each row lies, (n,). member: which cluster it belongs to, (n,).
    """
    _, once = np.unique(np.stack([point, loss]), axis=1, return_index=True)  # a copy of a row tells nothing of noise
    if len(np.unique(member[once])) < len(
        once
    ):  # rows of a cluster err together: their spread is not the noise of runs
        return None
    residual, slopes, weights = residual[once], slopes[once], weights[once]
    _, point = np.unique(point[once], return_inverse=True)
    means = GroupMeans(point, weights)
    law = basis(np.sqrt(means.total)[:, None] * means.of(slopes))
    repeats = len(residual) - len(means)
    if repeats < LEAST_REPEATS or len(means) - law.shape[1] < LEAST_LEFT // 2:
        return None
    off = np.sqrt(means.total) * means.of(residual)
    off = off - law @ (law.T @ off)
    # With noise of one size, the variance of each of `off`, before the law takes up its part.
    own = np.bincount(point, weights**2) / means.total
    left = (np.eye(len(own)) - law @ law.T) * own
    between, of_between = float(np.trace(left)), float(np.sum(left * left.T))
    cubes = np.bincount(point, weights**3) / means.total
    within = float(np.sum(weights.sum() - own.sum()))
    of_within = float(np.sum(weights**2) - 2 * cubes.sum() + (own**2).sum())
    squares = float(weights @ (residual - means.of(residual)[point]) ** 2)
    if not squares > 0:
        return None
    noise, misfit = squares / within, float(off @ off) / between
    p = float(stats.f.sf(misfit / noise, between**2 / of_between, within**2 / of_within))
    reach = float(means.total @ (1 - (law**2).sum(axis=1)))  # what a variance of 1 between points adds to the squares
    beyond = max(0.0, (misfit - noise) * between / reach)
    return LackOfFit(p, float(np.sqrt(noise)), float(np.sqrt(beyond)), len(means), repeats)

"""The slope of the dense loss in log N at one point, from the dense runs around it.

Over a wide range of sizes and of tokens per parameter no one law need fit. So the slope is local: the mean losses of the
dense configurations are fitted by a quadratic in log N and in log D, without a cross term, as E + A/N^alpha + B/D^beta
has none, in which configurations are weighted by their seeds and by a Gaussian of their distance (Cleveland's local regression).
For a power law such a quadratic is off by a few percent of the slope, which BEND adds to its error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.laws.law import Array
from analysis.noise.configurations import Configuration
from analysis.noise.spread import Spread

NEAR_N, NEAR_D = 2.0, 4.0  # factors in N and in D at one standard deviation of the weights
BEND = 0.05  # of the slope
TERMS = 5
LEAST_DOF = 2.0


@dataclass(frozen=True)
class DensePoints:
    """Dense configurations: N and D, mean losses in nats and how many seeds are behind each, (n,)."""

    n: Array
    d: Array
    loss: Array
    seeds: Array

    @classmethod
    def of(cls, dense: Sequence[Configuration]) -> DensePoints:
        """The points of configurations of dense runs."""
        n, d = (np.array([c.runs[name][0] for c in dense], dtype=float) for name in ("N_prunable", "D"))
        loss, seeds = (np.array([f(c.losses) for c in dense], dtype=float) for f in (np.mean, len))
        return cls(n, d, loss, seeds)


@dataclass(frozen=True)
class Slope:
    """dL/dlog N.

    Attributes:
        value: nats; negative where larger is better.
        se: its standard error. dof: of Student's t.
        weight: configurations it rests on, the effective number.
    """

    value: float
    se: float
    dof: float
    weight: float

    def draws(self, count: int, rng: np.random.Generator) -> Array:
        """Student draws (count,) around it."""
        return self.value + self.se * rng.standard_t(self.dof, size=count)


def local_slope(points: DensePoints, n: float, d: float, noise: Spread | None) -> Slope | str:
    """The slope at (n, d), or why the points around don't tell it.

    Args:
        noise: of one run's loss over seeds. The error is what the quadratic leaves over, or this where it is larger.
    """
    x, y = np.log(points.n / n), np.log(points.d / d)
    kernel = np.exp(-0.5 * ((x / np.log(NEAR_N)) ** 2 + (y / np.log(NEAR_D)) ** 2))
    effective = float(kernel.sum() ** 2 / np.sum(kernel**2)) if kernel.any() else 0.0
    design = np.stack([np.ones_like(x), x, y, x**2, y**2], axis=1)
    scale = np.sqrt(kernel * points.seeds)
    weighted = design * scale[:, None]
    sizes = np.linalg.svd(weighted / np.maximum(np.linalg.norm(weighted, axis=0), 1e-300), compute_uv=False)
    if len(x) < TERMS or sizes[-1] < 1e-6 * sizes[0]:
        return "the dense runs around it don't vary enough in size and tokens"
    inverse = np.linalg.pinv(weighted) * scale  # (TERMS, n): coefficients from losses
    coefficients = inverse @ points.loss
    off = (points.loss - design @ coefficients) * np.sqrt(points.seeds)
    left = kernel * (1 - np.einsum("np,pn->n", design, inverse))
    dof = float(left.sum() ** 2 / np.sum(left * kernel))
    if dof < LEAST_DOF:
        return (
            f"weighted by how near they lie, the {len(x)} dense configurations count as {effective:.1f} around it, "
            "too few for a slope with an error"
        )
    sd = float(np.sqrt(np.sum(kernel * off**2) / left.sum()))
    if noise is not None and noise.sd > sd:
        sd, dof = noise.sd, float(noise.dof)
    se = sd * float(np.sqrt(np.sum(inverse[1] ** 2 / points.seeds)))
    value = float(coefficients[1])
    return Slope(value, float(np.hypot(se, BEND * value)), dof, effective)


def log_worth(difference: Array, slope: Array, alpha: float) -> Array:
    """Logarithm (...,) of the ratio of two dense sizes whose losses differ by `difference` nats; nan where a slope isn't negative.

    Args:
        difference: loss of the one less that of the other, at which the slope dL/dlog N is taken.
        alpha: of the law in N, which bends the way; 0 is a loss that is straight in log N.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        over = np.where(slope < 0, difference / -slope, np.nan)
        return np.asarray(-over if alpha == 0 else -np.log(np.maximum(1 + alpha * over, np.finfo(float).tiny)) / alpha)

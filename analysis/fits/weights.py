"""Weights of rows, and information criteria of a fit.

A weight is a row's share of an objective and of every mean of errors, times the number of rows. Ratios of weights alone
count. A fit with whole numbers for weights is that of a table in which each row stands so often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.fits.fit import FitResult
from analysis.laws.law import Array, Columns


@dataclass(frozen=True)
class Information:
    """Akaike's and the Bayesian information criterion of a fit, up to a constant of the data; lower is better."""

    aic: float
    aicc: float
    bic: float


def scaled(weights: Array) -> Array:
    """Positive weights (n,) with a mean of 1."""
    weights = weights / weights.max()  # of the largest numbers the sum is none
    return np.asarray(weights / weights.mean())


def worth(weights: Array) -> float:
    """Effective number of rows with weights (n,): (sum w)^2 / sum w^2 (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


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

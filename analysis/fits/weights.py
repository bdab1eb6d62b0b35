"""Weights of rows: each row's share of an objective and of every mean of errors, times the number of rows.

Their ratios alone count. A fit with whole numbers for weights is that of a table in which each row stands so often.
"""

from __future__ import annotations

import numpy as np

from analysis.fits.fit import FitResult
from analysis.fits.information import Information, information
from analysis.laws.law import Array, Columns


def scaled(weights: Array) -> Array:
    """Positive weights (n,) with a mean of 1."""
    weights = weights / weights.max()  # of the largest numbers the sum is none
    return np.asarray(weights / weights.mean())


def worth(weights: Array) -> float:
    """Effective number of rows with weights (n,): (sum w)^2 / sum w^2 (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def weighed_information(result: FitResult, columns: Columns, loss: Array, weights: Array | None) -> Information:
    """Information criteria of a fit whose rows have weights (n,) of mean 1: the mean of squared residuals is theirs."""
    alike = information(result, columns, loss)
    if weights is None:
        return alike
    squares = (np.log(result.predict(columns)) - np.log(loss)) ** 2
    more = len(loss) * float(np.log(np.average(squares, weights=weights) / squares.mean()))
    return Information(alike.aic + more, alike.aicc + more, alike.bic + more)

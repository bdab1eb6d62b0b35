"""Information criteria of a fit."""

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


def information(result: FitResult, columns: Columns, loss: Array) -> Information:
    """From the residuals of the logarithm, assumed normal with one variance. To be shown with a held-out test, never alone."""
    rows, count = len(loss), len(result.theta) + 1
    residual = np.log(result.predict(columns)) - np.log(loss)
    with np.errstate(divide="ignore"):  # of a law that passes through every row
        fitted = rows * np.log(np.mean(residual**2))
    aic = float(fitted + 2 * count)
    left = rows - count - 1
    return Information(
        aic, aic + 2 * count * (count + 1) / left if left > 0 else np.inf, float(fitted + count * np.log(rows))
    )

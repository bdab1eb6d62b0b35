"""Training curves as a reader can take them in: smoothed, and no more points than a screen shows."""

from __future__ import annotations

import numpy as np

from analysis.laws.law import Array

MOST = 240  # points of a drawn curve


def smooth(x: Array, loss: Array) -> tuple[Array, Array]:
    """Running means over 1/25 of the logged steps; steps without a loss are left out."""
    known = np.isfinite(loss)
    x, loss = x[known], loss[known]
    if not len(loss):
        return x, loss
    kernel = np.ones(max(1, len(loss) // 25))
    kernel /= len(kernel)
    return np.convolve(x, kernel, "valid"), np.convolve(loss, kernel, "valid")


def thin(x: Array, y: Array) -> tuple[Array, Array]:
    """At most MOST of the points, the last among them."""
    chosen = np.unique(np.linspace(0, len(x) - 1, MOST).astype(int)) if len(x) > MOST else np.arange(len(x))
    return x[chosen], y[chosen]

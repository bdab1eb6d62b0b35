"""N_w: the mean of N(t) with a weight in time, w proportional to ((t + 1/2)/T)^kappa; kappa = 0 is N_avg."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.tables.data import Runs
from analysis.tables.schedules import schedule_of


def weighted_counts(runs: Runs, kappas: NDArray[np.float64]) -> NDArray[np.float64]:
    """N_w of each run at each exponent, (n, K), over the run's own steps.

    Args:
        kappas: exponents (K,) above -1; positive ones weigh late steps more.
    """
    found: dict[str, NDArray[np.float64]] = {}
    shares: dict[tuple[int, tuple[int, ...]], NDArray[np.float64]] = {}
    for run in runs.rows():
        if run["recipe"] not in found:
            found[run["recipe"]] = _counts(run, kappas, shares)
    return np.array([found[recipe] for recipe in runs["recipe"]]).reshape(len(runs), len(kappas))


def _counts(
    run: dict[str, Any], kappas: NDArray[np.float64], known: dict[Any, NDArray[np.float64]]
) -> NDArray[np.float64]:
    weights = schedule_of(run).weights(int(run["N_prunable"]))
    key = weights.total_steps, weights.first_steps
    if key not in known:
        known[key] = _shares(weights.total_steps, weights.first_steps, kappas)
    return known[key] @ np.array(weights.weights, dtype=float)


def _shares(total: int, firsts: tuple[int, ...], kappas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the weight (K, pieces) that the steps of each piece have."""
    steps = np.log((np.arange(total) + 0.5) / total)
    sums = np.array([np.add.reduceat(np.exp(kappa * steps), firsts) for kappa in kappas])
    return np.asarray(sums / sums.sum(axis=1, keepdims=True))

"""Resamples of a sweep's losses by the noise of its seeds, and a law fitted to each.

They are parametric, since a sweep has fewer than 12 clusters of runs: each adds noise of the seeds' standard deviation
to every loss. A run has the same noise in every law and setting, so that differences between laws are paired.
"""

from __future__ import annotations

import numpy as np

from analysis.findings.law_errors import Measure
from analysis.fits.fit import FitResult, refit
from analysis.fits.outcome import percentiles
from analysis.fits.resample import Resamples
from analysis.laws.law import Array
from analysis.noise.spread import Spread
from analysis.tables.data import Runs, Tables


class SeedResamples:
    """Resamples that add the noise of the seeds, the same to a run wherever it appears; none where that noise is unknown."""

    def __init__(self, tables: Tables, noise: Spread | None, resamples: int, seed: int):
        self._row = {run_id: i for i, run_id in enumerate(tables.runs["run_id"])}
        self._drawn: Resamples | None = None
        if noise is not None:
            shape = resamples, len(tables.runs)
            self._drawn = Resamples.parametric(noise.draws(shape, np.random.default_rng(seed)))

    def losses(self, runs: Runs, around: Array | None = None) -> Array | None:
        """Measured losses, or those given as `around`, (n,) or (R, n), with added noise: (R, n), or None if the noise is unknown."""
        if self._drawn is None:
            return None
        own = self._drawn.where(np.array([self._row[run_id] for run_id in runs["run_id"]], dtype=int))
        return own.losses(runs["loss"] if around is None else around)

    def refit(self, runs: Runs, result: FitResult, around: Array | None = None) -> Array | None:
        """Parameters (R, P) of the law of `result`, fitted to each resample of its runs (see `losses`); None without noise."""
        losses = self.losses(runs, around)
        return None if losses is None else refit(result.law, runs.columns, losses, result)

    def luck(self, runs: Runs, result: FitResult) -> Measure | None:
        """Mean |error| in sample from noise alone, if the fitted law is true: median and 95% interval."""
        law = result.law
        losses = self.losses(runs, result.predict(runs.columns))
        if losses is None:
            return None
        predicted = law.predict(refit(law, runs.columns, losses, result), runs.columns)
        errors = np.abs(predicted - losses).mean(axis=1)
        return Measure(float(np.median(errors)), *(percentiles(errors) or (None, None)))

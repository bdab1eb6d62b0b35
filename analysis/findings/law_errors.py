"""The errors of a law's predictions on a set of runs, with intervals from resamples.

Added noise makes errors larger on average, so an interval is the spread of the resampled errors around their own median,
laid around the measured error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.fits.fit import FitResult, refit
from analysis.fits.outcome import LEVEL, Interval, above, below, interval, percentiles
from analysis.fits.resample import Resamples
from analysis.laws.law import Array
from analysis.noise.spread import Spread
from analysis.tables.data import Mask, Runs, Tables


@dataclass(frozen=True)
class Measure:
    """A number and its interval, at 95% where nothing else is said; the bounds are None where the noise of the seeds is unknown, or where resamples have none."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def around(cls, value: float, draws: Array | None, *, least: float = -np.inf, level: float = LEVEL) -> Measure:
        """The spread of `draws` around their median, laid around `value` and cut at `least`."""
        spread = percentiles(draws, level)
        if draws is None or spread is None or not np.isfinite(value):
            return cls(value)
        low, high = (value + end - float(np.median(draws[np.isfinite(draws)])) for end in spread)
        return cls(value, max(least, low), max(least, high))

    @property
    def interval(self) -> Interval | None:
        """Both bounds, where they make an interval."""
        return interval(self.low, self.high)

    def inside(self, low: float, high: float) -> bool:
        """Whether the interval shows the number to lie between these two."""
        return above(self.interval, low) and below(self.interval, high)

    def outside(self, low: float, high: float) -> bool:
        """Whether the interval shows the number to be under the first or over the second."""
        return below(self.interval, low) or above(self.interval, high)


def cells(found: Measure | None, value: str, low: str = "low", high: str = "high") -> dict[str, float | None]:
    """A number and its bounds as cells of a table, under these names; None in each where nothing was measured."""
    own = (None, None, None) if found is None else (found.value, found.low, found.high)
    return dict(zip((value, low, high), own, strict=True))


def geometric_mean(values: Iterable[float], draws: Iterable[Array | None]) -> tuple[float | None, Interval | None]:
    """Of ratios, and its 95% interval if each ratio has draws (R,)."""
    logs, drawn = [np.log(value) for value in values], [np.log(own) for own in draws if own is not None]
    if not logs:
        return None, None
    known = len(drawn) == len(logs)
    return float(np.exp(np.mean(logs))), percentiles(np.exp(np.mean(drawn, axis=0))) if known else None


@dataclass(frozen=True)
class Errors:
    """Predicted minus actual loss of one law on one set of runs.

    Attributes:
        law: name in the registry.
        runs: the runs it is judged on, (n,).
        predicted: nats per token, (n,).
        draws: resampled predicted minus resampled actual, (R, n); None where the noise of the seeds is unknown.
    """

    law: str
    runs: Runs
    predicted: Array
    draws: Array | None

    @cached_property
    def residual(self) -> Array:
        return self.predicted - self.runs["loss"]

    def mean_abs(self, where: Mask | None = None) -> Measure:
        """Mean |predicted - actual| in nats, over all runs or those of a mask."""
        chosen = np.ones(len(self.runs), dtype=bool) if where is None else where
        draws = None if self.draws is None else np.abs(self.draws[:, chosen]).mean(axis=1)
        return Measure.around(float(np.abs(self.residual[chosen]).mean()), draws, least=0.0)

    def worse_than(self, other: Errors) -> Measure:
        """How much larger this law's mean |error| is than the other's on the same runs and draws."""
        if len(self.runs) != len(other.runs) or np.any(self.runs["run_id"] != other.runs["run_id"]):
            raise ValueError("errors on different runs")
        value = float(np.abs(self.residual).mean() - np.abs(other.residual).mean())
        if self.draws is None or other.draws is None:
            return Measure(value)
        return Measure.around(value, np.abs(self.draws).mean(axis=1) - np.abs(other.draws).mean(axis=1))

    def mean(self, where: Mask) -> Measure:
        """Mean predicted - actual in nats over the runs of a mask."""
        draws = None if self.draws is None else self.draws[:, where].mean(axis=1)
        return Measure.around(float(self.residual[where].mean()), draws)

    def drift(self, along: Array) -> Measure:
        """Slope of the residual against a number of each run (n,), by least squares: nats per unit of that number."""
        centred = along - along.mean()
        weights = centred / max(float(np.sum(centred**2)), np.finfo(float).tiny)
        return Measure.around(float(self.residual @ weights), None if self.draws is None else self.draws @ weights)


class SeedResamples:
    """Resamples that add the noise of the seeds, the same to a run wherever it appears; none where that noise is unknown.

    They are parametric, since a sweep has fewer than 12 clusters of runs. The same noise in every law and setting pairs the
    differences between laws.
    """

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

"""The laws on the same runs: fitted on one set, judged on another, with intervals from the seeds' noise.

The bootstrap is parametric, since a sweep has fewer than 12 clusters of runs: each resample adds noise of the seeds'
standard deviation to every loss, refits, and predicts again. A run has the same noise in every law and setting, so
that differences between laws are paired. Added noise makes errors larger on average, so an interval is the spread
of the resampled errors around their own median, laid around the measured error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from analysis.data import Mask, Runs, Tables
from analysis.fit import FitResult, fit, obstacle, refit
from analysis.law import Array, Columns
from analysis.laws import LAWS, N_AVG, N_DENSE, N_EFFECTIVE, N_FINAL, RIVALS
from analysis.noise import Spread
from analysis.outcome import Interval, interval, percentiles

RESAMPLES = 1000
INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class Measure:
    """A number and its 95% interval; the bounds are None where the seeds' noise is unknown, or where resamples have none."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def around(cls, value: float, draws: Array | None, *, least: float = -np.inf) -> Measure:
        """The spread of `draws` around their median, laid around `value` and cut at `least`."""
        spread = percentiles(draws)
        if draws is None or spread is None or not np.isfinite(value):
            return cls(value)
        low, high = (value + end - float(np.median(draws[np.isfinite(draws)])) for end in spread)
        return cls(value, max(least, low), max(least, high))

    @property
    def interval(self) -> Interval | None:
        """Both bounds, where they make an interval."""
        return interval(self.low, self.high)


@dataclass(frozen=True)
class Errors:
    """Predicted minus actual loss of one law on one set of runs.

    Attributes:
        law: name in the registry.
        runs: the runs it is judged on, (n,).
        predicted: nats a token, (n,).
        draws: resampled predicted minus resampled actual, (R, n); None where the seeds' noise is unknown.
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
        """Slope of the residual along a number of each run (n,), by least squares: nats per unit of it."""
        centred = along - along.mean()
        weights = centred / max(float(np.sum(centred**2)), np.finfo(float).tiny)
        return Measure.around(float(self.residual @ weights), None if self.draws is None else self.draws @ weights)


@dataclass(frozen=True)
class Setting:
    """One way to hold the laws against runs: what they are fitted on and judged on.

    Attributes:
        name: key. title: for readers. errors: by law, empty when `reason` says why it can't be done.
        fitted_runs: how many the fit saw (on average, where several parts are held out in turn).
        left_out: laws that what is left can't identify, with the reason.
    """

    name: str
    title: str
    fitted_runs: int
    errors: dict[str, Errors]
    reason: str | None
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Every setting, and the fits behind them.

    Attributes:
        law_fits: by law, fitted on the law set. obstacles: by law, why the others can't be.
        dense_fit: the power law on dense runs, where all counts are one; None with `dense_reason`.
        dense_draws: its resampled parameters (R, 5).
        law_draws: their resampled parameters (R, P), by law; empty where the seeds' noise is unknown.
        luck: by law, the mean |error| in nats that the law would have on the law set if it were the truth and only the
            seeds' noise stood between the two; empty where that noise is unknown.
    """

    law_fits: dict[str, FitResult]
    obstacles: dict[str, str]
    law_draws: dict[str, Array]
    dense_fit: FitResult | None
    dense_reason: str | None
    dense_draws: Array | None
    luck: dict[str, Measure]
    settings: dict[str, Setting]


IN_SAMPLE, DENSE_TO_SPARSE, DENSE_TO_GRID, LAW_TO_GRID = (
    "in sample",
    "dense to sparse",
    "dense to grid",
    "law set to grid",
)
LARGEST, LONGEST, SPARSEST, FAMILIES = ("largest size", "longest budget", "highest sparsity", "each family")


def compare(tables: Tables, noise: Spread | None, *, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Fits and judges every law of the registry.

    Args:
        tables: the sweep.
        noise: the seeds' noise; None leaves every interval out.
        resamples: of the bootstrap.
        seed: of the bootstrap's generator.
    """
    bootstrap = _Bootstrap.of(tables, noise, resamples, seed)
    law_set, dense = tables.law_set, tables.dense

    obstacles = {law.name: reason for law in RIVALS if (reason := obstacle(law, law_set.columns, law_set["loss"]))}
    law_fits = {law.name: fit(law, law_set.columns, law_set["loss"]) for law in RIVALS if law.name not in obstacles}
    law_draws = {name: bootstrap.refit(law_set, result) for name, result in law_fits.items()}

    dense_reason = obstacle(N_AVG, dense.columns, dense["loss"])
    dense_fit = None if dense_reason else fit(N_AVG, dense.columns, dense["loss"])
    dense_draws = None if dense_fit is None else bootstrap.refit(dense, dense_fit)

    on_law_set = {name: (result.theta, law_draws[name]) for name, result in law_fits.items()}
    on_dense: dict[str, tuple[Array, Array | None]] = {}
    if dense_fit is not None:
        # On dense runs all counts are one, so all laws are one fit; only w has to come from the law set.
        on_dense = {law.name: (dense_fit.theta, dense_draws) for law in (N_AVG, N_FINAL, N_DENSE)}
        if N_EFFECTIVE.name in law_fits:
            share, shares = law_fits[N_EFFECTIVE.name].theta[5:], law_draws[N_EFFECTIVE.name]
            draws = None if shares is None or dense_draws is None else np.hstack([dense_draws, shares[:, 5:]])
            on_dense[N_EFFECTIVE.name] = np.concatenate([dense_fit.theta, share]), draws

    grid = tables.grid
    fresh = grid.where(~np.isin(grid["run_id"].astype(str), law_set["run_id"].astype(str)))
    law_reason = obstacles.get(N_AVG.name)
    settings = [
        _setting(bootstrap, IN_SAMPLE, "fitted and judged on the law set", law_set, law_set, on_law_set, law_reason),
        _setting(
            bootstrap,
            DENSE_TO_SPARSE,
            "fitted on dense runs, judged on sparse runs at 25/50/25",
            dense,
            tables.sparse_at_paper_schedule,
            on_dense,
            dense_reason,
        ),
        _setting(
            bootstrap,
            DENSE_TO_GRID,
            "fitted on dense runs, judged on the whole schedule grid",
            dense,
            grid,
            on_dense,
            dense_reason,
        ),
        _setting(
            bootstrap,
            LAW_TO_GRID,
            "fitted on the law set, judged on the rest of the schedule grid",
            law_set,
            fresh,
            on_law_set,
            law_reason,
        ),
    ]
    luck = {
        name: measure for name, result in law_fits.items() if (measure := bootstrap.luck(law_set, result)) is not None
    }
    known = {name: draws for name, draws in law_draws.items() if draws is not None}
    return Comparison(
        law_fits, obstacles, known, dense_fit, dense_reason, dense_draws, luck, {s.name: s for s in settings}
    )


def hold_out(tables: Tables, noise: Spread | None, *, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[Setting]:
    """The law set without its extremes, or without each family in turn, judged on what was left out.

    Args: see `compare`; the noise drawn is the same.
    """
    law_set = tables.law_set
    if not len(law_set):
        return
    bootstrap = _Bootstrap.of(tables, noise, resamples, seed)
    ratio = np.round(law_set["dense_tokens"] / law_set["N_prunable"], 1)
    families = [law_set["family"] == name for name in dict.fromkeys(law_set["family"])]
    for name, title, parts in (
        (LARGEST, "the largest size", [law_set["N_prunable"] == law_set["N_prunable"].max()]),
        (LONGEST, "the most tokens per parameter", [ratio > 0.7 * ratio.max()]),
        (SPARSEST, "the highest sparsity", [law_set["sparsity"] == law_set["sparsity"].max()]),
        (FAMILIES, "each family (size and budget) in turn", families),
    ):
        yield _without(bootstrap, name, f"law set without {title}, judged on it", law_set, parts)


def _without(bootstrap: _Bootstrap, name: str, title: str, runs: Runs, parts: list[Mask]) -> Setting:
    judged = runs.where(np.concatenate([np.flatnonzero(part) for part in parts]))
    fitted = round(float(np.mean([len(runs) - part.sum() for part in parts])))
    errors, left_out = {}, {}
    for law in RIVALS:
        predicted, drawn = [], []
        for part in parts:
            train, test = runs.where(~part), runs.where(part)
            if reason := obstacle(law, train.columns, train["loss"]):
                left_out[law.name] = reason
                break
            result = fit(law, train.columns, train["loss"])
            draws, losses = bootstrap.refit(train, result), bootstrap.losses(test)
            predicted.append(result.predict(test.columns))
            drawn.append(None if draws is None or losses is None else law.predict(draws, _columns(test)) - losses)
        else:
            known = [d for d in drawn if d is not None]
            errors[law.name] = Errors(
                law.name, judged, np.concatenate(predicted), np.hstack(known) if len(known) == len(parts) else None
            )
    if N_AVG.name not in errors:
        return Setting(name, title, fitted, {}, left_out.get(N_AVG.name))
    return Setting(name, title, fitted, errors, None, left_out)


class _Bootstrap:
    """Losses with the seeds' noise added, the same for a run wherever it appears."""

    def __init__(self, runs: Runs, drawn: Array | None):
        self._drawn = drawn
        self._row = {run_id: i for i, run_id in enumerate(runs["run_id"])}

    @classmethod
    def of(cls, tables: Tables, noise: Spread | None, resamples: int, seed: int) -> _Bootstrap:
        drawn = None if noise is None else noise.draws((resamples, len(tables.runs)), np.random.default_rng(seed))
        return cls(tables.runs, drawn)

    def losses(self, runs: Runs, around: Array | None = None) -> Array | None:
        """Measured losses, or those given as `around` (n,), with noise: (R, n), or None where it is unknown."""
        if self._drawn is None:
            return None
        centre = runs["loss"] if around is None else around
        noise = self._drawn[:, [self._row[run_id] for run_id in runs["run_id"]]]
        return centre * np.exp(noise / centre)

    def refit(self, runs: Runs, result: FitResult) -> Array | None:
        losses = self.losses(runs)
        return None if losses is None else refit(LAWS[result.law], runs.columns, losses, result)

    def luck(self, runs: Runs, result: FitResult) -> Measure | None:
        """Mean |error| in sample that noise alone gives when the fitted law is the truth: median and 95% interval."""
        law = LAWS[result.law]
        losses = self.losses(runs, result.predict(runs.columns))
        if losses is None:
            return None
        predicted = law.predict(refit(law, runs.columns, losses, result), runs.columns)
        errors = np.abs(predicted - losses).mean(axis=1)
        return Measure(float(np.median(errors)), *(percentiles(errors) or (None, None)))


def _setting(
    bootstrap: _Bootstrap,
    name: str,
    title: str,
    fitted: Runs,
    judged: Runs,
    parameters: dict[str, tuple[Array, Array | None]],
    reason: str | None,
) -> Setting:
    if reason is None and not len(judged):
        reason = "no run to judge on"
    if reason is not None:
        return Setting(name, title, len(fitted), {}, reason)
    losses, columns = bootstrap.losses(judged), _columns(judged)
    errors = {}
    for name_of_law, (theta, resampled) in parameters.items():
        law = LAWS[name_of_law]
        draws = None if losses is None or resampled is None else law.predict(resampled, columns) - losses
        errors[law.name] = Errors(law.name, judged, law.predict(theta, columns), draws)
    return Setting(name, title, len(fitted), errors, None)


def _columns(runs: Runs) -> Columns:
    return {name: runs[name] for law in RIVALS for name in law.columns}

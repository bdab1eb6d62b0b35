"""Does one law predict better than another, on rows that neither was fitted to?

Laws are fitted to the rows that a split leaves and judged on those that it holds out, all on the same rows. The bootstrap
of a difference is paired: each resample draws clusters of fitted and of held-out rows once and takes every law through
them. A resample without a row to fit or without one to judge on says nothing and is drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.fits import resample
from analysis.fits.fit import FitResult, Information, fit, information, obstacle, refit
from analysis.fits.holdout import HeldOut
from analysis.fits.objective import Objective, scaled
from analysis.fits.outcome import Interval, above, below, enough_resamples, percentiles, positive_sigma
from analysis.fits.resample import LEAST_WEIGHT, Method
from analysis.laws.law import Array, Law
from analysis.tables.table import Table
from repro.errors import UserError

Outcome = Literal["better", "worse", "can't be told apart", "no interval"]
FLOOR = 0.04  # relative error that Choshen et al. 2024 (arXiv 2410.11840) take as a floor of such forecasts
LEAST_HELD = 2  # held-out clusters that are resampled: of one there is no spread


@dataclass(frozen=True)
class Judged:
    """One law on the held-out rows.

    Attributes:
        law: its name.
        fit: to all rows. information: of that fit.
        in_sample: mean |predicted - loss| of that fit, nats; this mean and those below by the rows' weights.
        held_out: mean |predicted - loss| on held-out rows, nats.
        relative: mean |predicted - loss| / loss on them, the ARE of Choshen et al. 2024 (arXiv 2410.11840).
        interval: of `held_out`; None without a bootstrap, or where `reason` says why.
        less: how much smaller the first law's error is than this one's, nats; None for the first itself.
        less_interval: of that difference.
        outcome: of the first law against this one.
        reason: why one of the intervals is missing; None where none is.
        residuals: predicted - loss on the held-out rows, in the order of `OutOfSample.rows`.
    """

    law: str
    fit: FitResult
    information: Information
    in_sample: float
    held_out: float
    relative: float
    interval: Interval | None
    less: float | None
    less_interval: Interval | None
    outcome: Outcome | None
    reason: str | None
    residuals: Array


@dataclass(frozen=True)
class Resampled:
    """The draws of the bootstrap. `redrawn`: draws that were repeated because they had no row to fit or to test on.

    Attributes:
        method: cases (rows), clusters, or parametric (the noise of the seeds).
        units, held_out_units: rows or clusters in all, and of those how many were held out.
    """

    method: Method
    resamples: int
    redrawn: int
    units: int
    held_out_units: int


@dataclass(frozen=True)
class OutOfSample:
    """Every law on the same held-out rows.

    Attributes:
        rows: their numbers in the source.
        best_seen: `relative` of a forecast without any law: the least loss of the rows that a split leaves to be fitted.
        resampled: None without a bootstrap.
    """

    splits: tuple[HeldOut, ...]
    rows: Array
    judged: tuple[Judged, ...]
    best_seen: float
    resampled: Resampled | None


def judge(
    laws: Sequence[Law],
    table: Table,
    splits: Sequence[HeldOut],
    objective: Objective = Objective(),
    *,
    resamples: int = 0,
    rng: np.random.Generator | None = None,
    sigma: float | None = None,
    weights: Array | None = None,
) -> OutOfSample:
    """Fits and tests every law, and compares the first with each of the others.

    Args:
        resamples: of the bootstrap; 0 leaves intervals out.
        sigma: the seeds' standard deviation in nats, for tables of fewer than 12 clusters.
        weights: of the rows, (n,), in fits and in means of errors; None weighs all alike.

    Raises:
        UserError: a law can't be fitted to what a split leaves; too few resamples or clusters; a sigma that isn't a
            positive number.
    """
    if sigma is not None:
        positive_sigma(sigma)
    if resamples:
        enough_resamples(resamples)
    for law in laws:
        for one in splits:
            reason = obstacle(law, _take(table, ~one.test, law), table.loss[~one.test])
            if reason:
                raise UserError(f"{law.name} can't be fitted without {one.name}", found=reason)
    order = np.concatenate([np.flatnonzero(one.test) for one in splits])
    rng = rng or np.random.default_rng(0)
    draws = _Bootstrap(table, splits, resamples, rng, sigma, weights) if resamples else None
    own_weights = None if weights is None else weights[order]
    judged: list[Judged] = []
    first: Array | None = None
    for law in laws:
        fits = [
            fit(law, _take(table, ~s.test, law), table.loss[~s.test], objective, weights=_at(weights, ~s.test))
            for s in splits
        ]
        predicted = [f.predict(_take(table, s.test, law)) for f, s in zip(fits, splits, strict=True)]
        error = np.concatenate(predicted) - table.loss[order]
        drawn = None if draws is None else draws.errors(law, fits)
        whole = fit(law, _take(table, np.ones(len(table), dtype=bool), law), table.loss, objective, weights=weights)
        size = float(np.average(np.abs(error), weights=own_weights))
        own = None if draws is None else draws.interval(drawn)
        less, interval, outcome = None, None, None
        if judged:
            less = size - judged[0].held_out
            interval = None if draws is None or drawn is None or first is None else draws.interval(drawn - first)
            outcome = _outcome(interval)
        else:
            first = drawn
        reason = None
        if own is None or outcome == "no interval":
            reason = "no bootstrap was asked for" if draws is None else draws.reason
        judged.append(
            Judged(
                law=law.name,
                fit=whole,
                information=information(whole, table.columns, table.loss, weights),
                in_sample=float(np.average(np.abs(whole.predict(table.columns) - table.loss), weights=weights)),
                held_out=size,
                relative=float(np.average(np.abs(error) / table.loss[order], weights=own_weights)),
                interval=own,
                less=less,
                less_interval=interval,
                outcome=outcome,
                reason=reason,
                residuals=error,
            )
        )
    lowest = np.concatenate([np.full(one.test.sum(), table.loss[~one.test].min()) for one in splits])
    best_seen = float(np.average(np.abs(lowest - table.loss[order]) / table.loss[order], weights=own_weights))
    resampled = None if draws is None else draws.summary
    return OutOfSample(tuple(splits), table.numbers[order], tuple(judged), best_seen, resampled)


def beside(best_seen: float) -> str:
    """Reference values for a relative error."""
    return f"relative: the least fitted loss, without a law, is off by {best_seen:.2%}; Choshen et al. 2024 name {FLOOR:.0%} as a floor"


def _outcome(interval: Interval | None) -> Outcome:
    if interval is None:
        return "no interval"
    if above(interval, 0):
        return "better"
    return "worse" if below(interval, 0) else "can't be told apart"


def _take(table: Table, rows: np.ndarray, law: Law) -> dict[str, Array]:
    return {name: table.columns[name][rows] for name in law.columns}


def _at(weights: Array | None, rows: np.ndarray) -> Array | None:
    """The weights of some rows, with a mean of 1."""
    return None if weights is None else scaled(weights[rows])


class _Bootstrap:
    """The same resamples for every law."""

    def __init__(
        self,
        table: Table,
        splits: Sequence[HeldOut],
        resamples: int,
        rng: np.random.Generator,
        sigma: float | None,
        weights: Array | None,
    ):
        self.table, self.splits = table, splits
        held = np.any([one.test for one in splits], axis=0)
        self.drawn = resample.draw(
            len(table), resamples, rng, clusters=table.clusters, sigma=sigma,
            needed=(held, *(~one.test for one in splits)),
        )  # fmt: skip
        self.losses = self.drawn.losses(table.loss)
        self.weights = np.ones(len(table)) if weights is None else weights
        units = len(np.unique(resample.members(len(table), table.clusters)[held]))
        self.summary = Resampled(self.drawn.method, resamples, self.drawn.redrawn, self.drawn.units, units)

    @property
    def reason(self) -> str:
        """Why there is no interval, if there is none."""
        if self._alone:
            return "one row or cluster was held out, and resampling it shows no spread"
        return "too many resamples end in a fit or an error that is not a finite number"

    @property
    def _alone(self) -> bool:
        return self.drawn.method != "parametric" and self.summary.held_out_units < LEAST_HELD

    def interval(self, draws: Array | None) -> Interval | None:
        """The interval of resampled numbers (R,)."""
        return None if self._alone else percentiles(draws)

    def errors(self, law: Law, fits: Sequence[FitResult]) -> Array:
        """Mean |error| on held-out rows of each resample, (R,)."""
        counts = self.drawn.counts
        total, weight = np.zeros(len(counts)), np.zeros(len(counts))
        for result, one in zip(fits, self.splits, strict=True):
            train, test = ~one.test, one.test
            weights = (counts[:, train] + LEAST_WEIGHT) * scaled(self.weights[train])
            theta = refit(law, _take(self.table, train, law), self.losses[:, train], result, weights=weights)
            with np.errstate(over="ignore", invalid="ignore"):  # a resample's law may leave all numbers behind
                error = np.abs(law.predict(theta, _take(self.table, test, law)) - self.losses[:, test])
            judged = counts[:, test] * self.weights[test]
            total += (error * judged).sum(axis=1)
            weight += judged.sum(axis=1)
        return total / weight

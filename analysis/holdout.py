"""Does one law predict better than another, on rows that neither was fitted to?

Rows are held out by what a user would extrapolate to: the largest size, the longest budget, the highest sparsity, or
each family in turn. Laws are fitted to the rest and judged on what was held out, all on the same rows. The bootstrap
of a difference is paired: each resample draws clusters of fitted and of held-out rows once and takes every law through
them. A resample without a row to fit or without one to judge on says nothing and is drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis import cells
from analysis.fit import FitResult, fit, obstacle, refit
from analysis.law import Array, Law
from analysis.laws import LAWS
from analysis.outcome import Interval, above, below, enough_resamples, percentiles, positive_sigma
from analysis.problem import Objective
from analysis.table import Table
from analysis.uncertainty import BATCH, CLUSTERS, Information, Method, information
from repro.errors import UserError

Outcome = Literal["better", "worse", "can't be told apart", "no interval"]
LEAST_HELD = 2  # held-out clusters that are resampled: of one there is no spread


@dataclass(frozen=True)
class Split:
    """Rows to judge on; the others are fitted. `name` says what was held out."""

    name: str
    test: np.ndarray


@dataclass(frozen=True)
class Judged:
    """One law on the held-out rows.

    Attributes:
        law: its name.
        fit: to all rows. information: of that fit.
        in_sample: mean |predicted - loss| of that fit, nats.
        held_out: mean |predicted - loss| on held-out rows, nats.
        interval: of `held_out`; None without a bootstrap, or where `reason` says why.
        less: how much smaller the first law's error is than this one's, nats; None for the first itself.
        less_interval: of that difference.
        outcome: of the first law against this one.
        reason: why one of the intervals is missing; None where none is.
        residuals: predicted - loss on the held-out rows, in the order of `Comparison.rows`.
    """

    law: str
    fit: FitResult
    information: Information
    in_sample: float
    held_out: float
    interval: Interval | None
    less: float | None
    less_interval: Interval | None
    outcome: Outcome | None
    reason: str | None
    residuals: Array


@dataclass(frozen=True)
class Resampled:
    """What the bootstrap drew. `redrawn`: draws left out, and drawn again, since they held no row to fit or to judge on.

    Attributes:
        method: cases (rows), clusters, or parametric (the seeds' noise).
        units, held_out_units: rows or clusters in all, and of those how many were held out.
    """

    method: Method
    resamples: int
    redrawn: int
    units: int
    held_out_units: int


@dataclass(frozen=True)
class Comparison:
    """Every law on the same held-out rows. `rows`: their numbers in the source. `resampled`: None without a bootstrap."""

    splits: tuple[Split, ...]
    rows: Array
    judged: tuple[Judged, ...]
    resampled: Resampled | None


def split(table: Table, rule: str) -> list[Split]:
    """Splits by a rule: `largest:COLUMN`, `lowest:COLUMN`, `share:0.2:COLUMN` (or `share:20%:COLUMN`) or `each:COLUMN`.

    `largest` holds out the rows with the column's largest value, `share` the largest fifth, `each` every value (or
    cluster, for `each:clusters`) in turn.

    Raises:
        UserError: no such rule, column or share, or nothing is left on one side.
    """
    kind, _, rest = rule.partition(":")
    if kind == "share":
        text, _, name = rest.partition(":")
        values = _values(table, name, rule)
        edge = np.quantile(values, 1 - _share(text, rule))
        found = [Split(f"{name} >= {edge:.6g}", values >= edge)]
    elif kind in ("largest", "lowest"):
        values = _values(table, rest, rule)
        edge = values.max() if kind == "largest" else values.min()
        found = [Split(f"{rest} = {edge:.6g}", values == edge)]
    elif kind == "each":
        values = (
            np.asarray(table.clusters)
            if rest == "clusters" and table.clusters is not None
            else _values(table, rest, rule)
        )
        found = [Split(f"{rest} = {value}", values == value) for value in np.unique(values)]
    else:
        raise UserError(
            "no such way to hold out", key="holdout", found=rule,
            expected="largest:COLUMN, lowest:COLUMN, share:0.2:COLUMN or each:COLUMN",
        )  # fmt: skip
    for one in found:
        if not one.test.any() or one.test.all():
            raise UserError("nothing is left to fit or to judge on", key="holdout", found=f"{rule}: {one.name}")
    return found


def _share(text: str, rule: str) -> float:
    try:
        share = cells.number(text, "share")
    except cells.NoNumber:
        share = np.nan
    if not 0 < share < 1:
        raise UserError(
            "not a share of the rows", key="holdout", found=rule, expected="share:0.2:COLUMN or share:20%:COLUMN, of (0, 1)"
        )  # fmt: skip
    return share


def _values(table: Table, name: str, rule: str) -> Array:
    if name not in table.columns:
        raise UserError("no such column to hold out by", key="holdout", found=rule, expected=", ".join(table.columns))
    return table.columns[name]


def compare(
    laws: Sequence[Law],
    table: Table,
    splits: Sequence[Split],
    objective: Objective = Objective(),
    *,
    resamples: int = 0,
    rng: np.random.Generator | None = None,
    sigma: float | None = None,
) -> Comparison:
    """Fits and judges every law; the first is held against each of the others.

    Args:
        resamples: of the bootstrap; 0 leaves intervals out.
        sigma: the seeds' standard deviation in nats, for tables of fewer than 12 clusters.

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
    draws = _Draws(table, splits, resamples, rng or np.random.default_rng(0), sigma) if resamples else None
    errors, drawn = [], []
    for law in laws:
        fits = [fit(law, _take(table, ~s.test, law), table.loss[~s.test], objective) for s in splits]
        predicted = [f.predict(_take(table, s.test, law)) for f, s in zip(fits, splits, strict=True)]
        errors.append(np.concatenate(predicted) - table.loss[order])
        drawn.append(None if draws is None else draws.errors(law, fits))
    judged = []
    for law, error, draw in zip(laws, errors, drawn, strict=True):
        whole = fit(law, _take(table, np.ones(len(table), dtype=bool), law), table.loss, objective)
        size, first = float(np.abs(error).mean()), float(np.abs(errors[0]).mean())
        own = None if draws is None else draws.interval(draw)
        less, interval, outcome = None, None, None
        if law is not laws[0]:
            less = size - first
            interval = None if draws is None or draw is None or drawn[0] is None else draws.interval(draw - drawn[0])
            outcome = _outcome(interval)
        reason = None
        if own is None or outcome == "no interval":
            reason = "no bootstrap was asked for" if draws is None else draws.reason
        judged.append(
            Judged(
                law=law.name,
                fit=whole,
                information=information(whole, table.columns, table.loss),
                in_sample=float(np.abs(whole.predict(table.columns) - table.loss).mean()),
                held_out=size,
                interval=own,
                less=less,
                less_interval=interval,
                outcome=outcome,
                reason=reason,
                residuals=error,
            )
        )
    return Comparison(tuple(splits), table.rows[order], tuple(judged), None if draws is None else draws.resampled)


def _outcome(interval: Interval | None) -> Outcome:
    if interval is None:
        return "no interval"
    if above(interval, 0):
        return "better"
    return "worse" if below(interval, 0) else "can't be told apart"


def _take(table: Table, rows: np.ndarray, law: Law) -> dict[str, Array]:
    return {name: table.columns[name][rows] for name in law.columns}


class _Draws:
    """How often each row was drawn, or the noise that was added to it: the same for every law."""

    def __init__(
        self, table: Table, splits: Sequence[Split], resamples: int, rng: np.random.Generator, sigma: float | None
    ):
        self.table, self.splits = table, splits
        labels = np.arange(len(table)) if table.clusters is None else table.clusters
        _, member = np.unique(labels, return_inverse=True)
        units, redrawn = int(member.max()) + 1, 0
        held, *fitted = (
            np.isin(np.arange(units), member[rows])
            for rows in (np.any([one.test for one in splits], axis=0), *(~one.test for one in splits))
        )
        self.counts: Array = np.ones((resamples, len(table)))
        self.losses: Array = table.loss[None]
        method: Method = "cases" if table.clusters is None else "clusters"
        if units >= CLUSTERS:
            drawn = rng.multinomial(units, np.full(units, 1 / units), size=resamples)
            # One unit of any number is missed by about 1/e of the draws, so this ends.
            while len(
                missed := np.flatnonzero(np.any([drawn[:, u].sum(axis=1) == 0 for u in (held, *fitted)], axis=0))
            ):
                redrawn += len(missed)
                drawn[missed] = rng.multinomial(units, np.full(units, 1 / units), size=len(missed))
            self.counts = drawn[:, member].astype(float)
        elif sigma is not None:
            method = "parametric"
            noise = rng.standard_normal((resamples, len(table))) * sigma
            self.losses = table.loss * np.exp(noise / table.loss)
        else:
            raise UserError(
                "too few clusters to resample",
                found=f"{units} of them",
                expected=f"at least {CLUSTERS}, or --sigma, the seeds' standard deviation in nats",
            )
        self.resampled = Resampled(method, resamples, redrawn, units, int(held.sum()))

    @property
    def reason(self) -> str:
        """Why there is no interval where there is none."""
        if self._alone:
            return "one row or cluster was held out, and resampling it shows no spread"
        return "too many resamples end in a fit or an error that is not a finite number"

    @property
    def _alone(self) -> bool:
        return self.resampled.method != "parametric" and self.resampled.held_out_units < LEAST_HELD

    def interval(self, draws: Array | None) -> Interval | None:
        """The interval of resampled numbers (R,)."""
        return None if self._alone else percentiles(draws)

    def errors(self, law: Law, fits: Sequence[FitResult]) -> Array:
        """Mean |error| on held-out rows of each resample, (R,)."""
        total, weight = np.zeros(len(self.counts)), np.zeros(len(self.counts))
        for result, one in zip(fits, self.splits, strict=True):
            train, test = ~one.test, one.test
            losses = self.losses[:, train] if len(self.losses) > 1 else self.table.loss[None, train]
            thetas = []
            for i in range(0, len(self.counts), BATCH):
                part = losses if len(losses) == 1 else losses[i : i + BATCH]
                # A resample may miss all but a few rows; a little of every row keeps it from having no minimum.
                drawn = self.counts[i : i + BATCH, train] + 1e-6
                thetas.append(refit(law, _take(self.table, train, law), part, result, weights=drawn))
            actual = self.losses[:, test] if len(self.losses) > 1 else self.table.loss[None, test]
            with np.errstate(over="ignore", invalid="ignore"):  # a resample's law may leave all numbers behind
                error = np.abs(law.predict(np.vstack(thetas), _take(self.table, test, law)) - actual)
            total += (error * self.counts[:, test]).sum(axis=1)
            weight += self.counts[:, test].sum(axis=1)
        return total / weight


def by_name(names: Sequence[str]) -> list[Law]:
    """Laws of the registry. Raises UserError for a name that isn't one."""
    for name in names:
        if name not in LAWS:
            raise UserError("no such law", key="law", found=name, expected=", ".join(LAWS))
    return [LAWS[name] for name in names]

"""Does one law predict better than another, on rows that neither was fitted to?

Rows are held out by what a user would extrapolate to: the largest size, the longest budget, the highest sparsity, or
each family in turn. Laws are fitted to the rest and judged on what was held out, all on the same rows. The bootstrap
of a difference is paired: each resample draws clusters of fitted and of held-out rows once and takes every law through
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.fit import FitResult, fit, obstacle, refit
from analysis.law import Array, Law
from analysis.laws import LAWS
from analysis.problem import Objective
from analysis.table import Table
from analysis.uncertainty import BATCH, CLUSTERS, LEVEL, Information, information
from repro.errors import UserError

Outcome = Literal["better", "worse", "can't be told apart", "no interval"]


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
        interval: of `held_out`; None without a bootstrap.
        less: how much smaller the first law's error is than this one's, nats; None for the first itself.
        less_interval: of that difference.
        outcome: of the first law against this one.
        residuals: predicted - loss on the held-out rows, in the order of `Comparison.rows`.
    """

    law: str
    fit: FitResult
    information: Information
    in_sample: float
    held_out: float
    interval: tuple[float, float] | None
    less: float | None
    less_interval: tuple[float, float] | None
    outcome: Outcome | None
    residuals: Array


@dataclass(frozen=True)
class Comparison:
    """Every law on the same held-out rows. `rows`: their numbers in the source."""

    splits: tuple[Split, ...]
    rows: Array
    judged: tuple[Judged, ...]


def split(table: Table, rule: str) -> list[Split]:
    """Splits by a rule: `largest:COLUMN`, `lowest:COLUMN`, `share:0.2:COLUMN` or `each:COLUMN`.

    `largest` holds out the rows with the column's largest value, `share` the largest fifth, `each` every value (or
    cluster, for `each:clusters`) in turn.

    Raises:
        UserError: no such rule or column, or nothing is left on one side.
    """
    kind, _, rest = rule.partition(":")
    if kind == "share":
        text, _, name = rest.partition(":")
        values = _values(table, name, rule)
        edge = np.quantile(values, 1 - float(text))
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
        UserError: a law can't be fitted to what a split leaves.
    """
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
        own, less, interval, outcome = None, None, None, None
        if draw is not None:
            own = _interval(draw)
        if law is not laws[0]:
            less = size - first
            interval = None if draw is None or drawn[0] is None else _interval(draw - drawn[0])
            outcome = _outcome(interval)
        judged.append(
            Judged(
                law.name,
                whole,
                information(whole, table.columns, table.loss),
                float(np.abs(whole.predict(table.columns) - table.loss).mean()),
                size,
                own,
                less,
                interval,
                outcome,
                error,
            )
        )
    return Comparison(tuple(splits), table.rows[order], tuple(judged))


def _outcome(interval: tuple[float, float] | None) -> Outcome:
    if interval is None:
        return "no interval"
    if interval[0] > 0:
        return "better"
    return "worse" if interval[1] < 0 else "can't be told apart"


def _interval(draws: Array) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


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
        units = int(member.max()) + 1
        self.counts: Array = np.ones((resamples, len(table)))
        self.losses: Array = table.loss[None]
        if units >= CLUSTERS:
            self.counts = rng.multinomial(units, np.full(units, 1 / units), size=resamples)[:, member].astype(float)
        elif sigma is not None:
            noise = rng.standard_normal((resamples, len(table))) * sigma
            self.losses = table.loss * np.exp(noise / table.loss)
        else:
            raise UserError(
                "too few clusters to resample",
                found=f"{units} of them",
                expected=f"at least {CLUSTERS}, or --sigma, the seeds' standard deviation in nats",
            )

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
            error = np.abs(law.predict(np.vstack(thetas), _take(self.table, test, law)) - actual)
            total += (error * self.counts[:, test]).sum(axis=1)
            weight += self.counts[:, test].sum(axis=1)
        return (
            total[weight > 0] / weight[weight > 0]
            if (weight > 0).all()
            else np.where(weight > 0, total / np.maximum(weight, 1), np.nan)
        )


def by_name(names: Sequence[str]) -> list[Law]:
    """Laws of the registry. Raises UserError for a name that isn't one."""
    for name in names:
        if name not in LAWS:
            raise UserError("no such law", key="law", found=name, expected=", ".join(LAWS))
    return [LAWS[name] for name in names]

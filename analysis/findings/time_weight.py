"""A weight in time: N_w = sum of w(t) N(t), w proportional to ((t + 1/2)/T)^kappa, against N_avg, which is kappa = 0.

The law is the dense runs' and stays as it is: only kappa is fitted, by least squares, to members of mirrored sets. Held
out by kind: kappa is fitted to the other kinds. Resamples draw whole sets, and the law's parameters with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.findings.arrow import Arrow
from analysis.findings.law_errors import Measure
from analysis.fits.outcome import percentiles
from analysis.laws.law import Array
from analysis.laws.registry import N_AVG
from analysis.tables.mirrored import KINDS, Kind
from analysis.tables.time_weights import weighted_counts

# Exponents that are tried: so fine that the interval's margin of .1 holds ten of them.
KAPPAS = np.concatenate([np.arange(-90, 200) / 100, np.arange(200, 1001, 10) / 100])
AVERAGE = int(np.flatnonzero(KAPPAS == 0)[0])
LEAST_SETS = 3  # under which drawing sets says nothing
MOST_RESAMPLES = 400


@dataclass(frozen=True)
class TimeWeight:
    """The fitted exponent, and what it is worth on kinds that it wasn't fitted to.

    Attributes:
        kappa: with its 95% interval. at_end: whether it is the first or the last that was tried.
        sets: members of one family and seed. runs: of all.
        error, error_avg: mean |predicted - actual| held out by kind, with N_w and with N_avg, nats. gain: the first less the second.
        by_kind: kind, kappa without it, mean |error| on it with N_w and with N_avg.
    """

    kappa: Measure
    at_end: bool
    sets: int
    runs: int
    error: float
    error_avg: float
    gain: Measure
    by_kind: tuple[tuple[Kind, float, float, float], ...]


def time_weight(arrow: Arrow) -> TimeWeight | str:
    """Fits the exponent, or says why it can't be."""
    law = arrow.law
    if isinstance(law, str):
        return law
    members = [(kind, own.members[kind]) for own in arrow.sets for kind in KINDS if kind in own.members]
    if not {"falling", "rising"} <= {kind for kind, _ in members}:
        return "no mirrored set has a rising and a falling run"
    counts, tokens, losses = (
        np.concatenate(parts)
        for parts in zip(*((weighted_counts(r, KAPPAS), r["D"], r["loss"]) for _, r in members), strict=True)
    )
    kinds = np.array([kind for kind, runs in members for _ in range(len(runs))], dtype=object)
    names = [(family, seed) for _, runs in members for family, seed in zip(runs["family"], runs["seed"], strict=True)]
    sets = {name: i for i, name in enumerate(dict.fromkeys(names))}
    member = np.array([sets[name] for name in names])
    grid = _Grid(counts, tokens, losses, kinds, member, len(sets))
    best, predictions = grid.fitted(law.theta, np.ones(len(sets)))
    found = grid.errors(predictions, np.ones(len(sets)))
    kappas, gains = _drawn(arrow, grid)
    return TimeWeight(
        Measure(float(KAPPAS[best]), *(percentiles(kappas) or (None, None))),
        best in (0, len(KAPPAS) - 1),
        len(sets),
        len(losses),
        *found,
        Measure.around(found[0] - found[1], gains),
        tuple(_by_kind(grid, predictions)),
    )


@dataclass(frozen=True)
class _Predicted:
    """Predicted less actual losses: `off` (n, K) at each exponent; `held_out`: of each kind, the exponent fitted without it."""

    off: Array
    held_out: dict[str, int]


@dataclass(frozen=True)
class _Grid:
    """N_w (n, K), tokens, losses and kinds of runs, and the set that each is a member of."""

    counts: Array
    tokens: Array
    losses: Array
    kinds: np.ndarray
    member: np.ndarray
    sets: int

    def fitted(self, theta: Array, weights: Array) -> tuple[int, _Predicted]:
        """Place of the best exponent over all kinds, and of those without one kind; `weights` (sets,) are how often a set counts."""
        off = N_AVG.predict(theta, {"N_avg": self.counts, "D": self.tokens[:, None]}) - self.losses[:, None]
        squares = off**2 * weights[self.member][:, None]
        by_kind = {kind: squares[self.kinds == kind].sum(axis=0) for kind in dict.fromkeys(self.kinds)}
        total = sum(by_kind.values(), np.zeros(len(KAPPAS)))
        held_out = {kind: int(np.argmin(total - own)) for kind, own in by_kind.items()}
        return int(np.argmin(total)), _Predicted(off, held_out)

    def errors(self, predicted: _Predicted, weights: Array) -> tuple[float, float]:
        """Mean |error| held out by kind, with N_w and with N_avg."""
        at = np.array([predicted.held_out[kind] for kind in self.kinds])
        own, average = np.abs(predicted.off[np.arange(len(at)), at]), np.abs(predicted.off[:, AVERAGE])
        of_run = weights[self.member] / weights[self.member].sum()
        return float(own @ of_run), float(average @ of_run)


def _drawn(arrow: Arrow, grid: _Grid) -> tuple[Array | None, Array | None]:
    """Exponents and gains (R,) of resampled sets; None of too few sets, or without resamples of the law."""
    if arrow.law_draws is None or grid.sets < LEAST_SETS:
        return None, None
    rng = np.random.default_rng([arrow.seed, 5])
    kappas, gains = [], []
    for theta in arrow.law_draws[:MOST_RESAMPLES]:
        weights = rng.multinomial(grid.sets, np.full(grid.sets, 1 / grid.sets)).astype(float)
        best, predicted = grid.fitted(theta, weights)
        own, average = grid.errors(predicted, weights)
        # argmin takes what isn't finite for the least.
        kappas.append(KAPPAS[best] if np.isfinite(predicted.off).all() else np.nan)
        gains.append(own - average)
    return np.array(kappas), np.array(gains)


def _by_kind(grid: _Grid, predicted: _Predicted) -> list[tuple[Kind, float, float, float]]:
    found = []
    for kind, at in predicted.held_out.items():
        off = np.abs(predicted.off[grid.kinds == kind]).mean(axis=0)
        found.append((kind, float(KAPPAS[at]), float(off[at]), float(off[AVERAGE])))
    return found  # type: ignore[return-value]

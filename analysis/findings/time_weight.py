"""A weight in time: N_w = sum of w(t) N(t), w proportional to ((t + 1/2)/T)^kappa, against N_avg, which is kappa = 0.

The law is the dense runs' and stays as it is: only kappa is fitted, by least squares, to members of mirrored sets, each kind
of each set a point: its mean over seeds. Held out by kind: kappa is fitted to the other kinds. Runs of one seed may share
their luck, so that the error of the runs' own noise is a jackknife's, which leaves out one seed at a time; what the law
doesn't tell comes from its resamples, in each of which every point lies off it by a draw of the lack of fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.findings.arrow import Arrow
from analysis.findings.law_errors import Measure
from analysis.laws.law import Array
from analysis.laws.registry import N_AVG
from analysis.tables.data import Runs
from analysis.tables.mirrored import KINDS, Kind
from analysis.tables.schedules import weighted_counts

# Exponents that are tried: so fine that the interval's margin of .1 holds ten of them.
KAPPAS = np.concatenate([np.arange(-90, 200) / 100, np.arange(200, 1001, 10) / 100])
AVERAGE = int(np.flatnonzero(KAPPAS == 0)[0])
LEAST_SEEDS = 2  # of fewer none can be left out
MOST_RESAMPLES = 400
DRAWS = 4000  # of Student's t, over the resamples


@dataclass(frozen=True)
class TimeWeight:
    """The fitted exponent, and its errors on kinds that it wasn't fitted to.

    Attributes:
        kappa: with its 95% interval. at_end: whether it is the first or the last that was tried.
        points: members of all sets, each over its seeds. runs, seeds: of all.
        error, error_avg: mean |predicted - actual| held out by kind, with N_w and with N_avg, nats. gain: the first less the second.
        by_kind: kind, kappa without it, mean |error| on it with N_w and with N_avg.
    """

    kappa: Measure
    at_end: bool
    points: int
    runs: int
    seeds: int
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
    grid = _Grid.of(members)
    everything = np.ones(grid.losses.shape[1])
    found = grid.fitted(law.theta, everything)
    kappas, gains = _drawn(arrow, grid)
    return TimeWeight(
        Measure.around(found.kappa, kappas),
        found.best in (0, len(KAPPAS) - 1),
        len(grid.tokens),
        int(np.isfinite(grid.losses).sum()),
        len(everything),
        *found.errors,
        Measure.around(found.gain, gains),
        tuple(found.by_kind()),
    )


@dataclass(frozen=True)
class _Weighed:
    """What each exponent leaves over of some points.

    Attributes:
        off: |predicted - actual| (n, K). squares: their sum of squares over runs (K,). runs: how many are behind each point.
        kinds: of the points. without: of each kind, the place of the exponent fitted to the others.
    """

    off: Array
    squares: Array
    runs: Array
    kinds: np.ndarray
    without: dict[Kind, int]

    @property
    def best(self) -> int:
        """Index of the exponent with the smallest residuals."""
        return int(np.argmin(self.squares))

    @property
    def kappa(self) -> float:
        """The best exponent, interpolated: the minimum of the parabola through the best one tried and its neighbours."""
        if not np.isfinite(self.off).all():  # of which argmin takes one for the least
            return float("nan")
        if self.best in (0, len(KAPPAS) - 1):
            return float(KAPPAS[self.best])
        near = slice(self.best - 1, self.best + 2)
        bend, slope, _ = np.polyfit(KAPPAS[near] - KAPPAS[self.best], self.squares[near], 2)
        return float(KAPPAS[self.best] - (slope / (2 * bend) if bend > 0 else 0.0))

    @property
    def gain(self) -> float:
        """Mean |error| held out by kind with N_w, less that with N_avg."""
        own, average = self.errors
        return own - average

    @property
    def errors(self) -> tuple[float, float]:
        """Mean |error| held out by kind, with N_w and with N_avg."""
        at = np.array([self.without[kind] for kind in self.kinds])
        share = self.runs / self.runs.sum()
        return float(self.off[np.arange(len(at)), at] @ share), float(self.off[:, AVERAGE] @ share)

    def by_kind(self) -> Iterator[tuple[Kind, float, float, float]]:
        for kind, at in self.without.items():
            own = self.kinds == kind
            off = self.runs[own] @ self.off[own] / self.runs[own].sum()
            yield kind, float(KAPPAS[at]), float(off[at]), float(off[AVERAGE])


@dataclass(frozen=True)
class _Grid:
    """N_w (n, K), tokens and kinds of points, and the losses of their runs (n, seeds), nan where a seed is missing."""

    counts: Array
    tokens: Array
    kinds: np.ndarray
    losses: Array

    @classmethod
    def of(cls, members: Sequence[tuple[Kind, Runs]]) -> _Grid:
        """From members of sets, each of one kind."""
        seeds = sorted({seed for _, runs in members for seed in runs["seed"]})
        losses = np.full((len(members), len(seeds)), np.nan)
        for own, (_, runs) in zip(losses, members, strict=True):
            own[[seeds.index(seed) for seed in runs["seed"]]] = runs["loss"]
        first = [runs.where(np.array([0])) for _, runs in members]
        counts = np.concatenate([weighted_counts(own, KAPPAS) for own in first])
        tokens = np.concatenate([own["D"] for own in first])
        return cls(counts, tokens, np.array([kind for kind, _ in members], dtype=object), losses)

    def fitted(self, theta: Array, seeds: Array, off_law: Array | float = 0.0) -> _Weighed:
        """The residuals of each exponent at the points that have runs.

        Args:
            theta: of the law. seeds: (seeds,) 1 for those that count, 0 for others.
            off_law: nats that points lie above the law, (n,).
        """
        weights = np.isfinite(self.losses) * seeds
        runs = weights.sum(axis=1)
        there = runs > 0
        means = np.where(weights > 0, self.losses, 0.0).sum(axis=1)[there] / runs[there]
        predicted = N_AVG.predict(theta, {"N_avg": self.counts, "D": self.tokens[:, None]}).T + off_law
        off, runs, kinds = np.abs(predicted.T[there] - means[:, None]), runs[there], self.kinds[there]
        squares = runs[:, None] * off**2
        by_kind = {kind: squares[kinds == kind].sum(axis=0) for kind in dict.fromkeys(kinds)}
        total = sum(by_kind.values(), np.zeros(len(KAPPAS)))
        return _Weighed(off, total, runs, kinds, {kind: int(np.argmin(total - own)) for kind, own in by_kind.items()})


def _drawn(arrow: Arrow, grid: _Grid) -> tuple[Array | None, Array | None]:
    """Exponents and gains (DRAWS,) with all that they may be off by; None of too few seeds, or without resamples of the law."""
    points, seeds = grid.losses.shape
    if arrow.law_draws is None or isinstance(arrow.law, str) or seeds < LEAST_SEEDS:
        return None, None
    rng = np.random.default_rng([arrow.seed, 5])
    left_out = [grid.fitted(arrow.law.theta, row) for row in 1 - np.eye(seeds)]
    resampled = [
        grid.fitted(theta, np.ones(seeds), misfit * rng.standard_normal(points))
        for theta, misfit in zip(arrow.law_draws.theta[:MOST_RESAMPLES], arrow.law_draws.misfit, strict=False)
    ]
    without, draws = (np.array([(own.kappa, own.gain) for own in found]) for found in (left_out, resampled))
    errors = np.sqrt((seeds - 1) * without.var(axis=0))
    kappas, gains = (draws[np.arange(DRAWS) % len(draws)] + errors * rng.standard_t(seeds - 1, (DRAWS, 1))).T
    return kappas, gains

"""Which further runs narrow a prediction most for their price.

Resampled parameters of a fit say how uncertain the loss at a target is, and how it is correlated with the losses of runs that
could be trained. A run that is measured with noise of sd sigma takes Cov(t, c)^2 / (Var(c) + sigma^2) off the variance
of the target t, and so do further ones given those before: regression within a Gaussian vector. Where the draws lie
close together this is the Gauss-Newton information of the linearised law; where the law bends, or a parameter sits at a
bound, the draws follow it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.fits.fit import FitResult, refit
from analysis.fits.outcome import Interval, enough_resamples, percentiles
from analysis.fits.priced_runs import ROUNDING, PricedRuns
from analysis.fits.resample import CLUSTERS, Resamples, draw
from analysis.laws.law import Array, Columns, Law
from repro.errors import UserError

MOST = 1000  # runs among which is chosen: pairs are looked at, all of them
FEWEST_DRAWS = 50
SHARES = (0.5, 0.8, 0.97)  # of the budget that the first run has where a search starts, beside an equal share
ROUNDS = 20  # of a search, over all pairs of its runs
ENOUGH = 1e-9  # relative gain under which a search ends


@dataclass(frozen=True)
class NextRuns:
    """Runs to train next.

    Attributes:
        runs: positions among the priced runs, dearest first; one that stands there twice is trained with two seeds.
        price: of all of them.
        share: of the interval's width that is left after them.
    """

    runs: tuple[int, ...]
    price: float
    share: float


def noise_of(result: FitResult, columns: Columns, loss: Array) -> float:
    """The sd of one run's loss in nats, from the residuals of a fit.

    Raises:
        UserError: too few rows to tell, or residuals of zero.
    """
    left = len(loss) - len(result.theta)
    residual = result.predict(columns) - loss
    found = float(np.sqrt(np.sum(residual**2) / left)) if left > 0 else 0.0
    if not found > 1e-9 * float(np.abs(loss).max()):
        raise UserError(
            "the noise of a run can't be estimated from this fit", key="--sigma", found=f"{len(loss)} rows, all fitted exactly",
            expected="the seeds' standard deviation in nats",
        )  # fmt: skip
    return found


def draws(
    result: FitResult,
    columns: Columns,
    loss: Array,
    *,
    sigma: float,
    resamples: int,
    rng: np.random.Generator,
    clusters: NDArray[np.object_] | None = None,
) -> Array:
    """Parameters (R, P) refitted to fitted losses with noise of sd `sigma` nats; to whole clusters where there are enough.

    Args:
        columns, loss: what `result` was fitted on.
        clusters: (n,) labels of rows whose errors go together.

    Raises:
        UserError: too few resamples.
    """
    enough_resamples(resamples)
    if clusters is not None and len(np.unique(clusters)) >= CLUSTERS:
        return refit(
            result.law, columns, loss[None], result, weights=draw(len(loss), resamples, rng, clusters=clusters).counts
        )
    drawn = Resamples.parametric(rng.standard_normal((resamples, len(loss))) * sigma)
    return refit(result.law, columns, drawn.losses(result.predict(columns)), result)


class Prospect:
    """The effect of further runs on a prediction.

    Args:
        law: of the draws. theta: (R, P) of them.
        runs: those that could be trained.
        target: columns (1,) of the prediction.
        sigma: the sd of a run's loss in nats.

    Attributes:
        interval: of the prediction, as it is.

    Raises:
        UserError: too many runs; draws that have no number at the target or at a run.
    """

    def __init__(self, law: Law, theta: Array, runs: PricedRuns, target: Columns, sigma: float):
        if len(runs) > MOST:
            raise UserError(
                "too many runs to choose from", key="--candidates", found=len(runs), expected=f"{MOST:,} at most"
            )
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            there, beyond = law.predict(theta, runs.columns), law.predict(theta, target)
        found = percentiles(beyond[:, 0])
        known = np.isfinite(there).all(axis=1) & np.isfinite(beyond).all(axis=1)
        if found is None or known.sum() < FEWEST_DRAWS:
            raise UserError(
                "the prediction has no interval", key="--target", found="resampled fits without a number there",
                expected="rows that identify the law, or another target",
            )  # fmt: skip
        self.interval: Interval = found
        self.price, self.noise = runs.price, sigma**2
        self.covariance = np.cov(np.hstack([there, beyond])[known], rowvar=False)  # the target is last

    def share(self, chosen: Sequence[int]) -> float:
        """Share of the interval's width that remains after these runs."""
        return float(np.sqrt(self._after(chosen)[-1, -1] / self.covariance[-1, -1]))

    def singles(self) -> Array:
        """Share that remains after each single run, (m,)."""
        left = self.covariance[-1, -1] - self._gains(self.covariance)
        return np.sqrt(left / self.covariance[-1, -1])

    def by_price(self, factor: float = 2.0) -> list[NextRuns]:
        """Single runs that no cheaper or equally dear run beats, cheapest first, each `factor` times dearer than the one before."""
        found: list[NextRuns] = []
        share, edge = self.singles(), float(self.price.min()) * factor
        while edge / factor < self.price.max():
            paid = np.flatnonzero(self.price <= edge * (1 + ROUNDING))
            best = int(paid[np.argmin(share[paid])])
            if not found or share[best] < found[-1].share:
                found.append(NextRuns((best,), float(self.price[best]), float(share[best])))
            edge *= factor
        return found

    def best(self, count: int, budget: float) -> NextRuns:
        """The `count` runs that narrow the interval most and together cost at most `budget`.

        One run or two are the best there are. With more, pairs are exchanged until no other pair in the place of any
        two is better, from several starts.

        Raises:
            UserError: so many runs can't be paid.
        """
        if count * self.price.min() > budget * (1 + ROUNDING):
            raise UserError(
                "the budget pays for fewer runs", key="--runs", found=count,
                expected=f"at most {int(budget / self.price.min())} of the cheapest, at {self.price.min():.4g} each",
            )  # fmt: skip
        found = min((self._search(start, budget) for start in self._starts(count, budget)), key=self.share)
        order = tuple(sorted(found, key=lambda run: -self.price[run]))
        return NextRuns(order, float(self.price[list(order)].sum()), self.share(order))

    def _starts(self, count: int, budget: float) -> list[list[int]]:
        if count < 3:
            return [[int(np.argmin(self.price))] * count]
        found = []
        for first in (1 / count, *SHARES):
            chosen: list[int] = []
            for part in (first, *[(1 - first) / (count - 1)] * (count - 1)):
                paid = np.flatnonzero(self.price <= max(part * budget, self.price.min()))
                chosen.append(int(paid[np.argmax(self._gains(self._after(chosen))[paid])]))
            if self.price[chosen].sum() <= budget:
                found.append(chosen)
        return found or [[int(np.argmin(self.price))] * count]

    def _search(self, start: list[int], budget: float) -> list[int]:
        if len(start) == 1:
            paid = np.flatnonzero(self.price <= budget * (1 + ROUNDING))
            return [int(paid[np.argmax(self._gains(self.covariance)[paid])])]
        chosen, left = start, self._after(start)[-1, -1]
        for _ in range(ROUNDS):
            before = left
            for pair in itertools.combinations(range(len(chosen)), 2):
                rest = [run for i, run in enumerate(chosen) if i not in pair]
                paid = budget * (1 + ROUNDING) - self.price[rest].sum()
                given = self._after(rest)
                gain = np.where(self.price[:, None] + self.price <= paid, self._pair_gains(given), -np.inf)
                two = np.unravel_index(np.argmax(gain), gain.shape)
                if given[-1, -1] - gain[two] < left:
                    chosen, left = [*rest, *(int(run) for run in two)], given[-1, -1] - gain[two]
            if left >= before * (1 - ENOUGH):
                break
        return chosen

    def _after(self, chosen: Sequence[int]) -> Array:
        """The covariance (m + 1, m + 1) once runs have been measured."""
        if not chosen:
            return self.covariance
        own = self.covariance[list(chosen)]
        measured = own[:, list(chosen)] + self.noise * np.eye(len(chosen))
        return np.asarray(self.covariance - own.T @ np.linalg.solve(measured, own))

    def _gains(self, covariance: Array) -> Array:
        """What each run takes off the target's variance, (m,)."""
        return covariance[-1, :-1] ** 2 / (np.diag(covariance)[:-1] + self.noise)

    def _pair_gains(self, covariance: Array) -> Array:
        """The same of any two runs, (m, m); of one with itself, where it is trained twice."""
        with_target, among, own = covariance[-1, :-1], covariance[:-1, :-1], np.diag(covariance)[:-1] + self.noise
        crossed = with_target[:, None] * with_target * among
        squares = with_target[:, None] ** 2 * own
        return np.asarray((squares + squares.T - 2 * crossed) / (own[:, None] * own - among**2))

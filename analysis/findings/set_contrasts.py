"""Compares two kinds of run in one mirrored set at equal seeds, in nats and as a ratio of their N_eff."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from analysis.findings.arrow import SHARE, Arrow, margin
from analysis.findings.dense_slope import Slope, log_worth
from analysis.findings.law_errors import Measure
from analysis.findings.matched import Matched, difference_noise, matched, mean_error
from analysis.findings.pairs import FAR, PAIR_DRAWS
from analysis.fits.outcome import Interval, percentiles
from analysis.noise.spread import CONFIDENCE, Spread
from analysis.tables.data import Runs
from analysis.tables.mirrored import MirroredSet

Sides = tuple[MirroredSet, Runs, Runs]  # whose runs they are, the one and the other


@dataclass(frozen=True)
class SetContrast:
    """The difference between two kinds of run in one set.

    Attributes:
        own: the set. matched: the runs.
        difference: nats, with its interval. ratio: of the dense sizes that end at the two losses, with an interval that holds
            the slope's error, too; None with `reason`.
        margin: nats that ten percent of N_avg is worth there; None with `reason`.
    """

    own: MirroredSet
    matched: Matched
    difference: Measure
    ratio: Measure | None
    margin: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Contrasted:
    """Contrasts with intervals that are simultaneous at 95%. `spread`: of one seed's difference."""

    each: tuple[SetContrast, ...]
    spread: Spread | None

    @property
    def mean(self) -> tuple[float | None, Interval | None]:
        """Mean difference over the sets in nats, and its own 95% interval."""
        if not self.each:
            return None, None
        value = float(np.mean([c.difference.value for c in self.each]))
        if self.spread is None:
            return value, None
        half = self.spread.quantile((1 - CONFIDENCE) / 2) * mean_error([c.matched for c in self.each], self.spread)
        return value, (value - half, value + half)


def contrasted(arrow: Arrow, sides: Iterable[Sides], alike: Iterable[Sides] = ()) -> Contrasted:
    """The difference between two kinds of run over some sets, at the seeds that both have.

    Args:
        alike: further ones of the same two kinds, over whose differences the noise is pooled as well.
    """
    found, others = (
        [(own, pair) for own, one, other in some if (pair := matched(one, other)) is not None]
        for some in (sides, alike)
    )
    spread = difference_noise([pair for _, pair in (*found, *others)], arrow.noise)
    tail = (1 - CONFIDENCE) / 2 / max(1, len(found))
    each = (_weighed(arrow, own, pair, spread, tail, i) for i, (own, pair) in enumerate(found))
    return Contrasted(tuple(each), spread)


def _weighed(arrow: Arrow, own: MirroredSet, pair: Matched, spread: Spread | None, tail: float, at: int) -> SetContrast:
    difference, slope = pair.measure(spread, tail), arrow.slope(own.n_avg, own.d)
    if not isinstance(slope, Slope):
        return SetContrast(own, pair, difference, None, None, reason=slope)
    ratio = size_ratio(arrow, pair, slope, spread, tail, at)
    return SetContrast(own, pair, difference, ratio, margin(slope))


def size_ratio(arrow: Arrow, pair: Matched, slope: Slope, spread: Spread | None, tail: float, at: int) -> Measure:
    """Ratio of the N_eff of the two; its interval includes the error of the slope.

    Args:
        spread: of one seed's difference; None: no interval. tail: probability beyond each end.
        at: which of several, for draws of its own.
    """
    value = float(np.exp(log_worth(np.array(pair.difference), np.array(slope.value), arrow.alpha)))
    ends = None
    if spread is not None:
        rng = np.random.default_rng([arrow.seed, at])
        drawn = pair.difference + spread.sd / float(np.sqrt(pair.seeds)) * rng.standard_t(spread.dof, size=PAIR_DRAWS)
        ends = percentiles(log_worth(drawn, slope.draws(PAIR_DRAWS, rng), arrow.alpha), 1 - 2 * tail)
    return Measure(value, *np.exp(np.clip(ends, -np.log(FAR), np.log(FAR))).tolist()) if ends else Measure(value)


def alike(ratio: Measure) -> bool:
    """Whether the two sizes are shown to be within ten percent of each other."""
    return ratio.inside(1 / SHARE, SHARE)


def apart(ratio: Measure) -> bool:
    """Whether they are shown to be further apart than that."""
    return ratio.outside(1 / SHARE, SHARE)

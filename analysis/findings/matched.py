"""Two configurations at the seeds that both have, and the noise of their difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.findings.law_errors import Measure
from analysis.laws.law import Array
from analysis.noise.spread import Noise, Spread, known_spread
from analysis.tables.data import Runs


@dataclass(frozen=True)
class Matched:
    """`one` and `other`: runs, one a seed, in the same order of seeds."""

    one: Runs
    other: Runs

    @property
    def seeds(self) -> int:
        return len(self.one)

    @property
    def runs(self) -> tuple[str, ...]:
        """The ids of both sides."""
        return (*self.one["run_id"], *self.other["run_id"])

    @property
    def differences(self) -> Array:
        """Loss of one less that of the other in nats, a seed each."""
        return self.one["loss"] - self.other["loss"]

    @property
    def difference(self) -> float:
        """Their mean."""
        return float(self.differences.mean())

    def measure(self, spread: Spread | None, tail: float) -> Measure:
        """The mean difference with its interval.

        Args:
            spread: of one seed's difference; None leaves the interval out.
            tail: probability outside on each side.
        """
        if spread is None:
            return Measure(self.difference)
        half = spread.quantile(tail) * spread.sd / float(np.sqrt(self.seeds))
        return Measure(self.difference, self.difference - half, self.difference + half)


def matched(one: Runs, other: Runs) -> Matched | None:
    """Two configurations at the seeds that both have; None where they have none in common."""
    at = [{int(seed): i for i, seed in enumerate(runs["seed"])} for runs in (one, other)]
    seeds = sorted(at[0].keys() & at[1].keys())
    if not seeds:
        return None
    return Matched(*(runs.where(np.array([own[s] for s in seeds])) for runs, own in zip((one, other), at, strict=True)))


def difference_noise(found: Sequence[Matched], noise: Noise) -> Spread | None:
    """sd of a difference over seeds, pooled; where these seeds don't tell it, that of two independent runs."""
    # Two that are of the same runs make one difference, not two.
    repeated = [own.differences for own in {own.runs: own for own in found}.values() if own.seeds > 1]
    if repeated:
        squares = sum(float(np.sum((d - d.mean()) ** 2)) for d in repeated)
        level = max(float(np.abs(own.one["loss"]).max()) for own in found)
        pooled = known_spread(squares, sum(len(d) - 1 for d in repeated), len(repeated), level)
        if isinstance(pooled, Spread):
            return pooled
    if noise.overall is None:
        return None
    return Spread.from_squares(2 * noise.overall.sd**2 * noise.overall.dof, noise.overall.dof, noise.overall.groups)

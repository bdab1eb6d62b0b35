"""Compares two configurations at the seeds that both have, with the noise of the difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.findings.law_errors import Measure
from analysis.laws.law import Array
from analysis.noise.spread import Noise, Spread, paired_spread
from analysis.tables.data import Runs


@dataclass(frozen=True)
class Matched:
    """`one` and `other`: runs of two configurations, one per seed, in the same order of seeds."""

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
    def recipes(self) -> set[str]:
        """The configurations of both sides, by recipe hash."""
        return {*self.one["recipe"], *self.other["recipe"]}

    @property
    def differences(self) -> Array:
        """Loss of `one` less that of `other`, nats, by seed."""
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
    seeds, of_one, of_other = np.intersect1d(one["seed"], other["seed"], return_indices=True)
    return Matched(one.where(of_one), other.where(of_other)) if len(seeds) else None


def difference_noise(found: Sequence[Matched], noise: Noise) -> Spread | None:
    """Pooled sd of a difference over seeds; if these seeds are too few, that of two independent runs.

    Differences to one partner share that partner's noise, so that they aren't told apart by their own deviations. So it is
    runs that are pooled: of pairs that have a configuration in common, directly or by others between them, all runs
    together, of which each configuration and each seed has its own mean. For a pair that shares nothing these are its differences.
    """
    pooled = paired_spread([_runs_of(group) for group in _sharing([own for own in found if own.seeds > 1])])
    if isinstance(pooled, Spread):
        return pooled
    if noise.overall is None:
        return None
    return Spread.from_squares(2 * noise.overall.sd**2 * noise.overall.dof, noise.overall.dof, noise.overall.groups)


def mean_error(found: Sequence[Matched], spread: Spread) -> float:
    """Standard error of the mean difference over pairs, nats; a run that is in several pairs counts with its total weight.

    Args:
        spread: of one seed's difference, which two runs make that are alike in noise.
    """
    weights: dict[str, float] = defaultdict(float)
    for own in found:
        for runs, sign in ((own.one, 1), (own.other, -1)):
            for run_id in runs["run_id"]:
                weights[run_id] += sign / own.seeds / len(found)
    return spread.sd * float(np.sqrt(sum(weight**2 for weight in weights.values()) / 2))


def _sharing(found: Sequence[Matched]) -> list[list[Matched]]:
    """The pairs in groups that have no configuration in common."""
    groups: list[tuple[set[str], list[Matched]]] = []
    for own in found:
        names, members = set(_sides(own)), [own]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names, members = names | group[0], group[1] + members
        groups.append((names, members))
    return [members for _, members in groups]


def _sides(pair: Matched) -> tuple[str, str]:
    return str(pair.one["recipe"][0]), str(pair.other["recipe"][0])


def _runs_of(group: Sequence[Matched]) -> tuple[list[str], list[float], Array]:
    """Configuration, seed and loss of every run of some pairs, each run once."""
    runs = {
        run_id: (name, seed, loss)
        for pair in group
        for name, side in zip(_sides(pair), (pair.one, pair.other), strict=True)
        for run_id, seed, loss in zip(side["run_id"], side["seed"], side["loss"], strict=True)
    }
    names, seeds, losses = zip(*runs.values(), strict=True)
    return list(names), list(seeds), np.array(losses)

"""The noise of the seeds as a distribution to draw from: the sweep's residuals within configurations, not a normal distribution.

The shape comes from all residuals together, each divided by the standard deviation of its kind of run; the standard
deviation of a kind is its own where the kinds' differ by a test, and the pooled one elsewhere. Where runs of one
family and seed are shown to share a part of their noise, a part is drawn once for all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from analysis.laws.law import Array
from analysis.noise import configurations
from analysis.noise.configurations import Configuration
from analysis.noise.spread import measure
from analysis.tables.data import Runs, Tables

ENOUGH = 12  # degrees of freedom from which residuals stand for themselves, and not for a normal distribution
OWN = 4  # degrees of freedom from which a kind may have a standard deviation of its own
DIFFERENT = 0.05  # p of Bartlett's test under which the kinds' standard deviations differ


@dataclass(frozen=True)
class SeedNoise:
    """The distribution of a loss around the mean of its configuration.

    Attributes:
        sd: nats, pooled. by_kind: of the kinds that have one of their own.
        shared: share of the variance that runs of one model shape, budget and seed have in common.
        shape: (m,) residuals with mean square 1 to draw from; None for a normal distribution.
    """

    sd: float
    by_kind: Mapping[str, float]
    shared: float
    shape: Array | None

    @classmethod
    def normal(cls, sd: float) -> SeedNoise:
        return cls(sd, {}, 0.0, None)

    @classmethod
    def measured(cls, tables: Tables) -> SeedNoise | None:
        """From a sweep's own repeated runs; None if they measure no noise."""
        runs = configurations.base_runs(tables)
        noise = measure(runs)
        if noise.overall is None:
            return None
        several = [c for c in configurations.find(runs) if c.dof]
        squares: dict[str, float] = defaultdict(float)
        dofs: dict[str, int] = defaultdict(int)
        for own in several:
            squares[_kind(own)] += own.squares
            dofs[_kind(own)] += own.dof
        pooled = noise.overall.sd
        by_kind = _own_sds({kind: (np.sqrt(squares[kind] / dof), dof) for kind, dof in dofs.items() if dof >= OWN})
        shape = None
        if noise.overall.dof >= ENOUGH:
            scaled = np.concatenate([_full(own) / by_kind.get(_kind(own), pooled) for own in several])
            shape = scaled / np.sqrt(np.mean(scaled**2))
        shared = 0.0
        if noise.paired is not None:
            shared = max(0.0, 1 - noise.paired.sd**2 / 2 / noise.overall.sd**2)
        return cls(pooled, by_kind, shared, shape)

    def scaled(self, factor: float) -> SeedNoise:
        """The same with standard deviations `factor` times as large."""
        by_kind = {kind: factor * sd for kind, sd in self.by_kind.items()}
        return replace(self, sd=factor * self.sd, by_kind=by_kind)

    def draw(self, kind: list[str], family: list[tuple[object, ...]], rng: np.random.Generator) -> Array:
        """Noise of runs, (n,) in nats.

        Args:
            kind: of each run, as `kinds` has it.
            family: of each run, equal where runs share shape, budget and seed.
        """
        place: dict[tuple[object, ...], int] = {}
        member = np.array([place.setdefault(own, len(place)) for own in family], dtype=int)
        own, common = self._unit(len(kind), rng), self._unit(len(place), rng)
        unit = np.sqrt(1 - self.shared) * own + np.sqrt(self.shared) * common[member]
        return np.array([self.by_kind.get(name, self.sd) for name in kind]) * unit

    def _unit(self, count: int, rng: np.random.Generator) -> Array:
        if self.shape is None:
            return rng.standard_normal(count)
        return rng.choice(self.shape, size=count)

    @property
    def said(self) -> str:
        """In a sentence's part."""
        apart = ", ".join(f"{kind} {sd:.4f}" for kind, sd in sorted(self.by_kind.items()))
        how = "a normal distribution" if self.shape is None else f"{len(self.shape)} measured residuals"
        common = (
            f"; {self.shared:.0%} of its variance is common to runs of one shape, budget and seed"
            if self.shared
            else ""
        )
        return f"σ {self.sd:.4f} nats{f' ({apart})' if apart else ''}, drawn from {how}{common}"


def kinds(runs: Runs) -> list[str]:
    """Of each run: its size, and whether it is dense, a dense partner, or how sparse."""
    by_recipe = {c.runs["recipe"][0]: _kind(c) for c in configurations.find(runs)}
    return [by_recipe[recipe] for recipe in runs["recipe"]]


def families(runs: Runs) -> list[tuple[object, ...]]:
    """Of each run, what it shares with those whose noise has a part in common: shape, budget and seed."""
    names = ("size", "budget", "d_model", "mlp", "layers", "seed")
    return list(zip(*(runs[name] for name in names), strict=True))


def _kind(configuration: Configuration) -> str:
    what = f"{configuration.sparsity:.0%}" if configuration.kind == "sparse" else configuration.kind
    return f"{configuration.base} {what}"


def _full(configuration: Configuration) -> Array:
    """Deviations from the mean, as wide as those from the true mean would be."""
    seeds = len(configuration.losses)
    return (configuration.losses - configuration.losses.mean()) * np.sqrt(seeds / (seeds - 1))


def _own_sds(known: dict[str, tuple[float, int]]) -> dict[str, float]:
    """The kinds' standard deviations where Bartlett's test tells them apart; none otherwise, and none of a kind without noise."""
    if len(known) < 2 or any(sd <= 0 for sd, _ in known.values()):
        return {}
    sds, dofs = np.array([sd for sd, _ in known.values()]), np.array([dof for _, dof in known.values()])
    total = dofs.sum()
    joint = float((dofs * sds**2).sum() / total)
    excess = total * np.log(joint) - float((dofs * np.log(sds**2)).sum())
    correction = 1 + (float((1 / dofs).sum()) - 1 / total) / 3 / (len(dofs) - 1)
    if stats.chi2.sf(excess / correction, len(dofs) - 1) >= DIFFERENT:
        return {}
    return {kind: float(sd) for kind, (sd, _) in known.items()}

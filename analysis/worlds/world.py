"""World: the runs of a sweep, with the mean losses they would have if a law were exactly true; the claims' rules are tried on it.

Each claim's module defines the world in which it is exactly true and the one in which it is false by its margin, as changes of
this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from analysis.laws.law import Array, Law
from analysis.laws.registry import N_AVG
from analysis.tables.data import Tables


@dataclass(frozen=True)
class World:
    """A sweep's runs in a world of E + A/X^α + B/D^β.

    Attributes:
        tables: the runs; their losses are what `losses()` gives.
        theta: E, A, α, B, β.
        settings: (n,) nats that a run loses by other settings than the tuned ones, whatever its sparsity.
    """

    tables: Tables
    theta: Array
    settings: Array

    @classmethod
    def of(cls, tables: Tables, theta: Array, settings: Array) -> World:
        """The world of the law in N_avg. Arguments: see the class; the losses in `tables` don't matter."""
        bare = cls(tables, theta, settings)
        return replace(bare, tables=with_losses(tables, bare.losses()))

    def losses(self, law: Law = N_AVG) -> Array:
        """Mean losses (n,) in nats per token where X is the count of `law`; N_avg and D are those of the whole life."""
        runs = self.tables.runs
        return law.predict(self.theta, {**runs.columns, **runs.life}) + self.settings

    def at_size(self, size: float, tokens: float) -> float:
        """Mean loss of a dense run of `size` prunable weights, at the tuned settings."""
        return float(N_AVG.predict(self.theta, {"N_avg": np.array([size]), "D": np.array([tokens])})[0])

    def changed(self, wanted: Mapping[str, float]) -> Array:
        """Mean losses (n,) of the law in N_avg, but for the configurations that `wanted` names by their recipe."""
        runs = self.tables.runs
        return np.array([wanted.get(recipe, loss) for recipe, loss in zip(runs["recipe"], runs["loss"], strict=True)])


def with_losses(tables: Tables, losses: Array) -> Tables:
    """The same runs with other losses (n,)."""
    return replace(tables, runs=replace(tables.runs, columns={**tables.runs.columns, "loss": losses}))

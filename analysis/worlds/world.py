"""Worlds: the runs of a sweep, or its curves after pruning, with the mean losses they would have if a law were exactly true; the
claims' rules are tried on them.

Each claim's module defines the world in which it is exactly true and the one in which it is false by its margin, as changes of
these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from analysis.laws.law import Array, Law
from analysis.laws.registry import N_AVG, P2
from analysis.tables.curve_roles import RANDOM
from analysis.tables.data import Mask, Tables
from analysis.tables.post_training import CurvePoints

WORSE = 1.3  # what a random criterion loses, over what the criterion loses


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


@dataclass(frozen=True)
class RecoveryWorld:
    """A sweep's curves in a world of P2.

    Attributes:
        points: of all curves; their losses don't matter.
        theta: parameters of P2, by method.
        dense: E, A, alpha, B, beta of the law in N_avg; None where dense runs don't tell it.
    """

    points: CurvePoints
    theta: Mapping[str, Array]
    dense: Array | None = None

    def losses(self, points: CurvePoints | None = None) -> Array:
        """Mean losses (n,) in nats per token; of the same curves with other columns where `points` is given.

        A model that lost nothing stays at its parent's loss; a random criterion, or a learning rate that was tried beside the
        usual one, loses WORSE times what P2 says.
        """
        points = points or self.points
        known, loss = sorted(self.theta), points["L0"].copy()
        for method in dict.fromkeys(points["method"]):
            twin = _twin(method, known)
            own = (points["method"] == method) & (points["rho"] > 0)
            if twin is None or not own.any():
                continue
            columns = {name: points[name][own] for name in P2.columns}
            lost = P2.predict(self.theta[twin], columns) - columns["L0"]
            worse = points["role"][own] == "tried"
            loss[own] += lost * np.where(worse | method.startswith(RANDOM), WORSE, 1.0)
        return loss

    def shifted(self, chosen: Mask, nats: Array | float) -> Array:
        """The same, but for points (n,) of a mask, which end `nats` higher."""
        return np.asarray(self.losses() + np.where(chosen, nats, 0.0))

    def over_the_life(self, share: float = 1.0) -> Array:
        """Mean losses (n,) of the law in N_avg over the whole life; a pruned model is worth `share` of that average.

        Raises:
            ValueError: there is no dense law.
        """
        if self.dense is None:
            raise ValueError("no dense law")
        worth = np.where(self.points["role"] == "control", 1.0, share)
        return N_AVG.predict(self.dense, {"N_avg": worth * self.points["N_avg"], "D": self.points["D_life"]})


def _twin(method: str, known: list[str]) -> str | None:
    """The method of `known` that a method is, or whose random control it is."""
    if method in known:
        return method
    kind = method.removeprefix(f"{RANDOM}-")
    return next((name for name in known if name.startswith(kind)), known[0] if known else None)

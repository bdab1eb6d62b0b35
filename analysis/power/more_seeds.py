"""What would let a sweep confirm a claim that it rarely confirms: more seeds of the runs that the rule uses, or less noise.

Both are found by simulation: the sweep's design is drawn with more seeds, or with smaller noise, and judged
in worlds in which the claim is exactly true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np

from analysis import claims
from analysis.claims import Claim
from analysis.laws.law import Array
from analysis.noise.seed_noise import SeedNoise
from analysis.power import simulation
from analysis.power.error_rates import ENOUGH_POWER, Power
from analysis.tables.data import Tables

Number = TypeVar("Number", int, float)

WORLDS = 60  # of each design tried: a share of 80% is then known to ±10%
SEEDS = (1, 2, 3, 5, 8, 13, 21)
FACTORS = (0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def needed(
    tables: Tables, theta: Array, noise: SeedNoise, found: Power, *, misfit: float = 0.0, worlds: int = WORLDS
) -> Iterator[str]:
    """A line for each claim that is confirmed in fewer than ENOUGH_POWER of the worlds in which it is true.

    Args:
        tables, theta, noise, misfit: what `found` was drawn from.
    """
    for claim in claims.judged(tables):
        rates = found.claims[claim.CLAIM]
        if rates.power >= ENOUGH_POWER:
            continue
        why = f"; mostly: {rates.hindrance}" if rates.hindrance else ""
        chance = partial(simulation.chance, theta=theta, claim=claim.CLAIM, misfit=misfit, worlds=worlds)
        seeds, factor = _seeds(tables, noise, claim, chance), _factor(tables, noise, chance)
        quieter = (
            f"σ of {factor * noise.sd:.4f} nats, {factor:g} of what it is"
            if factor is not None
            else f"no σ down to {FACTORS[-1]:g} of what it is"
        )
        yield f"({claim.CLAIM}) power {rates.power:.0%}{why}. For {ENOUGH_POWER:.0%}: {seeds}; or {quieter}."


def with_seeds(tables: Tables, recipes: set[str], more: int) -> Tables:
    """The tables with `more` further seeds for some configurations, different from those that they have."""
    runs = tables.runs
    source = [int(np.flatnonzero(runs["recipe"] == recipe)[0]) for recipe in sorted(recipes)]
    last = int(runs["seed"].max())
    rows = np.array([i for i in source for _ in range(more)], dtype=int)
    added = runs.where(rows)
    seeds = np.tile(np.arange(last + 1, last + more + 1, dtype=float), len(source))
    ids = np.array(
        [f"{run_id}-more{seed:.0f}" for run_id, seed in zip(added["run_id"], seeds, strict=True)], dtype=object
    )
    columns = {
        name: np.concatenate([values, {"seed": seeds, "run_id": ids}.get(name, added[name])])
        for name, values in runs.columns.items()
    }
    return replace(tables, runs=replace(runs, columns=columns))


def _seeds(tables: Tables, noise: SeedNoise, claim: Claim, chance: Callable[..., float]) -> str:
    recipes: set[str] = claim.repeated(tables)
    if not recipes:
        return "more seeds don't help, as its rule reads one of each run"
    more = _first(SEEDS, lambda more: chance(with_seeds(tables, recipes, more), noise=noise) >= ENOUGH_POWER)
    if more is None:
        return f"not even {SEEDS[-1]} more seeds of {len(recipes)} configurations"
    return f"{more} more seed{'s' if more > 1 else ''} of {len(recipes)} configurations ({more * len(recipes)} runs)"


def _factor(tables: Tables, noise: SeedNoise, chance: Callable[..., float]) -> float | None:
    return _first(FACTORS, lambda factor: chance(tables, noise=noise.scaled(factor)) >= ENOUGH_POWER)


def _first(values: Sequence[Number], enough: Callable[[Number], bool]) -> Number | None:
    """The first of the values that is enough, where those after it are too; None where not even the last one is."""
    if not enough(values[-1]):  # what the sweep doesn't hold, no noise brings
        return None
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(values[middle]) else (middle + 1, high)
    return values[low]

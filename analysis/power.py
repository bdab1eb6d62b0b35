"""How often each claim's rule would say what, in worlds with this sweep's runs, seeds and noise where the truth is known.

A world takes the sweep's own runs, a law fitted to them as the truth, and the seeds' noise as it was measured; the
claims' own rules then judge it as they judge the sweep. The same noise is drawn for all truths.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from analysis import claims, configurations, seed_noise
from analysis.claims import Outcome, robustness
from analysis.claims.verdict import ClaimRates, Rates
from analysis.data import Tables
from analysis.error_rates import Power
from analysis.evidence import Evidence
from analysis.fit import fit, obstacle
from analysis.law import Array
from analysis.laws import N_AVG, N_FINAL
from analysis.seed_noise import SeedNoise
from analysis.worlds import World, with_losses
from repro import schemas

WORLDS = 200
RESAMPLES = 200  # of a world's bootstrap: the rates are those of 1,000 (tests/analysis/test_power.py)
FEW = 16  # worlds up to which other processes cost more than they save
TRUTHS = (N_AVG, N_FINAL)


@dataclass(frozen=True)
class _Design:
    """What all worlds share: mean losses (n,) by truth, and what noise is drawn for."""

    tables: Tables
    noise: SeedNoise
    kinds: list[str]
    families: list[tuple[object, ...]]
    laws: dict[str, Array]
    own: dict[tuple[str, bool], Array]
    resamples: int


def simulate(
    tables: Tables,
    theta: Array,
    noise: SeedNoise,
    *,
    worlds: int = WORLDS,
    resamples: int = RESAMPLES,
    seed: int = 0,
    cores: int | None = None,
) -> Power:
    """Draws worlds and judges them.

    Args:
        tables: the runs; their losses don't matter, but for those at other learning rates and batches.
        theta: E, A, α, B, β of the truth.
        noise: of the seeds.
        worlds: of each truth.
        resamples: behind each interval in a world.
        seed: of the generator.
        cores: processes, on whose number the rates don't depend; all cores when None, and one for a few worlds.
    """
    bare = replace(tables, **{name: schemas.SCHEMAS[name].empty_table() for name in ("curves", "layers")})
    world = World.of(bare, theta, robustness.settings_cost(bare))
    runs, judged = world.tables.runs, claims.judged(bare)
    design = _Design(
        tables=world.tables,
        noise=noise,
        kinds=seed_noise.kinds(runs),
        families=seed_noise.families(runs),
        laws={law.name: world.losses(law) for law in TRUTHS},
        own={
            (claim.CLAIM, true): claim.true_world(world) if true else claim.false_world(world)
            for claim in judged
            for true in (True, False)
        },
        resamples=resamples,
    )
    said = list(_judged(design, worlds, seed, cores))
    rates = {
        claim.CLAIM: ClaimRates(
            Rates.of([own[claim.CLAIM, "True"] for own in said]),
            Rates.of([own[claim.CLAIM, "False"] for own in said]),
            claim.TRUE,
            claim.FALSE,
        )
        for claim in judged
    }
    laws = {
        law.name: {claim.CLAIM: Rates.of([own[claim.CLAIM, law.name] for own in said]) for claim in judged}
        for law in TRUTHS
    }
    values = ", ".join(f"{name} {value:.4g}" for name, value in zip(N_AVG.names, theta, strict=True))
    return Power(worlds, resamples, noise.said, f"{N_AVG.formula} with {values}", rates, laws)


def truth(tables: Tables) -> Array | None:
    """E, A, α, B, β fitted to the sweep's dense runs, or else to its law set or to the dense runs of its map; None where none can tell them."""
    base = configurations.base_runs(tables)
    for runs in (tables.dense, tables.law_set, base.where(~base.sparse)):
        if len(runs) and obstacle(N_AVG, runs.columns, runs["loss"]) is None:
            return fit(N_AVG, runs.columns, runs["loss"]).theta
    return None


def _judged(design: _Design, worlds: int, seed: int, cores: int | None) -> Iterator[dict[tuple[str, str], Outcome]]:
    """Of each world, what the rules say of each claim in each truth."""
    if cores is None:
        cores = 1 if worlds <= FEW else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    one = partial(_judge, design, seed)
    if cores == 1:
        yield from map(one, range(worlds))
        return
    # A fresh interpreter each: this one may hold threads.
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(one, range(worlds), chunksize=max(1, min(10, worlds // cores // 2)))


def _judge(design: _Design, seed: int, world: int) -> dict[tuple[str, str], Outcome]:
    drawn = design.noise.draw(design.kinds, design.families, np.random.default_rng([seed, world]))
    said: dict[tuple[str, str], Outcome] = {}
    judged = claims.judged(design.tables)
    first: Evidence | None = None
    for name, mean in design.laws.items():
        evidence = Evidence(with_losses(design.tables, mean + drawn), design.resamples, laws=(N_AVG,), like=first)
        said |= {(claim.CLAIM, name): claim.rule(evidence)[0] for claim in judged}
        first = first or evidence
    for claim in judged:
        for true in (True, False):
            mean = design.own[claim.CLAIM, true]
            same = next((name for name, other in design.laws.items() if np.array_equal(mean, other)), None)
            if same is not None:
                said[claim.CLAIM, str(true)] = said[claim.CLAIM, same]
            else:
                # A claim's own worlds leave alone the runs on which the fits that it reads were made.
                moved = with_losses(design.tables, mean + drawn)
                own = Evidence(moved, design.resamples, laws=(N_AVG,), like=first, refitted=False)
                said[claim.CLAIM, str(true)] = claim.rule(own)[0]
    return said

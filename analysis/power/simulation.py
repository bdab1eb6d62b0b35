"""How often each claim's rule gives each verdict, in simulated sweeps with this sweep's runs, seeds and noise and a known truth.

A simulated sweep (world) has the sweep's runs, a law fitted to them as the truth, and the measured noise of the seeds; the
claims' rules then judge it as they judge the sweep. The same noise is drawn for all truths. Claims that compare a law of dense
runs with other runs are tried with configurations that deviate from the law as much as the sweep's dense ones do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from analysis import claims
from analysis.claims import Claim, Outcome, schedule
from analysis.claims.arrow import OF_DENSE_LAW
from analysis.claims.regret import TOP
from analysis.claims.verdict import Rates
from analysis.findings import setting_lines
from analysis.findings.evidence import Evidence
from analysis.fits.fit import fit, obstacle
from analysis.laws.law import Array
from analysis.laws.registry import N_AVG, N_FINAL
from analysis.noise import configurations, seed_noise
from analysis.noise.seed_noise import SeedNoise
from analysis.power import WORLDS
from analysis.power.error_rates import Power, over_worlds, rates_of
from analysis.tables.data import Tables
from analysis.tables.schedules import grid_cells
from analysis.worlds.world import World, with_losses
from repro import schemas

RESAMPLES = 200  # of a world's bootstrap: the rates are those of 1,000 (tests/analysis/power/test_simulation.py)
TRUTHS = (N_AVG, N_FINAL)

Said = dict[tuple[str, str], tuple[Outcome, str]]  # by claim and truth, what a rule says of a world and why


@dataclass(frozen=True)
class _Design:
    """What all worlds share: mean losses (n,) by truth, and what noise is drawn for."""

    tables: Tables
    theta: Array
    noise: SeedNoise
    kinds: list[str]
    families: list[tuple[object, ...]]
    laws: dict[str, Array]
    own: dict[tuple[str, bool], Array]
    misfit: float
    resamples: int


def simulate(
    tables: Tables,
    theta: Array,
    noise: SeedNoise,
    *,
    misfit: float = 0.0,
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
        misfit: sd by which configurations lie off the truth in the worlds of OF_DENSE_LAW, nats.
        worlds: of each truth.
        resamples: behind each interval in a world.
        seed: of the generator.
        cores: processes, on whose number the rates don't depend; all cores when None, and one for a few worlds.
    """
    design = _design(tables, theta, noise, misfit, resamples)
    judged = claims.judged(tables)
    said = list(over_worlds(partial(_judge, design, seed), worlds, cores))
    rates = {
        claim.CLAIM: rates_of(claim, *([own[claim.CLAIM, true] for own in said] for true in ("True", "False")))
        for claim in judged
    }
    laws = {
        law.name: {claim.CLAIM: Rates.of([own[claim.CLAIM, law.name][0] for own in said]) for claim in judged}
        for law in TRUTHS
    }
    values = ", ".join(f"{name} {value:.4g}" for name, value in zip(N_AVG.names, theta, strict=True))
    said_of_law = f"{N_AVG.formula} with {values}"
    if misfit and set(OF_DENSE_LAW) & set(judged):
        which = " and ".join(f"({claim.CLAIM})" for claim in OF_DENSE_LAW)
        said_of_law += f"; for {which} configurations lie off it by {misfit:.4f} nats (sd)"
    return Power(worlds, resamples, noise.said, said_of_law, rates, laws)


def chance(tables: Tables, theta: Array, noise: SeedNoise, claim: str, *, misfit: float = 0.0, worlds: int) -> float:
    """Share of worlds in which a claim is exactly true whose verdict is "reproduced". Arguments: see `simulate`."""
    design = _design(tables, theta, noise, misfit, RESAMPLES)
    alone = replace(design, laws={}, own={(claim, True): design.own[claim, True]})
    said = over_worlds(partial(_judge, alone, 0), worlds, None)
    return sum(own[claim, "True"][0] == "reproduced" for own in said) / worlds


def _design(tables: Tables, theta: Array, noise: SeedNoise, misfit: float, resamples: int) -> _Design:
    bare = replace(tables, **{name: schemas.SCHEMAS[name].empty_table() for name in ("curves", "layers")})
    world = World.of(bare, theta, setting_lines.settings_cost(bare))
    runs = world.tables.runs
    return _Design(
        tables=world.tables,
        theta=theta,
        noise=noise,
        kinds=seed_noise.kinds(runs),
        families=seed_noise.families(runs),
        laws={law.name: world.losses(law) for law in TRUTHS},
        own={
            (claim.CLAIM, true): claim.true_world(world) if true else claim.false_world(world)
            for claim in claims.judged(bare)
            for true in (True, False)
        },
        misfit=misfit,
        resamples=resamples,
    )


def truth(tables: Tables) -> Array | None:
    """E, A, α, B, β fitted to the sweep's dense runs, or else to its law set or to the dense runs of its map; None where none can tell them."""
    base = configurations.base_runs(tables)
    for runs in (tables.dense, tables.law_set, base.where(~base.sparse)):
        if len(runs) and obstacle(N_AVG, runs.columns, runs["loss"]) is None:
            return fit(N_AVG, runs.columns, runs["loss"]).theta
    return None


def lack_of_fit(tables: Tables) -> float:
    """The sd of dense configurations around the law fitted to them, nats; 0 if it can't be estimated."""
    if not set(OF_DENSE_LAW) & set(claims.judged(tables)) or not np.isfinite(tables.runs["loss"]).all():
        return 0.0
    found = Evidence(tables).arrow.misfit
    return 0.0 if found is None else found.sd


def _judge(design: _Design, seed: int, world: int) -> Said:
    """What the rules say of each claim in each truth, in one world."""
    drawn = design.noise.draw(design.kinds, design.families, np.random.default_rng([seed, world]))
    first: Evidence | None = None

    def evidence(mean: Array, *, refitted: bool) -> Evidence:
        moved = with_losses(design.tables, mean + drawn)
        return Evidence(moved, design.resamples, laws=(N_AVG,), like=first, refitted=refitted, start=design.theta)

    def said_of(claim: Claim, mean: Array, found: Evidence) -> tuple[Outcome, str]:
        if claim is schedule:
            rng = np.random.default_rng([seed, world, 1])
            found = replace(found, tables=follow(design.tables, mean, drawn, rng), like=found)
        outcome: tuple[Outcome, str] = claim.rule(found)
        return outcome

    said: Said = {}
    judged = claims.judged(design.tables)
    for name, mean in design.laws.items():
        found = evidence(mean, refitted=True)
        said |= {(claim.CLAIM, name): said_of(claim, mean, found) for claim in judged}
        first = first or found
    by_name = {claim.CLAIM: claim for claim in judged}
    off = _off_law(design, np.random.default_rng([seed, world, 2]))
    lacking: Evidence | None = None  # of OF_DENSE_LAW, whose dense runs lie off the law, too
    for (claim_name, true), mean in design.own.items():
        if design.misfit and by_name[claim_name] in OF_DENSE_LAW:
            moved = with_losses(design.tables, mean + drawn + off)
            found = Evidence(moved, design.resamples, laws=(N_AVG,), like=lacking, start=design.theta)
            lacking = lacking or found
            said[claim_name, str(true)] = said_of(by_name[claim_name], mean, found)
            continue
        same = next((name for name, other in design.laws.items() if np.array_equal(mean, other)), None)
        # A claim's own worlds leave alone the runs on which the fits that it reads were made.
        said[claim_name, str(true)] = (
            said[claim_name, same] if same else said_of(by_name[claim_name], mean, evidence(mean, refitted=False))
        )
    return said


def _off_law(design: _Design, rng: np.random.Generator) -> Array:
    """Nats (n,) by which runs lie off the law, equal for those of a configuration."""
    names, member = np.unique(design.tables.runs["recipe"].astype(str), return_inverse=True)
    return np.asarray(design.misfit * rng.standard_normal(len(names))[member])


def follow(tables: Tables, mean: Array, noise: Array, rng: np.random.Generator) -> Tables:
    """The tables of a world with each cell's fresh seeds reassigned to its best rivals, if only some rivals have any.

    Claim (a) trains the best of a cell at seed 0 again with fresh seeds. In another world other schedules are the best, so
    that the windows which this sweep happened to repeat are not the ones that it would have repeated there.

    Args:
        tables: of this sweep. mean: (n,) of each run in that world. noise: (n,) as drawn, nats.
        rng: draws the noise of runs that this sweep hasn't got, from that of the cell's runs.
    """
    moved = with_losses(tables, mean + noise)
    runs = moved.runs
    dropped: set[int] = set()
    added: list[tuple[int, float, float]] = []  # position of the run at seed 0, seed, loss
    for cell in grid_cells(moved.grid)[0]:
        order = cell["recipe"][np.argsort(cell["loss"])]
        home = cell["recipe"][cell.at_paper_schedule][0]
        own = np.flatnonzero(np.isin(runs["recipe"].astype(str), order.astype(str)))
        fresh = [int(i) for i in own if runs["seed"][i] > 0 and runs["recipe"][i] != home]
        if not fresh or len({runs["recipe"][i] for i in fresh}) == len(order) - 1:
            continue
        left = {seed: [float(noise[i]) for i in fresh if runs["seed"][i] == seed] for seed in runs["seed"][fresh]}
        at = {runs["recipe"][i]: int(i) for i in own if runs["seed"][i] == 0}
        dropped |= set(fresh)
        for recipe in order[:TOP]:
            for seed, drawn in left.items() if recipe != home else ():
                luck = drawn.pop() if drawn else float(rng.choice(noise[own]))
                added.append((at[recipe], float(seed), float(mean[at[recipe]]) + luck))
    if not dropped:
        return moved
    kept = np.array([i for i in range(len(runs)) if i not in dropped], dtype=int)
    found = runs.where(np.concatenate([kept, np.array([i for i, _, _ in added], dtype=int)]))
    seeds, losses = found["seed"].copy(), found["loss"].copy()
    seeds[len(kept) :] = [seed for _, seed, _ in added]
    losses[len(kept) :] = [loss for _, _, loss in added]
    return replace(moved, runs=replace(found, columns={**found.columns, "seed": seeds, "loss": losses}))

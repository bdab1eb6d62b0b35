"""The simulated sweeps that a user asks for: with the sweep's own noise and law, another sweep's, or given ones."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np

from analysis import claims
from analysis.findings.post_training import Recovery
from analysis.fits.outcome import LEAST_RESAMPLES
from analysis.laws.law import Array
from analysis.laws.registry import N_AVG, P2
from analysis.noise.seed_noise import SeedNoise
from analysis.power import power_file, recovery_rates, simulation
from analysis.power.error_rates import Power
from analysis.tables import data
from analysis.tables.data import Tables, has_post_training
from repro.errors import UserError
from repro.store.folder import Folder

MOST_WORLDS = 100_000


@dataclass(frozen=True)
class Found:
    """The requested error rates, and what they were simulated from; None if they can't be."""

    power: Power
    tables: Tables
    theta: Array | None
    noise: SeedNoise | None
    misfit: float = 0.0


def find(given: argparse.Namespace) -> Found:
    """The error rates that `analysis power` was asked for.

    Raises:
        UserError: no results folder, a number out of range, or a sweep that isn't trained without noise to draw.
    """
    worlds = _enough(given.worlds, least=1)
    if given.sigma is not None and given.like is not None:
        raise UserError("two sources of noise", key="--like", found=given.like, expected="--sigma or --like")
    results = Folder.open(given.results)
    tables = data.load(results)
    trained = bool(np.isfinite(tables.all_runs["loss"]).any())
    if given.sigma is None and given.like is None and given.parameters is None and trained:
        found = of_sweep(tables, results, results, worlds)
        misfit = simulation.lack_of_fit(tables)
        return Found(found, tables, simulation.truth(tables), SeedNoise.measured(tables), misfit)
    other = None if given.like is None else data.load(Folder.open(given.like))
    if not trained:
        if given.sigma is None and other is None:
            raise UserError(
                "a sweep without trained runs has no noise of its own", file=f"{results}/runs.parquet",
                expected="--sigma NATS, or --like RESULTS",
            )  # fmt: skip
        tables = replace(tables, runs=tables.all_runs, flags=())
    theta = _truth(given.parameters, other or tables, trained or other is not None)
    noise = SeedNoise.normal(given.sigma) if given.sigma is not None else SeedNoise.measured(other or tables)
    if noise is None or theta is None:
        return Found(Power.unknown(f"{(other or tables).name} has neither noise nor a law"), tables, theta, noise)
    misfit = simulation.lack_of_fit(other or tables)
    found = simulation.simulate(tables, theta, noise, misfit=misfit, worlds=worlds)
    return Found(found, tables, theta, noise, misfit)


def kept(tables: Tables, results: Folder) -> Power:
    """The error rates that `report` or `power` kept in a results folder, if they are for these runs."""
    found = power_file.read(results, tables)
    return found or Power.unknown("`python -m analysis power` tells")


def of_sweep(tables: Tables, results: Folder, out: Folder, worlds: int) -> Power:
    """Error rates with a sweep's own noise and law: from power.json in `results` or `out` if it is for these tables, else simulated and kept in `out`."""
    if not _enough(worlds, least=0):
        return Power.unknown("no worlds were asked for")
    for folder in (results, out):
        known = power_file.read(folder, tables)
        if known is not None and known.worlds == worlds:
            return known
    found = _pruned_while_training(tables, worlds)
    if has_post_training(tables):
        found = _with_recovery(found, tables, worlds)
    if found.claims:
        power_file.write(out, found, tables)
    return found


def _pruned_while_training(tables: Tables, worlds: int) -> Power:
    """The rates of the claims on pruning while training."""
    if not claims.judged(tables):
        return Power(worlds, simulation.RESAMPLES, "", "", {}, {})
    noise, theta = SeedNoise.measured(tables), simulation.truth(tables)
    if noise is None or theta is None:
        why = (
            "the seeds' noise isn't known" if noise is None else "no law can be fitted to its dense runs or its law set"
        )
        return Power.unknown(why)
    return simulation.simulate(tables, theta, noise, misfit=simulation.lack_of_fit(tables), worlds=worlds)


def _with_recovery(power: Power, tables: Tables, worlds: int) -> Power:
    """The same with the rates of the claims on training after pruning."""
    post = Recovery.of(tables, LEAST_RESAMPLES)
    found = recovery_rates.simulate(tables, post, worlds=worlds)
    if isinstance(found, str):
        return power if power.claims or power.reason else Power.unknown(found)
    return replace(
        power,
        worlds=worlds,
        resamples=power.resamples or recovery_rates.RESAMPLES,
        noise="; ".join(filter(None, (power.noise, post.noise.said if post.noise else ""))),
        truth="; ".join(filter(None, (power.truth, f"{P2.formula} as fitted to each method's curves"))),
        claims={**power.claims, **found},
        reason=None,
    )


def _enough(worlds: int, least: int) -> int:
    if not least <= worlds <= MOST_WORLDS:
        raise UserError(
            "number of simulated sweeps out of range",
            key="--worlds",
            found=worlds,
            expected=f"{least} to {MOST_WORLDS:,}",
        )
    return worlds


def _truth(parameters: str | None, tables: Tables, trained: bool) -> Array | None:
    from analysis.worlds import simulated_table  # brings pydantic, which reading a table does without

    if parameters is not None:
        return simulated_table.truth(N_AVG, **simulated_table.numbers(parameters))
    return simulation.truth(tables) if trained else simulated_table.truth(N_AVG)

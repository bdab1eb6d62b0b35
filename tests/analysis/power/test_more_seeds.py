"""What a claim of little power needs, found by simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis import claims
from analysis.claims.verdict import ClaimRates, Rates
from analysis.findings.pairs import find_pairs
from analysis.noise.seed_noise import SeedNoise
from analysis.power import more_seeds, simulation
from analysis.power.error_rates import Power
from analysis.tables import data
from analysis.tables.data import Tables
from repro.store.folder import Folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables(results: Path) -> Tables:
    return data.load(Folder.open(results))


def test_more_seeds_are_new_runs_of_the_same_configurations(tables: Tables) -> None:
    recipes = claims.pairs.repeated(tables)
    assert len(recipes) == 8  # of four pairs
    found = more_seeds.with_seeds(tables, recipes, 2)
    assert len(found.runs) == len(tables.runs) + 16
    assert len(set(found.runs["run_id"])) == len(found.runs)
    assert {p.seeds for p in find_pairs(found) if p.match == "prunable"} == {5}
    assert set(np.unique(found.runs["seed"])) == {0, 1, 2, 3, 4}


def test_a_claim_of_little_power_is_told_what_it_needs(tables: Tables) -> None:
    """Of claim (e) alone; the others are said to have enough."""
    theta, noise = simulation.truth(tables), SeedNoise.normal(0.02)
    assert theta is not None
    enough, little = (ClaimRates(Rates(10, n, 0), Rates(10, 0, 0), "", "", "the interval holds 1.8") for n in (9, 2))
    found = Power(10, 200, "", "", {c.CLAIM: little if c.CLAIM == "e" else enough for c in claims.CLAIMS}, {})
    [line] = more_seeds.needed(tables, theta, noise, found, worlds=5)
    assert line.startswith("(e) power 20%; mostly: the interval holds 1.8. For 80%: ")
    assert "more seed" in line
    assert "of what it is" in line
    fewer = simulation.chance(tables, theta, noise, "e", worlds=5)
    more = simulation.chance(
        more_seeds.with_seeds(tables, claims.failure_modes.repeated(tables), 21), theta, noise, "f", worlds=5
    )
    assert fewer < more


def test_no_seed_helps_a_rule_that_reads_one_of_each_run(tables: Tables) -> None:
    for claim in (claims.law, claims.grid):
        assert claim.repeated(tables) == set()
    assert "one of each run" in more_seeds._seeds(tables, SeedNoise.normal(1.0), claims.grid, simulation.chance)


@pytest.mark.parametrize("least", [1, 2, 5, 21, 22])
def test_the_least_that_is_enough_is_found(least: int) -> None:
    found = more_seeds._first(more_seeds.SEEDS, lambda seeds: seeds >= least)
    assert found == next((n for n in more_seeds.SEEDS if n >= least), None)

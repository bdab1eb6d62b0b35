"""Error rates of the rules on the direction of N(t)."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from analysis.claims import IN_ANY_DIRECTION
from analysis.claims.arrow import direction, one_law, sparse_start
from analysis.findings import setting_lines
from analysis.noise.seed_noise import SeedNoise
from analysis.power import simulation
from analysis.tables.data import Tables
from analysis.worlds.simulated_programme import in_tables
from analysis.worlds.world import World
from tests.analysis import mirrored_worlds
from tests.analysis.mirrored_worlds import THETA, ArrowTruth

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables() -> Tables:
    return in_tables(mirrored_worlds.simulate())


def test_with_little_noise_every_rule_knows_a_true_world_from_a_false_one(tables: Tables) -> None:
    found = simulation.simulate(tables, np.array(THETA), SeedNoise.normal(0.001), worlds=1, resamples=100)
    assert {name: own.true.reproduced for name, own in found.claims.items()} == {c.CLAIM: 1 for c in IN_ANY_DIRECTION}
    assert {name: own.false.reproduced for name, own in found.claims.items()} == dict.fromkeys(found.claims, 0)
    assert found.laws["N_final"][direction.CLAIM].not_reproduced == 1
    assert found.laws["N_avg"][sparse_start.CLAIM].not_reproduced == 1


def test_worlds_of_one_law_lack_what_the_dense_runs_do(tables: Tables) -> None:
    """A lack of fit as wide as the margin: the claim that is true can't be shown, nor can it be shown false."""
    found = simulation.simulate(
        tables, np.array(THETA), SeedNoise.normal(0.001), misfit=0.016, worlds=2, resamples=100, cores=1
    )
    assert found.truth.endswith("for (iv) and (v) configurations lie off it by 0.0160 nats (sd)")
    assert (found.claims[one_law.CLAIM].true.reproduced, found.claims[one_law.CLAIM].true.not_reproduced) == (0, 0)
    assert found.claims[direction.CLAIM].true.reproduced == 2


def test_the_lack_of_fit_of_worlds_is_the_sweeps_own() -> None:
    rows = mirrored_worlds.simulate(ArrowTruth(misfit=0.01), growth=False)
    assert 0.005 < simulation.lack_of_fit(in_tables(rows)) < 0.02
    planned = [row | {"loss": float("nan")} for row in rows]
    assert simulation.lack_of_fit(in_tables(planned)) == 0


@pytest.mark.parametrize("claim", IN_ANY_DIRECTION, ids=lambda claim: claim.CLAIM)
def test_what_makes_a_claim_true_and_false_are_two_worlds_of_the_same_dense_runs(
    claim: ModuleType, tables: Tables
) -> None:
    world = World.of(tables, np.array(THETA), setting_lines.settings_cost(tables))
    true, false = claim.true_world(world), claim.false_world(world)
    assert np.isfinite(true).all()
    assert np.isfinite(false).all()
    assert not np.array_equal(true, false)
    dense = np.isin(world.tables.runs["run_id"].astype(str), [str(r) for r in world.tables.dense["run_id"]])
    assert np.array_equal(true[dense], false[dense])
    assert np.array_equal(true[dense], world.losses()[dense])
    assert claim.repeated(tables) <= set(tables.runs["recipe"])
